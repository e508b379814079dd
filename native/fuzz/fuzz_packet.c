/* One frame: [ link type u16 | frame ]. Read whole, then with a longer wire length. */
#include "../fw_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(uint16_t linktype, const uint8_t *data, uint32_t size, uint32_t len)
{
    static struct fw_hasher hasher = {.key = {1, 2}};
    struct fw_frame f = {.data = data, .caplen = size, .len = len, .linktype = linktype};
    struct fw_packet p;
    const uint8_t *payload = NULL;
    int rc = fw_packet_decode(&hasher, &f, &p, &payload);
    if (rc < 0 || rc > FW_REJECTS)
        __builtin_trap();
    if (rc)
        return;
    if (p.kind >= FW_KINDS || p.captured > p.payload || p.payload > len)
        __builtin_trap();
    if (p.captured && (payload < data || payload + p.captured > data + size))
        __builtin_trap();
    struct fw_packet inner;
    int reject;
    if (!fw_packet_inner(&hasher, &p, &inner, &payload, &reject))
        return;
    if (reject < 0 || reject > FW_REJECTS || (reject != 0) != (inner.kind == FW_MALFORMED))
        __builtin_trap();
    if (inner.kind >= FW_KINDS || inner.kind == FW_CARRIER || inner.captured > inner.payload || inner.payload > len)
        __builtin_trap();
    if (inner.captured && (payload < data || payload + inner.captured > data + size))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t known[16] = {1, 113, 276, 101, 51, 0, 109, 9, 104, 107, 6, 119, 163, 127, 192, 239};
    if (size < 2 || size > FW_MAX_CAPLEN)
        return 0;
    uint16_t chosen = fw_load16(data);
    uint32_t n = (uint32_t)size - 2;
    one(chosen, data + 2, n, n);
    one(known[chosen & 15], data + 2, n, n);
    one(known[chosen & 15], data + 2, n, n + (chosen >> 8) * 8u);
    return 0;
}
