/* Bounded heavy hitters: which source sends how much to which victim.
 *
 * An 8-way set-associative table of exact counters behind a count-min gate. A pair enters once its count-min
 * estimate passes the gate, and is counted exactly while it stays above it (the gate rises with the window). For
 * every entry
 *
 *     packets  <=  true count in the window  <=  packets + missed
 *
 * (or the gate at the window's end, where that is larger), because `missed` is the count-min upper bound at
 * admission, raised when the gate rose above the pair. A newcomer takes the place of the smallest
 * entry of its set only when its own upper bound is larger (the replacement rule of Space-Saving, Metwally et
 * al. 2005), so a churn of forged singletons never reaches the table and nobody inherits another's count.
 *
 * Who was in the table of a window is remembered for the next one, with nothing counted: what he says in TLS or QUIC
 * counts from his first packet on, so that slow clients are not lost for the time that the gate takes. */
#ifndef FW_TOPK_H
#define FW_TOPK_H

#include "fw_message.h"
#include "fw_packet.h"

#define FW_TOPK_SETS 1024u
#define FW_TOPK_WAYS 8u

struct fw_heavy {
    FW_HEAVY_FEATURES(FW_MEMBER)
};
_Static_assert(sizeof(struct fw_heavy) == 112 && offsetof(struct fw_heavy, clients) == 64,
               "what most packets write is one cache line long");

/* What is kept beside an entry, for few need it: of sources that speak TLS or QUIC. */
struct fw_heavy_sealed {
    FW_HEAVY_SEALED_FEATURES(FW_MEMBER)
};

/* An entry as it is listed. */
struct fw_heavy_count {
    FW_HEAVY_FEATURES(FW_MEMBER)
    FW_HEAVY_LISTED_FEATURES(FW_MEMBER)
    struct fw_heavy_sealed sealed;
};
_Static_assert(offsetof(struct fw_heavy_count, low) == sizeof(struct fw_heavy), "it begins with the entry");

struct fw_topk {
    struct fw_heavy sets[FW_TOPK_SETS][FW_TOPK_WAYS];
    uint64_t low[FW_TOPK_SETS * FW_TOPK_WAYS]; /* lower halves of sources that are one IPv6 address */
    struct fw_heavy_sealed sealed[FW_TOPK_SETS * FW_TOPK_WAYS]; /* zero from an entry's admission on */
    uint64_t used[FW_TOPK_SETS * FW_TOPK_WAYS / 64]; /* a bit for each entry that was begun since the last clear */
    uint64_t evicted; /* entries replaced since the last clear */
};

/* One of 64 bits for a source port. */
static inline unsigned fw_port_bit(uint16_t port) { return port * 0x9e3779b1u >> 26; }

static inline uint32_t fw_topk_set(uint64_t pair_hash) { return (uint32_t)(pair_hash >> 40) & (FW_TOPK_SETS - 1); }

/* The entry of a pair, or of one that is remembered; else NULL. */
static inline struct fw_heavy *fw_topk_known(struct fw_topk *t, uint64_t pair_hash)
{
    struct fw_heavy *set = t->sets[fw_topk_set(pair_hash)];
    for (unsigned i = 0; i < FW_TOPK_WAYS; i++)
        if (set[i].pair_hash == pair_hash)
            return &set[i];
    return NULL;
}

/* The entry of a pair, or NULL. */
static inline struct fw_heavy *fw_topk_find(struct fw_topk *t, uint64_t pair_hash)
{
    struct fw_heavy *entry = fw_topk_known(t, pair_hash);
    return entry && entry->packets ? entry : NULL;
}

/* Find or admit. `estimate` is the pair's count-min upper bound, this packet included; NULL when the set is
 * full of larger pairs. A new entry comes zeroed but for pair_hash and missed. */
struct fw_heavy *fw_topk_admit(struct fw_topk *t, uint64_t pair_hash, uint32_t estimate);

/* Add a request to what its source did in the window. */
void fw_topk_ask(struct fw_heavy *s, const struct fw_message *h);

/* Where the lower half of an entry's address stands. */
static inline uint64_t *fw_topk_low(struct fw_topk *t, const struct fw_heavy *entry)
{
    return &t->low[entry - t->sets[0]];
}

/* Where what an entry says in TLS or QUIC is counted. */
static inline struct fw_heavy_sealed *fw_topk_sealed(struct fw_topk *t, const struct fw_heavy *entry)
{
    return &t->sealed[entry - t->sets[0]];
}

/* How many entries were begun in this window: what is listed at most. */
uint32_t fw_topk_used(const struct fw_topk *t);
/* Copy the entries in which something is counted, in table order. `out` has room for all that are used; returns
 * how many. It costs what is in the table, not what the table could hold: most epochs of most captures are quiet. */
uint32_t fw_topk_list(const struct fw_topk *t, struct fw_heavy_count *out);
/* A window ends: nothing is counted any more. Who was counted in it is remembered until the next one ends. */
void fw_topk_clear(struct fw_topk *t);

#endif
