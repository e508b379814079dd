/* Ring blocks: every frame of a well-formed block, and nothing read outside of a hostile one. */
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/mman.h>

#include "check.h"
#include "make.h"

#include "../fw_ring.h"

#define BLOCK 8192u
#define BLOCKS 2u
#define MAC (sizeof(struct tpacket3_hdr) + sizeof(struct sockaddr_ll) + 12u + 10u)
#define CAPACITY 64u

static uint8_t *memory;
static struct fw_packet packets[CAPACITY + 1];
static struct fw_message messages[CAPACITY];
static struct fw_batch batch = {.capacity = CAPACITY, .packets = packets, .messages = messages};
static struct fw_decoder decoder;
static struct fw_ring ring;

/* Two blocks that end where the page behind them cannot be read. */
static void map(void)
{
    uint8_t *at = mmap(NULL, BLOCK * BLOCKS + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    CHECK_EQUAL(mprotect(at + BLOCK * BLOCKS, 4096, PROT_NONE), 0);
    memory = at;
}

static struct tpacket_block_desc *start(uint32_t index)
{
    struct tpacket_block_desc *b = (void *)(memory + index * BLOCK);
    memset(memory + index * BLOCK, 0, BLOCK);
    b->hdr.bh1.block_status = TP_STATUS_USER;
    b->hdr.bh1.offset_to_first_pkt = sizeof *b;
    return b;
}

/* A TCP/IPv4 frame with `payload` bytes at offset `at` of a block; returns the offset behind it. */
static uint32_t put_frame(uint32_t index, uint32_t at, uint32_t payload, uint16_t gso, uint16_t tag, int echo)
{
    uint8_t *base = memory + index * BLOCK + at, *frame = base + MAC;
    struct tpacket3_hdr h = {.tp_mac = MAC, .tp_snaplen = 54 + payload, .tp_len = 54 + payload, .tp_sec = 1700000000};
    struct sockaddr_ll from = {.sll_hatype = echo ? ARPHRD_LOOPBACK : ARPHRD_ETHER,
                               .sll_pkttype = echo ? PACKET_OUTGOING : PACKET_HOST};
    static const uint8_t HEADERS[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0,
                                      1, 2, 3, 4, 5, 6, 7, 8, 0x10, 0, 0, 80, 0, 0, 0, 100, 0, 0, 0, 7, 0x50, 0x10};
    uint32_t size = (MAC + 54 + payload + 15) & ~15u;
    h.tp_next_offset = size;
    if (tag) {
        h.tp_status = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
        h.hv1.tp_vlan_tci = tag;
        h.hv1.tp_vlan_tpid = ETHERTYPE_VLAN;
    }
    memcpy(base, &h, sizeof h);
    memcpy(base + sizeof h, &from, sizeof from);
    frame[1 - 10] = gso ? 1 : 0;
    memcpy(frame - 10 + 4, &gso, sizeof gso);
    memcpy(frame, HEADERS, sizeof HEADERS);
    frame[16] = (uint8_t)((40 + payload) >> 8);
    frame[17] = (uint8_t)(40 + payload);
    ((struct tpacket_block_desc *)(void *)(memory + index * BLOCK))->hdr.bh1.num_pkts++;
    return at + size;
}

static void begin(void)
{
    memset(&ring, 0, sizeof ring);
    ring = (struct fw_ring){.blocks = memory, .block_size = BLOCK, .block_count = BLOCKS};
    fw_decoder_init(&decoder, &KEY);
}

static void test_frames(void)
{
    begin();
    memset(memory, 0, BLOCK * BLOCKS);
    CHECK_EQUAL(fw_ring_fill(&ring, &decoder, 0, &batch), 0); /* nothing is ready */
    CHECK_EQUAL(fw_ring_waiting(&ring), 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        start(i);
    CHECK_EQUAL(fw_ring_waiting(&ring), BLOCKS);
    memset(memory, 0, BLOCK * BLOCKS);
    struct tpacket_block_desc *b = start(0);
    CHECK_EQUAL(fw_ring_waiting(&ring), 1);
    uint32_t at = put_frame(0, sizeof *b, 0, 0, 0, 0);
    at = put_frame(0, at, 10, 0, 42, 0);
    at = put_frame(0, at, 0, 0, 0, 1);
    put_frame(0, at, 3000, 1000, 0, 0);
    CHECK_EQUAL(fw_ring_fill(&ring, &decoder, 5, &batch), 1);
    CHECK_EQUAL(batch.count, 5); /* the echo is left out, the merged frame is three */
    CHECK_EQUAL(packets[0].ts_ns, 1700000000ull * 1000000000 - 5);
    CHECK_EQUAL(packets[1].bytes, 54 + 10 + 4);
    for (unsigned i = 2; i < 5; i++) {
        CHECK_EQUAL(packets[i].payload, 1000);
        CHECK_EQUAL(packets[i].bytes, 1054);
        CHECK_EQUAL(packets[i].seq, 100 + 1000 * (i - 2));
    }
    CHECK_EQUAL(decoder.frames, 5);
    CHECK_EQUAL(decoder.bytes, 54 + 68 + 3 * 1054);
    CHECK_EQUAL(ring.frames, 4);
    CHECK_EQUAL(b->hdr.bh1.block_status, TP_STATUS_USER); /* the batch still points into it */
    CHECK_EQUAL(fw_ring_fill(&ring, &decoder, 0, &batch), 0);
    CHECK_EQUAL(b->hdr.bh1.block_status, TP_STATUS_KERNEL);
    CHECK_EQUAL(ring.current, 1);
    CHECK_EQUAL(fw_ring_waiting(&ring), 0);
}

static void test_uneven_segments_across_batches(void)
{
    begin();
    struct tpacket_block_desc *b = start(0);
    batch.capacity = 2;
    put_frame(0, sizeof *b, 2500, 1000, 0, 0);
    CHECK_EQUAL(fw_ring_fill(&ring, &decoder, 0, &batch), 1);
    CHECK_EQUAL(batch.count, 2);
    CHECK_EQUAL(fw_ring_fill(&ring, &decoder, 0, &batch), 1);
    CHECK_EQUAL(batch.count, 1);
    CHECK_EQUAL(packets[0].payload, 500);
    CHECK_EQUAL(packets[0].seq, 2100);
    batch.capacity = CAPACITY;
}

/* Every length and offset of the headers turned into nonsense, in the block that borders on the guard page. */
static void test_hostile(void)
{
    static const uint32_t NONSENSE[] = {0, 1, 47, MAC - 1, BLOCK - 1, BLOCK, BLOCK + 1, 1u << 20, UINT32_MAX};
    for (unsigned field = 0; field < 6; field++)
        for (unsigned i = 0; i < sizeof NONSENSE / sizeof NONSENSE[0]; i++) {
            begin();
            memset(memory, 0, BLOCK);
            ring.current = 1;
            struct tpacket_block_desc *b = start(1);
            uint32_t first = sizeof *b, second = put_frame(1, first, 20, 0, 0, 0);
            put_frame(1, second, 20, 0, 7, 0);
            struct tpacket3_hdr *h = (void *)(memory + BLOCK + first);
            uint16_t mac = (uint16_t)NONSENSE[i];
            switch (field) {
            case 0: b->hdr.bh1.num_pkts = NONSENSE[i] < 1000 ? NONSENSE[i] : 1000; break;
            case 1: b->hdr.bh1.offset_to_first_pkt = NONSENSE[i]; break;
            case 2: h->tp_mac = mac; break;
            case 3: h->tp_snaplen = NONSENSE[i]; break;
            case 4: h->tp_next_offset = NONSENSE[i]; break;
            default: h->tp_len = NONSENSE[i]; break;
            }
            for (unsigned calls = 0; calls < 2000 && fw_ring_fill(&ring, &decoder, 0, &batch); calls++)
                CHECK(batch.count <= CAPACITY);
            CHECK_EQUAL(b->hdr.bh1.block_status, TP_STATUS_KERNEL); /* given back, whatever it held */
        }
}

/* A tail of two halves of 8 frames: what it holds is whole blocks, the newest frames, oldest first. */
static void test_tail(void)
{
    enum { ROOM = 8 * (60 + 32) };
    struct fw_tail t = {.halves = {calloc(1, ROOM), calloc(1, ROOM)}, .room = ROOM, .budget = 100, .most = 3000};
    uint8_t frame[60] = {0};
    CHECK(t.halves[0] && t.halves[1]);
    for (uint32_t i = 0; i < 20; i++)
        fw_tail_keep(&t, &(struct fw_frame){frame, 1000000000u + i, sizeof frame, 1500, 1, 0}, 7);
    CHECK_EQUAL(t.used[t.current], 4 * (60 + 32)); /* 16..19 */
    CHECK_EQUAL(t.used[!t.current], ROOM);         /* 8..15 */
    uint32_t word[7];
    memcpy(word, t.halves[!t.current], sizeof word);
    CHECK_EQUAL(word[0], 6);
    CHECK_EQUAL(word[1], 60 + 32);
    CHECK_EQUAL(word[2], 7);
    CHECK_EQUAL(word[4], 1000000008u);
    CHECK_EQUAL(word[5], 60);
    CHECK_EQUAL(word[6], 1500);
    fw_tail_clear(&t);
    struct fw_tail first = t;
    fw_tail_keep(&first, &(struct fw_frame){frame, 0, 4, 4, 1, 0}, 0); /* 1970 is a time like any other */
    first.slot = first.every = 0;
    fw_tail_keep(&first, &(struct fw_frame){frame, 1, 4, 4, 1, 0}, 0);
    CHECK_EQUAL(first.every, 1);
    fw_tail_clear(&t);
    t.budget = 2; /* a slot keeps four times as many at most, the next one every n-th */
    for (uint32_t i = 0; i < 100; i++)
        fw_tail_keep(&t, &(struct fw_frame){frame, 2000000000u + i, 4, 4, 1, 0}, 0);
    CHECK_EQUAL(t.used[t.current], 8 * (4 + 32));
    for (uint32_t i = 0; i < 100; i++)
        fw_tail_keep(&t, &(struct fw_frame){frame, 2250000000u + i, 4, 4, 1, 0}, 0);
    CHECK_EQUAL(t.every, 51);
    CHECK_EQUAL(t.used[t.current], 10 * (4 + 32));
    fw_tail_keep(&t, &(struct fw_frame){frame, 9000000000u, 4, 4, 1, 0}, 0); /* what is old makes room */
    CHECK_EQUAL(t.used[t.current], 4 + 32);
    fw_tail_keep(&t, &(struct fw_frame){frame, 9000000000u, ROOM, ROOM, 1, 0}, 0); /* too large to keep */
    CHECK_EQUAL(t.used[t.current], 4 + 32);
    free(t.halves[0]);
    free(t.halves[1]);
}

int main(void)
{
    map();
    test_frames();
    test_uneven_segments_across_batches();
    test_hostile();
    test_tail();
    return finish("ring");
}
