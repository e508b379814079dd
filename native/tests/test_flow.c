/* Handshakes: each piece of news, and an unbiased sample under load. */
#include <math.h>

#include "check.h"
#include "make.h"

#define CLIENT 0x01020304u
#define SERVER 0xc6336407u

static struct fw_flows flows;
static uint32_t weight;

static enum fw_flow_news up(uint8_t kind, uint32_t seq, uint32_t ack, uint64_t ms)
{
    struct fw_packet p = packet(kind, CLIENT, 4000, SERVER, 80);
    p.seq = seq;
    p.ack = ack;
    p.ts_ns = 1700000000000000000ULL + ms * 1000000;
    p.payload = kind == FW_DATA ? 20 : 0;
    return fw_flow_observe(&flows, &p, &weight);
}

static enum fw_flow_news down(uint8_t kind, uint32_t seq, uint32_t ack)
{
    struct fw_packet p = packet(kind, SERVER, 80, CLIENT, 4000);
    p.seq = seq;
    p.ack = ack;
    return fw_flow_observe(&flows, &p, &weight);
}

static void test_finished(void)
{
    fw_flow_clear(&flows);
    CHECK_EQUAL(up(FW_SYN, 99, 0, 0), FW_FLOW_NEW_SYN);
    CHECK_EQUAL(weight, 1);
    CHECK_EQUAL(down(FW_SYNACK, 5000, 999), FW_FLOW_NOTHING); /* answers another SYN */
    CHECK_EQUAL(down(FW_SYNACK, 5000, 100), FW_FLOW_SYNACK);
    CHECK_EQUAL(down(FW_SYNACK, 5000, 100), FW_FLOW_NOTHING);
    CHECK_EQUAL(up(FW_ACK, 100, 5002, 1), FW_FLOW_NOTHING); /* a guess */
    CHECK_EQUAL(up(FW_ACK, 100, 5001, 1), FW_FLOW_FINISHED);
    CHECK_EQUAL(up(FW_DATA, 100, 5001, 2), FW_FLOW_FIRST);
    CHECK_EQUAL(up(FW_DATA, 100, 5001, 2), FW_FLOW_REPEATED);
    CHECK_EQUAL(up(FW_ACK, 140, 5001, 2), FW_FLOW_PROVEN);  /* overtakes the data before it */
    CHECK_EQUAL(up(FW_DATA, 120, 5001, 2), FW_FLOW_PROVEN);
    CHECK_EQUAL(up(FW_DATA, 110, 5001, 2), FW_FLOW_REPEATED);
    CHECK_EQUAL(up(FW_DATA, 130, 5001, 2), FW_FLOW_PROVEN); /* ten bytes of it are new */
    CHECK_EQUAL(up(FW_DATA, 100 + (1 << 20), 5001, 2), FW_FLOW_PROVEN);
    CHECK_EQUAL(up(FW_DATA, 100 + (1 << 21), 5001 + (1 << 20), 2), FW_FLOW_PROVEN); /* the window moved */
    CHECK_EQUAL(up(FW_DATA, 100, 5001, 2), FW_FLOW_NOTHING);
    CHECK_EQUAL(up(FW_DATA, 100 + (1u << 31), 5001, 2), FW_FLOW_NOTHING);
}

static enum fw_flow_news opens(uint16_t window, uint32_t payload)
{
    struct fw_packet p = packet(payload ? FW_DATA : FW_ACK, CLIENT, 4000, SERVER, 80);
    p.seq = 100;
    p.ack = 5001;
    p.window = window;
    p.payload = payload;
    enum fw_flow_news news = fw_flow_observe(&flows, &p, &weight);
    CHECK_EQUAL(fw_flow_room(&flows, &p), (uint32_t)window << 7);
    return news;
}

static void test_windows(void)
{
    fw_flow_clear(&flows);
    (void)up(FW_SYN, 99, 0, 0);
    (void)down(FW_SYNACK, 5000, 100);
    (void)up(FW_ACK, 100, 5001, 1);
    CHECK_EQUAL(opens(FW_FLOW_NARROW >> 7, 0), FW_FLOW_NARROWED);
    CHECK_EQUAL(opens((FW_FLOW_NARROW >> 7) + 1, 0), FW_FLOW_PROVEN);
    CHECK_EQUAL(opens(1, 20), FW_FLOW_FIRST);
    fw_flow_clear(&flows);
    (void)down(FW_SYNACK, 5000, 100); /* nobody knows how windows are shifted */
    struct fw_packet p = packet(FW_ACK, CLIENT, 4000, SERVER, 80);
    p.seq = 100, p.ack = 5001, p.window = 1;
    CHECK_EQUAL(fw_flow_observe(&flows, &p, &weight), FW_FLOW_FINISHED);
    CHECK_EQUAL(fw_flow_observe(&flows, &p, &weight), FW_FLOW_PROVEN);
}

static void test_copies(void)
{
    fw_flow_clear(&flows);
    CHECK_EQUAL(up(FW_SYN, 7, 0, 0), FW_FLOW_NEW_SYN);
    CHECK_EQUAL(up(FW_SYN, 7, 0, 1), FW_FLOW_COPIED_SYN);
    CHECK_EQUAL(up(FW_SYN, 7, 0, 1000), FW_FLOW_AGAIN_SYN);
    CHECK_EQUAL(up(FW_SYN, 7, 0, 1001), FW_FLOW_COPIED_SYN);
    CHECK_EQUAL(up(FW_SYN, 8, 0, 1001), FW_FLOW_NEW_SYN); /* the ports are used again */
}

/* How many of the SYNs that came at these times (s) were taken for replays. */
static unsigned replays(const double *at, unsigned count)
{
    unsigned found = 0;
    fw_flow_clear(&flows);
    for (unsigned i = 0; i < count; i++)
        found += up(FW_SYN, 7, 0, (uint64_t)(at[i] * 1000)) == FW_FLOW_REPLAYED_SYN;
    return found;
}

static void test_rhythms(void)
{
    static const double STACKS[][12] = {
        {0, 1, 3, 7, 15, 31, 63},                         /* RFC 6298 */
        {0, 1.02, 2.05, 3.07, 4.1, 5.15, 7.2, 11.3, 19.5, 35.6}, /* Linux from 6.5 on, macOS */
        {0, 3, 9, 21},                                    /* RFC 2988 */
        {0, 0.002, 1, 1.002, 3, 3.002, 7, 7.002},         /* the first of them in a mirror */
        {0, 0.001, 0.003, 1, 1.001, 1.003},               /* ... with two copies */
    };
    for (unsigned i = 0; i < sizeof STACKS / sizeof STACKS[0]; i++) {
        unsigned count = 1;
        while (count < 12 && STACKS[i][count] > 0)
            count++;
        CHECK_EQUAL(replays(STACKS[i], count), 0);
    }
    for (unsigned ms = 1; ms <= 4000; ms += ms < 100 ? 7 : 97) { /* a loop of any length */
        double at[40];
        for (unsigned i = 0; i < 40; i++)
            at[i] = i * ms / 1000.0;
        CHECK(replays(at, 40) >= 40 - 7);
    }
}

static void test_refused_and_followed(void)
{
    fw_flow_clear(&flows);
    up(FW_SYN, UINT32_MAX, 0, 0);
    CHECK_EQUAL(down(FW_RST, 0, 7), FW_FLOW_NOTHING);
    CHECK_EQUAL(down(FW_RST, 0, 0), FW_FLOW_REFUSED); /* ISN + 1 wraps */
    CHECK_EQUAL(down(FW_RST, 0, 0), FW_FLOW_NOTHING);
    fw_flow_clear(&flows);
    up(FW_SYN, 41, 0, 0);
    CHECK_EQUAL(up(FW_ACK, 42, 1, 1), FW_FLOW_FOLLOWED); /* the SYN-ACK was not captured */
    CHECK_EQUAL(up(FW_ACK, 42, 1, 1), FW_FLOW_NOTHING);
    fw_flow_clear(&flows);
    CHECK_EQUAL(down(FW_SYNACK, 10, 21), FW_FLOW_UNASKED); /* the SYN was not captured */
    CHECK_EQUAL(up(FW_ACK, 21, 11, 1), FW_FLOW_FINISHED);
    CHECK_EQUAL(up(FW_DATA, 30, 11, 1), FW_FLOW_PROVEN); /* the first bytes were not captured */
}

static void test_sides_that_began_with_numbers_close_together(void)
{
    fw_flow_clear(&flows);
    up(FW_SYN, 100, 0, 0);
    down(FW_SYNACK, 300, 101);
    CHECK_EQUAL(up(FW_ACK, 101, 301, 1), FW_FLOW_FINISHED);
    struct fw_packet answer = packet(FW_DATA, SERVER, 80, CLIENT, 4000), request = packet(FW_DATA, CLIENT, 4000, SERVER, 80);
    answer.seq = 301, answer.ack = 101, answer.payload = 700;
    CHECK_EQUAL(fw_flow_observe(&flows, &answer, &weight), FW_FLOW_NOTHING); /* fits as the client's would */
    request.seq = 101, request.ack = 1001, request.payload = 50;
    CHECK_EQUAL(fw_flow_observe(&flows, &request, &weight), FW_FLOW_FIRST); /* and not REPEATED */
}

static void test_strangers(void)
{
    fw_flow_clear(&flows);
    CHECK_EQUAL(up(FW_ACK, 5, 6, 0), FW_FLOW_STRANGER);
    CHECK_EQUAL(up(FW_ACK, 5, 6, 0), FW_FLOW_ALONE_STILL);
    CHECK_EQUAL(down(FW_RST, 6, 0), FW_FLOW_NOTHING); /* a refusal is no conversation */
    CHECK_EQUAL(up(FW_ACK, 5, 6, 0), FW_FLOW_ALONE_STILL);
    CHECK_EQUAL(down(FW_DATA, 6, 5), FW_FLOW_NOTHING);
    CHECK_EQUAL(up(FW_DATA, 5, 6, 0), FW_FLOW_KNOWN); /* open since before the capture */
}

/* One packet over and over begins a flow each time; an upload that moves on does not. */
static void test_strangers_over_and_over(void)
{
    unsigned begun = 0, moved = 0, unasked = 0;
    fw_flow_clear(&flows);
    for (unsigned i = 0; i < 100; i++)
        begun += up(FW_ACK, 5, 6, 25 * i) == FW_FLOW_STRANGER;
    fw_flow_clear(&flows);
    for (unsigned i = 0; i < 100; i++)
        moved += up(FW_DATA, 5 + i, 6, 25 * i) == FW_FLOW_STRANGER;
    fw_flow_clear(&flows);
    for (unsigned i = 0; i < 100; i++)
        unasked += down(FW_SYNACK, 10, 21) == FW_FLOW_UNASKED;
    CHECK_EQUAL(begun, 98); /* two of them could be a mirror's */
    CHECK_EQUAL(moved, 1);
    CHECK_EQUAL(unasked, 98);
}

/* `count` SYNs over 20 epochs, from `tuples` flows (0: all different), each with its own ISN. */
static double estimate_syns(uint32_t count, uint32_t tuples)
{
    double sum = 0;
    fw_flow_clear(&flows);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t who = number(77, tuples ? i % tuples : i);
        struct fw_packet p = packet(FW_SYN, (uint32_t)who, (uint16_t)(who >> 32), SERVER, 80);
        p.seq = (uint32_t)number(3, i);
        if (fw_flow_observe(&flows, &p, &weight) == FW_FLOW_NEW_SYN)
            sum += weight;
        if (i % (count / 20) == 0)
            fw_flow_close_epoch(&flows);
    }
    return sum;
}

static void test_sample(void)
{
    CHECK(estimate_syns(8000 * 20, 0) == 8000 * 20.0); /* below the threshold the sums are exact */
    CHECK(fabs(estimate_syns(1000000, 0) / 1000000 - 1) < 0.03);
    CHECK(fabs(estimate_syns(1000000, 65536) / 1000000 - 1) < 0.03); /* ports used again and again */
    CHECK(flows.rate_log2 < 32);
    for (unsigned i = 0; i < 40; i++) /* calm brings the rate back */
        fw_flow_close_epoch(&flows);
    CHECK(flows.rate_log2 == 0 && flows.lookup_log2 == 0);
}

int main(void)
{
    test_finished();
    test_windows();
    test_copies();
    test_rhythms();
    test_refused_and_followed();
    test_sides_that_began_with_numbers_close_together();
    test_strangers();
    test_strangers_over_and_over();
    test_sample();
    return finish("flow");
}
