#include "fw_twins.h"

int fw_twins_seen(struct fw_twins *t, const struct fw_key *key, const struct fw_frame *f)
{
    uint64_t hash = fw_frame_hash(key, f);
    uint32_t at = (uint32_t)(hash >> 40) & (FW_TWINS_SLOTS - 1);
    int seen = t->hashes[at] == hash && f->ts_ns - t->times[at] + FW_TWINS_NS <= 2ull * FW_TWINS_NS;
    t->hashes[at] = seen ? 0 : hash;
    t->times[at] = f->ts_ns;
    return seen;
}

uint32_t fw_frame_hashes(struct fw_walker *w, const struct fw_key *key, const uint8_t *block, size_t size, size_t pos,
                         uint64_t *hashes, uint64_t *times, uint32_t most)
{
    struct fw_frame frame;
    size_t need = 0;
    uint32_t n = 0;
    while (n < most) {
        int code = fw_walker_next(w, block, size, &pos, &need, &frame);
        if (code < 0)
            break;
        if (code == 0)
            continue;
        hashes[n] = fw_frame_hash(key, &frame);
        times[n++] = frame.ts_ns;
    }
    return n;
}
