/* Places that are held: what begins and what ends them, silence, and a bounded sample of very many. */
#include "check.h"
#include "make.h"

#define SERVER 0xc6336407u
#define START 1700000000000000000ULL

static struct fw_helds held;
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

int main(void)
{
    test_a_header();
    test_a_body();
    test_a_reader();
    test_a_reader_that_made_room();
    test_silence();
    test_very_many();
    return finish("held");
}
