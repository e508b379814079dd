#include "fw_epoch.h"

#define GROUP 32u /* packets whose lines are fetched ahead together */

/* Of a later epoch (or, after a clock step, an earlier one)? Small steps back are reordering; a run far behind is a clock. */
static int leaves_epoch(struct fw_engine *e, const struct fw_packet *p)
{
    uint64_t start = e->epoch * FW_EPOCH_NS;
    if (FW_LIKELY(p->ts_ns - start < FW_EPOCH_NS)) {
        e->behind_run = 0;
        return 0;
    }
    if (p->ts_ns >= start)
        return 1;
    if (start - p->ts_ns <= FW_BEHIND_NS) {
        e->behind_run = 0;
        e->late++;
        return 0;
    }
    e->late++;
    return ++e->behind_run >= FW_BEHIND_RUN;
}

/* See the field of the same name. */
static int strains(const struct fw_packet *p, const struct fw_message *h)
{
    if (p->bits & FW_STALLED)
        return 1;
    return h && (h->unfinished || h->owed || h->resets || h->continuations || h->violations);
}

/* One packet of the open epoch as the sketches count it. */
struct seen {
    const struct fw_packet *p;
    const struct fw_message *said;   /* what was said in it, or NULL */
    const struct fw_client *client;  /* for whom a trusted proxy asks, or NULL */
    enum fw_flow_news news;
    const struct fw_exchange *sealed; /* what it tells of a sealed connection, or NULL */
    const struct fw_slot *to;        /* its victim's */
    uint8_t via;                     /* with a client: how the proxy names it */
};

/* Of packets with several requests, or frames, those that were not counted may have held more than one each. */
static void bound_asked(const struct fw_engine *e, struct fw_heavy *s, uint64_t pair, uint32_t counted)
{
    uint32_t most = fw_cm_query(&e->pairs, pair).requests;
    if (counted + s->missed < most)
        s->missed = most - counted;
}

/* The entry of a pair that came over the gate; NULL where there is no room for it. */
static struct fw_heavy *heavy(struct fw_engine *e, const struct seen *x, uint64_t pair, uint32_t estimate, uint32_t gate)
{
    struct fw_heavy *s = fw_topk_admit(&e->heavy, pair, estimate);
    if (!s)
        return NULL;
    /* Packets that came while the rising gate stood above the pair were not counted here; they were at most
     * `gate`, so the upper bound stays one. */
    if (FW_UNLIKELY(s->packets + s->missed < gate))
        s->missed = gate - s->packets;
    s->victim = fw_slot_reference(&e->victims, x->to);
    s->packets++;
    s->bytes += x->p->bytes;
    return s;
}

static void name_source(struct fw_engine *e, struct fw_heavy *s, const struct fw_addr *a, enum fw_source_form form)
{
    s->v6 = (uint8_t)form;
    s->source = form == FW_SOURCE_IPV4 ? a->lo : a->hi;
    if (FW_UNLIKELY(form == FW_SOURCE_ADDRESS))
        *fw_topk_low(&e->heavy, s) = a->lo;
}

/* What the source asks, or the client for whom it asks. */
static void count_asked(const struct fw_engine *e, struct fw_heavy *s, const struct seen *x, uint64_t pair)
{
    const struct fw_message *h = x->said;
    if (FW_UNLIKELY(h && h->resumed && s->strains)) /* it is finished after all */
        s->strains--;
    if (strains(x->p, h))
        fw_count16(&s->strains, 1);
    if (h && h->fast) {
        s->frames += h->fast;
        bound_asked(e, s, pair, s->frames);
    }
    if (!h || h->what != FW_HTTP_REQUEST || h->begun)
        return;
    fw_topk_ask(s, h);
    if (FW_UNLIKELY(h->more))
        bound_asked(e, s, pair, s->requests);
}

static void count_heavy(struct fw_engine *e, const struct seen *x, uint64_t pair, uint32_t estimate, uint32_t gate)
{
    const struct fw_packet *p = x->p;
    const struct fw_message *h = x->said;
    struct fw_heavy *s = heavy(e, x, pair, estimate, gate);
    if (!s)
        return;
    name_source(e, s, &p->src, fw_source_form_of(p));
    if (p->kind == FW_UDP) {
        s->udp++;
        s->paths |= s->requests ? 0 : 1ULL << fw_port_bit(p->sport);
    }
    if (p->kind == FW_SYN)
        s->stacks = (uint16_t)(s->stacks | 1u << (p->bits >> FW_STACK_SHIFT));
    int proves = fw_flow_goes_on(x->news);
    if (FW_UNLIKELY(x->sealed != NULL)) {
        fw_sealed_count(fw_topk_sealed(&e->heavy, s), x->sealed);
        proves |= x->sealed->proven;
    }
    if (x->news == FW_FLOW_FINISHED)
        fw_count8(&s->proven, 1);
    else if (proves)
        s->proven = s->proven ? s->proven : 1;
    if (FW_UNLIKELY(h != NULL) && h->via) {
        s->forwards++;
        s->how |= h->via;
        s->clients |= 1ULL << (h->client_hash >> 58);
    }
    if (FW_LIKELY(x->client == NULL)) /* what it asks for somebody else is no request of its own */
        count_asked(e, s, x, pair);
}

/* The lowest count above which a pair is no chance of collisions: singletons stay out. */
static inline uint32_t gate_of(const struct fw_engine *e) { return 8 + 3 * (uint32_t)(e->pairs.packets >> 16); }

/* What a proxy asks for a client, as if that had asked itself. */
static void count_client(struct fw_engine *e, const struct seen *x)
{
    uint64_t pair = fw_client_pair(x->client->hash, x->p->dst_hash);
    uint32_t estimate = fw_cm_add(&e->pairs, pair, x->p->bytes, 1u + x->said->more), gate = gate_of(e);
    struct fw_heavy *s = estimate > gate ? heavy(e, x, pair, estimate, gate) : NULL;
    if (!s)
        return;
    const struct fw_addr *a = &x->client->address;
    name_source(e, s, a, fw_well_known_translator(a->hi, a->lo)      ? FW_SOURCE_ADDRESS
                         : a->hi || a->lo >> 32 != 0xffff ? FW_SOURCE_NETWORK
                                                          : FW_SOURCE_IPV4);
    s->via = x->via;
    s->proven = 1; /* the proxy's connection is */
    count_asked(e, s, x, pair);
}

/* Answers that say no, to a client whose requests are counted. IPv4 and translated addresses have one hash in both
 * directions; the /64 of another IPv6 client is not found by the address that the answer goes to. */
static void count_errors(struct fw_engine *e, const struct fw_packet *p, const struct fw_message *h)
{
    const struct fw_client *client = fw_carried_find(&e->carried, fw_flow_hash(p));
    uint64_t pair = client ? fw_client_pair(client->hash, p->sender_hash) : fw_pair_hash(p->dst_hash, p->sender_hash);
    struct fw_heavy *s = fw_topk_find(&e->heavy, pair);
    if (!s)
        return;
    fw_count16(&s->errors, h->refused);
    fw_count16(&s->denied, h->denied);
}

/* Tell victim and source what the handshake table saw of the packet. */
static enum fw_flow_news count_flow(struct fw_engine *e, const struct fw_packet *p, struct fw_slot *to,
                                    struct fw_slot *from)
{
    uint32_t w = 0;
    enum fw_flow_news news = fw_flow_observe(&e->flows, p, &w);
    if (news != FW_FLOW_NOTHING && to) {
        struct fw_kind_count *k = &to->v.kinds[p->kind];
        switch (news) {
        case FW_FLOW_NEW_SYN:
            to->v.syn_flows += w;
            break;
        case FW_FLOW_AGAIN_SYN:
            to->v.syn_again += w;
            break;
        case FW_FLOW_COPIED_SYN:
            to->v.syn_copies += w;
            break;
        case FW_FLOW_REPLAYED_SYN:
            to->v.syn_replayed += w;
            break;
        case FW_FLOW_FINISHED:
            to->v.finished += w;
            fw_hll_add(to->v.finishers, FW_NAMES_HLL_P, p->src_hash);
            break;
        case FW_FLOW_FOLLOWED:
            to->v.followed += w;
            break;
        case FW_FLOW_NARROWED:
            fw_held_narrowed(&e->held, &e->flows, p);
            break;
        case FW_FLOW_STRANGER:
        case FW_FLOW_UNASKED:
            k->strange_flows += w;
            /* fall through */
        case FW_FLOW_ALONE_STILL:
            k->strange += w;
            fw_victim_stray(to, p);
            break;
        default:
            break;
        }
    }
    if (news != FW_FLOW_NOTHING && from) {
        from->v.synack_flows += news == FW_FLOW_SYNACK ? w : 0;
        from->v.refused += news == FW_FLOW_REFUSED ? w : 0;
    }
    return news;
}

/* For whom a request is, where a trusted proxy says so on a connection that is one; notes what it says. A proxy's address
 * may be forged as well: a packet that fits no connection speaks for nobody. */
static const struct fw_client *whose(struct fw_engine *e, const struct fw_packet *p, const struct fw_message *h,
                                     enum fw_flow_news news, uint64_t pair, uint8_t *via)
{
    int first = news == FW_FLOW_FIRST || news == FW_FLOW_FINISHED;
    if ((h->what != FW_HTTP_REQUEST && h->what != FW_PROXY_LINE) ||
        !(first || news == FW_FLOW_PROVEN || news == FW_FLOW_KNOWN) || !fw_carried_trusts(&e->carried, p, pair))
        return NULL;
    const struct fw_client *client = fw_carried_note(&e->carried, fw_flow_hash(p), h, first, via);
    return h->what == FW_HTTP_REQUEST ? client : NULL;
}

/* What a packet tells of a connection that is sealed, or was before it was decrypted; 0: nothing. */
static int observe_sealed(struct fw_engine *e, const struct fw_packet *p, const struct fw_message *h,
                          enum fw_flow_news news, struct fw_slot *to, struct fw_exchange *out)
{
    if (fw_sealed_said(h)) {
        if (!fw_sealed_observe(&e->sealed, p, h, out))
            return 0;
        if (out->turn && !out->quic)
            fw_flow_ask(&e->flows, fw_flow_hash(p), 0);
        if (out->finished && fw_flow_goes_on(news))
            fw_sealed_prove(&e->sealed, p);
        if (FW_UNLIKELY(out->waits))
            fw_held_wait(&e->held, &e->sealed, p);
    } else {
        if (FW_LIKELY(!e->sealed.greeted) || (h->what != FW_HTTP_REQUEST && h->what != FW_HTTP2) ||
            !fw_sealed_read(&e->sealed, p, out))
            return 0;
        to->v.tls_records += out->finished;
    }
    fw_victim_sealed(to, p, out);
    return 1;
}

static void count_towards(struct fw_engine *e, const struct fw_packet *p, const struct fw_message *h,
                          enum fw_flow_news news, struct fw_slot *to, uint64_t pair)
{
    struct fw_exchange exchange, *sealed = NULL;
    const struct fw_client *client = NULL;
    uint64_t asker = p->src_hash;
    uint32_t requests = 0;
    uint8_t via = 0;
    if (FW_UNLIKELY(h != NULL)) {
        client = whose(e, p, h, news, pair, &via);
        asker = client ? client->hash : asker;
        requests = h->what == FW_HTTP_REQUEST && !h->begun ? 1u + h->more : h->fast;
    }
    fw_victim_in(&e->victims, to, p, h, asker);
    if (FW_UNLIKELY(h != NULL) && observe_sealed(e, p, h, news, to, &exchange))
        sealed = &exchange;
    uint32_t estimate = fw_cm_add(&e->pairs, pair, p->bytes, requests), gate = gate_of(e);
    int listed = estimate > gate || (FW_UNLIKELY(sealed != NULL) && fw_topk_known(&e->heavy, pair) != NULL);
    if (FW_LIKELY(!listed && client == NULL))
        return;
    struct seen x = {p, h, client, news, sealed, to, via};
    if (listed)
        count_heavy(e, &x, pair, estimate, gate);
    if (client)
        count_client(e, &x);
}

/* A side closes a connection: it counts for who began it, if requests were asked on it. */
static void count_closed(struct fw_engine *e, const struct fw_packet *p)
{
    uint64_t source, server;
    if (!fw_sealed_end(&e->sealed, p, &source, &server))
        return;
    struct fw_heavy *s = fw_topk_find(&e->heavy, fw_pair_hash(source, server));
    if (s)
        fw_count16(&fw_topk_sealed(&e->heavy, s)->closed, 1);
}

/* Of a TCP packet: does it ask something, and does it bear on a connection that is held, but as a reader's word does? */
static void count_held(struct fw_engine *e, const struct fw_packet *p, const struct fw_message *h, enum fw_flow_news news)
{
    if (FW_UNLIKELY(h != NULL) && h->what == FW_HTTP_REQUEST)
        fw_flow_ask(&e->flows, fw_flow_hash(p), h->login);
    if (FW_UNLIKELY(p->tcp_flags & 5) && e->sealed.greeted) /* FIN, RST */
        count_closed(e, p);
    if (FW_UNLIKELY(fw_held_concerned(&e->held, p, h)) && news != FW_FLOW_NARROWED)
        fw_held_observe(&e->held, p, h, news, p->bits & FW_STALLED && fw_flow_asked(&e->flows, fw_flow_hash(p)));
}

static void observe_one(struct fw_engine *e, const struct fw_batch *b, const struct fw_packet *p, uint64_t pair)
{
    const struct fw_message *h = p->message ? &b->messages[p->message - 1] : NULL;
    enum fw_flow_news news = FW_FLOW_NOTHING;
    e->epoch_kinds[p->kind]++;
    if (FW_LIKELY(p->kind != FW_CARRIER)) { /* counted for where it goes, but the frame counts once */
        e->epoch_packets++;
        e->epoch_bytes += p->bytes;
        fw_hll_add(e->total_sources, FW_TOTAL_HLL_P, p->src_hash);
    }
    if (e->epoch_packets <= 1)
        e->first_ns = p->ts_ns;
    e->last_ns = p->ts_ns;
    struct fw_slot *to = fw_victim_admit(&e->victims, p->dst_hash, &p->dst);
    struct fw_slot *from = fw_victim_find(&e->victims, p->sender_hash, &p->src);
    if (p->kind <= FW_ACK)
        news = count_flow(e, p, to, from);
    if (p->kind <= FW_RST)
        fw_tries_observe(&e->tries, p, news, e->epoch, to, from);
    else if (FW_UNLIKELY(news == FW_FLOW_FINISHED))
        fw_tries_serve(&e->tries, p);
    if (FW_UNLIKELY(h != NULL) && h->whole && e->hellos && to)
        fw_hellos_sample(e->hellos, p, h, h->what == FW_QUIC_INITIAL ? to->v.quic_initials : to->v.tls_hellos);
    if (news == FW_FLOW_REPEATED || (FW_UNLIKELY(h != NULL) && h->what == FW_TLS_MORE))
        h = NULL; /* the request, or the answer, was counted when it came first; a piece says nothing by itself */
    if (to)
        count_towards(e, p, h, news, to, pair);
    if (from)
        fw_victim_out(&e->victims, from, p, h);
    if (FW_LIKELY(p->kind <= FW_TCP_ODD)) {
        count_held(e, p, h, news);
    } else if (fw_peers_asked(p)) {
        if (to && fw_peers_know(&e->peers, p))
            fw_victim_known(to, p);
        if (from)
            fw_peers_note(&e->peers, p);
    }
    if (FW_UNLIKELY(h != NULL) && h->refused) {
        count_errors(e, p, h);
        if (from && h->denied && fw_flow_tried(&e->flows, fw_flow_hash(p)))
            from->v.turned_away += h->denied;
    }
}

static uint32_t observe(struct fw_engine *e, const struct fw_batch *b, uint32_t start)
{
    uint64_t pairs[GROUP];
    if (FW_UNLIKELY(!e->started && start < b->count)) {
        e->started = 1;
        e->epoch = b->packets[start].ts_ns / FW_EPOCH_NS;
    }
    for (uint32_t at = start; at < b->count; at += GROUP) {
        uint32_t n = fw_min32(GROUP, b->count - at);
        for (uint32_t i = 0; i < n; i++) {
            const struct fw_packet *p = &b->packets[at + i];
            pairs[i] = fw_pair_hash(p->src_hash, p->dst_hash);
            fw_cm_prefetch(&e->pairs, pairs[i]);
        }
        for (uint32_t i = 0; i < n; i++) {
            const struct fw_packet *p = &b->packets[at + i];
            if (FW_UNLIKELY(leaves_epoch(e, p)))
                return at + i - start;
            observe_one(e, b, p, pairs[i]);
        }
    }
    return b->count - start;
}

uint32_t fw_engine_observe(struct fw_engine *e, const struct fw_batch *b, uint32_t start)
{
    uint32_t taken = observe(e, b, start);
    for (uint32_t i = 0; i < taken && !e->fractions; i++)
        e->fractions = b->packets[start + i].ts_ns % 1000000000u != 0;
    return taken;
}

/* Heavy-hitter windows end on epoch boundaries only; the caller reads the table before closing. */
static void end_window(struct fw_engine *e)
{
    fw_cm_clear(&e->pairs);
    fw_topk_clear(&e->heavy);
    e->window_epochs = 0;
    e->window_packets = 0;
}

/* The number of the epoch after the open one. */
static uint64_t next_epoch(const struct fw_engine *e, const struct fw_packet *next)
{
    return next ? next->ts_ns / FW_EPOCH_NS : e->epoch + 1;
}

uint64_t fw_engine_gap(const struct fw_engine *e, const struct fw_packet *next)
{
    uint64_t epoch = next_epoch(e, next);
    return epoch > e->epoch ? epoch - e->epoch - 1 : UINT64_MAX;
}

int fw_engine_window_ends(const struct fw_engine *e, const struct fw_packet *next)
{
    return e->window_epochs + (e->epoch_packets > 0) >= FW_WINDOW_EPOCHS ||
           e->window_packets + e->epoch_packets >= FW_WINDOW_PACKETS ||
           fw_engine_gap(e, next) >= FW_GAP_EPOCHS;
}

void fw_engine_close_epoch(struct fw_engine *e, const struct fw_packet *next)
{
    int ends = fw_engine_window_ends(e, next);
    e->window_packets += e->epoch_packets;
    e->window_epochs += e->epoch_packets > 0; /* in silence nothing is added to it */
    e->gap = fw_engine_gap(e, next);
    e->epoch = next_epoch(e, next);
    e->behind_run = 0;
    fw_victim_close_epoch(&e->victims, ends);
    fw_flow_close_epoch(&e->flows);
    fw_peers_close_epoch(&e->peers, e->gap);
    if (e->sealed.greeted && e->epoch % FW_MUTE_EPOCHS == 0)
        fw_held_mute(&e->held, &e->sealed, e->epoch * FW_EPOCH_NS);
    fw_held_close_epoch(&e->held, e->epoch * FW_EPOCH_NS);
    fw_sealed_close_epoch(&e->sealed);
    if (ends)
        end_window(e);
    e->epoch_packets = e->epoch_bytes = 0;
    memset(e->epoch_kinds, 0, sizeof e->epoch_kinds);
}

void fw_engine_init(struct fw_engine *e) { memset(e, 0, sizeof *e); }
