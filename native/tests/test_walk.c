/* The record walker: both formats, both byte orders, every resolution, every prefix. */
#include "check.h"
#include "make.h"

static struct fw_walker walker;

/* Walk guarded bytes to their end. Returns the frames, with the last error (NEED_MORE at the end) in *rc. */
static unsigned walk(const struct bytes *b, size_t size, struct fw_frame *frames, int *rc)
{
    const uint8_t *p = guarded(b->at, size);
    size_t pos = 0, need = 0;
    unsigned n = 0;
    struct fw_frame f;
    fw_walker_init(&walker);
    while ((*rc = fw_walker_next(&walker, p, size, &pos, &need, &f)) >= 0) {
        CHECK(pos <= size);
        if (*rc == 1) {
            CHECK(f.data >= p && f.data + f.caplen <= p + size && f.len >= f.caplen);
            frames[n++ % 8] = f;
        }
    }
    CHECK(*rc != FW_NEED_MORE || need > size - pos);
    return n;
}

static void pcap_header(struct bytes *b, uint32_t magic)
{
    put32(b, magic);
    put16(b, 2);
    put16(b, 4);
    put32(b, 0);
    put32(b, 0);
    put32(b, 65535);
    put32(b, 0x10000001u); /* with an FCS length in the upper bits */
}

static void pcap_record(struct bytes *b, uint32_t sec, uint32_t frac, uint32_t caplen, uint32_t len)
{
    put32(b, sec);
    put32(b, frac);
    put32(b, caplen);
    put32(b, len);
    zeros(b, caplen);
}

static void block(struct bytes *b, uint32_t type, const struct bytes *body)
{
    uint32_t length = (uint32_t)body->size + 12;
    put32(b, type);
    put32(b, length);
    put(b, body->at, body->size);
    put32(b, length);
}

static void section(struct bytes *b)
{
    struct bytes s = {.big = b->big};
    put32(&s, 0x1a2b3c4d);
    put16(&s, 1);
    put16(&s, 0);
    put32(&s, UINT32_MAX);
    put32(&s, UINT32_MAX);
    block(b, 0x0a0d0d0a, &s);
}

/* An interface; tsresol 0 means: without the option. */
static void describe(struct bytes *b, unsigned tsresol, uint32_t offset_s, uint32_t snaplen)
{
    struct bytes s = {.big = b->big};
    put16(&s, 1);
    put16(&s, 0);
    put32(&s, snaplen);
    if (tsresol) {
        put16(&s, 9);
        put16(&s, 1);
        put8(&s, tsresol);
        zeros(&s, 3);
    }
    if (offset_s) {
        put16(&s, 14);
        put16(&s, 8);
        put32(&s, s.big ? 0 : offset_s);
        put32(&s, s.big ? offset_s : 0);
    }
    zeros(&s, 4); /* end of options */
    block(b, 1, &s);
}

static void enhanced(struct bytes *b, uint32_t id, uint64_t ticks, uint32_t caplen, uint32_t len)
{
    struct bytes s = {.big = b->big};
    put32(&s, id);
    put32(&s, (uint32_t)(ticks >> 32));
    put32(&s, (uint32_t)ticks);
    put32(&s, caplen);
    put32(&s, len);
    zeros(&s, (caplen + 3) & ~3u);
    block(b, 6, &s);
}

static void simple(struct bytes *b, uint32_t len, uint32_t held)
{
    struct bytes s = {.big = b->big};
    put32(&s, len);
    zeros(&s, (held + 3) & ~3u);
    block(b, 3, &s);
}

/* Every prefix gives fewer or as many frames, NEED_MORE, and the same frames as the whole. */
static void every_prefix(const struct bytes *b, unsigned whole)
{
    struct fw_frame frames[8];
    unsigned last = 0;
    int rc;
    for (size_t size = 0; size <= b->size; size++) {
        unsigned n = walk(b, size, frames, &rc);
        CHECK_EQUAL(rc, FW_NEED_MORE);
        CHECK(n >= last && n <= whole);
        last = n;
    }
    CHECK_EQUAL(last, whole);
}

static void test_pcap(void)
{
    static const uint32_t magics[] = {0xa1b2c3d4u, 0xa1b23c4du};
    for (int big = 0; big < 2; big++)
        for (unsigned m = 0; m < 2; m++) {
            struct bytes b = {.big = big};
            struct fw_frame frames[8];
            int rc;
            pcap_header(&b, magics[m]);
            pcap_record(&b, 1700000000, 123456, 60, 1500);
            pcap_record(&b, 1700000001, 7, 14, 3); /* len under caplen is lifted */
            CHECK_EQUAL(walk(&b, b.size, frames, &rc), 2);
            CHECK_EQUAL(frames[0].ts_ns, 1700000000000000000LL + 123456 * (m ? 1 : 1000));
            CHECK_EQUAL(frames[0].caplen, 60);
            CHECK_EQUAL(frames[0].len, 1500);
            CHECK_EQUAL(frames[0].linktype, 1);
            CHECK_EQUAL(frames[1].len, 14);
            CHECK_EQUAL(walker.format, FW_FORMAT_PCAP);
            every_prefix(&b, 2);
        }
}

static void test_resolution(unsigned tsresol, uint64_t ticks, uint64_t expected_ns)
{
    for (int big = 0; big < 2; big++) {
        struct bytes b = {.big = big};
        struct fw_frame frames[8];
        int rc;
        section(&b);
        describe(&b, tsresol, 0, 0);
        describe(&b, tsresol, 10, 0);
        enhanced(&b, 0, ticks, 61, 90);
        enhanced(&b, 1, ticks, 5, 5);
        CHECK_EQUAL(walk(&b, b.size, frames, &rc), 2);
        CHECK_EQUAL(frames[0].ts_ns, expected_ns);
        CHECK_EQUAL(frames[0].caplen, 61);
        CHECK_EQUAL(frames[0].len, 90);
        CHECK_EQUAL(frames[1].ts_ns, expected_ns + 10000000000ULL);
        CHECK_EQUAL(frames[1].point, 2);
        every_prefix(&b, 2);
    }
}

static void test_pcapng(void)
{
    test_resolution(0, 1700000000123456ULL, 1700000000123456000ULL); /* the default is 10^-6 */
    test_resolution(3, 1700000000123ULL, 1700000000123000000ULL);
    test_resolution(6, 1700000000123456ULL, 1700000000123456000ULL);
    test_resolution(9, 1700000000123456789ULL, 1700000000123456789ULL);
    test_resolution(12, 5000000000001ULL, 5000000000ULL);
    test_resolution(0x80 | 10, 1024 * 3 + 512, 3500000000ULL);
    test_resolution(0x80 | 127, UINT64_MAX - 1, 999999999ULL); /* clamped to 2^-64: just under a second */
    for (int big = 0; big < 2; big++) {
        struct bytes b = {.big = big}, other = {.big = big};
        struct fw_frame frames[8];
        int rc;
        section(&b);
        describe(&b, 0, 0, 40);
        zeros(&other, 8);
        block(&b, 0x0bad, &other); /* unknown blocks are stepped over */
        simple(&b, 100, 40);       /* cut by the interface's snap length */
        simple(&b, 13, 13);
        b.big = !big; /* a second section in the other byte order starts over with interfaces */
        section(&b);
        describe(&b, 0, 0, 0);
        simple(&b, 20, 20);
        CHECK_EQUAL(walk(&b, b.size, frames, &rc), 3);
        CHECK_EQUAL(frames[0].caplen, 40);
        CHECK_EQUAL(frames[0].len, 100);
        CHECK_EQUAL(frames[1].caplen, 13);
        CHECK_EQUAL(frames[2].caplen, 20);
        every_prefix(&b, 3);
    }
}

static int code_of(const struct bytes *b)
{
    struct fw_frame frames[8];
    int rc;
    walk(b, b->size, frames, &rc);
    CHECK(rc == FW_NEED_MORE || walker.why[0] != 0);
    return rc;
}

static void test_limits(void)
{
    struct bytes b = {0};
    put32(&b, 0x12345678);
    zeros(&b, 20);
    CHECK_EQUAL(code_of(&b), FW_BAD_MAGIC);

    b = (struct bytes){0};
    pcap_header(&b, 0xa1b2c3d4u);
    for (unsigned i = 0; i < 2; i++)
        put32(&b, 0);
    put32(&b, FW_MAX_CAPLEN + 1);
    put32(&b, 0);
    CHECK_EQUAL(code_of(&b), FW_BAD_RECORD);

    b = (struct bytes){0};
    section(&b);
    enhanced(&b, 0, 0, 4, 4);
    CHECK_EQUAL(code_of(&b), FW_BAD_INTERFACE);

    b = (struct bytes){0};
    section(&b);
    size_t at = b.size;
    describe(&b, 6, 0, 0);
    b.at[b.size - 4]++;
    CHECK_EQUAL(code_of(&b), FW_BAD_BLOCK);
    b.at[at + 4] = 9;
    CHECK_EQUAL(code_of(&b), FW_BAD_BLOCK);
    b.at[at + 7] = 1; /* 16 MiB and more */
    b.at[at + 4] = 8;
    CHECK_EQUAL(code_of(&b), FW_LIMIT);

    b = (struct bytes){0};
    section(&b);
    b.at[8] = 0;
    CHECK_EQUAL(code_of(&b), FW_BAD_SECTION);

    b = (struct bytes){0};
    section(&b);
    describe(&b, 6, 0, 0);
    at = b.size;
    enhanced(&b, 0, 0, 4, 4);
    b.at[at + 20] = 5; /* more captured bytes than the block holds */
    CHECK_EQUAL(code_of(&b), FW_BAD_RECORD);
}

static void test_many_interfaces(void)
{
    struct bytes b = {0}, one = {0};
    struct fw_frame f;
    size_t pos = 0, need = 0;
    int rc;
    section(&b);
    describe(&one, 0, 0, 0);
    fw_walker_init(&walker);
    while (pos < b.size)
        CHECK_EQUAL(fw_walker_next(&walker, b.at, b.size, &pos, &need, &f), 0);
    for (unsigned i = 0; i < FW_MAX_INTERFACES; i++) {
        pos = 0;
        CHECK_EQUAL(fw_walker_next(&walker, one.at, one.size, &pos, &need, &f), 0);
    }
    pos = 0;
    rc = fw_walker_next(&walker, one.at, one.size, &pos, &need, &f);
    CHECK_EQUAL(rc, FW_LIMIT);
}

/* Vendors' record headers of any length are told by the records, with the usual magic and with their own. */
static void test_vendors(void)
{
    static const struct { uint32_t magic, more; } VENDORS[] = {
        {0xa1b2c3d4u, 0}, {0xa1b2c3d4u, 4}, {0xa1b2c3d4u, 8}, {0xa1b2cd34u, 8}, {0xa1b2cd34u, 12},
    };
    for (unsigned i = 0; i < 10; i++) {
        struct bytes b = {.big = i % 2 != 0};
        struct fw_frame frames[8];
        int rc;
        pcap_header(&b, VENDORS[i / 2].magic);
        for (uint32_t k = 0; k < 6; k++) {
            put32(&b, 1700000000u + k);
            put32(&b, 999999u);
            put32(&b, 60);
            put32(&b, 1514);
            zeros(&b, VENDORS[i / 2].more);
            for (unsigned n = 0; n < 60; n++)
                put8(&b, 0xee); /* no header of any length begins in the packet */
        }
        CHECK_EQUAL(walk(&b, b.size, frames, &rc), 6);
        CHECK_EQUAL(rc, FW_NEED_MORE);
        CHECK_EQUAL(frames[5].ts_ns, 1700000005999999000ULL);
        CHECK_EQUAL(frames[5].data[0], 0xee);
    }
}

static void snoop_record(struct bytes *b, uint32_t drops, uint32_t caplen)
{
    put32(b, 1514);
    put32(b, caplen);
    put32(b, 24 + caplen + 2);
    put32(b, drops);
    put32(b, 1700000000u);
    put32(b, 7);
    zeros(b, caplen + 2);
}

static void test_snoop(void)
{
    struct bytes b = {.big = 1};
    struct fw_frame frames[8];
    int rc;
    put(&b, "snoop\0\0", 8);
    put32(&b, 2);
    put32(&b, 4);
    snoop_record(&b, 0, 60);
    snoop_record(&b, 9, 42);
    CHECK_EQUAL(walk(&b, b.size, frames, &rc), 2);
    CHECK_EQUAL(frames[1].caplen, 42);
    CHECK_EQUAL(frames[1].len, 1514);
    CHECK_EQUAL(frames[1].linktype, 1);
    CHECK_EQUAL(frames[1].ts_ns, 1700000000000007000ULL);
    CHECK_EQUAL(fw_walker_lost(&walker), 9);
    for (size_t cut = 0; cut < b.size; cut++)
        CHECK(walk(&b, cut, frames, &rc) <= 2 && rc == FW_NEED_MORE);
    b.at[11] = 3;
    CHECK_EQUAL(walk(&b, b.size, frames, &rc), 0);
    CHECK_EQUAL(rc, FW_BAD_MAGIC);
    b.at[11] = 2;
    b.at[16 + 11] = 20; /* a record shorter than its packet */
    CHECK_EQUAL(walk(&b, b.size, frames, &rc), 0);
    CHECK_EQUAL(rc, FW_BAD_RECORD);
}

/* Statistics are totals of their interface, the newest counts; packet blocks count where there are none. */
static void test_recorded_loss(void)
{
    for (int big = 0; big < 2; big++) {
        struct bytes b = {.big = big}, epb = {.big = big}, isb = {.big = big};
        struct fw_frame frames[8];
        int rc;
        section(&b);
        describe(&b, 0, 0, 0);
        put32(&epb, 0);
        zeros(&epb, 8);
        put32(&epb, 2);
        put32(&epb, 2);
        zeros(&epb, 4);
        put16(&epb, 4);
        put16(&epb, 8);
        put32(&epb, big ? 0 : 5);
        put32(&epb, big ? 5 : 0);
        zeros(&epb, 4);
        block(&b, 6, &epb);
        block(&b, 6, &epb);
        CHECK_EQUAL(walk(&b, b.size, frames, &rc), 2);
        CHECK_EQUAL(fw_walker_lost(&walker), 10);
        zeros(&isb, 12);
        put16(&isb, 5);
        put16(&isb, 8);
        put32(&isb, big ? 0 : 30);
        put32(&isb, big ? 30 : 0);
        put16(&isb, 7);
        put16(&isb, 8);
        put32(&isb, big ? 0 : 3);
        put32(&isb, big ? 3 : 0);
        zeros(&isb, 4);
        block(&b, 5, &isb);
        block(&b, 5, &isb);
        CHECK_EQUAL(walk(&b, b.size, frames, &rc), 2);
        CHECK_EQUAL(fw_walker_lost(&walker), 33);
        section(&b);
        CHECK_EQUAL(walk(&b, b.size, frames, &rc), 2);
        CHECK_EQUAL(fw_walker_lost(&walker), 33);
    }
}

int main(void)
{
    test_pcap();
    test_pcapng();
    test_limits();
    test_many_interfaces();
    test_vendors();
    test_snoop();
    test_recorded_loss();
    return finish("walk");
}
