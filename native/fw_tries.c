#include "fw_tries.h"

static struct fw_try *place(struct fw_tries *t, uint64_t source, uint64_t host, uint16_t port)
{
    uint32_t group = (uint32_t)(source & 7u) * 0x9e37u;
    return &t->held[(port ^ (uint32_t)(host >> 32) ^ group) & (FW_TRIES_SLOTS - 1)];
}

static uint32_t identity(uint64_t source, uint64_t host, uint16_t port)
{
    return (uint32_t)((source + FW_ROTL(host, 23)) >> 24) ^ port * 0x9e3779b1u;
}

const struct fw_try *fw_tries_note(struct fw_tries *t, const struct fw_packet *p, uint64_t epoch)
{
    struct fw_try *f = place(t, p->sender_hash, p->dst_hash, p->dport);
    uint32_t who = identity(p->sender_hash, p->dst_hash, p->dport), now = (uint32_t)epoch;
    if (f->who != who || !f->tries || now - f->epoch > FW_TRIES_EPOCHS) {
        *f = (struct fw_try){who, now, 1, 0, 0};
        return f;
    }
    f->epoch = now;
    f->tries = f->tries < FW_TRIES_MOST ? (uint16_t)(f->tries + 1u) : f->tries;
    return f;
}

void fw_tries_answer(struct fw_tries *t, const struct fw_packet *p)
{
    struct fw_try *f = place(t, p->dst_hash, p->sender_hash, p->sport);
    if (f->who == identity(p->dst_hash, p->sender_hash, p->sport))
        f->answered = 1;
}

void fw_tries_serve(struct fw_tries *t, const struct fw_packet *p)
{
    struct fw_try *f = place(t, p->sender_hash, p->dst_hash, p->dport);
    if (f->who == identity(p->sender_hash, p->dst_hash, p->dport))
        f->served = 1;
}

void fw_tries_observe(struct fw_tries *t, const struct fw_packet *p, enum fw_flow_news news, uint64_t epoch,
                      struct fw_slot *to, const struct fw_slot *from)
{
    if (p->kind != FW_SYN && from)
        fw_tries_answer(t, p);
    if (p->kind != FW_SYN || !to || news == FW_FLOW_AGAIN_SYN || news == FW_FLOW_COPIED_SYN)
        return;
    const struct fw_try *tried = fw_tries_note(t, p, epoch);
    if (tried->served)
        return;
    to->v.syn_tried += tried->tries > 1;
    to->v.syn_tried_often += tried->tries > 2;
    to->v.syn_tried_in_vain += tried->answered;
}
