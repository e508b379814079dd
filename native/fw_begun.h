/* Requests that do not begin with their packet, or do not end their line in it: for every connection where the next one
 * begins, and of a line that was cut what came of it (RFC 9112, 3 and 9.3).
 *
 * A place is found by the keyed flow hash and the newest wins it, so memory is fixed however many connections begin
 * something and leave it. What was lost is read packet by packet, as if nothing had been known. */
#ifndef FW_BEGUN_H
#define FW_BEGUN_H

#include "fw_flow.h"
#include "fw_forward.h"
#include "fw_texts.h"

#define FW_BEGUN 4096u
#define FW_BEGUN_TEXT FW_HTTP_CUT
#define FW_SEGMENT_MOST 65535u /* as much as of one packet is captured */

struct fw_begun {
    uint64_t flow;
    uint32_t seq;     /* of the byte that is waited for */
    uint32_t sender;  /* a piece of the hash of who sends it */
    uint8_t what;     /* enum fw_next_what; FW_NEXT_NOTHING: free */
    uint8_t counted;  /* a line: its request was counted */
    uint16_t length;  /* a line: bytes of it in `text` */
    uint8_t text[FW_BEGUN_TEXT];
};

struct fw_beguns {
    uint32_t used;
    uint64_t senders; /* one of 64 bits of each that something is waited for from, until the table is empty */
    uint8_t joined[FW_BEGUN_TEXT + FW_SEGMENT_MOST]; /* a line and the packet that goes on with it */
    struct fw_begun held[FW_BEGUN];
};

/* Read HTTP/1 from a packet of a connection: as fw_http_read, from where a request begins. */
int fw_begun_read(struct fw_beguns *t, struct fw_texts *texts, const struct fw_key *key, const struct fw_ranges *named,
                  const struct fw_packet *p, const uint8_t *payload, struct fw_message *out,
                  struct fw_next *next);

/* Can something be waited for from who sent this? */
static inline int fw_begun_likely(const struct fw_beguns *t, const struct fw_packet *p)
{
    return (int)(t->senders >> (p->sender_hash & 63) & 1);
}

/* Is something of its connection waited for? */
int fw_begun_waits(const struct fw_beguns *t, const struct fw_packet *p);

#endif
