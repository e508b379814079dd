/* One packet at several devices of a host counts once; equal packets at one device all count. */
#include "check.h"
#include "make.h"

#include "../fw_decode.h"

#define IN 0u
#define OUT 4u
#define CAPACITY 8u
#define SECOND 1000000000ULL

static struct fw_points points;
static struct fw_decoder first, second;
static struct fw_packet packets[CAPACITY + 1];
static struct fw_message messages[CAPACITY];
static struct fw_batch batch = {.capacity = CAPACITY, .packets = packets, .messages = messages};

static void begin(void)
{
    memset(&points, 0, sizeof points);
    fw_decoder_init(&first, &KEY);
    fw_decoder_init(&second, &KEY);
    first.points = second.points = &points;
}

/* A UDP datagram with this text, routed `hops` times so far; returns its size. */
static size_t datagram(struct bytes *b, uint32_t to, const char *text, unsigned hops)
{
    b->big = 1;
    put16(b, 0x4500);
    put16(b, 28 + (unsigned)strlen(text));
    put32(b, 0x12340000u);
    put8(b, 64 - hops);
    put8(b, 17);
    put16(b, 0x1000 + hops * 0x100); /* the checksum follows the TTL */
    put32(b, 0x01020304u);
    put32(b, to);
    put16(b, 4000);
    put16(b, 9999);
    put16(b, 8 + (unsigned)strlen(text));
    put16(b, 0);
    put(b, text, strlen(text));
    return b->size;
}

/* 1 when the frame was counted. */
static uint32_t take(struct fw_decoder *d, const struct bytes *b, uint16_t linktype, uint32_t point, uint64_t at)
{
    uint32_t size = (uint32_t)b->size;
    struct fw_frame f = {guarded(b->at, size), 1700000000 * SECOND + at, size, size, linktype, point};
    fw_batch_clear(&batch);
    fw_decoder_take(d, &f, &batch);
    return batch.count;
}

/* The same as `tcpdump -i any` writes it. */
static uint32_t cooked(uint32_t device, unsigned direction, const char *text, unsigned hops, uint64_t at)
{
    struct bytes b = {.big = 1};
    put32(&b, 0x08000000u);
    put32(&b, device);
    put16(&b, 1);
    put8(&b, direction);
    zeros(&b, 9);
    datagram(&b, 0xc6336407u, text, hops);
    return take(&first, &b, 276, 0, at);
}

static void test_a_forwarded_packet(void)
{
    begin();
    CHECK_EQUAL(cooked(2, IN, "hello you", 0, 0), 1);
    CHECK_EQUAL(cooked(5, OUT, "hello you", 1, 1000), 0);
    CHECK_EQUAL(cooked(6, OUT, "hello you", 1, 2000), 0);
    CHECK_EQUAL(cooked(5, OUT, "an answer", 1, 3000), 1); /* what the host itself sends counts */
    CHECK_EQUAL(cooked(2, OUT, "an answer", 1, 4000), 0);
    CHECK_EQUAL(first.elsewhere, 3);
    CHECK_EQUAL(first.frames, 2);
}

/* A flood of equal packets loses none, whatever is forwarded in between. */
static void test_equal_packets(void)
{
    begin();
    uint32_t counted = 0;
    for (unsigned i = 0; i < 100; i++) {
        counted += cooked(2, IN, "flood", 0, i * 1000);
        counted += cooked(5, OUT, "flood", 1, i * 1000 + 100);
    }
    CHECK_EQUAL(counted, 100);
    CHECK_EQUAL(cooked(5, OUT, "flood", 1, 99000 + 2 * SECOND), 1); /* too late to be the same one */
    CHECK_EQUAL(cooked(2, IN, "flood", 1, 99000 + 2 * SECOND - 1000), 0); /* rings are read in turn */
}

static void test_what_is_known_of_points(void)
{
    begin();
    struct bytes plain = {.big = 1}, old = {.big = 1}, other = {0};
    datagram(&plain, 0xc6336407u, "hello you", 0);
    CHECK_EQUAL(take(&first, &plain, 101, 0, 0), 1);
    CHECK_EQUAL(take(&first, &plain, 101, 0, 1), 1); /* one device: nothing is left out */
    CHECK_EQUAL(take(&first, &plain, 101, 8, 2), 1);
    CHECK_EQUAL(take(&second, &plain, 101, 9, 3), 0); /* another ring of the same host */
    datagram(&other, 0xc6336408u, "hello you", 0);
    CHECK_EQUAL(take(&second, &other, 101, 9, 4), 1);
    put16(&old, OUT); /* version 1 of cooked captures tells the direction only */
    zeros(&old, 12);
    put16(&old, 0x0800);
    datagram(&old, 0xc6336407u, "hello you", 1);
    CHECK_EQUAL(take(&first, &old, 113, 0, 5), 0);
    old.at[1] = IN;
    old.size = 1; /* cut inside of it */
    CHECK_EQUAL(take(&first, &old, 113, 0, 6), 0);
    CHECK_EQUAL(first.rejected[FW_REJECT_NOT_IP] + first.rejected[FW_REJECT_TRUNCATED], 1);
}

int main(void)
{
    test_a_forwarded_packet();
    test_equal_packets();
    test_what_is_known_of_points();
    return finish("points");
}
