/* Packets of a few connections: [ back and flow u8 | seq step i8 | cut u8 | size u8 | bytes ] over and over. What is told
 * lies in the payload or in the texts, and no table grows. */
#include "../fw_follow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fw_follow follow;
static const struct fw_key KEY = {1, 2};

static void check(const struct fw_message *m, int said, const uint8_t *payload, uint32_t captured)
{
    if (said != FW_SAID_NOTHING && (m->what != said || said > FW_QUIC_SHORT))
        __builtin_trap();
    if (said != FW_HTTP_REQUEST)
        return;
    int here = m->path >= payload && m->path + m->path_len <= payload + captured;
    int kept = m->path >= follow.texts.log && m->path + m->path_len <= follow.texts.log + FW_TEXTS_LOG;
    if (m->path_len > FW_PATH_MAX || !(here || kept) || (m->begun && m->resumed))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t next[16] = {0};
    fw_follow_clear(&follow);
    for (size_t at = 0; at + 4 <= size;) {
        unsigned flow = data[at] & 7u, back = data[at] >> 3 & 1u, long_one = data[at] >> 4 & 1u;
        uint32_t n = fw_min32(data[at + 3] * (long_one ? 16u : 1u), (uint32_t)(size - at - 4));
        uint32_t captured = n - fw_min32(n, data[at + 2] & 128u ? data[at + 2] & 127u : 0);
        struct fw_packet p = {.kind = FW_DATA, .proto = 6, .payload = n, .ts_ns = at * 1000000ull};
        p.captured = (uint16_t)captured;
        p.sender_hash = p.src_hash = back ? 2 : 1, p.dst_hash = back ? 1 : 2;
        p.sport = (uint16_t)(back ? 80 : 40000 + flow), p.dport = (uint16_t)(back ? 40000 + flow : 80);
        uint32_t *mine = &next[2 * flow + back];
        p.seq = (uint32_t)((int64_t)*mine + (int8_t)data[at + 1]);
        p.ack = next[2 * flow + !back];
        *mine = p.seq + n;
        struct fw_message m;
        memset(&m, 0, sizeof m);
        if (captured)
            check(&m, fw_follow_hear(&follow, &KEY, NULL, &p, data + at + 4, &m), data + at + 4, captured);
        at += 4 + n;
    }
    return follow.beguns.used > FW_BEGUN || follow.sockets.used > FW_SOCKET_SETS * FW_SOCKET_WAYS ||
           follow.streams.used > FW_STREAM_SETS * FW_STREAM_WAYS;
}
