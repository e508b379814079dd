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

int fw_http_asset(const uint8_t *path, uint32_t n)
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
    out->asset = (uint8_t)fw_http_asset(out->path, out->path_len);
    out->partial = end == size;
    return FW_HTTP_REQUEST;
}

static int parse(const struct fw_key *key, const uint8_t *p, uint32_t size, struct fw_message *out)
{
    if (size >= 12 && memcmp(p, "HTTP/1.", 7) == 0) {
        if (!fw_is_digit(p[9]) || !fw_is_digit(p[10]) || !fw_is_digit(p[11]) || p[8] != ' ')
            return FW_SAID_NOTHING;
        out->status = (uint16_t)((p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0'));
        out->what = FW_HTTP_RESPONSE;
        fw_message_answer(out, out->status);
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

/* How the body behind a header is framed (RFC 9112, 6), and what else the header says. */
struct framing {
    uint32_t length; /* at most FW_OWED_MAX */
    uint8_t chunked, upgrade;
};

static uint32_t decimal(const uint8_t *p, uint32_t size)
{
    uint32_t value = 0;
    for (uint32_t at = 0; at < size && (p[at] == ' ' || fw_is_digit(p[at])); at++)
        if (p[at] != ' ')
            value = fw_min32(value * 10 + p[at] - '0', FW_OWED_MAX);
    return value;
}

/* Does the value of a header hold a word, in any case? */
static int holds(const uint8_t *p, uint32_t size, const char *word)
{
    uint32_t n = (uint32_t)strlen(word);
    for (uint32_t at = 0; at + n <= size; at++)
        if (fw_forward_begins(p + at, n, word, n))
            return 1;
    return 0;
}

static void frame(uint8_t first, const uint8_t *line, uint32_t n, struct framing *f)
{
    static const char LENGTH[] = "content-length:", CODING[] = "transfer-encoding:", UPGRADE[] = "upgrade:";
    if (first == 'c' && fw_forward_begins(line, n, LENGTH, sizeof LENGTH - 1))
        f->length = decimal(line + sizeof LENGTH - 1, n - (uint32_t)(sizeof LENGTH - 1));
    else if (first == 't' && fw_forward_begins(line, n, CODING, sizeof CODING - 1))
        f->chunked = (uint8_t)holds(line, n, "chunked");
    else if (first == 'u' && fw_forward_begins(line, n, UPGRADE, sizeof UPGRADE - 1))
        f->upgrade = holds(line, n, "websocket") ? FW_UPGRADE_WEBSOCKET : holds(line, n, "h2c") ? FW_UPGRADE_HTTP2 : 0;
}

/* Go over header lines; `program`, if not NULL, is told what they say of it. Returns what stands behind the empty line
 * that ends them, or NULL where it is not there. */
static const uint8_t *read_head(const struct fw_ranges *named, const uint8_t *p, const uint8_t *behind, struct framing *f,
                                struct fw_forwards *forwards, const struct fw_key *key, struct fw_message *program)
{
    const uint8_t *line = p, *end;
    for (;; line = end + 1) {
        end = memchr(line, '\n', (size_t)(behind - line));
        if (!end)
            return NULL;
        uint32_t n = (uint32_t)(end - line);
        if (n == 0 || (n == 1 && line[0] == '\r'))
            return end + 1;
        uint8_t first = line[0] | 0x20;
        if (program && fw_program_likely(first))
            fw_program_line(key, line, n, program);
        if (first == 'x' || first == 'f')
            fw_forward_line(named, line, n, forwards);
        else
            frame(first, line, n, f);
    }
}

/* Behind the last chunk: lines up to an empty one. Returns where it ends, or `size`. */
static uint32_t skip_trailers(const uint8_t *p, uint32_t at, uint32_t size)
{
    while (at < size) {
        const uint8_t *line = memchr(p + at, '\n', size - at);
        if (!line)
            break;
        uint32_t n = (uint32_t)(line - p) - at;
        at += n + 1;
        if (n == 0 || (n == 1 && line[-1] == '\r'))
            return at;
    }
    return size;
}

uint32_t fw_http_chunks(const uint8_t *p, uint32_t at, uint32_t size, struct fw_next *next)
{
    enum { DIGITS = 6 }; /* chunks of 16 MiB */
    while (at < size) {
        const uint8_t *line = memchr(p + at, '\n', size - at);
        uint32_t value = 0, digits = 0;
        for (; line && digits <= DIGITS && fw_hex(p[at + digits]) >= 0; digits++)
            value = value << 4 | (uint32_t)fw_hex(p[at + digits]);
        if (digits == 0 || digits > DIGITS)
            return size; /* no chunk, or one that the packet cuts */
        at = (uint32_t)(line + 1 - p);
        if (value == 0)
            return skip_trailers(p, at, size);
        at += value + 2; /* its data, and the end of their line */
    }
    *next = (struct fw_next){at, FW_NEXT_CHUNK};
    return size;
}

/* Where the body behind a header ends, which begins at p[at]; `size`: not here. */
static uint32_t skip_body(const uint8_t *p, uint32_t at, uint32_t size, const struct framing *f, struct fw_next *next)
{
    if (f->chunked)
        return fw_http_chunks(p, at, size, next);
    if (f->length <= size - at)
        return at + f->length;
    if (f->length < FW_OWED_MAX)
        *next = (struct fw_next){at + f->length, FW_NEXT_REQUEST};
    return size;
}

/* Can these bytes be the beginning of a request line, and no more: a method, a target that does not show what it is? */
static int cut(const uint8_t *p, uint32_t size)
{
    static const char *const SCHEMES[] = {"http://", "https://"};
    uint32_t at = 0, begin;
    if (size > FW_HTTP_CUT)
        return 0;
    while (at < size && (p[at] == '\r' || p[at] == '\n'))
        at++;
    for (begin = at; at < size && fw_token_byte(p[at]); at++)
        if (at - begin == METHOD_MOST)
            return 0;
    if (at == begin || at == size)
        return at > begin;
    if (p[at++] != ' ')
        return 0;
    uint32_t left = size - at;
    for (unsigned i = 0; i < 2; i++) {
        uint32_t scheme = (uint32_t)strlen(SCHEMES[i]);
        if (memcmp(p + at, SCHEMES[i], fw_min32(left, scheme)) == 0)
            return left < scheme || skip_authority(p + at, left) == left;
    }
    return 0;
}

/* RFC 9112, 9.3.2: requests in p[at..size), right behind the end of another one. */
static void pipelined(const struct fw_key *key, const uint8_t *p, uint32_t at, uint32_t size, int whole,
                      struct fw_message *out, struct fw_next *next)
{
    struct fw_message more;
    struct fw_forwards nobody = {0};
    while (at < size && out->more < UINT8_MAX) {
        int said = fw_http_parse(key, p + at, size - at, &more);
        if (whole && (said == FW_HTTP_REQUEST ? more.partial : cut(p + at, size - at)))
            *next = (struct fw_next){at, FW_NEXT_LINE};
        if (said != FW_HTTP_REQUEST || next->what == FW_NEXT_LINE)
            return;
        fw_message_add(out, &more);
        struct framing f = {0};
        const uint8_t *end = read_head(NULL, more.path, p + size, &f, &nobody, NULL, NULL);
        if (!end)
            return;
        at = skip_body(p, (uint32_t)(end - p), size, &f, next);
    }
}

/* RFC 9110, 15.2.2: the rest of an answer that changes the protocol. */
static void upgraded(const uint8_t *p, uint32_t size, struct fw_message *out, struct fw_next *next)
{
    struct framing f = {0};
    struct fw_forwards nobody = {0};
    const uint8_t *end = read_head(NULL, p, p + size, &f, &nobody, NULL, NULL);
    if (!end || !f.upgrade)
        return;
    out->upgrade = f.upgrade;
    *next = (struct fw_next){(uint32_t)(end - p), FW_NEXT_UPGRADED};
}

/* What a request says behind its target: p[0..size) is the payload that holds it. */
static void read_rest(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *p, uint32_t size, int whole,
                      struct fw_message *out, struct fw_next *next)
{
    struct framing f = {0};
    struct fw_forwards forwards = {0};
    const uint8_t *rest = out->path + out->path_len, *behind = p + size;
    const uint8_t *line = memchr(rest, '\n', (size_t)(behind - rest));
    fw_program_query(key, rest, (uint32_t)((line ? line : behind) - rest), out);
    const uint8_t *end = line ? read_head(named, line + 1, behind, &f, &forwards, key, out) : NULL;
    if (whole)
        out->unfinished = end == NULL;
    if (!end)
        return;
    fw_forward_take(key, &forwards, out);
    out->upgrade = f.upgrade;
    uint32_t at = (uint32_t)(end - p), here = size - at;
    if (whole)
        out->owed = f.length > here ? f.length - here : 0;
    at = skip_body(p, at, size, &f, next);
    if (FW_UNLIKELY(at < size))
        pipelined(key, p, at, size, whole, out, next);
}

int fw_http_begins(const uint8_t *p, uint32_t size)
{
    return size <= FW_HTTP_CUT || p[0] == '\r' || p[0] == '\n' || memchr(p, ' ', METHOD_MOST + 1) != NULL;
}

int fw_http_read(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *p, uint32_t size, int whole,
                 struct fw_message *out, struct fw_next *next)
{
    memset(out, 0, sizeof *out);
    *next = (struct fw_next){0, FW_NEXT_NOTHING};
    uint32_t ahead = fw_proxy_line(key, named, p, size, out);
    int said = parse(key, p + ahead, size - ahead, out);
    if (said == FW_HTTP_RESPONSE && out->status == 101)
        upgraded(p, size, out, next);
    if (said == FW_HTTP_REQUEST)
        read_rest(key, named, p, size, whole, out, next);
    if (whole && (said == FW_HTTP_REQUEST ? out->partial : said == FW_SAID_NOTHING && cut(p + ahead, size - ahead))) {
        *next = (struct fw_next){ahead, FW_NEXT_LINE};
        out->begun = said == FW_HTTP_REQUEST;
    }
    if (!whole && next->what != FW_NEXT_UPGRADED)
        next->what = FW_NEXT_NOTHING;
    return said == FW_SAID_NOTHING && ahead ? out->what = FW_PROXY_LINE : said;
}
