/* Which ports are loud: buckets that tell two ports each, by vote.
 *
 * Misra, Gries: "Finding repeated elements", 1982, with two counters, in buckets as in the MV-Sketch (Tang, Huang, Lee
 * 2019): a vote is at most the true count of its port, and short of it by a third of the bucket's packets at most. With
 * one counter (Boyer, Moore: "MJRTY", 1981) two loud ports of one bucket, which the key decides, would hide each other. */
#ifndef FW_PORTS_H
#define FW_PORTS_H

#include "fw_hash.h"
#include "fw_features.h"

struct fw_port_count {
    FW_PORT_FEATURES(FW_MEMBER)
};

/* The key of a port: the protocol in the upper half. */
static inline uint32_t fw_port_key(uint8_t proto, uint16_t port) { return (uint32_t)proto << 16 | port; }

/* One of 64 buckets. Salted with a keyed hash, so nobody outside can aim two ports at one. */
static inline uint32_t fw_port_bucket(uint64_t salt, uint32_t key)
{
    return ((key ^ (uint32_t)salt) * 0x9e3779b1u) >> 26;
}

/* One of 256 marks of a port; no two ports of known amplifiers share one. */
static inline uint8_t fw_port_mark(uint16_t port) { return (uint8_t)(port * 0x1027c4d1u >> 24); }

/* A hash of a port for sketches, salted likewise. */
static inline uint64_t fw_port_hash(uint64_t salt, uint16_t port)
{
    return fw_mix64(salt + port * 0x9e3779b97f4a7c15ULL);
}

/* A majority vote (Boyer, Moore) with weights: who is ahead, and how far at least. */
static inline void fw_elect(uint32_t *winner, int32_t *vote, uint32_t key, int32_t weight)
{
    if (*winner != key && *vote < weight) {
        *winner = key;
        *vote = -*vote;
    }
    *vote += *winner == key ? weight : -weight;
}

/* Count a packet in its bucket. */
static inline void fw_port_vote(struct fw_port_count *b, uint32_t key, uint32_t bytes)
{
    b->packets++;
    b->bytes += bytes;
    if (FW_LIKELY(b->key == key && b->vote > 0)) {
        b->vote++;
    } else if (b->second == key && b->second_vote > 0) {
        b->second_vote++;
    } else if (b->vote == 0) {
        b->key = key;
        b->vote = 1;
    } else if (b->second_vote == 0) {
        b->second = key;
        b->second_vote = 1;
    } else {
        b->vote--;
        b->second_vote--;
    }
}

#endif
