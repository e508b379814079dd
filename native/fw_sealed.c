#include "fw_sealed.h"

#include "fw_flow.h"

#define CID_USUAL 8u /* bytes of a connection id, where its choice was not seen */
#define SHORT_MORE 7u /* bytes of frames in the shortest packet of a client: an ACK */

static const struct fw_sealed_flow *held(const struct fw_sealed *t, uint64_t hash)
{
    const struct fw_sealed_flow *set = t->sets[hash & (FW_SEALED_SETS - 1)];
    for (unsigned i = 0; i < FW_SEALED_WAYS; i++)
        if (set[i].hash == hash && set[i].state != FW_SEALED_FREE)
            return &set[i];
    return NULL;
}

static struct fw_sealed_flow *find(struct fw_sealed *t, uint64_t hash)
{
    const struct fw_sealed_flow *f = held(t, hash);
    return f ? &t->sets[hash & (FW_SEALED_SETS - 1)][(f - &t->sets[0][0]) % FW_SEALED_WAYS] : NULL;
}

/* Is `a` better replaced than `b`? */
static int worse(const struct fw_sealed_flow *a, const struct fw_sealed_flow *b)
{
    int asked = a->state == FW_SEALED_OPEN, other = b->state == FW_SEALED_OPEN;
    if (a->state == FW_SEALED_FREE || b->state == FW_SEALED_FREE)
        return b->state != FW_SEALED_FREE;
    return asked != other ? other : a->epoch < b->epoch;
}

static struct fw_sealed_flow *insert(struct fw_sealed *t, uint64_t hash, uint64_t client, enum fw_sealed_state state)
{
    struct fw_sealed_flow *set = t->sets[hash & (FW_SEALED_SETS - 1)], *place = &set[0];
    for (unsigned i = 1; i < FW_SEALED_WAYS; i++)
        if (worse(&set[i], place))
            place = &set[i];
    memset(place, 0, sizeof *place);
    place->hash = hash;
    place->client = (uint32_t)client;
    place->state = (uint8_t)state;
    place->epoch = t->epoch;
    return place;
}

/* Lengths in steps: of an answer 64 bytes, and an eighth of it where it is longer. */
static uint32_t step_of(uint32_t bytes)
{
    uint32_t step = bytes / FW_SEALED_STEP;
    return step < 16 ? step : (uint32_t)(28 - __builtin_clz(step)) << 8 | step >> (28 - __builtin_clz(step));
}

/* Of several requests alike in one record: the shape of one of them. */
static uint32_t shape_of(const struct fw_sealed_flow *f, uint32_t answer)
{
    uint32_t times = fw_asked_times(&f->asked), request = f->request;
    if (times > 1)
        request = request - f->asked.opened + f->asked.one;
    uint64_t both = (uint64_t)(request / FW_SEALED_ASK) << 32 | step_of(answer / times);
    return (uint32_t)(fw_mix64(both + f->quic * 0x9e3779b97f4a7c15ULL) >> 32) | 1u;
}

static void end_exchange(struct fw_sealed_flow *f, uint32_t answer, struct fw_exchange *out)
{
    if (!f->request)
        return;
    out->ended = 1;
    out->answer = answer;
    out->shape = shape_of(f, answer);
    fw_asked_end(&f->asked, answer);
    f->request = 0;
    if (f->ends == UINT8_MAX) {
        f->ends /= 2;
        f->terse /= 2;
    }
    f->ends++;
    int varies = f->said && answer != f->said;
    f->terse = (uint8_t)(f->terse + (varies && answer > FW_SEALED_ANSWER && answer < FW_SEALED_HEADER));
    f->said = answer;
    f->talks = f->port && !f->framed && f->terse && f->terse * FW_SEALED_TALK >= f->ends;
}

/* A turn begins with a record or packet of this length, which wraps so many bytes. */
static void begin_turn(struct fw_sealed_flow *f, uint32_t request, uint32_t bytes, struct fw_exchange *out)
{
    fw_asked_open(&f->asked, bytes, &out->asked);
    out->turn = 1;
    fw_count8(&f->turned, 1);
    if (f->talks) {
        out->talk = f->turned;
        f->turned = 0;
    }
    out->first = f->state == FW_SEALED_FINISHED;
    f->served |= out->first;
    f->state = FW_SEALED_OPEN;
    f->request = (uint16_t)(request ? request : 1);
}

static void finish(struct fw_sealed_flow *f, struct fw_exchange *out)
{
    out->finished = 1;
    f->state = FW_SEALED_FINISHED;
}

/* What of the packet belongs to the handshake; returns how many of its records of application data do: one at most. */
static unsigned shake(struct fw_sealed_flow *f, const struct fw_message *h, struct fw_exchange *out)
{
    if (f->state >= FW_SEALED_FINISHED)
        return 0;
    if (f->state == FW_SEALED_CHANGED) {
        if (h->shook & FW_SHOOK_HANDSHAKE || h->records || h->small)
            finish(f, out);
        return 0;
    }
    if (h->shook & FW_SHOOK_HANDSHAKE) { /* TLS 1.2: keys and Finished are handshake records */
        f->state = FW_SEALED_CHANGED;
        if (h->shook & FW_SHOOK_CHANGED)
            finish(f, out);
        return 0;
    }
    if (!h->records)
        return 0;
    finish(f, out);
    return 1; /* TLS 1.3: Finished */
}

static uint32_t inside(uint32_t record) { return record > FW_TLS_AROUND ? record - FW_TLS_AROUND : 1; }

/* HTTP/2 begins with frames of known lengths; later a message of anything may be as long. */
static void note_frames(struct fw_sealed_flow *f, const struct fw_message *h)
{
    f->framed |= (uint8_t)(f->ends <= 1 && (h->framed || h->small));
}

/* What the records of a packet ask for, the first `skipped` of them left out. */
static void count_asked(struct fw_sealed_flow *f, const struct fw_message *h, unsigned skipped, int opens,
                        struct fw_exchange *out)
{
    uint32_t records = h->records - skipped, bytes = h->plain - (skipped ? inside(h->record[0]) : 0);
    f->asked.framed |= (uint8_t)(h->framed || h->small);
    note_frames(f, h);
    if (opens) {
        uint32_t first = inside(h->record[skipped]);
        begin_turn(f, h->record[skipped], first, out);
        records--;
        bytes -= first;
    }
    fw_asked_more(&f->asked, records, bytes, &out->asked);
}

/* Who begins a connection, and where. */
static void name(struct fw_sealed_flow *f, const struct fw_packet *p)
{
    f->from = p->src;
    f->to = p->dst;
    f->source = p->src_hash;
    f->port = p->dport;
    f->bits = p->bits & (FW_V6 | FW_TRANSLATED);
}

/* Client data of a connection: did the server say anything since the data before? `fresh`: its handshake ends here. */
static void wait_for_answer(struct fw_sealed_flow *f, const struct fw_packet *p, int fresh, struct fw_exchange *out)
{
    if (fresh || p->ack != f->ack) {
        f->ack = p->ack;
        f->since_ns = p->ts_ns;
        f->moved = 0;
        f->over = 0;
    } else {
        out->waits = f->port && p->ts_ns - f->since_ns >= FW_SEALED_LATER_NS && p->ts_ns > f->since_ns;
        f->served &= (uint8_t)!out->waits;
    }
    f->moved += fw_min32(p->payload, UINT32_MAX - f->moved);
}

static int observe_tls(struct fw_sealed *t, const struct fw_packet *p, const struct fw_message *h, struct fw_exchange *out)
{
    uint64_t hash = fw_flow_hash(p);
    struct fw_sealed_flow *f = find(t, hash);
    int mine = f && f->client == (uint32_t)p->sender_hash;
    if (h->what == FW_TLS_HELLO) {
        out->hello = 1;
        if (mine && f->state == FW_SEALED_HELLO) /* asked to say it again (RFC 8446, 4.1.4) */
            return 1;
        f = insert(t, hash, p->sender_hash, FW_SEALED_HELLO);
        f->seq = p->seq + p->payload;
        name(f, p);
        t->greeted = 1;
        return 1;
    }
    if (!f && h->records && p->dport < p->sport) {
        f = insert(t, hash, p->sender_hash, FW_SEALED_OPEN);
        f->seq = p->seq;
        f->heard = p->ack - 1; /* what was asked before is not known: this is a turn */
        f->asked.turns = FW_ASKED_JOINED;
        mine = 1;
    }
    if (!mine) {
        if (f) {
            fw_asked_answer(&f->asked, h->records, h->framed);
            note_frames(f, h);
        }
        return 0;
    }
    f->epoch = t->epoch;
    unsigned skipped = shake(f, h, out);
    uint32_t records = h->records - skipped, moved = p->ack - f->heard, bytes = p->seq + p->payload - f->seq;
    int heard = moved > (f->request ? FW_SEALED_ANSWER : 0) && moved <= INT32_MAX;
    f->seq = p->seq + p->payload;
    if (f->state >= FW_SEALED_FINISHED && !out->finished)
        out->bytes = bytes <= FW_SEALED_GROWN ? bytes : p->payload;
    else if (records)
        out->bytes = p->payload;
    out->records = (uint8_t)records;
    out->small = h->small;
    if (out->finished || (f->state >= FW_SEALED_FINISHED && (h->records || h->small)))
        wait_for_answer(f, p, out->finished, out);
    if ((records && heard) || h->shook & FW_SHOOK_ALERT)
        end_exchange(f, moved <= INT32_MAX ? moved : 0, out);
    count_asked(f, h, skipped, records && (heard || f->state == FW_SEALED_FINISHED), out);
    if (out->turn)
        f->heard = p->ack;
    return 1;
}

static uint32_t hash_cid(const uint8_t *id, uint32_t size)
{
    uint64_t hash = size + 1;
    for (uint32_t i = 0; i < size; i++)
        hash = fw_mix64(hash ^ id[i]);
    return (uint32_t)hash;
}

/* The connection id of a long header that `skip` others stand before; 0 if it was not captured. */
static uint32_t long_cid(const struct fw_message *h, unsigned skip, uint32_t *size)
{
    uint32_t at = 0;
    for (;; skip--) {
        if (at >= h->path_len || h->path[at] >= h->path_len - at)
            return 0;
        *size = h->path[at];
        if (skip == 0)
            return hash_cid(h->path + at + 1, *size);
        at += 1 + *size;
    }
}

static void of_server(struct fw_sealed *t, struct fw_sealed_flow *f, const struct fw_packet *p, const struct fw_message *h)
{
    if (!f && h->what == FW_QUIC_SHORT && p->sport < p->dport) {
        f = insert(t, fw_flow_hash(p), p->dst_hash, FW_SEALED_OPEN);
        f->quic = 1;
        f->least = 27 + CID_USUAL;
    }
    if (!f)
        return;
    f->heard += p->payload;
    if (f->state == FW_SEALED_HELLO && h->what != FW_QUIC_SHORT) {
        uint32_t size = 0;
        f->cid = long_cid(h, 1, &size);
        f->cid_size = (uint8_t)size;
        f->least = (uint16_t)(27 + size);
        f->state = FW_SEALED_CHANGED;
    }
}

static int observe_quic(struct fw_sealed *t, const struct fw_packet *p, const struct fw_message *h, struct fw_exchange *out)
{
    uint64_t hash = fw_flow_hash(p);
    struct fw_sealed_flow *f = find(t, hash);
    if (f ? f->client != (uint32_t)p->sender_hash : p->sport < p->dport) {
        of_server(t, f, p, h);
        return 0;
    }
    out->quic = 1;
    if (!f && h->what == FW_QUIC_INITIAL) {
        f = insert(t, hash, p->sender_hash, FW_SEALED_HELLO);
        f->quic = 1;
        out->hello = 1;
        return 1;
    }
    if (!f)
        return 0;
    f->epoch = t->epoch;
    if (h->what != FW_QUIC_SHORT) {
        uint32_t size = 0;
        if (f->state == FW_SEALED_CHANGED && f->cid && long_cid(h, 0, &size) == f->cid) {
            finish(f, out);
            out->proven = 1;
        }
        return 1;
    }
    if (f->state < FW_SEALED_FINISHED || p->payload < (uint32_t)f->least + FW_QUIC_REQUEST)
        return 1;
    out->records = 1;
    out->bytes = p->payload;
    out->proven = f->cid && f->cid_size <= h->path_len && hash_cid(h->path, f->cid_size) == f->cid;
    uint32_t bytes = p->payload - f->least + SHORT_MORE;
    f->asked.framed = 1;
    if (f->heard) {
        end_exchange(f, f->heard, out);
        begin_turn(f, p->payload, bytes, out);
        f->heard = 0;
    } else {
        fw_asked_more(&f->asked, 1, bytes, &out->asked);
    }
    return 1;
}

int fw_sealed_observe(struct fw_sealed *t, const struct fw_packet *p, const struct fw_message *h, struct fw_exchange *out)
{
    memset(out, 0, sizeof *out);
    return h->what >= FW_QUIC_INITIAL ? observe_quic(t, p, h, out) : observe_tls(t, p, h, out);
}

int fw_sealed_read(struct fw_sealed *t, const struct fw_packet *p, struct fw_exchange *out)
{
    struct fw_sealed_flow *f = find(t, fw_flow_hash(p));
    if (!f || f->quic || f->client != (uint32_t)p->sender_hash || f->state == FW_SEALED_OPEN)
        return 0;
    memset(out, 0, sizeof *out);
    out->finished = f->state < FW_SEALED_FINISHED; /* in the same packet */
    out->first = f->served = 1;
    f->state = FW_SEALED_OPEN;
    f->epoch = t->epoch;
    return 1;
}

static void tell(const struct fw_sealed_flow *f, uint64_t last_ns, struct fw_waiting *out)
{
    *out = (struct fw_waiting){.from = f->from, .to = f->to, .flow = f->hash, .since_ns = f->since_ns, .last_ns = last_ns,
                               .moved = f->moved, .port = f->port, .bits = f->bits, .proven = f->proven};
}

int fw_sealed_waiting(const struct fw_sealed *t, const struct fw_packet *p, struct fw_waiting *out)
{
    const struct fw_sealed_flow *f = held(t, fw_flow_hash(p));
    if (!f)
        return 0;
    tell(f, p->ts_ns, out);
    out->moved -= fw_min32(p->payload, out->moved);
    return 1;
}

void fw_sealed_prove(struct fw_sealed *t, const struct fw_packet *p)
{
    struct fw_sealed_flow *f = find(t, fw_flow_hash(p));
    if (f)
        f->proven = 1;
}

int fw_sealed_end(struct fw_sealed *t, const struct fw_packet *p, uint64_t *source, uint64_t *server)
{
    struct fw_sealed_flow *f = find(t, fw_flow_hash(p));
    if (!f)
        return 0;
    int served = f->served;
    f->over = 1;
    f->served = 0;
    *source = f->source;
    *server = f->client == (uint32_t)p->sender_hash ? p->dst_hash : p->sender_hash;
    return served;
}

int fw_sealed_mute(struct fw_sealed *t, uint64_t now, uint32_t *at, struct fw_waiting *out)
{
    for (; *at < FW_SEALED_SETS * FW_SEALED_WAYS; ++*at) {
        struct fw_sealed_flow *f = &t->sets[*at / FW_SEALED_WAYS][*at % FW_SEALED_WAYS];
        if (f->state != FW_SEALED_FINISHED || f->quic || f->over || !f->port || now < f->since_ns + FW_SEALED_MUTE_NS)
            continue;
        f->over = 1;
        tell(f, f->since_ns, out);
        ++*at;
        return 1;
    }
    return 0;
}

void fw_sealed_close_epoch(struct fw_sealed *t) { t->epoch++; }

void fw_sealed_count(struct fw_heavy_sealed *s, const struct fw_exchange *x)
{
    s->sealed_bytes += x->bytes;
    s->turns += x->turn;
    s->talk += x->talk;
    s->quic_turns += x->turn & x->quic;
    s->records += x->records;
    s->least += x->asked.least;
    s->most += x->asked.most;
    s->small += x->small;
    fw_count16(&s->hellos, x->hello);
    fw_count16(&s->shaken, x->finished);
    fw_count16(&s->first, x->first);
    fw_count16(&s->closed, x->first & x->quic);
    if (!x->ended)
        return;
    s->answered += x->answer;
    s->alike += s->exchanges && s->last_shape == (uint16_t)x->shape;
    s->exchanges++;
    s->last_shape = (uint16_t)x->shape;
    s->shapes |= 1ULL << (x->shape >> 26);
}
