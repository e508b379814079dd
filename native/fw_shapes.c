/* What is counted of sealed connections towards a victim. */
#include "fw_victim.h"

static void count_shape(struct fw_sealed_count *c, const struct fw_exchange *x)
{
    struct fw_shape_count *b = &c->shapes[x->shape >> 1 & (FW_SHAPES - 1)];
    b->exchanges++;
    fw_elect(&b->hash, &b->vote, x->shape, 1);
    c->exchanges++;
    c->answered += x->answer;
}

void fw_victim_sealed(struct fw_slot *s, const struct fw_packet *p, const struct fw_exchange *x)
{
    struct fw_sealed_count *c = &s->v.sealed[x->quic];
    s->wrote |= 1u << FW_CLASS_SEALED;
    c->bytes += x->bytes;
    c->hellos += x->hello;
    c->finished += x->finished;
    c->first += x->first;
    c->turns += x->turn;
    c->records += x->records;
    c->least += x->asked.least;
    c->most += x->asked.most;
    c->small += x->small;
    if (x->ended)
        count_shape(c, x);
    if (x->turn)
        fw_hll_add(s->v.sources[FW_CLASS_SEALED], FW_HLL_P, p->src_hash);
    if (x->turn || x->hello)
        fw_elect(&c->port, &c->port_vote, p->dport, 1);
}
