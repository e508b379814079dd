/* Bytes and packets for the tests. */
#ifndef FW_TESTS_MAKE_H
#define FW_TESTS_MAKE_H

#include "../fw_epoch.h"

static const struct fw_key KEY = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

struct bytes {
    uint8_t at[4096];
    size_t size;
    int big; /* byte order of put16 and put32 */
};

static inline void put(struct bytes *b, const void *from, size_t n)
{
    memcpy(b->at + b->size, from, n);
    b->size += n;
}

static inline void put8(struct bytes *b, unsigned v) { b->at[b->size++] = (uint8_t)v; }

static inline void put16(struct bytes *b, unsigned v)
{
    put8(b, b->big ? v >> 8 : v);
    put8(b, b->big ? v : v >> 8);
}

static inline void put32(struct bytes *b, uint32_t v)
{
    put16(b, b->big ? v >> 16 : v & 0xffffu);
    put16(b, b->big ? v & 0xffffu : v >> 16);
}

static inline void zeros(struct bytes *b, size_t n)
{
    memset(b->at + b->size, 0, n);
    b->size += n;
}

/* A repeatable stream of 64-bit numbers. */
static inline uint64_t number(uint64_t stream, uint64_t i) { return fw_mix64(i * 0x9e3779b97f4a7c15ULL + stream); }

/* A decoded packet between IPv4 addresses, as fw_packet_decode would leave it. */
static inline struct fw_packet packet(uint8_t kind, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
    struct fw_packet p;
    memset(&p, 0, sizeof p);
    p.kind = kind;
    p.src.lo = FW_V4_TAG | src;
    p.dst.lo = FW_V4_TAG | dst;
    p.src_hash = p.sender_hash = fw_siphash13(&KEY, &p.src.lo, 1);
    p.dst_hash = fw_siphash13(&KEY, &p.dst.lo, 1);
    p.sport = sport;
    p.dport = dport;
    p.bytes = 60;
    p.window = kind == FW_SYN ? 7 : 502;
    p.proto = kind <= FW_TCP_ODD ? 6 : kind == FW_UDP ? 17 : 1;
    return p;
}

#endif
