#include "fw_grid.h"

#define GOLDEN 0x9e3779b97f4a7c15ULL

void fw_grid_init(struct fw_grid *g, uint64_t *cells, uint32_t depth, uint32_t width, int conservative)
{
    g->cells = cells;
    g->total = 0;
    g->depth = depth;
    g->width = width;
    g->slice_bits = width <= 65536 && (width & (width - 1)) == 0 ? 16 : 32;
    g->conservative = conservative != 0;
}

/* The cell of a hash in a row. `bits` is g->slice_bits, passed in so that a caller can make it a constant. */
static inline __attribute__((always_inline)) size_t cell(const struct fw_grid *g, uint64_t hash, uint32_t row,
                                                         uint32_t bits)
{
    uint32_t rows = 64 / bits, word = row / rows;
    uint64_t mixed = word ? fw_mix64(hash + word * GOLDEN) : hash;
    uint64_t slice = mixed >> (row % rows * bits) & ((1ULL << bits) - 1);
    return (size_t)row * g->width + (size_t)(slice * g->width >> bits);
}

static inline __attribute__((always_inline)) uint64_t estimate(const struct fw_grid *g, uint64_t hash, uint32_t depth,
                                                               uint32_t bits)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t row = 0; row < depth; row++) {
        uint64_t value = g->cells[cell(g, hash, row, bits)];
        least = value < least ? value : least;
    }
    return least;
}

static inline __attribute__((always_inline)) void add(struct fw_grid *g, const uint64_t *hashes, size_t n,
                                                      const uint64_t *counts, uint64_t same, uint32_t depth,
                                                      uint32_t bits)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t count = counts ? counts[i] : same;
        for (uint32_t row = 0; row < depth; row++)
            g->cells[cell(g, hashes[i], row, bits)] += count;
    }
}

static void add_conservative(struct fw_grid *g, const uint64_t *hashes, size_t n, const uint64_t *counts, uint64_t same)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t floor = estimate(g, hashes[i], g->depth, g->slice_bits) + (counts ? counts[i] : same);
        for (uint32_t row = 0; row < g->depth; row++) {
            uint64_t *c = &g->cells[cell(g, hashes[i], row, g->slice_bits)];
            *c = *c < floor ? floor : *c;
        }
    }
}

int fw_grid_update(struct fw_grid *g, const struct fw_key *key, const struct fw_keys *keys, const uint64_t *counts,
                   uint64_t same)
{
    uint64_t room[FW_KEYS_STEP], total;
    if (fw_counts_add(g->total, keys->count, counts, same, &total) != 0)
        return FW_LIMIT;
    g->total = total;
    for (size_t from = 0; from < keys->count; from += FW_KEYS_STEP) {
        size_t n = keys->count - from < FW_KEYS_STEP ? keys->count - from : FW_KEYS_STEP;
        const uint64_t *hashes = fw_keys_hash(key, keys, from, n, room), *c = counts ? counts + from : NULL;
        if (g->conservative)
            add_conservative(g, hashes, n, c, same);
        else if (g->depth == 4 && g->slice_bits == 16) /* the default shape, unrolled */
            add(g, hashes, n, c, same, 4, 16);
        else
            add(g, hashes, n, c, same, g->depth, g->slice_bits);
    }
    return 0;
}

void fw_grid_query(const struct fw_grid *g, const struct fw_key *key, const struct fw_keys *keys, uint64_t *out)
{
    uint64_t room[FW_KEYS_STEP];
    for (size_t from = 0; from < keys->count; from += FW_KEYS_STEP) {
        size_t n = keys->count - from < FW_KEYS_STEP ? keys->count - from : FW_KEYS_STEP;
        const uint64_t *hashes = fw_keys_hash(key, keys, from, n, room);
        for (size_t i = 0; i < n; i++)
            out[from + i] = estimate(g, hashes[i], g->depth, g->slice_bits);
    }
}

int fw_grid_merge(struct fw_grid *into, const struct fw_grid *other)
{
    if (__builtin_add_overflow(into->total, other->total, &into->total)) {
        into->total -= other->total; /* it wrapped: take it back */
        return FW_LIMIT;
    }
    size_t n = (size_t)into->depth * into->width;
    for (size_t i = 0; i < n; i++)
        into->cells[i] += other->cells[i];
    return 0;
}

int fw_grid_plausible(const struct fw_grid *g)
{
    for (uint32_t row = 0; row < g->depth; row++) {
        const uint64_t *cells = g->cells + (size_t)row * g->width;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < g->width; i++)
            if (__builtin_add_overflow(sum, cells[i], &sum))
                return 0;
        if (g->conservative ? sum > g->total : sum != g->total)
            return 0;
    }
    return 1;
}
