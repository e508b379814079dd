/* ClientHellos: a parser that reads nothing behind the end, and half hellos that never end. */
#include "check.h"
#include "make.h"

#include "../fw_hellos.h"

#define ROOM 16u

static struct fw_hellos hellos;
static struct fw_hello_seen seen[ROOM];
static uint8_t texts[ROOM * FW_HELLO_TEXT];
static struct fw_hello hello;

static void clear(void)
{
    memset(&hellos, 0, sizeof hellos);
    hellos.key = KEY;
    hellos.room = ROOM;
    hellos.text_room = sizeof texts;
    hellos.seen = seen;
    hellos.texts = texts;
}

/* A hello with two suites, a name, one algorithm, ALPN h2 and a version. */
static struct bytes body(void)
{
    struct bytes b = {.big = 1};
    put16(&b, 0x0303);
    zeros(&b, 32);
    put8(&b, 0);
    put16(&b, 6);
    put16(&b, 0x1301);
    put16(&b, 0x2a2a);
    put16(&b, 0xc02b);
    put16(&b, 0x0100);
    put16(&b, 14 + 8 + 9 + 7);
    put(&b, "\0\0\0\x0a\0\x08\0\0\x05", 9);
    put(&b, "shop.", 5);
    put(&b, "\0\x0d\0\x04\0\x02\x04\x03", 8);
    put(&b, "\0\x10\0\x05\0\x03\x02h2", 9);
    put(&b, "\0\x2b\0\x03\x02\x03\x04", 7);
    return b;
}

static struct bytes record(uint32_t claimed)
{
    struct bytes b = {.big = 1}, inside = body();
    put(&b, "\x16\x03\x01", 3);
    put16(&b, (unsigned)inside.size + 4);
    put32(&b, 1u << 24 | claimed);
    put(&b, inside.at, inside.size);
    return b;
}

static void test_parse(void)
{
    struct bytes b = body();
    CHECK_EQUAL(fw_hello_parse(guarded(b.at, b.size), (uint32_t)b.size, FW_HELLO_TLS, &hello), 0);
    CHECK(hello.ciphers == 2 && hello.extensions == 4 && hello.algorithms == 1 && hello.version == 0x0304);
    CHECK(hello.ids[0] == 0x1301 && hello.ids[1] == 0xc02b && hello.ids[2] == 0 && hello.ids[6] == 0x0403);
    CHECK(hello.name_length == 5 && memcmp(hello.name, "shop.", 5) == 0 && hello.named && !hello.outer);
    CHECK(hello.protocols && hello.first == 'h' && hello.last == '2');
    for (size_t n = 0; n < b.size; n++) /* only one cut is a hello: before the extensions */
        CHECK_EQUAL(fw_hello_parse(guarded(b.at, n), (uint32_t)n, FW_HELLO_TLS, &hello),
                    n == 35 + 8 + 2 ? 0 : FW_BAD_RECORD);
    for (size_t at = 0; at < b.size; at++) /* no byte makes it read on, whatever it says */
        for (unsigned v = 0; v < 256; v += 51) {
            struct bytes wrong = b;
            wrong.at[at] = (uint8_t)v;
            (void)fw_hello_parse(guarded(wrong.at, b.size), (uint32_t)b.size, FW_HELLO_DTLS, &hello);
            (void)fw_hello_parse(guarded(wrong.at, b.size), (uint32_t)b.size, FW_HELLO_TLS, &hello);
        }
}

static void take(uint32_t src, uint32_t seq, const uint8_t *payload, uint32_t n)
{
    struct fw_packet p = packet(FW_DATA, src, 40000, 7, 443);
    p.seq = seq;
    p.payload = p.captured = (uint16_t)n;
    fw_hellos_take(&hellos, &p, guarded(payload, n), 0);
}

static void test_two_segments(void)
{
    struct bytes b = record((uint32_t)body().size);
    for (uint32_t cut = 1; cut < b.size; cut++) {
        clear();
        take(1, UINT32_MAX, b.at, cut);
        CHECK_EQUAL(hellos.open, 1);
        take(1, UINT32_MAX + cut, b.at + cut, (uint32_t)b.size - cut);
        CHECK(hellos.count == 1 && hellos.open == 0 && seen[0].ciphers == 2 && seen[0].size == 2 * 7 + 5);
        CHECK(hellos.broken == 0 && hellos.unfinished == 0);
    }
}

/* A million half hellos leave as much behind as a few do; a whole one is found among them. */
static void test_half_hellos(void)
{
    struct bytes b = record((uint32_t)body().size);
    clear();
    for (uint32_t i = 0; i < 1000000; i++)
        take(i, i, b.at, 60);
    CHECK_EQUAL(hellos.open, FW_HELLO_SLOTS);
    CHECK_EQUAL(hellos.unfinished + hellos.open, 1000000);
    take(5, 0, b.at, (uint32_t)b.size);
    CHECK(hellos.count == 1 && hellos.broken == 0);
}

static void test_no_room(void)
{
    struct bytes b = record((uint32_t)body().size), lies = record(FW_HELLO_MOST + 1);
    clear();
    for (uint32_t i = 0; i < ROOM + 3; i++)
        take(i, 9, b.at, (uint32_t)b.size);
    CHECK(hellos.count == ROOM && hellos.missed == 3 && hellos.whole == ROOM + 3);
    take(ROOM + 9, 9, lies.at, (uint32_t)lies.size);
    CHECK_EQUAL(hellos.broken, 1);
}

int main(void)
{
    test_parse();
    test_two_segments();
    test_half_hellos();
    test_no_room();
    return finish("hello");
}
