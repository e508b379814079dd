#include "fw_segment.h"

#include "fw_flow.h"

#define NG_SIMPLE 3u /* a packet block without a captured length */

void fw_segments_init(struct fw_segments *s, const struct fw_key *key)
{
    memset(s, 0, sizeof *s);
    s->hasher.key = *key;
    fw_walker_init(&s->walker);
}

static uint32_t word(const struct fw_walker *w, const uint8_t *p)
{
    uint32_t value = fw_load32(p);
    return w->swapped ? __builtin_bswap32(value) : value;
}

/* Only of these can lengths be written anew. */
static int rewritable(const struct fw_walker *w, const uint8_t *record)
{
    return w->format == FW_FORMAT_PCAP || (w->format == FW_FORMAT_PCAPNG && word(w, record) != NG_SIMPLE);
}

static int begins_hello(const uint8_t *p, uint32_t n)
{
    return n >= 6 && p[0] == 22 && p[1] == 3 && p[2] <= 4 && p[5] == 1;
}

/* Is the length of the IP packet told by nothing that stands before it? */
static int plain_link(const struct fw_frame *f, const struct fw_cursor *c, uint16_t type)
{
    const uint8_t *ip = c->p;
    uint32_t padded = f->len - (uint32_t)(ip - f->data);
    return c->wire == padded && (f->linktype != FW_LINK_ETHERNET || fw_be16(ip - 2) == type);
}

static int take(struct fw_segments *s, const struct fw_frame *f, struct fw_segment *out)
{
    struct fw_cursor c = {f->data, f->caplen, f->len, 0};
    struct fw_packet p;
    const uint8_t *payload = NULL;
    uint16_t type = 0;
    if (fw_packet_decode(&s->hasher, f, &p, &payload) || p.kind > FW_TCP_ODD || p.bits & FW_MORE_FRAGMENTS ||
        fw_link_strip(f->linktype, &c, &type) || !plain_link(f, &c, type) || payload > f->data + f->caplen)
        return 0;
    if (type == FW_TYPE_IPV6 && c.p[6] != 6) /* extension headers: where TCP begins would have to be looked for */
        return 0;
    out->ts_ns = f->ts_ns;
    out->flow = fw_flow_hash(&p);
    out->src = p.src;
    out->dst = p.dst;
    out->seq = p.seq;
    out->ack = p.ack;
    out->ip = (uint32_t)(c.p - f->data);
    out->payload = (uint32_t)(payload - f->data);
    out->captured = p.captured;
    out->wire = p.payload;
    out->sport = p.sport;
    out->dport = p.dport;
    out->flags = p.tcp_flags;
    out->v6 = type == FW_TYPE_IPV6;
    out->hello = (uint8_t)begins_hello(payload, p.captured);
    out->unused = 0;
    return 1;
}

/* Note the body of a block that is no packet, if it holds secrets. */
static int is_secret(struct fw_segments *s, const uint8_t *block, size_t before, size_t after)
{
    if (s->walker.format != FW_FORMAT_PCAPNG || after - before < 12 || word(&s->walker, block + before) != FW_SECRETS_BLOCK)
        return 0;
    s->secrets = before + 8;
    s->secrets_size = after - before - 12;
    return 1;
}

int fw_segments_list(struct fw_segments *s, const uint8_t *block, size_t size, size_t *pos, struct fw_segment *out,
                     uint32_t most, uint32_t *count)
{
    struct fw_frame f = {0};
    s->secrets_size = 0;
    *count = 0;
    while (*count < most) {
        size_t before = *pos;
        int rc = fw_walker_next(&s->walker, block, size, pos, &s->need, &f);
        if (rc < 0)
            return rc;
        if (rc == 0 && is_secret(s, block, before, *pos))
            return 0;
        if (rc == 0 || !rewritable(&s->walker, block + before) || !take(s, &f, &out[*count]))
            continue;
        struct fw_segment *one = &out[(*count)++];
        one->record = (uint32_t)before;
        one->size = (uint32_t)(*pos - before);
        one->frame = (uint32_t)(f.data - (block + before));
        one->ip += one->frame;
        one->payload += one->frame;
    }
    return 0;
}
