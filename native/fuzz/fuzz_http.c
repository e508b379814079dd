/* One payload, for each reader of messages. */
#include "../fw_forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fw_key key = {1, 2};
    struct fw_message h;
    if (size > UINT32_MAX)
        return 0;
    int what = fw_http_parse(&key, data, (uint32_t)size, &h);
    if (what != h.what || what < FW_SAID_NOTHING || what > FW_HTTP_RESPONSE)
        __builtin_trap();
    if (what == FW_HTTP_REQUEST &&
        (h.path < data || h.path + h.path_len > data + size || h.path_len > FW_PATH_MAX || h.path_hash == 0))
        __builtin_trap();
    static const struct fw_ranges named = {1, {{0, 0xffff0a000000ull, 0, 0xffff0affffffull}}};
    struct fw_next next;
    what = fw_http_read(&key, &named, data, (uint32_t)size, 1, &h, &next);
    if (what != h.what || (what > FW_HTTP_RESPONSE && what != FW_PROXY_LINE) || h.via > FW_VIA_LINE || (h.deeper && !h.line) ||
        (h.via && h.client_hash != fw_forward_hash(&key, h.client_hi, h.client_lo)) ||
        h.unfinished > 1 || h.owed > FW_OWED_MAX || (h.unfinished && (h.owed || h.via == FW_VIA_HEADER)) ||
        (what == FW_HTTP_REQUEST && (h.path < data || h.path + h.path_len > data + size)))
        __builtin_trap();
    if ((what == FW_HTTP_RESPONSE && h.status > 999) || h.begun > (next.what == FW_NEXT_LINE) ||
        ((next.what == FW_NEXT_LINE || next.what == FW_NEXT_UPGRADED) && next.at > size) ||
        ((next.what == FW_NEXT_REQUEST || next.what == FW_NEXT_CHUNK) && next.at < size))
        __builtin_trap();
    if (fw_dns_parse(&key, data, (uint32_t)size, &h) != FW_SAID_NOTHING &&
        (h.path < data || h.path + h.path_len > data + size || h.path_len > FW_PATH_MAX))
        __builtin_trap();
    if (fw_http2_frames(data, (uint32_t)size) > size / 9)
        __builtin_trap();
    int tls = fw_tls_parse(data, (uint32_t)size, &h);
    if (tls != FW_SAID_NOTHING && (tls != h.what || (tls != FW_TLS_HELLO && tls != FW_TLS_RECORD) ||
                                   h.records > size / 6 || h.small > size / 6))
        __builtin_trap();
    int quic = fw_quic_parse(data, (uint32_t)size, &h);
    if (quic != FW_SAID_NOTHING &&
        (quic != h.what || quic < FW_QUIC_INITIAL || h.path < data || h.path + h.path_len > data + size))
        __builtin_trap();
    return 0;
}
