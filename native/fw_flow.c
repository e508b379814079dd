#include "fw_flow.h"

static struct fw_flow *find(struct fw_flows *t, uint64_t hash)
{
    struct fw_flow *set = t->sets[hash & (FW_FLOW_SETS - 1)];
    for (unsigned i = 0; i < FW_FLOW_WAYS; i++)
        if (set[i].hash == hash && set[i].state != FW_FLOW_FREE)
            return &set[i];
    return NULL;
}

/* Take a place for a new flow: a free one, else one that is not finished, else the older. */
static struct fw_flow *insert(struct fw_flows *t, uint64_t hash)
{
    struct fw_flow *set = t->sets[hash & (FW_FLOW_SETS - 1)], *place = &set[0];
    for (unsigned i = 1; i < FW_FLOW_WAYS; i++) {
        int finished = place->state == FW_FLOW_DONE, other = set[i].state == FW_FLOW_DONE;
        if (set[i].state == FW_FLOW_FREE || (finished && !other) ||
            (finished == other && place->state != FW_FLOW_FREE && set[i].epoch < place->epoch))
            place = &set[i];
    }
    memset(place, 0, sizeof *place);
    place->hash = hash;
    place->epoch = t->epoch;
    place->weight_log2 = t->rate_log2;
    if (++t->inserted >= FW_FLOW_BUSY && t->rate_log2 < 31) {
        t->rate_log2++;
        t->inserted = 0;
    }
    return place;
}

static inline uint16_t ticks(const struct fw_packet *p) { return (uint16_t)(p->ts_ns >> FW_FLOW_TICK); }

enum rhythm { COPIED, AGAIN, REPLAYED };

static void begin(struct fw_flow *f, const struct fw_packet *p)
{
    f->sent = ticks(p);
    f->waited = 0;
    f->followed = f->refused = f->replayed = f->unasked = f->asked = f->tried = 0;
    f->copies = 0;
    f->again = 0;
}

/* The packet that a flow began with comes again. A mirror shows it at once, and not often; a stack sends it again after a
 * second or more, later and later. What comes in any other rhythm is a capture in a loop, or a program that knows one
 * packet. */
static enum rhythm repeat(struct fw_flow *f, const struct fw_packet *p)
{
    if (f->replayed)
        return REPLAYED;
    int since = (int16_t)(uint16_t)(ticks(p) - f->sent); /* clocks of captures step back */
    int waits = f->waited > FW_FLOW_EVEN_TICKS || f->again == FW_FLOW_EVEN;
    int least = waits ? f->waited + f->waited / 2 : FW_FLOW_AGAIN_TICKS;
    int near = since >= 0 ? since < FW_FLOW_COPY_TICKS : since > -FW_FLOW_COPY_TICKS;
    if (near && f->copies < FW_FLOW_COPIES) {
        f->copies = (f->copies + 1u) & 3u;
        return COPIED;
    }
    if (near || (since > 0 && since < least)) {
        f->replayed = 1;
        return REPLAYED;
    }
    if (f->again < FW_FLOW_EVEN)
        f->again = (f->again + 1u) & 7u;
    f->waited = (uint16_t)(ticks(p) - f->sent);
    f->sent = ticks(p);
    f->copies = 0;
    return AGAIN;
}

static enum fw_flow_news on_syn(struct fw_flows *t, uint64_t hash, const struct fw_packet *p, uint32_t *weight)
{
    struct fw_flow *f = find(t, hash);
    if (f && f->client_seq == p->seq) {
        enum rhythm how = repeat(f, p);
        *weight = 1u << f->weight_log2;
        return how == COPIED ? FW_FLOW_COPIED_SYN : how == AGAIN ? FW_FLOW_AGAIN_SYN : FW_FLOW_REPLAYED_SYN;
    }
    if (!fw_flow_sampled(hash, t->rate_log2))
        return FW_FLOW_NOTHING;
    if (!f)
        f = insert(t, hash);
    else
        f->weight_log2 = t->rate_log2; /* ports used again: a new flow, sampled at today's rate */
    f->state = FW_FLOW_OPENING;
    f->client_seq = p->seq;
    begin(f, p);
    f->client = (uint32_t)p->sender_hash;
    f->shift = p->window & 15u;
    f->fed = 0;
    f->epoch = t->epoch;
    *weight = 1u << f->weight_log2;
    return FW_FLOW_NEW_SYN;
}

static enum fw_flow_news on_synack(struct fw_flows *t, uint64_t hash, const struct fw_packet *p, uint32_t *weight)
{
    struct fw_flow *f = find(t, hash);
    int asked = f != NULL;
    if (!f) { /* the SYN was not captured; the answer still can prove a source */
        if (!fw_flow_sampled(hash, t->rate_log2))
            return FW_FLOW_NOTHING;
        f = insert(t, hash);
        f->state = FW_FLOW_OPENING;
        f->client_seq = p->ack - 1;
        begin(f, p);
        f->client = (uint32_t)p->dst_hash;
        f->shift = FW_FLOW_UNSCALED;
        f->unasked = 1;
    }
    if (f->state == FW_FLOW_ANSWERED && f->unasked && p->seq + 1 == f->server_next) {
        *weight = 1u << f->weight_log2;
        return repeat(f, p) == REPLAYED ? FW_FLOW_UNASKED : FW_FLOW_ALONE_STILL;
    }
    if (f->state != FW_FLOW_OPENING || p->ack != f->client_seq + 1)
        return FW_FLOW_NOTHING;
    f->state = FW_FLOW_ANSWERED;
    f->server_next = p->seq + 1;
    *weight = 1u << f->weight_log2;
    return asked ? FW_FLOW_SYNACK : FW_FLOW_UNASKED;
}

/* Does a client's packet fit the connection? Both numbers must lie within 1 MiB of the last ones, so a blind
 * forger who knows the ports still fails with probability 1 - 2^-22. The server's fit by chance, where both sides
 * began with numbers close together, and would pass for data that came before. */
static enum fw_flow_news on_done(struct fw_flow *f, const struct fw_packet *p)
{
    if (f->client != (uint32_t)p->sender_hash)
        return FW_FLOW_NOTHING;
    int32_t seq = (int32_t)(p->seq - f->client_seq), ack = (int32_t)(p->ack - f->server_next);
    const int32_t reach = 1 << 20;
    if (seq < -reach || seq > reach || ack < -reach || ack > reach)
        return FW_FLOW_NOTHING;
    f->server_next = ack > 0 ? p->ack : f->server_next;
    if (p->payload == 0) /* may overtake the data before it, so it does not say that it came */
        return p->kind == FW_ACK && p->window <= FW_FLOW_NARROW >> f->shift ? FW_FLOW_NARROWED : FW_FLOW_PROVEN;
    if (seq + (int32_t)p->payload <= 0)
        return FW_FLOW_REPEATED;
    f->client_seq = p->seq + p->payload;
    if (f->fed)
        return FW_FLOW_PROVEN;
    f->fed = 1;
    return seq == 0 ? FW_FLOW_FIRST : FW_FLOW_PROVEN;
}

/* A packet of a flow whose handshake was not seen: somebody is heard, and who is told apart by a piece of the hash. */
static enum fw_flow_news on_stranger(struct fw_flows *t, uint64_t hash, const struct fw_packet *p, uint32_t *weight)
{
    if (!fw_flow_sampled(hash, t->rate_log2))
        return FW_FLOW_NOTHING;
    struct fw_flow *f = insert(t, hash);
    f->state = FW_FLOW_ALONE;
    f->client_seq = (uint32_t)p->sender_hash;
    f->server_next = p->seq + 31 * p->ack;
    begin(f, p);
    *weight = 1u << f->weight_log2;
    return FW_FLOW_STRANGER;
}

static enum fw_flow_news on_alone(struct fw_flow *f, const struct fw_packet *p)
{
    if (f->client_seq == (uint32_t)p->sender_hash) /* what moves on is one flow, what begins again another */
        return f->server_next == p->seq + 31 * p->ack && repeat(f, p) == REPLAYED ? FW_FLOW_STRANGER
                                                                                : FW_FLOW_ALONE_STILL;
    if (p->kind != FW_RST) /* a refusal is no conversation */
        f->state = FW_FLOW_BOTH;
    return FW_FLOW_NOTHING;
}

static enum fw_flow_news on_other(struct fw_flow *f, const struct fw_packet *p, uint32_t *weight)
{
    *weight = 1u << f->weight_log2;
    if (f->state == FW_FLOW_DONE)
        return on_done(f, p);
    if (f->state == FW_FLOW_ALONE)
        return on_alone(f, p);
    if (f->state == FW_FLOW_BOTH)
        return FW_FLOW_KNOWN;
    if (p->kind == FW_RST) {
        if (f->state != FW_FLOW_OPENING || f->refused || p->ack != f->client_seq + 1)
            return FW_FLOW_NOTHING;
        f->refused = 1;
        return FW_FLOW_REFUSED;
    }
    if (f->state == FW_FLOW_ANSWERED && p->ack == f->server_next && p->seq == f->client_seq + 1) {
        f->state = FW_FLOW_DONE;
        f->client_seq = p->seq + p->payload;
        f->fed = p->payload > 0;
        return FW_FLOW_FINISHED;
    }
    if (f->state == FW_FLOW_OPENING && !f->followed && p->seq == f->client_seq + 1) {
        f->followed = 1;
        return FW_FLOW_FOLLOWED;
    }
    return FW_FLOW_NOTHING;
}

enum fw_flow_news fw_flow_observe(struct fw_flows *t, const struct fw_packet *p, uint32_t *weight)
{
    uint64_t hash = fw_flow_hash(p);
    if (!fw_flow_sampled(hash, t->lookup_log2))
        return FW_FLOW_NOTHING;
    if (p->kind == FW_SYN)
        return on_syn(t, hash, p, weight);
    if (p->kind == FW_SYNACK)
        return on_synack(t, hash, p, weight);
    struct fw_flow *f = find(t, hash);
    return f ? on_other(f, p, weight) : on_stranger(t, hash, p, weight);
}

void fw_flow_ask(struct fw_flows *t, uint64_t hash, int login)
{
    struct fw_flow *f = find(t, hash);
    if (!f)
        return;
    f->asked = 1;
    f->tried = login != 0;
}

int fw_flow_tried(struct fw_flows *t, uint64_t hash)
{
    const struct fw_flow *f = find(t, hash);
    return f && f->tried;
}

uint32_t fw_flow_room(struct fw_flows *t, const struct fw_packet *p)
{
    const struct fw_flow *f = find(t, fw_flow_hash(p));
    return f ? (uint32_t)p->window << f->shift : 0;
}

int fw_flow_asked(struct fw_flows *t, uint64_t hash)
{
    const struct fw_flow *f = find(t, hash);
    return f && f->asked;
}

void fw_flow_close_epoch(struct fw_flows *t)
{
    if (t->inserted < FW_FLOW_CALM && t->rate_log2 > 0)
        t->rate_log2--;
    t->inserted = 0;
    t->epoch++;
    uint8_t low = t->next_lookup_log2 < t->rate_log2 ? t->next_lookup_log2 : t->rate_log2;
    t->next_lookup_log2 = t->rate_log2;
    t->lookup_log2 = low;
}

void fw_flow_clear(struct fw_flows *t) { memset(t, 0, sizeof *t); }
