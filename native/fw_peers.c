#include "fw_peers.h"

void fw_peers_close_epoch(struct fw_peers *t, uint64_t silent)
{
    if (++t->epochs < FW_PEERS_EPOCHS && silent < FW_PEERS_EPOCHS)
        return;
    memcpy(t->before, t->now, sizeof t->before);
    memset(t->now, 0, sizeof t->now);
    t->noted = t->epochs = 0;
}
