#include "fw_carried.h"

static inline uint32_t place_of(uint64_t flow) { return (uint32_t)(flow >> 20) & (FW_CARRIED - 1); }

int fw_carried_trusts(const struct fw_carried *t, const struct fw_packet *p, uint64_t pair)
{
    uint32_t low = 0, high = t->vouched_count;
    if (t->named.count && fw_ranges_hold(&t->named, p->src.hi, p->src.lo))
        return 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->vouched[middle] < pair)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->vouched_count && t->vouched[low] == pair;
}

const struct fw_client *fw_carried_note(struct fw_carried *t, uint64_t flow, const struct fw_message *m, int first,
                                        uint8_t *via)
{
    uint32_t at = place_of(flow);
    int mine = t->held[at].flow == flow, opens = m->line && first;
    if (!opens && m->line) /* a PROXY line amid a stream is somebody's data */
        return NULL;
    if (!opens && mine && t->held[at].via == FW_VIA_LINE && !t->held[at].deeper) {
        *via = FW_VIA_LINE;
        return &t->held[at].client;
    }
    if (!m->via && !opens)
        return NULL;
    uint8_t deeper = opens ? m->deeper : mine && t->held[at].deeper;
    t->held[at].flow = flow;
    t->held[at].client = (struct fw_client){{m->client_hi, m->client_lo}, m->client_hash};
    t->held[at].via = *via = m->via;
    t->held[at].deeper = deeper;
    return m->via ? &t->held[at].client : NULL;
}

const struct fw_client *fw_carried_find(const struct fw_carried *t, uint64_t flow)
{
    uint32_t at = place_of(flow);
    return t->held[at].flow == flow && t->held[at].via ? &t->held[at].client : NULL;
}
