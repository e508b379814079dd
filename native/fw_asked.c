#include "fw_asked.h"

#define SHORTEST 14u     /* bytes of a request of HTTP/2: a frame's header, and a byte for each of its fields (RFC 9113, 8.3.1) */
#define ACK_12 16u       /* the acknowledgement of SETTINGS in TLS 1.2, as bytes inside TLS 1.3 (fw_tls.c) */
#define PLAIN_MOST 26u   /* no request of HTTP/1.1 with a host is so short (RFC 9112, 3.2), though a body may be */
#define SHORT_ANSWER 1000u /* bytes of a server's record on average, up to which records tell how many answers there are */

#define VOTES_MOST 12u
#define ONE_APART 8u /* this part of a request, and a byte for each, is what multiples may be off: numbers in paths vary */

/* How many times `one` goes into so many bytes; 0: it is no multiple. */
static uint32_t times_of(uint32_t one, uint32_t bytes)
{
    uint32_t times = (bytes + one / 2) / one, whole = times * one;
    uint32_t off = whole > bytes ? whole - bytes : bytes - whole;
    return off <= fw_min32(times, one / ONE_APART) ? times : 0;
}

/* A turn opens with so many bytes: are they a multiple of one request? Of lengths that have nothing in common at most a
 * quarter is, so that their votes do not last. */
static void vote(struct fw_asked *a, uint32_t bytes)
{
    if (bytes < SHORTEST)
        return;
    uint32_t times = a->one ? times_of(a->one, bytes) : 0;
    if (times) {
        if (times > 1) /* tells the length better than a single one */
            a->one = (uint16_t)((bytes + times / 2) / times);
        if (a->votes < VOTES_MOST)
            a->votes++;
    } else if (a->one && times_of(bytes, a->one)) {
        a->one = (uint16_t)bytes;
    } else if (a->votes > 1) {
        a->votes = (uint8_t)(a->votes - 2);
    } else {
        a->one = (uint16_t)bytes;
        a->votes = 1;
    }
}

static void add(struct fw_bounds *out, uint32_t halves, uint32_t least, uint32_t most)
{
    out->least += halves * least;
    out->most += halves * most;
}

/* Half requests, told from lengths. */
static void roughly(struct fw_bounds *out, uint32_t halves)
{
    add(out, halves, FW_ASKED_PART / 5, FW_ASKED_PART * 4 / 5);
}

static uint32_t unit_of(const struct fw_asked *a)
{
    uint32_t unit = a->unit ? fw_min32(a->unit, a->least) : a->least;
    return unit ? unit : SHORTEST;
}

void fw_asked_open(struct fw_asked *a, uint32_t bytes, struct fw_bounds *out)
{
    bytes = fw_min32(bytes ? bytes : 1, UINT16_MAX);
    if (a->turns < FW_ASKED_SETTLED)
        a->turns++;
    a->framed |= (uint8_t)(a->turns == FW_ASKED_JOINED && bytes <= PLAIN_MOST);
    a->opened = a->bytes = (uint16_t)bytes;
    a->answers = a->more = 0;
    vote(a, bytes);
    if (bytes >= SHORTEST && bytes != ACK_12 && (a->least == 0 || bytes < a->least))
        a->least = (uint16_t)bytes;
    if (a->framed) {
        uint32_t unit = unit_of(a), halves = (2 * bytes + unit / 2) / unit;
        roughly(out, halves > 2 ? halves : 2);
    } else if (a->turns < FW_ASKED_SETTLED) {
        roughly(out, a->turns == 2 ? 1 : 2);
    } else {
        add(out, 1, FW_ASKED_PART * 3 / 4, FW_ASKED_PART * 4 / 3);
    }
}

void fw_asked_more(struct fw_asked *a, uint32_t records, uint32_t bytes, struct fw_bounds *out)
{
    a->bytes = (uint16_t)fw_min32(a->bytes + bytes, UINT16_MAX);
    if (!a->framed || records == 0 || 4 * bytes < 3u * records * a->opened || 3 * bytes > 4u * records * a->opened)
        return;
    roughly(out, 2 * records - (a->more == 0)); /* the first of them may be a body that happens to be as long */
    a->more = 1;
}

uint32_t fw_asked_times(const struct fw_asked *a)
{
    uint32_t times = a->framed && a->votes >= FW_ASKED_SURE ? times_of(a->one, a->opened) : 1;
    return times ? times : 1;
}

void fw_asked_end(struct fw_asked *a, uint32_t answered)
{
    a->unit = 0;
    if (a->framed && a->answers > 1 && answered <= SHORT_ANSWER * a->answers)
        a->unit = (uint16_t)fw_min32(5u * a->bytes / (4u * a->answers), UINT16_MAX); /* one or two for each */
    a->unit = a->unit && a->unit < SHORTEST ? SHORTEST : a->unit;
}
