#include "fw_websocket.h"

#define MASKED 0x80u
#define CONTROL 8u /* opcodes from here on (RFC 6455, 5.5) */
#define SECOND_NS 1000000000ULL

static struct fw_socket *find(struct fw_sockets *t, uint64_t flow)
{
    struct fw_socket *set = t->held[flow >> 24 & (FW_SOCKET_SETS - 1)];
    for (unsigned i = 0; i < FW_SOCKET_WAYS; i++)
        if (set[i].state != FW_SOCKET_FREE && set[i].flow == flow)
            return &set[i];
    return NULL;
}

/* A free place, else that of the one which was silent for longest. */
static struct fw_socket *take(struct fw_sockets *t, uint64_t flow)
{
    struct fw_socket *set = t->held[flow >> 24 & (FW_SOCKET_SETS - 1)], *place = find(t, flow);
    for (unsigned i = 0; !place && i < FW_SOCKET_WAYS; i++)
        if (set[i].state == FW_SOCKET_FREE)
            place = &set[i];
    if (!place)
        place = set[0].second <= set[1].second ? &set[0] : &set[1];
    t->used += place->state == FW_SOCKET_FREE;
    memset(place, 0, sizeof *place);
    place->flow = flow;
    return place;
}

void fw_socket_open(struct fw_sockets *t, uint64_t flow, const struct fw_packet *p, int answered)
{
    struct fw_socket *s = answered ? find(t, flow) : NULL;
    if (!s) {
        s = take(t, flow);
        s->client = answered ? fw_flow_receiver(p) : fw_flow_sender(p);
        s->next = answered ? p->ack : p->seq + p->payload;
        s->second = (uint32_t)(p->ts_ns / SECOND_NS);
    }
    s->state = answered ? FW_SOCKET_OPEN : FW_SOCKET_ASKED;
}

/* Bytes of the header that begins like this; 0: no client sends such a frame. */
static unsigned header_size(uint8_t first, uint8_t second)
{
    static const uint16_t OPCODES = 0x0707; /* continuation, text, binary; close, ping, pong */
    unsigned opcode = first & 15u, length = second & 127u;
    if (!(OPCODES >> opcode & 1u) || !(second & MASKED) || (opcode >= CONTROL && (length > 125 || !(first & 0x80))))
        return 0;
    return 6 + (length == 126 ? 2u : length == 127 ? 8u : 0);
}

static uint64_t payload_size(const uint8_t *head)
{
    unsigned length = head[1] & 127u;
    return length == 126 ? fw_be16(head + 2) : length == 127 ? fw_be64(head + 2) : length;
}

static void tick(struct fw_socket *s, uint64_t ts_ns)
{
    uint32_t second = (uint32_t)(ts_ns / SECOND_NS);
    if (second == s->second)
        return;
    int follows = second == s->second + 1;
    s->small_before = follows ? s->small : 0;
    s->controls_before = follows ? s->controls : 0;
    s->small = s->controls = 0;
    s->second = second;
}

static void count(struct fw_socket *s, struct fw_message *out)
{
    int control = (s->head[0] & 15u) >= CONTROL;
    fw_count16(&out->frames, 1);
    s->left = payload_size(s->head);
    s->got = 0;
    if (control) {
        fw_count16(&out->pings, 1);
        s->controls++;
    }
    s->small += s->left < FW_SOCKET_SMALL;
    int fast = s->small > FW_SOCKET_FRAMES || s->small_before > FW_SOCKET_FRAMES;
    int pings = s->controls > FW_SOCKET_CONTROLS || s->controls_before > FW_SOCKET_CONTROLS;
    if ((fast && s->left < FW_SOCKET_SMALL) || (pings && control))
        fw_count16(&out->fast, 1);
}

/* The next bytes of the client; 0 where they are no frames. */
static int feed(struct fw_socket *s, const uint8_t *p, uint32_t size, struct fw_message *out)
{
    for (uint32_t at = 0; at < size;) {
        if (s->left) {
            uint32_t n = s->left < size - at ? (uint32_t)s->left : size - at;
            s->left -= n;
            at += n;
            continue;
        }
        s->head[s->got++] = p[at++];
        unsigned need = s->got < 2 ? 2 : header_size(s->head[0], s->head[1]);
        if (need == 0)
            return 0;
        if (s->got >= 2 && s->got == need)
            count(s, out);
    }
    return 1;
}

/* Does the packet begin with a frame, and end with one? */
static int is_frames(const uint8_t *p, uint32_t size)
{
    uint32_t at = 0;
    while (size - at >= 2) {
        unsigned need = header_size(p[at], p[at + 1]);
        if (need == 0 || need > size - at || payload_size(p + at) > size - at - need)
            return 0;
        at += need + (uint32_t)payload_size(p + at);
    }
    return at == size && size > 0;
}

static void lose(struct fw_socket *s)
{
    s->state = FW_SOCKET_LOST;
    s->left = s->got = 0;
}

/* Which bytes of the packet are new; afterwards the next one is expected behind it. */
static uint32_t skip_old(struct fw_socket *s, const struct fw_packet *p, const uint8_t *payload)
{
    int32_t missing = (int32_t)(p->seq - s->next);
    if (missing < 0)
        return fw_min32(0u - (uint32_t)missing, p->captured);
    if (missing > 0 && s->left >= (uint32_t)missing)
        s->left -= (uint32_t)missing;
    else if (missing > 0)
        lose(s);
    if (s->state == FW_SOCKET_LOST) {
        if (!is_frames(payload, p->captured))
            return p->captured;
        s->state = FW_SOCKET_OPEN;
    }
    return 0;
}

static void hear_client(struct fw_socket *s, const struct fw_packet *p, const uint8_t *payload, struct fw_message *out)
{
    uint32_t old = skip_old(s, p, payload);
    int32_t ahead = (int32_t)(p->seq + p->payload - s->next);
    if (ahead <= 0)
        return;
    s->next += (uint32_t)ahead;
    tick(s, p->ts_ns);
    if (old == p->captured || s->state == FW_SOCKET_LOST)
        return;
    if (!feed(s, payload + old, p->captured - old, out))
        lose(s);
    uint32_t cut = p->payload - p->captured; /* by the capture */
    if (cut && s->left >= cut)
        s->left -= cut;
    else if (cut)
        lose(s);
}

int fw_socket_hear(struct fw_sockets *t, uint64_t flow, const struct fw_packet *p, const uint8_t *payload,
                   struct fw_message *out)
{
    struct fw_socket *s = find(t, flow);
    if (!s)
        return 0;
    memset(out, 0, sizeof *out);
    if (fw_flow_sender(p) != s->client)
        return s->state != FW_SOCKET_ASKED; /* the answer is still to be read */
    int asks = p->captured >= 4 && (memcmp(payload, "GET ", 4) == 0); /* again, or a new connection with these ports */
    if (asks || (s->state == FW_SOCKET_ASKED && !is_frames(payload, p->captured) && s->next == p->seq)) {
        s->state = FW_SOCKET_FREE;
        t->used--;
        return 0;
    }
    hear_client(s, p, payload, out);
    out->what = out->frames ? FW_WEBSOCKET : FW_SAID_NOTHING;
    return 1;
}
