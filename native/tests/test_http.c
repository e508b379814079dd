/* The HTTP/1 first line. */
#include "check.h"
#include "make.h"

#include "../fw_message.h"

static struct fw_message h;
static struct fw_next next;

static int parse(const char *text)
{
    size_t n = strlen(text);
    return fw_http_parse(&KEY, guarded(text, n), (uint32_t)n, &h);
}

static void request(const char *text, const char *path, int posts, int asset, int partial)
{
    CHECK_EQUAL(parse(text), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.path_len, strlen(path));
    CHECK(h.path_len == strlen(path) && memcmp(h.path, path, h.path_len) == 0);
    CHECK_EQUAL(h.posts, posts);
    CHECK_EQUAL(h.asset, asset);
    CHECK_EQUAL(h.partial, partial);
    CHECK(h.path_hash != 0);
}

static void test_requests(void)
{
    request("GET / HTTP/1.1\r\n", "/", 0, 0, 0);
    request("POST /login?x=1 HTTP/1.1\r\n", "/login", 1, 0, 0);
    request("PUT /a HTTP/1.0\r\n", "/a", 1, 0, 0);
    request("PATCH /a HTTP/1.0\r\n", "/a", 1, 0, 0);
    request("HEAD /logo.png HTTP/1.1\r\n", "/logo.png", 0, 1, 0);
    request("GET /f.woff2?v=3 HTTP/1.1\r\n", "/f.woff2", 0, 1, 0);
    request("GET /a.png.exe HTTP/1.1\r\n", "/a.png.exe", 0, 0, 0);
    request("GET http://example.org/x HTTP/1.1\r\n", "/x", 0, 0, 0);
    request("GET https://example.org?q HTTP/1.1\r\n", "", 0, 0, 0);
    request("OPTIONS * HTTP/1.1\r\n", "*", 0, 0, 0);
    request("CONNECT example.org:443 HTTP/1.1\r\n", "example.org:443", 0, 0, 0);
    request("GET /cut", "/cut", 0, 0, 1);
    request("GET ", "", 0, 0, 1);
    CHECK_EQUAL(parse("GETTING started"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("GET started"), FW_SAID_NOTHING);
    request("get / HTTP/1.1", "/", 0, 0, 0); /* a method that nobody knows is one */
    request("PROPFIND /dav?x HTTP/1.1\r\n", "/dav", 0, 0, 0);
    request("M-SEARCH * HTTP/1.1\r\n", "*", 0, 0, 0);
    request("PURGE http://example.org/x.js HTTP/1.0\r\n", "/x.js", 0, 1, 0);
    request("FETCH /a HT", "/a", 0, 0, 0); /* cut by the capture */
    request("\r\nGET /a HTTP/1.1\r\n", "/a", 0, 0, 0); /* RFC 9112, 2.2 */
    request("\n\r\n\r\nPOST /a HTTP/1.1\r\n", "/a", 1, 0, 0);
    CHECK_EQUAL(parse("FETCH /a"), FW_HTTP_REQUEST);
    CHECK_EQUAL(parse("FETCH /a FTP/1.1"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("FETCH /a b HTTP/1.1"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("get /x?y\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("MAIL FROM:<a@example.org>\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("A(B) / HTTP/1.1"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("/ HTTP/1.1"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("FETCH"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("\r\n\r\n\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse(""), FW_SAID_NOTHING);
}

static void test_hash(void)
{
    uint64_t seen[3];
    parse("GET /a?1 HTTP/1.1\r\n");
    seen[0] = h.path_hash;
    parse("HEAD /a#2 HTTP/1.1\r\n");
    seen[1] = h.path_hash;
    parse("GET /b HTTP/1.1\r\n");
    seen[2] = h.path_hash;
    CHECK(seen[0] == seen[1] && seen[0] != seen[2]);
    char text[400] = "GET /";
    memset(text + 5, 'x', 300);
    CHECK_EQUAL(parse(text), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.path_len, FW_PATH_MAX);
}

static void test_responses(void)
{
    CHECK_EQUAL(parse("HTTP/1.1 503 Service Unavailable\r\n"), FW_HTTP_RESPONSE);
    CHECK_EQUAL(h.status, 503);
    CHECK_EQUAL(parse("HTTP/1.0 200"), FW_HTTP_RESPONSE);
    CHECK_EQUAL(h.status, 200);
    CHECK_EQUAL(parse("HTTP/1.1 20"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("HTTP/1.1 2x0 OK"), FW_SAID_NOTHING);
    CHECK_EQUAL(parse("HTTP/1.1-200 OK"), FW_SAID_NOTHING);
}

static void test_prefixes_and_damage(void)
{
    static const char *const TEXTS[] = {"GET http://example.org/a/b.css?x HTTP/1.1\r\nHost: x\r\n\r\n",
                                        "OPTIONS https://example.org/ HTTP/1.1\r\n", "HTTP/1.1 404 Not Found\r\n"};
    for (unsigned t = 0; t < 3; t++)
        for (uint64_t i = 0; i < 20000; i++) {
            char text[100];
            size_t n = strlen(TEXTS[t]);
            memcpy(text, TEXTS[t], n);
            if (i > n)
                text[number(t, i) % n] = (char)number(9, i);
            size_t cut = i <= n ? i : number(17, i) % (n + 1);
            const uint8_t *p = guarded(text, cut);
            int what = fw_http_parse(&KEY, p, (uint32_t)cut, &h);
            CHECK_EQUAL(what, h.what);
            CHECK(what != FW_HTTP_REQUEST || (h.path >= p && h.path + h.path_len <= p + cut));
        }
}

static void rest(const char *text, int unfinished, uint32_t owed)
{
    size_t n = strlen(text);
    CHECK_EQUAL(fw_http_read(&KEY, NULL, guarded(text, n), (uint32_t)n, 1, &h, &next), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.unfinished, unfinished);
    CHECK_EQUAL(h.owed, owed);
}

static void test_rest_of_the_header(void)
{
    rest("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, 0);
    rest("GET / HTTP/1.1\r\nHost: x\r\n", 1, 0);
    rest("POST / HTTP/1.1\r\nContent-Length: 40\r\nHost: x\r\n\r\n", 0, 40);
    rest("POST / HTTP/1.1\r\nHost: x\r\ncontent-length:40\r\n\r\n0123456789", 0, 30);
    rest("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n0123", 0, 0);
    rest("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n01234567", 0, 0);
    rest("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 0, FW_OWED_MAX);
    rest("POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 0, 0);
    rest("POST / HTTP/1.1\r\nX-Content-Length: 9\r\n\r\n", 0, 0);
    rest("POST / HTTP/1.1\r\n\r\nContent-Length: 9\r\n", 0, 0);
    rest("POST / HTTP/1.1\r\nContent-Length: 9\r\n", 1, 0);
    rest("GET / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 0, 9); /* servers wait for it, whatever the method */
    rest("POST ", 1, 0);
    rest("\r\n\r\nGET / HTTP/1.1\r\n", 1, 0); /* what stands ahead ends nothing */
}

static void test_pipelined(void)
{
    static const char TEXT[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n"
                               "POST /b HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET /c HTTP/1.1\r\n\r\n\r\nHEAD /x.css HTTP/1.1\r\n\r\nGET /a HT";
    CHECK_EQUAL(fw_http_read(&KEY, NULL, guarded(TEXT, sizeof TEXT - 1), sizeof TEXT - 1, 1, &h, &next), FW_HTTP_REQUEST);
    CHECK(h.path_len == 2 && h.more == 4 && h.more_same == 2 && h.more_posts == 1 && h.more_assets == 1);
    char text[4000] = "";
    while (strlen(text) < 3900)
        strcat(text, "G / HTTP/1\r\n\r\n");
    CHECK_EQUAL(fw_http_read(&KEY, NULL, guarded(text, strlen(text)), (uint32_t)strlen(text), 1, &h, &next), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.more, strlen(text) / 14 - 1 < 255 ? strlen(text) / 14 - 1 : 255);
    CHECK_EQUAL(h.more_same, h.more);
}

/* Frames of HTTP/2 (RFC 9113, 4.1), one after the other. */
static void frame(struct bytes *b, uint32_t size, unsigned type, unsigned flags, uint32_t stream)
{
    b->big = 1;
    put8(b, size >> 16);
    put16(b, size & 0xffffu);
    put8(b, type);
    put8(b, flags);
    put32(b, stream);
}

static uint32_t frames(const struct bytes *b) { return fw_http2_frames(guarded(b->at, b->size), (uint32_t)b->size); }

static void test_http2(void)
{
    struct bytes b = {.size = 0};
    for (uint32_t stream = 1; stream < 9; stream += 2) {
        frame(&b, 20, 1, 5, stream);
        zeros(&b, 20);
        frame(&b, 4, 3, 0, stream);
        put32(&b, 8);
    }
    CHECK_EQUAL(frames(&b), 8);

    static const struct { uint32_t size; unsigned type, flags; uint32_t stream; int is; } ONE[] = {
        {100, 9, 0, 1, 1}, {100, 9, 4, 1, 1},  {100, 9, 1, 1, 0}, {100, 9, 0, 0, 0}, {16384, 0, 1, 3, 1}, {16385, 0, 1, 3, 0},
        {4, 3, 0, 1, 1},   {5, 3, 0, 1, 0},    {6, 4, 1, 0, 1},   {7, 4, 0, 0, 0},   {8, 6, 0, 0, 1},     {8, 6, 0, 1, 0},
        {4, 8, 0, 0, 1},   {4, 8, 0, 1u << 31, 0}, {9, 10, 0, 1, 0}, {0, 0, 0, 0, 0},
    };
    for (unsigned i = 0; i < sizeof ONE / sizeof ONE[0]; i++) {
        struct bytes one = {.size = 0};
        frame(&one, ONE[i].size, ONE[i].type, ONE[i].flags, ONE[i].stream);
        CHECK_EQUAL(frames(&one), ONE[i].is);
        one.size--; /* not even a header */
        CHECK_EQUAL(frames(&one), 0);
    }
    struct bytes wrong = {.size = 0};
    frame(&wrong, 4, 3, 0, 1);
    put32(&wrong, 14); /* no such error */
    CHECK_EQUAL(frames(&wrong), 0);
    frame(&b, 4, 10, 0, 0); /* the last of several contradicts: nothing of the packet is used */
    CHECK_EQUAL(frames(&b), 0);
    for (uint64_t i = 0; i < 20000; i++) {
        struct bytes noise = {.size = number(3, i) % 60};
        for (size_t at = 0; at < noise.size; at++)
            noise.at[at] = (uint8_t)(number(5, i * 64 + at) % 10);
        CHECK(frames(&noise) == 0 || noise.size >= 9);
    }
}

static void behind(const char *text, unsigned more, int what, uint32_t at)
{
    size_t n = strlen(text);
    (void)fw_http_read(&KEY, NULL, guarded(text, n), (uint32_t)n, 1, &h, &next);
    CHECK_EQUAL(h.more, more);
    CHECK_EQUAL(next.what, what);
    CHECK_EQUAL(next.at, at);
    (void)fw_http_read(&KEY, NULL, guarded(text, n), (uint32_t)n, 0, &h, &next); /* the capture cut it */
    CHECK(next.what == FW_NEXT_NOTHING || next.what == FW_NEXT_UPGRADED);
}

static void test_what_begins_behind(void)
{
    behind("GET / HTTP/1.1\r\n\r\n", 0, FW_NEXT_NOTHING, 0);
    behind("GET /cut", 0, FW_NEXT_LINE, 0);
    CHECK(h.partial);
    behind("G", 0, FW_NEXT_LINE, 0);
    behind("\r\nprop", 0, FW_NEXT_LINE, 0);
    behind("GET htt", 0, FW_NEXT_LINE, 0);
    behind("GET gopher", 0, FW_NEXT_NOTHING, 0);
    behind("SSH-2.0-x\r\n", 0, FW_NEXT_NOTHING, 0);
    behind("abcdefghijklmnopqrstuvwxyzabcdefghijklm", 0, FW_NEXT_NOTHING, 0);
    behind("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /a", 0, FW_NEXT_LINE, 36);
    behind("PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 0, FW_NEXT_REQUEST, 42);
    behind("PROPFIND / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /x HTTP/1.1\r\n\r\nG", 1, FW_NEXT_LINE, 63);
    behind("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n", 1,
           FW_NEXT_NOTHING, 0);
    behind("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0, FW_NEXT_CHUNK, 55);
    behind("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\n\r\nFFffff\r\nabc", 0, FW_NEXT_CHUNK, 53 + 8 + 0xffffff + 2);
    behind("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1fffffff\r\nabc", 0, FW_NEXT_NOTHING, 0);
    behind("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0;a=b\r\nTrailer: x\r\n\r\nDELETE / HTTP/1.1\r\n\r\n", 1,
           FW_NEXT_NOTHING, 0);
    behind("HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n\r\n\x81", 0, FW_NEXT_UPGRADED, 56);
    CHECK_EQUAL(h.upgrade, FW_UPGRADE_WEBSOCKET);
    behind("HTTP/1.1 200 OK\r\nUpgrade: h2c\r\n\r\n", 0, FW_NEXT_NOTHING, 0);
    CHECK_EQUAL(h.upgrade, FW_UPGRADE_NONE);
    behind("GET / HTTP/1.1\r\nupgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n", 0, FW_NEXT_NOTHING, 0);
    CHECK_EQUAL(h.upgrade, FW_UPGRADE_HTTP2);
}

int main(void)
{
    test_rest_of_the_header();
    test_pipelined();
    test_http2();
    test_what_begins_behind();
    test_requests();
    test_hash();
    test_responses();
    test_prefixes_and_damage();
    return finish("http");
}
