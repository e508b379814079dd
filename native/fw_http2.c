#include "fw_message.h"

#define MAX_SIZE 16384u    /* of a frame, unless the peer allowed more */
#define MAX_ERROR 0xdu     /* RFC 9113, 7 */

enum { STREAM_ANY, STREAM_NONE, STREAM_SOME }; /* whether the frame belongs to a stream */

static const struct {
    uint8_t flags;   /* those that are defined */
    uint8_t stream;
    uint8_t size;    /* of the payload, 0: any */
} RULES[FW_FRAME_TYPES] = {
    [FW_DATA_FRAME] = {0x09, STREAM_SOME, 0},   [FW_HEADERS] = {0x2d, STREAM_SOME, 0},
    [FW_PRIORITY] = {0, STREAM_SOME, 5},        [FW_RST_STREAM] = {0, STREAM_SOME, 4},
    [FW_SETTINGS] = {1, STREAM_NONE, 0},        [FW_PUSH_PROMISE] = {0x0c, STREAM_SOME, 0},
    [FW_PING] = {1, STREAM_NONE, 8},            [FW_GOAWAY] = {0, STREAM_NONE, 0},
    [FW_WINDOW_UPDATE] = {0, STREAM_ANY, 4},    [FW_CONTINUATION] = {0x04, STREAM_SOME, 0},
};

/* Is this a frame's header? `rest` bytes of the frame's payload follow it here. */
static int plausible(const uint8_t *p, uint32_t rest)
{
    uint32_t size = fw_be32(p) >> 8, type = p[3], stream = fw_be32(p + 5);
    if (size > MAX_SIZE || type >= FW_FRAME_TYPES || stream >> 31 || (p[4] & ~RULES[type].flags))
        return 0;
    if (RULES[type].stream != STREAM_ANY && (RULES[type].stream == STREAM_SOME) != (stream != 0))
        return 0;
    if ((RULES[type].size && size != RULES[type].size) || (type == FW_SETTINGS && size % 6) ||
        (type == FW_GOAWAY && size < 8))
        return 0;
    return type != FW_RST_STREAM || rest < 4 || fw_be32(p + FW_FRAME_HEADER) <= MAX_ERROR;
}

int fw_http2_blames(uint32_t code) { return code == 1 || code == 3 || code == 5 || code == 6; }

uint32_t fw_http2_frames(const uint8_t *p, uint32_t size)
{
    uint32_t at = 0, frames = 0;
    while (size - at >= FW_FRAME_HEADER) {
        if (!plausible(p + at, size - at - FW_FRAME_HEADER))
            return 0;
        frames++;
        uint32_t step = FW_FRAME_HEADER + (fw_be32(p + at) >> 8);
        if (step >= size - at)
            break;
        at += step;
    }
    return frames;
}
