#include "fw_ring.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>

#define FRAME_HEADER (sizeof(struct tpacket3_hdr) + sizeof(struct sockaddr_ll))
#define VNET_HEADER 10u /* struct virtio_net_hdr: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset */
#define VNET_GSO_SIZE 4u
#define TAG 4u
#define MOST_SEGMENTS 1024u /* the largest merged frames hold 512 KiB (BIG TCP); what claims more is one packet */
#define LINKTYPE_EN10MB 1u
#define LINKTYPE_RAW 101u
#define LINKTYPE_NONE UINT16_MAX /* the decoder rejects it by name */

static uint16_t linktype_of(uint16_t hardware)
{
    switch (hardware) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        return LINKTYPE_EN10MB;
    case ARPHRD_NONE: /* tun, WireGuard */
    case ARPHRD_RAWIP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
        return LINKTYPE_RAW;
    default:
        return LINKTYPE_NONE;
    }
}

/* The kernel keeps a tag beside the frame; there is room for it in front, where the virtio-net header ended. */
static void put_tag_back(struct fw_frame *f, uint8_t *data, const struct tpacket3_hdr *h)
{
    uint16_t tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->hv1.tp_vlan_tpid : 0x8100u;
    uint16_t tci = (uint16_t)h->hv1.tp_vlan_tci;
    uint8_t tag[TAG] = {(uint8_t)(tpid >> 8), (uint8_t)tpid, (uint8_t)(tci >> 8), (uint8_t)tci};
    memmove(data - TAG, data, 12);
    memcpy(data - TAG + 12, tag, TAG);
    f->data = data - TAG;
    f->caplen += TAG;
    f->len += TAG;
}

static void describe(uint8_t *at, const struct tpacket3_hdr *h, struct fw_frame *f, uint32_t *segment_size, int *echo)
{
    struct sockaddr_ll from;
    uint8_t *data = at + h->tp_mac;
    memcpy(&from, at + sizeof *h, sizeof from);
    f->data = data;
    f->ts_ns = (uint64_t)h->tp_sec * 1000000000u + h->tp_nsec;
    f->caplen = h->tp_snaplen;
    f->len = h->tp_len < h->tp_snaplen ? h->tp_snaplen : h->tp_len;
    f->linktype = linktype_of(from.sll_hatype);
    f->point = (uint32_t)from.sll_ifindex << 3 | (from.sll_pkttype & 7u);
    *echo = from.sll_hatype == ARPHRD_LOOPBACK && from.sll_pkttype == PACKET_OUTGOING;
    uint16_t size;
    memcpy(&size, data - VNET_HEADER + VNET_GSO_SIZE, sizeof size);
    *segment_size = data[1 - (int)VNET_HEADER] ? size : 0;
    if (h->tp_status & TP_STATUS_VLAN_VALID && f->linktype == LINKTYPE_EN10MB && f->caplen >= 14)
        put_tag_back(f, data, h);
}

int fw_ring_next(struct fw_ring *r, struct fw_frame *out, uint32_t *segment_size, int *echo)
{
    struct tpacket3_hdr h;
    uint8_t *block = r->blocks + r->current * r->block_size;
    if (r->left == 0)
        return 0;
    if (r->at < sizeof(struct tpacket_block_desc) || r->at > r->block_size || r->block_size - r->at < FRAME_HEADER)
        return FW_BAD_BLOCK;
    memcpy(&h, block + r->at, sizeof h);
    size_t room = r->block_size - r->at;
    if (h.tp_mac < FRAME_HEADER + VNET_HEADER || h.tp_mac > room || h.tp_snaplen > room - h.tp_mac)
        return FW_BAD_BLOCK;
    if (r->left > 1 && (h.tp_next_offset < h.tp_mac + h.tp_snaplen || h.tp_next_offset > room))
        return FW_BAD_BLOCK; /* frames would overlap, or the walk stand still */
    describe(block + r->at, &h, out, segment_size, echo);
    r->at += h.tp_next_offset;
    r->left--;
    r->frames++;
    return 1;
}

static struct tpacket_block_desc *descriptor(const struct fw_ring *r, uint32_t index)
{
    return (struct tpacket_block_desc *)(void *)(r->blocks + index * r->block_size);
}

static int is_ours(const struct tpacket_block_desc *block)
{
    return (__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) != 0;
}

uint32_t fw_ring_waiting(const struct fw_ring *r)
{
    uint32_t count = 0;
    while (count < r->block_count && is_ours(descriptor(r, (r->current + count) % r->block_count)))
        count++;
    return count;
}

static void give_back(struct fw_ring *r)
{
    __atomic_store_n(&descriptor(r, r->current)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    r->current = (r->current + 1) % r->block_count;
    r->open = 0;
    r->left = 0;
}

static int open_block(struct fw_ring *r)
{
    struct tpacket_block_desc *block = descriptor(r, r->current);
    if (!is_ours(block))
        return 0;
    r->left = block->hdr.bh1.num_pkts;
    r->at = block->hdr.bh1.offset_to_first_pkt;
    r->open = 1;
    return 1;
}

/* Put segments of a merged frame into the batch: equal headers, following sequence numbers. */
static void put_segments(struct fw_ring *r, struct fw_decoder *d, struct fw_batch *b)
{
    while (r->rest && b->count < b->capacity) {
        struct fw_packet *p = &r->segment;
        p->seq += p->payload;
        p->payload = fw_min32(p->payload, r->rest);
        p->bytes = r->segment_headers + p->payload;
        r->rest -= p->payload;
        b->packets[b->count++] = *p;
        d->frames++;
        d->bytes += r->segment_headers;
    }
}

/* The batch's newest packet is a merged frame: make it the first of its segments, and keep the others. */
static void split(struct fw_ring *r, struct fw_decoder *d, struct fw_batch *b, uint32_t segment_size)
{
    struct fw_packet *p = &b->packets[b->count - 1];
    if (segment_size == 0 || p->payload <= segment_size || p->payload / segment_size >= MOST_SEGMENTS)
        return;
    r->segment_headers = p->bytes > p->payload ? p->bytes - p->payload : 0;
    r->rest = p->payload - segment_size;
    p->payload = segment_size;
    p->bytes = r->segment_headers + segment_size;
    p->captured = (uint16_t)fw_min32(p->captured, segment_size);
    r->segment = *p;
    r->segment.message = 0; /* what the application said was said once */
    put_segments(r, d, b);
}

int fw_ring_fill(struct fw_ring *r, struct fw_decoder *d, int64_t shift_ns, struct fw_batch *b)
{
    struct fw_frame frame;
    uint32_t segment_size = 0;
    int rc = 1, echo = 0;
    fw_batch_clear(b);
    put_segments(r, d, b);
    if (r->open && r->left == 0 && r->rest == 0)
        give_back(r);
    if (!r->open && !open_block(r))
        return b->count != 0;
    while (b->count < b->capacity && (rc = fw_ring_next(r, &frame, &segment_size, &echo)) == 1) {
        uint32_t before = b->count;
        if (echo)
            continue;
        frame.ts_ns -= (uint64_t)shift_ns;
        fw_decoder_take(d, &frame, b);
        if (b->count == before)
            continue;
        if (r->tail)
            fw_tail_keep(r->tail, &frame, r->tail_interface + (frame.linktype == LINKTYPE_RAW));
        split(r, d, b, segment_size);
    }
    if (rc == FW_BAD_BLOCK) {
        r->damaged++;
        r->left = 0;
    }
    return 1;
}
