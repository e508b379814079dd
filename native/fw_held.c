#include "fw_held.h"

/* From stall to stall so much came to the reader, and that fast, that it goes on reading. */
static int reads(const struct fw_held *h, uint64_t now)
{
    return h->moved >= FW_HELD_READ && h->moved >= FW_HELD_RATE * ((now - h->since_ns) / 1000000000u);
}

static inline uint32_t set_of(uint64_t flow) { return (uint32_t)flow & (FW_HELD_SETS - 1); }

static struct fw_held *find(struct fw_helds *t, uint64_t flow)
{
    struct fw_held *set = t->sets[set_of(flow)];
    for (unsigned i = 0; t->used[set_of(flow)] && i < FW_HELD_WAYS; i++)
        if (set[i].flow == flow)
            return &set[i];
    return NULL;
}

static void drop(struct fw_helds *t, struct fw_held *h)
{
    t->used[set_of(h->flow)]--;
    t->count--;
    memset(h, 0, sizeof *h);
}

/* Call f on each entry; it may drop it. */
static void each(struct fw_helds *t, void (*f)(struct fw_helds *, struct fw_held *, uint64_t), uint64_t argument)
{
    for (uint32_t s = 0; s < FW_HELD_SETS; s++)
        for (unsigned i = 0; t->used[s] && i < FW_HELD_WAYS; i++)
            if (t->sets[s][i].flow)
                f(t, &t->sets[s][i], argument);
}

static void sample(struct fw_helds *t, struct fw_held *h, uint64_t log2)
{
    if (!fw_flow_sampled(h->flow, (unsigned)log2))
        drop(t, h);
    else if (h->weight < 1u << log2)
        h->weight = 1u << log2;
}

/* Who holds: as in the heavy-hitter table. */
static void name(struct fw_held *h, const struct fw_packet *p)
{
    int translated = (p->bits & FW_TRANSLATED) != 0, six = (p->bits & FW_V6) != 0;
    h->v6 = (uint8_t)(!six ? FW_SOURCE_IPV4 : translated ? FW_SOURCE_ADDRESS : FW_SOURCE_NETWORK);
    h->source = six ? p->src.hi : p->src.lo;
    h->low = translated ? p->src.lo : 0;
    h->hi = p->dst.hi;
    h->lo = p->dst.lo;
    h->port = p->dport;
}

static struct fw_held *insert(struct fw_helds *t, uint64_t flow, const struct fw_packet *p)
{
    struct fw_held *set = t->sets[set_of(flow)], *place = NULL;
    if (!fw_flow_sampled(flow, t->rate_log2))
        return NULL;
    for (unsigned i = 0; i < FW_HELD_WAYS && !place; i++)
        place = set[i].flow ? NULL : &set[i];
    if (!place) /* the table is half full at most, so hardly any set is */
        return NULL;
    place->flow = flow;
    place->weight = 1u << t->rate_log2;
    place->since_ns = p->ts_ns;
    name(place, p);
    t->used[set_of(flow)]++;
    if (++t->count < FW_HELD_BUSY || t->rate_log2 == 31)
        return place;
    each(t, sample, ++t->rate_log2);
    return place->flow == flow ? place : NULL;
}

static void release(struct fw_helds *t, struct fw_held *h, uint64_t now)
{
    if (h->until_ns)
        return;
    if (now - h->since_ns < FW_HELD_BRIEF_NS)
        drop(t, h);
    else
        h->until_ns = now;
}

static void hold(struct fw_helds *t, struct fw_held *h, uint64_t flow, const struct fw_packet *p, uint8_t kind,
                 uint32_t owed)
{
    if (h && h->until_ns) {
        drop(t, h);
        h = NULL;
    }
    if (!h)
        h = insert(t, flow, p);
    if (!h)
        return;
    h->kind = kind;
    h->owed = owed;
    h->opened_ns = 0;
    h->last_ns = p->ts_ns;
}

/* A client's packet on a connection that is held: the rest of its request, or its word on how much it would take. */
static void go_on(struct fw_helds *t, struct fw_held *h, const struct fw_packet *p)
{
    if (h->kind == FW_HELD_READER) {
        h->opened_ns = h->opened_ns ? h->opened_ns : p->ts_ns;
        if (reads(h, p->ts_ns))
            release(t, h, p->ts_ns);
        return;
    }
    if (!p->payload)
        return;
    h->last_ns = p->ts_ns;
    h->moved += fw_min32(p->payload, UINT32_MAX - h->moved);
    if (h->kind == FW_HELD_BODY ? h->moved >= h->owed : (p->bits & FW_ENDS) != 0)
        release(t, h, p->ts_ns);
}

/* What the server says: an answer that is final (RFC 9110, 15.2) ends the wait for a request; data moves to a reader. */
static void answer(struct fw_helds *t, struct fw_held *h, const struct fw_packet *p, const struct fw_message *m)
{
    h->heard = 1;
    if (h->kind == FW_HELD_READER)
        h->moved += fw_min32(p->payload, UINT32_MAX - h->moved);
    else if (m && m->what == FW_HTTP_RESPONSE && m->status >= 200)
        release(t, h, p->ts_ns);
}

static int closes(const struct fw_packet *p)
{
    return p->kind == FW_FIN || p->kind == FW_RST || p->kind == FW_SYN || (p->tcp_flags & 5) != 0;
}

void fw_held_observe(struct fw_helds *t, const struct fw_packet *p, const struct fw_message *m, enum fw_flow_news news,
                     int asked)
{
    uint64_t flow = fw_flow_hash(p);
    flow += flow == 0;
    struct fw_held *h = t->count ? find(t, flow) : NULL;
    if (closes(p)) {
        if (h)
            release(t, h, p->ts_ns);
        return;
    }
    if (h && p->src.hi == h->hi && p->src.lo == h->lo && p->sport == h->port) {
        answer(t, h, p, m);
        return;
    }
    int request = m && m->what == FW_HTTP_REQUEST;
    if (request && (m->unfinished || m->owed))
        hold(t, h, flow, p, m->unfinished ? FW_HELD_HEADER : FW_HELD_BODY, m->owed);
    else if (request && h)
        release(t, h, p->ts_ns);
    else if (p->bits & FW_STALLED && (asked || (h && h->kind == FW_HELD_READER))) {
        if (h && h->kind == FW_HELD_READER && reads(h, p->ts_ns))
            release(t, h, p->ts_ns);
        else
            hold(t, h, flow, p, FW_HELD_READER, 0);
    } else if (h && news != FW_FLOW_REPEATED)
        go_on(t, h, p);
    h = t->count ? find(t, flow) : NULL;
    if (h && (news == FW_FLOW_FINISHED || news == FW_FLOW_FIRST || news == FW_FLOW_PROVEN))
        h->proven = 1;
}

static void forget(struct fw_helds *t, struct fw_held *h, uint64_t now)
{
    int64_t silent = (int64_t)(now - (h->until_ns ? h->until_ns : h->last_ns)); /* clocks are set back, too */
    if (silent > FW_HELD_SILENT_NS || silent < -FW_HELD_SILENT_NS)
        drop(t, h);
    else if (h->opened_ns && now - h->opened_ns > FW_HELD_OPEN_NS && now > h->opened_ns)
        release(t, h, h->opened_ns);
}

void fw_held_close_epoch(struct fw_helds *t, uint64_t now)
{
    if (t->count)
        each(t, forget, now);
    if (t->rate_log2 && t->count < FW_HELD_CALM)
        t->rate_log2--;
}

uint32_t fw_held_list(struct fw_helds *t, struct fw_held *out)
{
    uint32_t n = 0;
    for (uint32_t s = 0; t->count && s < FW_HELD_SETS; s++)
        for (unsigned i = 0; t->used[s] && i < FW_HELD_WAYS; i++) {
            struct fw_held *h = &t->sets[s][i];
            if (!h->flow)
                continue;
            out[n++] = *h;
            if (h->until_ns)
                drop(t, h);
        }
    return n;
}
