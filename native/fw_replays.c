#include "fw_replays.h"

/* The addresses' hashes are keyed; of equal hashes of other packets at most one is taken for a replay. */
static uint64_t identity(const struct fw_packet *p, uint32_t identification, const uint8_t *payload)
{
    uint64_t h = fw_mix64(p->sender_hash + 3 * p->dst_hash + identification);
    h ^= (uint64_t)p->sport << 48 | (uint64_t)p->dport << 32 | (uint64_t)p->proto << 24 | (p->payload & 0xffffffu);
    h = fw_mix64(h ^ (p->captured >= 8 ? fw_load64(payload) : 0));
    return p->captured >= 16 ? fw_mix64(h ^ fw_load64(payload + 8)) : h;
}

int fw_replays_seen(struct fw_replays *t, struct fw_packet *p, const uint8_t *payload)
{
    uint32_t identification = p->ack;
    p->ack = 0;
    if (identification == 0)
        return 0;
    uint64_t packet = identity(p, identification, payload);
    struct fw_replay *r = &t->held[packet & (FW_REPLAYS_SLOTS - 1)];
    uint16_t tick = (uint16_t)(p->ts_ns >> FW_REPLAYS_TICK);
    int since = (int16_t)(uint16_t)(tick - r->tick); /* clocks of captures step back */
    int known = r->used && r->packet == (uint32_t)(packet >> 32) && since > -FW_REPLAYS_REACH && since < FW_REPLAYS_REACH;
    int near = since > -FW_REPLAYS_COPY && since < FW_REPLAYS_COPY;
    if (known && near && r->copies < FW_REPLAYS_COPIES) {
        r->copies = (uint8_t)(r->copies + 1u);
        return 0;
    }
    uint8_t copies = known && near ? r->copies : 0;
    *r = (struct fw_replay){(uint32_t)(packet >> 32), tick, copies, 1};
    return known;
}
