/* Connections on which a client holds a server's place: a request without its end, a body that does not come, an answer
 * that is not taken; and inside TLS, where none of this can be read, one on which a client waits as fw_sealed.h says.
 *
 * A reader holds a place with a window of zero, or with one of a few segments of which the server uses most whenever it
 * opens, for then it has more to send. Who leaves such a window open and gets nothing waits for the server: small devices do.
 *
 * A connection is kept from the packet that says so until it is no more held: the request ends, the body is whole, the
 * server answers, the reader reads, one side closes. Between its packets it may be silent for FW_HELD_SILENT_NS, longer
 * than servers keep connections that are idle (Apache's KeepAliveTimeout and Timeout, nginx' client_header_timeout,
 * keepalive_timeout: 5 to 120 s), so that no pause of a client loses it.
 *
 * The table is fixed. Where more connections are held than it should take, a sample of them by keyed flow hash is kept,
 * each with the weight that it stands for (Gibbons: "Distinct Sampling for Highly-Accurate Answers to Distinct Values
 * Queries", 2001): sums of weights are unbiased, and exact below FW_HELD_BUSY. */
#ifndef FW_HELD_H
#define FW_HELD_H

#include "fw_flow.h"
#include "fw_message.h"
#include "fw_sealed.h"
#include "fw_topk.h"

#define FW_HELD_SETS 1024u
#define FW_HELD_WAYS 8u
#define FW_HELD_BUSY (FW_HELD_SETS * FW_HELD_WAYS / 2) /* held at once that halve the sample ... */
#define FW_HELD_CALM (FW_HELD_BUSY / 8)                /* ... and that double it again */
#define FW_HELD_SILENT_NS 300000000000LL
#define FW_HELD_BRIEF_NS 1000000000ULL  /* what was held no longer is not told of */
#define FW_HELD_OPEN_NS 2000000000ULL   /* a reader that made room for so long waits for the server */
#define FW_HELD_READ 16384u             /* bytes that came to a reader, from which it goes on reading ... */
#define FW_HELD_RATE 512u               /* ... if it was no less a second */

enum fw_held_kind { FW_HELD_HEADER = 1, FW_HELD_BODY, FW_HELD_READER, FW_HELD_SEALED };

struct fw_held {
    FW_HELD_FEATURES(FW_MEMBER)
};

struct fw_helds {
    struct fw_held sets[FW_HELD_SETS][FW_HELD_WAYS]; /* free where flow is 0 */
    uint16_t used[FW_HELD_SETS];                     /* how many of each set are not */
    uint32_t count;                                  /* of the whole table */
    uint8_t rate_log2;                               /* sampling of new ones */
};

/* Does a TCP packet bear on a connection that is held, or begin to hold one? */
static inline int fw_held_concerned(const struct fw_helds *t, const struct fw_packet *p, const struct fw_message *m)
{
    return t->count || p->bits & FW_STALLED ||
           (m && m->what == FW_HTTP_REQUEST && (m->unfinished || m->owed));
}

/* Take in such a packet, but for one of FW_FLOW_NARROWED. `news` is what the handshake table says of it, and `asked` that a
 * request came before on its connection. */
void fw_held_observe(struct fw_helds *t, const struct fw_packet *p, const struct fw_message *m, enum fw_flow_news news,
                     int asked);

/* Take in a packet of FW_FLOW_NARROWED. */
void fw_held_narrowed(struct fw_helds *t, struct fw_flows *flows, const struct fw_packet *p);

/* Take in who waits inside TLS: the client that sent this packet, and those that ask for nothing. */
void fw_held_wait(struct fw_helds *t, const struct fw_sealed *s, const struct fw_packet *p);
void fw_held_mute(struct fw_helds *t, struct fw_sealed *s, uint64_t now_ns);

/* Forget what was silent for too long at `now_ns`, and what is over and was not asked for. */
void fw_held_close_epoch(struct fw_helds *t, uint64_t now_ns);

/* Copy the connections that are held, and those that no longer are since the last call, which are then forgotten. `out`
 * has room for the whole table; returns how many. */
uint32_t fw_held_list(struct fw_helds *t, struct fw_held *out);

#endif
