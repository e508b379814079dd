#include "fw_wireless.h"

#define PRISM_HEADER 144u
#define AVS_MAGIC 0x80211000u   /* the last three digits are its version */
#define RADIOTAP_WORDS 8u       /* words that tell which fields are there; the last one says that it is */
#define RADIOTAP_PADDED 0x20u   /* of the field of flags: the header of the frame fills whole words */
#define SUBFRAME 14u            /* in front of each packet where a frame holds several (A-MSDU) */

/* Three or four addresses, perhaps QoS and HT control, then LLC; of several packets in a frame the first. */
static int data_frame(struct fw_cursor *c, uint16_t *type, int padded)
{
    int reject;
    if (!fw_has(c, 24, REJECT(NOT_IP), &reject))
        return reject;
    unsigned kind = c->p[0] >> 2 & 3u, subtype = c->p[0] >> 4, flags = c->p[1];
    if (kind != 2 || subtype & 4u || flags & 0x40u)
        return REJECT(NOT_IP); /* no data, or encrypted */
    uint32_t control = 24 + ((flags & 3u) == 3u ? 6u : 0), header = control;
    header += subtype & 8u ? (flags & 0x80u ? 6 : 2) : 0;
    uint32_t size = padded ? (header + 3u) & ~3u : header;
    if (!fw_has(c, size, REJECT(NOT_IP), &reject))
        return reject;
    int several = subtype & 8u && c->p[control] & 0x80u;
    fw_advance(c, size);
    if (several) {
        if (!fw_has(c, SUBFRAME, REJECT(NOT_IP), &reject))
            return reject;
        fw_advance(c, SUBFRAME);
    }
    return fw_link_llc(c, type);
}

int fw_wireless_bare(struct fw_cursor *c, uint16_t *type) { return data_frame(c, type, 0); }

/* Is there padding behind the 802.11 header? The field of flags says so: it is the second one, behind a time stamp that
 * begins at a multiple of eight bytes. (size <= captured) */
static int is_padded(const struct fw_cursor *c, uint32_t size)
{
    uint32_t words = 1, present = fw_load32(c->p + 4);
    while (4 + 4 * words < size && words < RADIOTAP_WORDS && fw_load32(c->p + 4 * words) >> 31)
        words++;
    uint32_t at = 4 + 4 * words;
    if (present & 1u)
        at = ((at + 7u) & ~7u) + 8u;
    return present & 2u && at < size && c->p[at] & RADIOTAP_PADDED;
}

int fw_wireless_radiotap(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 8, REJECT(NOT_IP), &reject))
        return reject;
    uint32_t size = fw_load16(c->p + 2);
    if (size < 8 || !fw_has(c, size, REJECT(NOT_IP), &reject))
        return size < 8 ? REJECT(NOT_IP) : reject;
    int padded = is_padded(c, size);
    fw_advance(c, size);
    return data_frame(c, type, padded);
}

int fw_wireless_prism(struct fw_cursor *c, uint16_t *type)
{
    int reject;
    if (!fw_has(c, 8, REJECT(NOT_IP), &reject))
        return reject;
    int avs = (fw_be32(c->p) & 0xfffff000u) == AVS_MAGIC;
    uint32_t size = avs ? fw_be32(c->p + 4) : PRISM_HEADER;
    if (size < 8 || !fw_has(c, size, REJECT(NOT_IP), &reject))
        return size < 8 ? REJECT(NOT_IP) : reject;
    fw_advance(c, size);
    return data_frame(c, type, 0);
}
