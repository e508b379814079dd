/* Segments of TCP are found where they lie, and nothing that cannot be written anew is listed. */
#include "check.h"
#include "make.h"

#include "../fw_segment.h"

#define MOST 4u

static struct fw_segments segments;
static struct fw_segment list[MOST];

/* Ethernet, IPv4 and TCP with a payload. */
static struct bytes segment(unsigned type, const char *payload)
{
    struct bytes b = {.big = 1};
    zeros(&b, 12);
    put16(&b, type);
    put16(&b, 0x4500);
    put16(&b, 40 + (unsigned)strlen(payload));
    put32(&b, 0);
    put32(&b, 0x40060000);
    put32(&b, 0x51024501);
    put32(&b, 0xcb007150);
    put16(&b, 50000);
    put16(&b, 443);
    put32(&b, 7);
    put32(&b, 9);
    put32(&b, 0x50180400);
    put32(&b, 0);
    put(&b, payload, strlen(payload));
    return b;
}

static void block(struct bytes *b, uint32_t type, const struct bytes *body)
{
    uint32_t length = (uint32_t)((body->size + 3) & ~(size_t)3) + 12;
    put32(b, type);
    put32(b, length);
    put(b, body->at, body->size);
    zeros(b, length - 12 - body->size);
    put32(b, length);
}

static struct bytes begun(void)
{
    struct bytes b = {0}, section = {0}, interface = {0};
    put32(&section, 0x1a2b3c4d);
    put32(&section, 1);
    put32(&section, UINT32_MAX);
    put32(&section, UINT32_MAX);
    put32(&interface, 1);
    put32(&interface, 0);
    block(&b, 0x0a0d0d0a, &section);
    block(&b, 1, &interface);
    return b;
}

static void packet_block(struct bytes *b, const struct bytes *frame)
{
    struct bytes body = {0};
    zeros(&body, 12);
    put32(&body, (uint32_t)frame->size);
    put32(&body, (uint32_t)frame->size);
    put(&body, frame->at, frame->size);
    block(b, 6, &body);
}

static uint32_t listed(const struct bytes *b, size_t *pos, int *rc)
{
    uint32_t n = 0;
    *rc = fw_segments_list(&segments, guarded(b->at, b->size), b->size, pos, list, MOST, &n);
    return n;
}

static void test_places(void)
{
    struct bytes b = begun(), said = segment(0x0800, "\x16\x03\x01\x02\x00\x01");
    size_t pos = 0, before = b.size;
    int rc;
    packet_block(&b, &said);
    fw_segments_init(&segments, &KEY);
    CHECK_EQUAL(listed(&b, &pos, &rc), 1);
    CHECK_EQUAL(rc, FW_NEED_MORE);
    CHECK_EQUAL(pos, b.size);
    CHECK(list[0].record == before && list[0].size == b.size - before);
    CHECK(list[0].frame == 28 && list[0].ip == 28 + 14 && list[0].payload == 28 + 54);
    CHECK(list[0].captured == 4 && list[0].wire == 4 && list[0].seq == 7 && list[0].ack == 9 && !list[0].hello);
}

static void test_left_out(void)
{
    struct bytes b = begun(), session = segment(0x8864, "x"), whole = segment(0x0800, "\x16\x03\x01\x02\x02\x01");
    size_t pos = 0;
    int rc;
    packet_block(&b, &session);
    packet_block(&b, &whole);
    fw_segments_init(&segments, &KEY);
    CHECK_EQUAL(listed(&b, &pos, &rc), 1);
    CHECK(list[0].hello && list[0].captured == 6);
}

static void test_secrets(void)
{
    struct bytes b = begun(), secrets = {0}, said = segment(0x0800, "GET");
    size_t pos = 0, before = b.size;
    int rc;
    put(&secrets, "KSLT\3\0\0\0abc", 11);
    block(&b, FW_SECRETS_BLOCK, &secrets);
    packet_block(&b, &said);
    fw_segments_init(&segments, &KEY);
    CHECK_EQUAL(listed(&b, &pos, &rc), 0);
    CHECK(rc == 0 && segments.secrets == before + 8 && segments.secrets_size == 12);
    CHECK_EQUAL(listed(&b, &pos, &rc), 1);
    CHECK(rc == FW_NEED_MORE && segments.secrets_size == 0);
}

static void test_full_list(void)
{
    struct bytes b = begun(), said = segment(0x0800, "GET");
    size_t pos = 0;
    int rc;
    for (unsigned i = 0; i < MOST + 1; i++)
        packet_block(&b, &said);
    fw_segments_init(&segments, &KEY);
    CHECK(listed(&b, &pos, &rc) == MOST && rc == 0 && pos < b.size);
    CHECK(listed(&b, &pos, &rc) == 1 && rc == FW_NEED_MORE);
}

int main(void)
{
    test_places();
    test_left_out();
    test_secrets();
    test_full_list();
    return finish("segment");
}
