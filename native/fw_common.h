/* Errors, byte loads and small helpers shared by the whole library.
 *
 * Contract of the library: no printf, no abort, no globals that change, no allocation on the packet
 * path. Functions return 0 (or a count) on success and a negative enum fw_err on failure. */
#ifndef FW_COMMON_H
#define FW_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum fw_err {
    FW_OK = 0,
    FW_NEED_MORE = -1,     /* the buffer ends inside a record: not an error */
    FW_BAD_MAGIC = -2,     /* neither pcap nor pcapng */
    FW_BAD_RECORD = -3,    /* a record or block contradicts itself or a limit */
    FW_BAD_BLOCK = -4,     /* a pcapng block's two lengths differ, or it is shorter than its body */
    FW_BAD_INTERFACE = -5, /* a packet names an interface that was never described */
    FW_BAD_SECTION = -6,   /* a pcapng section header is wrong */
    FW_LIMIT = -7,         /* a limit of the library was reached (interfaces, record size) */
    FW_NO_MEMORY = -8
};

#define FW_LIKELY(x) __builtin_expect(!!(x), 1)
#define FW_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Loads by memcpy: no alignment is promised by captured bytes. */
static inline uint16_t fw_load16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t fw_load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t fw_load64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline uint16_t fw_be16(const uint8_t *p) { return __builtin_bswap16(fw_load16(p)); }
static inline uint32_t fw_be32(const uint8_t *p) { return __builtin_bswap32(fw_load32(p)); }
static inline uint64_t fw_be64(const uint8_t *p) { return __builtin_bswap64(fw_load64(p)); }

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian hosts need other loads");

static inline uint32_t fw_min32(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline int fw_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* What a hexadecimal digit is worth; -1: it is none. */
static inline int fw_hex(uint8_t c)
{
    if (fw_is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Saturating add: counters stop at their maximum, they never wrap (count-min must not under-count). */
static inline uint32_t fw_sat_add32(uint32_t a, uint32_t b)
{
    uint32_t s = a + b;
    return s < a ? UINT32_MAX : s;
}

/* The same for narrow counters. */
static inline void fw_count8(uint8_t *counter, unsigned more)
{
    *counter = (uint8_t)fw_min32(*counter + more, UINT8_MAX);
}

static inline void fw_count16(uint16_t *counter, unsigned more)
{
    *counter = (uint16_t)fw_min32(*counter + more, UINT16_MAX);
}

#endif
