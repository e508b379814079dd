/* Handshakes of a sample of the TCP flows: which SYNs were answered, finished, refused or sent twice.
 *
 * The sample is by keyed flow hash, the same for both directions: a flow is in it when the top `rate_log2`
 * bits of its hash are zero. The rate halves when an epoch brings more new flows than the table should take
 * (Gibbons' distinct sampling), so a flood cannot flush it; each flow carries the weight 2^rate_log2 that it
 * had when it came in, and sums of weights are unbiased estimates. Below 8,192 new flows an epoch the sample
 * is everything and the sums are exact.
 *
 * A finished handshake is proof of a real source: its ACK number equals the ISN + 1 of a SYN-ACK that was
 * seen to leave (RFC 9293, 3.5), which a blind forger hits with probability 2^-32. */
#ifndef FW_FLOW_H
#define FW_FLOW_H

#include "fw_packet.h"

#define FW_FLOW_SETS 16384u
#define FW_FLOW_WAYS 2u
#define FW_FLOW_BUSY 8192u  /* new flows in an epoch that halve the rate */
#define FW_FLOW_CALM 1024u  /* ... that double it again */
#define FW_FLOW_TICK 24       /* a tick is 2^24 ns: 17 ms */
#define FW_FLOW_COPY_TICKS 6  /* 0.1 s: no stack sends its SYN again that early ... */
#define FW_FLOW_COPIES 2u     /* ... and no mirror shows it more often than this beside the first time */
#define FW_FLOW_AGAIN_TICKS 48 /* 0.8 s: stacks wait a second before they send a SYN again (RFC 6298) ... */
#define FW_FLOW_EVEN_TICKS 90 /* ... and once they wait longer than 1.5 s they double the time */
#define FW_FLOW_NARROW 4380u  /* bytes of a window, three segments (RFC 3390): a client that offers no more hardly reads */
#define FW_FLOW_UNSCALED 15u  /* a shift that nobody asks for: its SYN was not seen */
#define FW_FLOW_EVEN 5u       /* ... which some do from the first time on, and all after so many */

enum fw_flow_state {
    FW_FLOW_FREE = 0,
    FW_FLOW_OPENING,
    FW_FLOW_ANSWERED,
    FW_FLOW_DONE,
    FW_FLOW_ALONE, /* no handshake was seen, and only one side was heard so far */
    FW_FLOW_BOTH   /* no handshake was seen, but both sides were: open since before the capture */
};

struct fw_flow {
    uint64_t hash;
    uint32_t client_seq;  /* the client's ISN; once DONE the end of the newest data it sent; ALONE: who was heard */
    uint32_t server_next; /* ISN + 1 of the SYN-ACK; the client's newest ACK number once DONE; ALONE: the first packet */
    uint32_t epoch;                   /* of the last change */
    uint32_t client;                  /* who asked for it: a piece of the hash of its address */
    uint8_t state, weight_log2;
    uint8_t followed : 1, refused : 1, unasked : 1; /* unasked: by a SYN-ACK without a SYN */
    uint8_t fed : 1;                  /* DONE: the client sent data */
    uint8_t replayed : 1;             /* its first packet is sent over and over ... */
    uint8_t copies : 2, asked : 1;
    uint8_t again : 3, tried : 1;       /* ... or came again at once, or was retransmitted */
    uint8_t shift : 4;                /* of the client's windows */
    uint16_t sent, waited;            /* tick of the newest of these, and ticks between it and the one before */
};

struct fw_flows {
    struct fw_flow sets[FW_FLOW_SETS][FW_FLOW_WAYS];
    uint32_t inserted;              /* new flows in this epoch since the rate last changed */
    uint32_t epoch;
    uint8_t rate_log2;              /* sampling of new flows */
    uint8_t lookup_log2, next_lookup_log2; /* sampling of look-ups: that of the epoch before the last */
};

enum fw_flow_news {
    FW_FLOW_NOTHING = 0,
    FW_FLOW_NEW_SYN,     /* first SYN of a flow */
    FW_FLOW_AGAIN_SYN,   /* the same SYN later: retransmitted (RFC 6298 waits a second) */
    FW_FLOW_COPIED_SYN,  /* the same SYN at once: the frame was captured twice */
    FW_FLOW_REPLAYED_SYN, /* the same SYN as neither mirrors nor stacks repeat it: sent over and over */
    FW_FLOW_SYNACK,      /* first answer */
    FW_FLOW_FINISHED,    /* proof */
    FW_FLOW_FOLLOWED,    /* the client went on, but no SYN-ACK was seen: a hint, forgeable */
    FW_FLOW_REFUSED,     /* answered by RST */
    FW_FLOW_PROVEN,      /* a packet of a flow that was finished before */
    FW_FLOW_FIRST,       /* PROVEN, with the first bytes that the client sends; FINISHED may hold them as well */
    FW_FLOW_NARROWED,    /* PROVEN, without data, and its window is FW_FLOW_NARROW at most */
    FW_FLOW_KNOWN,       /* a packet of a flow of which both sides were heard, and not its handshake */
    FW_FLOW_STRANGER,    /* the first packet of a flow without a handshake, or its replay */
    FW_FLOW_ALONE_STILL, /* a later one, and the other side is still silent */
    FW_FLOW_UNASKED,     /* a SYN-ACK without a SYN, or its replay */
    FW_FLOW_REPEATED     /* PROVEN, and all its data came before: retransmitted, or captured twice */
};

/* Is it a packet of a flow that was finished before? */
static inline int fw_flow_goes_on(enum fw_flow_news news)
{
    return news == FW_FLOW_PROVEN || news == FW_FLOW_NARROWED || news == FW_FLOW_FIRST || news == FW_FLOW_REPEATED;
}

/* Symmetric flow hash from the keyed address hashes and the ports. */
static inline uint64_t fw_flow_hash(const struct fw_packet *p)
{
    uint64_t a = p->sender_hash ^ p->sport, b = p->dst_hash ^ p->dport;
    return fw_mix64(a + b);
}

/* One end of a flow: who sends the packet, and to whom it goes. */
static inline uint32_t fw_flow_sender(const struct fw_packet *p) { return (uint32_t)fw_mix64(p->sender_hash + p->sport); }
static inline uint32_t fw_flow_receiver(const struct fw_packet *p) { return (uint32_t)fw_mix64(p->dst_hash + p->dport); }

static inline int fw_flow_sampled(uint64_t hash, unsigned log2) { return !log2 || hash >> (64 - log2) == 0; }

/* Feed one TCP packet; *weight is set for every answer but NOTHING. */
enum fw_flow_news fw_flow_observe(struct fw_flows *t, const struct fw_packet *p, uint32_t *weight);

/* A request of HTTP came on a connection, with a login or without: note it. Was one noted, and did the last one have a
 * login? */
void fw_flow_ask(struct fw_flows *t, uint64_t hash, int login);
int fw_flow_asked(struct fw_flows *t, uint64_t hash);

/* The bytes that a packet of the client's makes room for, whose flow was just observed; of no use without its SYN. */
uint32_t fw_flow_room(struct fw_flows *t, const struct fw_packet *p);
int fw_flow_tried(struct fw_flows *t, uint64_t hash);

void fw_flow_close_epoch(struct fw_flows *t);
void fw_flow_clear(struct fw_flows *t);

#endif
