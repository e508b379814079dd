/* For whom a proxy asks: the PROXY protocol ahead of a connection (HAProxy: "The PROXY protocol, versions 1 & 2"), and
 * the headers X-Forwarded-For and Forwarded (RFC 7239) of a request.
 *
 * Anybody may write either. What is read here is a claim; fw_epoch.c believes it of senders that are proxies, and only
 * where it stands at the right place. */
#ifndef FW_FORWARD_H
#define FW_FORWARD_H

#include "fw_message.h"

#define FW_RANGES_MOST 4096u

/* Address ranges in order, that do not overlap; IPv4 as in ::ffff:a.b.c.d. */
struct fw_range {
    uint64_t first_hi, first_lo, last_hi, last_lo;
};
struct fw_ranges {
    uint32_t count;
    struct fw_range held[FW_RANGES_MOST];
};

int fw_ranges_hold(const struct fw_ranges *r, uint64_t hi, uint64_t lo);

/* Length of the PROXY line or header at the start of p[0..size), 0 where there is none whole. Sets out->line, and the
 * client of TCP over IPv4 or IPv6; a check of the proxy itself (UNKNOWN, LOCAL) has none. */
uint32_t fw_proxy_line(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *p, uint32_t size,
                       struct fw_message *out);

/* What the headers of one request name: of each kind the last value that is no named proxy, or the first one of all. */
struct fw_forwards {
    struct fw_forward_values {
        uint64_t hi, lo;
        int any, readable;
    } old, new; /* X-Forwarded-For, Forwarded */
};

/* Read one header line, without its end, if it is one of these. `named` may be NULL. */
void fw_forward_line(const struct fw_ranges *named, const uint8_t *line, uint32_t size, struct fw_forwards *f);

/* The header is whole (a proxy adds its own word at the end): of several values counts the last one that is no named
 * proxy, which the nearest other proxy wrote. One that is no address hides the client. A client that is set already stays,
 * unless it is a named proxy. */
void fw_forward_take(const struct fw_key *key, const struct fw_forwards *f, struct fw_message *out);

/* Does text[0..size) begin with `name` of n bytes in lower case? */
int fw_forward_begins(const uint8_t *text, uint32_t size, const char *name, uint32_t n);

/* The keyed hash of a client, as in src_hash: of an IPv4 address, of an IPv6 /64, or of one translated address. */
uint64_t fw_forward_hash(const struct fw_key *key, uint64_t hi, uint64_t lo);

/* The address in text[0..size), with or without port and brackets. */
int fw_forward_address(const uint8_t *text, uint32_t size, uint64_t *hi, uint64_t *lo);

#endif
