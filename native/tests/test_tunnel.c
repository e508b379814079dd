/* Tunnels: what each carries, at every cut, nested beyond reason, and what only looks like one. */
#include "check.h"
#include "make.h"

#include "../fw_decode.h"

struct header {
    uint8_t tunnel, proto, six; /* six: the packet inside is IPv6 */
    uint16_t port;              /* of UDP, or 0 */
    uint8_t size;
    uint8_t bytes[44];
};

static const struct header HEADERS[] = {
    {FW_TUNNEL_IPIP, 4, 0, 0, 0, {0}},
    {FW_TUNNEL_IPV6, 41, 1, 0, 0, {0}},
    {FW_TUNNEL_IPIP, 51, 0, 0, 16, {4, 2}},
    {FW_TUNNEL_GRE, 47, 0, 0, 4, {0, 0, 8, 0}},
    {FW_TUNNEL_GRE, 47, 1, 0, 16, {0xb0, 0, 0x86, 0xdd}},
    {FW_TUNNEL_GRE, 47, 0, 0, 18, {[2] = 0x65, 0x58, [16] = 8, 0}},
    {FW_TUNNEL_GRE, 47, 0, 0, 8, {[2] = 0x88, 0x47, 0, 0, 0x11, 64}},
    {FW_TUNNEL_GRE, 47, 0, 0, 12, {[2] = 0x89, 0x09, 1, 1, 0, 1, 0, 7, 8, 0}},
    {FW_TUNNEL_GRE, 47, 0, 0, 20, {0x30, 0x81, 0x88, 0x0b, [16] = 0xff, 3, 0, 0x21}},
    {FW_TUNNEL_ERSPAN, 47, 0, 0, 18, {[2] = 0x88, 0xbe, [16] = 8, 0}},
    {FW_TUNNEL_ERSPAN, 47, 0, 0, 30, {0x10, 0, 0x88, 0xbe, [28] = 8, 0}},
    {FW_TUNNEL_ERSPAN, 47, 0, 0, 34, {0x10, 0, 0x22, 0xeb, [32] = 8, 0}},
    {FW_TUNNEL_ERSPAN, 47, 0, 0, 42, {0x10, 0, 0x22, 0xeb, [19] = 1, [40] = 8, 0}},
    {FW_TUNNEL_ERSPAN, 47, 0, 0, 20, {0x10, 0, 0x22, 0xeb, [18] = 8}},
    {FW_TUNNEL_VXLAN, 17, 0, 4789, 22, {8, [20] = 8, 0}},
    {FW_TUNNEL_VXLAN, 17, 1, 8472, 26, {8, [20] = 0x81, 0, 0, 42, 0x86, 0xdd}},
    {FW_TUNNEL_GENEVE, 17, 0, 6081, 22, {[2] = 0x65, 0x58, [20] = 8, 0}},
    {FW_TUNNEL_GENEVE, 17, 1, 6081, 16, {2, 0, 0x86, 0xdd}},
    {FW_TUNNEL_GTPU, 17, 0, 2152, 8, {0x30, 0xff}},
    {FW_TUNNEL_GTPU, 17, 1, 2152, 16, {0x34, 0xff, [11] = 0x85, 1, 0, 0, 0}},
    {FW_TUNNEL_TEREDO, 17, 1, 3544, 0, {0}},
    {FW_TUNNEL_TEREDO, 17, 1, 3544, 21, {0, 1, [13] = 0, 0}},
    {FW_TUNNEL_TZSP, 17, 0, 37008, 19, {1, 0, 0, 1, 1, [17] = 8, 0}},
    {FW_TUNNEL_TZSP, 17, 1, 37008, 28, {1, 1, 0, 1, 0, 0, 41, 2, 0, 60, 11, 1, 9, 1, [26] = 0x86, 0xdd}},
    {FW_TUNNEL_TZSP, 17, 0, 37008, 40, {1, 0, 0, 18, 10, 1, 0xd0, 1, 8, 1, [32] = 0xaa, 0xaa, 3, 0, 0, 0, 8, 0}},
    {FW_TUNNEL_TZSP, 17, 0, 37008, 5, {1, 0, 0, 7, 1}},
    {FW_TUNNEL_TZSP, 17, 0, 37008, 6, {1, 0, 0, 4, 1, 0x21}},
    {FW_TUNNEL_ERM, 17, 0, 7932, 26, {[24] = 8, 0}},
    {FW_TUNNEL_ERM, 17, 1, 7999, 34, {[24] = 0x89, 0x88, [32] = 0x86, 0xdd}},
};
#define COUNT (sizeof HEADERS / sizeof HEADERS[0])

static struct fw_hasher hasher;

/* The packet inside: IPv4 from 1.2.3.4, or IPv6 from ::1, with a protocol that holds nothing more. */
static uint32_t put_inner(uint8_t *at, int six)
{
    static const uint8_t FOUR[20] = {0x45, 0, 0, 20, 0, 0, 0, 0, 64, 99, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t SIX[40] = {0x60, 0, 0, 0, 0, 0, 99, 64, [23] = 1, [39] = 2};
    memcpy(at, six ? SIX : FOUR, six ? sizeof SIX : sizeof FOUR);
    return six ? sizeof SIX : sizeof FOUR;
}

/* A raw IPv4 frame with the tunnel and what it carries; returns its size. */
static uint32_t put_frame(uint8_t *frame, const struct header *h, const uint8_t *inner, uint32_t inner_size)
{
    static const uint8_t OUTER[20] = {0x45, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 9, 9, 9, 9, 8, 8, 8, 8};
    uint8_t *at = frame + sizeof OUTER;
    memcpy(frame, OUTER, sizeof OUTER);
    frame[9] = h->proto;
    if (h->port) {
        const uint8_t udp[8] = {0x30, 0x39, (uint8_t)(h->port >> 8), (uint8_t)h->port};
        memcpy(at, udp, sizeof udp);
        at += sizeof udp;
    }
    memcpy(at, h->bytes, h->size);
    memcpy(at + h->size, inner, inner_size);
    uint32_t size = (uint32_t)(at - frame) + h->size + inner_size;
    frame[2] = (uint8_t)(size >> 8);
    frame[3] = (uint8_t)size;
    return size;
}

static unsigned open_frame(const uint8_t *bytes, uint32_t size, struct fw_packet *outer, struct fw_packet *inner)
{
    const uint8_t *payload = NULL;
    int reject;
    struct fw_frame f = {.data = guarded(bytes, size), .caplen = size, .len = size, .linktype = 101};
    if (fw_packet_decode(&hasher, &f, outer, &payload))
        return 0;
    return fw_packet_inner(&hasher, outer, inner, &payload, &reject);
}

static void test_each_and_every_cut(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t frame[256], carried[40];
        struct fw_packet outer, inner;
        uint32_t carried_size = put_inner(carried, HEADERS[i].six);
        uint32_t size = put_frame(frame, &HEADERS[i], carried, carried_size);
        CHECK_EQUAL(open_frame(frame, size, &outer, &inner), HEADERS[i].tunnel);
        CHECK_EQUAL(inner.src.lo, HEADERS[i].six ? 1 : FW_V4_TAG | 0x01020304u);
        CHECK_EQUAL(inner.proto, 99);
        CHECK_EQUAL(outer.src.lo, FW_V4_TAG | 0x09090909u);
        CHECK_EQUAL(outer.kind, HEADERS[i].port ? FW_UDP : FW_OTHER);
        for (uint32_t cut = 0; cut < size; cut++)
            CHECK_EQUAL(open_frame(frame, cut, &outer, &inner), 0);
    }
}

/* What is malformed inside of a tunnel counts for the address that it goes to. */
static void test_malformed(void)
{
    uint8_t frame[256], carried[40];
    struct fw_packet outer, inner;
    const uint8_t *payload = NULL;
    int reject = 0;
    uint32_t carried_size = put_inner(carried, 0), size;
    carried[0] = 0x44;
    for (unsigned i = 0; i < COUNT; i++) {
        if (HEADERS[i].six)
            continue;
        size = put_frame(frame, &HEADERS[i], carried, carried_size);
        struct fw_frame f = {.data = frame, .caplen = size, .len = size, .linktype = 101};
        CHECK_EQUAL(fw_packet_decode(&hasher, &f, &outer, &payload), 0);
        CHECK_EQUAL(fw_packet_inner(&hasher, &outer, &inner, &payload, &reject), HEADERS[i].tunnel);
        CHECK_EQUAL(reject, 1 + FW_REJECT_BAD_IP);
        CHECK(inner.kind == FW_MALFORMED && inner.src.lo == (FW_V4_TAG | 0x01020304u) && inner.captured == 0);
    }
}

/* Tunnels within tunnels: the innermost of as many as are looked into. */
static void test_depth(void)
{
    uint8_t frames[FW_TUNNELS_DEEP + 2][256];
    uint32_t size = put_inner(frames[0], 0);
    for (unsigned depth = 1; depth <= FW_TUNNELS_DEEP + 1; depth++) {
        struct fw_packet outer, inner;
        size = put_frame(frames[depth], &HEADERS[0], frames[depth - 1], size);
        CHECK_EQUAL(open_frame(frames[depth], size, &outer, &inner), FW_TUNNEL_IPIP);
        CHECK_EQUAL(inner.proto, depth <= FW_TUNNELS_DEEP ? 99 : 4);
    }
}

static void test_lookalikes(void)
{
    static const struct header NONE[] = {
        {0, 47, 0, 0, 4, {0x40, 0, 8, 0}},       /* a source route */
        {0, 47, 0, 0, 4, {0, 2, 8, 0}},          /* version 2 */
        {0, 47, 0, 0, 4, {0, 0, 8, 6}},          /* ARP */
        {0, 17, 0, 4789, 22, {0, [20] = 8, 0}},  /* no network identifier */
        {0, 17, 0, 6081, 8, {0x40, 0, 8, 0}},    /* version 1 */
        {0, 17, 0, 2152, 8, {0x32, 0x01}},       /* an echo request */
        {0, 17, 0, 2152, 16, {0x34, 0xff, [11] = 0x85, 0}}, /* an extension without length */
        {0, 17, 0, 3544, 0, {0}},                /* IPv4 in Teredo */
        {0, 17, 0, 53, 8, {0x30, 0xff}},
        {0, 17, 0, 37008, 19, {2, 0, 0, 1, 1, [17] = 8, 0}},    /* TZSP of another version */
        {0, 17, 0, 37008, 4, {1, 4, 0, 0}},                     /* ... that keeps alive */
        {0, 17, 0, 37008, 19, {1, 0, 0, 3, 1, [17] = 8, 0}},    /* ... with SLIP in it */
        {0, 17, 0, 37008, 19, {1, 0, 0, 1, 9, 255, [17] = 8, 0}}, /* ... and a tag that is longer than the packet */
        {0, 17, 0, 37008, 19, {1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}, /* ... without an end of tags */
        {0, 17, 0, 7932, 25, {[24] = 8}},        /* no frame behind ERM's header */
        {0, 17, 0, 8000, 26, {[24] = 8, 0}},     /* no port of ERM */
        {0, 6, 0, 0, 0, {0}},
    };
    for (unsigned i = 0; i < sizeof NONE / sizeof NONE[0]; i++) {
        uint8_t frame[256], carried[40];
        struct fw_packet outer, inner;
        uint32_t carried_size = put_inner(carried, 0);
        CHECK_EQUAL(open_frame(frame, put_frame(frame, &NONE[i], carried, carried_size), &outer, &inner), 0);
    }
}

/* In a batch the carrier stands before what it carries, and one slot more than the capacity is enough. */
static void test_batch(void)
{
    static struct fw_decoder decoder;
    static struct fw_packet packets[3];
    static struct fw_message messages[2];
    struct fw_batch b = {.capacity = 2, .packets = packets, .messages = messages};
    uint8_t frame[256], carried[40];
    uint32_t size = put_frame(frame, &HEADERS[3], carried, put_inner(carried, 0));
    struct fw_frame f = {frame, 7, size, size, 101, 0};
    fw_decoder_init(&decoder, &KEY);
    b.count = 1;
    fw_decoder_take(&decoder, &f, &b);
    CHECK_EQUAL(b.count, 3);
    CHECK_EQUAL(b.carriers, 1);
    CHECK_EQUAL(packets[1].kind, FW_CARRIER);
    CHECK_EQUAL(packets[2].kind, FW_OTHER);
    CHECK_EQUAL(packets[2].ts_ns, 7);
    CHECK_EQUAL(packets[2].bytes, size);
    CHECK_EQUAL(decoder.frames, 1);
    CHECK_EQUAL(decoder.tunnelled[FW_TUNNEL_GRE], 1);
}

int main(void)
{
    test_each_and_every_cut();
    test_malformed();
    test_depth();
    test_lookalikes();
    test_batch();
    return finish("tunnel");
}
