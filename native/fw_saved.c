#include "fw_frequent.h"

#define HEAD 12u /* offset, number of items */
#define ITEM 10u /* count, form and size of a key */

size_t fw_frequent_saved_size(const struct fw_entry *const *list, uint32_t n)
{
    size_t size = HEAD + (size_t)n * ITEM;
    for (uint32_t i = 0; i < n; i++)
        size += list[i]->size;
    return size;
}

void fw_frequent_save(const struct fw_frequent *f, const struct fw_entry *const *list, uint32_t n, uint8_t *out)
{
    memcpy(out, &f->offset, 8);
    memcpy(out + 8, &n, 4);
    out += HEAD;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(out, &list[i]->count, 8);
        out[8] = list[i]->form;
        out[9] = list[i]->size;
        memcpy(out + ITEM, list[i]->key, list[i]->size);
        out += ITEM + list[i]->size;
    }
}

struct item {
    uint64_t count;
    uint8_t form, size;
    const uint8_t *key;
};

/* Read the item at payload[*at..size) and step over it; 0 if it is not there whole. */
static int next_item(const uint8_t *payload, size_t size, size_t *at, struct item *out)
{
    size_t left = size - *at;
    const uint8_t *p = payload + *at;
    if (left < ITEM || left - ITEM < p[9])
        return 0;
    *out = (struct item){fw_load64(p), p[8], p[9], p + ITEM};
    *at += ITEM + out->size;
    return 1;
}

/* Could a sketch have held it? */
static int sound(const struct item *x)
{
    if (x->count == 0 || x->form >= FW_KEY_FORMS || x->size > FW_FREQUENT_KEY)
        return 0;
    switch (x->form) {
    case FW_KEY_INT:
        return x->size == 8;
    case FW_KEY_IPV4:
        return x->size == 8 && fw_load32(x->key + 4) == 0;
    case FW_KEY_IPV6:
        return x->size == 16;
    default:
        return 1;
    }
}

/* The one order that a sketch is saved in, that of fw_frequent_list. */
static int in_order(const struct item *a, const struct item *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    int order = memcmp(a->key, b->key, a->size < b->size ? a->size : b->size);
    return order ? order < 0 : a->size < b->size;
}

/* Do the items fill the payload? Else what is wrong with its size. */
static const char *check_sizes(const uint8_t *payload, size_t size, uint32_t n)
{
    struct item x;
    size_t at = HEAD;
    for (uint32_t i = 0; i < n; i++)
        if (!next_item(payload, size, &at, &x))
            return "the sketch ends inside an item";
    return at == size ? NULL : "the sketch goes on behind its items";
}

/* offset * k > 2 * total, in 64 bits; k >= 3. */
static int offset_too_large(uint64_t offset, uint32_t k, uint64_t total)
{
    return offset > 2 * (total / k) + 2 * (total % k) / k;
}

const char *fw_frequent_load(struct fw_frequent *f, const struct fw_key *key, const uint8_t *payload, size_t size,
                             uint64_t total, const char **field)
{
    struct item x = {0}, before = {0};
    size_t at = HEAD;
    *field = "size";
    if (size < HEAD)
        return "the sketch ends before its items";
    uint64_t offset = fw_load64(payload);
    uint32_t n = fw_load32(payload + 8);
    const char *wrong = check_sizes(payload, size, n);
    if (wrong)
        return wrong;
    *field = "payload";
    if (n > f->k)
        return "there are more items than the sketch holds";
    for (uint32_t i = 0; i < n && next_item(payload, size, &at, &x); i++, before = x) {
        if (!sound(&x))
            return "an item is none that a sketch holds";
        if (i && !in_order(&before, &x))
            return "the items are not in their order";
        if (fw_frequent_add(f, key, x.key, x.size, x.form, x.count) != 0)
            return "the counts contradict the total";
        if (f->used != i + 1)
            return "the items are not distinct";
    }
    if (f->total > total || offset_too_large(offset, f->k, total))
        return "the counts contradict the total";
    f->total = total;
    f->offset = offset;
    return NULL;
}
