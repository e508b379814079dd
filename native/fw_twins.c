#include "fw_twins.h"

uint64_t fw_frame_hash(const struct fw_key *key, const struct fw_frame *f)
{
    struct fw_cursor c = {f->data, f->caplen, f->len, 0};
    uint8_t head[FW_TWINS_BYTES];
    uint16_t type = 0;
    uint32_t from = f->linktype == 1 && f->caplen > 12 ? 12 : 0;
    if (fw_link_strip(f->linktype, &c, &type) || c.captured < 20)
        return fw_hash_bytes(key, f->data + from, fw_min32(f->caplen - from, FW_TWINS_BYTES)) + f->len;
    int six = type == FW_TYPE_IPV6;
    uint32_t length = six ? fw_be16(c.p + 4) + 40u : fw_be16(c.p + 2);
    c.wire = length >= 20 ? fw_min32(c.wire, length) : c.wire; /* padding is no part of it */
    uint32_t n = fw_min32(fw_min32(c.captured, c.wire), FW_TWINS_BYTES);
    memcpy(head, c.p, n);
    head[0] &= six ? 0xf0u : 0xffu;
    head[1] &= six ? 0x0fu : 0;
    head[six ? 7 : 8] = 0;
    if (!six)
        head[10] = head[11] = 0;
    return fw_hash_bytes(key, head, n) + c.wire + ((uint64_t)fw_point_of(f) << 32);
}

int fw_twins_seen(struct fw_twins *t, const struct fw_key *key, const struct fw_frame *f)
{
    uint64_t hash = fw_frame_hash(key, f);
    uint32_t at = (uint32_t)(hash >> 40) & (FW_TWINS_SLOTS - 1);
    int seen = t->hashes[at] == hash && f->ts_ns - t->times[at] + FW_TWINS_NS <= 2ull * FW_TWINS_NS;
    if (seen && t->left[at]) {
        t->left[at]--;
        return 1;
    }
    t->hashes[at] = hash;
    t->times[at] = f->ts_ns;
    t->left[at] = (uint8_t)t->copies;
    return 0;
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
