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
#define FW_BEGUN_TEXT 224u /* bytes of a line that are kept: a method, a host and the path that is looked at */
#define FW_SEGMENT_MOST 65536u

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
    uint8_t joined[FW_BEGUN_TEXT + FW_SEGMENT_MOST]; /* a line and the packet that goes on with it */
    struct fw_begun held[FW_BEGUN];
};

/* Read HTTP/1 from a packet of a connection: as fw_http_read, from where a request begins. */
int fw_begun_read(struct fw_beguns *t, struct fw_texts *texts, const struct fw_key *key, const struct fw_ranges *named,
                  uint64_t flow, const struct fw_packet *p, const uint8_t *payload, struct fw_message *out,
                  struct fw_next *next);

/* Is something of this connection waited for? */
int fw_begun_waits(const struct fw_beguns *t, uint64_t flow, const struct fw_packet *p);

#endif
