/* The set of sketches of one analysis: observe packets, close epochs, summarise.
 *
 * Single writer. Packets arrive in batches (decoded, hashed and stamped by fw_decoder_fill); the engine stops
 * at the first packet that belongs to a later epoch, so that the caller can read the summary first. Packet
 * time is the only clock.
 *
 * Memory is fixed: about 2 MiB count-min, 1.4 MiB heavy hitters, 1 MiB handshakes, 0.8 MiB connections of proxies,
 * 1.9 MiB sealed connections, 0.25 MiB peers, 0.75 MiB ports that were tried, 0.75 MiB held connections, 16.8 MiB victim
 * slots. */
#ifndef FW_EPOCH_H
#define FW_EPOCH_H

#include "fw_batch.h"
#include "fw_carried.h"
#include "fw_countmin.h"
#include "fw_flow.h"
#include "fw_held.h"
#include "fw_hellos.h"
#include "fw_peers.h"
#include "fw_sealed.h"
#include "fw_topk.h"
#include "fw_tries.h"
#include "fw_victim.h"

#define FW_EPOCH_NS 250000000ULL
#define FW_GAP_EPOCHS 60u     /* a longer silence closes the windows once */
#define FW_WINDOW_EPOCHS 32u  /* a heavy-hitter window: 8 s, or the first epoch end after ... */
#define FW_WINDOW_PACKETS (1u << 20)
#define FW_MUTE_EPOCHS 4u      /* how often connections that ask for nothing are looked for */
#define FW_TOTAL_HLL_P 12u    /* distinct sources of the whole capture: 1.6 % */
#define FW_BEHIND_NS 1000000000ULL /* older than this is another clock, not reordering ... */
#define FW_BEHIND_RUN 64u     /* ... once so many packets in a row say so */

struct fw_engine {
    uint64_t epoch;            /* number since 1970 of the open epoch */
    uint64_t epoch_packets, epoch_bytes;
    uint64_t epoch_kinds[FW_KINDS]; /* packets of the open epoch; CARRIER is none of epoch_packets */
    uint64_t first_ns, last_ns; /* of the open epoch */
    uint64_t gap;              /* epochs without a packet before the open one; UINT64_MAX after a time step */
    uint64_t window_packets, late;
    struct fw_hellos *hellos;  /* gets a sample of the ClientHellos; NULL: nobody asks for them */
    int fractions;             /* a time stamp was no whole second */
    uint32_t window_epochs, behind_run;
    uint8_t started;
    uint8_t total_sources[1 << FW_TOTAL_HLL_P];
    struct fw_countmin pairs;  /* (source, victim) */
    struct fw_topk heavy;
    struct fw_flows flows;
    struct fw_carried carried;
    struct fw_peers peers;
    struct fw_tries tries;
    struct fw_helds held;
    struct fw_sealed sealed;
    struct fw_victims victims;
};

/* Count batch->packets[start..] up to the end of the open epoch. Returns how many were taken; fewer than
 * there are means: close the epoch, then go on. */
uint32_t fw_engine_observe(struct fw_engine *e, const struct fw_batch *batch, uint32_t start);

/* Will closing the open epoch also end (and clear) the heavy-hitter window? */
int fw_engine_window_ends(const struct fw_engine *e, const struct fw_packet *next);

/* Epochs between the open one and that of a packet, of which no packet is known; UINT64_MAX where it lies behind. */
uint64_t fw_engine_gap(const struct fw_engine *e, const struct fw_packet *next);

/* Close the open epoch after its summary was read; `next` is the first packet of the next one, or NULL. */
void fw_engine_close_epoch(struct fw_engine *e, const struct fw_packet *next);

void fw_engine_init(struct fw_engine *e);

/* The pair hash under which a source's traffic to a victim is counted: what it sends itself ... */
static inline uint64_t fw_pair_hash(uint64_t src_hash, uint64_t dst_hash)
{
    return fw_mix64(src_hash + FW_ROTL(dst_hash, 23));
}

/* ... and what a proxy sends for it. */
static inline uint64_t fw_client_pair(uint64_t client_hash, uint64_t dst_hash)
{
    return fw_mix64(fw_pair_hash(client_hash, dst_hash) ^ 0x666f727761726465ULL);
}

#endif
