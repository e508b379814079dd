#include "fw_topk.h"

/* An entry in which nothing was counted yet. */
static struct fw_heavy *begin(struct fw_topk *t, struct fw_heavy *entry, uint64_t pair_hash, uint32_t estimate)
{
    memset(entry, 0, sizeof *entry);
    memset(fw_topk_sealed(t, entry), 0, sizeof *t->sealed);
    size_t at = (size_t)(entry - t->sets[0]);
    t->used[at / 64] |= 1ull << at % 64;
    entry->pair_hash = pair_hash;
    entry->missed = estimate - 1; /* this packet itself is counted by the caller */
    return entry;
}

struct fw_heavy *fw_topk_admit(struct fw_topk *t, uint64_t pair_hash, uint32_t estimate)
{
    struct fw_heavy *set = t->sets[fw_topk_set(pair_hash)], *smallest = &set[0];
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < FW_TOPK_WAYS; i++) {
        if (set[i].pair_hash == pair_hash)
            return set[i].packets ? &set[i] : begin(t, &set[i], pair_hash, estimate);
        /* a free entry is better than one that is remembered */
        uint64_t upper = set[i].packets ? (uint64_t)set[i].packets + set[i].missed : set[i].pair_hash != 0;
        if (upper < least) {
            least = upper;
            smallest = &set[i];
        }
    }
    if (least >= estimate)
        return NULL;
    t->evicted += smallest->packets != 0;
    return begin(t, smallest, pair_hash, estimate);
}

uint32_t fw_topk_used(const struct fw_topk *t)
{
    uint32_t n = 0;
    for (size_t word = 0; word < sizeof t->used / sizeof *t->used; word++)
        n += (uint32_t)__builtin_popcountll(t->used[word]);
    return n;
}

uint32_t fw_topk_list(const struct fw_topk *t, struct fw_heavy_count *out)
{
    uint32_t n = 0;
    for (size_t word = 0; word < sizeof t->used / sizeof *t->used; word++)
        for (uint64_t left = t->used[word]; left; left &= left - 1) {
            size_t i = word * 64 + (size_t)__builtin_ctzll(left);
            const struct fw_heavy *entry = &t->sets[i / FW_TOPK_WAYS][i % FW_TOPK_WAYS];
            if (!entry->packets)
                continue;
            memcpy(&out[n], entry, sizeof *entry);
            out[n].sealed = t->sealed[i];
            out[n++].low = entry->v6 == FW_SOURCE_ADDRESS ? t->low[i] : 0;
        }
    return n;
}

void fw_topk_clear(struct fw_topk *t)
{
    for (uint32_t i = 0; i < FW_TOPK_SETS * FW_TOPK_WAYS; i++) { /* `low` is read of entries that wrote it */
        struct fw_heavy *entry = &t->sets[i / FW_TOPK_WAYS][i % FW_TOPK_WAYS];
        uint64_t known = entry->packets ? entry->pair_hash : 0;
        memset(entry, 0, sizeof *entry);
        entry->pair_hash = known;
    }
    memset(t->used, 0, sizeof t->used);
    t->evicted = 0;
}

/* Is it the same program as before, and does it ask what it asked before? */
static void count_program(struct fw_heavy *s, const struct fw_message *h)
{
    fw_count16(&s->agents, s->last_agent && s->last_agent != h->agent);
    s->last_agent = h->agent;
    fw_count16(&s->logins, h->login && s->last_login != h->login);
    s->last_login = h->login ? h->login : s->last_login;
    fw_count16(&s->named, h->named);
    s->queries |= (uint64_t)h->queried << h->query_bit;
    s->names |= (uint64_t)h->named << h->name_bit;
}

void fw_topk_ask(struct fw_heavy *s, const struct fw_message *h)
{
    int again = s->requests && s->last_path == (uint8_t)h->path_hash;
    s->paths = s->requests ? s->paths : 0;
    s->requests += 1u + h->more;
    fw_count16(&s->assets, (unsigned)h->asset + h->more_assets);
    fw_count16(&s->posts, (unsigned)h->posts + h->more_posts);
    fw_count16(&s->repeats, (unsigned)again + h->more_same);
    s->last_path = (uint8_t)h->path_hash;
    s->paths |= 1ULL << (h->path_hash >> 58) | h->more_paths;
    count_program(s, h);
}
