/* For whom proxies ask: addresses, the PROXY protocol, forwarded headers; and who is believed. */
#include "check.h"
#include "make.h"

#include "../fw_epoch.h"
#include "../fw_forward.h"

#define V4(a, b, c, d) (FW_V4_TAG | (a) << 24 | (b) << 16 | (c) << 8 | (d))

static struct fw_message h;
static struct fw_ranges named;
static struct fw_next next;

static int read_bytes(const void *bytes, size_t n)
{
    return fw_http_read(&KEY, &named, guarded(bytes, n), (uint32_t)n, 1, &h, &next);
}

static int read(const char *text) { return read_bytes(text, strlen(text)); }

static void address(const char *text, int is, uint64_t hi, uint64_t lo)
{
    uint64_t a = 0, b = 0;
    size_t n = strlen(text);
    CHECK_EQUAL(fw_forward_address(guarded(text, n), (uint32_t)n, &a, &b) != 0, is);
    CHECK(!is || (a == hi && b == lo));
}

static void test_addresses(void)
{
    address("192.0.2.1", 1, 0, V4(192ull, 0, 2, 1));
    address("192.0.2.1:4711", 1, 0, V4(192ull, 0, 2, 1));
    address("2001:db8::1", 1, 0x20010db800000000ull, 1);
    address("[2001:db8:1:2::1]:80", 1, 0x20010db800010002ull, 1);
    address("[2001:db8::1]", 1, 0x20010db800000000ull, 1);
    address("::", 1, 0, 0);
    address("::1", 1, 0, 1);
    address("1::", 1, 1ull << 48, 0);
    address("1:2:3:4:5:6:7:8", 1, 0x0001000200030004ull, 0x0005000600070008ull);
    address("1:2:3::6:7:8", 1, 0x0001000200030000ull, 0x0000000600070008ull);
    address("1:2:3:4:5:6:7::", 1, 0x0001000200030004ull, 0x0005000600070000ull);
    address("::ffff:192.0.2.1", 1, 0, V4(192ull, 0, 2, 1)); /* IPv4 in the other spelling */
    address("64:ff9b::192.0.2.1", 1, 0x0064ff9b00000000ull, 0xc0000201);
    static const char *const WRONG[] = {"",        "unknown", "_hidden", "1.2.3",   "1.2.3.4.5", "256.1.1.1", "1.2.3.4x", "1.2.3.4:a",
                                        "1:2",     ":::",     "1::2::3", ":1",      "1:",        "1:2:3:4:5:6:7:8:9", "12345::",
                                        "[2001::", "[]",      "g::1",    "1:2:3:4:5:6:7:1.2.3.4", "fe80::1%eth0", "1.2.3.4 "};
    for (unsigned i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        address(WRONG[i], 0, 0, 0);
}

static void client(uint64_t hi, uint64_t lo, unsigned via)
{
    CHECK_EQUAL(h.via, via);
    CHECK_EQUAL(h.client_hi, hi);
    CHECK_EQUAL(h.client_lo, lo);
    CHECK(!via || h.client_hash == fw_forward_hash(&KEY, hi, lo));
}

#define GET "GET /a HTTP/1.1\r\nHost: x\r\n"

static void header(const char *lines, uint64_t lo, unsigned via)
{
    char text[600];
    snprintf(text, sizeof text, GET "%s\r\n", lines);
    CHECK_EQUAL(read(text), FW_HTTP_REQUEST);
    client(0, lo, via);
}

static void test_headers(void)
{
    const uint64_t one = V4(192ull, 0, 2, 1), two = V4(192ull, 0, 2, 2);
    header("", 0, 0);
    header("X-Forwarded-For: 192.0.2.1\r\n", one, FW_VIA_HEADER);
    header("x-forwarded-for:192.0.2.1\r\nAccept: */*\r\n", one, FW_VIA_HEADER);
    header("X-Forwarded-For: 192.0.2.2, 192.0.2.1\r\n", one, FW_VIA_HEADER); /* the nearest proxy wrote the last */
    header("X-Forwarded-For: 192.0.2.2\r\nX-Forwarded-For: 192.0.2.1\r\n", one, FW_VIA_HEADER);
    header("X-Forwarded-For: 192.0.2.2, 10.1.2.3,10.9.9.9\r\n", two, FW_VIA_HEADER); /* behind named proxies */
    header("X-Forwarded-For: 10.1.2.3, 10.9.9.9\r\n", V4(10ull, 1, 2, 3), FW_VIA_HEADER);
    header("X-Forwarded-For: 192.0.2.2, unknown\r\n", 0, 0); /* hidden, and not the one before it */
    header("X-Forwarded-For: 192.0.2.2, unknown, 10.1.2.3\r\n", 0, 0);
    header("X-Forwarded-For: ,, 192.0.2.1 ,\t,\r\n", one, FW_VIA_HEADER);
    header("X-Forwarded-For2: 192.0.2.1\r\nAX-Forwarded-For: 192.0.2.1\r\n", 0, 0);
    header("Forwarded: for=192.0.2.1\r\n", one, FW_VIA_HEADER);
    header("Forwarded: for=192.0.2.2, proto=http; For=\"192.0.2.1:47\";by=10.0.0.1\r\n", one, FW_VIA_HEADER);
    header("Forwarded: for=192.0.2.2, by=10.0.0.1\r\n", 0, 0);
    header("Forwarded: for=_gazonk\r\n", 0, 0);
    header("Forwarded: for=192.0.2.2\r\nX-Forwarded-For: 192.0.2.1\r\n", one, FW_VIA_HEADER);
    CHECK_EQUAL(read(GET "Forwarded: for=\"[2001:db8::7]:80\"\r\n\r\n"), FW_HTTP_REQUEST);
    client(0x20010db800000000ull, 7, FW_VIA_HEADER);
    CHECK_EQUAL(read(GET "X-Forwarded-For: 192.0.2.1\r\n"), FW_HTTP_REQUEST); /* cut: the proxy's own word may follow */
    client(0, 0, 0);
    CHECK_EQUAL(read("GET /a HTTP/1.1\r\n\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"), FW_HTTP_REQUEST); /* a body */
    client(0, 0, 0);
    char *text = malloc(4000); /* any length and number */
    strcpy(text, GET);
    while (strlen(text) < 3900)
        strcat(text, "X-Forwarded-For: 198.51.100.9, 198.51.100.8\r\n");
    strcat(text, "X-Forwarded-For: 192.0.2.1\r\n\r\n");
    CHECK_EQUAL(read(text), FW_HTTP_REQUEST);
    client(0, one, FW_VIA_HEADER);
    free(text);
}

static void test_lines(void)
{
    const uint64_t one = V4(192ull, 0, 2, 1);
    CHECK_EQUAL(read("PROXY TCP4 192.0.2.1 198.51.100.7 50000 80\r\n" GET "\r\n"), FW_HTTP_REQUEST);
    client(0, one, FW_VIA_LINE);
    CHECK(h.line && !h.deeper && h.path_len == 2 && memcmp(h.path, "/a", 2) == 0);
    CHECK_EQUAL(read("PROXY TCP4 192.0.2.1 198.51.100.7 50000 80\r\n"), FW_PROXY_LINE);
    client(0, one, FW_VIA_LINE);
    CHECK_EQUAL(read("PROXY TCP6 2001:db8::1 2001:db8::2 50000 80\r\n" GET "\r\n"), FW_HTTP_REQUEST);
    client(0x20010db800000000ull, 1, FW_VIA_LINE);
    CHECK_EQUAL(read("PROXY UNKNOWN\r\n" GET "\r\n"), FW_HTTP_REQUEST);
    client(0, 0, 0);
    CHECK(h.line);
    CHECK_EQUAL(read("PROXY TCP4 192.0.2.1 198.51.100.7 50000 80\r\n" GET "X-Forwarded-For: 192.0.2.9\r\n\r\n"),
                FW_HTTP_REQUEST); /* the line is the proxy's own */
    client(0, one, FW_VIA_LINE);
    CHECK_EQUAL(read("PROXY TCP4 10.1.1.1 198.51.100.7 50000 80\r\n" GET "X-Forwarded-For: 192.0.2.1\r\n\r\n"),
                FW_HTTP_REQUEST); /* a named proxy behind the line */
    client(0, one, FW_VIA_HEADER);
    CHECK(h.line && h.deeper);
    static const char *const WRONG[] = {"PROXY TCP4 192.0.2 198.51.100.7 50000 80\r\n", "PROXY TCP5 192.0.2.1 1 1 1\r\n",
                                        "PROXY TCP4 192.0.2.1 198.51.100.7 50000 80\n", "PROXY TCP4 192.0.2.1 198.51.10",
                                        "PROXY  UNKNOWN\r\n", "PROXY TCP4 192.0.2.1\r\n"};
    for (unsigned i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        CHECK_EQUAL(read(WRONG[i]), FW_SAID_NOTHING);
        CHECK(!h.line && !h.via);
    }
    uint8_t two[28 + sizeof GET + 1] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
                                        0x21, 0x11, 0x00, 0x0c, 192, 0, 2, 1, 198, 51, 100, 7, 1, 2, 0, 80};
    memcpy(two + 28, GET "\r\n", sizeof GET + 1);
    CHECK_EQUAL(read_bytes(two, sizeof two), FW_HTTP_REQUEST);
    client(0, one, FW_VIA_LINE);
    two[12] = 0x20; /* LOCAL */
    CHECK_EQUAL(read_bytes(two, sizeof two), FW_HTTP_REQUEST);
    client(0, 0, 0);
    two[12] = 0x31; /* no such version */
    CHECK(read_bytes(two, sizeof two) != FW_HTTP_REQUEST);
    two[12] = 0x21, two[15] = 200; /* longer than the packet */
    CHECK(read_bytes(two, sizeof two) != FW_HTTP_REQUEST && !h.via);
    uint8_t six[52] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x21, 0, 36, 0x20, 1, 0x0d, 0xb8};
    six[31] = 5;
    CHECK_EQUAL(read_bytes(six, sizeof six), FW_PROXY_LINE);
    client(0x20010db800000000ull, 5, FW_VIA_LINE);
}

static void test_ranges(void)
{
    struct fw_ranges *r = calloc(1, sizeof *r);
    for (uint64_t i = 0; i < 100; i++)
        r->held[r->count++] = (struct fw_range){i, 10, i, 20};
    for (uint64_t i = 0; i < 101; i++) {
        CHECK_EQUAL(fw_ranges_hold(r, i, 9), 0);
        CHECK_EQUAL(fw_ranges_hold(r, i, 10), i < 100);
        CHECK_EQUAL(fw_ranges_hold(r, i, 20), i < 100);
        CHECK_EQUAL(fw_ranges_hold(r, i, 21), 0);
    }
    r->held[0] = (struct fw_range){1, 5, 3, 0}, r->count = 1;
    CHECK(fw_ranges_hold(r, 2, 0) && fw_ranges_hold(r, 3, 0) && !fw_ranges_hold(r, 3, 1) && !fw_ranges_hold(r, 1, 4));
    free(r);
}

static struct fw_engine *engine;
static struct fw_packet stream[20000];
static struct fw_message said[20000];
static struct fw_batch batch = {.packets = stream, .messages = said, .capacity = 20000};

#define FAR 0x40000000u /* the server's numbers, away from the proxy's */

static const uint32_t PROXY = 0x0a000001, SERVER = 0x01020304;

static void send(enum fw_kind kind, int back, uint16_t port, uint32_t seq, uint32_t ack, const char *text)
{
    struct fw_packet *p = &stream[batch.count++];
    *p = back ? packet(kind, SERVER, 80, PROXY, port) : packet(kind, PROXY, port, SERVER, 80);
    p->ts_ns = 5000000000ull + batch.count * 1000ull;
    p->seq = seq, p->ack = ack, p->payload = text ? (uint32_t)strlen(text) : 0;
    if (text && fw_http_read(&KEY, NULL, (const uint8_t *)text, (uint32_t)strlen(text), 1, &said[batch.message_count], &next))
        p->message = ++batch.message_count;
}

/* One connection: its first payload, then `more` requests that name nobody. */
static void connection(uint16_t port, const char *first, unsigned more)
{
    uint32_t seq = 100;
    send(FW_SYN, 0, port, 99, 0, NULL);
    send(FW_SYNACK, 1, port, FAR - 1, 100, NULL);
    send(FW_ACK, 0, port, 100, FAR, NULL);
    send(FW_DATA, 0, port, seq, FAR, first);
    seq += (uint32_t)strlen(first);
    for (unsigned i = 0; i < more; i++) {
        send(FW_DATA, 1, port, FAR, seq, "HTTP/1.1 403 Forbidden\r\n\r\n");
        send(FW_DATA, 0, port, seq, FAR, GET "\r\n");
        seq += sizeof GET + 1;
    }
}

static const struct fw_heavy_count *row(uint64_t source, int via)
{
    static struct fw_heavy_count table[FW_TOPK_SETS * FW_TOPK_WAYS];
    uint32_t n = fw_topk_list(&engine->heavy, table);
    for (uint32_t i = 0; i < n; i++)
        if (table[i].source == source && (table[i].via != 0) == via)
            return &table[i];
    return NULL;
}

static void observe(int trusted)
{
    fw_engine_init(engine);
    if (trusted) {
        struct fw_packet p = packet(FW_DATA, PROXY, 1, SERVER, 80);
        engine->carried.vouched[engine->carried.vouched_count++] = fw_pair_hash(p.src_hash, p.dst_hash);
    }
    CHECK_EQUAL(fw_engine_observe(engine, &batch, 0), batch.count);
    batch.count = batch.message_count = 0;
}

#define LINE "PROXY TCP4 192.0.2.1 198.51.100.7 50000 80\r\n"

static void test_who_is_believed(void)
{
    const uint64_t me = V4(192ull, 0, 2, 1), proxy = FW_V4_TAG | PROXY;
    engine = calloc(1, sizeof *engine);
    connection(4000, LINE GET "\r\n", 40); /* requests behind the line are the client's */
    observe(1);
    const struct fw_heavy_count *s = row(me, 1);
    CHECK(s && s->requests + s->missed >= 41 && s->requests > 25 && s->via == FW_VIA_LINE && s->proven && s->errors > 20);
    s = row(proxy, 0);
    CHECK(s && s->requests == 0 && !s->errors);

    connection(4000, LINE GET "\r\n", 40); /* not believed: all of it is the sender's */
    observe(0);
    s = row(proxy, 0);
    CHECK(!row(me, 1) && s && s->requests > 25);

    connection(4000, GET "\r\n", 10);
    for (uint32_t i = 0, seq = 100 + 11 * (sizeof GET + 1); i < 40; i++, seq += sizeof LINE - 1 + sizeof GET + 1)
        send(FW_DATA, 0, 4000, seq, FAR, LINE GET "\r\n"); /* amid the stream it is somebody's data */
    observe(1);
    s = row(proxy, 0);
    CHECK(!row(me, 1) && s && s->requests > 25);

    for (uint32_t i = 0; i < 60; i++) /* no connection: anybody may forge the proxy's address */
        send(FW_DATA, 0, (uint16_t)(5000 + i), 7, 8, GET "X-Forwarded-For: 192.0.2.1\r\n\r\n");
    observe(1);
    CHECK(!row(me, 1) && row(proxy, 0));

    send(FW_DATA, 0, 4000, 7, 8, GET "\r\n"); /* a connection from before the capture */
    send(FW_DATA, 1, 4000, 8, 7, "HTTP/1.1 200 OK\r\n\r\n");
    for (uint32_t i = 0; i < 60; i++)
        send(FW_DATA, 0, 4000, 7 + i * 40, 8, i % 2 ? GET "X-Forwarded-For: 192.0.2.1\r\n\r\n" : GET "X-Forwarded-For: 192.0.2.9\r\n\r\n");
    observe(1);
    s = row(proxy, 0);
    CHECK(row(me, 1) && row(V4(192ull, 0, 2, 9), 1) && s && __builtin_popcountll(s->clients) == 2 && s->how == FW_VIA_HEADER);
    free(engine);
}

int main(void)
{
    named.held[0] = (struct fw_range){0, V4(10ull, 0, 0, 0), 0, V4(10ull, 255, 255, 255)};
    named.count = 1;
    test_addresses();
    test_headers();
    test_lines();
    test_ranges();
    test_who_is_believed();
    return finish("forward");
}
