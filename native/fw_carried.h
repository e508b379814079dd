/* For whom the connections of proxies speak: what a PROXY line said ahead of a connection, or the newest request's header.
 *
 * Only senders that are trusted get an entry, and the flow hash is keyed, so nobody else pushes one out. The newest wins
 * a place: what was lost is counted for the proxy. */
#ifndef FW_CARRIED_H
#define FW_CARRIED_H

#include "fw_forward.h"
#include "fw_packet.h"

#define FW_CARRIED 16384u
#define FW_VOUCHED_MOST 4096u

struct fw_client {
    struct fw_addr address; /* IPv4 as in ::ffff:a.b.c.d */
    uint64_t hash;          /* as in src_hash */
};

struct fw_carried {
    struct {
        uint64_t flow;
        struct fw_client client;
        uint8_t via, deeper;
    } held[FW_CARRIED];
    struct fw_ranges named;             /* proxies that the operator names */
    uint32_t vouched_count;
    uint64_t vouched[FW_VOUCHED_MOST];  /* pairs (proxy, victim) that earned trust, in order */
};

int fw_carried_trusts(const struct fw_carried *t, const struct fw_packet *p, uint64_t pair);

/* Note what a trusted sender says; `first` tells that the payload opens its connection. Returns for whom the request is, or
 * NULL, with *via. */
const struct fw_client *fw_carried_note(struct fw_carried *t, uint64_t flow, const struct fw_message *m, int first,
                                        uint8_t *via);

/* For whom the newest request of a flow was, or NULL. */
const struct fw_client *fw_carried_find(const struct fw_carried *t, uint64_t flow);

#endif
