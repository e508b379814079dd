/* Keys of the public sketches -> 64-bit hashes, batch by batch.
 *
 * Every key is a string of bytes and its hash is SipHash-1-3 of them, so any other implementation of SipHash can check
 * it. An integer is its 8 little-endian bytes: the same hash, by the same code, that the engine gives a word. */
#ifndef FW_KEYS_H
#define FW_KEYS_H

#include "fw_cpu.h"

enum fw_keys_form {
    FW_KEYS_WORDS = 0, /* uint64_t each */
    FW_KEYS_ROWS,      /* `width` bytes each */
    FW_KEYS_PADDED,    /* `width` bytes each, the zero bytes at the end not counted (NumPy's S type) */
    FW_KEYS_HASHED     /* uint64_t each, hashed already */
};

struct fw_keys {
    const void *base; /* contiguous */
    size_t count, width;
    enum fw_keys_form form;
};

/* total + the sum of counts[0..n) (or n times `same`, where counts is NULL) in *out. FW_LIMIT, and
 * *out as it was, if that exceeds 2^64 - 1. */
int fw_counts_add(uint64_t total, size_t n, const uint64_t *counts, uint64_t same, uint64_t *out);

/* Bytes of a row: its width, or up to its last byte that is not zero. */
size_t fw_keys_length(const struct fw_keys *keys, const uint8_t *row);

#define FW_KEYS_STEP 512u /* keys hashed at a time: their hashes stay in the first-level cache */

/* SipHash-1-3 of any bytes. */
uint64_t fw_hash_bytes(const struct fw_key *key, const uint8_t *bytes, size_t n);

/* Hashes of keys[from .. from + n), n <= FW_KEYS_STEP; returns `out`, or the hashes where they already lie. */
const uint64_t *fw_keys_hash(const struct fw_key *key, const struct fw_keys *keys, size_t from, size_t n, uint64_t *out);

#endif
