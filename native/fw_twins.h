/* Frames that were captured twice: a switch that mirrors both directions of a port, or several ports, shows each frame on
 * its way in and out. A copy is known by a hash of the packet and the little time between the two. */
#ifndef FW_TWINS_H
#define FW_TWINS_H

#include "fw_keys.h"
#include "fw_link.h"
#include "fw_points.h"

#define FW_TWINS_SLOTS 16384u
#define FW_TWINS_NS 50000000u /* further apart than this are a frame and its repetition */
#define FW_TWINS_BYTES 64u

struct fw_twins {
    uint32_t copies; /* of each frame, beside the first */
    uint8_t left[FW_TWINS_SLOTS];
    uint64_t hashes[FW_TWINS_SLOTS], times[FW_TWINS_SLOTS];
};

/* Hash of what copies of a frame share: the beginning of the IP packet but what routers change (TTL, traffic class,
 * checksum), not the link layer, and the point where it was seen: what a host forwards is no copy. Of what is no IP the
 * frame without its Ethernet addresses. */
uint64_t fw_frame_hash(const struct fw_key *key, const struct fw_frame *f);

/* Is this a copy of a frame? What comes after `copies` of them is a first one again. */
int fw_twins_seen(struct fw_twins *t, const struct fw_key *key, const struct fw_frame *f);

/* Hash and time of the first `most` frames of a capture that begins at block[pos], pos <= size, with a walker that was
 * just initialised. Returns how many there are: fewer where the block ends or is wrong. */
uint32_t fw_frame_hashes(struct fw_walker *w, const struct fw_key *key, const uint8_t *block, size_t size, size_t pos,
                         uint64_t *hashes, uint64_t *times, uint32_t most);

#endif
