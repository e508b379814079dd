/* Frames that were captured twice: a switch that mirrors both directions of a port shows each frame on its way in
 * and out. The second copy of a frame is known by a hash of its bytes and the little time between the two. */
#ifndef FW_TWINS_H
#define FW_TWINS_H

#include "fw_frame.h"
#include "fw_keys.h"

#define FW_TWINS_SLOTS 16384u
#define FW_TWINS_NS 50000000u /* further apart than this are a frame and its repetition */
#define FW_TWINS_BYTES 128u

struct fw_twins {
    uint64_t hashes[FW_TWINS_SLOTS], times[FW_TWINS_SLOTS];
};

/* Hash of what two copies of a frame share: all but the addresses of Ethernet, which routing changes. */
static inline uint64_t fw_frame_hash(const struct fw_key *key, const struct fw_frame *f)
{
    uint32_t from = f->linktype == 1 && f->caplen > 12 ? 12 : 0;
    return fw_hash_bytes(key, f->data + from, fw_min32(f->caplen - from, FW_TWINS_BYTES)) + f->len;
}

/* Is this the second copy of a frame? A third one is a first one again. */
int fw_twins_seen(struct fw_twins *t, const struct fw_key *key, const struct fw_frame *f);

/* Hash and time of the first `most` frames of a capture that begins at block[pos], pos <= size, with a walker that was
 * just initialised. Returns how many there are: fewer where the block ends or is wrong. */
uint32_t fw_frame_hashes(struct fw_walker *w, const struct fw_key *key, const uint8_t *block, size_t size, size_t pos,
                         uint64_t *hashes, uint64_t *times, uint32_t most);

#endif
