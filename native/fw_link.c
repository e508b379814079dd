#include "fw_link.h"

#include "fw_wireless.h"

#define TAGS_MAX 4u
#define LABELS_MAX 8u
#define LAYERS_MAX 6u
#define ENC_HEADER 12u    /* OpenBSD's: address family, index of the security association, flags */
#define NESTED_LINKS 2u /* a header that names the link type of what it holds */

static int fixed(struct fw_cursor *c, uint32_t header, uint32_t type_at, uint16_t *type);

/* The version nibble tells what a header is where nothing before it does. */
static int by_version(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 1, REJECT(BAD_IP), &reject))
        return reject;
    *type = c->p[0] >> 4 == 6 ? FW_TYPE_IPV6 : FW_TYPE_IPV4;
    return 0;
}

/* RFC 1661 and 1662: an address and a control byte that may be left out, then a number of one or two bytes. */
static int decode_ppp(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 2, REJECT(NOT_IP), &reject))
        return reject;
    if (fw_be16(c->p) == 0xff03u || fw_be16(c->p) == 0x0f00u) { /* HDLC, or Cisco's, before the number */
        uint16_t cisco = fw_be16(c->p) == 0x0f00u;
        fw_advance(c, 2);
        if (!fw_has(c, 2, REJECT(NOT_IP), &reject))
            return reject;
        if (cisco) {
            *type = fw_be16(c->p);
            fw_advance(c, 2);
            return fw_link_type(c, type);
        }
    }
    uint16_t number = c->p[0] & 1u ? c->p[0] : fw_be16(c->p);
    fw_advance(c, c->p[0] & 1u ? 1 : 2);
    if (number != 0x0021u && number != 0x0057u && number != 0x0281u)
        return REJECT(NOT_IP);
    *type = number == 0x0021u ? FW_TYPE_IPV4 : number == 0x0057u ? FW_TYPE_IPV6 : 0x8847u;
    return number == 0x0281u ? fw_link_type(c, type) : 0;
}

/* RFC 3032: labels down to the bottom of the stack; what follows tells itself by its first nibble. */
static int decode_mpls(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    for (unsigned i = 0; i < LABELS_MAX; i++) {
        if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
            return reject;
        int bottom = c->p[2] & 1;
        fw_advance(c, 4);
        if (!bottom)
            continue;
        if (!fw_has(c, 1, REJECT(NOT_IP), &reject))
            return reject;
        unsigned version = c->p[0] >> 4;
        if (version == 0) { /* RFC 4385: the control word of a pseudo-wire, then Ethernet */
            if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
                return reject;
            fw_advance(c, 4);
            return fixed(c, 14, 12, type);
        }
        if (version != 4 && version != 6)
            return REJECT(NOT_IP);
        return by_version(c, type);
    }
    return REJECT(NESTED);
}

/* RFC 2516: six bytes of session, then PPP. */
static int decode_pppoe(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 8, REJECT(NOT_IP), &reject))
        return reject;
    if (c->p[0] != 0x11 || c->p[1] != 0)
        return REJECT(NOT_IP);
    c->wire = fw_min32(c->wire, fw_be16(c->p + 4) + 6u); /* drops Ethernet padding */
    c->captured = fw_min32(c->captured, c->wire);
    if (!fw_has(c, 8, REJECT(NOT_IP), &reject))
        return reject;
    fw_advance(c, 6);
    return decode_ppp(c, type);
}

/* IEEE 802.2 with SNAP (RFC 1042), where a length or nothing stood in place of the EtherType. */
int fw_link_llc(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 8, REJECT(NOT_IP), &reject))
        return reject;
    if (fw_be32(c->p) != 0xaaaa0300u || fw_be16(c->p + 4) != 0)
        return REJECT(NOT_IP);
    *type = fw_be16(c->p + 6);
    fw_advance(c, 8);
    return *type <= 1500 ? REJECT(NOT_IP) : fw_link_type(c, type);
}

/* IEEE 802.1Q and 802.1ad, and what was sent for the outer tag before there was a standard. */
static int is_vlan(uint16_t type)
{
    return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

/* Network layer by EtherType, behind VLAN tags, PPPoE and MPLS. */
int fw_link_type(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (FW_UNLIKELY(++c->layers > LAYERS_MAX))
        return REJECT(NESTED);
    if (FW_LIKELY(*type == FW_TYPE_IPV4 || *type == FW_TYPE_IPV6))
        return 0;
    for (unsigned i = 0; is_vlan(*type); i++) {
        if (i == TAGS_MAX)
            return REJECT(NESTED);
        if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
            return reject;
        *type = fw_be16(c->p + 2);
        fw_advance(c, 4);
    }
    if (*type == FW_TYPE_IPV4 || *type == FW_TYPE_IPV6)
        return 0;
    if (*type == 0x8926) /* VN-Tag: four bytes between two EtherTypes */
        return fixed(c, 6, 4, type);
    if (*type == 0x8988 || *type == 0x8909 || *type == 0x893f) /* Cisco's time stamps and security tags, and the E-tag of
                                                                  IEEE 802.1BR: six bytes between two EtherTypes */
        return fixed(c, 8, 6, type);
    if (*type == 0x8903) /* FabricPath: a tag of two bytes, then the frame that it carries */
        return fixed(c, 16, 14, type);
    if (*type == 0x8864)
        return decode_pppoe(c, type);
    if (*type == 0x8847 || *type == 0x8848)
        return decode_mpls(c, type);
    return *type <= 1500 ? fw_link_llc(c, type) : REJECT(NOT_IP);
}

/* A link header of fixed size with the EtherType at a fixed place. */
static int fixed(struct fw_cursor *c, uint32_t header, uint32_t type_at, uint16_t *type)
{
    int reject;
    if (FW_UNLIKELY(!fw_has(c, header, REJECT(NOT_IP), &reject)))
        return reject;
    *type = fw_be16(c->p + type_at);
    fw_advance(c, header);
    return fw_link_type(c, type);
}

/* BSD loopback: an address family of four bytes, in the order of the host that captured (LOOP: network order). */
static int decode_null(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
        return reject;
    uint32_t family = fw_be32(c->p);
    if (family > 0xffffu)
        family = family >> 24 | (family >> 8 & 0xff00u);
    fw_advance(c, 4);
    *type = family == 2 ? FW_TYPE_IPV4 : FW_TYPE_IPV6;
    return family == 2 || family == 10 || family == 24 || family == 28 || family == 30 ? 0 : REJECT(NOT_IP);
}

/* RFC 2427: two bytes of address, control, then a network layer number, or SNAP behind a pad byte. */
static int decode_frame_relay(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
        return reject;
    if (!(c->p[1] & 1u))
        return REJECT(NOT_IP); /* addresses of three and four bytes */
    if (c->p[2] != 0x03) { /* Cisco's: an EtherType follows the address */
        *type = fw_be16(c->p + 2);
        fw_advance(c, 4);
        return fw_link_type(c, type);
    }
    uint8_t number = c->p[3] ? c->p[3] : c->captured > 4 ? c->p[4] : 0;
    uint32_t header = c->p[3] ? 4 : 5;
    if (!fw_has(c, header + 5, REJECT(NOT_IP), &reject))
        return reject;
    fw_advance(c, header);
    if (number == 0x80) { /* SNAP: an organisation, of which 0 means EtherTypes */
        *type = fw_be16(c->p + 3);
        int plain = fw_be16(c->p) == 0 && c->p[2] == 0;
        fw_advance(c, 5);
        return plain ? fw_link_type(c, type) : REJECT(NOT_IP);
    }
    *type = number == 0xcc ? FW_TYPE_IPV4 : FW_TYPE_IPV6;
    return number == 0xcc || number == 0x8e ? 0 : REJECT(NOT_IP);
}

/* Netfilter log: attributes in host order; number 9 is the packet, the family stands in the first byte. */
static int decode_nflog(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
        return reject;
    fw_advance(c, 4);
    while (fw_has(c, 4, REJECT(NOT_IP), &reject)) {
        uint32_t size = fw_load16(c->p), number = fw_load16(c->p + 2);
        if (size > 4096 && fw_be16(c->p) <= 4096) {
            size = fw_be16(c->p);
            number = fw_be16(c->p + 2);
        }
        if (size < 4)
            return REJECT(NOT_IP);
        if (number == 9) {
            fw_advance(c, 4);
            c->wire = fw_min32(c->wire, size - 4);
            c->captured = fw_min32(c->captured, c->wire);
            return by_version(c, type);
        }
        size = (size + 3) & ~3u;
        if (!fw_has(c, size, REJECT(NOT_IP), &reject))
            return reject;
        fw_advance(c, size);
    }
    return reject;
}

/* OpenBSD's packet filter log: a header that states its length, without the padding to four bytes. */
static int decode_pflog(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 4, REJECT(NOT_IP), &reject))
        return reject;
    uint32_t size = (c->p[0] + 3u) & ~3u;
    if (size < 4 || !fw_has(c, size, REJECT(NOT_IP), &reject))
        return size < 4 ? REJECT(NOT_IP) : reject;
    fw_advance(c, size);
    return by_version(c, type);
}

static int strip(uint16_t linktype, struct fw_cursor *c, uint16_t *type, unsigned depth);

/* Behind a header that states its own size, at least `least`, and the link type of what it holds. */
static int within(uint32_t size, uint32_t least, uint32_t linktype, struct fw_cursor *c, uint16_t *type, unsigned depth)
{
    int reject;
    if (size < least || depth == NESTED_LINKS || linktype > UINT16_MAX || !fw_has(c, size, REJECT(NOT_IP), &reject))
        return REJECT(NOT_IP);
    fw_advance(c, size);
    return strip((uint16_t)linktype, c, type, depth + 1);
}

static int strip(uint16_t linktype, struct fw_cursor *c, uint16_t *type, unsigned depth)
{
    int reject;
    switch (linktype) {
    case FW_LINK_ETHERNET:
        return fixed(c, 14, 12, type);
    case FW_LINK_SLL:
        return fixed(c, 16, 14, type);
    case FW_LINK_SLL2:
        return fixed(c, 20, 0, type);
    case FW_LINK_IPOIB:
        return fixed(c, 44, 40, type);
    case FW_LINK_BROADCOM: /* a switch's tag of four or eight bytes between the addresses and the EtherType */
    case FW_LINK_DSA:
        return fixed(c, 18, 16, type);
    case FW_LINK_EDSA:
        return fixed(c, 22, 20, type);
    case FW_LINK_C_HDLC:
        return fixed(c, 4, 2, type);
    case FW_LINK_NULL:
    case FW_LINK_LOOP:
        return decode_null(c, type);
    case FW_LINK_PPP:
    case FW_LINK_PPP_HDLC:
        return decode_ppp(c, type);
    case FW_LINK_FRELAY:
        return decode_frame_relay(c, type);
    case FW_LINK_TOKEN_RING: {
        if (!fw_has(c, 14, REJECT(NOT_IP), &reject))
            return reject;
        uint32_t routing = c->p[8] & 0x80u && c->captured > 14 ? c->p[14] & 31u : 0;
        if (!fw_has(c, 14 + routing, REJECT(NOT_IP), &reject))
            return reject;
        fw_advance(c, 14 + routing);
        return fw_link_llc(c, type);
    }
    case FW_LINK_FDDI:
        if (!fw_has(c, 13, REJECT(NOT_IP), &reject))
            return reject;
        fw_advance(c, 13);
        return fw_link_llc(c, type);
    case FW_LINK_PFLOG:
        return decode_pflog(c, type);
    case FW_LINK_80211:
        return fw_wireless_bare(c, type);
    case FW_LINK_RADIOTAP:
        return fw_wireless_radiotap(c, type);
    case FW_LINK_PRISM:
    case FW_LINK_AVS:
        return fw_wireless_prism(c, type);
    case FW_LINK_PPPOE:
        return decode_pppoe(c, type);
    case FW_LINK_ENC:
        if (!fw_has(c, ENC_HEADER, REJECT(NOT_IP), &reject))
            return reject;
        fw_advance(c, ENC_HEADER);
        return by_version(c, type);
    case FW_LINK_PPI:
        if (!fw_has(c, 8, REJECT(NOT_IP), &reject))
            return reject;
        return within(fw_load16(c->p + 2), 8, fw_load32(c->p + 4), c, type, depth);
    case FW_LINK_PKTAP:
        if (!fw_has(c, 12, REJECT(NOT_IP), &reject))
            return reject;
        return within(fw_load32(c->p), 12, fw_load32(c->p + 8), c, type, depth);
    case FW_LINK_NFLOG:
        return decode_nflog(c, type);
    case FW_LINK_RAW:
    case FW_LINK_BSD_RAW:
    case FW_LINK_OPENBSD_RAW:
    case FW_LINK_IPV4:
    case FW_LINK_IPV6:
        return by_version(c, type);
    default:
        return REJECT(LINKTYPE);
    }
}

int fw_link_strip(uint16_t linktype, struct fw_cursor *c, uint16_t *type) { return strip(linktype, c, type, 0); }
