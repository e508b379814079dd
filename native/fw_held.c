#include "fw_held.h"

#define ROOM UINT32_MAX /* more than a narrow window offers, or nobody knows how much */

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
    enum fw_source_form form = fw_source_form_of(p);
    h->v6 = (uint8_t)form;
    h->source = form == FW_SOURCE_IPV4 ? p->src.lo : p->src.hi;
    h->low = form == FW_SOURCE_ADDRESS ? p->src.lo : 0;
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

/* Of a reader that keeps its window narrow. Room that the server does not use was made when it was first left open. */
static void make_room(struct fw_helds *t, struct fw_held *h, uint64_t flow, const struct fw_packet *p, uint32_t room)
{
    uint64_t opened = h && !h->until_ns ? h->opened_ns : 0;
    hold(t, h, flow, p, FW_HELD_READER, room);
    h = find(t, flow);
    if (!h)
        return;
    h->room = (uint16_t)room;
    if (room)
        h->opened_ns = opened ? opened : p->ts_ns;
}

/* Does a client say how little it would read? While it owes the rest of a request a narrow window says nothing. */
static int is_reader(const struct fw_held *h, uint32_t room, int asked)
{
    if (h && !h->until_ns && h->kind != FW_HELD_READER)
        return room == 0 && asked;
    return room <= FW_FLOW_NARROW && (asked || (h && h->kind == FW_HELD_READER));
}

/* A client's packet on a connection that is held: the rest of its request, or its word on how much it would take. */
static void go_on(struct fw_helds *t, struct fw_held *h, const struct fw_packet *p)
{
    if (h->kind == FW_HELD_READER) {
        h->room = 0;
        h->opened_ns = h->opened_ns ? h->opened_ns : p->ts_ns;
        if (reads(h, p->ts_ns))
            release(t, h, p->ts_ns);
        return;
    }
    if (!p->payload)
        return;
    h->last_ns = p->ts_ns;
    h->moved += fw_min32(p->payload, UINT32_MAX - h->moved);
    if (h->kind == FW_HELD_SEALED)
        return;
    if (h->kind == FW_HELD_BODY ? h->moved >= h->owed : (p->bits & FW_ENDS) != 0)
        release(t, h, p->ts_ns);
}

/* What the server says: an answer that is final (RFC 9110, 15.2) ends the wait for a request; data moves to a reader. */
static void answer(struct fw_helds *t, struct fw_held *h, const struct fw_packet *p, const struct fw_message *m)
{
    h->heard = 1;
    if (h->kind == FW_HELD_READER) {
        h->moved += fw_min32(p->payload, UINT32_MAX - h->moved);
        h->owed -= fw_min32(p->payload, h->owed);
        if (h->room && h->owed <= h->room / 2u)
            h->opened_ns = 0;
    } else if (h->kind == FW_HELD_SEALED ? p->payload > 0 : m && m->what == FW_HTTP_RESPONSE && m->status >= 200)
        release(t, h, p->ts_ns);
}

static int closes(const struct fw_packet *p)
{
    return p->kind == FW_FIN || p->kind == FW_RST || p->kind == FW_SYN || (p->tcp_flags & 5) != 0;
}

/* `room`: the bytes that a client would take, FW_FLOW_NARROW at most, or ROOM. */
static void observe(struct fw_helds *t, const struct fw_packet *p, const struct fw_message *m, enum fw_flow_news news,
                    uint32_t room, int asked)
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
    else if (is_reader(h, room, asked)) {
        if (h && h->kind == FW_HELD_READER && reads(h, p->ts_ns))
            release(t, h, p->ts_ns);
        else
            make_room(t, h, flow, p, room);
    } else if (h && news != FW_FLOW_REPEATED)
        go_on(t, h, p);
    h = t->count ? find(t, flow) : NULL;
    if (h && (news == FW_FLOW_FINISHED || news == FW_FLOW_FIRST || news == FW_FLOW_PROVEN ||
              news == FW_FLOW_NARROWED))
        h->proven = 1;
}

void fw_held_observe(struct fw_helds *t, const struct fw_packet *p, const struct fw_message *m, enum fw_flow_news news,
                     int asked)
{
    observe(t, p, m, news, p->bits & FW_STALLED ? 0 : ROOM, asked);
}

void fw_held_narrowed(struct fw_helds *t, struct fw_flows *flows, const struct fw_packet *p)
{
    int asked = fw_flow_asked(flows, fw_flow_hash(p));
    observe(t, p, NULL, FW_FLOW_NARROWED, fw_flow_room(flows, p), asked);
}

static void wait(struct fw_helds *t, const struct fw_waiting *w)
{
    uint64_t flow = w->flow + (w->flow == 0);
    struct fw_held *h = t->count ? find(t, flow) : NULL;
    if (h && !h->until_ns)
        return;
    struct fw_packet p = {.src = w->from, .dst = w->to, .dport = w->port, .bits = w->bits, .ts_ns = w->since_ns};
    hold(t, h, flow, &p, FW_HELD_SEALED, 0);
    h = find(t, flow);
    if (!h)
        return;
    h->last_ns = w->last_ns;
    h->moved = w->moved;
    h->proven = w->proven;
}

void fw_held_wait(struct fw_helds *t, const struct fw_sealed *s, const struct fw_packet *p)
{
    struct fw_waiting w;
    if (fw_sealed_waiting(s, p, &w))
        wait(t, &w);
}

void fw_held_mute(struct fw_helds *t, struct fw_sealed *s, uint64_t now)
{
    struct fw_waiting w;
    for (uint32_t at = 0; fw_sealed_mute(s, now, &at, &w);)
        wait(t, &w);
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
