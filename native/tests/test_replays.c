/* Datagrams that come back: what a mirror shows, what chance brings, what nobody but a loop sends. */
#include "check.h"
#include "make.h"
#include "../fw_replays.h"


static struct fw_replays *replays;
static const uint8_t SAID[16] = "as it was said.";

/* A datagram with an identification, at a time in ticks. */
static int seen(uint32_t identification, uint64_t tick, const uint8_t *said)
{
    struct fw_packet p = packet(FW_UDP, 0x0a000001u, 514, 0xc6336407u, 514);
    p.ack = identification;
    p.payload = p.captured = sizeof SAID;
    p.ts_ns = tick << FW_REPLAYS_TICK;
    int told = fw_replays_seen(replays, &p, said);
    CHECK_EQUAL(p.ack, 0);
    return told;
}

static void test_copies(void)
{
    memset(replays, 0, sizeof *replays);
    for (unsigned i = 0; i <= FW_REPLAYS_COPIES; i++)
        CHECK_EQUAL(seen(7, 1000 + i, SAID), 0);
    CHECK_EQUAL(seen(7, 1000 + FW_REPLAYS_COPIES + 1, SAID), 1);
    CHECK_EQUAL(seen(7, 1000 + 200, SAID), 1);
    CHECK_EQUAL(seen(8, 1000 + 200, SAID), 0);
}

static void test_hosts_say_things_again(void)
{
    memset(replays, 0, sizeof *replays);
    uint8_t other[16] = "and not so again";
    CHECK_EQUAL(seen(0, 1000, SAID), 0);
    CHECK_EQUAL(seen(0, 1100, SAID), 0);
    CHECK_EQUAL(seen(9, 1000, SAID), 0);
    CHECK_EQUAL(seen(9, 1100, other), 0);
    CHECK_EQUAL(seen(10, 1000, SAID), 0);
    CHECK_EQUAL(seen(10, 1000 + FW_REPLAYS_REACH, SAID), 0);
    CHECK_EQUAL(seen(10, 1000 + FW_REPLAYS_REACH + 100, SAID), 1);
}

int main(void)
{
    replays = calloc(1, sizeof *replays);
    if (!replays)
        return 2;
    test_copies();
    test_hosts_say_things_again();
    free(replays);
    return finish("replays");
}
