/* A saved sketch. What parses must describe exactly these bytes. */
#include <stdlib.h>

#include "../fw_blob.h"
#include "../fw_frequent.h"
#include "../fw_grid.h"
#include "../fw_hll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What loads is saved as the same bytes. */
static int load_keys(const struct fw_blob *b)
{
    const struct fw_key key = {1, 2};
    const char *field = NULL;
    uint32_t k = b->width, entries = fw_frequent_size(k);
    if (k > 4096)
        return 0;
    struct fw_frequent f = {.k = k, .mask = entries - 1};
    f.entries = calloc(entries, sizeof *f.entries);
    const struct fw_entry **list = calloc(k, sizeof *list);
    uint8_t *again = malloc(b->payload_size + 1);
    if (f.entries && list && again && !fw_frequent_load(&f, &key, b->payload, b->payload_size, b->total, &field)) {
        uint32_t n = fw_frequent_list(&f, list);
        if (fw_frequent_saved_size(list, n) != b->payload_size)
            __builtin_trap();
        fw_frequent_save(&f, list, n, again);
        if (memcmp(again, b->payload, b->payload_size) != 0)
            __builtin_trap();
    }
    free(f.entries);
    free(list);
    free(again);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fw_blob b;
    const char *field = NULL;
    if (fw_blob_parse(data, size, &b, &field) != 0)
        return 0;
    if (b.payload != data + FW_BLOB_HEAD || b.payload_size + FW_BLOB_HEAD + FW_BLOB_TAIL != size)
        __builtin_trap();
    if (b.kind == FW_BLOB_HLL) {
        if (fw_blob_registers_plausible(b.payload, b.rank) && !(fw_hll_estimate(b.payload, b.rank) >= 0))
            __builtin_trap();
        return 0;
    }
    if (b.kind == FW_BLOB_TOPK)
        return load_keys(&b);
    struct fw_grid g;
    uint64_t *cells = malloc(b.payload_size);
    if (!cells)
        return 0;
    memcpy(cells, b.payload, b.payload_size);
    fw_grid_init(&g, cells, b.rank, b.width, b.flags);
    g.total = b.total;
    fw_grid_plausible(&g);
    free(cells);
    return 0;
}
