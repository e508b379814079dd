/* Link layers: from the first byte of a frame to the IP header, or a counted reject reason.
 *
 * Numbers are the LINKTYPE_ values of capture files. What lies between link and IP without an address of its own is
 * stripped as well: VLAN tags, PPPoE sessions, MPLS labels. */
#ifndef FW_LINK_H
#define FW_LINK_H

#include "fw_packet.h"

#define REJECT(x) (1 + FW_REJECT_##x)

/* The link types that are read. */
enum fw_linktype {
    FW_LINK_NULL = 0, FW_LINK_ETHERNET = 1, FW_LINK_TOKEN_RING = 6, FW_LINK_PPP = 9, FW_LINK_FDDI = 10,
    FW_LINK_BSD_RAW = 12, FW_LINK_OPENBSD_RAW = 14, FW_LINK_PPP_HDLC = 50, FW_LINK_PPPOE = 51, FW_LINK_RAW = 101,
    FW_LINK_C_HDLC = 104, FW_LINK_80211 = 105, FW_LINK_FRELAY = 107, FW_LINK_LOOP = 108, FW_LINK_ENC = 109,
    FW_LINK_SLL = 113, FW_LINK_PFLOG = 117, FW_LINK_PRISM = 119, FW_LINK_RADIOTAP = 127, FW_LINK_AVS = 163,
    FW_LINK_PPI = 192, FW_LINK_IPV4 = 228, FW_LINK_IPV6 = 229, FW_LINK_NFLOG = 239, FW_LINK_IPOIB = 242,
    FW_LINK_PKTAP = 258, FW_LINK_SLL2 = 276, FW_LINK_BROADCOM = 281, FW_LINK_DSA = 284, FW_LINK_EDSA = 285
};

#define FW_TYPE_IPV4 0x0800u
#define FW_TYPE_IPV6 0x86ddu

/* What is left to read: captured bytes, and how many the wire carried. */
struct fw_cursor {
    const uint8_t *p;
    uint32_t captured, wire;
    uint32_t layers; /* link layers inside each other so far */
};

static inline void fw_advance(struct fw_cursor *c, uint32_t n)
{
    c->p += n;
    c->captured -= n;
    c->wire -= n;
}

/* 1 when n bytes can be read; otherwise sets *reject by whether the wire or the snap length is short. */
static inline int fw_has(const struct fw_cursor *c, uint32_t n, int short_on_wire, int *reject)
{
    if (FW_LIKELY(c->captured >= n))
        return 1;
    *reject = c->wire >= n ? REJECT(TRUNCATED) : short_on_wire;
    return 0;
}

/* Move the cursor to the IP header; *type is FW_TYPE_IPV4 or FW_TYPE_IPV6. Returns 0 or a reject. */
int fw_link_strip(uint16_t linktype, struct fw_cursor *c, uint16_t *type);

/* The same from behind an EtherType, which *type holds. */
int fw_link_type(struct fw_cursor *c, uint16_t *type);

/* The same from an IEEE 802.2 header on. */
int fw_link_llc(struct fw_cursor *c, uint16_t *type);

#endif
