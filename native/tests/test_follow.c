/* What goes on from packet to packet: cut lines, bodies, HTTP/2, WebSockets; and that memory stays as it is. */
#include "check.h"
#include "make.h"

#include "../fw_follow.h"

static struct fw_follow f;
static struct fw_message h;
static uint32_t sent, answered; /* sequence numbers of the two sides */
static uint64_t now = 5000000000ull;
static uint16_t port = 40000;

static void connection(void)
{
    port++;
    sent = number(1, port) & 0xffffffffu; /* they go round as well */
    answered = 0xfffffff0u;
}

static int hear(int back, const void *bytes, size_t n, size_t captured)
{
    struct fw_packet p = back ? packet(FW_DATA, 9, 8080, 7, port) : packet(FW_DATA, 7, port, 9, 8080);
    uint32_t *mine = back ? &answered : &sent;
    p.ts_ns = now += 1000000;
    p.seq = *mine, p.ack = back ? sent : answered, p.payload = (uint32_t)n, p.captured = (uint16_t)captured;
    *mine += (uint32_t)n;
    memset(&h, 0, sizeof h);
    return fw_follow_hear(&f, &KEY, NULL, &p, guarded(bytes, captured), &h);
}

static int say(const char *text) { return hear(0, text, strlen(text), strlen(text)); }
static int reply(const char *text) { return hear(1, text, strlen(text), strlen(text)); }

static void asks(const char *path)
{
    CHECK_EQUAL(h.what, FW_HTTP_REQUEST);
    CHECK_EQUAL(h.path_hash, fw_http_hash(&KEY, (const uint8_t *)path, (uint32_t)strlen(path)));
    CHECK(h.path_len == strlen(path) && memcmp(h.path, path, h.path_len) == 0);
}

static void test_lines(void)
{
    static const char TEXT[] = "\r\nPROPFIND http://example.org/cut/here?a=b HTTP/1.1\r\nHost: x\r\n\r\n";
    for (size_t cut = 1; cut < sizeof TEXT - 2; cut++) {
        connection();
        unsigned requests = 0, resumed = 0;
        requests += hear(0, TEXT, cut, cut) == FW_HTTP_REQUEST;
        requests += hear(0, TEXT + cut, sizeof TEXT - 1 - cut, sizeof TEXT - 1 - cut) == FW_HTTP_REQUEST;
        resumed += h.resumed;
        CHECK_EQUAL(requests - resumed, 1);
        CHECK(!resumed || (!h.unfinished && h.path_len == 9 && memcmp(h.path, "/cut/here", 9) == 0));
    }
    CHECK_EQUAL(f.beguns.used, 0);
    connection(); /* byte by byte: counted once, and told once */
    unsigned counted = 0, told = 0;
    for (size_t at = 0; at < sizeof TEXT - 1; at++) {
        int said = hear(0, TEXT + at, 1, 1);
        counted += said == FW_HTTP_REQUEST && !h.resumed;
        told += said == FW_HTTP_REQUEST && !h.begun;
    }
    CHECK_EQUAL(counted, 1);
    CHECK_EQUAL(told, 1);
    connection();
    CHECK_EQUAL(say("GET /a"), FW_HTTP_REQUEST);
    sent += 5; /* a piece is missing */
    CHECK_EQUAL(say("b HTTP/1.1\r\n\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(reply("HTTP/1.1 200 OK\r\n\r\nlong body"), FW_HTTP_RESPONSE);
    CHECK_EQUAL(reply("end"), FW_SAID_NOTHING); /* of the body, and no method */
    CHECK_EQUAL(reply("HTTP/1.1 200 OK\r\n\r\n"), FW_HTTP_RESPONSE);
    CHECK_EQUAL(f.beguns.used, 0);
}

static void test_bodies(void)
{
    connection();
    CHECK_EQUAL(say("POST /a HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234"), FW_HTTP_REQUEST);
    CHECK_EQUAL(say("GET /no HTTP"), FW_SAID_NOTHING); /* that is the body */
    CHECK_EQUAL(say("789GET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n"), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.more, 1);
    asks("/b");
    CHECK_EQUAL(say("PUT /d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n01"), FW_HTTP_REQUEST);
    CHECK_EQUAL(say("23\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(say("3\r\nabc\r\n"), FW_SAID_NOTHING);
    CHECK_EQUAL(say("0\r\nA: b\r\n\r\nGET /e HTTP/1.1\r\n\r\nDELETE /f"), FW_HTTP_REQUEST);
    asks("/e");
    CHECK_EQUAL(say("g HTTP/1.1\r\n\r\n"), FW_HTTP_REQUEST);
    CHECK(!h.resumed);
    asks("/fg");
    CHECK_EQUAL(f.beguns.used, 0);
}

/* Frames of HTTP/2 (RFC 9113, 4.1). */
static struct bytes b;

static void frame(unsigned type, unsigned flags, uint32_t stream, const void *payload, size_t size)
{
    b.big = 1;
    put8(&b, (unsigned)(size >> 16)), put16(&b, size & 0xffffu);
    put8(&b, type), put8(&b, flags), put32(&b, stream);
    put(&b, payload, size);
}

static void request(uint32_t stream, unsigned flags, const char *path)
{
    uint8_t block[64] = {0x82, 0x86, 0x44, (uint8_t)strlen(path)};
    memcpy(block + 4, path, strlen(path));
    frame(1, flags, stream, block, 4 + strlen(path));
}

static int send(int back)
{
    int said = hear(back, b.at, b.size, b.size);
    b.size = 0;
    return said;
}

static void preface(void)
{
    connection();
    b.size = 0;
    put(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    frame(4, 0, 0, "", 0);
}

static void test_requests_of_http2(void)
{
    preface();
    request(1, 5, "/a");
    request(3, 5, "/a");
    request(5, 4, "/b.css");
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    CHECK(h.more == 2 && h.more_same == 1 && h.more_assets == 1 && h.streams == 3 && h.violations == 0);
    asks("/a");
    frame(0, 1, 5, "body", 4);
    CHECK_EQUAL(send(0), FW_HTTP2);
    frame(4, 0, 0, "", 0);
    frame(1, 4, 1, "\x88", 1);                    /* 200 */
    frame(1, 4, 3, "\x48\x03" "403", 5);          /* into the table */
    frame(1, 4, 5, "\xbe", 1);
    frame(1, 4, 7, "\x08\x03" "100", 5);          /* not yet an answer */
    CHECK_EQUAL(send(1), FW_HTTP_RESPONSE);
    CHECK(h.answers == 3 && h.refused == 2 && h.denied == 2 && h.streams == 0);
    frame(1, 5, 7, "\x83\xbf", 2); /* POST for an older entry of the table: "/a" came first */
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    CHECK(h.posts == 1 && h.path_len == 2 && memcmp(h.path, "/a", 2) == 0);
    request(9, 5, "/x");
    frame(3, 0, 9, "\0\0\0\x08", 4);
    CHECK_EQUAL(send(0), FW_HTTP2); /* reset at once: it asks for nothing */
    CHECK(h.streams == 1 && h.resets == 1);
}

/* One request, padded, with a priority, in three frames: wherever packets end. */
static void test_pieces(void)
{
    struct bytes whole;
    preface();
    frame(1, 1 | 8 | 32, 1, "\x02\0\0\0\0\xff\x82\x86\x44\x0b/lon\0\0", 17);
    frame(9, 0, 1, "g/pa", 4);
    frame(9, 4, 1, "th?x", 4);
    request(3, 5, "/next");
    whole = b;
    for (size_t step = 1; step < whole.size; step++) {
        if (step < 24)
            step = 24; /* the preface comes whole */
        preface();
        unsigned requests = 0, wrong = 0, frames = 0;
        for (size_t at = 0; at < whole.size; at += step) {
            size_t n = step < whole.size - at ? step : whole.size - at;
            (void)hear(0, whole.at + at, n, n);
            requests += h.what == FW_HTTP_REQUEST ? 1u + h.more : 0;
            frames += h.streams + h.continuations;
            wrong += h.violations;
        }
        CHECK_EQUAL(requests, 2);
        CHECK_EQUAL(frames, 4);
        CHECK_EQUAL(wrong, 0);
    }
    b.size = 0;
}

static void test_violations(void)
{
    preface();
    request(1, 5, "/");
    frame(8, 0, 1, "\0\0\0\0", 4);         /* a window that does not grow */
    frame(8, 0, 1, "\x7f\xff\xff\xff", 4); /* ... or too far */
    frame(2, 0, 1, "\0\0\0\1\0", 5);       /* a stream that depends on itself */
    frame(0, 0, 1, "x", 1);                /* DATA behind END_STREAM */
    request(1, 5, "/");                    /* HEADERS as well */
    frame(2, 0, 1, "\0\0\0", 3);
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.violations, 6);
    CHECK_EQUAL(h.more, 0);
    frame(8, 0, 0, "\x7f\xff\0\0", 4); /* what clients do */
    frame(8, 0, 1, "\0\0\x10\0", 4);
    frame(2, 0, 3, "\0\0\0\1\0", 5);
    request(3, 4, "/up");
    frame(0, 0, 3, "x", 1);
    frame(1, 5, 3, "\0\1a\1b", 5); /* trailers */
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    CHECK_EQUAL(h.violations, 0);
    for (uint32_t code = 0; code < 14; code++)
        frame(3, 0, 1, (uint8_t[]){0, 0, 0, (uint8_t)code}, 4);
    CHECK_EQUAL(send(1), FW_HTTP2);
    CHECK(h.provoked == 4 && h.resets == 0);
}

static void test_what_is_missing(void)
{
    preface();
    request(1, 5, "/a");
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    sent += 100;
    CHECK_EQUAL(hear(0, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10, 10), FW_HTTP2); /* amid something */
    CHECK_EQUAL(h.streams, 0);
    request(3, 5, "/b");
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    asks("/b");
    frame(1, 5, 5, "\x82\xc0", 2); /* an entry from before the gap: a path that is not known */
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    CHECK(h.path_len == 0 && h.path_hash != 0);
    sent -= 11; /* sent again */
    frame(1, 5, 5, "\x82\xc0", 2);
    CHECK_EQUAL(send(0), FW_HTTP2);
    CHECK_EQUAL(h.streams, 0);
    connection(); /* open since before the capture */
    request(71, 5, "/mid");
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    asks("/mid");
    frame(1, 4, 71, "\x8d", 1);
    CHECK_EQUAL(send(1), FW_HTTP_RESPONSE);
    CHECK_EQUAL(h.refused, 1);
    frame(0, 0, 71, "data", 4); /* of which the capture keeps the head only */
    size_t whole = b.size;
    b.size = 0;
    CHECK_EQUAL(hear(0, b.at, whole, 9), FW_HTTP2);
    request(73, 5, "/on");
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    asks("/on");
}

static void test_upgrade_to_http2(void)
{
    connection();
    CHECK_EQUAL(say("GET /up HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"),
                FW_HTTP_REQUEST);
    static const char ANSWER[] = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    b.size = 0;
    put(&b, ANSWER, sizeof ANSWER - 1);
    frame(4, 0, 0, "", 0);
    CHECK_EQUAL(send(1), FW_HTTP_RESPONSE);
    put(&b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    frame(4, 0, 0, "", 0);
    CHECK_EQUAL(send(0), FW_HTTP2);
    frame(1, 4, 1, "\x8b", 1);
    CHECK_EQUAL(send(1), FW_HTTP_RESPONSE);
    request(3, 5, "/more");
    CHECK_EQUAL(send(0), FW_HTTP_REQUEST);
    asks("/more");
}

static void websocket(void)
{
    connection();
    CHECK_EQUAL(say("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), FW_HTTP_REQUEST);
    CHECK_EQUAL(reply("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"), FW_HTTP_RESPONSE);
}

static unsigned masked(uint8_t first, size_t size, unsigned times)
{
    static uint8_t bytes[4000];
    size_t n = 0;
    for (unsigned i = 0; i < times; i++) {
        bytes[n++] = first;
        bytes[n++] = (uint8_t)(0x80 | (size < 126 ? size : 126));
        if (size >= 126)
            bytes[n++] = (uint8_t)(size >> 8), bytes[n++] = (uint8_t)size;
        n += 4 + size;
    }
    CHECK_EQUAL(hear(0, bytes, n, n), FW_WEBSOCKET);
    return h.fast;
}

static void test_websockets(void)
{
    websocket();
    unsigned fast = 0;
    for (unsigned i = 0; i < 100; i++)
        fast += masked(0x82, 20, 1);
    CHECK_EQUAL(fast, 0);
    CHECK_EQUAL(hear(1, "\x82\x7e\x10", 3, 3), FW_SAID_NOTHING); /* servers push what they like */
    now += 3000000000ull;
    for (unsigned i = 0; i < 100; i++)
        fast += masked(0x01, 3, 10);
    CHECK(fast >= 800);
    CHECK_EQUAL(h.frames, 10);
    websocket();
    fast = 0;
    for (unsigned i = 0; i < 900; i++) /* an upload */
        fast += masked(0x82, 3900, 1);
    CHECK_EQUAL(fast, 0);
    now += 3000000000ull;
    for (unsigned i = 0; i < 50; i++)
        fast += masked(0x89, 0, 1);
    CHECK(fast >= 40 && h.pings == 1);
    websocket(); /* frames over several packets */
    for (unsigned i = 0; i < 10; i++) {
        CHECK_EQUAL(hear(0, "\x82", 1, 1), FW_SAID_NOTHING);
        CHECK_EQUAL(hear(0, "\x85\1\2\3\4ab", 7, 7), FW_WEBSOCKET);
        CHECK_EQUAL(h.frames, 1);
        CHECK_EQUAL(hear(0, "cde", 3, 3), FW_SAID_NOTHING);
    }
    sent += 7; /* a piece is missing: until a packet holds frames and nothing else */
    CHECK_EQUAL(hear(0, "\x81\x85zzzz", 6, 6), FW_SAID_NOTHING);
    CHECK_EQUAL(hear(0, "\x81\x81zzzza", 7, 7), FW_WEBSOCKET);
    CHECK_EQUAL(hear(0, "\x81\x01" "a", 3, 3), FW_SAID_NOTHING); /* no client leaves out the mask */
    connection();
    CHECK_EQUAL(say("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"), FW_HTTP_REQUEST);
    CHECK_EQUAL(reply("HTTP/1.1 403 Forbidden\r\n\r\n"), FW_HTTP_RESPONSE);
    CHECK_EQUAL(say("GET /again HTTP/1.1\r\n\r\n"), FW_HTTP_REQUEST);
}

/* 10^6 connections that each begin something and leave it; every table stays as large as it is. */
static void test_many_halves(void)
{
    fw_follow_clear(&f);
    for (unsigned i = 0; i < 1000000; i++) {
        connection();
        struct fw_packet p = packet(FW_DATA, i * 2654435761u, port, 9, 8080);
        static const char *const HALVES[] = {"GET /ha", "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n",
                                             "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
                                             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x40\1\1\0\0\0\1\x82\x44\x7f\xff\xff"};
        size_t n = i % 4 == 3 ? 24 + 14 : strlen(HALVES[i % 4]);
        p.seq = sent, p.payload = p.captured = (uint16_t)n;
        (void)fw_follow_hear(&f, &KEY, NULL, &p, (const uint8_t *)HALVES[i % 4], &h);
    }
    CHECK_EQUAL(f.beguns.used, FW_BEGUN);
    CHECK_EQUAL(f.sockets.used, FW_SOCKET_SETS * FW_SOCKET_WAYS);
    CHECK_EQUAL(f.streams.used, FW_STREAM_SETS * FW_STREAM_WAYS);
    fw_follow_clear(&f);
    CHECK_EQUAL(f.beguns.used + f.sockets.used + f.streams.used, 0);
}

/* A hello in two segments: what goes on with its record says so, and what lies behind that, or comes from somebody else,
 * does not. */
static void test_rest_of_a_hello(void)
{
    uint8_t hello[1700] = {22, 3, 1, (sizeof hello - 5) >> 8, (uint8_t)(sizeof hello - 5), 1};
    memset(hello + 9, 0xee, sizeof hello - 9);
    connection();
    CHECK_EQUAL(hear(0, hello, 1000, 1000), FW_TLS_HELLO);
    CHECK(h.whole != NULL);
    CHECK_EQUAL(hear(1, hello + 1000, 700, 700), FW_SAID_NOTHING);
    CHECK_EQUAL(hear(0, hello + 1000, 300, 300), FW_TLS_MORE);
    CHECK(h.whole != NULL);
    CHECK_EQUAL(hear(0, hello + 1300, 400, 400), FW_TLS_MORE);
    CHECK_EQUAL(hear(0, hello + 1000, 400, 400), FW_SAID_NOTHING);
    connection();
    CHECK_EQUAL(hear(0, hello, sizeof hello, sizeof hello), FW_TLS_HELLO);
    CHECK_EQUAL(hear(0, hello + 1000, 400, 400), FW_SAID_NOTHING);
}

static void test_noise(void)
{
    for (uint64_t i = 0; i < 300000; i++) {
        uint8_t noise[80];
        size_t n = 1 + number(1, i) % (sizeof noise - 1);
        for (size_t at = 0; at < n; at++)
            noise[at] = (uint8_t)(number(2, i * 80 + at) % (i % 2 ? 256 : 12));
        if (i % 50 == 0)
            websocket();
        if (i % 50 == 25) {
            preface();
            send(0);
        }
        if (i % 11 == 0)
            sent += (uint32_t)number(3, i) % 100 - 50;
        (void)hear(i % 5 == 0, noise, n, i % 7 ? n : n - n / 3);
        CHECK(h.what <= FW_QUIC_SHORT && h.path_len <= FW_PATH_MAX);
    }
}

int main(void)
{
    test_lines();
    test_bodies();
    test_requests_of_http2();
    test_pieces();
    test_violations();
    test_what_is_missing();
    test_upgrade_to_http2();
    test_websockets();
    test_many_halves();
    test_rest_of_a_hello();
    test_noise();
    return finish("follow");
}
