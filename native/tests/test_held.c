/* Places that are held: what begins and what ends them, silence, and a bounded sample of very many. */
#include "check.h"
#include "make.h"

#define SERVER 0xc6336407u
#define START 1700000000000000000ULL

static struct fw_helds held;
static struct fw_flows flows;
static struct fw_held out[FW_HELD_SETS * FW_HELD_WAYS];

static struct fw_packet at(uint64_t ms, uint8_t kind, uint16_t port, uint32_t payload)
{
    struct fw_packet p = packet(kind, 0xcb007105u, port, SERVER, 80);
    p.ts_ns = START + ms * 1000000;
    p.payload = payload;
    return p;
}

static void up(uint64_t ms, uint16_t port, uint32_t payload, unsigned bits)
{
    struct fw_packet p = at(ms, payload ? FW_DATA : FW_ACK, port, payload);
    p.bits = (uint8_t)bits;
    if (fw_held_concerned(&held, &p, NULL))
        fw_held_observe(&held, &p, NULL, FW_FLOW_PROVEN, 1);
}

/* A client leaves so much room, on a connection whose handshake is seen first. */
static void narrow(uint64_t ms, uint16_t port, uint16_t room, int asked)
{
    struct fw_packet p = at(ms, FW_SYN, port, 0);
    p.window = 0;
    uint32_t weight = 0;
    fw_flow_clear(&flows);
    (void)fw_flow_observe(&flows, &p, &weight);
    if (asked)
        fw_flow_ask(&flows, fw_flow_hash(&p), 0);
    p = at(ms, FW_ACK, port, 0);
    p.window = room;
    fw_held_narrowed(&held, &flows, &p);
}

static void ask(uint64_t ms, uint16_t port, uint8_t unfinished, uint32_t owed)
{
    struct fw_packet p = at(ms, FW_DATA, port, 200);
    struct fw_message m = {.what = FW_HTTP_REQUEST, .unfinished = unfinished, .owed = owed};
    if (fw_held_concerned(&held, &p, &m))
        fw_held_observe(&held, &p, &m, FW_FLOW_FIRST, 1);
}

static void down(uint64_t ms, uint8_t kind, uint16_t port, uint16_t status, uint32_t payload)
{
    struct fw_packet p = packet(kind, SERVER, 80, 0xcb007105u, port);
    struct fw_message m = {.what = FW_HTTP_RESPONSE, .status = status};
    p.ts_ns = START + ms * 1000000;
    p.payload = payload;
    if (fw_held_concerned(&held, &p, NULL))
        fw_held_observe(&held, &p, status ? &m : NULL, FW_FLOW_KNOWN, 0);
}

static uint32_t now_held(void)
{
    uint32_t n = fw_held_list(&held, out), still = 0;
    for (uint32_t i = 0; i < n; i++)
        still += out[i].until_ns == 0;
    return still;
}

static void test_a_header(void)
{
    memset(&held, 0, sizeof held);
    ask(0, 4000, 0, 0);
    CHECK_EQUAL(now_held(), 0);
    ask(0, 4000, 1, 0);
    up(9000, 4000, 8, 0);
    CHECK_EQUAL(now_held(), 1);
    CHECK_EQUAL(out[0].kind, FW_HELD_HEADER);
    CHECK_EQUAL(out[0].moved, 8);
    CHECK_EQUAL(out[0].proven, 1);
    CHECK_EQUAL(out[0].port, 80);
    CHECK_EQUAL(out[0].source, FW_V4_TAG | 0xcb007105u);
    CHECK_EQUAL(out[0].since_ns, START);
    CHECK_EQUAL(out[0].last_ns, START + 9000000000);
    up(9500, 4000, 12, FW_ENDS);
    CHECK_EQUAL(fw_held_list(&held, out), 1);
    CHECK_EQUAL(out[0].until_ns, START + 9500000000);
    CHECK_EQUAL(held.count, 0); /* what is over is told once */
    ask(0, 4001, 1, 0);
    up(500, 4001, 12, FW_ENDS);
    CHECK_EQUAL(fw_held_list(&held, out), 0); /* nor is what was brief */
}

static void test_a_body(void)
{
    memset(&held, 0, sizeof held);
    ask(0, 4000, 0, 100);
    ask(0, 4001, 0, 100);
    ask(0, 4002, 0, 100);
    up(2000, 4000, 99, 0);
    down(2000, FW_DATA, 4001, 100, 25); /* go on */
    CHECK_EQUAL(now_held(), 3);
    up(3000, 4000, 1, 0);
    down(3000, FW_DATA, 4001, 408, 25);
    down(3000, FW_FIN, 4002, 0, 0);
    CHECK_EQUAL(now_held(), 0);
    ask(4000, 4003, 1, 0);
    ask(6000, 4003, 0, 0); /* the next request is whole */
    CHECK_EQUAL(now_held(), 0);
}

static void test_a_reader(void)
{
    struct fw_packet p = at(0, FW_ACK, 4009, 0);
    memset(&held, 0, sizeof held);
    p.bits = FW_STALLED;
    fw_held_observe(&held, &p, NULL, FW_FLOW_KNOWN, 0); /* nothing was asked on it */
    CHECK_EQUAL(held.count, 0);
    up(0, 4000, 0, FW_STALLED);
    up(0, 4001, 0, FW_STALLED);
    down(50000, FW_DATA, 4000, 0, FW_HELD_READ); /* 328 bytes a second */
    down(2000, FW_DATA, 4001, 0, FW_HELD_READ);
    up(50000, 4000, 0, FW_STALLED);
    up(2000, 4001, 0, 0);
    CHECK_EQUAL(now_held(), 1);
    CHECK_EQUAL(out[0].kind, FW_HELD_READER);
    CHECK_EQUAL(out[0].heard, 1);
    down(60000, FW_RST, 4000, 0, 0);
    CHECK_EQUAL(now_held(), 0);
}

static void test_a_reader_that_made_room(void)
{
    memset(&held, 0, sizeof held);
    up(0, 4000, 0, FW_STALLED);
    up(0, 4001, 0, FW_STALLED);
    up(5000, 4000, 0, 0);
    up(5000, 4001, 0, 0);
    up(5100, 4001, 0, FW_STALLED);
    fw_held_close_epoch(&held, START + 5000000000 + FW_HELD_OPEN_NS + 1);
    CHECK_EQUAL(now_held(), 1);
    CHECK_EQUAL(held.count, 1);
    up(6000, 4001, 0, 0);
    fw_held_close_epoch(&held, START + 6000000000 + FW_HELD_OPEN_NS);
    CHECK_EQUAL(now_held(), 1);
}

/* A tool that takes a segment every second, a small device that gets news of 50 bytes, and one that is given all. */
static void test_a_narrow_window(void)
{
    memset(&held, 0, sizeof held);
    narrow(0, 4009, 1000, 0); /* nothing was asked on it */
    CHECK_EQUAL(held.count, 0);
    for (uint64_t s = 0; s < 12; s++) {
        narrow(1000 * s, 4000, 300, 1);
        narrow(1000 * s, 4001, 2144, 1);
        narrow(1000 * s, 4002, FW_FLOW_NARROW, 1);
        down(1000 * s + 200, FW_DATA, 4000, 0, 150);
        down(1000 * s + 200, FW_DATA, 4001, 0, 50);
        down(1000 * s + 200, FW_DATA, 4002, 0, FW_FLOW_NARROW);
        fw_held_close_epoch(&held, START + s * 1000000000 + 250000000);
    }
    uint32_t n = fw_held_list(&held, out), lasted = 0;
    for (uint32_t i = 0; i < n; i++)
        lasted += out[i].until_ns == 0 && out[i].since_ns == START;
    CHECK_EQUAL(lasted, 1); /* of a second each: the device reads in the next one again */
    narrow(12000, 4000, 300, 1); /* and now the server has no more */
    fw_held_close_epoch(&held, START + 12000000000 + FW_HELD_OPEN_NS + 1);
    n = fw_held_list(&held, out);
    for (uint32_t i = 0; i < n; i++)
        CHECK(out[i].until_ns != 0);
    ask(20000, 4003, 1, 0);
    narrow(20001, 4003, 300, 1); /* what it owes counts */
    CHECK_EQUAL(now_held(), 1);
    CHECK_EQUAL(out[0].kind, FW_HELD_HEADER);
}

static void test_silence(void)
{
    memset(&held, 0, sizeof held);
    ask(0, 4000, 1, 0);
    fw_held_close_epoch(&held, START + FW_HELD_SILENT_NS);
    CHECK_EQUAL(held.count, 1);
    fw_held_close_epoch(&held, START + FW_HELD_SILENT_NS + 1);
    CHECK_EQUAL(held.count, 0);
    ask(0, 4000, 1, 0);
    fw_held_close_epoch(&held, START - FW_HELD_SILENT_NS - 1); /* the clock was set back */
    CHECK_EQUAL(held.count, 0);
}

/* A million connections that each send half a request: flat memory, and the sum is about right. */
static void test_very_many(void)
{
    memset(&held, 0, sizeof held);
    struct fw_message m = {.what = FW_HTTP_REQUEST, .unfinished = 1};
    for (uint32_t i = 0; i < 1000000; i++) {
        struct fw_packet p = packet(FW_DATA, 0x0a000000u + i / 50, (uint16_t)(1024 + i % 50), SERVER, 80);
        p.ts_ns = START + i;
        fw_held_observe(&held, &p, &m, FW_FLOW_FIRST, 1);
    }
    CHECK(held.count <= FW_HELD_BUSY);
    uint32_t n = fw_held_list(&held, out);
    uint64_t sum = 0;
    CHECK_EQUAL(n, held.count);
    for (uint32_t i = 0; i < n; i++)
        sum += out[i].weight;
    CHECK(sum > 900000 && sum < 1100000);
    fw_held_close_epoch(&held, START + FW_HELD_SILENT_NS + 2000000);
    CHECK_EQUAL(held.count, 0);
    for (unsigned i = 0; i < FW_HELD_SETS; i++)
        CHECK_EQUAL(held.used[i], 0);
    unsigned rate = held.rate_log2;
    fw_held_close_epoch(&held, START);
    CHECK_EQUAL(held.rate_log2, rate - 1);
}

/* Inside TLS a place is held until the server says anything, whatever the client sends. */
static void test_inside_tls(void)
{
    static struct fw_sealed sealed;
    struct fw_message hello = {.what = FW_TLS_HELLO}, ends = {.what = FW_TLS_RECORD, .records = 1, .record = {53, 0}};
    struct fw_message more = {.what = FW_TLS_RECORD, .records = 1, .record = {40, 0}, .plain = 23};
    struct fw_exchange x;
    memset(&held, 0, sizeof held);
    for (unsigned i = 0; i < 2; i++) {
        struct fw_packet p = at(0, FW_DATA, (uint16_t)(5000 + i), 300);
        CHECK(fw_sealed_observe(&sealed, &p, &hello, &x));
        CHECK(fw_sealed_observe(&sealed, &p, &ends, &x) && x.finished);
    }
    struct fw_packet later = at(1500, FW_DATA, 5001, 62);
    CHECK(fw_sealed_observe(&sealed, &later, &more, &x) && x.waits);
    fw_held_wait(&held, &sealed, &later);
    fw_held_mute(&held, &sealed, START + 5000000000ULL);
    CHECK_EQUAL(held.count, 2);
    up(6000, 5000, 62, FW_ENDS);
    up(6000, 5001, 62, FW_ENDS);
    CHECK_EQUAL(fw_held_list(&held, out), 2);
    for (unsigned i = 0; i < 2; i++)
        CHECK(out[i].kind == FW_HELD_SEALED && out[i].port == 80 && !out[i].until_ns && out[i].moved >= 62);
    down(7000, FW_ACK, 5000, 0, 0);
    down(7000, FW_DATA, 5001, 0, 500);
    CHECK_EQUAL(fw_held_list(&held, out), 2);
    CHECK_EQUAL(held.count, 1); /* the one that was answered is over */
    fw_held_mute(&held, &sealed, START + 9000000000ULL);
    CHECK_EQUAL(held.count, 1);
}

int main(void)
{
    test_a_header();
    test_a_body();
    test_a_reader();
    test_a_reader_that_made_room();
    test_a_narrow_window();
    test_silence();
    test_inside_tls();
    test_very_many();
    return finish("held");
}
