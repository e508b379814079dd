/* The whole chain: bytes -> fw_decoder_fill -> fw_engine_observe and close.
 *
 *   [ batch u8 | block u16 | capture ]     the capture is handed over in blocks of 1 + block bytes
 *   [ capture ]                            when the input begins with the magic of a capture
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "../fw_decode.h"
#include "../tests/drive.h"

#define BATCH 256u
#define CHECK(x) do { if (!(x)) __builtin_trap(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fw_decoder decoder;
static struct fw_points points;
static struct fw_packet packets[BATCH + 1];
static struct fw_message http[BATCH];
static struct fw_hello_seen seen[64];
static uint8_t texts[1 << 16];
static struct fw_hellos hellos;

/* An engine of zeros whose untouched pages cost nothing to clear. */
static struct fw_engine *fresh_engine(void)
{
    static struct fw_engine *e;
    if (!e) {
        e = mmap(NULL, sizeof *e, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(e != MAP_FAILED);
    } else {
        CHECK(madvise(e, sizeof *e, MADV_DONTNEED) == 0);
    }
    return e;
}

static int is_capture(const uint8_t *p, size_t size)
{
    static const uint32_t magics[] = {0xa1b2c3d4u, 0xd4c3b2a1u, 0xa1b23c4du, 0x4d3cb2a1u, 0x0a0d0d0au};
    for (unsigned i = 0; size >= 4 && i < sizeof magics / sizeof magics[0]; i++)
        if (fw_load32(p) == magics[i])
            return 1;
    return 0;
}

static int lies_in(const uint8_t *p, uint32_t n, const uint8_t *block, size_t size)
{
    return p >= block && p + n <= block + size;
}

static void check_batch(const struct fw_batch *b, const uint8_t *block, size_t size)
{
    CHECK(b->count <= b->capacity + 1 && b->message_count <= b->count);
    for (uint32_t i = 0; i < b->count; i++)
        CHECK(b->packets[i].message <= b->message_count && b->packets[i].kind < FW_KINDS);
    for (uint32_t i = 0; i < b->message_count; i++) {
        const struct fw_message *m = &b->messages[i];
        CHECK(!m->path || lies_in(m->path, m->path_len, block, size) ||
              lies_in(m->path, m->path_len, decoder.follow.texts.log, FW_TEXTS_LOG));
        CHECK(!m->whole || lies_in(m->whole, 1, block, size));
    }
}

/* Decode one block of its own allocation; returns the code of its end and how much of it was used in *used. */
static int feed(struct fw_engine *e, struct fw_batch *b, const uint8_t *data, size_t size, size_t *used)
{
    uint8_t *block = malloc(size ? size : 1);
    int rc;
    CHECK(block != NULL);
    if (size)
        memcpy(block, data, size);
    *used = 0;
    do {
        size_t before = *used;
        rc = fw_decoder_fill(&decoder, block, size, used, b);
        CHECK(*used >= before && *used <= size);
        check_batch(b, block, size);
        drive(e, b);
    } while (rc == 0);
    free(block);
    return rc;
}

static void check_engine(const struct fw_engine *e)
{
    CHECK(e->victims.touched_count <= FW_SLOTS);
    for (uint32_t s = 0; s < FW_TOPK_SETS; s++)
        for (uint32_t w = 0; w < FW_TOPK_WAYS; w++)
            CHECK(e->heavy.sets[s][w].requests <= 256ull * e->heavy.sets[s][w].packets);
    CHECK(e->flows.rate_log2 < 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fw_key key = {1, 2};
    struct fw_batch b = {.capacity = BATCH, .packets = packets, .messages = http};
    struct fw_engine *e = fresh_engine();
    size_t step = 1 << 20;
    if (!is_capture(data, size) && size >= 3) {
        b.capacity = 1u + data[0];
        step = 1u + fw_load16(data + 1);
        data += 3;
        size -= 3;
    }
    fw_decoder_init(&decoder, &key);
    memset(&points, 0, sizeof points);
    decoder.points = &points;
    memset(&hellos, 0, offsetof(struct fw_hellos, slots));
    for (unsigned i = 0; i < FW_HELLO_SLOTS; i++)
        hellos.slots[i].opened = 0;
    hellos.room = sizeof seen / sizeof *seen, hellos.text_room = sizeof texts, hellos.seen = seen, hellos.texts = texts;
    e->hellos = &hellos;
    for (size_t at = 0, length = step;;) {
        size_t used;
        length = length < size - at ? length : size - at;
        if (feed(e, &b, data + at, length, &used) != FW_NEED_MORE)
            break;
        CHECK(decoder.need > length - used);
        at += used;
        if (length - used == size - at)
            break; /* the capture ends inside a record */
        length = decoder.need > step ? decoder.need : step;
    }
    CHECK(decoder.offset <= size);
    check_engine(e);
    if (e->started)
        fw_engine_close_epoch(e, NULL);
    return 0;
}
