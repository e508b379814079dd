/* How many requests one sealed connection asks for: bounds, told from lengths alone.
 *
 * HTTP/1.1 asks once a turn. HTTP/2 and HTTP/3 ask for several, and pack them: into one record or datagram, or record by
 * record. How many a packed one holds is learnt from what came before: the shortest that ever opened a turn may be one
 * request; and a server that answers in short records writes one or two of them for each. A record that follows in the
 * same turn is another request if it is about as long as the first, else it is a body. Where the records that open turns
 * are multiples of one length, over and over, that is the length of one request: who asks for the same in ever other
 * numbers does so, and hardly ever a proxy, behind which requests differ. The preface of HTTP/2 looks like a
 * first turn (RFC 9113, 3.4), so the second turn of a connection counts for half until it is known what it speaks.
 *
 * What is told from lengths may be 2.5 times too much (a body that comes after the server was heard is a turn of its own) or
 * 1.6 times too little; turns of HTTP/1.1 a third: an answer's end and its log are apart in time, and some ask whether
 * they may send (RFC 9110, 10.1.1). */
#ifndef FW_ASKED_H
#define FW_ASKED_H

#include "fw_common.h"

#define FW_ASKED_PART 60u /* bounds are counted in parts of a request, in which these factors are whole */

struct fw_asked {
    uint16_t least;   /* bytes of the shortest that opened a turn, without what wraps it; 0: none yet */
    uint16_t unit;    /* bytes of a request, by the last answers; 0: they do not tell */
    uint16_t opened;  /* of this turn: bytes of what opened it ... */
    uint16_t bytes;   /* ... and of all that was asked in it */
    uint8_t answers;  /* of this turn: records of the server */
    uint8_t more;     /* of this turn: further requests */
    uint8_t turns;    /* so far, at most FW_ASKED_SETTLED; or FW_ASKED_JOINED */
    uint8_t framed;   /* it speaks HTTP/2 or HTTP/3 */
    uint8_t votes;    /* for `one`: most records since were multiples of it */
    uint16_t one;     /* bytes that may be a single request's */
};

#define FW_ASKED_SETTLED 3u /* turns from which a connection without frames speaks HTTP/1.1 ... */
#define FW_ASKED_JOINED 4u  /* ... and for turns: its beginning was not seen */
#define FW_ASKED_SURE 6u    /* votes from which records are multiples of one request */

struct fw_bounds {
    uint32_t least, most; /* requests, in parts of FW_ASKED_PART */
};

/* A turn opens with so many bytes. */
void fw_asked_open(struct fw_asked *a, uint32_t bytes, struct fw_bounds *out);
/* So many records or datagrams follow in the same turn, with so many bytes together. */
void fw_asked_more(struct fw_asked *a, uint32_t records, uint32_t bytes, struct fw_bounds *out);
/* The server sent so many records; `framed`: one of them is no HTTP/1.1. */
static inline void fw_asked_answer(struct fw_asked *a, uint32_t records, int framed)
{
    fw_count8(&a->answers, records);
    a->framed |= (uint8_t)(framed != 0);
}

/* How many times one request the record is that opened this turn; 1 where records are no multiples of one length. */
uint32_t fw_asked_times(const struct fw_asked *a);

/* The turn is over: the server sent so many bytes in it. Learns from it how long a request is. */
void fw_asked_end(struct fw_asked *a, uint32_t answered);

#endif
