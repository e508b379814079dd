/* Victim slots: everything that is counted per destination address.
 *
 * A fixed set-associative table with exact keys. A new address takes a free way of its set, else it wears down
 * the smallest resident by one packet (Misra, Gries 1982: an address with more than 1/9 of its set's packets
 * stays), so scans and client addresses cannot push out a host under load. What was not counted for lack of
 * a slot is itself counted. All counters are of the current epoch unless they say otherwise. */
#ifndef FW_VICTIM_H
#define FW_VICTIM_H

#include "fw_hll.h"
#include "fw_message.h"
#include "fw_packet.h"

#define FW_SLOT_SETS 128u
#define FW_SLOT_WAYS 8u
#define FW_SLOTS (FW_SLOT_SETS * FW_SLOT_WAYS)
#define FW_NO_SLOT UINT32_MAX
#define FW_HLL_P 10u      /* distinct sources per victim and class: 3.3 % */
#define FW_SMALL_HLL_P 6u /* distinct ports, networks, paths: 13 % */
#define FW_NAMES_HLL_P 8u /* distinct names: 6.5 % */
#define FW_PORTS 64u
#define FW_PATHS 16u
#define FW_PATH_TEXT 76u
#define FW_ZONE_TEXT 66u

/* The classes that keep their own set of sources. */
enum fw_class { FW_CLASS_SYN = 0, FW_CLASS_UDP, FW_CLASS_OTHER, FW_CLASS_HTTP, FW_CLASS_TCP, FW_CLASSES };

struct fw_kind_count {
    uint32_t packets, out; /* towards the address, and from it */
    uint64_t bytes;        /* towards it */
    uint64_t first_ns, last_ns;
    /* Majority vote on the destination port; the source port for UDP, the protocol number
     * for FW_OTHER and FW_CARRIER. SYN has a table. */
    uint32_t port;
    int32_t port_vote;
    uint32_t strange;       /* weight of the packets of flows whose other side was never heard, without a handshake */
    uint32_t strange_flows; /* weight of such flows that began */
};

/* Majority vote in a bucket (Boyer-Moore; used per hash bucket as in the MV-Sketch, Tang et al. 2019):
 * vote <= true count of the key <= packets. */
struct fw_port_count {
    uint32_t key;     /* port, with the protocol in the upper half */
    int32_t vote;
    uint32_t packets; /* of the whole bucket */
    uint32_t out;     /* packets that the address sent to a port of this bucket */
    uint64_t bytes;
};

/* The zone that most DNS queries are about: majority vote on the name without its first label. */
struct fw_zone_count {
    uint64_t hash;
    int32_t vote;
    uint16_t length; /* of the text; 0 where it is longer than its room */
    uint8_t text[FW_ZONE_TEXT];
};

struct fw_path_count {
    uint64_t hash;
    int32_t vote;
    uint32_t requests; /* of the whole bucket */
    uint16_t length;
    uint8_t posts, pad;
    uint8_t text[FW_PATH_TEXT];
};

/* The exported fields: name in NumPy, C member. One list makes the dtype, so it cannot drift. */
struct fw_victim {
    struct fw_addr address;
    uint32_t reference;     /* slot number, with the slot's generation in the upper 16 bits */
    uint32_t syn_flows, syn_again, syn_copies, synack_flows, finished, followed, refused; /* weights, see fw_flow.h */
    uint32_t syn_bogons, udp_bogons;
    uint32_t icmp_errors, icmp_replies; /* towards it: unreachable and the like; echo replies */
    uint32_t requests, posts, assets, responses, errors; /* errors: responses with status 400 or more */
    uint32_t unfinished; /* requests whose header does not end in their packet */
    uint32_t owing, denied; /* requests whose body is not whole in their packet; responses 401 and 403 */
    uint32_t stalled;    /* packets towards it with a window of zero */
    uint64_t owed, loose; /* bytes of these bodies; of data towards it in packets that begin nothing we know */
    uint32_t http_port, udp_payload_max;
    int32_t http_port_vote;
    uint32_t fragment_heads; /* first fragments towards it */
    uint32_t dns_queries, dns_answers, dns_failures; /* towards it; from it; from it with a response code */
    uint32_t tls_hellos, tls_records, quic_initials;
    uint32_t h2_streams, h2_resets, h2_continuations; /* frames of HTTP/2 towards it */
    struct fw_zone_count zone;
    struct fw_kind_count kinds[FW_KINDS];
    uint8_t sources[FW_CLASSES][1 << FW_HLL_P];
    /* Written by SYN, SYN-ACK and UDP packets only ... */
    uint8_t syn_ports[1 << FW_SMALL_HLL_P];
    uint8_t udp_ports[1 << FW_SMALL_HLL_P];
    uint8_t dns_names[1 << FW_NAMES_HLL_P];
    struct fw_port_count opened[FW_PORTS]; /* destination ports of SYN and UDP packets */
    struct fw_port_count service[FW_PORTS]; /* source ports of UDP and SYN-ACK packets; out: what asks them */
    /* ... and by HTTP requests only. */
    uint8_t http_paths[1 << FW_SMALL_HLL_P];
    struct fw_path_count paths[FW_PATHS];
};

struct fw_slot {
    uint64_t hash;
    uint32_t worth;  /* packets lately: what a newcomer has to wear down */
    uint16_t generation;
    uint8_t used, touched;
    uint8_t wrote;   /* bit of every class whose tables hold something of this epoch */
    struct fw_victim v;
};

struct fw_victims {
    uint16_t tags[FW_SLOT_SETS][FW_SLOT_WAYS]; /* 0: free; compared eight at a time */
    uint32_t touched[FW_SLOTS];
    uint32_t touched_count;
    uint32_t newest; /* the slot that the last packet went to */
    uint64_t unslotted; /* packets without a slot since the last clear */
    uint64_t evicted;
    struct fw_slot slots[FW_SLOTS];
};

/* The slot of an address, or NULL. */
struct fw_slot *fw_victim_find(struct fw_victims *t, uint64_t hash, const struct fw_addr *address);
/* Find or admit; NULL (and counted) when the set is full of worthier addresses. */
struct fw_slot *fw_victim_admit(struct fw_victims *t, uint64_t hash, const struct fw_addr *address);

/* Count a packet towards, or from, the slot's address. */
void fw_victim_in(struct fw_victims *t, struct fw_slot *s, const struct fw_packet *p, const struct fw_message *said);
void fw_victim_out(struct fw_victims *t, struct fw_slot *s, const struct fw_packet *p, const struct fw_message *said);

/* The slots that got at least `least` packets in this epoch, by address, with their reference set. `out` has room
 * for touched_count; returns how many there are. */
uint32_t fw_victim_select(struct fw_victims *t, uint32_t least, struct fw_slot **out);

/* What an address got and sent in this epoch, in short: for looks over whole networks. */
struct fw_host {
    struct fw_addr address;
    uint32_t reference, finished;
    uint32_t packets[FW_KINDS], out[FW_KINDS];
    uint64_t bytes[FW_KINDS];
    uint32_t udp_from; /* majority source port of its UDP packets, and the vote */
    int32_t udp_vote;
};

/* All addresses that got packets in this epoch. `out` has room for touched_count; returns how many there are. */
uint32_t fw_victim_hosts(const struct fw_victims *t, struct fw_host *out);
/* The union of the source sets (2^FW_HLL_P registers) of `count` slots, given by reference. */
void fw_victim_sources(const struct fw_victims *t, const uint32_t *references, uint32_t count, unsigned class,
                       uint8_t *out);

/* End of an epoch: zero the counters of touched slots; `forget` also halves every slot's worth. */
void fw_victim_close_epoch(struct fw_victims *t, int forget);
void fw_victim_clear(struct fw_victims *t);

static inline uint32_t fw_slot_reference(const struct fw_victims *t, const struct fw_slot *s)
{
    return (uint32_t)(s - t->slots) | (uint32_t)s->generation << 16;
}

#endif
