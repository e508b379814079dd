#include "fw_forward.h"
#include "fw_program.h"

#define LOOKED_AT 128u /* bytes of a value that are looked at */

/* Words of a value, mixed one by one from a keyed start. */
static uint64_t digest(const struct fw_key *key, const uint8_t *p, uint32_t size)
{
    uint64_t h = key->k0 ^ size, word;
    uint32_t n = fw_min32(size, LOOKED_AT), at = 0;
    for (; at + 8 <= n; at += 8) {
        memcpy(&word, p + at, 8);
        h = FW_ROTL((h ^ word) * 0x9e3779b97f4a7c15ULL, 29);
    }
    word = 0;
    memcpy(&word, p + at, n - at);
    return fw_mix64(h ^ word ^ key->k1);
}

/* One of 255 numbers of a value; 0 stands for none. */
static uint8_t number(const struct fw_key *key, const uint8_t *p, uint32_t size)
{
    return (uint8_t)(1 + digest(key, p, size) % 255);
}

void fw_program_query(const struct fw_key *key, const uint8_t *p, uint32_t size, struct fw_message *out)
{
    if (!size || p[0] != '?')
        return;
    uint32_t end = 1, name = 0;
    for (; end < size && p[end] > ' ' && p[end] != '#'; end++)
        if (!name && (p[end] == '=' || p[end] == '&'))
            name = end;
    if (end == 1)
        return;
    out->queried = 1;
    out->query_bit = (uint8_t)(digest(key, p + 1, end - 1) >> 58);
    /* "=" at the very end, or twice, pads a text in base 64 */
    if (name > 1 && name + 1 < end && p[name] == '=' && p[name + 1] != '=' && p[name + 1] != '&') {
        out->named = 1;
        out->name_bit = (uint8_t)(digest(key, p + 1, name - 1) >> 58);
    }
}

void fw_program_line(const struct fw_key *key, const uint8_t *line, uint32_t size, struct fw_message *out)
{
    static const char AGENT[] = "user-agent:", LOGIN[] = "authorization:";
    if (fw_forward_begins(line, size, AGENT, sizeof AGENT - 1)) {
        out->agent = number(key, line + sizeof AGENT - 1, size - (uint32_t)(sizeof AGENT - 1));
        return;
    }
    if (!fw_forward_begins(line, size, LOGIN, sizeof LOGIN - 1))
        return;
    line += sizeof LOGIN - 1;
    size -= (uint32_t)(sizeof LOGIN - 1);
    while (size && line[0] == ' ')
        line++, size--;
    if (fw_forward_begins(line, size, "basic ", 6) || fw_forward_begins(line, size, "digest ", 7))
        out->login = number(key, line, size);
}
