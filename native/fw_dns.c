#include "fw_message.h"

#define NAME_MAX_BYTES 255u
#define LABEL_MAX 63u

/* Case does not matter in names (RFC 4343), so it must not in their hashes. */
static uint64_t hash_name(const struct fw_key *key, const uint8_t *name, uint32_t n)
{
    uint64_t words[NAME_MAX_BYTES / 8 + 2] = {0};
    uint8_t *to = (uint8_t *)words;
    for (uint32_t i = 0; i < n; i++)
        to[i] = (uint8_t)(name[i] | (name[i] >= 'A' && name[i] <= 'Z' ? 0x20 : 0));
    unsigned count = (n + 7) / 8;
    words[count] = n;
    return fw_siphash13(key, words, count + 1);
}

/* Bytes of the name at p, its end included, or 0 when it is cut, too long or compressed. */
static uint32_t name_length(const uint8_t *p, uint32_t size)
{
    for (uint32_t at = 0; at < size && at < NAME_MAX_BYTES;) {
        uint32_t label = p[at];
        if (label == 0)
            return at + 1;
        if (label > LABEL_MAX)
            return 0;
        at += label + 1;
    }
    return 0;
}

int fw_dns_parse(const struct fw_key *key, const uint8_t *p, uint32_t size, struct fw_message *out)
{
    if (size < 17)
        return FW_SAID_NOTHING;
    uint32_t answer = p[2] >> 7, opcode = (p[2] >> 3) & 15u, questions = fw_be16(p + 4);
    if (opcode != 0 || questions != 1 || (!answer && fw_be16(p + 6) != 0))
        return FW_SAID_NOTHING;
    uint32_t n = name_length(p + 12, size - 12);
    if (n == 0 || size - 12 - n < 4 || fw_be16(p + 12 + n) == 0)
        return FW_SAID_NOTHING;
    uint32_t first = n > 1 ? p[12] + 1u : 0;
    memset(out, 0, sizeof *out);
    out->what = answer ? FW_DNS_ANSWER : FW_DNS_QUERY;
    out->status = p[3] & 15u;
    out->path = p + 12 + first;
    out->path_len = (uint16_t)(n - first <= FW_PATH_MAX ? n - first : 0);
    out->path_hash = hash_name(key, p + 12, n);
    out->zone_hash = hash_name(key, p + 12 + first, n - first);
    return out->what;
}
