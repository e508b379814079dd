#include "fw_message.h"

#define QUIC_V1 0x00000001u

#define RECORD_HEADER 5u
#define RECORD_MOST ((1u << 14) + 256u)

/* Lengths of records of TLS 1.3 that ask for nothing: an alert, and of
 * HTTP/2 (RFC 9113, 6) the acknowledgement of SETTINGS and frames with four bytes behind their header. */
enum { ALERT_13 = 2 + FW_TLS_AROUND, SETTINGS_ACK = 9 + FW_TLS_AROUND, SMALL_FRAME = 13 + FW_TLS_AROUND };
/* In TLS 1.2 with AES-GCM (RFC 5288, 3) a record is 24 bytes longer. */
enum { SETTINGS_ACK_12 = 9 + 24 };

static void take_data(struct fw_message *out, uint16_t length)
{
    out->framed |= (uint8_t)(length == SETTINGS_ACK || length == SETTINGS_ACK_12);
    if (length == ALERT_13) {
        out->shook |= FW_SHOOK_ALERT;
    } else if (length == SMALL_FRAME) {
        fw_count8(&out->small, 1);
    } else if (length != SETTINGS_ACK) {
        if (out->records < 2)
            out->record[out->records] = length;
        fw_count8(&out->records, 1);
        out->plain += length > FW_TLS_AROUND ? length - FW_TLS_AROUND : 1;
    }
}

int fw_tls_parse(const uint8_t *p, uint32_t size, struct fw_message *out)
{
    enum { CHANGE_CIPHER_SPEC = 20, ALERT, HANDSHAKE, APPLICATION_DATA, CLIENT_HELLO = 1 };
    int what = FW_SAID_NOTHING;
    for (uint32_t at = 0; size - at > RECORD_HEADER; ) {
        const uint8_t *r = p + at;
        uint16_t length = fw_be16(r + 3);
        if (r[1] != 3 || r[2] > 4 || length == 0 || length > RECORD_MOST || r[0] < CHANGE_CIPHER_SPEC ||
            r[0] > APPLICATION_DATA)
            break;
        if (at == 0) {
            memset(out, 0, sizeof *out);
            what = r[0] == HANDSHAKE && r[RECORD_HEADER] == CLIENT_HELLO ? FW_TLS_HELLO : FW_TLS_RECORD;
        }
        if (r[0] == APPLICATION_DATA)
            take_data(out, length);
        else if (r[0] == CHANGE_CIPHER_SPEC)
            out->shook |= FW_SHOOK_CHANGED;
        else
            out->shook |= r[0] == ALERT ? FW_SHOOK_ALERT : FW_SHOOK_HANDSHAKE;
        if (length >= size - at - RECORD_HEADER)
            break;
        at += RECORD_HEADER + length;
    }
    if (what != FW_SAID_NOTHING)
        out->what = (uint8_t)what;
    if (what == FW_TLS_HELLO)
        out->whole = p;
    return what;
}

int fw_quic_parse(const uint8_t *p, uint32_t size, struct fw_message *out)
{
    enum { CID_MOST = 20 };
    int what = FW_SAID_NOTHING;
    uint32_t at = 1, most = CID_MOST;
    if (size < 7 || !(p[0] & 0x40u))
        return what;
    if (p[0] & 0x80u) {
        uint32_t version = fw_be32(p + 1), type = (p[0] >> 4) & 3u;
        if ((version != QUIC_V1 && version != FW_QUIC_V2) || p[5] > CID_MOST)
            return what;
        what = type == (version == FW_QUIC_V2) ? FW_QUIC_INITIAL : FW_QUIC_LONG;
        at = 5;
        most = 2 * (1 + CID_MOST);
    } else {
        what = FW_QUIC_SHORT;
    }
    memset(out, 0, sizeof *out);
    out->what = (uint8_t)what;
    out->whole = what == FW_QUIC_INITIAL ? p : NULL;
    out->path = p + at;
    out->path_len = (uint16_t)fw_min32(size - at, most);
    return what;
}
