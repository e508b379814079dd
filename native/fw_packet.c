#include "fw_tunnel.h"

#define EXTENSIONS_MAX 10u /* extension headers of IPv6 */

/* Reserved IPv4 space (RFC 6890 and multicast as a source): 1 whole /8, 2 in part, 3 whole and on no wire at all. */
static const uint8_t BOGON8[256] = {
    [0] = 1,   [10] = 1,  [100] = 2, [127] = 3, [169] = 2, [172] = 2, [192] = 2, [198] = 2, [203] = 2,
    [224] = 3, [225] = 3, [226] = 3, [227] = 3, [228] = 3, [229] = 3, [230] = 3, [231] = 3, [232] = 3,
    [233] = 3, [234] = 3, [235] = 3, [236] = 3, [237] = 3, [238] = 3, [239] = 3, [240] = 3, [241] = 3,
    [242] = 3, [243] = 3, [244] = 3, [245] = 3, [246] = 3, [247] = 3, [248] = 3, [249] = 3, [250] = 3,
    [251] = 3, [252] = 3, [253] = 3, [254] = 3, [255] = 3,
};

static int in_part_bogon(uint32_t ip)
{
    return (ip & 0xffc00000u) == 0x64400000u    /* 100.64/10 */
           || (ip & 0xffff0000u) == 0xa9fe0000u /* 169.254/16 */
           || (ip & 0xfff00000u) == 0xac100000u /* 172.16/12 */
           || (ip & 0xffff0000u) == 0xc0a80000u /* 192.168/16 */
           || (ip & 0xffffff00u) == 0xc0000000u /* 192.0.0/24 */
           || (ip & 0xffffff00u) == 0xc0000200u /* 192.0.2/24 */
           || (ip & 0xfffe0000u) == 0xc6120000u /* 198.18/15 */
           || (ip & 0xffffff00u) == 0xc6336400u /* 198.51.100/24 */
           || (ip & 0xffffff00u) == 0xcb007100u /* 203.0.113/24 */;
}

static inline int is_reserved(uint32_t ip)
{
    uint8_t class = BOGON8[ip >> 24];
    return (class & 1) || (class == 2 && in_part_bogon(ip));
}

/* Inside a private network private sources are ordinary; those of loopback, multicast and the former class E are
 * nowhere (RFC 1122, 3.2.1.3). Tools that forge addresses do not draw them evenly: one of them draws from some 160 of
 * the 256 first octets, others in each run, so that no few blocks are sure to be met. */
static inline int is_bogon(uint32_t src, uint32_t dst)
{
    return FW_UNLIKELY(BOGON8[src >> 24]) && is_reserved(src) && (BOGON8[src >> 24] == 3 || !is_reserved(dst));
}

static int fragment(struct fw_cursor c, struct fw_packet *out, const uint8_t **payload)
{
    out->kind = FW_FRAGMENT;
    out->window = 0;
    out->payload = c.wire;
    out->captured = (uint16_t)c.captured;
    *payload = c.p;
    return 0;
}

/* By how many bits the options of a SYN shift the windows that come later (RFC 7323, 2.2 and 2.3). */
static uint16_t shift_of(const uint8_t *tcp, uint32_t end)
{
    uint32_t at = 20;
    while (at + 3 <= end && tcp[at] != 0) {
        if (tcp[at] == 3 && tcp[at + 1] == 3)
            return tcp[at + 2] < 14 ? tcp[at + 2] : 14;
        at += tcp[at] == 1 ? 1 : tcp[at + 1] > 2 ? tcp[at + 1] : 2;
    }
    return 0;
}

/* One of 8 classes of TCP stacks, told by how they open connections: the window, how long the options are, and which
 * stand behind the MSS that all of them begin with. As p0f does (Zalewski: "p0f v3", 2012), but in constant work. */
static uint8_t stack_class(const struct fw_cursor *c, uint32_t header)
{
    uint64_t word = header >= 28 && c->captured >= 28 ? fw_be32(c->p + 24) : 0;
    uint64_t told = word << 24 | (uint64_t)fw_be16(c->p + 14) << 8 | header;
    return (uint8_t)(told * 0x9e3779b97f4a7c15ULL >> 61);
}

/* RFC 9112, 2.1: does the payload end with an empty line? A packet may hold nothing else than that. */
static inline int ends_header(const uint8_t *payload, uint32_t size, uint32_t captured)
{
    if (size > FW_ENDS_MOST || captured < size)
        return 0;
    return size >= 4 ? memcmp(payload + size - 4, "\r\n\r\n", 4) == 0 : size == 2 && memcmp(payload, "\r\n", 2) == 0;
}

static uint8_t other_kind(uint8_t flags)
{
    if ((flags & 0x17) == 0x12)
        return FW_SYNACK;
    if ((flags & 0x17) == 0x11 || (flags & 0x3f) == 0x01) /* with ACK as RFC 9293 has it, or alone as tools send it */
        return FW_FIN;
    return FW_TCP_ODD;
}

static int decode_tcp(struct fw_cursor c, struct fw_packet *out, const uint8_t **payload)
{
    int reject;
    /* A header split over fragments is a way round filters, so it must count: by its flags if the first
     * fragment has them, else as a fragment. */
    uint32_t split = out->bits & FW_MORE_FRAGMENTS;
    if (FW_UNLIKELY(split && c.wire < 14))
        return fragment(c, out, payload);
    if (FW_UNLIKELY(!fw_has(&c, 14, REJECT(BAD_L4), &reject)))
        return reject;
    out->sport = fw_be16(c.p);
    out->dport = fw_be16(c.p + 2);
    out->seq = fw_be32(c.p + 4);
    out->ack = fw_be32(c.p + 8);
    uint8_t flags = c.p[13];
    uint32_t header = (uint32_t)(c.p[12] >> 4) * 4;
    if (FW_UNLIKELY(header < 20 || (header > c.wire && !split)))
        return REJECT(BAD_L4);
    out->tcp_flags = flags;
    uint32_t size = c.wire > header ? c.wire - header : 0;
    out->payload = size;
    uint32_t captured = c.captured > header ? c.captured - header : 0;
    out->captured = (uint16_t)captured;
    *payload = c.p + header;
    if ((flags & 0x07) == 0x04) {
        out->kind = FW_RST;
        out->window = 0;
    } else if ((flags & 0x17) == 0x02) {
        out->kind = FW_SYN;
        out->window = FW_UNLIKELY(header > 20) ? shift_of(c.p, fw_min32(header, c.captured)) : 0;
        if (FW_LIKELY(c.captured >= 16))
            out->bits = (uint8_t)(out->bits | stack_class(&c, header) << FW_STACK_SHIFT);
    } else if ((flags & 0x17) == 0x10) {
        out->kind = size ? FW_DATA : FW_ACK;
        out->window = FW_LIKELY(c.captured >= 16) ? fw_be16(c.p + 14) : UINT16_MAX;
        if (FW_UNLIKELY(out->window == 0))
            out->bits |= FW_STALLED;
        if (size && ends_header(c.p + header, size, captured))
            out->bits |= FW_ENDS;
    } else {
        out->kind = other_kind(flags);
        out->window = 0;
    }
    return 0;
}

static int decode_udp(struct fw_cursor c, struct fw_packet *out, const uint8_t **payload)
{
    int reject;
    if (!fw_has(&c, 8, REJECT(BAD_L4), &reject))
        return reject;
    out->sport = fw_be16(c.p);
    out->dport = fw_be16(c.p + 2);
    uint32_t length = fw_be16(c.p + 4);
    /* 0 is a jumbogram (RFC 2675); in a first fragment the length speaks of the whole datagram. */
    if (length != 0 && length < 8)
        return REJECT(BAD_L4);
    fw_advance(&c, 8);
    out->payload = length >= 8 ? fw_min32(length - 8, c.wire) : c.wire;
    out->captured = (uint16_t)fw_min32(c.captured, out->payload);
    out->kind = FW_UDP;
    out->window = 0;
    *payload = c.p;
    return 0;
}

static int decode_icmp(struct fw_cursor c, struct fw_packet *out, const uint8_t **payload)
{
    int reject;
    if (!fw_has(&c, 4, REJECT(BAD_L4), &reject))
        return reject;
    out->dport = c.p[0];
    out->payload = c.wire - 4;
    out->captured = (uint16_t)(c.captured - 4);
    out->kind = FW_ICMP;
    out->window = 0;
    *payload = c.p + 4;
    return 0;
}

/* What the snap length cut is not the sender's fault. */
static int malformed(int reject, uint32_t wire, struct fw_packet *out)
{
    if (reject == REJECT(TRUNCATED))
        return reject;
    out->kind = FW_MALFORMED;
    out->window = 0;
    out->payload = wire;
    out->seq = out->ack = 0;
    out->sport = out->dport = 0;
    out->tcp_flags = 0;
    return reject;
}

static int decode_transport(struct fw_cursor c, struct fw_packet *out, const uint8_t **payload)
{
    if (FW_LIKELY(out->proto == 6))
        return decode_tcp(c, out, payload);
    if (out->proto == 17)
        return decode_udp(c, out, payload);
    if (out->proto == 1 || out->proto == 58)
        return decode_icmp(c, out, payload);
    out->kind = FW_OTHER;
    out->window = 0;
    out->payload = c.wire;
    out->captured = (uint16_t)c.captured;
    *payload = c.p;
    return 0;
}

static int decode_l4(struct fw_cursor c, struct fw_packet *out, const uint8_t **payload)
{
    int reject = decode_transport(c, out, payload);
    return FW_UNLIKELY(reject) ? malformed(reject, c.wire, out) : 0;
}

static inline void hash4(struct fw_hasher *h, struct fw_packet *p)
{
    p->src_hash = p->sender_hash = fw_siphash13(&h->key, &p->src.lo, 1);
    p->dst_hash = fw_hash_again(h, p->dst.lo);
}

static inline void hash6(struct fw_hasher *h, struct fw_packet *p)
{
    p->sender_hash = fw_siphash13(&h->key, &p->src.hi, 2);
    p->src_hash = FW_UNLIKELY(p->bits & FW_TRANSLATED) ? p->sender_hash : fw_siphash13(&h->key, &p->src.hi, 1);
    p->dst_hash = fw_siphash13(&h->key, &p->dst.hi, 2);
}

void fw_packet_hash(struct fw_hasher *h, struct fw_packet *p)
{
    if (p->bits & FW_V6)
        hash6(h, p);
    else
        hash4(h, p);
}

static int decode_ip4(struct fw_hasher *h, struct fw_cursor c, struct fw_packet *out,
                      const uint8_t **payload)
{
    int reject;
    if (FW_UNLIKELY(!fw_has(&c, 20, REJECT(BAD_IP), &reject)))
        return reject;
    uint32_t header = (uint32_t)(c.p[0] & 15) * 4, total = fw_be16(c.p + 2);
    uint32_t src = fw_be32(c.p + 12), dst = fw_be32(c.p + 16);
    uint16_t fragment_field = fw_be16(c.p + 6);
    if (total == 0) /* segmentation offload leaves the length blank */
        total = c.wire;
    if (FW_UNLIKELY(c.p[0] >> 4 != 4))
        return REJECT(BAD_IP);
    out->src = (struct fw_addr){0, FW_V4_TAG | src};
    out->dst = (struct fw_addr){0, FW_V4_TAG | dst};
    hash4(h, out);
    out->proto = c.p[9];
    out->bits = (uint8_t)((is_bogon(src, dst) ? FW_BOGON : 0) | (fragment_field & 0x2000u ? FW_MORE_FRAGMENTS : 0));
    if (FW_UNLIKELY(header < 20 || total < header))
        return malformed(REJECT(BAD_IP), c.wire - 20, out);
    c.wire = fw_min32(c.wire, total); /* drops Ethernet padding */
    c.captured = fw_min32(c.captured, c.wire);
    if (FW_UNLIKELY(!fw_has(&c, header, REJECT(BAD_IP), &reject)))
        return malformed(reject, c.wire - 20, out);
    uint32_t identification = fw_be16(c.p + 4);
    fw_advance(&c, header);
    reject = FW_UNLIKELY(fragment_field & 0x1fffu) ? fragment(c, out, payload) : decode_l4(c, out, payload);
    if (FW_UNLIKELY(out->kind >= FW_UDP && out->kind != FW_MALFORMED && identification))
        out->ack = identification << 16 | (fragment_field & 0x1fffu);
    return reject;
}

/* Walk IPv6 extension headers up to the transport. *next is the protocol number of what c points at. */
static int skip_extensions(struct fw_cursor *c, struct fw_packet *out, int *is_fragment)
{
    int reject;
    for (unsigned i = 0;; i++) {
        uint8_t proto = out->proto;
        int extends = proto == 0 || proto == 43 || proto == 44 || proto == 51 || proto == 60 || proto == 135;
        if (!extends)
            return 0;
        if (i == EXTENSIONS_MAX)
            return REJECT(NESTED);
        if (proto == 44) {
            if (!fw_has(c, 8, REJECT(BAD_IP), &reject))
                return reject;
            uint16_t field = fw_be16(c->p + 2);
            out->proto = c->p[0];
            out->bits |= field & 1u ? FW_MORE_FRAGMENTS : 0;
            fw_advance(c, 8);
            if (field & 0xfff8u) {
                *is_fragment = 1;
                out->ack = fw_be32(c->p - 4) + (field & 0xfff8u);
                return 0;
            }
        } else {
            if (!fw_has(c, 8, REJECT(BAD_IP), &reject))
                return reject;
            uint32_t size = proto == 51 ? ((uint32_t)c->p[1] + 2) * 4 : ((uint32_t)c->p[1] + 1) * 8;
            if (!fw_has(c, size, REJECT(BAD_IP), &reject))
                return reject;
            out->proto = c->p[0];
            fw_advance(c, size);
        }
    }
}

static int decode_ip6(struct fw_hasher *h, struct fw_cursor c, struct fw_packet *out,
                      const uint8_t **payload)
{
    int reject, is_fragment = 0;
    if (!fw_has(&c, 40, REJECT(BAD_IP), &reject))
        return reject;
    if (c.p[0] >> 4 != 6)
        return REJECT(BAD_IP);
    uint32_t length = fw_be16(c.p + 4);
    out->proto = c.p[6];
    out->bits = FW_V6;
    out->src = (struct fw_addr){fw_be64(c.p + 8), fw_be64(c.p + 16)};
    out->dst = (struct fw_addr){fw_be64(c.p + 24), fw_be64(c.p + 32)};
    out->bits |= FW_UNLIKELY(fw_is_translated(h, out->src.hi, out->src.lo)) ? FW_TRANSLATED : 0;
    hash6(h, out);
    fw_advance(&c, 40);
    if (length) { /* 0: a jumbogram or segmentation offload */
        c.wire = fw_min32(c.wire, length);
        c.captured = fw_min32(c.captured, c.wire);
    }
    reject = skip_extensions(&c, out, &is_fragment);
    if (reject)
        return malformed(reject, c.wire, out);
    return is_fragment ? fragment(c, out, payload) : decode_l4(c, out, payload);
}

int fw_packet_decode(struct fw_hasher *h, const struct fw_frame *f, struct fw_packet *out,
                     const uint8_t **payload)
{
    struct fw_cursor c = {f->data, f->caplen, f->len, 0};
    uint16_t type = 0;
    memset(&out->seq, 0, sizeof *out - offsetof(struct fw_packet, seq));
    int reject = fw_link_strip(f->linktype, &c, &type);
    if (FW_UNLIKELY(reject))
        return reject;
    return FW_LIKELY(type == FW_TYPE_IPV4) ? decode_ip4(h, c, out, payload) : decode_ip6(h, c, out, payload);
}

unsigned fw_packet_inner(struct fw_hasher *h, const struct fw_packet *outer, struct fw_packet *inner,
                         const uint8_t **payload, int *reject)
{
    unsigned outermost = FW_TUNNEL_NONE;
    struct fw_packet next;
    *reject = 0;
    for (unsigned depth = 0; depth < FW_TUNNELS_DEEP && !*reject; depth++) {
        const struct fw_packet *holder = outermost ? inner : outer;
        struct fw_cursor c = {*payload, holder->captured, holder->payload, 0};
        const uint8_t *within = NULL;
        uint16_t type = 0;
        unsigned tunnel = fw_tunnel_open(holder, &c, &type);
        if (!tunnel)
            break;
        memset(&next, 0, sizeof next);
        int why = type == FW_TYPE_IPV4 ? decode_ip4(h, c, &next, &within) : decode_ip6(h, c, &next, &within);
        if (why && next.kind != FW_MALFORMED)
            break;
        *reject = why;
        outermost = outermost ? outermost : tunnel;
        *inner = next;
        *payload = within;
    }
    return outermost;
}
