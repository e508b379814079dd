/* Ring blocks as the kernel might never write them: two blocks of 8,192 bytes, filled from the input, read to the end.
 *
 *   [ packets u8 | offset u16 | bytes of the blocks ]
 */
#include <linux/if_packet.h>
#include <stdlib.h>

#include "../fw_ring.h"

#define BLOCK 8192u
#define BATCH 32u
#define HALF 512u
#define CHECK(x) do { if (!(x)) __builtin_trap(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fw_packet packets[BATCH + 1];
    static struct fw_message messages[BATCH];
    static struct fw_decoder decoder;
    static struct fw_points points;
    static const struct fw_key key = {1, 2};
    struct fw_batch b = {.capacity = BATCH, .packets = packets, .messages = messages};
    if (size < 3)
        return 0;
    uint8_t *memory = calloc(2, BLOCK); /* on the heap, so that a step behind its end is seen */
    CHECK(memory);
    size_t room = 2 * BLOCK - sizeof(struct tpacket_block_desc), n = size - 3 < room ? size - 3 : room;
    memcpy(memory + sizeof(struct tpacket_block_desc), data + 3, n);
    for (unsigned i = 0; i < 2; i++) {
        struct tpacket_block_desc *block = (void *)(memory + i * BLOCK);
        block->hdr.bh1.block_status = TP_STATUS_USER;
        block->hdr.bh1.num_pkts = data[0];
        block->hdr.bh1.offset_to_first_pkt = fw_load16(data + 1);
    }
    fw_decoder_init(&decoder, &key);
    memset(&points, 0, sizeof points);
    decoder.points = &points;
    struct fw_tail tail = {.halves = {malloc(HALF), malloc(HALF)}, .room = HALF, .budget = 4};
    CHECK(tail.halves[0] && tail.halves[1]);
    struct fw_ring ring = {.blocks = memory, .block_size = BLOCK, .block_count = 2, .tail = &tail};
    unsigned calls = 0;
    while (fw_ring_fill(&ring, &decoder, 0, &b)) {
        CHECK(b.count <= b.capacity + 1 && b.message_count <= b.count);
        CHECK(++calls < 100000);
    }
    for (unsigned i = 0; i < 2; i++)
        CHECK(((struct tpacket_block_desc *)(void *)(memory + i * BLOCK))->hdr.bh1.block_status == TP_STATUS_KERNEL);
    free(tail.halves[0]);
    free(tail.halves[1]);
    free(memory);
    return 0;
}
