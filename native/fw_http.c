#include "fw_forward.h"
#include "fw_program.h"

struct method {
    char name[9]; /* with the space that ends it */
    uint8_t length, posts;
};

static const struct method METHODS[] = {
    {"GET ", 4, 0},     {"POST ", 5, 1},    {"HEAD ", 5, 0},    {"PUT ", 4, 1},   {"DELETE ", 7, 0},
    {"OPTIONS ", 8, 0}, {"PATCH ", 6, 1},   {"CONNECT ", 8, 0}, {"TRACE ", 6, 0},
};

#define METHOD_MOST 32u /* bytes of a method that is not in the list */

static const char ASSETS[][8] = {"css", "js",  "png", "jpg",   "jpeg", "gif", "svg",
                                 "ico", "woff", "woff2", "ttf", "webp", "map", "mp4"};

static int is_asset(const uint8_t *path, uint32_t n)
{
    uint32_t dot = n;
    while (dot > 0 && n - dot < 6 && path[dot - 1] != '.')
        dot--;
    if (dot == 0 || path[dot - 1] != '.')
        return 0;
    uint32_t length = n - dot;
    for (size_t i = 0; i < sizeof ASSETS / sizeof ASSETS[0]; i++)
        if (strlen(ASSETS[i]) == length && memcmp(ASSETS[i], path + dot, length) == 0)
            return 1;
    return 0;
}

/* "http://host/path" -> offset of "/path" (or of the end, which reads as an empty path). */
static uint32_t skip_authority(const uint8_t *p, uint32_t size)
{
    uint32_t scheme = 0;
    if (size >= 7 && memcmp(p, "http://", 7) == 0)
        scheme = 7;
    else if (size >= 8 && memcmp(p, "https://", 8) == 0)
        scheme = 8;
    uint32_t at = scheme;
    while (scheme && at < size && p[at] != '/' && p[at] != ' ' && p[at] != '?')
        at++;
    return at;
}

uint64_t fw_http_hash(const struct fw_key *key, const uint8_t *path, uint32_t n)
{
    uint64_t words[FW_PATH_MAX / 8 + 1] = {0};
    memcpy(words, path, n);
    unsigned count = (n + 7) / 8;
    words[count] = n;
    uint64_t h = fw_siphash13(key, words, count + 1);
    return h ? h : 1;
}

/* Does the request line end as it should, as far as it was captured? `at` stands behind the target's path. */
static int ends_well(const uint8_t *p, uint32_t size, uint32_t at)
{
    static const char VERSION[] = " HTTP/1"; /* PRI * HTTP/2.0 is another protocol */
    while (at < size && p[at] != ' ' && p[at] != '\r' && p[at] != '\n')
        at++;
    return memcmp(p + at, VERSION, fw_min32(size - at, sizeof VERSION - 1)) == 0;
}

/* A request line at p[0..size), of which the method is known; else any token is one that a version follows. */
static int parse_request(const struct fw_key *key, const uint8_t *p, uint32_t size, const struct method *m,
                         struct fw_message *out)
{
    uint32_t at = m->length;
    at += skip_authority(p + at, size - at);
    uint32_t limit = fw_min32(size, at + FW_PATH_MAX), end = at;
    while (end < limit && p[end] != ' ' && p[end] != '?' && p[end] != '#' && p[end] != '\r' && p[end] != '\n')
        end++;
    if (at < size && p[at] != '/' && p[at] != '*' && p[at] != ' ' && p[at] != '?' && m->name[0] != 'C')
        return FW_SAID_NOTHING; /* text that only begins like a method */
    if (!m->name[0] && (end == at || !ends_well(p, size, end)))
        return FW_SAID_NOTHING;
    out->what = FW_HTTP_REQUEST;
    out->path = p + at;
    out->path_len = (uint16_t)(end - at);
    out->path_hash = fw_http_hash(key, out->path, out->path_len);
    out->posts = m->posts;
    out->asset = (uint8_t)is_asset(out->path, out->path_len);
    out->partial = end == size;
    return FW_HTTP_REQUEST;
}

/* RFC 9110, 8.6: the value of Content-Length in a header of `size` bytes, 0 where there is none. */
static uint32_t content_length(const uint8_t *p, uint32_t size)
{
    static const char NAME[] = "\ncontent-length:";
    const uint32_t length = sizeof NAME - 1;
    for (uint32_t at = 0; at + length < size; at++) {
        const uint8_t *line = memchr(p + at, '\n', size - at - length);
        if (!line)
            return 0;
        at = (uint32_t)(line - p);
        uint32_t i = 1;
        while (i < length && (line[i] | 0x20) == (NAME[i] | 0x20))
            i++;
        if (i < length)
            continue;
        uint32_t value = 0;
        for (at += length; at < size && (p[at] == ' ' || (p[at] >= '0' && p[at] <= '9')); at++)
            if (p[at] != ' ')
                value = fw_min32(value * 10 + p[at] - '0', FW_OWED_MAX);
        return value;
    }
    return 0;
}

static int parse(const struct fw_key *key, const uint8_t *p, uint32_t size, struct fw_message *out)
{
    if (size >= 12 && memcmp(p, "HTTP/1.", 7) == 0) {
        if (!fw_is_digit(p[9]) || !fw_is_digit(p[10]) || !fw_is_digit(p[11]) || p[8] != ' ')
            return FW_SAID_NOTHING;
        out->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
        out->what = FW_HTTP_RESPONSE;
        return FW_HTTP_RESPONSE;
    }
    while (size && (p[0] == '\r' || p[0] == '\n'))
        p++, size--;
    for (size_t i = 0; i < sizeof METHODS / sizeof METHODS[0]; i++) {
        const struct method *m = &METHODS[i];
        if (size >= m->length && memcmp(p, m->name, m->length) == 0)
            return parse_request(key, p, size, m, out);
    }
    const uint8_t *space = memchr(p, ' ', fw_min32(size, METHOD_MOST + 1));
    if (!space || space == p)
        return FW_SAID_NOTHING;
    for (const uint8_t *at = p; at < space; at++)
        if (!fw_token_byte(*at))
            return FW_SAID_NOTHING;
    struct method other = {"", (uint8_t)(space + 1 - p), 0};
    return parse_request(key, p, size, &other, out);
}

int fw_http_parse(const struct fw_key *key, const uint8_t *p, uint32_t size, struct fw_message *out)
{
    memset(out, 0, sizeof *out);
    return parse(key, p, size, out);
}

/* RFC 9112, 9.3.2: requests in [at, end), right behind the end of another one. */
static void pipelined(const struct fw_key *key, const uint8_t *at, const uint8_t *end, struct fw_message *out)
{
    struct fw_message next;
    while (out->more < UINT8_MAX) {
        if (fw_http_parse(key, at, (uint32_t)(end - at), &next) != FW_HTTP_REQUEST)
            return;
        out->more++;
        out->more_same = (uint8_t)(out->more_same + (next.path_hash == out->path_hash));
        out->more_posts = (uint8_t)(out->more_posts + next.posts);
        out->more_assets = (uint8_t)(out->more_assets + next.asset);
        out->more_paths |= 1ULL << (next.path_hash >> 58);
        const uint8_t *empty = memmem(next.path, (size_t)(end - next.path), "\r\n\r\n", 4);
        if (!empty)
            return;
        at = empty + 4;
        uint32_t body = next.posts ? content_length(next.path, (uint32_t)(at - next.path)) : 0;
        if (body >= (uint32_t)(end - at))
            return;
        at += body;
    }
}

int fw_http_read(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *p, uint32_t size, int whole,
                 struct fw_message *out)
{
    const uint8_t *behind = p + size, *end = NULL;
    memset(out, 0, sizeof *out);
    uint32_t ahead = fw_proxy_line(key, named, p, size, out);
    int said = parse(key, p + ahead, size - ahead, out);
    if (said != FW_HTTP_REQUEST)
        return said == FW_SAID_NOTHING && ahead ? out->what = FW_PROXY_LINE : said;
    const uint8_t *rest = out->path + out->path_len, *line = memchr(rest, '\n', (size_t)(behind - rest));
    fw_program_query(key, rest, (uint32_t)((line ? line : behind) - rest), out);
    if (line)
        end = fw_forwarded(key, named, line + 1, (uint32_t)(behind - line) - 1, out);
    uint32_t body = end ? (uint32_t)(behind - end) : 0;
    uint32_t promised = end && out->posts ? content_length(line, (uint32_t)(end - line)) : 0;
    if (whole) {
        out->unfinished = end == NULL;
        out->owed = promised > body ? promised - body : 0;
    }
    if (FW_UNLIKELY(body > promised))
        pipelined(key, end + promised, behind, out);
    return said;
}
