/* Datagrams that are sent over and over: a capture in a loop, a program that knows one packet.
 *
 * A host gives each IPv4 packet that may be fragmented, and each fragment, an identification of its own for as long as
 * packets live (RFC 791, RFC 6864), so one that comes back with its identification, length and first bytes was not
 * sent by a host that says it again. A mirror shows a packet at once, and not often. Packets without an identification
 * (0, and IPv6 but for fragments) are not told: programs repeat themselves, and those are equal. */
#ifndef FW_REPLAYS_H
#define FW_REPLAYS_H

#include "fw_packet.h"

#define FW_REPLAYS_SLOTS 16384u
#define FW_REPLAYS_TICK 24u   /* a tick is 2^24 ns: 17 ms */
#define FW_REPLAYS_COPY 6     /* 0.1 s: so near are a mirror's copies ... */
#define FW_REPLAYS_COPIES 2u  /* ... and so many, beside the first */
#define FW_REPLAYS_REACH 600  /* 10 s: so far apart it may be chance, for identifications come again */

struct fw_replay {
    uint32_t packet; /* hash of it */
    uint16_t tick;   /* when it came last */
    uint8_t copies, used;
};

struct fw_replays {
    struct fw_replay held[FW_REPLAYS_SLOTS];
};

/* Takes the identification out of p->ack, where fw_packet_decode leaves it for packets that are no TCP. Did the packet come
 * before, as no mirror shows it? */
int fw_replays_seen(struct fw_replays *t, struct fw_packet *p, const uint8_t *payload);

#endif
