#include "fw_frame.h"

#define PCAP_HEADER 24u
#define PCAP_RECORD 16u
#define NG_SHB 0x0a0d0d0au
#define NG_IDB 1u
#define NG_PB 2u
#define NG_SPB 3u
#define NG_ISB 5u
#define NG_EPB 6u
#define SNOOP_HEADER 16u
#define SNOOP_RECORD 24u
#define TRIED_RECORDS 8u
#define YEARS 315360000u /* ten of them: so far apart are no two packets of a capture */
#define NG_MAGIC 0x1a2b3c4du

static uint32_t get32(const struct fw_walker *w, const uint8_t *p)
{
    uint32_t v = fw_load32(p);
    return w->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t get16(const struct fw_walker *w, const uint8_t *p)
{
    uint16_t v = fw_load16(p);
    return w->swapped ? __builtin_bswap16(v) : v;
}

static uint64_t get64(const struct fw_walker *w, const uint8_t *p)
{
    uint64_t v = fw_load64(p);
    return w->swapped ? __builtin_bswap64(v) : v;
}

static int fail(struct fw_walker *w, enum fw_err code, const char *why)
{
    w->why = why;
    return code;
}

void fw_walker_init(struct fw_walker *w)
{
    memset(w, 0, offsetof(struct fw_walker, interfaces));
    w->why = "";
}

/* RFC 1761: everything in network order; the data link types of its time. */
static int start_snoop(struct fw_walker *w, const uint8_t *p, size_t avail, size_t *pos, size_t *need)
{
    *need = SNOOP_HEADER;
    if (avail < SNOOP_HEADER)
        return FW_NEED_MORE;
    if (memcmp(p, "snoop\0\0", 8) != 0 || fw_be32(p + 8) != 2)
        return fail(w, FW_BAD_MAGIC, "the file begins like snoop but is not version 2 of it");
    uint32_t link = fw_be32(p + 12);
    w->interfaces[0].linktype = link == 4 ? 1 : link == 2 ? 6 : link == 8 ? 10 : UINT16_MAX;
    w->interface_count = 1;
    w->format = FW_FORMAT_SNOOP;
    w->started = 1;
    *pos += SNOOP_HEADER;
    return 0;
}

static int next_snoop(struct fw_walker *w, const uint8_t *p, size_t avail, size_t *pos, size_t *need,
                      struct fw_frame *out)
{
    *need = SNOOP_RECORD;
    if (avail < SNOOP_RECORD)
        return FW_NEED_MORE;
    uint32_t len = fw_be32(p), caplen = fw_be32(p + 4), size = fw_be32(p + 8);
    if (caplen > FW_MAX_CAPLEN || size > FW_MAX_BLOCK || size < SNOOP_RECORD || caplen > size - SNOOP_RECORD)
        return fail(w, FW_BAD_RECORD, "a record is shorter than the packet that it claims to hold");
    *need = size;
    if (avail < size)
        return FW_NEED_MORE;
    w->lost = fw_be32(p + 12);
    out->data = p + SNOOP_RECORD;
    out->ts_ns = (uint64_t)fw_be32(p + 16) * 1000000000u + (uint64_t)fw_be32(p + 20) * 1000u;
    out->caplen = caplen;
    out->len = len < caplen ? caplen : len;
    out->linktype = w->interfaces[0].linktype;
    out->point = 0;
    *pos += size;
    return 1;
}

/* The file header tells format, byte order and, for pcap, the one interface. */
static int start(struct fw_walker *w, const uint8_t *p, size_t avail, size_t *pos, size_t *need)
{
    *need = PCAP_HEADER;
    if (avail < 4)
        return FW_NEED_MORE;
    uint32_t magic = fw_load32(p);
    if (magic == NG_SHB) {
        w->format = FW_FORMAT_PCAPNG;
        w->started = 1;
        return 0;
    }
    if (magic == 0x6f6f6e73u)
        return start_snoop(w, p, avail, pos, need);
    uint32_t native = magic;
    w->swapped = magic == 0xd4c3b2a1u || magic == 0x4d3cb2a1u || magic == 0x34cdb2a1u;
    if (w->swapped)
        native = __builtin_bswap32(magic);
    if (native != 0xa1b2c3d4u && native != 0xa1b23c4du && native != 0xa1b2cd34u)
        return fail(w, FW_BAD_MAGIC, "the first four bytes are those of neither pcap, pcapng nor snoop");
    w->modified = native == 0xa1b2cd34u;
    if (avail < PCAP_HEADER)
        return FW_NEED_MORE;
    struct fw_interface *itf = &w->interfaces[0];
    itf->ts_scale = native == 0xa1b23c4du ? 1 : 1000;
    itf->ts_divisor = 1;
    itf->ts_offset_s = 0;
    itf->snaplen = get32(w, p + 16);
    /* The upper bits of the field carry the FCS length; the link type is the lower 16. */
    itf->linktype = (uint16_t)(get32(w, p + 20) & 0xffffu);
    w->interface_count = 1;
    w->format = FW_FORMAT_PCAP;
    w->started = 1;
    *pos += PCAP_HEADER;
    return 0;
}

/* Do the bytes look like records with headers of this size, as far as they go? */
static int plausible(const struct fw_walker *w, const uint8_t *p, size_t avail, uint32_t header)
{
    uint32_t fractions = w->interfaces[0].ts_scale == 1 ? 1000000000u : 1000000u, first = get32(w, p);
    for (unsigned i = 0; i < TRIED_RECORDS && avail >= PCAP_RECORD; i++) {
        uint32_t sec = get32(w, p), caplen = get32(w, p + 8), len = get32(w, p + 12);
        if (get32(w, p + 4) >= fractions || caplen > FW_MAX_CAPLEN || len > FW_MAX_BLOCK || len < caplen ||
            (sec > first ? sec - first : first - sec) > YEARS)
            return 0;
        if (avail - PCAP_RECORD < (size_t)caplen + header - PCAP_RECORD)
            return 1;
        p += header + caplen;
        avail -= header + caplen;
    }
    return 1;
}

/* Vendors put more into each record header; with the usual magic only the records themselves tell. What fits nothing is
 * read as the standard has it, so that its error names the standard's offset. */
static uint32_t record_size(const struct fw_walker *w, const uint8_t *p, size_t avail)
{
    static const uint32_t USUAL[] = {PCAP_RECORD, 20, 24}, MODIFIED[] = {24, 28};
    const uint32_t *sizes = w->modified ? MODIFIED : USUAL;
    for (unsigned i = 0; i < (w->modified ? 2u : 3u); i++)
        if (plausible(w, p, avail, sizes[i]))
            return sizes[i];
    return sizes[0];
}

static int next_pcap(struct fw_walker *w, const uint8_t *p, size_t avail, size_t *pos, size_t *need,
                     struct fw_frame *out)
{
    *need = w->record ? w->record : PCAP_RECORD;
    if (FW_UNLIKELY(avail < *need))
        return FW_NEED_MORE;
    if (FW_UNLIKELY(w->record == 0)) {
        *need = w->record = record_size(w, p, avail);
        if (avail < *need)
            return FW_NEED_MORE;
    }
    uint32_t sec = fw_load32(p), frac = fw_load32(p + 4), caplen = fw_load32(p + 8), len = fw_load32(p + 12);
    if (FW_UNLIKELY(w->swapped)) {
        sec = __builtin_bswap32(sec);
        frac = __builtin_bswap32(frac);
        caplen = __builtin_bswap32(caplen);
        len = __builtin_bswap32(len);
    }
    if (FW_UNLIKELY(caplen > FW_MAX_CAPLEN))
        return fail(w, FW_BAD_RECORD, "a record claims more captured bytes than any link can carry");
    *need = w->record + (size_t)caplen;
    if (FW_UNLIKELY(avail < *need))
        return FW_NEED_MORE;
    out->data = p + w->record;
    out->ts_ns = (uint64_t)sec * 1000000000u + (uint64_t)frac * w->interfaces[0].ts_scale;
    out->caplen = caplen;
    out->len = len < caplen ? caplen : len;
    out->linktype = w->interfaces[0].linktype;
    out->point = 0;
    *pos += *need;
    /* Its length alone tells where the next record starts, so the hardware cannot guess that line. Reaching
     * beyond the block is harmless: a prefetch never faults. */
    uintptr_t next = (uintptr_t)p + *need;
    __builtin_prefetch((const void *)next);
    __builtin_prefetch((const void *)(next + 64));
    return 1;
}

/* Ticks of an interface to nanoseconds; 128-bit so that no if_tsresol overflows. */
static uint64_t to_ns(const struct fw_interface *itf, uint64_t ticks)
{
    unsigned __int128 ns = (unsigned __int128)ticks * itf->ts_scale / itf->ts_divisor;
    __int128 all = (__int128)ns + (__int128)itf->ts_offset_s * 1000000000;
    if (all < 0)
        return 0;
    return all > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)all;
}

static void set_resolution(struct fw_interface *itf, uint8_t tsresol)
{
    unsigned exponent = tsresol & 0x7fu;
    itf->ts_scale = 1000000000u;
    itf->ts_divisor = 1;
    if (tsresol & 0x80u) { /* negative power of two; beyond 2^-63 no tick is left */
        itf->ts_divisor = exponent < 64 ? 1ULL << exponent : UINT64_MAX;
        return;
    }
    for (unsigned i = 0; i < exponent && i < 19; i++)
        itf->ts_divisor *= 10;
    if (exponent <= 9) { /* the usual ones become a plain multiplication */
        itf->ts_scale = 1000000000u / itf->ts_divisor;
        itf->ts_divisor = 1;
    }
}

static int section(struct fw_walker *w, const uint8_t *p, size_t avail)
{
    if (avail < 16)
        return FW_NEED_MORE;
    uint32_t magic = fw_load32(p + 8);
    if (magic != NG_MAGIC && __builtin_bswap32(magic) != NG_MAGIC)
        return fail(w, FW_BAD_SECTION, "a section header has no byte-order magic");
    w->swapped = magic != NG_MAGIC;
    if (get16(w, p + 12) != 1)
        return fail(w, FW_BAD_SECTION, "a section header names a major version that is not 1");
    return 0;
}

struct option {
    uint16_t code, length;
    const uint8_t *value;
    uint32_t next; /* where the one after it begins in the body of the block */
};

/* Read the option at o->next of body[0..size), next <= size; 0 at the end of the options, or where one lies. */
static int next_option(const struct fw_walker *w, const uint8_t *body, uint32_t size, struct option *o)
{
    if (size - o->next < 4)
        return 0;
    o->code = get16(w, body + o->next);
    o->length = get16(w, body + o->next + 2);
    if (o->code == 0 || o->length > size - o->next - 4)
        return 0;
    o->value = body + o->next + 4;
    o->next += fw_min32(4 + (((uint32_t)o->length + 3u) & ~3u), size - o->next);
    return 1;
}

static int describe(struct fw_walker *w, const uint8_t *body, uint32_t size)
{
    if (size < 8)
        return fail(w, FW_BAD_BLOCK, "an interface description is too short");
    if (w->interface_count == FW_MAX_INTERFACES)
        return fail(w, FW_LIMIT, "a section describes more than 1024 interfaces");
    struct fw_interface *itf = &w->interfaces[w->interface_count++];
    itf->linktype = get16(w, body);
    itf->snaplen = get32(w, body + 4);
    itf->ts_offset_s = 0;
    itf->lost = 0;
    itf->name_length = 0;
    set_resolution(itf, 6);
    struct option o = {.next = 8};
    while (next_option(w, body, size, &o)) {
        if (o.code == 2) {
            itf->name_length = (uint8_t)fw_min32(o.length, FW_INTERFACE_NAME);
            memcpy(itf->name, o.value, itf->name_length);
        }
        if (o.code == 9 && o.length == 1)
            set_resolution(itf, o.value[0]);
        if (o.code == 14 && o.length == 8)
            itf->ts_offset_s = (int64_t)get64(w, o.value);
    }
    return 0;
}

/* Interface statistics: what the interface and the operating system dropped since the capture began. */
static void statistics(struct fw_walker *w, const uint8_t *body, uint32_t size)
{
    if (size < 12 || get32(w, body) >= w->interface_count)
        return;
    uint64_t lost = 0;
    struct option o = {.next = 12};
    while (next_option(w, body, size, &o))
        if ((o.code == 5 || o.code == 7) && o.length == 8)
            lost += get64(w, o.value);
    w->interfaces[get32(w, body)].lost = lost;
}

static uint64_t section_lost(const struct fw_walker *w)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; w->format == FW_FORMAT_PCAPNG && i < w->interface_count; i++)
        sum += w->interfaces[i].lost;
    return sum;
}

uint64_t fw_walker_lost(const struct fw_walker *w)
{
    uint64_t counted = w->lost + section_lost(w);
    return counted ? counted : w->lost_between;
}

/* Packets lost since the one before: an option of enhanced packet blocks, a field of obsolete ones. */
static void note_lost(struct fw_walker *w, uint32_t type, const uint8_t *body, uint32_t size, uint32_t options)
{
    if (type == NG_PB) {
        uint16_t drops = get16(w, body + 2);
        w->lost_between += drops == UINT16_MAX ? 0 : drops;
        return;
    }
    struct option o = {.next = options};
    while (next_option(w, body, size, &o))
        if (o.code == 4 && o.length == 8)
            w->lost_between += get64(w, o.value);
}

/* Enhanced, simple and obsolete packet blocks: body[0..size) -> frame. */
static int packet_block(struct fw_walker *w, uint32_t type, const uint8_t *body, uint32_t size,
                        struct fw_frame *out)
{
    uint32_t header = type == NG_SPB ? 4u : 20u;
    if (size < header)
        return fail(w, FW_BAD_BLOCK, "a packet block is shorter than its header");
    uint32_t id = type == NG_SPB ? 0 : type == NG_EPB ? get32(w, body) : get16(w, body);
    if (id >= w->interface_count)
        return fail(w, FW_BAD_INTERFACE, "a packet belongs to an interface that was never described");
    const struct fw_interface *itf = &w->interfaces[id];
    uint32_t room = size - header;
    if (type == NG_SPB) {
        out->len = get32(w, body);
        out->caplen = fw_min32(out->len, room);
        if (itf->snaplen)
            out->caplen = fw_min32(out->caplen, itf->snaplen);
        out->ts_ns = 0;
    } else {
        uint64_t ticks = (uint64_t)get32(w, body + 4) << 32 | get32(w, body + 8);
        out->caplen = get32(w, body + 12);
        out->len = get32(w, body + 16);
        out->ts_ns = to_ns(itf, ticks);
    }
    if (out->caplen > room || out->caplen > FW_MAX_CAPLEN)
        return fail(w, FW_BAD_RECORD, "a packet claims more captured bytes than its block holds");
    uint32_t behind = header + fw_min32((out->caplen + 3u) & ~3u, room);
    if (FW_UNLIKELY(type == NG_PB || (type == NG_EPB && size > behind)))
        note_lost(w, type, body, size, behind);
    out->data = body + header;
    out->len = out->len < out->caplen ? out->caplen : out->len;
    out->linktype = itf->linktype;
    out->point = w->interface_count > 1 ? id + 1 : 0;
    return 1;
}

static int next_pcapng(struct fw_walker *w, const uint8_t *p, size_t avail, size_t *pos, size_t *need,
                       struct fw_frame *out)
{
    *need = 12;
    if (avail < 12)
        return FW_NEED_MORE;
    uint32_t type = fw_load32(p);
    if (type == NG_SHB) {
        int rc = section(w, p, avail);
        *need = 16;
        if (rc < 0)
            return rc;
    }
    type = type == NG_SHB ? NG_SHB : get32(w, p);
    uint32_t length = get32(w, p + 4);
    if (length < 12 || length % 4 != 0)
        return fail(w, FW_BAD_BLOCK, "a block length is under 12 or no multiple of 4");
    if (length > FW_MAX_BLOCK)
        return fail(w, FW_LIMIT, "a block is longer than 16 MiB");
    *need = length;
    if (avail < length)
        return FW_NEED_MORE;
    if (get32(w, p + length - 4) != length)
        return fail(w, FW_BAD_BLOCK, "the two lengths of a block differ");
    int rc = 0;
    if (type == NG_EPB || type == NG_SPB || type == NG_PB)
        rc = packet_block(w, type, p + 8, length - 12, out);
    else if (type == NG_SHB) {
        w->lost += section_lost(w);
        w->interface_count = 0; /* interfaces belong to their section */
    } else if (type == NG_ISB)
        statistics(w, p + 8, length - 12);
    else if (type == NG_IDB)
        rc = describe(w, p + 8, length - 12);
    if (rc >= 0)
        *pos += length;
    return rc;
}

int fw_walker_next(struct fw_walker *w, const uint8_t *block, size_t size, size_t *pos, size_t *need,
                   struct fw_frame *out)
{
    const uint8_t *p = block + *pos;
    size_t avail = size - *pos;
    if (FW_LIKELY(w->format == FW_FORMAT_PCAP))
        return next_pcap(w, p, avail, pos, need, out);
    if (!w->started)
        return start(w, p, avail, pos, need);
    if (w->format == FW_FORMAT_SNOOP)
        return next_snoop(w, p, avail, pos, need, out);
    return next_pcapng(w, p, avail, pos, need, out);
}
