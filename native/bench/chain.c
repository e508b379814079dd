/* The whole chain over windows of a capture: fw_decoder_fill, fw_engine_observe, epoch closes. One thread.
 *
 *   chain FILE [PACKETS]   prints: packets N seconds S mpps M */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "../fw_decode.h"
#include "../tests/drive.h"

#define BATCH 8192u /* as the Python reader uses */
#define WINDOW ((size_t)16 << 20) /* as the Python reader maps them */
#define PAGE ((size_t)4096)
#define HELLOS 1024u /* as an analysis looks at, of each epoch */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct fw_decoder decoder;
static struct fw_packet packets[BATCH + 1];
static struct fw_message http[BATCH];
static struct fw_hello_seen seen[HELLOS];
static uint8_t texts[HELLOS * FW_HELLO_TEXT + FW_SEALED_MOST * FW_SEALED_BYTES];
static struct fw_hellos hellos = {
    .weight = 1, .room = HELLOS, .text_room = sizeof texts, .seen = seen, .texts = texts};

/* Count one mapped window; returns the code at its end, with *pos behind the last whole record. */
static int count(struct fw_engine *e, struct fw_batch *b, const uint8_t *data, size_t size, size_t *pos,
                 uint64_t limit, uint64_t *closed)
{
    int rc = 0;
    while (rc == 0 && decoder.frames < limit) {
        uint64_t left = limit - decoder.frames;
        b->capacity = left < BATCH ? (uint32_t)left : BATCH;
        rc = fw_decoder_fill(&decoder, data, size, pos, b);
        uint64_t ended = drive(e, b);
        *closed += ended;
        if (ended)
            fw_hellos_drained(&hellos);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct fw_key key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
    struct fw_batch b = {.capacity = BATCH, .packets = packets, .messages = http};
    struct fw_engine *e = calloc(1, sizeof *e);
    if (e)
        e->hellos = &hellos;
    struct stat st;
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1, rc = FW_NEED_MORE;
    if (!e || fd < 0 || fstat(fd, &st) != 0) {
        fprintf(stderr, "usage: chain FILE [PACKETS]\n");
        return 2;
    }
    size_t size = (size_t)st.st_size, at = 0;
    uint64_t limit = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX, closed = 0;
    fw_decoder_init(&decoder, &key);
    double start = now();
    while (at < size && rc == FW_NEED_MORE) {
        size_t base = at / PAGE * PAGE, pos = at - base;
        size_t length = WINDOW + (size_t)decoder.need < size - base ? WINDOW + (size_t)decoder.need : size - base;
        uint8_t *window = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, (off_t)base);
        if (window == MAP_FAILED)
            return 2;
        rc = count(e, &b, window, length, &pos, limit, &closed);
        munmap(window, length);
        if (base + length == size)
            at = size;
        else
            at = base + pos;
    }
    double seconds = now() - start;
    if (rc < 0 && rc != FW_NEED_MORE)
        fprintf(stderr, "stopped: %s\n", decoder.walker.why);
    printf("packets %llu seconds %.4f mpps %.3f epochs %llu\n", (unsigned long long)decoder.frames, seconds,
           (double)decoder.frames / seconds / 1e6, (unsigned long long)closed);
    free(e);
    return 0;
}
