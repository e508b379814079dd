/* Feed a batch to an engine the way the pipeline does: close the epoch wherever the engine stops. */
#ifndef FW_TESTS_DRIVE_H
#define FW_TESTS_DRIVE_H

#include "../fw_epoch.h"

/* Returns how many epochs were closed. */
static inline uint32_t drive(struct fw_engine *e, const struct fw_batch *b)
{
    uint32_t closed = 0;
    for (uint32_t at = 0; at < b->count;) {
        at += fw_engine_observe(e, b, at);
        if (at < b->count) {
            fw_engine_close_epoch(e, &b->packets[at]);
            closed++;
        }
    }
    return closed;
}

#endif
