/* The engine: epochs, clocks that jump, the heavy-hitter bound, independence of batch sizes. */
#include "check.h"
#include "drive.h"
#include "make.h"

static struct fw_hasher hasher = {.key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}};
static struct fw_engine *engine, *other;
static struct fw_packet *stream;

static struct fw_batch batch_of(struct fw_packet *packets, uint32_t n)
{
    return (struct fw_batch){.count = n, .capacity = n, .packets = packets};
}

static void test_epochs(void)
{
    const uint64_t start = 6800000000ULL * FW_EPOCH_NS;
    for (unsigned i = 0; i < 100; i++) {
        stream[i] = packet(FW_UDP, i, 1, 7, 80);
        stream[i].ts_ns = start + i * (FW_EPOCH_NS / 10);
    }
    struct fw_batch b = batch_of(stream, 100);
    fw_engine_init(engine);
    CHECK_EQUAL(fw_engine_observe(engine, &b, 0), 10);
    CHECK_EQUAL(engine->epoch_packets, 10);
    CHECK_EQUAL(engine->epoch_kinds[FW_UDP], 10);
    CHECK_EQUAL(engine->epoch, 6800000000ULL);
    CHECK_EQUAL(engine->first_ns, start);
    CHECK_EQUAL(engine->last_ns, start + 9 * (FW_EPOCH_NS / 10));
    CHECK_EQUAL(fw_engine_observe(engine, &b, 10), 0); /* not before the epoch is closed */
    fw_engine_close_epoch(engine, &b.packets[10]);
    CHECK_EQUAL(engine->gap, 0);
    CHECK_EQUAL(engine->epoch_kinds[FW_UDP], 0);
    CHECK_EQUAL(fw_engine_observe(engine, &b, 10), 10);
    CHECK_EQUAL(fw_engine_observe(engine, &b, 100), 0);

    struct fw_packet late = stream[0]; /* 61 epochs of silence end the window */
    late.ts_ns = start + 62 * FW_EPOCH_NS;
    CHECK(fw_engine_window_ends(engine, &late));
    late.ts_ns = start + 20 * FW_EPOCH_NS;
    CHECK(!fw_engine_window_ends(engine, &late));
    CHECK_EQUAL(fw_engine_gap(engine, &late), 18);
    CHECK(fw_engine_gap(engine, &stream[0]) == UINT64_MAX);
    fw_engine_close_epoch(engine, &late);
    CHECK_EQUAL(engine->gap, 18);
    fw_engine_init(engine);
    CHECK_EQUAL(drive(engine, &b), 9);
}

static void test_backwards(void)
{
    const uint64_t start = 6800000000ULL * FW_EPOCH_NS;
    for (unsigned i = 0; i < 300; i++) {
        stream[i] = packet(FW_UDP, i, 1, 7, 80);
        stream[i].ts_ns = i < 100 ? start : i < 200 ? start - FW_EPOCH_NS / 2 : start - 3600000000000ULL;
    }
    struct fw_batch b = batch_of(stream, 300);
    fw_engine_init(engine);
    /* Reordering counts in the open epoch; the 64th packet in a row that is an hour old opens another. */
    CHECK_EQUAL(fw_engine_observe(engine, &b, 0), 200 + FW_BEHIND_RUN - 1);
    CHECK_EQUAL(engine->late, 100 + FW_BEHIND_RUN);
    fw_engine_close_epoch(engine, &b.packets[200 + FW_BEHIND_RUN - 1]);
    CHECK(engine->gap == UINT64_MAX);
    CHECK_EQUAL(fw_engine_observe(engine, &b, 200 + FW_BEHIND_RUN - 1), 100 - FW_BEHIND_RUN + 1);
    stream[0].ts_ns = UINT64_MAX;
    stream[1].ts_ns = 0;
    fw_engine_init(engine);
    drive(engine, &b);
}

/* packets <= true <= packets + missed, or the admission gate at the end where that is larger. */
static void test_heavy_bound(uint32_t count)
{
    static uint32_t exact[1000];
    memset(exact, 0, sizeof exact);
    fw_engine_init(engine);
    for (uint32_t i = 0; i < count; i++) {
        /* A thousand sources of rising weight among forged singletons; all within one epoch. */
        uint64_t r = number(4, i);
        uint32_t key = (uint32_t)(r % 1000) * (uint32_t)(r >> 32 & 1023) / 1024;
        int forged = i % 8 != 0;
        struct fw_packet p = packet(FW_UDP, forged ? (uint32_t)i + 4096 : key, 1, 0xc6336407, 80);
        struct fw_batch b = batch_of(&p, 1);
        p.ts_ns = 1700000000000000000ULL + i;
        exact[key] += !forged;
        drive(engine, &b);
    }
    uint32_t gate = 8 + 3 * (uint32_t)(engine->pairs.packets >> 16), entries = 0;
    for (uint32_t key = 0; key < 1000; key++) {
        struct fw_packet p = packet(FW_UDP, key, 1, 0xc6336407, 80);
        const struct fw_heavy *h = fw_topk_find(&engine->heavy, fw_pair_hash(p.src_hash, p.dst_hash));
        if (!h)
            continue;
        uint32_t upper = h->packets + h->missed;
        entries++;
        CHECK(h->packets <= exact[key]);
        CHECK(exact[key] <= (upper > gate ? upper : gate));
    }
    CHECK(entries > 100);
}

static uint64_t take_in(struct fw_engine *e, uint32_t count, uint32_t size)
{
    uint64_t closed = 0;
    fw_engine_init(e);
    for (uint32_t at = 0; at < count; at += size) {
        struct fw_batch b = batch_of(stream + at, fw_min32(size, count - at));
        closed += drive(e, &b);
    }
    return closed;
}

static void test_batch_size(uint32_t count)
{
    uint64_t t = 1700000000000000000ULL;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t r = number(9, i);
        int back = i % 5 == 0;
        uint32_t client = r & 7 ? (uint32_t)(r >> 8) : (uint32_t)(r >> 8) % 50, server = 100 + (uint32_t)(r >> 40) % 300;
        stream[i] = packet((uint8_t)(r % FW_KINDS), back ? server : client, back ? 80 : 9, back ? client : server,
                           back ? 9 : 80);
        stream[i].seq = (uint32_t)(r >> 3) % 4;
        stream[i].ack = (uint32_t)(r >> 5) % 4;
        stream[i].ts_ns = t - (r % 97 == 0 ? 300000000 : 0) - (i > count / 2 ? 10000000000 : 0);
        t += 20000;
    }
    uint64_t closed = take_in(engine, count, 1024);
    CHECK(closed > 8);
    static const uint32_t SIZES[] = {1, 7, 32, 100000};
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQUAL(take_in(other, count, SIZES[i]), closed);
        CHECK(memcmp(&engine->victims, &other->victims, sizeof engine->victims) == 0);
        CHECK(memcmp(&engine->heavy, &other->heavy, sizeof engine->heavy) == 0);
        CHECK(memcmp(&engine->flows, &other->flows, sizeof engine->flows) == 0);
        CHECK(memcmp(engine, other, sizeof *engine) == 0);
    }
}

/* The ports that a source sent UDP from; they make room for the paths that it asks for. */
static void test_ports_before_paths(void)
{
    struct fw_message asked = {.what = FW_HTTP_REQUEST, .path_hash = 5ULL << 58, .path = (const uint8_t *)"/", .path_len = 1};
    fw_engine_init(engine);
    for (unsigned i = 0; i < 60; i++) {
        stream[i] = packet(FW_UDP, 9, i % 2 ? 123 : 53, 7, 80);
        stream[i].ts_ns = 1700000000000000000ULL + i;
    }
    struct fw_batch b = batch_of(stream, 60);
    CHECK_EQUAL(fw_engine_observe(engine, &b, 0), 60);
    const struct fw_heavy *s = fw_topk_find(&engine->heavy, fw_pair_hash(stream[0].src_hash, stream[0].dst_hash));
    static struct fw_heavy_count table[FW_TOPK_SETS * FW_TOPK_WAYS];
    CHECK_EQUAL(fw_topk_list(&engine->heavy, table), 1);
    CHECK(s != NULL && memcmp(table, s, sizeof *s) == 0);
    CHECK(s != NULL && s->paths == (1ULL << fw_port_bit(123) | 1ULL << fw_port_bit(53)));
    struct fw_packet p = packet(FW_DATA, 9, 4000, 7, 80);
    p.ts_ns = stream[59].ts_ns;
    p.message = 1;
    struct fw_batch one = batch_of(&p, 1);
    one.messages = &asked;
    CHECK_EQUAL(fw_engine_observe(engine, &one, 0), 1);
    CHECK_EQUAL(fw_engine_observe(engine, &b, 0), 60);
    CHECK(s != NULL && s->requests == 1 && s->paths == 1ULL << 5);
}

/* Two addresses of one /64: a source each inside a translator's network, one source elsewhere. The refusals that they
 * get are counted where the address itself is the source. */
static void test_translated(void)
{
    struct fw_message refusal = {.what = FW_HTTP_RESPONSE, .status = 404, .answers = 1, .refused = 1};
    static struct fw_heavy_count table[FW_TOPK_SETS * FW_TOPK_WAYS];
    for (int translated = 0; translated < 2; translated++) {
        struct fw_addr to = {0x20010db800000000ULL, 7};
        fw_engine_init(engine);
        for (unsigned i = 0; i < 60; i++) {
            struct fw_packet *p = &stream[i];
            *p = packet(FW_DATA, 9, 4000, 7, 80);
            p->src = (struct fw_addr){0x0064ff9b00000000ULL, 0xcb00710a + i % 2};
            p->dst = to;
            p->bits = (uint8_t)(FW_V6 | (translated ? FW_TRANSLATED : 0));
            fw_packet_hash(&hasher, p);
            p->ts_ns = 1700000000000000000ULL + i;
        }
        struct fw_packet answer = stream[0];
        answer.src = to, answer.dst = stream[0].src, answer.bits = FW_V6, answer.message = 1;
        fw_packet_hash(&hasher, &answer);
        struct fw_batch b = batch_of(stream, 60), back = batch_of(&answer, 1);
        back.messages = &refusal;
        CHECK_EQUAL(fw_engine_observe(engine, &b, 0), 60);
        CHECK_EQUAL(fw_engine_observe(engine, &back, 0), 1);
        uint32_t n = fw_topk_list(&engine->heavy, table), errors = 0, packets = 0;
        CHECK_EQUAL(n, translated ? 2 : 1);
        uint64_t lows = 0;
        for (uint32_t i = 0; i < n; i++) {
            CHECK(table[i].source == stream[0].src.hi);
            CHECK_EQUAL(table[i].v6, translated ? FW_SOURCE_ADDRESS : FW_SOURCE_NETWORK);
            lows += table[i].low;
            errors += table[i].errors;
            packets += table[i].packets + table[i].missed;
        }
        CHECK_EQUAL(lows, translated ? 2 * 0xcb00710aULL + 1 : 0);
        CHECK_EQUAL(errors, translated);
        CHECK_EQUAL(packets, 60);
    }
}

/* Of many hellos in an epoch a bounded sample is looked at, whose weights add up to all of them; of few all are. */
static void test_sample_of_hellos(uint32_t count)
{
    enum { ROOM = 4096 };
    static struct fw_hellos hellos;
    static struct fw_hello_seen seen[ROOM];
    static uint8_t texts[ROOM * 16];
    struct bytes hello = {.big = 1};
    put(&hello, "\x16\x03\x01\0\x2d\x01\0\0\x29\x03\x03", 11);
    zeros(&hello, 32);
    put(&hello, "\0\0\x02\x13\x01\x01\0", 7);
    struct fw_message said = {.what = FW_TLS_HELLO, .whole = hello.at};
    fw_engine_init(engine);
    memset(&hellos, 0, sizeof hellos);
    hellos.room = ROOM, hellos.text_room = sizeof texts, hellos.seen = seen, hellos.texts = texts;
    engine->hellos = &hellos;
    for (uint32_t i = 0; i < count; i++) {
        stream[i] = packet(FW_DATA, 0x0a000000 + i, (uint16_t)(1024 + i % 50000), 7, 443);
        stream[i].ts_ns = 1700000000000000000ULL + i;
        stream[i].captured = (uint16_t)hello.size;
        stream[i].payload = (uint32_t)hello.size;
        stream[i].message = 1;
    }
    struct fw_batch b = batch_of(stream, count);
    b.messages = &said;
    CHECK_EQUAL(fw_engine_observe(engine, &b, 0), count);
    uint64_t stand_for = 0;
    for (uint32_t i = 0; i < hellos.count; i++)
        stand_for += seen[i].weight;
    CHECK(hellos.count == count || (count > FW_HELLOS_ALL && hellos.count < 1000));
    CHECK(stand_for > count - count / 4 && stand_for <= count + count / 4);
    CHECK(hellos.missed == 0 && hellos.broken == 0);
}

int main(void)
{
    enum { COUNT = 200000 };
    engine = calloc(1, sizeof *engine);
    other = calloc(1, sizeof *other);
    stream = calloc(COUNT, sizeof *stream);
    if (!engine || !other || !stream)
        return 2;
    test_epochs();
    test_ports_before_paths();
    test_translated();
    test_backwards();
    test_sample_of_hellos(100);
    test_sample_of_hellos(COUNT);
    test_heavy_bound(30000);
    test_heavy_bound(1000000);
    test_batch_size(COUNT);
    free(engine);
    free(other);
    free(stream);
    return finish("engine");
}
