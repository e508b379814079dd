#include "fw_rest.h"

#define RECORD 5u

static uint32_t place_of(uint64_t flow) { return (uint32_t)(flow >> 40) & (FW_RESTS - 1); }

void fw_rest_begin(struct fw_rests *t, const struct fw_packet *p, const uint8_t *payload)
{
    uint32_t size = RECORD + fw_be16(payload + 3);
    if (size <= p->payload)
        return;
    uint64_t flow = fw_flow_hash(p);
    t->used = 1;
    t->held[place_of(flow)] = (struct fw_rest){flow, (uint32_t)p->sender_hash, p->seq + p->payload, size - p->payload};
}

int fw_rest_goes_on(const struct fw_rests *t, const struct fw_packet *p)
{
    uint64_t flow = fw_flow_hash(p);
    const struct fw_rest *r = &t->held[place_of(flow)];
    return r->size && r->flow == flow && r->sender == (uint32_t)p->sender_hash && p->seq - r->from < r->size;
}
