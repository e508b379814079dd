/* Link layers: what stands before IP in each, at every cut, and nested beyond reason. */
#include "check.h"
#include "make.h"

#include "../fw_link.h"

struct header {
    uint16_t linktype;
    uint16_t size;
    uint8_t bytes[200];
};

static const struct header HEADERS[] = {
    {0, 4, {2, 0, 0, 0}},
    {0, 4, {0, 0, 0, 2}},
    {108, 4, {0, 0, 0, 2}},
    {9, 4, {0xff, 3, 0, 0x21}},
    {9, 2, {0, 0x21}},
    {9, 1, {0x21}},
    {50, 4, {0x0f, 0, 8, 0}},
    {104, 4, {0x0f, 0, 8, 0}},
    {107, 4, {0x18, 0x41, 3, 0xcc}},
    {107, 4, {0x18, 0x41, 8, 0}},
    {107, 10, {0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0}},
    {6, 22, {0x10, 0x40, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {6, 24, {0x10, 0x40, 0, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 2, 2, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {10, 21, {0x50, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {105, 32, {8, 1, [24] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {105, 34, {0x88, 1, [26] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {127, 40, {0, 0, 8, 0, 0, 0, 0, 0, 8, 1, [32] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {192, 9, {0, 0, 8, 0, 9, 0, 0, 0, 0x21}},
    {239, 16, {2, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, 24, 0, 9, 0}},
    {1, 22, {[12] = 0x88, 0x64, 0x11, 0, 0, 1, 0, 22, 0, 0x21}},
    {1, 18, {[12] = 0x88, 0x47, 0, 0, 0x11, 64}},
    {1, 22, {[12] = 0x88, 0x47, 0, 0, 0x10, 64, 0, 0, 0x21, 64}},
    {1, 36, {[12] = 0x88, 0x47, 0, 0, 0x11, 64, 0, 0, 0, 0, [34] = 8, 0}},
    {1, 20, {[12] = 0x89, 0x26, 0, 0, 0, 0, 8, 0}},
    {1, 22, {[12] = 0x89, 0x88, 0, 0, 0, 0, 0, 0, 8, 0}},
    {1, 22, {[12] = 0x89, 0x09, 1, 1, 0, 1, 0, 7, 8, 0}},
    {1, 30, {[12] = 0x89, 0x88, 0, 0, 0, 0, 0, 0, 0x89, 0x09, 1, 1, 0, 1, 0, 7, 8, 0}},
    {1, 30, {[12] = 0x92, 0, 0, 1, 0x91, 0, 0, 2, 0x89, 0x09, 1, 1, 0, 1, 0, 7, 8, 0}},
    {1, 22, {[12] = 0x89, 0x3f, 0, 0, 0, 1, 0, 0, 8, 0}},
    {117, 48, {45, 2, 0, 0, 'e', 'm', '0'}},
    {117, 48, {48, 2, 0, 0, 'e', 'm', '0'}},
    {117, 64, {61, 2, 0, 0, 'e', 'm', '0'}},
    {117, 72, {69, 2, 0, 0, 'e', 'm', '0'}},
    {117, 100, {100, 2, 0, 0, 'e', 'm', '0'}},
    {109, 12, {2, 0, 0, 0, 0, 0, 16, 1, 0, 0, 2, 0}},
    {51, 8, {0x11, 0, 0, 1, 0, 22, 0, 0x21}},
    {119, 176, {0, 0, 0, 0x44, 0x90, [144] = 8, 1, [168] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {119, 96, {0x80, 0x21, 0x10, 1, 0, 0, 0, 64, [64] = 8, 1, [88] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {163, 96, {0x80, 0x21, 0x10, 2, 0, 0, 0, 64, [64] = 8, 1, [88] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {127, 61, {0, 0, 25, 0, 3, 0, 0, 0x80, [16] = 0, [24] = 0x20, [25] = 0x88, 1,
               [53] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}}, /* a second word of fields is announced: flags at 24, padding at 51 */
    {105, 48, {0x88, 1, [24] = 0x80, [40] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}}, /* several packets in one frame */
    {1, 30, {[12] = 0x89, 0x03, 0, 0, [28] = 8, 0}},
    {1, 26, {[12] = 0x81, 0, 0, 42, 0, 20, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
};

static struct fw_hasher hasher;

static int decode(const uint8_t *bytes, uint32_t size, uint16_t linktype, struct fw_packet *out)
{
    const uint8_t *payload = NULL;
    struct fw_frame f = {.data = guarded(bytes, size), .caplen = size, .len = 64, .linktype = linktype};
    if (f.len < size)
        f.len = size;
    return fw_packet_decode(&hasher, &f, out, &payload);
}

static void test_headers(void)
{
    static const uint8_t IP[20] = {0x45, 0, 0, 20, 0, 0, 0, 0, 64, 99, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    for (unsigned i = 0; i < sizeof HEADERS / sizeof HEADERS[0]; i++) {
        uint8_t frame[256];
        struct fw_packet p;
        uint32_t size = HEADERS[i].size + 20u;
        memcpy(frame, HEADERS[i].bytes, HEADERS[i].size);
        memcpy(frame + HEADERS[i].size, IP, sizeof IP);
        CHECK_EQUAL(decode(frame, size, HEADERS[i].linktype, &p), 0);
        CHECK_EQUAL(p.src.lo, FW_V4_TAG | 0x01020304u);
        for (uint32_t cut = 0; cut < size; cut++)
            CHECK(decode(frame, cut, HEADERS[i].linktype, &p) > 0);
    }
}

/* Layers that hold each other without end: refused, not followed. */
static void test_nests(void)
{
    static const uint8_t SNAP_PPP[] = {0xaa, 0xaa, 3, 0, 0, 0, 0x88, 0x64, 0x11, 0, 0, 0, 0xff, 0xff, 0x0f, 0, 0, 0};
    static uint8_t frame[4096];
    struct fw_packet p;
    for (uint32_t at = 14; at + sizeof SNAP_PPP <= sizeof frame; at += sizeof SNAP_PPP)
        memcpy(frame + at, SNAP_PPP, sizeof SNAP_PPP);
    CHECK_EQUAL(decode(frame, sizeof frame, 1, &p), 1 + FW_REJECT_NESTED);
    memset(frame, 0, sizeof frame);
    frame[12] = 0x88;
    frame[13] = 0x47;
    CHECK_EQUAL(decode(frame, sizeof frame, 1, &p), 1 + FW_REJECT_NESTED); /* labels without a bottom */
}

int main(void)
{
    hasher.key = KEY;
    test_headers();
    test_nests();
    return finish("link");
}
