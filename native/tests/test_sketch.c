/* SipHash, HyperLogLog, count-min and heavy hitters against exact answers. */
#include <math.h>

#include "check.h"
#include "make.h"

#include "../fw_countmin.h"
#include "../fw_hll.h"
#include "../fw_topk.h"

/* SipHash-c-d of any bytes, straight from section 2 of the paper. */
static uint64_t reference(const uint8_t *in, size_t n, unsigned c, unsigned d)
{
    uint64_t v0 = KEY.k0 ^ 0x736f6d6570736575ULL, v1 = KEY.k1 ^ 0x646f72616e646f6dULL;
    uint64_t v2 = KEY.k0 ^ 0x6c7967656e657261ULL, v3 = KEY.k1 ^ 0x7465646279746573ULL;
    for (size_t at = 0; at <= n; at += 8) {
        uint64_t m = at + 8 > n ? (uint64_t)(n & 255) << 56 : 0;
        for (size_t i = 0; i < 8 && at + i < n; i++)
            m |= (uint64_t)in[at + i] << (8 * i);
        for (unsigned round = 0; round <= c + 1; round++) {
            if (round == 0) {
                v3 ^= m;
                continue;
            }
            if (round == c + 1) {
                v0 ^= m;
                continue;
            }
            FW_SIPROUND(v0, v1, v2, v3);
        }
    }
    v2 ^= 0xff;
    for (unsigned round = 0; round < d; round++)
        FW_SIPROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

static void test_siphash(void)
{
    uint8_t paper[15];
    for (unsigned i = 0; i < 15; i++)
        paper[i] = (uint8_t)i;
    CHECK(reference(paper, 15, 2, 4) == 0xa129ca6149be45e5ULL); /* appendix A: the reference itself is right */
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t w[2] = {number(1, i), number(2, i)};
        uint8_t in[16];
        memcpy(in, w, 16);
        CHECK(fw_siphash13(&KEY, w, 1) == reference(in, 8, 1, 3));
        CHECK(fw_siphash13(&KEY, w, 2) == reference(in, 16, 1, 3));
    }
}

static void test_hll(void)
{
    static uint8_t a[1 << 12], b[1 << 12], both[1 << 12], empty[1 << 12];
    for (unsigned p = 6; p <= 12; p += 2)
        for (uint64_t n = 10; n <= 1000000; n *= 10) {
            memset(a, 0, sizeof a);
            memset(b, 0, sizeof b);
            memset(both, 0, sizeof both);
            for (uint64_t i = 0; i < n; i++) {
                uint64_t w = i + n, hash = fw_siphash13(&KEY, &w, 1);
                fw_hll_add(i % 3 ? a : b, p, hash);
                if (i % 7 == 0)
                    fw_hll_add(b, p, hash);
                fw_hll_add(both, p, hash);
                fw_hll_add(both, p, hash);
            }
            double sigma = 1.04 / sqrt((double)(1u << p)), exact = (double)n;
            CHECK(fabs(fw_hll_estimate(both, p) - exact) <= 4 * sigma * exact + 1);
            fw_hll_merge(a, b, p);
            CHECK(memcmp(a, both, (size_t)1 << p) == 0);
            fw_hll_merge(a, b, p);
            CHECK(memcmp(a, both, (size_t)1 << p) == 0);
        }
    CHECK(fw_hll_estimate(empty, 12) == 0.0);
    fw_hll_add(empty, 12, 0);
    CHECK_EQUAL(empty[0], 65 - 12);
}

#define KEYS 50000u
#define PACKETS 1000000u

/* Zipf with exponent 1 over the first 10,000 keys for half of the packets, singletons beside them. */
static uint32_t pick(uint64_t i)
{
    static double sums[10001];
    if (sums[1] == 0)
        for (unsigned k = 1; k <= 10000; k++)
            sums[k] = sums[k - 1] + 1.0 / k;
    if (i & 1)
        return 10000 + (uint32_t)(i / 2) % (KEYS - 10000);
    double u = (double)(number(5, i) >> 11) / 9007199254740992.0 * sums[10000];
    uint32_t low = 0, high = 10000;
    while (high - low > 1) {
        uint32_t middle = (low + high) / 2;
        if (sums[middle] <= u)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static uint64_t key_hash(uint32_t key)
{
    uint64_t w = key;
    return fw_siphash13(&KEY, &w, 1);
}

static struct fw_countmin whole, half[2];
static struct fw_topk heavy;
static uint32_t exact[KEYS], exact_requests[KEYS];
static uint64_t exact_bytes[KEYS];

static void test_countmin(void)
{
    uint32_t within = 0;
    for (uint64_t i = 0; i < PACKETS; i++) {
        uint32_t key = pick(i), bytes = 60 + (uint32_t)i % 1400, request = i % 5 == 0;
        exact[key]++;
        exact_requests[key] += request;
        exact_bytes[key] += bytes;
        CHECK(fw_cm_add(&whole, key_hash(key), bytes, request) >= exact[key]);
        fw_cm_add(&half[i % 3 == 0], key_hash(key), bytes, request);
    }
    double excess = 2.718281828 * PACKETS / FW_CM_WIDTH;
    for (uint32_t k = 0; k < KEYS; k++) {
        struct fw_cm_cell c = fw_cm_query(&whole, key_hash(k));
        CHECK(c.packets >= exact[k] && c.requests >= exact_requests[k] && c.bytes >= exact_bytes[k]);
        within += c.packets <= exact[k] + excess;
    }
    CHECK(within >= KEYS / 10 * 8);
    fw_cm_merge(&half[0], &half[1]);
    CHECK(memcmp(&half[0], &whole, sizeof whole) == 0);
    fw_cm_clear(&half[0]);
    struct fw_cm_cell *cell = &half[0].rows[0][0], *other = &half[0].rows[1][0];
    cell->packets = other->packets = UINT32_MAX;
    CHECK_EQUAL(fw_cm_add(&half[0], 0, 60, 0), UINT32_MAX); /* saturates */
}

/* The same stream again, every packet through the table (no gate). */
static void test_topk(void)
{
    uint32_t found = 0;
    memset(exact, 0, sizeof exact);
    fw_cm_clear(&whole);
    for (uint64_t i = 0; i < PACKETS; i++) {
        uint32_t key = pick(i);
        exact[key]++;
        struct fw_heavy *h = fw_topk_admit(&heavy, key_hash(key), fw_cm_add(&whole, key_hash(key), 60, 0));
        if (h) {
            h->packets++;
            h->victim = key;
        }
    }
    for (uint32_t s = 0; s < FW_TOPK_SETS; s++)
        for (uint32_t w = 0; w < FW_TOPK_WAYS; w++) {
            const struct fw_heavy *h = &heavy.sets[s][w];
            if (!h->pair_hash)
                continue;
            CHECK(h->packets <= exact[h->victim]);
            CHECK(exact[h->victim] <= h->packets + h->missed);
        }
    for (uint32_t k = 0; k < 200; k++) { /* the heaviest are all there */
        const struct fw_heavy *h = fw_topk_find(&heavy, key_hash(k));
        found += h != NULL;
    }
    CHECK_EQUAL(found, 200);
    CHECK(heavy.evicted > 0);
}

/* Who was counted in a window is remembered for the next one, and no longer; he takes no room from others. */
static void test_topk_remembers(void)
{
    static struct fw_heavy_count listed[FW_TOPK_SETS * FW_TOPK_WAYS];
    static struct fw_topk table;
    const uint64_t pair = key_hash(1);
    CHECK(fw_topk_known(&table, pair) == NULL);
    fw_topk_admit(&table, pair, 9)->packets = 5;
    fw_topk_sealed(&table, fw_topk_find(&table, pair))->turns = 3;
    fw_topk_clear(&table);
    CHECK(fw_topk_known(&table, pair) != NULL);
    CHECK(fw_topk_find(&table, pair) == NULL);
    CHECK_EQUAL(fw_topk_list(&table, listed), 0);
    struct fw_heavy *again = fw_topk_admit(&table, pair, 4);
    CHECK_EQUAL(again->missed, 3);
    CHECK_EQUAL(fw_topk_sealed(&table, again)->turns, 0);
    again->packets = 1;
    fw_topk_clear(&table);
    for (uint64_t i = 0; i < FW_TOPK_WAYS; i++) { /* others of its set fill it: it goes last, and is not counted as replaced */
        CHECK(fw_topk_known(&table, pair) != NULL);
        fw_topk_admit(&table, pair ^ (i + 1), 9)->packets = 1;
    }
    CHECK(fw_topk_known(&table, pair) == NULL);
    CHECK_EQUAL(table.evicted, 0);
    fw_topk_clear(&table);
    fw_topk_clear(&table);
    CHECK(fw_topk_known(&table, pair ^ 1) == NULL);
}

int main(void)
{
    test_siphash();
    test_hll();
    test_countmin();
    test_topk();
    test_topk_remembers();
    return finish("sketch");
}
