#include "fw_countmin.h"

struct fw_cm_cell fw_cm_query(const struct fw_countmin *cm, uint64_t hash)
{
    const struct fw_cm_cell *a = &cm->rows[0][fw_cm_index(hash, 0)], *b = &cm->rows[1][fw_cm_index(hash, 1)];
    struct fw_cm_cell out = {fw_min32(a->packets, b->packets), fw_min32(a->requests, b->requests),
                             a->bytes < b->bytes ? a->bytes : b->bytes};
    return out;
}

void fw_cm_merge(struct fw_countmin *into, const struct fw_countmin *other)
{
    into->packets += other->packets;
    for (unsigned row = 0; row < FW_CM_DEPTH; row++)
        for (uint32_t i = 0; i < FW_CM_WIDTH; i++) {
            struct fw_cm_cell *a = &into->rows[row][i];
            const struct fw_cm_cell *b = &other->rows[row][i];
            a->packets = fw_sat_add32(a->packets, b->packets);
            a->requests = fw_sat_add32(a->requests, b->requests);
            a->bytes += b->bytes;
        }
}

void fw_cm_clear(struct fw_countmin *cm) { memset(cm, 0, sizeof *cm); }
