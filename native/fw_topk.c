#include "fw_topk.h"

struct fw_heavy *fw_topk_admit(struct fw_topk *t, uint64_t pair_hash, uint32_t estimate)
{
    struct fw_heavy *set = t->sets[fw_topk_set(pair_hash)], *smallest = &set[0];
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < FW_TOPK_WAYS; i++) {
        if (set[i].pair_hash == pair_hash)
            return &set[i];
        uint64_t upper = set[i].pair_hash ? (uint64_t)set[i].packets + set[i].missed : 0;
        if (upper < least) {
            least = upper;
            smallest = &set[i];
        }
    }
    if (least >= estimate)
        return NULL;
    t->evicted += smallest->pair_hash != 0;
    memset(smallest, 0, sizeof *smallest);
    memset(fw_topk_sealed(t, smallest), 0, sizeof *t->sealed);
    smallest->pair_hash = pair_hash;
    smallest->missed = estimate - 1; /* this packet itself is counted by the caller */
    return smallest;
}

uint32_t fw_topk_list(const struct fw_topk *t, struct fw_heavy_count *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < FW_TOPK_SETS * FW_TOPK_WAYS; i++) {
        const struct fw_heavy *entry = t->sets[0] + i;
        if (!entry->pair_hash)
            continue;
        memcpy(&out[n], entry, sizeof *entry);
        out[n].sealed = t->sealed[i];
        out[n++].low = entry->v6 == FW_SOURCE_ADDRESS ? t->low[i] : 0;
    }
    return n;
}

void fw_topk_clear(struct fw_topk *t)
{
    memset(t->sets, 0, sizeof t->sets); /* `low` is read of entries that wrote it */
    t->evicted = 0;
}
