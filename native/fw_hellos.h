/* The ClientHellos of a capture, put together over segments and records: TLS over TCP, DTLS; and QUIC's Initials as they came.
 *
 * Fixed memory: FW_HELLO_SLOTS hellos may be open at a time, the one that was open longest makes room for the next, and
 * what is whole waits in `seen` and `texts` until it is drained. All that is not taken is counted.
 * Of bytes that come twice the first count, as in most stacks. A hello that begins behind the first byte of a segment,
 * or whose first segment comes later than the second, is not found. */
#ifndef FW_HELLOS_H
#define FW_HELLOS_H

#include "fw_hello.h"
#include "fw_message.h"
#include "fw_packet.h"

#define FW_HELLO_SLOTS 256u  /* a power of two, in ways of FW_HELLO_WAYS */
#define FW_HELLO_WAYS 4u
#define FW_HELLO_FLOWS 4096u /* flows whose last hello is remembered */
#define FW_HELLO_TEXT 256u   /* bytes of texts per hello that there should be room for, beside the Initials */
#define FW_SEALED_MOST 512u  /* Initials between two drains: opening one is dear */
#define FW_SEALED_BYTES 1500u
#define FW_HELLOS_ALL 128u   /* hellos that are all looked at where only a sample is ... */
#define FW_INITIALS_ALL 16u  /* ... and Initials */
#define FW_HELLO_ROOM (FW_HELLO_MOST + 64u) /* with the headers of its records */

/* One whole hello, or one Initial. In the texts at `at`: the ids (16 bits each, as in struct fw_hello) and then the name;
 * of an Initial the datagram. */
struct fw_hello_seen {
    uint64_t ts_ns;
    uint64_t key;      /* keyed hash of all that makes the fingerprint, whatever its order, but for the algorithms */
    uint64_t name_key; /* keyed hash of the name; 0 for none */
    uint64_t sender;   /* keyed hash of the source */
    struct fw_addr src, dst;
    uint32_t packet; /* place in its batch, carriers left out, of the packet that made it whole */
    uint32_t at, size;
    uint32_t weight;   /* so many hellos it stands for, where not all are looked at */
    uint16_t sport, dport;
    uint16_t version;
    uint16_t ciphers, extensions, algorithms, name_length;
    uint8_t transport; /* enum fw_transport */
    uint8_t sealed;    /* an Initial, still encrypted */
    uint8_t named, outer, protocols, first, last;
};

struct fw_hello_slot {
    uint64_t flow;
    uint64_t opened;          /* a number that grows; 0: free */
    uint32_t base;            /* sequence number of the first byte */
    uint32_t weight;          /* as below, when it was opened */
    uint32_t have, need;      /* bytes without a gap; bytes without which nothing more can be told */
    uint8_t present[FW_HELLO_ROOM / 8];
    uint8_t bytes[FW_HELLO_ROOM];
};

struct fw_hellos {
    struct fw_key key;
    uint64_t whole;      /* hellos of TLS and DTLS */
    uint64_t sealed;     /* Initials of QUIC */
    uint64_t broken;     /* what begins like a hello and contradicts itself, or is longer than FW_HELLO_MOST */
    uint64_t cut;        /* by the snap length */
    uint64_t unfinished; /* made room before they were whole */
    uint64_t missed;     /* whole, or an Initial, but there was no room to keep them */
    uint64_t opened;
    uint32_t weight;     /* so many hellos stands for what is taken next */
    uint32_t open;       /* slots in use: unfinished so far */
    uint32_t count, room, sealed_count, text_size, text_room;
    struct fw_hello_seen *seen;
    uint8_t *texts;
    struct {
        uint64_t flow;
        uint32_t seq;
    } flows[FW_HELLO_FLOWS];
    struct fw_hello hello; /* the one that is being read */
    uint8_t scratch[FW_HELLO_MOST + 4];
    struct fw_hello_slot slots[FW_HELLO_SLOTS];
};

/* Look at one packet of proto TCP or UDP with its captured payload; `number` is its place in the batch, carriers left out. */
void fw_hellos_take(struct fw_hellos *h, const struct fw_packet *p, const uint8_t *payload, uint32_t number);

/* Look at a packet whose message (a hello, what goes on with one, or an Initial) is at hand whole, or leave it out:
 * `before` others of its kind came to its victim in the same epoch. Of those behind the first ones every other one is
 * looked at, and each time as many have come again half as many, each with so much more weight: a bounded sample of all
 * parts of the epoch, whatever comes. */
void fw_hellos_sample(struct fw_hellos *h, const struct fw_packet *p, const struct fw_message *m, uint32_t before);

/* Keep one hello by its body. Returns 0, or FW_BAD_RECORD: it is broken and was counted so. */
int fw_hellos_add(struct fw_hellos *h, const struct fw_packet *p, uint32_t number, int transport, const uint8_t *body,
                  uint32_t size);

static inline void fw_hellos_drained(struct fw_hellos *h) { h->count = h->sealed_count = h->text_size = 0; }

#endif
