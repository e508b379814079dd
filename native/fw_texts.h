/* Paths that do not stand in the payload of their packet: put together from several, or told by compressed headers.
 *
 * A message points into `log`, which holds the newest FW_TEXTS_LOG bytes: more than the messages of one batch need, so
 * that none is overwritten before it is counted. `known` finds the text of a path again by its hash; the newest wins a
 * place, and a path whose text is lost is counted by its hash alone. */
#ifndef FW_TEXTS_H
#define FW_TEXTS_H

#include "fw_message.h"

#define FW_TEXTS_LOG (2u << 20) /* 128 bytes for each of 16,384 messages: twice the largest batch */
#define FW_TEXTS_KNOWN 1024u

struct fw_texts {
    uint32_t at;
    uint8_t log[FW_TEXTS_LOG];
    struct fw_known_text {
        uint64_t hash;
        uint8_t length, text[FW_PATH_MAX];
    } known[FW_TEXTS_KNOWN];
};

/* Copy a path of n <= FW_PATH_MAX bytes; the copy is good until the log has gone round. */
static inline const uint8_t *fw_texts_keep(struct fw_texts *t, const uint8_t *path, uint32_t n)
{
    t->at = t->at + n <= FW_TEXTS_LOG ? t->at : 0;
    uint8_t *to = t->log + t->at;
    if (n)
        memcpy(to, path, n);
    t->at += n;
    return to;
}

static inline struct fw_known_text *fw_texts_known(struct fw_texts *t, uint64_t hash)
{
    return &t->known[hash >> 32 & (FW_TEXTS_KNOWN - 1)];
}

#endif
