/* Headers of one frame -> packet, or a counted reject reason.
 *
 * A header cursor moves over the captured bytes; each step checks bounds before it reads. After the first
 * contradiction nothing of the frame is trusted: half-decoded keys would poison the sketches. */
#ifndef FW_PACKET_H
#define FW_PACKET_H

#include "fw_features.h"
#include "fw_frame.h"
#include "fw_hash.h"

#define FW_KIND(name, what) FW_##name,
enum fw_kind { FW_KIND_LIST(FW_KIND) FW_KINDS };

enum fw_reject {
    FW_REJECT_LINKTYPE = 0, /* a link type that this version does not read */
    FW_REJECT_NOT_IP,       /* ARP, LLDP, spanning tree ... */
    FW_REJECT_TRUNCATED,    /* the capture's snap length cut the headers */
    FW_REJECT_BAD_IP,       /* version, header length or total length contradict each other */
    FW_REJECT_BAD_L4,       /* the datagram is too short for its transport header, or that header lies */
    FW_REJECT_NESTED,       /* more VLAN tags or extension headers than any stack sends */
    FW_REJECTS
};

#define FW_V6 1u
#define FW_MORE_FRAGMENTS 2u
#define FW_STALLED 8u /* TCP of an open connection with a window of zero: nothing may be sent back */
#define FW_ENDS 64u    /* TCP, no SYN: the last bytes of a short payload are an empty line */
#define FW_ENDS_MOST 1024u
#define FW_REPLAYED 128u /* no TCP: it came before, as no mirror shows it (fw_replays.h) */
#define FW_STACK_SHIFT 5u /* SYN: the upper bits are a class of the stack that sent it */
#define FW_BOGON 4u /* the source address cannot occur where the destination is */
#define FW_TRANSLATED 16u /* the source is one address inside a translator's network (fw_is_translated) */

struct fw_addr { /* host order; IPv4 is 0 and 0x0000ffff_a.b.c.d */
    FW_ADDRESS_FEATURES(FW_MEMBER)
};

enum fw_source_form { FW_SOURCE_IPV4 = 0, FW_SOURCE_NETWORK, FW_SOURCE_ADDRESS }; /* who sends, and the field v6 of it */

#define FW_TUNNELS_DEEP 4u

#define FW_V4_TAG 0x0000ffff00000000ULL

static inline int fw_addr_equal(const struct fw_addr *a, const struct fw_addr *b)
{
    return a->lo == b->lo && a->hi == b->hi;
}

/* One decoded packet, one and a half cache lines, written in stream order. */
struct fw_packet {
    uint64_t ts_ns;
    uint64_t src_hash;    /* keyed hash of who sends: an IPv4 address, an IPv6 /64, or one translated address */
    uint64_t sender_hash; /* keyed hash of the full source address (equal to src_hash but for an IPv6 /64) */
    uint64_t dst_hash;    /* keyed hash of the full destination address */
    struct fw_addr src, dst;
    uint32_t seq, ack;
    uint32_t bytes;       /* frame length on the wire */
    uint32_t payload;     /* transport payload on the wire */
    uint16_t sport, dport; /* 0 where there are none; ICMP: type in dport */
    uint8_t proto, tcp_flags, kind, bits;
    uint32_t message;     /* 1 + index into the batch's messages, or 0 */
    uint16_t captured;    /* captured transport payload bytes; of a merged frame beyond 64 KiB only what is beyond */
    uint16_t window;      /* DATA, ACK: as it stands in the header; SYN: by how many bits it shifts later ones; else 0 */
};

_Static_assert(sizeof(struct fw_packet) == 96, "fw_packet grew: check the cost of a batch");

static inline enum fw_source_form fw_source_form_of(const struct fw_packet *p)
{
    return !(p->bits & FW_V6) ? FW_SOURCE_IPV4 : p->bits & FW_TRANSLATED ? FW_SOURCE_ADDRESS : FW_SOURCE_NETWORK;
}

/* Decode one frame. Returns 0 and fills *out (all but ts_ns, bytes, message; `ack` of what is no TCP is the identification
 * of IP, for fw_replays_seen), with *payload at the captured transport payload; or 1 + enum fw_reject. Where the addresses were read and anything else is wrong, as it was sent, the
 * kind is then FW_MALFORMED: the packet counts for its victim, but nothing of it is known but addresses and protocol. */
int fw_packet_decode(struct fw_hasher *hasher, const struct fw_frame *frame, struct fw_packet *out,
                     const uint8_t **payload);

/* Hash the addresses of a packet; `bits` tells the version. */
void fw_packet_hash(struct fw_hasher *hasher, struct fw_packet *p);

/* Decode the innermost packet that a decoded one carries through at most FW_TUNNELS_DEEP tunnels, with *payload at the
 * payload of each. Returns the outermost tunnel (enum fw_tunnel) and fills *inner, or 0: it carries none that
 * can be read. *reject is 0, or 1 + enum fw_reject of an FW_MALFORMED one, behind which nothing is looked for. */
unsigned fw_packet_inner(struct fw_hasher *hasher, const struct fw_packet *outer, struct fw_packet *inner,
                         const uint8_t **payload, int *reject);

#endif
