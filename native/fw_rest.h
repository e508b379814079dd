/* Hellos of TLS that need more than one segment (with post-quantum keys most do): which packets go on with them.
 *
 * Of each connection is kept where its record ends; nothing is stored of what it says. A place is found by the keyed flow
 * hash and the newest wins it, so memory and work are fixed however many hellos are begun and left. A hello in several
 * records, of which a later one begins in a later segment, is followed no further than the first record. */
#ifndef FW_REST_H
#define FW_REST_H

#include "fw_flow.h"

#define FW_RESTS 1024u

struct fw_rest {
    uint64_t flow;
    uint32_t sender; /* a piece of the hash of who sends it */
    uint32_t from;   /* sequence number of the first byte that is missing ... */
    uint32_t size;   /* ... and how many are; 0: free */
};

struct fw_rests {
    uint32_t used; /* something was begun once */
    struct fw_rest held[FW_RESTS];
};

/* A packet that begins with a ClientHello: is its record longer? */
void fw_rest_begin(struct fw_rests *t, const struct fw_packet *p, const uint8_t *payload);

/* Does a packet that says nothing by itself belong to such a record? */
int fw_rest_goes_on(const struct fw_rests *t, const struct fw_packet *p);

#endif
