#include "fw_hellos.h"

#include "fw_flow.h"

enum { HANDSHAKE = 22, CLIENT_HELLO = 1, RECORD = 5, MESSAGE = 4 };
enum { DTLS_RECORD = 13, DTLS_MESSAGE = 12 };

static uint32_t be24(const uint8_t *p) { return (uint32_t)p[0] << 16 | fw_be16(p + 1); }

static uint64_t flow_of(const struct fw_packet *p)
{
    return fw_mix64(fw_mix64(p->sender_hash + 3 * p->dst_hash) + ((uint64_t)p->sport << 16 | p->dport));
}

static uint64_t hash_bytes(const struct fw_key *key, const uint8_t *bytes, uint32_t n)
{
    uint64_t sum = n;
    for (uint32_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, n - i < 8 ? n - i : 8);
        sum = fw_mix64(sum ^ fw_siphash13(key, &word, 1));
    }
    return sum;
}

/* Browsers shuffle their extensions, and a fingerprint sorts them: so hashes are added up, and nothing needs sorting. */
static uint64_t fingerprint_key(const struct fw_key *key, const struct fw_hello *hello, int transport)
{
    uint64_t word = (uint64_t)transport << 56 | (uint64_t)hello->version << 40 | (uint64_t)hello->named << 32 |
                    (uint64_t)hello->protocols << 24 | (uint64_t)hello->first << 8 | hello->last;
    uint64_t sum = fw_siphash13(key, &word, 1);
    const uint16_t *id = hello->ids;
    for (uint32_t i = 0; i < hello->ciphers; i++)
        sum += fw_mix64(key->k0 ^ (0x10000u | *id++));
    for (uint32_t i = 0; i < hello->extensions; i++)
        sum += fw_mix64(key->k0 ^ (0x20000u | *id++));
    return fw_mix64(sum ^ hash_bytes(key, (const uint8_t *)id, 2u * hello->algorithms));
}

/* Room for one more, with `size` bytes of text; NULL and counted where there is none. */
static struct fw_hello_seen *room_for(struct fw_hellos *h, const struct fw_packet *p, uint32_t number, uint32_t size)
{
    if (h->count == h->room || h->text_room - h->text_size < size) {
        h->missed++;
        return NULL;
    }
    struct fw_hello_seen *s = &h->seen[h->count++];
    memset(s, 0, sizeof *s);
    s->ts_ns = p->ts_ns;
    s->src = p->src;
    s->dst = p->dst;
    s->sport = p->sport;
    s->dport = p->dport;
    s->packet = number;
    s->sender = p->src_hash;
    s->weight = h->weight;
    s->at = h->text_size;
    s->size = size;
    h->text_size += size;
    return s;
}

int fw_hellos_add(struct fw_hellos *h, const struct fw_packet *p, uint32_t number, int transport, const uint8_t *body,
                  uint32_t size)
{
    struct fw_hello *hello = &h->hello;
    if (fw_hello_parse(body, size, transport, hello) != 0) {
        h->broken++;
        return FW_BAD_RECORD;
    }
    h->whole++;
    uint32_t ids = 2u * ((uint32_t)hello->ciphers + hello->extensions + hello->algorithms);
    struct fw_hello_seen *s = room_for(h, p, number, ids + hello->name_length);
    if (!s)
        return 0;
    memcpy(h->texts + s->at, hello->ids, ids);
    if (hello->name_length)
        memcpy(h->texts + s->at + ids, hello->name, hello->name_length);
    s->key = fingerprint_key(&h->key, hello, transport);
    s->name_key = hello->name_length ? hash_bytes(&h->key, hello->name, hello->name_length) | 1u : 0;
    s->transport = (uint8_t)transport;
    s->version = hello->version;
    s->ciphers = hello->ciphers;
    s->extensions = hello->extensions;
    s->algorithms = hello->algorithms;
    s->name_length = hello->name_length;
    s->named = hello->named;
    s->outer = hello->outer;
    s->protocols = hello->protocols;
    s->first = hello->first;
    s->last = hello->last;
    return 0;
}

/* Can these bytes, of which there may be few, begin a ClientHello in records of TLS? (RFC 8446, 5.1) */
static int begins(const uint8_t *p, uint32_t n)
{
    return p[0] == HANDSHAKE && (n < 2 || p[1] == 3) && (n < 3 || p[2] <= 4) && (n < RECORD || fw_be16(p + 3) != 0) &&
           (n <= RECORD || p[RECORD] == CLIENT_HELLO);
}

/* Find the body of the hello in the records at p[0..n). Returns 0; FW_NEED_MORE, with *need bytes from p on that it
 * takes at least; or FW_BAD_RECORD. A message in several records is put together in `scratch`. */
static int find_body(const uint8_t *p, uint32_t n, uint8_t *scratch, const uint8_t **body, uint32_t *size, uint32_t *need)
{
    uint32_t got = 0, at = 0;
    for (;;) {
        *need = at + RECORD + (got ? 1 : MESSAGE);
        if (n < at + RECORD)
            return FW_NEED_MORE;
        uint32_t length = fw_be16(p + at + 3);
        if (p[at] != HANDSHAKE || p[at + 1] != 3 || length == 0 || length > (1u << 14) + 256)
            return FW_BAD_RECORD;
        uint32_t there = fw_min32(length, n - at - RECORD);
        const uint8_t *content = p + at + RECORD;
        if (got == 0 && there >= MESSAGE) { /* the common one: a hello in one record */
            *size = be24(content + 1);
            if (*size > FW_HELLO_MOST)
                return FW_BAD_RECORD;
            *need = RECORD + MESSAGE + *size;
            if (length >= MESSAGE + *size) {
                *body = content + MESSAGE;
                return n >= *need ? 0 : FW_NEED_MORE;
            }
        }
        uint32_t take = fw_min32(there, FW_HELLO_MOST + MESSAGE - got), goal = MESSAGE;
        memcpy(scratch + got, content, take);
        got += take;
        if (got >= MESSAGE) {
            *size = be24(scratch + 1);
            if (*size > FW_HELLO_MOST)
                return FW_BAD_RECORD;
            *body = scratch + MESSAGE;
            goal = MESSAGE + *size;
            if (got >= goal)
                return 0;
        }
        if (there < length) {
            *need = n + fw_min32(length - there, goal - got);
            return FW_NEED_MORE;
        }
        at += RECORD + length;
    }
}

/* A hello of a flow, whole or broken. The same segment once more is no second hello; and what looks like one behind a
 * hello and is none are bytes of an encrypted handshake. */
static void settle(struct fw_hellos *h, const struct fw_packet *p, uint32_t number, uint64_t flow, uint32_t seq, int code,
                   const uint8_t *body, uint32_t size)
{
    uint32_t at = (uint32_t)flow & (FW_HELLO_FLOWS - 1);
    int known = h->flows[at].flow == flow;
    if (known && h->flows[at].seq == seq)
        return;
    uint64_t broken = h->broken;
    if (code == 0)
        code = fw_hellos_add(h, p, number, FW_HELLO_TLS, body, size);
    h->broken = broken + (code != 0 && !known);
    if (code == 0) {
        h->flows[at].flow = flow;
        h->flows[at].seq = seq;
    }
}

static struct fw_hello_slot *ways_of(struct fw_hellos *h, uint64_t flow)
{
    return &h->slots[(uint32_t)(flow >> 32) & (FW_HELLO_SLOTS - 1) & ~(FW_HELLO_WAYS - 1)];
}

static struct fw_hello_slot *slot_of(struct fw_hellos *h, uint64_t flow)
{
    struct fw_hello_slot *s = ways_of(h, flow);
    for (uint32_t i = 0; i < FW_HELLO_WAYS; i++)
        if (s[i].opened && s[i].flow == flow)
            return &s[i];
    return NULL;
}

static struct fw_hello_slot *open_slot(struct fw_hellos *h, uint64_t flow, uint32_t base)
{
    struct fw_hello_slot *s = slot_of(h, flow), *ways = ways_of(h, flow);
    for (uint32_t i = 0; !s || (i < FW_HELLO_WAYS && s->flow != flow); i++)
        if (!s || ways[i].opened < s->opened)
            s = &ways[i];
    if (s->opened)
        h->unfinished++;
    else
        h->open++;
    memset(s, 0, offsetof(struct fw_hello_slot, bytes));
    s->flow = flow;
    s->base = base;
    s->weight = h->weight;
    s->opened = ++h->opened;
    return s;
}

/* Lay the payload at its place; of what is there already the first stays. */
static void lay(struct fw_hello_slot *s, uint32_t at, const uint8_t *payload, uint32_t n)
{
    n = at < FW_HELLO_ROOM ? fw_min32(n, FW_HELLO_ROOM - at) : 0;
    for (uint32_t i = 0; i < n; i++, at++) {
        uint8_t bit = (uint8_t)(1u << (at & 7));
        if (!(s->present[at >> 3] & bit))
            s->bytes[at] = payload[i];
        s->present[at >> 3] |= bit;
    }
    while (s->have < FW_HELLO_ROOM && s->present[s->have >> 3] >> (s->have & 7) & 1)
        s->have++;
}

static void go_on(struct fw_hellos *h, struct fw_hello_slot *s, const struct fw_packet *p, const uint8_t *payload,
                  uint32_t number)
{
    const uint8_t *body = NULL;
    uint32_t size = 0;
    lay(s, p->seq - s->base, payload, p->captured);
    if (s->have < s->need)
        return;
    int code = begins(s->bytes, s->have) ? find_body(s->bytes, s->have, h->scratch, &body, &size, &s->need) : FW_BAD_RECORD;
    if (code == FW_NEED_MORE && s->need <= FW_HELLO_ROOM)
        return;
    h->weight = s->weight;
    settle(h, p, number, s->flow, s->base, code, body, size);
    s->opened = 0;
    h->open--;
}

static void take_tcp(struct fw_hellos *h, const struct fw_packet *p, const uint8_t *payload, uint32_t number)
{
    int likely = begins(payload, p->captured);
    if (!likely && h->open == 0)
        return;
    uint64_t flow = flow_of(p);
    struct fw_hello_slot *s = h->open ? slot_of(h, flow) : NULL;
    if (s && p->seq - s->base < FW_HELLO_ROOM) {
        go_on(h, s, p, payload, number);
        return;
    }
    if (!likely)
        return;
    const uint8_t *body = NULL;
    uint32_t size = 0, need = 0;
    int code = find_body(payload, p->captured, h->scratch, &body, &size, &need);
    if (code != FW_NEED_MORE)
        settle(h, p, number, flow, p->seq, code, body, size);
    else if (p->captured < p->payload)
        h->cut++;
    else
        go_on(h, open_slot(h, flow, p->seq), p, payload, number);
}

/* RFC 9147, 4 and 5.2. A hello in several fragments is counted as unfinished: few programs send one. */
static void take_dtls(struct fw_hellos *h, const struct fw_packet *p, const uint8_t *payload, uint32_t number)
{
    const uint8_t *message = payload + DTLS_RECORD;
    uint32_t there = p->captured - DTLS_RECORD, size = be24(message + 1), piece = be24(message + 9);
    if (message[0] != CLIENT_HELLO || size > FW_HELLO_MOST)
        return;
    if (p->captured < p->payload && there < DTLS_MESSAGE + piece)
        h->cut++;
    else if (piece != size)
        h->unfinished += be24(message + 6) == 0;
    else if (there < DTLS_MESSAGE + size)
        h->broken++;
    else
        (void)fw_hellos_add(h, p, number, FW_HELLO_DTLS, message + DTLS_MESSAGE, size);
}

/* An Initial of a version whose keys are public: RFC 9000, RFC 9369, and the drafts 23 to 34. */
static int is_initial(const uint8_t *p)
{
    uint32_t version = fw_be32(p + 1), type = (p[0] >> 4) & 3u;
    if ((p[0] & 0xc0u) != 0xc0u || p[5] > 20)
        return 0;
    if (version == FW_QUIC_V2)
        return type == 1;
    return type == 0 && (version == 1 || (version >= 0xff000017u && version <= 0xff000022u));
}

static void take_quic(struct fw_hellos *h, const struct fw_packet *p, const uint8_t *payload, uint32_t number)
{
    h->sealed++;
    if (p->captured < p->payload) {
        h->cut++;
        return;
    }
    if (h->sealed_count == FW_SEALED_MOST) {
        h->missed++;
        return;
    }
    uint32_t n = fw_min32(p->captured, FW_SEALED_BYTES);
    struct fw_hello_seen *s = room_for(h, p, number, n);
    if (!s)
        return;
    h->sealed_count++;
    s->sealed = 1;
    s->transport = FW_HELLO_QUIC;
    memcpy(h->texts + s->at, payload, n);
}

void fw_hellos_take(struct fw_hellos *h, const struct fw_packet *p, const uint8_t *payload, uint32_t number)
{
    if (p->captured == 0)
        return;
    if (p->kind <= FW_TCP_ODD)
        take_tcp(h, p, payload, number);
    else if (p->kind != FW_UDP || p->captured < DTLS_RECORD + DTLS_MESSAGE)
        return;
    else if (is_initial(payload))
        take_quic(h, p, payload, number);
    else if (payload[0] == HANDSHAKE && payload[1] == 0xfe && payload[2] >= 0xfc)
        take_dtls(h, p, payload, number);
}

/* For how many it stands; 0: it is left out. */
static uint32_t weight_of(const struct fw_packet *p, uint32_t before, uint32_t all)
{
    if (before < all)
        return 1;
    uint32_t weight = 2u << (31 - __builtin_clz(before / all));
    return (fw_flow_hash(p) >> 17 & (weight - 1)) == 0 ? weight : 0;
}

void fw_hellos_sample(struct fw_hellos *h, const struct fw_packet *p, const struct fw_message *m, uint32_t before)
{
    uint32_t weight = 1;
    if (m->what == FW_TLS_HELLO)
        weight = weight_of(p, before, FW_HELLOS_ALL);
    else if (m->what == FW_QUIC_INITIAL)
        weight = p->dport == FW_QUIC_PORT ? weight_of(p, before, FW_INITIALS_ALL) : 0;
    if (weight == 0)
        return;
    h->weight = weight;
    fw_hellos_take(h, p, m->whole, 0);
}
