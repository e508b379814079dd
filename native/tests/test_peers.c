/* Who was spoken to: known for 8 to 16 s, by protocol, and how many who never were count as known all the same. */
#include "check.h"
#include "make.h"

#define HOST 0xc6336407u
#define CLIENT 0x0a000000u

static struct fw_engine *engine;

static void observe(struct fw_packet p)
{
    p.ts_ns = engine->started ? engine->epoch * FW_EPOCH_NS : 6800000000ULL * FW_EPOCH_NS;
    struct fw_batch b = {.count = 1, .capacity = 1, .packets = &p};
    CHECK_EQUAL(fw_engine_observe(engine, &b, 0), 1);
}

static const struct fw_kind_count *of_host(uint8_t kind)
{
    struct fw_packet p = packet(kind, 1, 1, HOST, 1);
    return &fw_victim_find(&engine->victims, p.dst_hash, &p.dst)->v.kinds[kind];
}

static uint32_t in_service(uint16_t port)
{
    struct fw_packet p = packet(FW_UDP, 1, 1, HOST, 1);
    const struct fw_victim *v = &fw_victim_find(&engine->victims, p.dst_hash, &p.dst)->v;
    uint32_t known = 0;
    for (unsigned i = 0; i < FW_PORTS; i++)
        known += v->service[i].key == (17u << 16 | port) ? v->service[i].known : 0;
    return known;
}

static void test_known(void)
{
    fw_engine_init(engine);
    for (unsigned i = 0; i < 3; i++)
        observe(packet(FW_UDP, CLIENT, 3478, HOST, 4000));
    CHECK_EQUAL(of_host(FW_UDP)->known, 0);
    observe(packet(FW_UDP, HOST, 4000, CLIENT, 3478));
    for (unsigned i = 0; i < 5; i++)
        observe(packet(FW_UDP, CLIENT, 3478, HOST, 4000));
    observe(packet(FW_UDP, CLIENT + 1, 3478, HOST, 4000)); /* somebody else */
    observe(packet(FW_ICMP, CLIENT, 0, HOST, 8));          /* another protocol */
    observe(packet(FW_ACK, CLIENT, 1, HOST, 2));           /* TCP is not asked */
    CHECK_EQUAL(of_host(FW_UDP)->known, 5);
    CHECK_EQUAL(of_host(FW_UDP)->packets, 9);
    CHECK_EQUAL(of_host(FW_ICMP)->known, 0);
    CHECK_EQUAL(in_service(3478), 5);
}

static void test_forgotten(void)
{
    for (unsigned age = 0; age < 2 * FW_PEERS_EPOCHS; age++) {
        fw_engine_close_epoch(engine, NULL);
        observe(packet(FW_UDP, CLIENT, 3478, HOST, 4000));
        if (age < FW_PEERS_EPOCHS)
            CHECK_EQUAL(of_host(FW_UDP)->known, 1);
    }
    CHECK_EQUAL(of_host(FW_UDP)->known, 0);
}

/* A host that answers everybody fills a generation, and then no more of it. */
static void test_full(void)
{
    const uint32_t count = 200000;
    fw_engine_init(engine);
    observe(packet(FW_UDP, CLIENT, 1, HOST, 53));
    for (unsigned generation = 0; generation < 2; generation++) {
        for (uint32_t i = 0; i < count; i++) {
            observe(packet(FW_UDP, 0x20000000u + generation * count + i, 1, HOST, 53));
            observe(packet(FW_UDP, HOST, 53, 0x20000000u + generation * count + i, 1));
        }
        CHECK_EQUAL(engine->peers.noted, FW_PEERS_MOST);
        for (unsigned age = 0; generation == 0 && age < FW_PEERS_EPOCHS; age++)
            fw_engine_close_epoch(engine, NULL);
    }
    fw_engine_close_epoch(engine, NULL);
    for (uint32_t i = 0; i < count; i++)
        observe(packet(FW_UDP, 0x40000000u + i, 1, HOST, 53));
    CHECK(of_host(FW_UDP)->known > count / 10 && of_host(FW_UDP)->known <= count / 8 + count / 100);
}

int main(void)
{
    engine = calloc(1, sizeof *engine);
    if (!engine)
        return 2;
    test_known();
    test_forgotten();
    test_full();
    free(engine);
    return finish("peers");
}
