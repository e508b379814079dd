#include "fw_keys.h"

uint64_t fw_hash_bytes(const struct fw_key *key, const uint8_t *bytes, size_t n)
{
    uint64_t v0 = key->k0 ^ 0x736f6d6570736575ULL, v1 = key->k1 ^ 0x646f72616e646f6dULL;
    uint64_t v2 = key->k0 ^ 0x6c7967656e657261ULL, v3 = key->k1 ^ 0x7465646279746573ULL;
    size_t whole = n & ~(size_t)7;
    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word = fw_load64(bytes + at);
        v3 ^= word;
        FW_SIPROUND(v0, v1, v2, v3);
        v0 ^= word;
    }
    uint64_t last = (uint64_t)(n & 255) << 56;
    for (size_t i = whole; i < n; i++)
        last |= (uint64_t)bytes[i] << (8 * (i - whole));
    v3 ^= last;
    FW_SIPROUND(v0, v1, v2, v3);
    v0 ^= last;
    v2 ^= 0xff;
    FW_SIPROUND(v0, v1, v2, v3);
    FW_SIPROUND(v0, v1, v2, v3);
    FW_SIPROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

int fw_counts_add(uint64_t total, size_t n, const uint64_t *counts, uint64_t same, uint64_t *out)
{
    uint64_t more;
    if (!counts && (__builtin_mul_overflow((uint64_t)n, same, &more) || __builtin_add_overflow(total, more, &total)))
        return FW_LIMIT;
    for (size_t i = 0; counts && i < n; i++)
        if (__builtin_add_overflow(total, counts[i], &total))
            return FW_LIMIT;
    *out = total;
    return 0;
}

size_t fw_keys_length(const struct fw_keys *keys, const uint8_t *row)
{
    size_t n = keys->width;
    while (keys->form == FW_KEYS_PADDED && n > 0 && row[n - 1] == 0)
        n--;
    return n;
}

const uint64_t *fw_keys_hash(const struct fw_key *key, const struct fw_keys *keys, size_t from, size_t n, uint64_t *out)
{
    if (keys->form == FW_KEYS_HASHED)
        return (const uint64_t *)keys->base + from;
    if (keys->form == FW_KEYS_WORDS) {
        fw_cpu()->hash_words(key, (const uint64_t *)keys->base + from, n, out);
        return out;
    }
    const uint8_t *rows = (const uint8_t *)keys->base + from * keys->width;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *row = rows + i * keys->width;
        out[i] = fw_hash_bytes(key, row, fw_keys_length(keys, row));
    }
    return out;
}
