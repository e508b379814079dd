#include "fw_tunnel.h"

#define TYPE_ETHERNET 0x6558u
#define TYPE_ERSPAN 0x88beu
#define TYPE_ERSPAN3 0x22ebu
#define TYPE_PPP 0x880bu
enum { PORT_GTPU = 2152, PORT_TEREDO = 3544, PORT_VXLAN = 4789, PORT_VXLAN_LINUX = 8472, PORT_GENEVE = 6081,
       PORT_TZSP = 37008, PORT_ERM_FIRST = 7922, PORT_ERM_LAST = 7999 }; /* of ERM the manual advises 7933 and upwards */
#define EXTENSIONS_MAX 8u
#define TZSP_TAGS_MAX 64u
#define ERM_HEADER 12u

/* Step over n bytes; 0 when they are not there. */
static int skip(struct fw_cursor *c, uint32_t n)
{
    if (c->captured < n)
        return 0;
    fw_advance(c, n);
    return 1;
}

/* A link layer inside of the tunnel; its own frame checks stand behind the IP length. */
static int link(uint16_t linktype, struct fw_cursor *c, uint16_t *type)
{
    return fw_link_strip(linktype, c, type) == 0;
}

static int by_type(uint16_t ethertype, struct fw_cursor *c, uint16_t *type)
{
    *type = ethertype;
    return ethertype == TYPE_ETHERNET ? link(FW_LINK_ETHERNET, c, type) : fw_link_type(c, type) == 0;
}

/* Type I has no header of its own and no GRE sequence number; type II has 8 bytes, type III 12 and perhaps 8 more. */
static int open_erspan(uint16_t ethertype, int numbered, struct fw_cursor *c, uint16_t *type)
{
    if (ethertype == TYPE_ERSPAN)
        return (!numbered || skip(c, 8)) && link(FW_LINK_ETHERNET, c, type);
    if (c->captured < 12)
        return 0;
    int more = c->p[11] & 1, ip = (c->p[10] >> 2 & 0x1f) == 2; /* the frame type: Ethernet, or a bare IP packet */
    return skip(c, more ? 20 : 12) && link(ip ? FW_LINK_RAW : FW_LINK_ETHERNET, c, type);
}

static enum fw_tunnel open_gre(struct fw_cursor *c, uint16_t *type)
{
    if (c->captured < 4)
        return FW_TUNNEL_NONE;
    uint16_t flags = fw_be16(c->p), ethertype = fw_be16(c->p + 2);
    unsigned version = flags & 7u, numbered = flags >> 12 & 1u;
    if (flags & 0x4000u || version > 1) /* a source route, which nobody may use any more */
        return FW_TUNNEL_NONE;
    uint32_t size = 4 + (flags & 0x8000u ? 4u : 0) + (flags & 0x2000u ? 4u : 0) + (numbered ? 4u : 0);
    size += version == 1 && flags & 0x0080u ? 4u : 0;
    if (!skip(c, size))
        return FW_TUNNEL_NONE;
    if (version == 1)
        return ethertype == TYPE_PPP && link(FW_LINK_PPP, c, type) ? FW_TUNNEL_GRE : FW_TUNNEL_NONE;
    if (ethertype == TYPE_ERSPAN || ethertype == TYPE_ERSPAN3)
        return open_erspan(ethertype, (int)numbered, c, type) ? FW_TUNNEL_ERSPAN : FW_TUNNEL_NONE;
    return by_type(ethertype, c, type) ? FW_TUNNEL_GRE : FW_TUNNEL_NONE;
}

static int open_vxlan(struct fw_cursor *c, uint16_t *type)
{
    return c->captured >= 8 && c->p[0] & 8 && skip(c, 8) && link(FW_LINK_ETHERNET, c, type);
}

static int open_geneve(struct fw_cursor *c, uint16_t *type)
{
    if (c->captured < 8 || c->p[0] >> 6 != 0)
        return 0;
    uint32_t options = (c->p[0] & 0x3fu) * 4u;
    uint16_t ethertype = fw_be16(c->p + 2);
    return skip(c, 8 + options) && by_type(ethertype, c, type);
}

static int open_gtpu(struct fw_cursor *c, uint16_t *type)
{
    if (c->captured < 8 || c->p[0] >> 4 != 3 || c->p[1] != 0xff) /* version 1, not primed, a user's packet */
        return 0;
    uint8_t flags = c->p[0], next = 0;
    fw_advance(c, 8);
    if (flags & 7) {
        if (c->captured < 4)
            return 0;
        next = flags & 4 ? c->p[3] : 0;
        fw_advance(c, 4);
    }
    for (unsigned i = 0; next; i++) {
        uint32_t size = c->captured ? c->p[0] * 4u : 0;
        if (i == EXTENSIONS_MAX || size == 0 || c->captured < size)
            return 0;
        next = c->p[size - 1];
        fw_advance(c, size);
    }
    return link(FW_LINK_RAW, c, type);
}

/* Authentication, then the origin as the server saw it, may stand before the IPv6 header. */
static int open_teredo(struct fw_cursor *c, uint16_t *type)
{
    if (c->captured >= 4 && c->p[0] == 0 && c->p[1] == 1 && !skip(c, 13u + c->p[2] + c->p[3]))
        return 0;
    if (c->captured >= 8 && c->p[0] == 0 && c->p[1] == 0)
        fw_advance(c, 8);
    *type = FW_TYPE_IPV6;
    return c->captured && c->p[0] >> 4 == 6;
}

/* What TZSP calls the link type of the frame in it -> ours; 0 where it is none that holds IP. */
static uint16_t tzsp_link(uint16_t number)
{
    switch (number) {
    case 1:
        return FW_LINK_ETHERNET;
    case 2:
        return FW_LINK_TOKEN_RING;
    case 4:
        return FW_LINK_PPP;
    case 5:
        return FW_LINK_FDDI;
    case 7:
        return FW_LINK_RAW;
    case 18:
        return FW_LINK_80211;
    case 119:
        return FW_LINK_PRISM;
    case 127:
        return FW_LINK_AVS;
    default:
        return 0;
    }
}

/* Version 1, a received frame or one to be sent, its link type, then tags of which 0 is padding and 1 the end. */
static int open_tzsp(struct fw_cursor *c, uint16_t *type)
{
    if (c->captured < 4 || c->p[0] != 1 || c->p[1] > 1)
        return 0;
    uint16_t linktype = tzsp_link(fw_be16(c->p + 2));
    if (!linktype)
        return 0;
    fw_advance(c, 4);
    for (unsigned i = 0; i < TZSP_TAGS_MAX && c->captured >= 2; i++) {
        uint8_t tag = c->p[0];
        if (!skip(c, tag <= 1 ? 1u : 2u + c->p[1]))
            return 0;
        if (tag == 1)
            return link(linktype, c, type);
    }
    return 0;
}

/* Mirrored frames come to a port, and nothing goes back. */
static enum fw_tunnel mirrored(uint16_t port, struct fw_cursor *c, uint16_t *type)
{
    if (port == PORT_TZSP)
        return open_tzsp(c, type) ? FW_TUNNEL_TZSP : FW_TUNNEL_NONE;
    if (port >= PORT_ERM_FIRST && port <= PORT_ERM_LAST)
        return skip(c, ERM_HEADER) && link(FW_LINK_ETHERNET, c, type) ? FW_TUNNEL_ERM : FW_TUNNEL_NONE;
    return FW_TUNNEL_NONE;
}

/* Replies may come from the port that requests go to, so both ends are asked. */
static enum fw_tunnel by_port(uint16_t port, struct fw_cursor *c, uint16_t *type)
{
    switch (port) {
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX:
        return open_vxlan(c, type) ? FW_TUNNEL_VXLAN : FW_TUNNEL_NONE;
    case PORT_GENEVE:
        return open_geneve(c, type) ? FW_TUNNEL_GENEVE : FW_TUNNEL_NONE;
    case PORT_GTPU:
        return open_gtpu(c, type) ? FW_TUNNEL_GTPU : FW_TUNNEL_NONE;
    case PORT_TEREDO:
        return open_teredo(c, type) ? FW_TUNNEL_TEREDO : FW_TUNNEL_NONE;
    default:
        return FW_TUNNEL_NONE;
    }
}

static enum fw_tunnel open_udp(const struct fw_packet *p, struct fw_cursor *c, uint16_t *type)
{
    struct fw_cursor again = *c;
    enum fw_tunnel tunnel = by_port(p->dport, c, type);
    if (FW_LIKELY(!tunnel)) {
        *c = again;
        tunnel = by_port(p->sport, c, type);
    }
    if (FW_LIKELY(!tunnel)) {
        *c = again;
        tunnel = mirrored(p->dport, c, type);
    }
    return tunnel;
}

/* RFC 4302: integrity without secrecy, so what it protects can be read. */
static uint8_t skip_authentication(struct fw_cursor *c)
{
    if (c->captured < 12)
        return 0;
    uint8_t next = c->p[0];
    return skip(c, (c->p[1] + 2u) * 4u) ? next : 0;
}

enum fw_tunnel fw_tunnel_open(const struct fw_packet *p, struct fw_cursor *c, uint16_t *type)
{
    if (p->kind == FW_UDP)
        return open_udp(p, c, type);
    if (p->kind != FW_OTHER)
        return FW_TUNNEL_NONE;
    uint8_t proto = p->proto == 51 ? skip_authentication(c) : p->proto;
    *type = proto == 41 ? FW_TYPE_IPV6 : FW_TYPE_IPV4;
    if (proto == 4 || proto == 41)
        return proto == 4 ? FW_TUNNEL_IPIP : FW_TUNNEL_IPV6;
    return proto == 47 ? open_gre(c, type) : FW_TUNNEL_NONE;
}
