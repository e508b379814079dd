/* Connections whose content is sealed (TLS over TCP, QUIC), followed from the outside: handshakes, turns and exchanges.
 *
 * A *turn* is application data of the client after data of the server. An *exchange* is a request and its answer: the
 * length of the first record of a turn, and how much the server sent until the next turn (over TCP: how far the client's
 * ACK number came, so that packets of the server cost nothing). Of HTTP/1.1 turns are requests; HTTP/2 and HTTP/3 ask for
 * several in one turn: fw_asked.h bounds how many. What is no request: the client's Finished, which in TLS 1.3 is a record of application data
 * (RFC 8446, appendix D.4), alerts, and records as long as one frame of HTTP/2 without a header (fw_message.h).
 *
 * Memory is fixed: a set-associative table with exact flow hashes. A new connection takes a free way, else the way that
 * asked for nothing yet and is oldest, else the oldest: hellos that nobody goes on with push out one another.
 *
 * A connection *talks* that speaks neither HTTP/1.1 nor HTTP/2: a game, a chat, a shell. Its beginning was seen and no frame
 * of HTTP/2 in it, and its answers are now and then shorter than a header of HTTP/1.1, of ever other lengths. A server that
 * leaves out the date answers briefly as well, but to the same question always with the same.
 *
 * A client *waits* on a connection of TLS over TCP that asked for nothing since its handshake, or whose data the server did
 * not answer with any of its own although more of it came later: so who never ends a request, and who asks for none, holds
 * a server's place (fw_held.h). Who asked and sends no more waits for the server, or has read the answer: that is not told.
 *
 * QUIC proves the client's address: its Handshake packet names the connection id that the server chose (RFC 9000, 8.1). */
#ifndef FW_SEALED_H
#define FW_SEALED_H

#include "fw_asked.h"
#include "fw_message.h"
#include "fw_packet.h"
#include "fw_topk.h"

#define FW_SEALED_SETS 4096u
#define FW_SEALED_WAYS 4u
#define FW_SEALED_STEP 64u       /* bytes of an answer that make a step, where it is no long one */
#define FW_SEALED_ASK 32u        /* bytes of a request that make a step: names and numbers in it differ by less */
#define FW_SEALED_ANSWER 48u     /* bytes that are no answer to a request: TLS around WINDOW_UPDATE, PING, SETTINGS
                                  * (RFC 9113, 6), or around a pong; a header of HTTP is longer */
#define FW_SEALED_HEADER 76u     /* bytes of TLS around the shortest header that answers in HTTP/1.1: a status and a Date
                                  * (RFC 9110, 6.6.1) */
#define FW_SEALED_TALK 8u        /* a connection speaks something else where one in so many of its answers is shorter than
                                  * that, and of another length than the one before */
#define FW_SEALED_GROWN (1u << 20) /* no more bytes between two packets of one connection are believed */
#define FW_SEALED_MUTE_NS 4000000000ULL  /* so long after its handshake a connection that asks for nothing is told of, once */
#define FW_SEALED_LATER_NS 1000000000ULL /* data that comes so much later is no part of the same flight */
#define FW_QUIC_REQUEST 12u      /* bytes by which a packet with a request is longer than one with an ACK alone */

enum fw_sealed_state {
    FW_SEALED_FREE = 0,
    FW_SEALED_HELLO,    /* the client's first message was seen */
    FW_SEALED_CHANGED,  /* TLS: its ChangeCipherSpec; QUIC: the server answered */
    FW_SEALED_FINISHED, /* its handshake is finished */
    FW_SEALED_OPEN      /* it asked, or was open before the capture */
};

struct fw_sealed_flow {
    uint64_t hash;
    uint32_t client;  /* a piece of the hash of its address */
    uint32_t seq;     /* TCP: end of the newest data that was counted */
    uint32_t heard;   /* TCP: the ACK number when the turn began; QUIC: bytes of the server since */
    uint32_t epoch;   /* of the last change */
    uint32_t cid;     /* QUIC: a hash of the connection id that the server chose */
    uint16_t request; /* length of the first record of the turn; 0: none yet */
    uint16_t least;   /* QUIC: the shortest packet of the client */
    uint8_t state, quic, cid_size;
    struct fw_asked asked;
    /* TLS, of a connection whose handshake was seen: */
    uint8_t bits;     /* of its packets, as far as they tell the form of the client's address */
    uint8_t proven;   /* the handshake of TCP was seen, so that its address is real */
    uint8_t over;     /* closed by a side, or told of */
    uint8_t terse, ends, turned; /* answers too short for HTTP, answers, turns that are not told of as talk; at most 255 */
    uint8_t framed, talks; /* it began with frames of HTTP/2; it is no HTTP */
    uint32_t said;    /* bytes of its last answer */
    uint8_t served;   /* its first turn was counted, it did not wait, and no side closed it yet */
    uint16_t port;    /* the server's */
    uint32_t ack;     /* the ACK number of the client's newest data, or of the end of its handshake ... */
    uint32_t moved;   /* ... the bytes that it sent since ... */
    uint64_t since_ns; /* ... and since when that number is the same */
    struct fw_addr from, to;
    uint64_t source;  /* of who began it, the hash by which sources are counted */
};

/* A client that waits: see above. */
struct fw_waiting {
    struct fw_addr from, to;
    uint64_t flow, since_ns, last_ns;
    uint32_t moved;
    uint16_t port;
    uint8_t bits, proven;
};

struct fw_sealed {
    struct fw_sealed_flow sets[FW_SEALED_SETS][FW_SEALED_WAYS];
    uint32_t epoch;
    uint8_t greeted; /* a hello of TLS was seen */
};

/* What one packet of a client tells. */
struct fw_exchange {
    uint32_t bytes;  /* of sealed data since its last packet that was counted */
    uint32_t answer; /* an exchange ended: bytes that the server sent ... */
    uint32_t shape;  /* ... and a hash of both lengths in steps */
    struct fw_bounds asked; /* requests in it */
    uint8_t hello, finished, first, turn; /* first: the first turn of a connection whose handshake was seen */
    uint8_t ended;   /* an exchange ended */
    uint8_t records, small;
    uint8_t talk;    /* turns, up to this one, of a connection that talks, if they were not told of yet */
    uint8_t quic, proven;
    uint8_t waits;   /* the server did not answer what came so much earlier: fw_sealed_waiting tells of it */
};

/* Feed one packet whose message is of TLS or QUIC. Returns 1 and fills *out if it tells of its client, 0 if not: it is the
 * server's, or of no connection that is followed. */
int fw_sealed_observe(struct fw_sealed *t, const struct fw_packet *p, const struct fw_message *h, struct fw_exchange *out);

/* Feed a packet that asks something in clear text, once a hello of TLS was seen: the connection may have been decrypted.
 * Returns 1 and fills *out if it is the first thing that a client asks after its handshake. */
int fw_sealed_read(struct fw_sealed *t, const struct fw_packet *p, struct fw_exchange *out);

/* Of a packet of a client that waits: what came before it. Returns 0 where its connection is not there. */
int fw_sealed_waiting(const struct fw_sealed *t, const struct fw_packet *p, struct fw_waiting *out);

/* The address of a packet's sender is known to be real. */
void fw_sealed_prove(struct fw_sealed *t, const struct fw_packet *p);
/* A side closes its connection. Returns 1, once, where something was asked on it from its beginning and its client never
 * waited; the hashes tell then who began it with whom. */
int fw_sealed_end(struct fw_sealed *t, const struct fw_packet *p, uint64_t *source, uint64_t *server);

/* Connections that ask for nothing since FW_SEALED_MUTE_NS, each once, from *at on; 0: there are no more. */
int fw_sealed_mute(struct fw_sealed *t, uint64_t now_ns, uint32_t *at, struct fw_waiting *out);

void fw_sealed_close_epoch(struct fw_sealed *t);

static inline int fw_sealed_said(const struct fw_message *h) { return h->what >= FW_TLS_HELLO; }

/* Add an exchange to what its source did in the window. */
void fw_sealed_count(struct fw_heavy_sealed *s, const struct fw_exchange *x);

#endif
