#include "fw_tail.h"

#define PACKET_BLOCK 6u
#define AROUND 32u /* bytes of a block around its frame */

static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }

/* A new epoch: keep one frame in as many as the last one had too many. */
static void begin_slot(struct fw_tail *t, uint64_t slot)
{
    t->every = 1 + t->frames / (t->budget ? t->budget : 1);
    t->slot = slot;
    t->frames = t->kept = 0;
}

static uint8_t *make_room(struct fw_tail *t, uint32_t size, uint64_t now_ns)
{
    unsigned c = t->current;
    int old = t->used[c] && now_ns - t->began_ns > FW_TAIL_NS;
    if (old || size > t->room - t->used[c]) {
        c = t->current = !c;
        t->used[c] = 0;
    }
    if (t->used[c] == 0)
        t->began_ns = now_ns;
    uint8_t *at = t->halves[c] + t->used[c];
    t->used[c] += size;
    return at;
}

void fw_tail_keep(struct fw_tail *t, const struct fw_frame *f, uint32_t interface)
{
    uint64_t slot = f->ts_ns / FW_TAIL_SLOT_NS;
    if (slot != t->slot || t->every == 0)
        begin_slot(t, slot);
    uint32_t caplen = fw_min32(f->caplen, t->most), padded = (caplen + 3) & ~3u;
    if (t->frames++ % t->every || t->kept >= 4 * t->budget || caplen > t->room || padded + AROUND > t->room)
        return;
    t->kept++;
    uint32_t size = padded + AROUND;
    uint8_t *at = make_room(t, size, f->ts_ns);
    put32(at, PACKET_BLOCK);
    put32(at + 4, size);
    put32(at + 8, interface);
    put32(at + 12, (uint32_t)(f->ts_ns >> 32));
    put32(at + 16, (uint32_t)f->ts_ns);
    put32(at + 20, caplen);
    put32(at + 24, f->len);
    memcpy(at + 28, f->data, caplen);
    memset(at + 28 + caplen, 0, padded - caplen);
    put32(at + size - 4, size);
}

void fw_tail_clear(struct fw_tail *t) { t->used[0] = t->used[1] = 0; }
