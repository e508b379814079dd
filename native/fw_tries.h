/* Ports of a host that a source tries again within a minute. A scan asks each port once, and once more where nothing
 * answers; whoever draws ports at random meets some of them again, as birthdays do, whether they answered or not. Where a
 * source finished a handshake it comes back to be served.
 *
 * Each host has a place for every port and for one of eight groups of sources, by keyed hashes; who comes later takes it
 * over, so that what is counted is a lower bound. */
#ifndef FW_TRIES_H
#define FW_TRIES_H

#include "fw_flow.h"
#include "fw_victim.h"

#define FW_TRIES_SLOTS 65536u
#define FW_TRIES_EPOCHS 240u /* a minute */
#define FW_TRIES_MOST 3u     /* so many are counted */

struct fw_try {
    uint32_t who;   /* hash of source, host and port */
    uint32_t epoch; /* of the last one */
    uint16_t tries;
    uint8_t answered; /* by SYN-ACK or RST */
    uint8_t served;   /* a handshake was finished there */
};

struct fw_tries {
    struct fw_try held[FW_TRIES_SLOTS];
};

/* A SYN that is no retransmission. Returns what is known of that port, with this one. */
const struct fw_try *fw_tries_note(struct fw_tries *t, const struct fw_packet *syn, uint64_t epoch);

/* A SYN-ACK or RST: the port that it comes from answered whom it goes to. */
void fw_tries_answer(struct fw_tries *t, const struct fw_packet *answer);

/* A client's packet that finishes a handshake. */
void fw_tries_serve(struct fw_tries *t, const struct fw_packet *p);

/* A SYN, SYN-ACK or RST, by what the handshake table says of it; counts for its victim, if that has a slot. Who asks again
 * because nobody answered tries none, nor does who is served there. */
void fw_tries_observe(struct fw_tries *t, const struct fw_packet *p, enum fw_flow_news news, uint64_t epoch,
                      struct fw_slot *to, const struct fw_slot *from);

#endif
