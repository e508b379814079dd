/* Hash kernels against SipHash, the free count-min against exact counts, blobs cut and bent. */
#include "check.h"
#include "make.h"

#include "../fw_blob.h"
#include "../fw_grid.h"
#include "../fw_hll.h"

#define KEYS 3000u

static uint64_t words[KEYS], counts[KEYS];

static void test_kernels(void)
{
    static const char *names[] = {"scalar", "avx2", "avx512"};
    uint64_t out[KEYS];
    unsigned found = 0;
    for (unsigned k = 0; k < 3; k++) {
        const struct fw_kernels *kernels = fw_cpu_named(names[k]);
        if (!kernels)
            continue;
        found++;
        for (size_t n = 0; n < 40; n++) { /* every tail of every vector width */
            memset(out, 0, sizeof out);
            kernels->hash_words(&KEY, words, n, out);
            for (size_t i = 0; i < n; i++)
                CHECK(out[i] == fw_siphash13(&KEY, &words[i], 1));
            CHECK(out[n] == 0);
        }
    }
    CHECK(found >= 1 && fw_cpu_named("abacus") == NULL);
    CHECK(fw_cpu_named(fw_cpu()->name) == fw_cpu());
}

/* A row of bytes hashes like the words it consists of; padding is cut, and no byte behind a row is read. */
static void test_rows(void)
{
    uint64_t out[2];
    struct fw_keys rows = {guarded(words, 32), 2, 16, FW_KEYS_ROWS};
    const uint64_t *h = fw_keys_hash(&KEY, &rows, 0, 2, out);
    CHECK(h[0] == fw_siphash13(&KEY, words, 2) && h[1] == fw_siphash13(&KEY, words + 2, 2));
    const uint8_t text[10] = {'a', 0, 'b', 0, 0, 'c', 'c', 'c', 'c', 'c'};
    struct fw_keys padded = {guarded(text, 10), 2, 5, FW_KEYS_PADDED};
    h = fw_keys_hash(&KEY, &padded, 0, 2, out);
    CHECK(h[0] == fw_hash_bytes(&KEY, text, 3) && h[1] == fw_hash_bytes(&KEY, text + 5, 5));
    CHECK(h[0] != fw_hash_bytes(&KEY, text, 5));
}

static const uint32_t SHAPES[][2] = {{1, 1}, {2, 64}, {4, 65536}, {5, 1024}, {16, 333}, {3, 100000}, {7, 131072}};

static void test_grid(void)
{
    static uint64_t cells[2][7 * 131072], estimates[KEYS];
    struct fw_keys all = {words, KEYS, 8, FW_KEYS_WORDS}, front = {words, 1000, 8, FW_KEYS_WORDS};
    struct fw_keys back = {words + 1000, KEYS - 1000, 8, FW_KEYS_WORDS};
    for (unsigned s = 0; s < sizeof SHAPES / sizeof *SHAPES; s++)
        for (int conservative = 0; conservative < 2; conservative++) {
            struct fw_grid one, two;
            size_t size = (size_t)8 * SHAPES[s][0] * SHAPES[s][1];
            memset(cells, 0, sizeof cells);
            fw_grid_init(&one, cells[0], SHAPES[s][0], SHAPES[s][1], conservative);
            fw_grid_init(&two, cells[1], SHAPES[s][0], SHAPES[s][1], conservative);
            CHECK_EQUAL(fw_grid_update(&one, &KEY, &all, counts, 0), 0);
            CHECK(fw_grid_plausible(&one));
            fw_grid_query(&one, &KEY, &all, estimates);
            for (unsigned i = 0; i < KEYS; i++)
                CHECK(estimates[i] >= counts[i] && estimates[i] <= one.total);
            CHECK_EQUAL(fw_grid_update(&two, &KEY, &back, counts + 1000, 0), 0);
            memset(cells[0], 0, sizeof cells[0]);
            one.total = 0;
            fw_grid_update(&one, &KEY, &all, counts, 0);
            struct fw_grid part = one;
            uint64_t *third = calloc(1, size);
            if (!third)
                exit(2);
            fw_grid_init(&part, third, SHAPES[s][0], SHAPES[s][1], conservative);
            fw_grid_update(&part, &KEY, &front, counts, 0);
            CHECK_EQUAL(fw_grid_merge(&two, &part), 0);
            CHECK(two.total == one.total && fw_grid_plausible(&two));
            if (!conservative)
                CHECK(memcmp(cells[0], cells[1], size) == 0);
            free(third);
        }
}

static void test_limits(void)
{
    uint64_t a[64] = {0}, b[64] = {0}, big[2] = {UINT64_MAX - 1, 1};
    struct fw_grid g, h;
    struct fw_keys two = {words, 2, 8, FW_KEYS_WORDS};
    fw_grid_init(&g, a, 2, 32, 0);
    fw_grid_init(&h, b, 2, 32, 0);
    CHECK_EQUAL(fw_grid_update(&g, &KEY, &two, big, 0), 0); /* exactly 2^64 - 1 */
    memcpy(b, a, sizeof b);
    CHECK_EQUAL(fw_grid_update(&g, &KEY, &two, NULL, 1), FW_LIMIT);
    CHECK_EQUAL(fw_grid_update(&g, &KEY, &two, NULL, UINT64_MAX), FW_LIMIT);
    CHECK(g.total == UINT64_MAX && memcmp(a, b, sizeof a) == 0);
    memset(b, 0, sizeof b);
    CHECK_EQUAL(fw_grid_update(&h, &KEY, &two, NULL, 1), 0);
    CHECK_EQUAL(fw_grid_merge(&g, &h), FW_LIMIT);
    CHECK(g.total == UINT64_MAX && fw_grid_plausible(&g));
    b[0]++;
    CHECK(!fw_grid_plausible(&h));
}

static void test_blob(void)
{
    uint8_t bytes[FW_BLOB_HEAD + 128 + FW_BLOB_TAIL] = {0};
    struct fw_blob in = {.kind = FW_BLOB_COUNTMIN, .flags = 1, .rank = 2, .width = 8, .key = 7, .total = 9}, out;
    const char *field;
    fw_blob_head(&in, bytes);
    CHECK_EQUAL(fw_blob_parse(guarded(bytes, sizeof bytes), sizeof bytes, &out, &field), 0);
    CHECK(out.kind == in.kind && out.flags == 1 && out.rank == 2 && out.width == 8 && out.key == 7 && out.total == 9);
    CHECK_EQUAL(out.payload_size, 128);
    for (size_t n = 0; n < sizeof bytes; n++)
        CHECK_EQUAL(fw_blob_parse(guarded(bytes, n), n, &out, &field), FW_BAD_RECORD);
    for (unsigned bit = 0; bit < 8 * 16; bit++) { /* all but key, total and cells decide about sense by themselves */
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        int code = fw_blob_parse(guarded(bytes, sizeof bytes), sizeof bytes, &out, &field);
        CHECK(code == FW_BAD_RECORD || bit / 8 == 6); /* flag 0 off is another kind of count-min */
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    uint8_t registers[16] = {61};
    CHECK(fw_blob_registers_plausible(registers, 4));
    registers[15] = 62;
    CHECK(!fw_blob_registers_plausible(registers, 4));
}

int main(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        words[i] = number(11, i);
        counts[i] = i % 17 ? i % 5 : 100000 * (uint64_t)i;
    }
    test_kernels();
    test_rows();
    test_grid();
    test_limits();
    test_blob();
    return finish("keys");
}
