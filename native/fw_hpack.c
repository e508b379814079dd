#include "fw_hpack.h"

#include "fw_huffman.h"

#define STATIC_ENTRIES 61u /* RFC 7541, appendix A */
#define LONGEST_SHIFT 21u  /* integers of at most four bytes behind their prefix: far beyond any string */
#define MARK 4u            /* of a kind: a method with a body, the path of a part of a page */

enum { FIELD, NAME_LENGTH, NAME, VALUE_LENGTH, VALUE };         /* what the next byte begins, or goes on with */
enum { INDEXED, INSERTED, PLAIN, SIZE };                        /* RFC 7541, 6.1; 6.2.1; 6.2.2 and 6.2.3; 6.3 */

void fw_hpack_begin(struct fw_hpack *h)
{
    memset(&h->fields, 0, offsetof(struct fw_fields, path));
    h->state = FIELD;
    h->more = h->broken = 0;
}

void fw_hpack_lose(struct fw_hpack *h)
{
    h->inserted = 0;
    h->broken = 1;
}

static void insert(struct fw_hpack *h, uint8_t kind, uint64_t value)
{
    uint32_t at = h->inserted++ & (FW_HPACK_ENTRIES - 1);
    h->kinds[at] = kind;
    h->values[at] = value;
}

/* A field came whole, with a value that is known. */
static void tell(struct fw_hpack *h, uint8_t kind, uint64_t value)
{
    struct fw_fields *f = &h->fields;
    uint8_t field = kind & (MARK - 1u), marked = (kind & MARK) != 0;
    f->has |= (uint8_t)(1u << field);
    if (field == FW_FIELD_METHOD)
        f->posts = marked;
    else if (field == FW_FIELD_STATUS)
        f->status = (uint16_t)value;
    else if (field == FW_FIELD_PATH) {
        f->path_hash = value;
        f->asset = marked;
    }
}

static uint8_t static_name(uint32_t index)
{
    if (index == 2 || index == 3)
        return FW_FIELD_METHOD;
    if (index == 4 || index == 5)
        return FW_FIELD_PATH;
    return index >= 8 && index <= 14 ? FW_FIELD_STATUS : FW_FIELD_OTHER;
}

static void spell(struct fw_hpack *h, const struct fw_key *key, const char *path, uint8_t length)
{
    memcpy(h->fields.path, path, length);
    h->fields.path_len = length;
    h->fields.spelled = 1;
    tell(h, FW_FIELD_PATH, fw_http_hash(key, h->fields.path, length));
}

static void indexed_static(struct fw_hpack *h, const struct fw_key *key, uint32_t index)
{
    static const char PATHS[2][12] = {"/", "/index.html"};
    static const uint16_t STATUS[7] = {200, 204, 206, 304, 400, 404, 500};
    uint8_t field = static_name(index);
    if (field == FW_FIELD_METHOD)
        tell(h, index == 3 ? FW_FIELD_METHOD | MARK : FW_FIELD_METHOD, 0);
    else if (field == FW_FIELD_PATH)
        spell(h, key, PATHS[index - 4], (uint8_t)strlen(PATHS[index - 4]));
    else if (field == FW_FIELD_STATUS)
        tell(h, field, STATUS[index - 8]);
}

/* The place of a dynamic entry, or -1 where it is not known. */
static int place(const struct fw_hpack *h, uint32_t index)
{
    uint32_t back = index - STATIC_ENTRIES; /* 1: the newest */
    return back > FW_HPACK_ENTRIES || back > h->inserted ? -1 : (int)((h->inserted - back) & (FW_HPACK_ENTRIES - 1));
}

static void indexed(struct fw_hpack *h, const struct fw_key *key, uint32_t index)
{
    if (index <= STATIC_ENTRIES) {
        indexed_static(h, key, index);
        return;
    }
    int at = place(h, index);
    if (at < 0 || h->kinds[at] == FW_FIELD_OTHER)
        return;
    if (h->kinds[at] == FW_FIELD_PATH || h->kinds[at] == (FW_FIELD_PATH | MARK))
        h->fields.spelled = 0;
    tell(h, h->kinds[at], h->values[at]);
}

static uint8_t name_of(const struct fw_hpack *h, uint32_t index)
{
    if (index <= STATIC_ENTRIES)
        return static_name(index);
    int at = place(h, index);
    return at < 0 ? FW_FIELD_OTHER : h->kinds[at] & (MARK - 1u);
}

static int spells(const struct fw_hpack *h, const char *text)
{
    return h->length == strlen(text) && memcmp(h->text, text, h->length) == 0;
}

static void name_ends(struct fw_hpack *h)
{
    h->field = spells(h, ":method")   ? FW_FIELD_METHOD
               : spells(h, ":path")   ? FW_FIELD_PATH
               : spells(h, ":status") ? FW_FIELD_STATUS
                                      : FW_FIELD_OTHER;
    h->state = VALUE_LENGTH;
}

static void value_ends(struct fw_hpack *h, const struct fw_key *key)
{
    struct fw_fields *f = &h->fields;
    uint8_t kind = h->field;
    uint64_t value = 0;
    h->state = FIELD;
    if (kind == FW_FIELD_METHOD) {
        kind |= spells(h, "POST") || spells(h, "PUT") || spells(h, "PATCH") ? MARK : 0;
    } else if (kind == FW_FIELD_STATUS) {
        for (unsigned i = 0; i < h->length && i < 3; i++)
            value = value * 10 + (h->text[i] - '0') % 10u;
    } else if (kind == FW_FIELD_PATH) {
        f->spelled = 1;
        value = fw_http_hash(key, f->path, f->path_len);
        kind |= fw_http_asset(f->path, f->path_len) ? MARK : 0;
    }
    if (h->field != FW_FIELD_OTHER)
        tell(h, kind, value);
    if (h->form == INSERTED)
        insert(h, kind, value);
}

/* One byte of a string that is looked at. */
static void keep(struct fw_hpack *h, uint8_t c)
{
    struct fw_fields *f = &h->fields;
    if (h->state == NAME || h->field != FW_FIELD_PATH) {
        if (h->length < sizeof h->text)
            h->text[h->length++] = c;
        return;
    }
    f->query |= c == '?' || c == '#';
    if (!f->query && f->path_len < FW_PATH_MAX)
        f->path[f->path_len++] = c;
}

static int keep_coded(struct fw_hpack *h, uint8_t byte)
{
    for (unsigned bit = 8; bit-- > 0;) {
        h->code = h->code << 1 | ((uint32_t)byte >> bit & 1u);
        int symbol = fw_huffman_symbol(h->code, ++h->code_bits);
        if (symbol == FW_HUFFMAN_END || (symbol < 0 && h->code_bits == FW_HUFFMAN_LONGEST))
            return -1;
        if (symbol < 0)
            continue;
        keep(h, (uint8_t)symbol);
        h->code = h->code_bits = 0;
    }
    return 0;
}

static int string_ends(struct fw_hpack *h, const struct fw_key *key)
{
    int wanted = h->state == NAME || h->field != FW_FIELD_OTHER;
    if (wanted && h->huffman && (h->code_bits > 7 || h->code != (1u << h->code_bits) - 1)) /* RFC 7541, 5.2 */
        return -1;
    if (h->state == NAME)
        name_ends(h);
    else
        value_ends(h, key);
    return 0;
}

static int string_begins(struct fw_hpack *h, const struct fw_key *key, uint8_t state)
{
    h->state = state;
    h->left = h->number;
    h->code = h->code_bits = h->length = 0;
    if (state == VALUE && h->field == FW_FIELD_PATH)
        h->fields.path_len = h->fields.query = 0;
    return h->left ? 0 : string_ends(h, key);
}

/* As much of the string as is here; returns how much that is, or 0 for a code that is none. */
static uint32_t string_goes_on(struct fw_hpack *h, const struct fw_key *key, const uint8_t *p, uint32_t size)
{
    uint32_t n = fw_min32(size, h->left);
    if (h->state == NAME || h->field != FW_FIELD_OTHER) {
        for (uint32_t i = 0; i < n; i++) {
            if (!h->huffman)
                keep(h, p[i]);
            else if (keep_coded(h, p[i]) < 0)
                return 0;
        }
    }
    h->left -= n;
    return h->left == 0 && string_ends(h, key) < 0 ? 0 : n;
}

static int integer_ends(struct fw_hpack *h, const struct fw_key *key)
{
    if (h->state == NAME_LENGTH || h->state == VALUE_LENGTH)
        return string_begins(h, key, h->state == NAME_LENGTH ? NAME : VALUE);
    if (h->form == INDEXED) {
        indexed(h, key, h->number);
        return h->number ? 0 : -1;
    }
    if (h->form == SIZE)
        return 0;
    h->state = h->number ? VALUE_LENGTH : NAME_LENGTH;
    h->field = name_of(h, h->number);
    return 0;
}

/* RFC 7541, 5.1: an integer that begins in the low `bits` bits of a byte. */
static int integer_begins(struct fw_hpack *h, const struct fw_key *key, uint8_t byte, unsigned bits)
{
    uint32_t most = (1u << bits) - 1;
    h->number = byte & most;
    h->shift = 0;
    h->more = h->number == most;
    return h->more ? 0 : integer_ends(h, key);
}

static int integer_goes_on(struct fw_hpack *h, const struct fw_key *key, uint8_t byte)
{
    if (h->shift > LONGEST_SHIFT)
        return -1;
    h->number += (uint32_t)(byte & 127u) << h->shift;
    h->shift = (uint8_t)(h->shift + 7);
    h->more = byte >> 7;
    return h->more ? 0 : integer_ends(h, key);
}

static int step(struct fw_hpack *h, const struct fw_key *key, uint8_t byte)
{
    if (h->more)
        return integer_goes_on(h, key, byte);
    if (h->state != FIELD) {
        h->huffman = byte >> 7;
        return integer_begins(h, key, byte, 7);
    }
    h->form = byte & 0x80 ? INDEXED : byte & 0x40 ? INSERTED : byte & 0x20 ? SIZE : PLAIN;
    return integer_begins(h, key, byte, byte & 0x80 ? 7 : byte & 0x40 ? 6 : byte & 0x20 ? 5 : 4);
}

int fw_hpack_feed(struct fw_hpack *h, const struct fw_key *key, const uint8_t *p, uint32_t size)
{
    for (uint32_t at = 0; at < size && !h->broken;) {
        int in_string = !h->more && (h->state == NAME || h->state == VALUE);
        uint32_t took = in_string ? string_goes_on(h, key, p + at, size - at) : step(h, key, p[at]) == 0;
        h->broken = took == 0;
        at += took;
    }
    return h->broken ? -1 : 0;
}
