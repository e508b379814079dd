/* Frequent keys against exact counts: both bounds for every key, whatever the stream; merges; overflow; long keys. */
#include <stdlib.h>

#include "check.h"
#include "make.h"

#include "../fw_frequent.h"

#define KEYS 4096u

static struct fw_frequent fresh(uint32_t k)
{
    uint32_t size = fw_frequent_size(k);
    struct fw_frequent f = {.k = k, .mask = size - 1};
    f.entries = calloc(size, sizeof *f.entries);
    f.spare = calloc(size, sizeof *f.spare);
    f.scratch = calloc(k + 1, sizeof *f.scratch);
    CHECK(f.entries && f.spare && f.scratch);
    return f;
}

static void drop(struct fw_frequent *f)
{
    free(f->entries);
    free(f->spare);
    free(f->scratch);
}

static void check_bounds(const struct fw_frequent *f, const uint64_t *truth)
{
    CHECK(f->used <= f->k);
    CHECK(f->offset <= 2 * f->total / f->k);
    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t held = fw_frequent_count(f, &KEY, (const uint8_t *)&key, 8);
        CHECK(held <= truth[key] && truth[key] <= held + f->offset);
    }
}

/* Streams: skewed, all different, falling, one key over and over between others. */
static uint64_t draw(unsigned stream, uint64_t i)
{
    uint64_t r = number(stream, i);
    switch (stream) {
    case 0:
        return r % (1 + (r >> 32) % KEYS);
    case 1:
        return i % KEYS;
    case 2:
        return KEYS - 1 - i % KEYS;
    default:
        return i % 3 ? r % KEYS : 7;
    }
}

static void test_bounds(void)
{
    static const uint32_t SIZES[] = {3, 64, 1000};
    for (unsigned n = 0; n < 3; n++) {
        for (unsigned stream = 0; stream < 4; stream++) {
            static uint64_t truth[KEYS], keys[20000], counts[20000];
            struct fw_frequent f = fresh(SIZES[n]), half = fresh(SIZES[n]), rest = fresh(SIZES[(n + 1) % 3]);
            memset(truth, 0, sizeof truth);
            for (uint64_t i = 0; i < 20000; i++) {
                keys[i] = draw(stream, i);
                counts[i] = stream == 2 ? 1 + i % 5 : 1;
                truth[keys[i]] += counts[i];
            }
            struct fw_keys all = {keys, 20000, 8, FW_KEYS_WORDS}, first = {keys, 9000, 8, FW_KEYS_WORDS};
            struct fw_keys second = {keys + 9000, 11000, 8, FW_KEYS_ROWS};
            CHECK_EQUAL(fw_frequent_update(&f, &KEY, &all, FW_KEY_INT, counts, 0), 0);
            check_bounds(&f, truth);
            CHECK_EQUAL(fw_frequent_update(&half, &KEY, &first, FW_KEY_INT, counts, 0), 0);
            CHECK_EQUAL(fw_frequent_update(&rest, &KEY, &second, FW_KEY_INT, counts + 9000, 0), 0);
            CHECK_EQUAL(fw_frequent_merge(&half, &KEY, &rest), 0);
            CHECK_EQUAL(half.total, f.total);
            for (uint64_t key = 0; key < KEYS; key++) {
                uint64_t held = fw_frequent_count(&half, &KEY, (const uint8_t *)&key, 8);
                CHECK(held <= truth[key] && truth[key] <= held + half.offset);
            }
            drop(&f);
            drop(&half);
            drop(&rest);
        }
    }
}

static void test_edges(void)
{
    struct fw_frequent f = fresh(8);
    uint8_t longest[FW_FREQUENT_KEY];
    memset(longest, 'x', sizeof longest);
    CHECK_EQUAL(fw_frequent_add(&f, &KEY, longest, sizeof longest, FW_KEY_TEXT, 5), 0);
    CHECK_EQUAL(fw_frequent_add(&f, &KEY, longest, sizeof longest - 1, FW_KEY_TEXT, 7), 0);
    CHECK_EQUAL(fw_frequent_add(&f, &KEY, longest, 0, FW_KEY_TEXT, 9), 0);
    CHECK_EQUAL(fw_frequent_add(&f, &KEY, longest, 3, FW_KEY_TEXT, 0), 0);
    CHECK_EQUAL(f.used, 3);
    CHECK_EQUAL(fw_frequent_count(&f, &KEY, longest, sizeof longest), 5);
    CHECK_EQUAL(fw_frequent_count(&f, &KEY, longest, sizeof longest - 1), 7);
    CHECK_EQUAL(fw_frequent_count(&f, &KEY, longest, 0), 9);
    CHECK_EQUAL(fw_frequent_add(&f, &KEY, longest, 1, FW_KEY_TEXT, UINT64_MAX - 20), FW_LIMIT);
    CHECK_EQUAL(f.total, 21);
    struct fw_keys padded = {"ab\0\0ab\0", 2, 4, FW_KEYS_PADDED};
    CHECK_EQUAL(fw_frequent_update(&f, &KEY, &padded, FW_KEY_BYTES, NULL, 2), 0);
    CHECK_EQUAL(fw_frequent_count(&f, &KEY, (const uint8_t *)"ab", 2), 4);
    CHECK_EQUAL(fw_frequent_update(&f, &KEY, &padded, FW_KEY_BYTES, NULL, UINT64_MAX), FW_LIMIT);
    CHECK_EQUAL(fw_frequent_update(&f, &KEY, &padded, FW_KEY_BYTES, NULL, UINT64_MAX / 2), FW_LIMIT);
    CHECK_EQUAL(f.total, 25);
    fw_frequent_clear(&f);
    CHECK_EQUAL(f.used, 0);
    CHECK_EQUAL(fw_frequent_count(&f, &KEY, longest, 0), 0);
    drop(&f);
}

/* Keys in order: by count, equal ones by their bytes, and a shorter one before what it begins. */
static void test_list(void)
{
    static const char *const keys[] = {"b", "ab", "a", "c", "abc"};
    static const uint64_t counts[] = {2, 2, 2, 7, 1};
    static const char *const order[] = {"c", "a", "ab", "b", "abc"};
    struct fw_frequent f = fresh(8);
    const struct fw_entry *list[8];
    CHECK_EQUAL(fw_frequent_list(&f, list), 0);
    for (unsigned i = 0; i < 5; i++)
        fw_frequent_add(&f, &KEY, (const uint8_t *)keys[i], (uint32_t)strlen(keys[i]), FW_KEY_TEXT, counts[i]);
    CHECK_EQUAL(fw_frequent_list(&f, list), 5);
    for (unsigned i = 0; i < 5; i++)
        CHECK(list[i]->size == strlen(order[i]) && memcmp(list[i]->key, order[i], list[i]->size) == 0);
    drop(&f);
}

/* A payload of three items, and of what it is refused for when a byte of it is another. */
static const char *loaded(uint8_t *payload, size_t size, size_t at, uint8_t byte, uint64_t total,
                          struct fw_frequent *out)
{
    const char *field = NULL;
    uint8_t kept = at < size ? payload[at] : 0;
    if (at < size)
        payload[at] = byte;
    *out = fresh(3);
    const char *wrong = fw_frequent_load(out, &KEY, guarded(payload, size), size, total, &field);
    if (at < size)
        payload[at] = kept;
    CHECK(!wrong || strcmp(field, "size") == 0 || strcmp(field, "payload") == 0);
    return wrong;
}

static void refused(uint8_t *payload, size_t size, size_t at, uint8_t byte, uint64_t total, const char *why)
{
    struct fw_frequent f;
    const char *wrong = loaded(payload, size, at, byte, total, &f);
    CHECK(wrong && strcmp(wrong, why) == 0);
    drop(&f);
}

static void test_save_and_load(void)
{
    const struct fw_entry *list[3];
    uint8_t payload[64], again[64];
    struct fw_frequent f = fresh(3), g;
    uint64_t address = 0x0a000001;
    fw_frequent_add(&f, &KEY, (const uint8_t *)"ab", 2, FW_KEY_TEXT, 5);
    fw_frequent_add(&f, &KEY, (const uint8_t *)"a", 1, FW_KEY_BYTES, 5);
    fw_frequent_add(&f, &KEY, (const uint8_t *)&address, 8, FW_KEY_IPV4, 2);
    uint32_t n = fw_frequent_list(&f, list);
    size_t size = fw_frequent_saved_size(list, n);
    CHECK_EQUAL(size, 12 + 3 * 10 + 11);
    fw_frequent_save(&f, list, n, payload);
    CHECK(loaded(payload, size, size, 0, 12, &g) == NULL);
    CHECK(g.total == 12 && g.used == 3);
    CHECK_EQUAL(fw_frequent_list(&g, list), 3);
    fw_frequent_save(&g, list, 3, again);
    CHECK(memcmp(payload, again, size) == 0);
    drop(&g);
    refused(payload, 11, 11, 0, 12, "the sketch ends before its items");
    for (size_t less = 12; less < size; less++)
        refused(payload, less, less, 0, 12, "the sketch ends inside an item");
    refused(payload, size, 8, 2, 12, "the sketch goes on behind its items");
    refused(payload, size, 8, 4, 12, "the sketch ends inside an item");
    refused(payload, size, 12, 0, 12, "an item is none that a sketch holds");
    refused(payload, size, 20, FW_KEY_FORMS, 12, "an item is none that a sketch holds");
    refused(payload, size, 20, FW_KEY_IPV6, 12, "an item is none that a sketch holds");
    refused(payload, size, size - 1, 1, 12, "an item is none that a sketch holds"); /* no IPv4 address */
    refused(payload, size, 12, 4, 12, "the items are not in their order");
    refused(payload, size, 0, 9, 12, "the counts contradict the total");
    refused(payload, size, size, 0, 11, "the counts contradict the total");
    uint8_t twice[] = {0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, FW_KEY_TEXT, 1, 'a',
                       2, 0, 0, 0, 0, 0, 0, 0, FW_KEY_TEXT, 1, 'a'};
    refused(twice, sizeof twice, sizeof twice, 0, 12, "the items are not distinct");
    memset(twice + 12, 0xff, 8);
    twice[sizeof twice - 1] = 'b';
    refused(twice, sizeof twice, sizeof twice, 0, UINT64_MAX, "the counts contradict the total"); /* their sum wraps */
    drop(&f);
}

int main(void)
{
    test_bounds();
    test_edges();
    test_list();
    test_save_and_load();
    return finish("frequent");
}
