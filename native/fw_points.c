#include "fw_points.h"

/* The addresses' hashes are keyed, and what is mixed with them cannot bring two pairs of addresses together. */
static uint64_t identity(const struct fw_packet *p, const uint8_t *payload)
{
    uint64_t said = p->captured >= 8 ? fw_load64(payload) : 0;
    uint64_t h = fw_mix64(p->sender_hash + 3 * p->dst_hash);
    h += (uint64_t)p->sport << 48 | (uint64_t)p->dport << 32 | (uint64_t)p->proto << 24 | (uint64_t)p->tcp_flags << 16;
    h = fw_mix64(h ^ p->payload);
    uint32_t ack = p->kind < FW_UDP ? p->ack : 0; /* of equal datagrams one place is enough */
    return fw_mix64(h ^ ((uint64_t)p->seq << 32 | ack) ^ fw_mix64(said));
}

int fw_points_elsewhere(struct fw_points *t, const struct fw_packet *p, const uint8_t *payload, uint64_t ts_ns,
                        uint32_t point)
{
    uint64_t packet = identity(p, payload);
    struct fw_sighting *s = &t->seen[packet & (FW_POINTS_SLOTS - 1)];
    uint32_t ticks = (uint32_t)(ts_ns >> 20);
    if (s->packet == packet && s->point != point && ticks - s->ticks + FW_POINTS_TICKS <= 2 * FW_POINTS_TICKS)
        return 1;
    *s = (struct fw_sighting){packet, point, ticks};
    return 0;
}
