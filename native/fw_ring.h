/* Blocks of an AF_PACKET receive ring (TPACKET_V3) -> decoded batches, without copying a frame.
 *
 * The kernel writes the ring, but nothing in a block is believed: offsets and lengths are checked against the
 * block, and a block that contradicts itself is given back and counted. Layout: linux/if_packet.h and
 * Documentation/networking/packet_mmap.rst of the kernel. Before each frame stands a virtio-net header
 * (PACKET_VNET_HDR) that tells the size of the segments that offloading merged into it. */
#ifndef FW_RING_H
#define FW_RING_H

#include "fw_decode.h"
#include "fw_tail.h"

struct fw_ring {
    uint8_t *blocks;          /* block_count blocks of block_size bytes, shared with the kernel */
    size_t block_size;
    uint32_t block_count;
    uint32_t current;         /* the block that is read, or the next that will be */
    uint32_t left;            /* frames in it that were not read yet */
    uint8_t open;             /* `current` belongs to us */
    size_t at;                /* offset of the next frame's header in the block */
    uint64_t frames;          /* seen, before any filter; a merged frame is one */
    uint64_t damaged;         /* blocks given back because they contradict themselves */
    struct fw_tail *tail;     /* keeps a sample of the frames that were counted, or NULL */
    uint32_t tail_interface;  /* ... as those of this interface, or the next for frames without a link layer */
    struct fw_packet segment; /* of a merged frame ... */
    uint32_t segment_headers; /* ... its bytes before the payload ... */
    uint32_t rest;            /* ... and the payload that still has to go into batches */
};

/* Read the next frame of the open block: 1, 0 at the end of the block, or FW_BAD_BLOCK. A VLAN tag that the
 * kernel took out is put back in front of the frame, in place. `segment_size` is 0 for a frame that was not
 * merged; `echo` marks what a loopback interface shows a second time, on its way out. */
int fw_ring_next(struct fw_ring *r, struct fw_frame *out, uint32_t *segment_size, int *echo);

/* Fill the batch from at most one block; `shift_ns` is taken off the kernel's time stamps. Returns 1 after
 * reading from a block (perhaps with an empty batch), 0 when the kernel has none ready. The block, into which
 * the batch points, goes back to the kernel in the next call. */
int fw_ring_fill(struct fw_ring *r, struct fw_decoder *d, int64_t shift_ns, struct fw_batch *batch);

/* Blocks that the kernel has handed over and not got back: it has no room for frames when these are all. */
uint32_t fw_ring_waiting(const struct fw_ring *r);

#endif
