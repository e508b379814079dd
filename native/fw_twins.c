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
