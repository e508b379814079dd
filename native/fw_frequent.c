#include "fw_frequent.h"

#include <stdlib.h>

static int same_key(const struct fw_entry *e, uint64_t hash, const uint8_t *bytes, uint32_t size)
{
    return e->hash == hash && e->size == size && memcmp(e->key, bytes, size) == 0;
}

/* The entry of a key, or the free one where it would stand. */
static struct fw_entry *find(const struct fw_frequent *f, uint64_t hash, const uint8_t *bytes, uint32_t size)
{
    for (uint32_t at = (uint32_t)(hash >> 32) & f->mask;; at = (at + 1) & f->mask) {
        struct fw_entry *e = &f->entries[at];
        if (e->count == 0 || same_key(e, hash, bytes, size))
            return e;
    }
}

/* The element of rank `rank` (Hoare: "Algorithm 65: find", 1961). Equal elements stop both scans, so that many of them
 * do not make it slow. */
static uint64_t nth(uint64_t *v, uint32_t n, uint32_t rank)
{
    uint32_t low = 0, high = n - 1;
    while (low < high) {
        uint64_t pivot = v[low + (high - low) / 2];
        int64_t i = (int64_t)low - 1, j = (int64_t)high + 1;
        for (;;) {
            do i++; while (v[i] < pivot);
            do j--; while (v[j] > pivot);
            if (i >= j)
                break;
            uint64_t t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
        if (rank <= (uint32_t)j)
            high = (uint32_t)j;
        else
            low = (uint32_t)j + 1;
    }
    return v[low];
}

/* Take the median count off every key; at least half of them leave. */
static void purge(struct fw_frequent *f)
{
    uint32_t n = 0, size = f->mask + 1;
    for (uint32_t i = 0; i < size; i++)
        if (f->entries[i].count)
            f->scratch[n++] = f->entries[i].count;
    uint64_t median = nth(f->scratch, n, n / 2);
    struct fw_entry *old = f->entries;
    f->entries = f->spare;
    f->spare = old;
    memset(f->entries, 0, (size_t)size * sizeof *f->entries);
    f->used = 0;
    f->offset += median;
    for (uint32_t i = 0; i < size; i++) {
        if (old[i].count <= median)
            continue;
        struct fw_entry *e = find(f, old[i].hash, old[i].key, old[i].size);
        *e = old[i];
        e->count -= median;
        f->used++;
    }
}

/* Add to a key without a look at N. */
static void add(struct fw_frequent *f, uint64_t hash, const uint8_t *bytes, uint32_t size, uint8_t form, uint64_t count)
{
    struct fw_entry *e = find(f, hash, bytes, size);
    if (e->count == 0) {
        if (count == 0)
            return;
        e->hash = hash;
        e->form = form;
        e->size = (uint8_t)size;
        memcpy(e->key, bytes, size);
        f->used++;
    }
    e->count += count;
    if (f->used > f->k)
        purge(f);
}

int fw_frequent_add(struct fw_frequent *f, const struct fw_key *key, const uint8_t *bytes, uint32_t size, uint8_t form,
                    uint64_t count)
{
    if (__builtin_add_overflow(f->total, count, &f->total)) {
        f->total -= count; /* it wrapped: take it back */
        return FW_LIMIT;
    }
    add(f, fw_hash_bytes(key, bytes, size), bytes, size, form, count);
    return 0;
}

int fw_frequent_update(struct fw_frequent *f, const struct fw_key *key, const struct fw_keys *keys, uint8_t form,
                       const uint64_t *counts, uint64_t same)
{
    uint64_t room[FW_KEYS_STEP];
    if (fw_counts_add(f->total, keys->count, counts, same, &f->total) != 0)
        return FW_LIMIT;
    for (size_t from = 0; from < keys->count; from += FW_KEYS_STEP) {
        size_t n = keys->count - from < FW_KEYS_STEP ? keys->count - from : FW_KEYS_STEP;
        const uint64_t *hashes = fw_keys_hash(key, keys, from, n, room);
        for (size_t i = 0; i < n; i++) {
            if (i + 8 < n)
                __builtin_prefetch(&f->entries[(uint32_t)(hashes[i + 8] >> 32) & f->mask]);
            const uint8_t *bytes = (const uint8_t *)keys->base + (from + i) * keys->width;
            add(f, hashes[i], bytes, (uint32_t)fw_keys_length(keys, bytes), form, counts ? counts[from + i] : same);
        }
    }
    return 0;
}

uint64_t fw_frequent_count(const struct fw_frequent *f, const struct fw_key *key, const uint8_t *bytes, uint32_t size)
{
    return find(f, fw_hash_bytes(key, bytes, size), bytes, size)->count;
}

int fw_frequent_merge(struct fw_frequent *into, const struct fw_key *key, const struct fw_frequent *other)
{
    if (__builtin_add_overflow(into->total, other->total, &into->total)) {
        into->total -= other->total;
        return FW_LIMIT;
    }
    uint64_t offset = other->offset;
    for (uint32_t i = 0; i <= other->mask; i++) {
        const struct fw_entry *e = &other->entries[i];
        if (e->count)
            add(into, fw_hash_bytes(key, e->key, e->size), e->key, e->size, e->form, e->count);
    }
    into->offset += offset;
    return 0;
}

static int by_count(const void *a, const void *b)
{
    const struct fw_entry *x = *(const struct fw_entry *const *)a, *y = *(const struct fw_entry *const *)b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    int order = memcmp(x->key, y->key, x->size < y->size ? x->size : y->size);
    return order ? order : (int)x->size - (int)y->size;
}

uint32_t fw_frequent_list(const struct fw_frequent *f, const struct fw_entry **out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i <= f->mask; i++)
        if (f->entries[i].count)
            out[n++] = &f->entries[i];
    qsort(out, n, sizeof *out, by_count);
    return n;
}

void fw_frequent_clear(struct fw_frequent *f)
{
    memset(f->entries, 0, ((size_t)f->mask + 1) * sizeof *f->entries);
    f->total = f->offset = 0;
    f->used = 0;
}
