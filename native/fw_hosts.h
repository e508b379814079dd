/* A set of addresses in order, of any size: whose packets are wanted. */
#ifndef FW_HOSTS_H
#define FW_HOSTS_H

#include "fw_packet.h"

struct fw_hosts {
    uint64_t count;
    const struct fw_addr *held; /* ascending */
};

static inline int fw_hosts_hold(const struct fw_hosts *h, const struct fw_addr *a)
{
    uint64_t low = 0, high = h->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct fw_addr *m = &h->held[middle];
        if (m->hi < a->hi || (m->hi == a->hi && m->lo < a->lo))
            low = middle + 1;
        else
            high = middle;
    }
    return low < h->count && fw_addr_equal(&h->held[low], a);
}

#endif
