/* Packets of a few connections, in any order: records and headers of the input, through the table. */
#include "../fw_sealed.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A packet is a byte that says whose and how, a byte of length, and that many bytes of payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fw_sealed *table;
    if (!table && !(table = malloc(sizeof *table)))
        return 0;
    memset(table, 0, sizeof *table);
    for (size_t at = 0; size - at > 2;) {
        uint8_t how = data[at], length = data[at + 1];
        const uint8_t *payload = data + at + 2;
        uint32_t n = fw_min32(length, (uint32_t)fw_min32(1000, (uint32_t)(size - at - 2)));
        int quic = how & 1, answer = how >> 1 & 1;
        struct fw_packet p = {.payload = n, .captured = (uint16_t)n, .seq = how >> 2, .ack = length};
        p.sport = answer ? 443 : 50000;
        p.dport = answer ? 50000 : 443;
        p.sender_hash = answer ? 1 : 2u + (how >> 6);
        p.dst_hash = answer ? 2u + (how >> 6) : 1;
        struct fw_message h;
        struct fw_exchange x;
        int said = quic ? fw_quic_parse(payload, n, &h) : fw_tls_parse(payload, n, &h);
        if (said != FW_SAID_NOTHING && fw_sealed_observe(table, &p, &h, &x) &&
            (x.quic > 1 || x.quic != quic || (x.first && !x.turn) || (x.turn && !x.records) || x.bytes > FW_SEALED_GROWN ||
             x.asked.least > x.asked.most))
            __builtin_trap();
        if (said == FW_SAID_NOTHING && fw_sealed_read(table, &p, &x) && (!x.first || x.turn || x.quic || x.bytes))
            __builtin_trap();
        at += 2 + n;
    }
    return 0;
}
