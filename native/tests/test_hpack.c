/* HPACK: the examples of RFC 7541, appendix C, in one piece and byte by byte; tables of any size; noise. */
#include "check.h"
#include "make.h"

#include "../fw_hpack.h"
#include "../fw_huffman.h"

static struct fw_hpack h;

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;
    for (; text[0] && text[1]; text += text[2] == ' ' ? 3 : 2)
        out[n++] = (uint8_t)strtoul((char[]){text[0], text[1], 0}, NULL, 16);
    return n;
}

/* Feed one block in pieces of `step` bytes. */
static int block(const char *text, size_t step)
{
    uint8_t bytes[512];
    size_t n = unhex(text, bytes);
    int rc = 0;
    fw_hpack_begin(&h);
    for (size_t at = 0; at < n && rc == 0; at += step) {
        size_t piece = step < n - at ? step : n - at;
        rc = fw_hpack_feed(&h, &KEY, guarded(bytes + at, piece), (uint32_t)piece);
    }
    return rc;
}

static void asks(const char *path, int posts, int spelled)
{
    CHECK(h.fields.has & 1u << FW_FIELD_METHOD && h.fields.has & 1u << FW_FIELD_PATH);
    CHECK_EQUAL(h.fields.posts, posts);
    CHECK_EQUAL(h.fields.path_hash, fw_http_hash(&KEY, (const uint8_t *)path, (uint32_t)strlen(path)));
    CHECK_EQUAL(h.fields.spelled, spelled);
    CHECK(!spelled || (h.fields.path_len == strlen(path) && memcmp(h.fields.path, path, h.fields.path_len) == 0));
}

/* Whatever is fed one after the other has to be fed to the same table, so each step size begins anew. */
static void test_examples(void)
{
    for (size_t step = 1; step < 64; step += step < 3 ? 1 : 60) {
        memset(&h, 0, sizeof h);
        CHECK_EQUAL(block("828684410f7777772e6578616d706c652e636f6d", step), 0); /* C.3.1 */
        asks("/", 0, 1);
        CHECK_EQUAL(block("828684be58086e6f2d6361636865", step), 0);
        CHECK_EQUAL(block("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", step), 0);
        asks("/index.html", 0, 1);
        CHECK_EQUAL(h.inserted, 3);

        memset(&h, 0, sizeof h);
        CHECK_EQUAL(block("828684418cf1e3c2e5f23a6ba0ab90f4ff", step), 0); /* C.4.1: Huffman */
        asks("/", 0, 1);
        CHECK_EQUAL(block("828684be5886a8eb10649cbf", step), 0);
        CHECK_EQUAL(block("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", step), 0);
        asks("/index.html", 0, 1);

        memset(&h, 0, sizeof h);
        CHECK_EQUAL(block("4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54"
                          "6e1768747470733a2f2f7777772e6578616d706c652e636f6d", step), 0); /* C.5.1 */
        CHECK_EQUAL(h.fields.status, 302);
        CHECK_EQUAL(block("4803333037c1c0bf", step), 0); /* C.5.2: the table is so small that 302 is evicted */
        CHECK_EQUAL(h.fields.status, 307);
        CHECK_EQUAL(block("88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970773866", step), 0);
        CHECK_EQUAL(h.fields.status, 200);

        memset(&h, 0, sizeof h);
        CHECK_EQUAL(block("488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b"
                          "97c8e9ae82ae43d3", step), 0); /* C.6.1 */
        CHECK_EQUAL(h.fields.status, 302);
        CHECK_EQUAL(block("4883640effc1c0bf", step), 0);
        CHECK_EQUAL(h.fields.status, 307);
    }
}

static void test_paths(void)
{
    memset(&h, 0, sizeof h);
    CHECK_EQUAL(block("83 44 0a 2f 6c 6f 67 69 6e 3f 61 3d 62", 1), 0); /* POST, and /login?a=b into the table */
    asks("/login", 1, 1);
    CHECK_EQUAL(block("83 be", 2), 0); /* told by index */
    asks("/login", 1, 0);
    CHECK_EQUAL(block("82 04 06 2f 61 2e 63 73 73", 3), 0); /* not into the table */
    asks("/a.css", 0, 1);
    CHECK_EQUAL(h.fields.asset, 1);
    CHECK_EQUAL(block("42 09 50 52 4f 50 50 41 54 43 48 7f 00 02 2f 62", 2), 0); /* :path by the name of a dynamic entry */
    asks("/b", 0, 1);
    CHECK_EQUAL(block("00 07 3a 6d 65 74 68 6f 64 03 50 55 54 10 05 3a 70 61 74 68 02 2f 63", 1), 0); /* names spelled out */
    asks("/c", 1, 1);
    char dead[600] = "82 44 7f a1 00"; /* a path of 288 bytes, cut at FW_PATH_MAX */
    CHECK_EQUAL(block(dead, 1), 0);
    for (unsigned i = 0; i < 288; i++)
        CHECK_EQUAL(fw_hpack_feed(&h, &KEY, (const uint8_t *)"a", 1), 0);
    CHECK_EQUAL(h.fields.path_len, FW_PATH_MAX);
    fw_hpack_lose(&h);
    CHECK_EQUAL(block("82 be", 1), 0); /* what stood there is not known any more */
    CHECK(!(h.fields.has & 1u << FW_FIELD_PATH));
}

/* RFC 7541, 6.3: a table of the largest size, and more entries than are kept. */
static void test_large_tables(void)
{
    memset(&h, 0, sizeof h);
    CHECK_EQUAL(block("3f ff ff ff 7f", 1), 0);
    for (unsigned i = 0; i < 1000000; i++) {
        uint8_t entry[] = {0x44, 4, '/', (uint8_t)('a' + i % 26), (uint8_t)('a' + i / 26 % 26), 'x'};
        fw_hpack_begin(&h);
        CHECK_EQUAL(fw_hpack_feed(&h, &KEY, entry, sizeof entry), 0);
    }
    CHECK_EQUAL(h.inserted, 1000000);
    CHECK_EQUAL(block("82 ff 3e", 1), 0); /* entry 128 of the dynamic table: 127 + 62 = 189 */
    char path[8];
    unsigned at = 1000000 - 128;
    snprintf(path, sizeof path, "/%c%cx", 'a' + at % 26, 'a' + at / 26 % 26);
    asks(path, 0, 0);
    CHECK_EQUAL(block("82 ff 3f", 1), 0); /* the one before is not kept */
    CHECK(!(h.fields.has & 1u << FW_FIELD_PATH));
}

static void test_what_no_encoder_writes(void)
{
    static const char *const BAD[] = {"80", "ff ff ff ff ff ff", "7f ff ff ff ff ff ff",
                                      "44 81 00",       /* padding of zeros */
                                      "44 82 ff ff",    /* padding that is too long */
                                      "44 84 ff ff ff ff" /* EOS */};
    for (unsigned i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        for (size_t step = 1; step < 8; step++) {
            memset(&h, 0, sizeof h);
            CHECK_EQUAL(block(BAD[i], step), -1);
        }
}

static void test_huffman(void)
{
    unsigned found = 0;
    uint64_t kraft = 0; /* a code that is complete fills the tree */
    for (unsigned bits = 1; bits <= FW_HUFFMAN_LONGEST; bits++)
        for (uint32_t code = bits < 20 ? 0 : (1u << bits) - (1u << (bits - 9)); code < 1u << bits; code++)
            if (fw_huffman_symbol(code, bits) >= 0) {
                found++;
                kraft += 1ull << (FW_HUFFMAN_LONGEST - bits);
            }
    CHECK_EQUAL(found, 257);
    CHECK_EQUAL(kraft, 1ull << FW_HUFFMAN_LONGEST);
    CHECK_EQUAL(fw_huffman_symbol(0x3fffffff, 30), FW_HUFFMAN_END);
    CHECK_EQUAL(fw_huffman_symbol(0, 5), '0');
}

static void test_noise(void)
{
    memset(&h, 0, sizeof h);
    for (uint64_t i = 0; i < 200000; i++) {
        uint8_t noise[64];
        size_t n = number(1, i) % sizeof noise;
        for (size_t at = 0; at < n; at++)
            noise[at] = (uint8_t)number(2, i * 64 + at);
        if (i % 3 == 0)
            fw_hpack_begin(&h);
        (void)fw_hpack_feed(&h, &KEY, guarded(noise, n), (uint32_t)n);
        CHECK(h.fields.path_len <= FW_PATH_MAX && h.length <= sizeof h.text && h.fields.status <= 999);
    }
}

int main(void)
{
    test_examples();
    test_paths();
    test_large_tables();
    test_what_no_encoder_writes();
    test_huffman();
    test_noise();
    return finish("hpack");
}
