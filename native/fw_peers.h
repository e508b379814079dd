/* Who was spoken to: for each host that got packets, the addresses that it sent packets of a protocol to.
 *
 * A Bloom filter with one hash in two generations (Bloom: "Space/time trade-offs in hash coding with allowable
 * errors", 1970): what was noted is known for one generation at least and two at most. A generation takes
 * FW_PEERS_MOST pairs and then no more, so that of addresses that were never spoken to at most one in eight counts as
 * known, whoever makes a host answer. Whoever finds no room counts as not spoken to, which errs towards a flood. */
#ifndef FW_PEERS_H
#define FW_PEERS_H

#include "fw_packet.h"

#define FW_PEERS_LOG2 20u
#define FW_PEERS_WORDS (1u << (FW_PEERS_LOG2 - 6))
#define FW_PEERS_MOST (1u << (FW_PEERS_LOG2 - 4))
#define FW_PEERS_EPOCHS 32u /* a generation: 8 s */

struct fw_peers {
    uint64_t bits[2][FW_PEERS_WORDS];
    uint32_t now;   /* which of them is filled; the other one is of before */
    uint32_t noted; /* bits that are set in it */
    uint32_t epochs;
};

/* Kinds of which it is asked: those that open no connection. */
static inline int fw_peers_asked(const struct fw_packet *p) { return p->kind >= FW_UDP && p->kind != FW_FRAGMENT; }

/* The bit of packets of a protocol from an address to a host; both are keyed hashes of full addresses. */
static inline uint32_t fw_peers_bit(uint64_t from, uint64_t to, uint8_t proto)
{
    return (uint32_t)(fw_mix64(from + FW_ROTL(to, 23) + proto) >> (64 - FW_PEERS_LOG2));
}

/* The sender of this packet spoke to whom it goes to. */
static inline void fw_peers_note(struct fw_peers *t, const struct fw_packet *p)
{
    uint32_t bit = fw_peers_bit(p->dst_hash, p->sender_hash, p->proto);
    uint64_t *word = &t->bits[t->now][bit >> 6], mask = 1ULL << (bit & 63);
    if (!(*word & mask) && t->noted < FW_PEERS_MOST) {
        *word |= mask;
        t->noted++;
    }
}

/* Did whom this packet goes to speak to its sender lately? */
static inline int fw_peers_know(const struct fw_peers *t, const struct fw_packet *p)
{
    uint32_t bit = fw_peers_bit(p->sender_hash, p->dst_hash, p->proto);
    return (int)((t->bits[0][bit >> 6] | t->bits[1][bit >> 6]) >> (bit & 63) & 1);
}

/* An epoch ends, and `silent` ones follow it. */
void fw_peers_close_epoch(struct fw_peers *t, uint64_t silent);

#endif
