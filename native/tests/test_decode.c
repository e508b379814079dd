/* Decoder and engine together: how a capture is cut into blocks changes nothing. */
#include "check.h"
#include "drive.h"
#include "make.h"

#include "../fw_decode.h"

#define RECORDS 3000u
#define CAPACITY 64u

static uint8_t capture[24 + RECORDS * 200];
static size_t capture_size;
static struct fw_decoder decoder, first;
static struct fw_packet packets[CAPACITY + 1];
static struct fw_message http[CAPACITY];

static void record(uint32_t i)
{
    static const char *const texts[] = {"", "GET /index.html HTTP/1.1\r\n\r\n", "POST /login?a=1 HTTP/1.1\r\n\r\n",
                                        "HTTP/1.1 503 Busy\r\n\r\n"};
    struct bytes b = {.big = 1};
    uint64_t r = number(21, i);
    const char *text = texts[r & 3];
    uint32_t length = (uint32_t)strlen(text), total = 14 + 40 + length;
    uint32_t header[4] = {1700000000 + i / 1000, i % 1000 * 1000, total, total};
    put(&b, header, sizeof header);
    zeros(&b, 12);
    put16(&b, r % 31 == 0 ? 0x0806 : 0x0800);
    put16(&b, 0x4500);
    put16(&b, total - 14);
    zeros(&b, 4);
    put16(&b, 0x4006);
    put16(&b, 0);
    put32(&b, 0x01000000u + (uint32_t)(r >> 20) % 40);
    put32(&b, 0xc6336400u + (uint32_t)(r >> 40) % 5);
    put16(&b, 4000 + (uint32_t)(r >> 50) % 8);
    put16(&b, 80);
    put32(&b, 7);
    put32(&b, 9);
    put8(&b, 0x50);
    put8(&b, length ? 0x18 : 0x02);
    zeros(&b, 6);
    put(&b, text, length);
    memcpy(capture + capture_size, b.at, b.size);
    capture_size += b.size;
}

static void make_capture(void)
{
    struct bytes b = {0};
    put32(&b, 0xa1b2c3d4u);
    zeros(&b, 16);
    put32(&b, 1);
    memcpy(capture, b.at, b.size);
    capture_size = b.size;
    for (uint32_t i = 0; i < RECORDS; i++)
        record(i);
}

/* Hand over blocks of `step` bytes (more where a record needs it), each flush against the guard page. */
static void run(struct fw_engine *e, size_t step)
{
    struct fw_batch b = {.capacity = CAPACITY, .packets = packets, .messages = http};
    size_t at = 0, length = step;
    fw_engine_init(e);
    fw_decoder_init(&decoder, &KEY);
    while (at < capture_size) {
        size_t used = 0;
        int rc;
        length = length < capture_size - at ? length : capture_size - at;
        const uint8_t *block = length <= GUARD_PAGE ? guarded(capture + at, length) : capture + at;
        do {
            rc = fw_decoder_fill(&decoder, block, length, &used, &b);
            drive(e, &b);
        } while (rc == 0);
        CHECK_EQUAL(rc, FW_NEED_MORE);
        at += used;
        CHECK(used > 0 || decoder.need > length || at == capture_size);
        length = decoder.need > step ? (size_t)decoder.need : step;
    }
    CHECK_EQUAL(decoder.offset, capture_size);
}

/* The second copy of a frame is left out: near in time, whatever its Ethernet addresses; a third one counts again. */
static void test_twins(void)
{
    static struct fw_twins twins = {.copies = 1};
    uint8_t frame[60] = {1}, other[60] = {2};
    frame[30] = 7;
    other[30] = 8;
    struct fw_frame one = {frame, 1000000000, 60, 60, 1, 0}, two = {other, 1000003000, 60, 60, 1, 0};
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &one), 0);
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &two), 0);
    frame[0] = 9;
    one.ts_ns += 3000;
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &one), 1);
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &one), 0);
    two.ts_ns += FW_TWINS_NS + 1;
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &two), 0);
    two.ts_ns -= FW_TWINS_NS;
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &two), 1);
    two.len++;
    CHECK_EQUAL(fw_twins_seen(&twins, &KEY, &two), 0);
}

/* Hashes of the first frames: as many as are asked for, or are there; the header of the capture is none. */
static void test_hashes(void)
{
    static struct fw_walker w;
    static uint64_t hashes[RECORDS + 1], times[RECORDS + 1];
    fw_walker_init(&w);
    CHECK_EQUAL(fw_frame_hashes(&w, &KEY, capture, capture_size, 0, hashes, times, 7), 7);
    CHECK(hashes[7] == 0 && times[7] == 0 && times[0] == 1700000000000000000ULL && times[6] == times[0] + 6000000);
    uint64_t third = hashes[2];
    fw_walker_init(&w);
    CHECK_EQUAL(fw_frame_hashes(&w, &KEY, capture, capture_size, 0, hashes, times, RECORDS + 1), RECORDS);
    CHECK(hashes[2] == third && hashes[3] != third);
    fw_walker_init(&w);
    CHECK_EQUAL(fw_frame_hashes(&w, &KEY, guarded(capture, 30), 30, 0, hashes, times, 7), 0);
    fw_walker_init(&w);
    CHECK_EQUAL(fw_frame_hashes(&w, &KEY, (const uint8_t *)"no capture, but long enough", 27, 0, hashes, times, 7), 0);
}

int main(void)
{
    static const size_t STEPS[] = {1, 16, 61, 100, 997, 4096};
    struct fw_engine *whole = calloc(1, sizeof *whole), *cut = calloc(1, sizeof *cut);
    if (!whole || !cut)
        return 2;
    make_capture();
    run(whole, capture_size);
    first = decoder;
    CHECK_EQUAL(first.frames, RECORDS);
    CHECK(first.rejected[FW_REJECT_NOT_IP] > 0);
    for (unsigned i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++) {
        run(cut, STEPS[i]);
        CHECK(memcmp(whole, cut, sizeof *whole) == 0);
        CHECK(decoder.frames == first.frames && decoder.bytes == first.bytes);
        CHECK(memcmp(decoder.rejected, first.rejected, sizeof first.rejected) == 0);
    }
    free(whole);
    free(cut);
    test_twins();
    test_hashes();
    return finish("decode");
}
