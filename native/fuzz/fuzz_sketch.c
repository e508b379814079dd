/* A saved sketch. What parses must describe exactly these bytes. */
#include <stdlib.h>

#include "../fw_blob.h"
#include "../fw_grid.h"
#include "../fw_hll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
        return 0;
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
