/* Two threads as the pipeline has them: one fills batches, the other observes and closes epochs. Batches go
 * round between two bounded queues; nothing else is shared. Run under the thread sanitizer. */
#include <pthread.h>

#include "../fw_decode.h"
#include "check.h"
#include "drive.h"

#define AHEAD 4u
#define CAPACITY 256u
#define RECORDS 200000u
#define RECORD (16u + 60u)

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct fw_batch *items[AHEAD + 1]; /* NULL ends the stream */
    unsigned count;
};

static struct queue empty = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};
static struct queue full = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};
static uint8_t *capture;
static struct fw_decoder decoder;

static void push(struct queue *q, struct fw_batch *b)
{
    pthread_mutex_lock(&q->lock);
    q->items[q->count++] = b;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
}

static struct fw_batch *pop(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->count == 0)
        pthread_cond_wait(&q->filled, &q->lock);
    struct fw_batch *b = q->items[0];
    memmove(&q->items[0], &q->items[1], --q->count * sizeof q->items[0]);
    pthread_mutex_unlock(&q->lock);
    return b;
}

static void *read_capture(void *unused)
{
    size_t pos = 0, size = 24 + (size_t)RECORDS * RECORD;
    int rc;
    (void)unused;
    do {
        struct fw_batch *b = pop(&empty);
        rc = fw_decoder_fill(&decoder, capture, size, &pos, b);
        push(&full, b);
    } while (rc == 0);
    push(&full, NULL);
    return NULL;
}

static void put_le32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }

/* TCP packets with an HTTP request in every third, 20 us apart. */
static void make_capture(void)
{
    static const uint8_t frame[60] = {[12] = 8, [14] = 0x45, [17] = 46, [22] = 64, [23] = 6, [30] = 198, 51, 100, 7,
                                      [37] = 80, [46] = 0x50, [47] = 2};
    put_le32(capture, 0xa1b2c3d4u);
    put_le32(capture + 20, 1);
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint8_t *r = capture + 24 + (size_t)i * RECORD;
        put_le32(r, 1700000000u + i / 50000);
        put_le32(r + 4, i % 50000 * 20);
        put_le32(r + 8, 60);
        put_le32(r + 12, 60);
        memcpy(r + 16, frame, 60);
        put_le32(r + 16 + 26, i * 2654435761u);
        if (i % 3 == 0) {
            memcpy(r + 16 + 54, "GET /", 5);
            r[16 + 17] = 46;
            r[16 + 47] = 0x18;
        }
    }
}

int main(void)
{
    struct fw_key key = {1, 2};
    struct fw_engine *engine = calloc(1, sizeof *engine);
    struct fw_batch batches[AHEAD], *b;
    pthread_t reader;
    uint64_t seen = 0;
    capture = calloc(1, 24 + (size_t)RECORDS * RECORD);
    if (!engine || !capture)
        return 2;
    make_capture();
    fw_decoder_init(&decoder, &key);
    for (unsigned i = 0; i < AHEAD; i++) {
        batches[i] = (struct fw_batch){.capacity = CAPACITY, .packets = calloc(CAPACITY + 1, sizeof(struct fw_packet)),
                                       .messages = calloc(CAPACITY, sizeof(struct fw_message))};
        push(&empty, &batches[i]);
    }
    if (pthread_create(&reader, NULL, read_capture, NULL) != 0)
        return 2;
    while ((b = pop(&full)) != NULL) {
        drive(engine, b);
        seen += b->count;
        push(&empty, b);
    }
    pthread_join(reader, NULL);
    CHECK_EQUAL(seen, RECORDS);
    for (unsigned i = 0; i < AHEAD; i++) {
        free(batches[i].packets);
        free(batches[i].messages);
    }
    free(engine);
    free(capture);
    return finish("tsan");
}
