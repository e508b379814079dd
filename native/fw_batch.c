#include "fw_batch.h"

#include "fw_forward.h"

uint32_t fw_batch_merge(struct fw_batch *out, struct fw_batch *const *in, uint32_t *at, uint32_t count)
{
    fw_batch_clear(out);
    for (;;) {
        uint32_t first = count;
        for (uint32_t i = 0; i < count; i++) {
            if (at[i] >= in[i]->count)
                return i;
            if (first == count || in[i]->packets[at[i]].ts_ns < in[first]->packets[at[first]].ts_ns)
                first = i;
        }
        int carries = out->count && out->packets[out->count - 1].kind == FW_CARRIER;
        if (first == count || out->count >= out->capacity + (uint32_t)carries) /* one slot more for what is carried */
            return count;
        const struct fw_packet *p = &in[first]->packets[at[first]];
        struct fw_packet *to = &out->packets[out->count++];
        *to = *p;
        out->carriers += p->kind == FW_CARRIER;
        if (p->message) {
            out->messages[out->message_count] = in[first]->messages[p->message - 1];
            to->message = ++out->message_count;
        }
        at[first]++;
    }
}

size_t fw_batch_texts(const struct fw_batch *b)
{
    size_t size = 0;
    for (uint32_t i = 0; i < b->message_count; i++)
        size += b->messages[i].path ? b->messages[i].path_len : 0;
    return size;
}

void fw_batch_save(const struct fw_batch *b, struct fw_message *messages, uint8_t *texts)
{
    size_t at = 0;
    for (uint32_t i = 0; i < b->message_count; i++) {
        struct fw_message *m = &messages[i];
        *m = b->messages[i];
        m->whole = NULL;
        m->path_len = m->path ? m->path_len : 0;
        if (m->path_len)
            memcpy(texts + at, m->path, m->path_len);
        m->path = (const uint8_t *)at;
        at += m->path_len;
    }
}

/* Turn a message's offset into a pointer, and hash it anew. The hash of a DNS name stays: of the name only the zone is kept. */
static int load_message(struct fw_message *m, const uint8_t *texts, size_t size, const struct fw_key *key)
{
    size_t at = (size_t)m->path;
    if (at > size || m->path_len > size - at || m->path_len > FW_PATH_MAX)
        return FW_BAD_RECORD;
    m->path = texts + at;
    m->whole = NULL;
    if (m->what == FW_HTTP_REQUEST && m->path_len)
        m->path_hash = fw_http_hash(key, m->path, m->path_len);
    if (m->via)
        m->client_hash = fw_forward_hash(key, m->client_hi, m->client_lo);
    m->via = m->via <= FW_VIA_LINE ? m->via : FW_VIA_NOBODY;
    m->query_bit &= 63; /* both are shifted by */
    m->name_bit &= 63;
    return 0;
}

int fw_batch_load(struct fw_batch *b, const uint8_t *texts, size_t size, struct fw_hasher *hasher, const char **why)
{
    for (uint32_t i = 0; i < b->message_count; i++) {
        if (load_message(&b->messages[i], texts, size, &hasher->key) != 0) {
            *why = "a message reaches beyond its texts";
            return FW_BAD_RECORD;
        }
    }
    for (uint32_t i = 0; i < b->count; i++) {
        struct fw_packet *p = &b->packets[i];
        if (p->kind >= FW_KINDS) {
            *why = "a packet of no known kind";
            return FW_BAD_RECORD;
        }
        p->message = p->message <= b->message_count ? p->message : 0;
        fw_packet_hash(hasher, p);
    }
    return 0;
}
