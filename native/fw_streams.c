#include "fw_streams.h"

#define END_STREAM 0x1u
#define END_HEADERS 0x4u
#define PADDED 0x8u
#define PRIORITY_FLAG 0x20u
#define STREAM_BITS 0x7fffffffu
#define WINDOW_DEFAULT 65535u /* RFC 9113, 6.9.2 */

enum { CLIENT, SERVER };

static const char PREFACE[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"; /* RFC 9113, 3.4 */
#define PREFACE_SIZE (sizeof PREFACE - 1)

/* What a packet is read into. */
struct reading {
    const struct fw_key *key;
    struct fw_texts *texts;
    struct fw_message *out;
    uint64_t flow;
    int role;
    uint32_t requests;
};

static struct fw_connection *find(struct fw_streams *t, uint64_t flow)
{
    struct fw_connection *set = t->held[flow >> 24 & (FW_STREAM_SETS - 1)];
    for (unsigned i = 0; i < FW_STREAM_WAYS; i++)
        if (set[i].used && set[i].flow == flow)
            return &set[i];
    return NULL;
}

/* A free place, else that of the one which was silent for longest. */
static struct fw_connection *take(struct fw_streams *t, uint64_t flow, uint32_t client)
{
    struct fw_connection *set = t->held[flow >> 24 & (FW_STREAM_SETS - 1)], *place = find(t, flow);
    for (unsigned i = 0; !place && i < FW_STREAM_WAYS; i++)
        if (!set[i].used)
            place = &set[i];
    if (!place)
        place = set[0].last_ns <= set[1].last_ns ? &set[0] : &set[1];
    t->used += !place->used;
    memset(place, 0, sizeof *place);
    place->flow = flow;
    place->client = client;
    place->used = 1;
    return place;
}

static void start(struct fw_half *h, uint32_t next)
{
    memset(h, 0, sizeof *h);
    h->next = next;
    h->known = 1;
}

void fw_stream_open(struct fw_streams *t, uint64_t flow, const struct fw_packet *p, uint32_t at)
{
    struct fw_connection *c = take(t, flow, fw_flow_receiver(p));
    start(&c->halves[SERVER], p->seq + at);
}

static void lose(struct fw_half *h)
{
    h->lost = 1;
    h->got = h->block = 0;
    h->left = 0;
    fw_hpack_lose(&h->hpack);
}

/* Has the client ended this stream? Those that lie far back are not known. */
static int has_ended(const struct fw_half *h, uint32_t stream)
{
    uint32_t back = (h->newest - stream) / 2;
    return stream <= h->newest && back < 64 && (h->ended >> back & 1);
}

static void end_stream(struct fw_half *h)
{
    uint32_t back = (h->newest - h->stream) / 2;
    if (h->stream <= h->newest && back < 64)
        h->ended |= 1ULL << back;
}

/* A stream that is newer than all before. */
static int opens(struct fw_half *h)
{
    if (h->stream <= h->newest)
        return 0;
    uint32_t on = (h->stream - h->newest) / 2;
    h->ended = on < 64 ? h->ended << on : 0;
    h->newest = h->stream;
    return 1;
}

static void tell_request(struct fw_half *h, struct reading *r)
{
    struct fw_fields *f = &h->hpack.fields;
    struct fw_message m = {.posts = f->posts, .asset = f->asset, .path_hash = f->path_hash};
    if (!(f->has & 1u << FW_FIELD_PATH)) /* not known: nobody else asked for it */
        m.path_hash = fw_mix64(r->flow + h->stream);
    if (r->requests++) {
        fw_message_add(r->out, &m);
        return;
    }
    struct fw_known_text *known = fw_texts_known(r->texts, m.path_hash);
    const uint8_t *path = f->path;
    uint32_t length = f->path_len;
    if (!(f->has & 1u << FW_FIELD_PATH) || !f->spelled) {
        path = known->text;
        length = known->hash == m.path_hash ? known->length : 0;
    }
    r->out->path = fw_texts_keep(r->texts, path, length);
    r->out->path_len = (uint16_t)length;
    r->out->path_hash = m.path_hash;
    r->out->posts = m.posts;
    r->out->asset = m.asset;
}

static void remember(struct fw_texts *t, const struct fw_fields *f)
{
    struct fw_known_text *known = fw_texts_known(t, f->path_hash);
    if (known->hash == f->path_hash)
        return;
    known->hash = f->path_hash;
    known->length = f->path_len;
    memcpy(known->text, f->path, f->path_len);
}

static void block_ends(struct fw_half *h, struct reading *r)
{
    const struct fw_fields *f = &h->hpack.fields;
    h->block = 0;
    if (h->hpack.broken) {
        fw_hpack_lose(&h->hpack);
        return;
    }
    if (f->has & 1u << FW_FIELD_PATH && f->spelled)
        remember(r->texts, f);
    if (r->role == CLIENT && h->fresh)
        tell_request(h, r);
    if (r->role == SERVER && f->has & 1u << FW_FIELD_STATUS && f->status >= 200)
        fw_message_answer(r->out, f->status);
}

/* What a client's frame says by its header alone. */
static void client_frame(struct fw_half *h, struct fw_message *out)
{
    int goes_on = h->type == FW_DATA_FRAME || h->type == FW_HEADERS;
    if (goes_on && has_ended(h, h->stream))
        fw_count8(&out->violations, 1); /* RFC 9113, 5.1: half-closed or closed */
    fw_count8(&out->streams, h->type == FW_HEADERS);
    fw_count8(&out->resets, h->type == FW_RST_STREAM);
    fw_count8(&out->continuations, h->type == FW_CONTINUATION);
    if (h->type == FW_HEADERS)
        h->fresh = (uint8_t)opens(h);
    if (goes_on && h->flags & END_STREAM)
        end_stream(h);
    if ((h->type == FW_PRIORITY && h->left != 5) || (h->type == FW_WINDOW_UPDATE && h->left != 4))
        fw_count8(&out->violations, 1);
}

/* A stream that depends on itself (RFC 7540, 5.3.1); a window that does not grow, or beyond its end (RFC 9113, 6.9). */
static int violates(const struct fw_half *h)
{
    uint32_t padded = h->type == FW_HEADERS && h->flags & PADDED ? 1 : 0;
    if (h->lead_got < padded + 4)
        return 0;
    uint32_t value = fw_be32(h->lead + padded) & STREAM_BITS;
    if (h->type == FW_PRIORITY || (h->type == FW_HEADERS && h->flags & PRIORITY_FLAG))
        return value == h->stream && h->stream != 0;
    return h->type == FW_WINDOW_UPDATE && h->stream != 0 && (value == 0 || value > STREAM_BITS - WINDOW_DEFAULT);
}

static void lead_ends(struct fw_half *h, struct reading *r)
{
    int padded = h->flags & PADDED && (h->type == FW_HEADERS || h->type == FW_PUSH_PROMISE) && h->lead_got;
    h->pad = padded ? (uint8_t)fw_min32(h->lead[0], h->left) : 0;
    if (h->type == FW_HEADERS || h->type == FW_PUSH_PROMISE) {
        h->block = 1;
        fw_hpack_begin(&h->hpack);
    }
    if (r->role == CLIENT)
        fw_count8(&r->out->violations, (unsigned)violates(h));
    else if (h->type == FW_RST_STREAM && h->lead_got == 4)
        fw_count8(&r->out->provoked, (unsigned)fw_http2_blames(fw_be32(h->lead)));
}

static uint32_t lead_size(uint8_t type, uint8_t flags)
{
    switch (type) {
    case FW_HEADERS:
        return (flags & PADDED ? 1u : 0) + (flags & PRIORITY_FLAG ? 5u : 0);
    case FW_PUSH_PROMISE:
        return (flags & PADDED ? 1u : 0) + 4;
    case FW_PRIORITY:
        return 5;
    case FW_RST_STREAM:
    case FW_WINDOW_UPDATE:
        return 4;
    default:
        return 0;
    }
}

static void frame_begins(struct fw_half *h, struct reading *r)
{
    h->left = fw_be32(h->head) >> 8;
    h->type = h->head[3];
    h->flags = h->head[4];
    h->stream = fw_be32(h->head + 5) & STREAM_BITS;
    h->lead_got = h->pad = 0;
    h->lead_want = (uint8_t)fw_min32(lead_size(h->type, h->flags), h->left);
    if (r->role == CLIENT)
        client_frame(h, r->out);
    if (h->lead_want == 0)
        lead_ends(h, r);
}

/* Is the frame a piece of the open header block? */
static int in_block(const struct fw_half *h)
{
    return h->block && (h->type == FW_HEADERS || h->type == FW_CONTINUATION || h->type == FW_PUSH_PROMISE);
}

static void frame_ends(struct fw_half *h, struct reading *r)
{
    h->got = 0;
    if (in_block(h) && h->flags & END_HEADERS)
        block_ends(h, r);
}

/* Bytes of the frame's payload that lie here; returns how many were used. */
static uint32_t frame_goes_on(struct fw_half *h, struct reading *r, const uint8_t *p, uint32_t size)
{
    uint32_t n = fw_min32(size, h->left);
    if (h->lead_got < h->lead_want) {
        n = 1;
        h->lead[h->lead_got++] = p[0];
        h->left--;
        if (h->lead_got == h->lead_want)
            lead_ends(h, r);
        return n;
    }
    if (in_block(h) && h->left > h->pad)
        (void)fw_hpack_feed(&h->hpack, r->key, p, fw_min32(n, h->left - h->pad));
    h->left -= n;
    return n;
}

static void feed(struct fw_half *h, struct reading *r, const uint8_t *p, uint32_t size)
{
    for (uint32_t at = 0; at < size;) {
        if (h->got < FW_FRAME_HEADER) {
            h->head[h->got++] = p[at++];
            if (h->got == FW_FRAME_HEADER)
                frame_begins(h, r);
        } else {
            at += frame_goes_on(h, r, p + at, size - at);
        }
        if (h->got == FW_FRAME_HEADER && h->left == 0)
            frame_ends(h, r);
    }
}

/* Bytes that are missing matter where they are not the inside of a body. */
static void skip(struct fw_half *h, uint32_t missing)
{
    if (h->got == FW_FRAME_HEADER && h->type == FW_DATA_FRAME && h->left > missing)
        h->left -= missing;
    else
        lose(h);
}

static void hear(struct fw_half *h, struct reading *r, const struct fw_packet *p, const uint8_t *payload)
{
    int32_t missing = (int32_t)(p->seq - h->next), ahead = (int32_t)(p->seq + p->payload - h->next);
    uint32_t old = missing < 0 ? h->next - p->seq : 0;
    if (ahead <= 0)
        return;
    h->next += (uint32_t)ahead;
    if (missing > 0)
        skip(h, (uint32_t)missing);
    if (old >= p->captured) {
        lose(h);
        return;
    }
    if (h->lost && !fw_http2_frames(payload + old, p->captured - old))
        return;
    h->lost = 0;
    feed(h, r, payload + old, p->captured - old);
    if (p->payload > p->captured)
        skip(h, p->payload - p->captured);
}

/* The client begins: a new connection, or what answer 101 opened. Returns the connection, or NULL. */
static struct fw_connection *begin(struct fw_streams *t, uint64_t flow, struct fw_connection *c,
                                   const struct fw_packet *p, const uint8_t *payload)
{
    if (p->captured < PREFACE_SIZE || memcmp(payload, PREFACE, PREFACE_SIZE) != 0)
        return c;
    uint32_t client = fw_flow_sender(p);
    if (c && c->client == client && c->halves[CLIENT].known && (int32_t)(p->seq - c->halves[CLIENT].next) < 0)
        return c; /* sent again */
    if (!c || c->client != client || c->halves[CLIENT].known) {
        c = take(t, flow, client);
        start(&c->halves[SERVER], p->ack);
    }
    start(&c->halves[CLIENT], p->seq + (uint32_t)PREFACE_SIZE);
    return c;
}

/* A stream that is reset as soon as it is opened asks for nothing: it breaks, and is counted as such. */
static void conclude(struct reading *r)
{
    struct fw_message *out = r->out;
    if (r->requests > out->resets) {
        out->what = FW_HTTP_REQUEST;
        out->more = (uint8_t)(out->more - fw_min32(out->resets, out->more));
    } else {
        out->what = out->answers ? FW_HTTP_RESPONSE : FW_HTTP2;
    }
}

/* A connection that began before the capture: the packet holds frames, and the server has the lower port. */
static struct fw_connection *join(struct fw_streams *t, uint64_t flow, const struct fw_packet *p, const uint8_t *payload)
{
    if (!fw_http2_likely(payload, p->captured) || !fw_http2_frames(payload, p->captured))
        return NULL;
    int asks = p->sport >= p->dport;
    struct fw_connection *c = take(t, flow, asks ? fw_flow_sender(p) : fw_flow_receiver(p));
    start(&c->halves[asks ? CLIENT : SERVER], p->seq);
    start(&c->halves[asks ? SERVER : CLIENT], p->ack);
    return c;
}

int fw_stream_hear(struct fw_streams *t, struct fw_texts *texts, const struct fw_key *key, uint64_t flow,
                   const struct fw_packet *p, const uint8_t *payload, struct fw_message *out)
{
    struct fw_connection *c = begin(t, flow, t->used ? find(t, flow) : NULL, p, payload);
    c = c ? c : join(t, flow, p, payload);
    if (!c)
        return 0;
    struct reading r = {key, texts, out, flow, fw_flow_sender(p) == c->client ? CLIENT : SERVER, 0};
    struct fw_half *h = &c->halves[r.role];
    if (!h->known)
        return 0;
    c->last_ns = p->ts_ns;
    memset(out, 0, sizeof *out);
    hear(h, &r, p, payload);
    conclude(&r);
    return 1;
}
