#include "fw_peers.h"

void fw_peers_close_epoch(struct fw_peers *t, uint64_t silent)
{
    if (++t->epochs < FW_PEERS_EPOCHS && silent < FW_PEERS_EPOCHS)
        return;
    t->now ^= 1u;
    memset(t->bits[t->now], 0, sizeof t->bits[0]);
    t->noted = t->epochs = 0;
}
