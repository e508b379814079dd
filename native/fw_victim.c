#include "fw_victim.h"

#include "fw_flow.h"

#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bits of the ways whose tag equals `tag`. */
static inline unsigned match(const uint16_t *tags, uint16_t tag)
{
#ifdef __SSE2__
    __m128i same = _mm_cmpeq_epi16(_mm_loadu_si128((const __m128i *)tags), _mm_set1_epi16((short)tag));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(same, _mm_setzero_si128()));
#else
    unsigned bits = 0;
    for (unsigned i = 0; i < FW_SLOT_WAYS; i++)
        bits |= (unsigned)(tags[i] == tag) << i;
    return bits;
#endif
}

static inline uint32_t set_of(uint64_t hash) { return (uint32_t)(hash >> 16) & (FW_SLOT_SETS - 1); }
static inline uint16_t tag_of(uint64_t hash) { return (uint16_t)(hash | 1u); }

struct fw_slot *fw_victim_find(struct fw_victims *t, uint64_t hash, const struct fw_addr *address)
{
    uint32_t set = set_of(hash);
    unsigned ways = match(t->tags[set], tag_of(hash));
    for (; ways; ways &= ways - 1) {
        struct fw_slot *s = &t->slots[set * FW_SLOT_WAYS + (unsigned)__builtin_ctz(ways)];
        if (s->hash == hash && fw_addr_equal(&s->v.address, address))
            return s;
    }
    return NULL;
}

/* Zero what this epoch wrote: large tables belong to few classes of packets, and most hosts meet none of these. */
static void reset_counters(struct fw_slot *s)
{
    struct fw_victim *v = &s->v;
    memset(&v->reference, 0, offsetof(struct fw_victim, sources) - offsetof(struct fw_victim, reference));
    for (unsigned class = 0; class < FW_CLASSES; class++)
        if ((unsigned)s->wrote >> class & 1u)
            memset(v->sources[class], 0, sizeof v->sources[class]);
    if (s->wrote & (1u << FW_CLASS_SYN | 1u << FW_CLASS_UDP))
        memset(v->udp_marks, 0, offsetof(struct fw_victim, service) - offsetof(struct fw_victim, udp_marks));
    if (s->wrote & FW_WROTE_SERVICE)
        memset(v->service, 0, sizeof v->service);
    if (s->wrote & 1u << FW_CLASS_HTTP)
        memset(v->http_paths, 0, offsetof(struct fw_victim, sealed) - offsetof(struct fw_victim, http_paths));
    if (s->wrote & 1u << FW_CLASS_SEALED)
        memset(v->sealed, 0, sizeof v->sealed);
    s->wrote = s->touched = 0;
}

static void touch(struct fw_victims *t, struct fw_slot *s)
{
    if (!s->touched) {
        s->touched = 1;
        t->touched[t->touched_count++] = (uint32_t)(s - t->slots);
    }
}

static void take(struct fw_victims *t, struct fw_slot *s, uint64_t hash, const struct fw_addr *address)
{
    uint8_t listed = s->touched;
    t->evicted += s->used;
    if (s->used)
        reset_counters(s);
    s->touched = listed; /* an evicted slot may already stand in this epoch's list */
    s->used = 1;
    s->generation++;
    s->worth = 0;
    s->hash = hash;
    s->v.address = *address;
    size_t at = (size_t)(s - t->slots);
    t->tags[at / FW_SLOT_WAYS][at % FW_SLOT_WAYS] = tag_of(hash);
}

struct fw_slot *fw_victim_admit(struct fw_victims *t, uint64_t hash, const struct fw_addr *address)
{
    struct fw_slot *s = &t->slots[t->newest]; /* under a flood most packets go where the last one went */
    if (FW_LIKELY(s->hash == hash && fw_addr_equal(&s->v.address, address) && s->used))
        return s;
    s = fw_victim_find(t, hash, address);
    if (FW_LIKELY(s != NULL)) {
        t->newest = (uint32_t)(s - t->slots);
        return s;
    }
    struct fw_slot *set = &t->slots[set_of(hash) * FW_SLOT_WAYS], *least = &set[0];
    for (unsigned i = 0; i < FW_SLOT_WAYS; i++) {
        if (!set[i].used) {
            least = &set[i];
            break;
        }
        if (set[i].worth < least->worth)
            least = &set[i];
    }
    if (least->used && least->worth > 0) {
        least->worth--;
        t->unslotted++;
        return NULL;
    }
    take(t, least, hash, address);
    return least;
}

static inline struct fw_port_count *bucket(const struct fw_slot *s, struct fw_port_count *table, uint8_t proto,
                                           uint16_t port)
{
    return &table[fw_port_bucket(s->hash, fw_port_key(proto, port))];
}

static void count_port(const struct fw_slot *s, struct fw_port_count *table, uint8_t proto, uint16_t port, uint32_t bytes)
{
    fw_port_vote(bucket(s, table, proto, port), fw_port_key(proto, port), bytes);
}

static void count_path(struct fw_victim *v, const struct fw_message *h)
{
    struct fw_path_count *b = &v->paths[h->path_hash & (FW_PATHS - 1)];
    b->requests += 1u + h->more_same;
    if (b->vote == 0) {
        b->hash = h->path_hash;
        b->length = h->path_len < FW_PATH_TEXT ? h->path_len : FW_PATH_TEXT;
        b->posts = h->posts;
        memcpy(b->text, h->path, b->length);
    }
    b->vote += b->hash == h->path_hash ? 1 + h->more_same : -1;
}

static void count_request(struct fw_slot *s, const struct fw_packet *p, const struct fw_message *h, uint64_t asker)
{
    struct fw_victim *v = &s->v;
    s->wrote |= 1u << FW_CLASS_HTTP;
    v->requests += 1u + h->more - h->resumed;
    v->h2_requests += h->streams ? 1u + h->more : 0;
    v->unfinished -= h->resumed && v->unfinished; /* counted when it began */
    v->posts += (uint32_t)h->posts + h->more_posts;
    v->assets += (uint32_t)h->asset + h->more_assets;
    v->unfinished += h->unfinished;
    v->owing += h->owed > 0;
    v->logins += h->login > 0;
    v->owed += h->owed;
    fw_elect(&v->http_port, &v->http_port_vote, p->dport, 1);
    fw_hll_add(v->sources[FW_CLASS_HTTP], FW_HLL_P, asker);
    if (FW_UNLIKELY(h->begun))
        return; /* what it asks for is not told yet */
    fw_hll_add(v->http_paths, FW_SMALL_HLL_P, h->path_hash);
    if (!h->asset)
        count_path(v, h);
}

/* RFC 792 and RFC 4443: errors are answers to packets that carried the address, forged or not. */
static void count_icmp(struct fw_victim *v, const struct fw_packet *p)
{
    uint16_t type = p->dport;
    int six = p->proto == 58;
    v->icmp_errors += six ? type >= 1 && type <= 4 : type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    v->icmp_replies += type == (six ? 129 : 0);
}

static void count_zone(struct fw_victim *v, const struct fw_message *m)
{
    if (v->zone_vote == 0) {
        v->zone_hash = m->zone_hash;
        v->zone_length = m->path_len <= FW_ZONE_TEXT ? m->path_len : 0;
        memcpy(v->zone_text, m->path, v->zone_length);
    }
    v->zone_vote += v->zone_hash == m->zone_hash ? 1 : -1;
}

static void count_message(struct fw_slot *s, const struct fw_packet *p, const struct fw_message *m, uint64_t asker)
{
    struct fw_victim *v = &s->v;
    switch (m->what) {
    case FW_HTTP_REQUEST:
        count_request(s, p, m, asker);
        break;
    case FW_DNS_QUERY:
        v->dns_queries++;
        fw_hll_add(v->dns_names, FW_NAMES_HLL_P, m->path_hash);
        count_zone(v, m);
        break;
    case FW_TLS_HELLO:
        v->tls_hellos++;
        break;
    case FW_TLS_RECORD:
        v->tls_records += m->shook != FW_SHOOK_ALERT || m->records || m->small;
        break;
    case FW_WEBSOCKET:
        v->ws_frames += m->frames;
        v->ws_fast += m->fast;
        v->ws_controls += m->pings;
        fw_elect(&v->ws_port, &v->ws_port_vote, p->dport, m->fast);
        break;
    case FW_QUIC_INITIAL:
        v->quic_initials += p->dport == FW_QUIC_PORT;
        break;
    default:
        break;
    }
    v->h2_streams += m->streams;
    v->h2_resets += m->resets;
    v->h2_continuations += m->continuations;
    v->h2_violations += m->violations;
}

/* IPv4 networks of the US Department of Defense (IANA IPv4 registry) from which no Internet users come: whoever
 * forges random addresses hits them all, and hardly anybody else does. */
static const uint16_t DARK8[256] = {[6] = 1,       [7] = 1 << 1,  [11] = 1 << 2, [21] = 1 << 3,
                                    [22] = 1 << 4, [26] = 1 << 5, [28] = 1 << 6, [29] = 1 << 7,
                                    [30] = 1 << 8, [33] = 1 << 9, [55] = 1 << 10};

static inline void count_address(struct fw_victim *v, unsigned class, const struct fw_packet *p)
{
    uint16_t block = p->bits & FW_V6 ? 0 : DARK8[p->src.lo >> 24 & 255];
    v->bogons[class] += (p->bits & FW_BOGON) != 0;
    if (FW_UNLIKELY(block)) {
        v->dark[class]++;
        v->dark_blocks[class] |= block;
    }
}

static inline __attribute__((always_inline)) void count_source(struct fw_victim *v, unsigned class, const struct fw_packet *p)
{
    count_address(v, class, p);
    fw_hll_add(v->sources[class], FW_HLL_P, p->src_hash);
}

static void count_udp(struct fw_slot *s, const struct fw_packet *p)
{
    struct fw_victim *v = &s->v;
    s->wrote |= 1u << FW_CLASS_UDP | FW_WROTE_SERVICE;
    count_address(v, FW_CLASS_UDP, p);
    fw_hll_add_marked(v->sources[FW_CLASS_UDP], v->udp_marks, FW_HLL_P, p->src_hash, fw_port_mark(p->sport));
    fw_hll_add(v->udp_ports, FW_SMALL_HLL_P, fw_port_hash(s->hash, p->dport));
    fw_hll_add(v->udp_flows, FW_NAMES_HLL_P, fw_flow_hash(p));
    count_port(s, v->opened, 17, p->dport, p->bytes);
    count_port(s, v->service, 17, p->sport, p->bytes);
    fw_elect(&v->kinds[FW_UDP].port, &v->kinds[FW_UDP].port_vote, p->sport, 1);
    v->udp_payload_max = v->udp_payload_max > p->payload ? v->udp_payload_max : p->payload;
}

static void count_syn(struct fw_slot *s, const struct fw_packet *p)
{
    struct fw_victim *v = &s->v;
    s->wrote |= 1u << FW_CLASS_SYN;
    count_source(v, FW_CLASS_SYN, p);
    fw_hll_add(v->syn_ports, FW_SMALL_HLL_P, fw_port_hash(s->hash, p->dport));
    count_port(s, v->opened, 6, p->dport, p->bytes);
}

void fw_victim_in(struct fw_victims *t, struct fw_slot *s, const struct fw_packet *p, const struct fw_message *said,
                  uint64_t asker)
{
    struct fw_victim *v = &s->v;
    struct fw_kind_count *k = &v->kinds[p->kind];
    touch(t, s);
    s->worth += s->worth < UINT32_MAX;
    if (k->packets++ == 0)
        k->first_ns = p->ts_ns;
    k->last_ns = p->ts_ns;
    k->bytes += p->bytes;
    v->beats[p->ts_ns >> FW_BEAT_BITS & (FW_BEATS - 1)]++;
    k->replayed += p->kind >= FW_UDP && (p->bits & FW_REPLAYED) != 0;
    v->fragment_heads += (p->bits & FW_MORE_FRAGMENTS) != 0 && p->kind != FW_FRAGMENT;
    switch (p->kind) {
    case FW_SYN:
        count_syn(s, p);
        break;
    case FW_UDP:
        count_udp(s, p);
        break;
    case FW_ICMP:
    case FW_FRAGMENT:
    case FW_OTHER:
    case FW_CARRIER:
    case FW_MALFORMED:
        s->wrote |= 1u << FW_CLASS_OTHER;
        if (p->kind == FW_ICMP)
            count_icmp(v, p);
        else
            fw_elect(&k->port, &k->port_vote, p->proto, 1);
        count_source(v, FW_CLASS_OTHER, p);
        break;
    case FW_SYNACK:
        s->wrote |= FW_WROTE_SERVICE;
        count_port(s, v->service, 6, p->sport, p->bytes);
        /* fall through */
    default:
        s->wrote |= 1u << FW_CLASS_TCP;
        fw_elect(&k->port, &k->port_vote, p->dport, 1);
        count_source(v, FW_CLASS_TCP, p);
        if (FW_UNLIKELY(p->kind == FW_TCP_ODD))
            fw_victim_stray(s, p);
        break;
    }
    v->stalled += (p->bits & FW_STALLED) != 0;
    if (FW_UNLIKELY(said != NULL))
        count_message(s, p, said, asker);
    else if (p->kind == FW_DATA)
        v->loose += p->payload;
}

void fw_victim_known(struct fw_slot *s, const struct fw_packet *p)
{
    s->v.kinds[p->kind].known++;
    if (p->kind == FW_UDP)
        bucket(s, s->v.service, 17, p->sport)->known++;
}

void fw_victim_out(struct fw_victims *t, struct fw_slot *s, const struct fw_packet *p, const struct fw_message *said)
{
    struct fw_victim *v = &s->v;
    touch(t, s);
    v->kinds[p->kind].out++;
    if (p->kind == FW_UDP || p->kind == FW_SYN) {
        s->wrote |= FW_WROTE_SERVICE;
        bucket(s, v->service, p->proto, p->dport)->out++;
    }
    if (FW_LIKELY(said == NULL))
        return;
    v->responses += said->answers;
    v->errors += said->refused;
    v->denied += said->denied;
    v->h2_provoked += said->provoked;
    if (FW_UNLIKELY(said->small)) {
        s->wrote |= 1u << FW_CLASS_SEALED;
        v->sealed[0].small_out += said->small;
    }
    if (said->what == FW_DNS_ANSWER) {
        v->dns_answers++;
        v->dns_failures += said->status != 0;
    }
}

static int by_address(const void *a, const void *b)
{
    const struct fw_addr *x = &(*(struct fw_slot *const *)a)->v.address, *y = &(*(struct fw_slot *const *)b)->v.address;
    if (x->hi != y->hi)
        return x->hi < y->hi ? -1 : 1;
    return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Packets towards an address, where a request or the beginning of a handshake stands for several of those that follow it:
 * what a server is asked adds up over seconds, however little it is in one epoch. */
static uint64_t worth(const struct fw_victim *v)
{
    uint64_t packets = (uint64_t)v->requests * (FW_WORTH_REQUEST - 1) + v->kinds[FW_SYN].packets * (FW_WORTH_SYN - 1);
    for (unsigned k = 0; k < FW_KINDS; k++)
        packets += v->kinds[k].packets;
    return packets;
}

uint32_t fw_victim_select(struct fw_victims *t, uint32_t least, struct fw_slot **out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->touched_count; i++) {
        struct fw_slot *s = &t->slots[t->touched[i]];
        if (worth(&s->v) < least)
            continue;
        s->v.reference = fw_slot_reference(t, s);
        out[n++] = s;
    }
    qsort(out, n, sizeof *out, by_address);
    return n;
}

void fw_victim_copy(struct fw_slot *const *slots, uint32_t count, struct fw_victim *out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = slots[i]->v;
}

uint32_t fw_victim_hosts(const struct fw_victims *t, struct fw_host *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->touched_count; i++) {
        const struct fw_slot *s = &t->slots[t->touched[i]];
        struct fw_host *h = &out[n++];
        h->address = s->v.address;
        h->reference = fw_slot_reference(t, s);
        h->finished = s->v.finished;
        for (unsigned k = 0; k < FW_KINDS; k++) {
            h->packets[k] = s->v.kinds[k].packets;
            h->out[k] = s->v.kinds[k].out;
            h->bytes[k] = s->v.kinds[k].bytes;
        }
        h->udp_from = s->v.kinds[FW_UDP].port;
        h->udp_vote = s->v.kinds[FW_UDP].port_vote;
    }
    return n;
}

void fw_victim_sources(const struct fw_victims *t, const uint32_t *references, uint32_t count, unsigned class,
                       uint8_t *out)
{
    memset(out, 0, 1u << FW_HLL_P);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *from = t->slots[(references[i] & FW_SLOT_MASK) % FW_SLOTS].v.sources[class];
        for (uint32_t k = 0; k < 1u << FW_HLL_P; k++)
            out[k] = from[k] > out[k] ? from[k] : out[k];
    }
}

void fw_victim_close_epoch(struct fw_victims *t, int forget)
{
    for (uint32_t i = 0; i < t->touched_count; i++)
        reset_counters(&t->slots[t->touched[i]]);
    t->touched_count = 0;
    if (forget)
        for (uint32_t i = 0; i < FW_SLOTS; i++)
            t->slots[i].worth /= 2;
}

void fw_victim_clear(struct fw_victims *t) { memset(t, 0, sizeof *t); }
