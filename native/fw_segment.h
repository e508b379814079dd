/* Where the TCP segments of a capture lie in its bytes, for who rewrites them: records of pcap, and packet blocks of
 * pcapng that say how much they captured. Segments inside tunnels, fragments, and link layers that carry a length of their own
 * are left out: what is written behind such a header would contradict it. */
#ifndef FW_SEGMENT_H
#define FW_SEGMENT_H

#include "fw_link.h"

#define FW_SECRETS_BLOCK 10u /* pcapng: Decryption Secrets Block */

struct fw_segment {
    uint64_t ts_ns;
    uint64_t flow;        /* keyed hash of the connection, the same for both directions */
    struct fw_addr src, dst;
    uint32_t seq, ack;
    uint32_t record;      /* byte of the block at which its record begins, header included ... */
    uint32_t size;        /* ... and bytes of that record */
    uint32_t frame, ip, payload; /* from the record's beginning to the frame, its IP header and the payload of TCP */
    uint32_t captured;    /* bytes of payload that were captured ... */
    uint32_t wire;        /* ... and sent */
    uint16_t sport, dport;
    uint8_t flags;        /* of TCP */
    uint8_t v6;
    uint8_t hello;        /* 1: the payload begins as a ClientHello of TLS does (RFC 8446, 5.1) */
    uint8_t unused;
};

struct fw_segments {
    struct fw_walker walker;
    struct fw_hasher hasher;
    uint64_t secrets, secrets_size; /* a block of secrets that was just passed: its body; size 0: none was */
    size_t need;          /* bytes that the next record takes */
};

void fw_segments_init(struct fw_segments *s, const struct fw_key *key);

/* List the segments in block[*pos..size), size < 2^32, to out[0..most). Returns 0 when the list is full or a block of
 * secrets was passed, FW_NEED_MORE when the block is used up to *pos, or another negative fw_err: the bytes at *pos are
 * wrong. *count tells how many there are, in every case. */
int fw_segments_list(struct fw_segments *s, const uint8_t *block, size_t size, size_t *pos, struct fw_segment *out,
                     uint32_t most, uint32_t *count);

#endif
