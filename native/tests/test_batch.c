/* Batches: merged by time, saved and loaded again, and what is refused. */
#include "check.h"
#include "make.h"

#include "../fw_batch.h"

#define ROOM 8u

static struct fw_packet packets[3][ROOM + 1];
static struct fw_message messages[3][ROOM];
static struct fw_hasher hasher = {.key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}};

static struct fw_batch batch(unsigned which)
{
    return (struct fw_batch){.capacity = ROOM, .packets = packets[which], .messages = messages[which]};
}

static void add(struct fw_batch *b, uint8_t kind, uint64_t ts_ns, const char *path)
{
    struct fw_packet *p = &b->packets[b->count++];
    *p = packet(kind, (uint32_t)ts_ns, 1, 7, 80);
    p->ts_ns = ts_ns;
    b->carriers += kind == FW_CARRIER;
    if (!path)
        return;
    b->messages[b->message_count] = (struct fw_message){
        .path = (const uint8_t *)path, .path_len = (uint16_t)strlen(path), .what = FW_HTTP_REQUEST};
    p->message = ++b->message_count;
}

static void test_merge(void)
{
    struct fw_batch a = batch(0), b = batch(1), out = batch(2), *in[] = {&a, &b};
    uint32_t at[] = {0, 0};
    add(&a, FW_SYN, 1, NULL);
    add(&a, FW_DATA, 3, "/a");
    add(&b, FW_DATA, 2, "/b");
    add(&b, FW_UDP, 3, NULL);
    add(&b, FW_UDP, 9, NULL);
    CHECK_EQUAL(fw_batch_merge(&out, in, at, 2), 0); /* the first is used up */
    CHECK(out.count == 3 && at[0] == 2 && at[1] == 1);
    CHECK(out.packets[1].ts_ns == 2 && out.packets[2].ts_ns == 3 && out.packets[2].kind == FW_DATA);
    CHECK(out.message_count == 2 && out.messages[out.packets[2].message - 1].path[1] == 'a');
    in[0] = &b;
    at[0] = at[1];
    CHECK_EQUAL(fw_batch_merge(&out, in, at, 1), 0);
    CHECK(out.count == 2 && out.message_count == 0 && at[0] == 3);
    CHECK_EQUAL(fw_batch_merge(&out, in, at, 0), 0);
    CHECK_EQUAL(out.count, 0);
}

/* A full batch still takes what its last packet carries. */
static void test_merge_full(void)
{
    struct fw_batch a = batch(0), out = batch(2), *in[] = {&a};
    uint32_t at[] = {0};
    add(&a, FW_CARRIER, 1, NULL);
    add(&a, FW_UDP, 1, NULL);
    add(&a, FW_UDP, 2, NULL);
    out.capacity = 1;
    CHECK_EQUAL(fw_batch_merge(&out, in, at, 1), 1);
    CHECK(out.count == 2 && out.carriers == 1 && at[0] == 2);
    CHECK_EQUAL(fw_batch_merge(&out, in, at, 1), 0);
    CHECK(out.count == 1 && out.carriers == 0);
}

/* Saved messages in out.messages, their texts in the bytes returned: flush against the guard page. */
static uint8_t *saved(struct fw_batch *out, size_t *size)
{
    static uint8_t texts[64];
    struct fw_batch a = batch(0);
    add(&a, FW_DATA, 1, "/shop");
    add(&a, FW_SYN, 2, NULL);
    add(&a, FW_DATA, 3, "/");
    add(&a, FW_DATA, 4, "");
    a.messages[2].path = NULL;
    a.messages[2].path_len = 5; /* of a message without a text the length means nothing */
    *size = fw_batch_texts(&a);
    CHECK_EQUAL(*size, 6);
    *out = batch(2);
    memcpy(out->packets, a.packets, a.count * sizeof *a.packets);
    fw_batch_save(&a, out->messages, texts);
    out->count = a.count;
    out->message_count = a.message_count;
    return guarded(texts, *size);
}

static void test_save_and_load(void)
{
    const char *why = NULL;
    struct fw_batch out;
    size_t size;
    const uint8_t *texts = saved(&out, &size);
    CHECK(memcmp(texts, "/shop/", 6) == 0);
    out.packets[1].message = 77; /* there is none of that number */
    out.packets[0].dst_hash = 0;
    CHECK_EQUAL(fw_batch_load(&out, texts, size, &hasher, &why), 0);
    CHECK(why == NULL && out.packets[1].message == 0 && out.packets[2].message == 2);
    CHECK(out.messages[0].path_len == 5 && memcmp(out.messages[0].path, "/shop", 5) == 0);
    CHECK(out.messages[1].path == texts + 5 && out.messages[2].path_len == 0);
    CHECK(out.messages[0].path_hash == fw_http_hash(&hasher.key, texts, 5));
    CHECK_EQUAL(out.packets[0].dst_hash, packet(FW_SYN, 1, 1, 7, 80).dst_hash);
}

static void test_load_refuses(void)
{
    const char *why = NULL;
    struct fw_batch out;
    size_t size;
    const uint8_t *texts = saved(&out, &size);
    CHECK_EQUAL(fw_batch_load(&out, texts, size - 1, &hasher, &why), FW_BAD_RECORD);
    CHECK(strcmp(why, "a message reaches beyond its texts") == 0);
    texts = saved(&out, &size);
    out.messages[1].path = (const uint8_t *)SIZE_MAX;
    CHECK_EQUAL(fw_batch_load(&out, texts, size, &hasher, &why), FW_BAD_RECORD);
    texts = saved(&out, &size);
    out.packets[3].kind = FW_KINDS;
    CHECK_EQUAL(fw_batch_load(&out, texts, size, &hasher, &why), FW_BAD_RECORD);
    CHECK(strcmp(why, "a packet of no known kind") == 0);
    static uint8_t room[4 * FW_PATH_MAX];
    out = batch(2);
    out.messages[0] = (struct fw_message){.path_len = FW_PATH_MAX + 1};
    out.message_count = 1;
    CHECK_EQUAL(fw_batch_load(&out, room, sizeof room, &hasher, &why), FW_BAD_RECORD);
}

/* The bits of a query and of a parameter's name are those of words of 64, whatever a saved message says. */
static void test_loaded_bits(void)
{
    static struct fw_engine engine;
    static const uint8_t texts[1];
    const char *why = NULL;
    struct fw_batch b = batch(0);
    while (b.count < ROOM)
        add(&b, FW_DATA, 1, "/");
    for (uint32_t i = 0; i < ROOM; i++) {
        struct fw_message *m = &b.messages[i];
        *m = (struct fw_message){.what = FW_HTTP_REQUEST, .queried = 1, .query_bit = 255, .named = 1, .name_bit = 64};
    }
    CHECK_EQUAL(fw_batch_load(&b, texts, 0, &hasher, &why), 0);
    fw_engine_init(&engine);
    for (unsigned i = 0; i < 4; i++)
        CHECK_EQUAL(fw_engine_observe(&engine, &b, 0), ROOM);
    struct fw_heavy *s = fw_topk_find(&engine.heavy, fw_pair_hash(b.packets[0].src_hash, b.packets[0].dst_hash));
    CHECK(s && s->queries == 1ULL << 63 && s->names == 1);
}

int main(void)
{
    test_merge();
    test_merge_full();
    test_save_and_load();
    test_load_refuses();
    test_loaded_bits();
    return finish("batch");
}
