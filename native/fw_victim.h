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
#include "fw_ports.h"
#include "fw_sealed.h"

#define FW_SLOT_SETS 128u
#define FW_SLOT_WAYS 8u
#define FW_SLOTS (FW_SLOT_SETS * FW_SLOT_WAYS)
#define FW_SLOT_MASK 0xffffu /* of a reference: the number of the slot */
#define FW_HLL_P 10u      /* distinct sources per victim and class: 3.3 % */
#define FW_SMALL_HLL_P 6u /* distinct ports, networks, paths: 13 % */
#define FW_NAMES_HLL_P 8u /* distinct names, distinct flows: 6.5 % */
#define FW_PORTS 64u
#define FW_PATHS 16u
#define FW_SHAPES 16u
#define FW_SEALED_KINDS 2u /* TLS over TCP, QUIC */
#define FW_BEATS 16u /* an epoch touches 15 or 16 steps of time ... */
#define FW_BEAT_BITS 24u /* ... of 2^24 ns */
#define FW_PATH_TEXT 76u
#define FW_ZONE_TEXT 66u

#define FW_CLASS(name, what) FW_CLASS_##name,
enum fw_class { FW_CLASS_LIST(FW_CLASS) FW_CLASSES };

struct fw_kind_count {
    FW_KIND_FEATURES(FW_MEMBER)
};

struct fw_path_count {
    FW_PATH_FEATURES(FW_MEMBER)
};

struct fw_shape_count {
    FW_SHAPE_FEATURES(FW_MEMBER)
};

struct fw_sealed_count {
    FW_SEALED_FEATURES(FW_MEMBER)
};

/* All members stand in fw_features.h, and all are exported. */
struct fw_victim {
    struct fw_addr address;
    FW_VICTIM_COUNTERS(FW_MEMBER)
    FW_VICTIM_SOURCES(FW_MEMBER)
    FW_VICTIM_PORT_TABLES(FW_MEMBER)
    FW_VICTIM_HTTP_TABLES(FW_MEMBER)
    FW_VICTIM_SEALED_TABLES(FW_MEMBER)
};

struct fw_slot {
    uint64_t hash;
    uint32_t worth;  /* packets lately: what a newcomer has to wear down */
    uint16_t generation;
    uint8_t used, touched;
    uint8_t wrote;   /* bit of every class whose tables hold something of this epoch */
    struct fw_victim v;
};

#define FW_WROTE_SERVICE (1u << FW_CLASSES) /* the table `service`, which answers write as well */
_Static_assert(FW_CLASSES < 8, "`wrote` has a bit for each class, and one for `service`");

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

/* Note whence and where a packet out of any connection goes. */
static inline void fw_victim_stray(struct fw_slot *s, const struct fw_packet *p)
{
    s->v.strays++;
    fw_hll_add(s->v.stray_ports, FW_SMALL_HLL_P, fw_port_hash(s->hash, p->dport));
    fw_hll_add(s->v.stray_sources, FW_SMALL_HLL_P, p->src_hash);
}

/* Count a packet towards, or from, the slot's address. `asker` is the hash of whose request it is: the sender's, or that
 * of the client for whom a proxy asks. */
void fw_victim_in(struct fw_victims *t, struct fw_slot *s, const struct fw_packet *p, const struct fw_message *said,
                  uint64_t asker);
void fw_victim_out(struct fw_victims *t, struct fw_slot *s, const struct fw_packet *p, const struct fw_message *said);
/* Count what a packet towards the address tells of a sealed connection. */
void fw_victim_sealed(struct fw_slot *s, const struct fw_packet *p, const struct fw_exchange *x);
/* Count a packet that was counted towards the address as one from an address that it spoke to. */
void fw_victim_known(struct fw_slot *s, const struct fw_packet *p);

#define FW_WORTH_REQUEST 16u /* packets that a request stands for ... */
#define FW_WORTH_SYN 4u      /* ... and a SYN, where victims are selected */
/* The slots that got at least `least` packets in this epoch, by address, with their reference set. `out` has room
 * for touched_count; returns how many there are. */
uint32_t fw_victim_select(struct fw_victims *t, uint32_t least, struct fw_slot **out);
/* Copy what `count` slots counted, one record behind the other. */
void fw_victim_copy(struct fw_slot *const *slots, uint32_t count, struct fw_victim *out);

struct fw_host {
    struct fw_addr address;
    FW_HOST_FEATURES(FW_MEMBER)
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
