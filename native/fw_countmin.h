/* Count-min sketch whose cell holds all counters of a key, so that one key costs one cache line a row.
 *
 * Cormode, Muthukrishnan: "An improved data stream summary: the count-min sketch", 2005. Depth 2, width
 * 65,536: with N packets in the window, estimate >= true always, and estimate > true + e N / 65,536 with
 * probability at most e^-2 = 13.5 % (for the requests likewise with their own sum). Counters saturate, so
 * the sketch never under-counts. Merge = add, exact for equal keys.
 *
 *   cell (16 B)  [ packets u32 | requests u32 | bytes u64 ] */
#ifndef FW_COUNTMIN_H
#define FW_COUNTMIN_H

#include "fw_common.h"

#define FW_CM_WIDTH 65536u
#define FW_CM_DEPTH 2u
_Static_assert((FW_CM_WIDTH & (FW_CM_WIDTH - 1)) == 0, "an index is a slice of the hash");

struct fw_cm_cell {
    uint32_t packets, requests;
    uint64_t bytes;
};

struct fw_countmin {
    struct fw_cm_cell rows[FW_CM_DEPTH][FW_CM_WIDTH];
    uint64_t packets; /* N, the sum over all keys */
};

static inline uint32_t fw_cm_index(uint64_t hash, unsigned row)
{
    return (uint32_t)(hash >> (row * 16)) & (FW_CM_WIDTH - 1);
}

static inline void fw_cm_prefetch(const struct fw_countmin *cm, uint64_t hash)
{
    __builtin_prefetch(&cm->rows[0][fw_cm_index(hash, 0)], 1, 2);
    __builtin_prefetch(&cm->rows[1][fw_cm_index(hash, 1)], 1, 2);
}

/* Add one packet; returns the packets estimate of its key, this one included. */
static inline uint32_t fw_cm_add(struct fw_countmin *cm, uint64_t hash, uint32_t bytes, uint32_t requests)
{
    struct fw_cm_cell *a = &cm->rows[0][fw_cm_index(hash, 0)], *b = &cm->rows[1][fw_cm_index(hash, 1)];
    cm->packets++;
    a->packets = fw_sat_add32(a->packets, 1);
    b->packets = fw_sat_add32(b->packets, 1);
    a->requests = fw_sat_add32(a->requests, requests);
    b->requests = fw_sat_add32(b->requests, requests);
    a->bytes += bytes;
    b->bytes += bytes;
    return fw_min32(a->packets, b->packets);
}

/* Upper bounds of one key: never less than what was added. */
struct fw_cm_cell fw_cm_query(const struct fw_countmin *cm, uint64_t hash);
void fw_cm_merge(struct fw_countmin *into, const struct fw_countmin *other);
void fw_cm_clear(struct fw_countmin *cm);

#endif
