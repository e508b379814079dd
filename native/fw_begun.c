#include "fw_begun.h"

static inline struct fw_begun *place_of(const struct fw_beguns *t, uint64_t flow)
{
    return (struct fw_begun *)&t->held[flow >> 24 & (FW_BEGUN - 1)];
}

/* What is waited for of a packet's connection, or NULL. */
static struct fw_begun *find(const struct fw_beguns *t, const struct fw_packet *p)
{
    if (!fw_begun_likely(t, p))
        return NULL;
    uint64_t flow = fw_flow_hash(p);
    struct fw_begun *b = place_of(t, flow);
    return b->what != FW_NEXT_NOTHING && b->flow == flow && b->sender == fw_flow_sender(p) ? b : NULL;
}

int fw_begun_waits(const struct fw_beguns *t, const struct fw_packet *p) { return find(t, p) != NULL; }

static void release(struct fw_beguns *t, struct fw_begun *b)
{
    b->what = FW_NEXT_NOTHING;
    if (--t->used == 0)
        t->senders = 0;
}

/* Note what a packet leaves for the next ones. `from` is what was read: the payload from `seq` on, behind `held` bytes of
 * a line that came before. */
static void note(struct fw_beguns *t, const struct fw_packet *p, uint32_t seq, const uint8_t *from, uint32_t size,
                 const struct fw_next *next, int counted)
{
    uint32_t length = next->what == FW_NEXT_LINE ? size - next->at : 0;
    if (next->what == FW_NEXT_NOTHING || next->what == FW_NEXT_UPGRADED || length > FW_BEGUN_TEXT)
        return;
    uint64_t flow = fw_flow_hash(p);
    struct fw_begun *b = place_of(t, flow);
    t->used += b->what == FW_NEXT_NOTHING;
    t->senders |= 1ULL << (p->sender_hash & 63);
    b->flow = flow;
    b->sender = fw_flow_sender(p);
    b->seq = seq + (length ? size : next->at);
    b->what = next->what;
    b->counted = (uint8_t)counted;
    b->length = (uint16_t)length;
    if (length)
        memcpy(b->text, from + next->at, length);
}

/* The line that came before, with this packet behind it. */
static int read_joined(struct fw_beguns *t, struct fw_texts *texts, const struct fw_key *key,
                       const struct fw_ranges *named, struct fw_begun *b, const struct fw_packet *p,
                       const uint8_t *payload, struct fw_message *out, struct fw_next *next)
{
    uint32_t held = b->length, size = held + p->captured;
    uint8_t counted = b->counted;
    memcpy(t->joined, b->text, held);
    memcpy(t->joined + held, payload, p->captured);
    release(t, b);
    int said = fw_http_read(key, named, t->joined, size, p->captured == p->payload, out, next);
    if (said == FW_HTTP_REQUEST) {
        out->path = fw_texts_keep(texts, out->path, out->path_len);
        out->resumed = counted && !out->begun;
        if (counted && out->begun)
            said = FW_SAID_NOTHING; /* counted already, and still not told what for */
        counted |= out->begun;
    }
    note(t, p, p->seq - held, t->joined, size, next, counted);
    return out->what = (uint8_t)said;
}

/* Where in the packet the next request begins, by what is waited for; its size: not in it. */
static uint32_t begins_at(struct fw_beguns *t, struct fw_begun *b, const struct fw_packet *p, const uint8_t *payload)
{
    int32_t ahead = (int32_t)(b->seq - p->seq);
    if (ahead < 0 || ahead > (int32_t)(FW_OWED_MAX << 5)) { /* something is missing, or it is another connection */
        release(t, b);
        return 0;
    }
    uint32_t at = (uint32_t)ahead;
    if (b->what == FW_NEXT_CHUNK && at < p->captured) {
        struct fw_next next = {0, FW_NEXT_NOTHING};
        at = fw_http_chunks(payload, at, p->captured, &next);
        if (next.what == FW_NEXT_CHUNK) {
            b->seq = p->seq + next.at;
            return p->captured;
        }
    } else if (at >= p->payload) {
        return p->captured;
    }
    release(t, b);
    return fw_min32(at, p->captured);
}

int fw_begun_read(struct fw_beguns *t, struct fw_texts *texts, const struct fw_key *key, const struct fw_ranges *named,
                  const struct fw_packet *p, const uint8_t *payload, struct fw_message *out, struct fw_next *next)
{
    struct fw_begun *b = find(t, p);
    uint32_t at = 0;
    *next = (struct fw_next){0, FW_NEXT_NOTHING};
    if (FW_UNLIKELY(b != NULL)) {
        if (b->what != FW_NEXT_LINE) {
            at = begins_at(t, b, p, payload);
        } else if (b->seq != p->seq) {
            release(t, b);
        } else {
            int said = read_joined(t, texts, key, named, b, p, payload, out, next);
            if (said != FW_SAID_NOTHING || next->what != FW_NEXT_NOTHING)
                return said; /* else it was no line, but the end of a body that looked like one */
        }
        if (at == p->captured)
            return FW_SAID_NOTHING;
    }
    int said = fw_http_read(key, named, payload + at, p->captured - at, p->captured == p->payload, out, next);
    note(t, p, p->seq + at, payload + at, p->captured - at, next, said == FW_HTTP_REQUEST && out->begun);
    next->at += at;
    return said;
}
