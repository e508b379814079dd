#include "fw_message.h"

#define QUIC_V1 0x00000001u
#define QUIC_V2 0x6b3343cfu

int fw_tls_parse(const uint8_t *p, uint32_t size, struct fw_message *out)
{
    enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22, APPLICATION_DATA = 23, CLIENT_HELLO = 1 };
    if (size < 6 || p[1] != 3 || p[2] > 4 || fw_be16(p + 3) == 0 || fw_be16(p + 3) > (1u << 14) + 256)
        return FW_SAID_NOTHING;
    int what = FW_SAID_NOTHING;
    if (p[0] == HANDSHAKE && p[5] == CLIENT_HELLO)
        what = FW_TLS_HELLO;
    else if (p[0] == APPLICATION_DATA || p[0] == CHANGE_CIPHER_SPEC || p[0] == HANDSHAKE)
        what = FW_TLS_RECORD;
    if (what != FW_SAID_NOTHING) {
        memset(out, 0, sizeof *out);
        out->what = (uint8_t)what;
    }
    return what;
}

int fw_quic_parse(const uint8_t *p, uint32_t size, struct fw_message *out)
{
    if (size < 7 || (p[0] & 0xc0u) != 0xc0u)
        return FW_SAID_NOTHING;
    uint32_t version = fw_be32(p + 1), type = (p[0] >> 4) & 3u;
    int initial = (version == QUIC_V1 && type == 0) || (version == QUIC_V2 && type == 1);
    if (!initial || p[5] > 20)
        return FW_SAID_NOTHING;
    memset(out, 0, sizeof *out);
    out->what = FW_QUIC_INITIAL;
    return FW_QUIC_INITIAL;
}
