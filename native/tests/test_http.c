/* The HTTP/1 first line. */
#include "check.h"
#include "make.h"

#include "../fw_message.h"

static struct fw_message h;

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
    CHECK_EQUAL(parse("get / HTTP/1.1"), FW_SAID_NOTHING);
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

int main(void)
{
    test_requests();
    test_hash();
    test_responses();
    test_prefixes_and_damage();
    return finish("http");
}
