/* Header blocks: [ size u8 | bytes ] over and over, each once more byte by byte: both say the same. */
#include "../fw_hpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fw_key KEY = {1, 2};
    static struct fw_hpack whole, pieces;
    memset(&whole, 0, sizeof whole);
    memset(&pieces, 0, sizeof pieces);
    for (size_t at = 0; at < size;) {
        uint32_t n = fw_min32(data[at], (uint32_t)(size - at - 1));
        const uint8_t *block = data + at + 1;
        fw_hpack_begin(&whole);
        fw_hpack_begin(&pieces);
        int said = fw_hpack_feed(&whole, &KEY, block, n), same = 0;
        for (uint32_t i = 0; i < n && same == 0; i++)
            same = fw_hpack_feed(&pieces, &KEY, block + i, 1);
        const struct fw_fields *f = &whole.fields, *g = &pieces.fields;
        if (said != same || whole.inserted != pieces.inserted || f->path_hash != g->path_hash || f->status != g->status ||
            f->has != g->has || f->path_len != g->path_len || f->path_len > FW_PATH_MAX || f->status > 999)
            __builtin_trap();
        at += 1 + n;
    }
    return 0;
}
