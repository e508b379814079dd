/* A batch of decoded packets, with what applications said in them: merged by time, saved and loaded again. */
#ifndef FW_BATCH_H
#define FW_BATCH_H

#include "fw_message.h"
#include "fw_packet.h"

#define FW_MERGED 64u /* batches that are merged at once */

struct fw_batch {
    uint32_t count, capacity, message_count;
    uint32_t carriers;         /* of the packets: each stands before the one that it carries */
    struct fw_packet *packets; /* capacity + 1 entries: what fills the last one may be carried */
    struct fw_message *messages; /* capacity entries; texts point into the block that was decoded */
};

/* Forget what is in a batch. */
static inline void fw_batch_clear(struct fw_batch *b) { b->count = b->message_count = b->carriers = 0; }

/* Merge batches by packet time into `out`, whose messages point where theirs do: in[i] from at[i] on, equal times in
 * the order of the batches. Returns the number of a batch that is used up, or `count` when `out` is full. */
uint32_t fw_batch_merge(struct fw_batch *out, struct fw_batch *const *in, uint32_t *at, uint32_t count);

/* Bytes of all texts that the messages point to. */
size_t fw_batch_texts(const struct fw_batch *b);

/* Copy the messages, with offsets into `texts` for pointers, and their texts one behind the other. `messages` has room
 * for message_count, `texts` for fw_batch_texts(b) bytes. */
void fw_batch_save(const struct fw_batch *b, struct fw_message *messages, uint8_t *texts);

/* Take over the packets and messages that lie in a batch as they were saved, hashed anew under the hasher's key;
 * `texts` has to outlive the batch. Returns 0, or FW_BAD_RECORD with one sentence in *why, a string constant: nothing of
 * the batch may be used then. A packet whose message is not there keeps none. */
int fw_batch_load(struct fw_batch *b, const uint8_t *texts, size_t size, struct fw_hasher *hasher, const char **why);

#endif
