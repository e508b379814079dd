/* The most frequent keys of a stream, with the keys: the class TopK of Python.
 *
 * Misra, Gries: "Finding repeated elements", 1982, with counts and in batches (Anderson, Bevin, Lang and others: "A
 * high-performance algorithm for identifying frequent items in data streams", 2017): when more than k keys are held, the
 * median count is taken off all of them and those at zero leave. With N the sum of all counts, for every key:
 *
 *     count held  <=  true  <=  count held + offset,    offset <= 2 N / k,
 *
 * whatever the order, so a key with more than 2 N / k is always held. Deterministic: chance plays no part in it.
 * Merging adds counts and offsets and keeps both bounds.
 *
 * A table of at least 4/3 k entries with linear probing under a secret hash, and a second one to rebuild into. */
#ifndef FW_FREQUENT_H
#define FW_FREQUENT_H

#include "fw_keys.h"

#define FW_FREQUENT_KEY 110u
#define FW_FREQUENT_MAX_K (1u << 20)

enum fw_key_form { FW_KEY_INT = 0, FW_KEY_BYTES, FW_KEY_TEXT, FW_KEY_IPV4, FW_KEY_IPV6, FW_KEY_FORMS };

struct fw_entry { /* two cache lines; count 0: free */
    uint64_t hash, count;
    uint8_t form, size; /* how the key was given, for giving it back; equal bytes are equal keys */
    uint8_t key[FW_FREQUENT_KEY];
};
_Static_assert(sizeof(struct fw_entry) == 128, "an entry is two cache lines");

struct fw_frequent {
    struct fw_entry *entries, *spare; /* fw_frequent_size(k) each, zeroed; the owner's */
    uint64_t *scratch;                /* k + 1 */
    uint64_t total, offset;
    uint32_t k, used, mask;
};

/* Entries of a table for k keys: a power of two. */
static inline uint32_t fw_frequent_size(uint32_t k)
{
    uint32_t size = 4;
    while (size < k + k / 3 + 1)
        size *= 2;
    return size;
}

/* Add to one key of at most FW_FREQUENT_KEY bytes. FW_LIMIT, and nothing changed, if N would exceed 2^64 - 1. */
int fw_frequent_add(struct fw_frequent *f, const struct fw_key *key, const uint8_t *bytes, uint32_t size, uint8_t form,
                    uint64_t count);

/* Add counts[i] (or `same` each, where counts is NULL) to keys that are no hashes. FW_LIMIT as above. */
int fw_frequent_update(struct fw_frequent *f, const struct fw_key *key, const struct fw_keys *keys, uint8_t form,
                       const uint64_t *counts, uint64_t same);

/* What is held of a key, 0 for nothing. */
uint64_t fw_frequent_count(const struct fw_frequent *f, const struct fw_key *key, const uint8_t *bytes, uint32_t size);

/* into += other, whatever their k. FW_LIMIT as above. */
int fw_frequent_merge(struct fw_frequent *into, const struct fw_key *key, const struct fw_frequent *other);

/* The entries of the keys held, the most frequent first, equal ones by key. `out` has room for `used`; returns how many
 * there are. */
uint32_t fw_frequent_list(const struct fw_frequent *f, const struct fw_entry **out);

/* The payload of a saved sketch (fw_blob.h): offset and number of items, then each item. `list` is that of
 * fw_frequent_list, `out` has room for the size. */
size_t fw_frequent_saved_size(const struct fw_entry *const *list, uint32_t n);
void fw_frequent_save(const struct fw_frequent *f, const struct fw_entry *const *list, uint32_t n, uint8_t *out);

/* Fill an empty sketch from the payload of one whose counts sum up to `total`. Returns NULL, or what is wrong with it in
 * one sentence and in *field which part it is, both string constants: the sketch must not be used then. */
const char *fw_frequent_load(struct fw_frequent *f, const struct fw_key *key, const uint8_t *payload, size_t size,
                             uint64_t total, const char **field);

void fw_frequent_clear(struct fw_frequent *f);

#endif
