/* Bytes of a capture -> a batch of decoded, hashed packets, with everything that is counted about reading. */
#ifndef FW_DECODE_H
#define FW_DECODE_H

#include "fw_epoch.h"
#include "fw_follow.h"
#include "fw_forward.h"
#include "fw_hellos.h"
#include "fw_hosts.h"
#include "fw_points.h"
#include "fw_replays.h"
#include "fw_tunnel.h"
#include "fw_twins.h"

#define FW_LINKTYPES_SEEN 8u    /* link types of one capture that are remembered by name */
#define FW_FILTER_LINKTYPES 32u /* link types that a filter may be compiled for */

/* libpcap's filter function: (program, bytes, wire length, captured length) -> 0 drops the frame. */
typedef unsigned (*fw_filter_fn)(const void *program, const unsigned char *data, unsigned len, unsigned caplen);

struct fw_filter {
    fw_filter_fn run; /* NULL: no filter */
    const void *programs[FW_FILTER_LINKTYPES];
    uint16_t linktypes[FW_FILTER_LINKTYPES];
    uint32_t count;
};

struct fw_decoder {
    struct fw_hasher hasher;
    struct fw_walker walker;
    struct fw_filter filter;
    uint64_t since_ns, last_allowed_ns; /* frames before or after are not counted */
    struct fw_twins *twins;       /* drops second copies of frames; NULL: none */
    uint64_t duplicates;          /* copies dropped */
    struct fw_ranges *named;      /* proxies that the operator names; NULL: none */
    struct fw_points *points;     /* drops packets that were counted at another point; NULL: none */
    uint64_t elsewhere;           /* such packets */
    struct fw_replays replays;    /* datagrams that came lately */
    struct fw_hosts only;         /* packets to or from these; held is NULL: of all */
    struct fw_hellos *hellos;     /* collects ClientHellos; NULL: nobody asks for them */
    uint64_t offset;              /* bytes consumed of the capture */
    uint64_t frames, bytes;       /* walked (after the filter): records, and their wire bytes */
    uint64_t filtered;            /* frames that the filter, or the time, did not want ... */
    uint64_t unwanted_first_ns, unwanted_last_ns; /* ... and the earliest and latest time stamp of them */
    uint64_t first_ns, last_ns;   /* earliest and latest time stamp */
    uint64_t previous_ns;
    uint64_t rejected[FW_REJECTS];
    uint16_t unread_type;         /* majority EtherType of the frames that are not IP (Boyer, Moore 1981) ... */
    int32_t unread_vote;          /* ... and its vote */
    uint64_t tunnelled[FW_TUNNELS]; /* frames whose outermost tunnel was of a kind */
    struct fw_frame frame;        /* the last one that fw_decoder_fill took */
    uint64_t need;                /* bytes the next record takes, when the block ended inside it */
    uint32_t linktype_count;
    uint16_t linktypes[FW_LINKTYPES_SEEN];
    struct fw_follow follow;      /* last, and large: untouched pages of it cost nothing */
};

/* Make a decoder anew; its memory is zero, or was a decoder before. */
void fw_decoder_init(struct fw_decoder *d, const struct fw_key *key);

/* Filter, account and decode one frame into a batch with count < capacity. What a tunnel carries comes behind its
 * carrier. A frame without a time of its own gets that of the one before. */
void fw_decoder_take(struct fw_decoder *d, struct fw_frame *frame, struct fw_batch *batch);

/* Fill the batch from block[*pos..size). Returns 0 when the batch is full, FW_NEED_MORE when the block is
 * used up to *pos, or a negative fw_err for wrong bytes at *pos. The batch is valid in every case, as long as
 * the block is. */
int fw_decoder_fill(struct fw_decoder *d, const uint8_t *block, size_t size, size_t *pos, struct fw_batch *batch);

#endif
