/* Count-min sketch of any depth and width, with counts of 64 bits: the class CountMin of Python.
 *
 * Cormode, Muthukrishnan: "An improved data stream summary: the count-min sketch", 2005. With N the sum of all counts:
 * estimate >= true always, and estimate > true + e N / width for a given key with probability at most e^-depth over the
 * secret hash key. For depth 4 and width 65,536: more than 0.0042 % of N too much for at most 1.9 % of keys.
 * Conservative update (Estan, Varghese: "New directions in traffic measurement and accounting", 2002) raises a cell
 * only as far as the estimate needs: never worse, order-dependent, and no longer the sum of its parts.
 *
 * Why not the engine's fw_countmin: its cell is a packed record (packets, requests, bytes) of fixed depth and width
 * with counters that saturate, one cache line a row for three counts of one packet. The hash is the same.
 *
 * A cell never exceeds N. So one check of N before an update rules out every overflow: it fails as a whole and changes
 * nothing. Memory: 8 x depth x width bytes. Merge = cell-wise sum, exact for plain update; of conservative sketches it
 * still never under-counts.
 *
 *   hash, width a power of two up to 65,536   [ row 3: 16 bits | row 2 | row 1 | row 0 ]
 *         else                                [ row 1: 32 bits | row 0 ]
 *
 * Each further word of four (two) rows is fw_mix64(hash + word * golden ratio). Column = slice * width >> slice bits:
 * exact for powers of two; else the bias is below width / 2^32. */
#ifndef FW_GRID_H
#define FW_GRID_H

#include "fw_keys.h"

#define FW_GRID_MAX_DEPTH 16u
#define FW_GRID_MAX_WIDTH (1u << 28)

struct fw_grid {
    uint64_t *cells; /* depth x width, row by row; the owner's */
    uint64_t total;  /* N */
    uint32_t depth, width;
    uint32_t slice_bits; /* 16 or 32 */
    uint8_t conservative;
};

/* Describe an empty grid over zeroed cells; depth 1..16, width 1..2^28. */
void fw_grid_init(struct fw_grid *g, uint64_t *cells, uint32_t depth, uint32_t width, int conservative);

/* Add counts[i] (or `same` each, where counts is NULL) to each key. FW_LIMIT, and nothing changed, if N would exceed
 * 2^64 - 1. */
int fw_grid_update(struct fw_grid *g, const struct fw_key *key, const struct fw_keys *keys, const uint64_t *counts,
                   uint64_t same);

/* out[i] = the estimate of each key. */
void fw_grid_query(const struct fw_grid *g, const struct fw_key *key, const struct fw_keys *keys, uint64_t *out);

/* into += other, of equal shape and hash key. FW_LIMIT as above. */
int fw_grid_merge(struct fw_grid *into, const struct fw_grid *other);

/* Could these cells come from updates that sum to `total`? Rows of plain update sum to it, no row exceeds it. */
int fw_grid_plausible(const struct fw_grid *g);

#endif
