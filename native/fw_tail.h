/* The newest frames of a ring, a bounded sample of them, as blocks of a pcapng file that need only be written out.
 *
 * Two halves of memory: one fills while the other keeps what came before it. A half is left when it is full or
 * FW_TAIL_NS old, so there are always the last seconds to take. Of each epoch about `budget` frames are kept: every
 * n-th, n from the epoch before, and never more than four times the budget. */
#ifndef FW_TAIL_H
#define FW_TAIL_H

#include "fw_frame.h"

#define FW_TAIL_NS 5000000000ULL
#define FW_TAIL_SLOT_NS 250000000ULL

struct fw_tail {
    uint8_t *halves[2]; /* `room` bytes each, the owner's */
    uint32_t room, budget;
    uint32_t most;      /* bytes of a frame that are kept */
    uint32_t used[2];
    uint8_t current;
    uint64_t began_ns;  /* time of the first frame in the current half */
    uint64_t slot;      /* FW_TAIL_SLOT_NS since 1970 */
    uint32_t frames, kept, every; /* seen and kept in the slot; one in how many is kept */
};

/* Perhaps keep a frame, as an Enhanced Packet Block of interface `interface` with times in nanoseconds. */
void fw_tail_keep(struct fw_tail *t, const struct fw_frame *f, uint32_t interface);

/* Forget everything. */
void fw_tail_clear(struct fw_tail *t);

#endif
