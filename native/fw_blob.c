#include "fw_blob.h"

#include "fw_frequent.h"
#include "fw_grid.h"

static const uint8_t MAGIC[4] = {'F', 'W', 'S', 'K'};
#define VERSION 1

void fw_blob_head(const struct fw_blob *b, uint8_t out[FW_BLOB_HEAD])
{
    const uint8_t small[4] = {VERSION, b->kind, b->flags, b->rank};
    memset(out, 0, FW_BLOB_HEAD);
    memcpy(out, MAGIC, 4);
    memcpy(out + 4, small, 4);
    memcpy(out + 8, &b->width, 4);
    memcpy(out + 16, &b->key, 8);
    memcpy(out + 24, &b->total, 8);
}

/* The first field that contradicts the format, or NULL. Sets payload_size. */
static const char *wrong_field(const uint8_t *bytes, struct fw_blob *b)
{
    if (memcmp(bytes, MAGIC, 4) != 0)
        return "magic";
    if (bytes[4] != VERSION)
        return "version";
    if (b->kind < FW_BLOB_COUNTMIN || b->kind > FW_BLOB_TOPK)
        return "kind";
    if (b->flags > (b->kind == FW_BLOB_COUNTMIN ? 1 : 0))
        return "flags";
    if (fw_load32(bytes + 12) != 0)
        return "reserved";
    if (b->kind == FW_BLOB_TOPK) { /* its items state their own sizes */
        if (b->rank != 0)
            return "rank";
        if (b->width < 3 || b->width > FW_FREQUENT_MAX_K)
            return "width";
        return b->key != 0 ? "key" : NULL;
    }
    if (b->kind == FW_BLOB_HLL) {
        if (b->rank < 4 || b->rank > 18)
            return "rank";
        if (b->width != 1u << b->rank)
            return "width";
        b->payload_size = b->width;
        return b->total != 0 ? "total" : NULL;
    }
    if (b->rank < 1 || b->rank > FW_GRID_MAX_DEPTH)
        return "rank";
    if (b->width < 1 || b->width > FW_GRID_MAX_WIDTH)
        return "width";
    b->payload_size = (size_t)8 * b->rank * b->width;
    return NULL;
}

int fw_blob_parse(const uint8_t *bytes, size_t n, struct fw_blob *b, const char **field)
{
    *field = "size";
    if (n < FW_BLOB_HEAD + FW_BLOB_TAIL)
        return FW_BAD_RECORD;
    b->kind = bytes[5];
    b->flags = bytes[6];
    b->rank = bytes[7];
    b->width = fw_load32(bytes + 8);
    b->key = fw_load64(bytes + 16);
    b->total = fw_load64(bytes + 24);
    b->payload = bytes + FW_BLOB_HEAD;
    b->payload_size = n - FW_BLOB_HEAD - FW_BLOB_TAIL;
    const char *wrong = wrong_field(bytes, b);
    if (wrong) {
        *field = wrong;
        return FW_BAD_RECORD;
    }
    return n == FW_BLOB_HEAD + b->payload_size + FW_BLOB_TAIL ? 0 : FW_BAD_RECORD;
}

int fw_blob_registers_plausible(const uint8_t *registers, unsigned p)
{
    uint8_t most = 0;
    for (size_t i = 0; i < (size_t)1 << p; i++)
        most = registers[i] > most ? registers[i] : most;
    return most <= 65 - p;
}
