/* Keyed hashing of addresses.
 *
 * SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012; the 1-3 variant is the one
 * that Rust and Linux use for hash tables) specialised for inputs of one and two 64-bit words. The key is
 * 128 secret bits per process and is passed in explicitly, so that tests can pin it. Every index of every
 * sketch is a slice or a mix of these outputs; guarantees assume that the key is secret and that the
 * stream does not depend on it. */
#ifndef FW_HASH_H
#define FW_HASH_H

#include "fw_common.h"

struct fw_key {
    uint64_t k0, k1;
};

#define FW_ROTL(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define FW_SIPROUND(v0, v1, v2, v3)                                                              \
    do {                                                                                         \
        v0 += v1; v2 += v3; v1 = FW_ROTL(v1, 13); v3 = FW_ROTL(v3, 16); v1 ^= v0; v3 ^= v2;      \
        v0 = FW_ROTL(v0, 32); v2 += v1; v0 += v3; v1 = FW_ROTL(v1, 17); v3 = FW_ROTL(v3, 21);    \
        v1 ^= v2; v3 ^= v0; v2 = FW_ROTL(v2, 32);                                                \
    } while (0)

/* SipHash-1-3 of the n (1 or 2) little-endian words w[0..n). Equal to the reference on 8n bytes. */
static inline uint64_t fw_siphash13(const struct fw_key *key, const uint64_t *w, unsigned n)
{
    uint64_t v0 = key->k0 ^ 0x736f6d6570736575ULL, v1 = key->k1 ^ 0x646f72616e646f6dULL;
    uint64_t v2 = key->k0 ^ 0x6c7967656e657261ULL, v3 = key->k1 ^ 0x7465646279746573ULL;
    for (unsigned i = 0; i < n; i++) {
        v3 ^= w[i];
        FW_SIPROUND(v0, v1, v2, v3);
        v0 ^= w[i];
    }
    uint64_t last = (uint64_t)(8 * n) << 56;
    v3 ^= last;
    FW_SIPROUND(v0, v1, v2, v3);
    v0 ^= last;
    v2 ^= 0xff;
    FW_SIPROUND(v0, v1, v2, v3);
    FW_SIPROUND(v0, v1, v2, v3);
    FW_SIPROUND(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

#define FW_MEMO 256u

#define FW_TRANSLATORS_MAX 16u

/* A network of IPv6 whose addresses stand for hosts one by one: behind each address is another IPv4 host. */
struct fw_translator {
    uint64_t hi, lo;            /* of its first address ... */
    uint64_t mask_hi, mask_lo;  /* ... and the bits that all of them share */
};

/* The key, and the hashes of words met lately: destinations repeat, so most packets find theirs here. A word
 * of 0 marks a free place and is never looked up (addresses carry a tag). Beside it the networks that the operator
 * names, see fw_is_translated. */
struct fw_hasher {
    struct fw_key key;
    struct {
        uint64_t word, hash;
    } memo[FW_MEMO];
    struct fw_translator translators[FW_TRANSLATORS_MAX];
    uint32_t translator_count;
};

/* Is the IPv6 address inside a translator's well-known network: 64:ff9b::/96 (RFC 6052), 64:ff9b:1::/48 (RFC 8215)? */
static inline int fw_well_known_translator(uint64_t hi, uint64_t lo)
{
    return FW_UNLIKELY(hi >> 32 == 0x0064ff9bULL) && ((uint32_t)hi == 0 ? lo >> 32 == 0 : (uint32_t)hi >> 16 == 1);
}

/* Is it one of any translator (NAT64), those that the operator names among them? */
static inline int fw_is_translated(const struct fw_hasher *h, uint64_t hi, uint64_t lo)
{
    if (fw_well_known_translator(hi, lo))
        return 1;
    for (uint32_t i = 0; FW_UNLIKELY(i < h->translator_count); i++) {
        const struct fw_translator *t = &h->translators[i];
        if ((hi & t->mask_hi) == t->hi && (lo & t->mask_lo) == t->lo)
            return 1;
    }
    return 0;
}

/* SipHash-1-3 of one word, from the memory if it is there. */
static inline uint64_t fw_hash_again(struct fw_hasher *h, uint64_t word)
{
    uint32_t at = ((uint32_t)word * 0x9e3779b1u) >> 24;
    if (h->memo[at].word != word) {
        h->memo[at].word = word;
        h->memo[at].hash = fw_siphash13(&h->key, &word, 1);
    }
    return h->memo[at].hash;
}

/* Bijective finaliser (Stafford's variant 13, as in SplitMix64): spreads a sum of keyed hashes and ports
 * over all bits. Not a PRF itself: its input already is keyed. */
static inline uint64_t fw_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

#endif
