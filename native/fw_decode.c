#include "fw_decode.h"

void fw_decoder_init(struct fw_decoder *d, const struct fw_key *key)
{
    memset(d, 0, offsetof(struct fw_decoder, follow));
    fw_follow_clear(&d->follow);
    d->hasher.key = *key;
    d->first_ns = d->unwanted_first_ns = d->last_allowed_ns = UINT64_MAX;
    fw_walker_init(&d->walker);
}

static void note_linktype(struct fw_decoder *d, uint16_t linktype)
{
    for (uint32_t i = 0; i < d->linktype_count; i++)
        if (d->linktypes[i] == linktype)
            return;
    if (d->linktype_count < FW_LINKTYPES_SEEN)
        d->linktypes[d->linktype_count++] = linktype;
}

/* No program (NULL): the expression cannot match on this link type. A link type that is not in the table passes,
 * for the decoder rejects it by name. */
static int wanted(const struct fw_filter *f, const struct fw_frame *frame)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->linktypes[i] == frame->linktype)
            return f->programs[i] && f->run(f->programs[i], frame->data, frame->len, frame->caplen) != 0;
    return 1;
}

static void account(struct fw_decoder *d, struct fw_frame *f)
{
    d->frames++;
    d->bytes += f->len;
    d->first_ns = f->ts_ns < d->first_ns ? f->ts_ns : d->first_ns;
    d->last_ns = f->ts_ns > d->last_ns ? f->ts_ns : d->last_ns;
    if (FW_UNLIKELY(d->linktype_count == 0 || d->linktypes[0] != f->linktype))
        note_linktype(d, f->linktype);
}

/* What the application said, told by the ports only where the bytes alone would not do. */
static int listen(struct fw_decoder *d, const struct fw_packet *p, const uint8_t *payload, struct fw_message *out)
{
    if (FW_LIKELY(p->kind <= FW_TCP_ODD))
        return fw_follow_hear(&d->follow, &d->hasher.key, d->named, p, payload, out);
    if (p->kind != FW_UDP)
        return FW_SAID_NOTHING;
    if (p->dport == 53 || p->sport == 53)
        return fw_dns_parse(&d->hasher.key, payload, p->captured, out);
    return p->dport == 443 || p->sport == 443 ? fw_quic_parse(payload, p->captured, out) : FW_SAID_NOTHING;
}

/* Put the packet that another one carries behind it; 0 when it carries none. */
static int decode_inner(struct fw_decoder *d, struct fw_batch *b, struct fw_packet *outer, const uint8_t **payload)
{
    int reject;
    unsigned tunnel = fw_packet_inner(&d->hasher, outer, outer + 1, payload, &reject);
    if (!tunnel)
        return 0;
    if (reject)
        d->rejected[reject - 1]++;
    outer->kind = FW_CARRIER;
    outer[1].ts_ns = outer->ts_ns;
    outer[1].bytes = outer->bytes;
    d->tunnelled[tunnel]++;
    b->carriers++;
    b->count++;
    return 1;
}

/* Count a frame that cannot be decoded; of what is no IP note what most of it is. */
static void reject(struct fw_decoder *d, const struct fw_frame *f, int reason)
{
    d->rejected[reason - 1]++;
    if (reason != 1 + FW_REJECT_NOT_IP)
        return;
    struct fw_cursor c = {f->data, f->caplen, f->len, 0};
    uint16_t type = 0;
    (void)fw_link_strip(f->linktype, &c, &type);
    if (d->unread_vote == 0)
        d->unread_type = type;
    d->unread_vote += d->unread_type == type ? 1 : -1;
}

/* The packet, or what it carries, was sent before. */
static void mark_replay(struct fw_decoder *d, struct fw_packet *p, const uint8_t *payload)
{
    if (fw_replays_seen(&d->replays, p, payload))
        p->bits |= FW_REPLAYED;
}

static void leave_out(struct fw_decoder *d, const struct fw_frame *f)
{
    d->filtered++;
    d->unwanted_first_ns = f->ts_ns < d->unwanted_first_ns ? f->ts_ns : d->unwanted_first_ns;
    d->unwanted_last_ns = f->ts_ns > d->unwanted_last_ns ? f->ts_ns : d->unwanted_last_ns;
}

/* Returns 0 for a packet that was counted at another point, or that nobody wants. */
static int decode(struct fw_decoder *d, const struct fw_frame *f, struct fw_batch *b)
{
    struct fw_packet *p = &b->packets[b->count];
    const uint8_t *payload = NULL;
    int reason = fw_packet_decode(&d->hasher, f, p, &payload);
    if (FW_UNLIKELY(reason)) {
        reject(d, f, reason);
        if (p->kind != FW_MALFORMED)
            return 1;
    }
    uint32_t point = d->points ? fw_point_of(f) : 0;
    if (point && fw_points_elsewhere(d->points, p, payload, f->ts_ns, point)) {
        d->elsewhere++;
        return 0;
    }
    p->ts_ns = f->ts_ns;
    p->bytes = f->len;
    uint32_t carried = 0;
    if (FW_UNLIKELY(p->kind >= FW_UDP)) {
        mark_replay(d, p, payload);
        carried = (uint32_t)decode_inner(d, b, p, &payload);
        p += carried;
        if (carried && p->kind >= FW_UDP)
            mark_replay(d, p, payload);
    }
    if (FW_UNLIKELY(d->only.held != NULL) && !fw_hosts_hold(&d->only, &p->src) && !fw_hosts_hold(&d->only, &p->dst)) {
        b->count -= carried;
        b->carriers -= carried;
        leave_out(d, f);
        return 0;
    }
    if (p->captured) {
        if (listen(d, p, payload, &b->messages[b->message_count]) != FW_SAID_NOTHING)
            p->message = ++b->message_count;
        if (FW_UNLIKELY(d->hellos != NULL))
            fw_hellos_take(d->hellos, p, payload, b->count - b->carriers);
    }
    b->count++;
    return 1;
}

void fw_decoder_take(struct fw_decoder *d, struct fw_frame *frame, struct fw_batch *b)
{
    if (FW_UNLIKELY(frame->ts_ns == 0)) /* a simple packet block has no time of its own */
        frame->ts_ns = d->previous_ns;
    d->previous_ns = frame->ts_ns;
    if (FW_UNLIKELY(frame->ts_ns < d->since_ns || frame->ts_ns > d->last_allowed_ns) ||
        (FW_UNLIKELY(d->filter.run != NULL) && !wanted(&d->filter, frame))) {
        leave_out(d, frame);
        return;
    }
    if (FW_UNLIKELY(d->twins != NULL) && fw_twins_seen(d->twins, &d->hasher.key, frame)) {
        d->duplicates++;
        return;
    }
    if (FW_LIKELY(decode(d, frame, b)))
        account(d, frame);
}

int fw_decoder_fill(struct fw_decoder *d, const uint8_t *block, size_t size, size_t *pos, struct fw_batch *b)
{
    struct fw_frame frame = {0};
    size_t need = 0;
    fw_batch_clear(b);
    while (b->count < b->capacity) {
        size_t before = *pos;
        int rc = fw_walker_next(&d->walker, block, size, pos, &need, &frame);
        if (FW_UNLIKELY(rc < 0)) {
            d->need = need;
            return rc;
        }
        d->offset += *pos - before;
        if (FW_LIKELY(rc != 0))
            fw_decoder_take(d, &frame, b);
    }
    d->frame = frame;
    return 0;
}
