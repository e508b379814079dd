#include "fw_hello.h"

enum { SERVER_NAME = 0, SIGNATURE_ALGORITHMS = 13, ALPN = 16, SUPPORTED_VERSIONS = 43, ENCRYPTED_HELLO = 0xfe0d };
enum { RANDOM = 32, HOST_NAME = 0, OUTER_HELLO = 0 };

struct span {
    const uint8_t *at, *end;
};

static uint32_t left(const struct span *s) { return (uint32_t)(s->end - s->at); }

static int skip(struct span *s, uint32_t n)
{
    if (left(s) < n)
        return 0;
    s->at += n;
    return 1;
}

/* Take a vector: its length in `width` (1 or 2) bytes, and so many bytes. */
static int vector(struct span *from, uint32_t width, struct span *out)
{
    const uint8_t *length = from->at;
    if (!skip(from, width))
        return 0;
    out->at = from->at;
    if (!skip(from, width == 1 ? length[0] : fw_be16(length)))
        return 0;
    out->end = from->at;
    return 1;
}

static int is_grease(uint16_t id) { return (id & 0x0f0fu) == 0x0a0au && id >> 8 == (id & 0xffu); }

/* Append the numbers of a list to ids[at..]; how many they are, or -1 where half a number is left over. */
static int append(struct span list, struct fw_hello *out, uint32_t at)
{
    uint32_t n = at;
    if (left(&list) % 2)
        return -1;
    for (; left(&list); list.at += 2)
        if (!is_grease(fw_be16(list.at)))
            out->ids[n++] = fw_be16(list.at);
    return (int)(n - at);
}

static int read_name(struct span content, struct fw_hello *out)
{
    struct span names, name;
    if (!vector(&content, 2, &names))
        return 0;
    while (left(&names)) {
        uint8_t type = *names.at++;
        if (!vector(&names, 2, &name))
            return 0;
        if (type != HOST_NAME || out->name_length)
            continue;
        out->name = name.at;
        out->name_length = (uint16_t)fw_min32(left(&name), FW_HELLO_NAME);
    }
    return 1;
}

static int read_protocols(struct span content, struct fw_hello *out)
{
    struct span names, name;
    if (!vector(&content, 2, &names))
        return 0;
    while (left(&names)) {
        if (!vector(&names, 1, &name))
            return 0;
        int grease = left(&name) == 2 && is_grease(fw_be16(name.at));
        if (out->protocols || grease || left(&name) == 0)
            continue;
        out->protocols = 1;
        out->first = name.at[0];
        out->last = name.end[-1];
    }
    return 1;
}

/* Versions of DTLS count downwards: 1.2 is 0xfefd, 1.0 is 0xfeff. */
static int read_versions(struct span content, int transport, struct fw_hello *out)
{
    struct span list;
    uint16_t best = 0;
    if (!vector(&content, 1, &list) || left(&list) % 2)
        return 0;
    for (; left(&list); list.at += 2) {
        uint16_t version = fw_be16(list.at);
        int newer = transport == FW_HELLO_DTLS ? version < best : version > best;
        if (!is_grease(version) && (best == 0 || newer))
            best = version;
    }
    out->version = best ? best : out->version;
    return 1;
}

static int read_extensions(struct span all, int transport, struct fw_hello *out)
{
    struct span content, algorithms = {all.end, all.end};
    while (left(&all)) {
        uint16_t type = left(&all) >= 2 ? fw_be16(all.at) : 0;
        if (!skip(&all, 2) || !vector(&all, 2, &content))
            return 0;
        if (!is_grease(type))
            out->ids[out->ciphers + out->extensions++] = type;
        int right = 1;
        if (type == SERVER_NAME) {
            out->named = 1;
            right = read_name(content, out);
        } else if (type == SIGNATURE_ALGORITHMS) {
            right = vector(&content, 2, &algorithms);
        } else if (type == ALPN) {
            right = read_protocols(content, out);
        } else if (type == SUPPORTED_VERSIONS) {
            right = read_versions(content, transport, out);
        } else if (type == ENCRYPTED_HELLO) {
            out->outer = left(&content) > 0 && content.at[0] == OUTER_HELLO;
        }
        if (!right)
            return 0;
    }
    int n = append(algorithms, out, (uint32_t)out->ciphers + out->extensions);
    if (n < 0)
        return 0;
    out->algorithms = (uint16_t)n;
    return 1;
}

int fw_hello_parse(const uint8_t *body, uint32_t size, int transport, struct fw_hello *out)
{
    struct span all = {body, body + size}, part;
    memset(out, 0, offsetof(struct fw_hello, ids));
    if (size > FW_HELLO_MOST || size < 2)
        return FW_BAD_RECORD;
    out->version = fw_be16(body);
    if (!skip(&all, 2 + RANDOM) || !vector(&all, 1, &part)) /* the session */
        return FW_BAD_RECORD;
    if (transport == FW_HELLO_DTLS && !vector(&all, 1, &part)) /* the cookie */
        return FW_BAD_RECORD;
    if (!vector(&all, 2, &part))
        return FW_BAD_RECORD;
    int n = append(part, out, 0);
    if (n < 0 || !vector(&all, 1, &part)) /* compression */
        return FW_BAD_RECORD;
    out->ciphers = (uint16_t)n;
    if (left(&all) == 0) /* before TLS 1.3 a hello may end here */
        return 0;
    return vector(&all, 2, &part) && left(&all) == 0 && read_extensions(part, transport, out) ? 0 : FW_BAD_RECORD;
}
