/* HTTP/2 in clear text (RFC 9113), followed from the client's preface, or from answer 101, on: which requests and answers
 * its header blocks hold, whoever cuts them into frames and packets, and how.
 *
 * The newest connections keep their places (two for each hash), so memory is fixed. Where a piece is missing, reading goes
 * on at the next packet that begins with a frame, and what the compression's table held is not known any more. */
#ifndef FW_STREAMS_H
#define FW_STREAMS_H

#include "fw_flow.h"
#include "fw_hpack.h"
#include "fw_texts.h"

#define FW_STREAM_SETS 1024u
#define FW_STREAM_WAYS 2u
#define FW_LEAD_MOST 6u /* bytes of a frame's payload that are looked at before a header block */

/* One direction of a connection. */
struct fw_half {
    uint32_t next;           /* sequence number of the next byte */
    uint32_t left, stream;   /* of the frame: bytes that are to come; its stream */
    uint32_t newest;         /* stream that was opened last ... */
    uint64_t ended;          /* ... and which of the 64 up to it the client has ended, the newest lowest */
    uint8_t known;           /* `next` is */
    uint8_t lost;            /* wait for a packet that begins with a frame */
    uint8_t type, flags, got, lead_got, lead_want;
    uint8_t pad;             /* bytes at the end of the frame that are none of the block */
    uint8_t block, fresh;    /* a header block is open; it opens a stream */
    uint8_t head[FW_FRAME_HEADER], lead[FW_LEAD_MOST];
    struct fw_hpack hpack;
};

struct fw_connection {
    uint64_t flow, last_ns;
    uint32_t client; /* a piece of its hash */
    uint8_t used;
    struct fw_half halves[2]; /* the client's, the server's */
};

struct fw_streams {
    uint32_t used;
    struct fw_connection held[FW_STREAM_SETS][FW_STREAM_WAYS];
};

/* A server agrees to go on with HTTP/2: what stands in its packet from `at` on is read as such by fw_stream_hear. */
void fw_stream_open(struct fw_streams *t, uint64_t flow, const struct fw_packet *p, uint32_t at);

/* Read a packet of a flow. Returns 1 if it belongs to a connection that is followed, or begins one, and fills *out. */
int fw_stream_hear(struct fw_streams *t, struct fw_texts *texts, const struct fw_key *key, uint64_t flow,
                   const struct fw_packet *p, const uint8_t *payload, struct fw_message *out);

#endif
