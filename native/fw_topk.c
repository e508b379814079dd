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
    smallest->pair_hash = pair_hash;
    smallest->missed = estimate - 1; /* this packet itself is counted by the caller */
    return smallest;
}

uint32_t fw_topk_list(const struct fw_topk *t, struct fw_heavy *out)
{
    uint32_t n = 0;
    for (uint32_t set = 0; set < FW_TOPK_SETS; set++)
        for (uint32_t way = 0; way < FW_TOPK_WAYS; way++)
            if (t->sets[set][way].pair_hash)
                out[n++] = t->sets[set][way];
    return n;
}

void fw_topk_clear(struct fw_topk *t) { memset(t, 0, sizeof *t); }
