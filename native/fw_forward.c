#include "fw_forward.h"

#include "fw_packet.h"

static const uint8_t SIGNATURE[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
#define LINE_MOST 107u /* bytes of a PROXY line of version 1 */
#define TEXT_MOST 45u  /* characters of an IPv6 address */

int fw_ranges_hold(const struct fw_ranges *r, uint64_t hi, uint64_t lo)
{
    uint32_t low = 0, high = r->count;
    while (low < high) { /* the first range that ends at the address or behind it */
        uint32_t middle = low + (high - low) / 2;
        const struct fw_range *m = &r->held[middle];
        if (m->last_hi < hi || (m->last_hi == hi && m->last_lo < lo))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == r->count)
        return 0;
    const struct fw_range *m = &r->held[low];
    return m->first_hi < hi || (m->first_hi == hi && m->first_lo <= lo);
}

/* a.b.c.d at the start of the text; returns its length, or 0. */
static uint32_t dotted(const uint8_t *p, uint32_t size, uint32_t *out)
{
    uint32_t at = 0, value = 0;
    for (unsigned part = 0; part < 4; part++) {
        uint32_t number = 0, digits = 0;
        if (part && (at >= size || p[at++] != '.'))
            return 0;
        for (; at < size && fw_is_digit(p[at]) && digits < 3; at++, digits++)
            number = number * 10 + p[at] - '0';
        if (!digits || number > 255)
            return 0;
        value = value << 8 | number;
    }
    *out = value;
    return at;
}

/* RFC 4291, 2.2: the whole text. */
static int colons(const uint8_t *p, uint32_t size, uint64_t *hi, uint64_t *lo)
{
    uint16_t groups[8] = {0};
    unsigned n = 0, gap = 8; /* where "::" stands */
    uint32_t at = 0, four = 0;
    if (size >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < size) {
        uint32_t number = 0, digits = 0, used = n <= 6 ? dotted(p + at, size - at, &four) : 0;
        if (used && at + used == size) {
            groups[n++] = (uint16_t)(four >> 16);
            groups[n++] = (uint16_t)four;
            break;
        }
        for (; at < size && digits < 4 && fw_hex(p[at]) >= 0; at++, digits++)
            number = number << 4 | (uint32_t)fw_hex(p[at]);
        if (!digits || n == 8)
            return 0;
        groups[n++] = (uint16_t)number;
        if (at == size)
            break;
        if (p[at++] != ':' || at == size)
            return 0;
        if (p[at] == ':') {
            if (gap < 8)
                return 0;
            gap = n;
            at++;
        }
    }
    if (gap == 8 ? n != 8 : n > 7)
        return 0;
    for (unsigned i = 0; gap < 8 && i < n - gap; i++) { /* what stands behind the gap moves to the end */
        groups[7 - i] = groups[n - 1 - i];
        if (n - 1 - i < 7 - i)
            groups[n - 1 - i] = 0;
    }
    *hi = *lo = 0;
    for (unsigned i = 0; i < 4; i++) {
        *hi = *hi << 16 | groups[i];
        *lo = *lo << 16 | groups[i + 4];
    }
    return 1;
}

int fw_forward_address(const uint8_t *text, uint32_t size, uint64_t *hi, uint64_t *lo)
{
    uint32_t four = 0;
    if (size && text[0] == '[') {
        const uint8_t *end = memchr(text, ']', fw_min32(size, TEXT_MOST + 2));
        return end && colons(text + 1, (uint32_t)(end - text) - 1, hi, lo);
    }
    uint32_t used = dotted(text, size, &four);
    if (used) {
        for (uint32_t at = used + 1; at < size; at++)
            if (!fw_is_digit(text[at]))
                return 0;
        *hi = 0;
        *lo = FW_V4_TAG | four;
        return used == size || text[used] == ':';
    }
    return size <= TEXT_MOST && colons(text, size, hi, lo);
}

uint64_t fw_forward_hash(const struct fw_key *key, uint64_t hi, uint64_t lo)
{
    uint64_t words[2] = {hi, lo};
    if (fw_well_known_translator(hi, lo))
        return fw_siphash13(key, words, 2);
    return fw_siphash13(key, hi || lo >> 32 != 0xffff ? &words[0] : &words[1], 1);
}

static void take(const struct fw_key *key, struct fw_message *out, uint64_t hi, uint64_t lo, uint8_t via)
{
    out->client_hi = hi;
    out->client_lo = lo;
    out->client_hash = fw_forward_hash(key, hi, lo);
    out->via = via;
}

static int is_named(const struct fw_ranges *named, uint64_t hi, uint64_t lo)
{
    return named && fw_ranges_hold(named, hi, lo);
}

static void line_client(const struct fw_key *key, const struct fw_ranges *named, uint64_t hi, uint64_t lo,
                        struct fw_message *out)
{
    out->deeper = (uint8_t)is_named(named, hi, lo);
    take(key, out, hi, lo, FW_VIA_LINE);
}

static uint32_t binary(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *p, uint32_t size,
                       struct fw_message *out)
{
    if (size < 16 || p[12] >> 4 != 2 || (p[12] & 15) > 1)
        return 0;
    uint32_t length = fw_be16(p + 14);
    if (length > size - 16)
        return 0;
    out->line = 1;
    if (!(p[12] & 15)) /* LOCAL */
        return 16 + length;
    if (p[13] == 0x11 && length >= 12)
        line_client(key, named, 0, FW_V4_TAG | fw_be32(p + 16), out);
    else if (p[13] == 0x21 && length >= 36)
        line_client(key, named, fw_be64(p + 16), fw_be64(p + 24), out);
    return 16 + length;
}

uint32_t fw_proxy_line(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *p, uint32_t size,
                       struct fw_message *out)
{
    uint64_t hi, lo;
    if (size >= sizeof SIGNATURE && memcmp(p, SIGNATURE, sizeof SIGNATURE) == 0)
        return binary(key, named, p, size, out);
    if (size < 15 || memcmp(p, "PROXY ", 6) != 0)
        return 0;
    const uint8_t *end = memchr(p, '\n', fw_min32(size, LINE_MOST));
    if (!end || end[-1] != '\r')
        return 0;
    uint32_t length = (uint32_t)(end + 1 - p);
    if (memcmp(p + 6, "UNKNOWN", 7) == 0) {
        out->line = 1;
        return length;
    }
    if ((memcmp(p + 6, "TCP4 ", 5) != 0 && memcmp(p + 6, "TCP6 ", 5) != 0))
        return 0;
    const uint8_t *from = p + 11, *space = memchr(from, ' ', (size_t)(end - from));
    if (!space || !fw_forward_address(from, (uint32_t)(space - from), &hi, &lo))
        return 0;
    out->line = 1;
    line_client(key, named, hi, lo, out);
    return length;
}

int fw_forward_begins(const uint8_t *p, uint32_t size, const char *name, uint32_t n)
{
    if (size < n)
        return 0;
    for (uint32_t i = 0; i < n; i++)
        if ((p[i] | 0x20) != (uint8_t)name[i])
            return 0;
    return 1;
}

static void value(const struct fw_ranges *named, const uint8_t *p, uint32_t size, struct fw_forward_values *v)
{
    uint64_t hi = 0, lo = 0;
    while (size && (p[0] == ' ' || p[0] == '\t' || p[0] == '"'))
        p++, size--;
    while (size && (p[size - 1] == ' ' || p[size - 1] == '\t' || p[size - 1] == '"' || p[size - 1] == '\r'))
        size--;
    if (!size)
        return;
    int readable = fw_forward_address(p, size, &hi, &lo), proxy = readable && is_named(named, hi, lo);
    if (v->any && proxy)
        return;
    *v = (struct fw_forward_values){hi, lo, 1, readable};
}

/* RFC 7239, 4: the parameter `for` of one element; an element without one hides the client. */
static void element(const struct fw_ranges *named, const uint8_t *p, uint32_t size, struct fw_forward_values *v)
{
    for (uint32_t at = 0; at < size;) {
        while (at < size && (p[at] == ' ' || p[at] == '\t'))
            at++;
        const uint8_t *end = memchr(p + at, ';', size - at);
        uint32_t next = end ? (uint32_t)(end - p) : size;
        if (fw_forward_begins(p + at, next - at, "for=", 4)) {
            value(named, p + at + 4, next - at - 4, v);
            return;
        }
        at = next + 1;
    }
    *v = (struct fw_forward_values){.any = 1};
}

static void line_of(const struct fw_ranges *named, const uint8_t *p, uint32_t size, int elements, struct fw_forward_values *v)
{
    for (uint32_t at = 0; at < size;) {
        const uint8_t *comma = memchr(p + at, ',', size - at);
        uint32_t next = comma ? (uint32_t)(comma - p) : size;
        if (elements)
            element(named, p + at, next - at, v);
        else
            value(named, p + at, next - at, v);
        at = next + 1;
    }
}

void fw_forward_line(const struct fw_ranges *named, const uint8_t *line, uint32_t n, struct fw_forwards *f)
{
    static const char OLD[] = "x-forwarded-for:", NEW[] = "forwarded:";
    if (fw_forward_begins(line, n, OLD, sizeof OLD - 1))
        line_of(named, line + sizeof OLD - 1, n - (uint32_t)(sizeof OLD - 1), 0, &f->old);
    else if (fw_forward_begins(line, n, NEW, sizeof NEW - 1))
        line_of(named, line + sizeof NEW - 1, n - (uint32_t)(sizeof NEW - 1), 1, &f->new);
}

void fw_forward_take(const struct fw_key *key, const struct fw_forwards *f, struct fw_message *out)
{
    const struct fw_forward_values *best = f->old.any ? &f->old : &f->new; /* most proxies write the older one */
    if (best->readable && (!out->via || out->deeper))
        take(key, out, best->hi, best->lo, FW_VIA_HEADER);
}
