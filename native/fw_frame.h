/* Walk the records of a capture: pcap and pcapng bytes -> frames.
 *
 * The walker is fed one contiguous block at a time and keeps no pointer to it. A record that the block
 * does not hold whole is not consumed (FW_NEED_MORE): the caller hands in a block that starts there.
 *
 * Formats: draft-ietf-opsawg-pcap (magic a1b2c3d4, a1b23c4d, both byte orders), vendors' pcap with longer record
 * headers (magic a1b2cd34, or the usual one: then the first records tell), draft-ietf-opsawg-pcapng (SHB, IDB with
 * if_tsresol and if_tsoffset, EPB, SPB, obsolete PB, drop counts of ISB; others skipped) and snoop (RFC 1761). */
#ifndef FW_FRAME_H
#define FW_FRAME_H

#include "fw_common.h"

#define FW_MAX_CAPLEN (256u * 1024u) /* more than any link carries; libpcap's own limit for most types */
#define FW_MAX_BLOCK (16u << 20)     /* largest pcapng block that is read; a bigger one is hostile */
#define FW_MAX_INTERFACES 1024u      /* per section */

#define FW_INTERFACE_NAME 24u

enum fw_format { FW_FORMAT_UNKNOWN = 0, FW_FORMAT_PCAP = 1, FW_FORMAT_PCAPNG = 2, FW_FORMAT_SNOOP = 3 };

struct fw_frame {
    const uint8_t *data; /* caplen bytes inside the caller's block */
    uint64_t ts_ns;      /* nanoseconds since 1970, 0 where the record carries no time (SPB) */
    uint32_t caplen;     /* captured bytes */
    uint32_t len;        /* bytes on the wire, never less than caplen */
    uint16_t linktype;   /* LINKTYPE_ value */
    uint32_t point;      /* device and direction, as far as they are told; 0: there is one, or nobody knows */
};

struct fw_interface {
    uint64_t ts_scale;  /* nanoseconds = ticks * ts_scale / ts_divisor */
    uint64_t ts_divisor;
    int64_t ts_offset_s;
    uint64_t lost;      /* as the newest statistics block has it */
    uint32_t snaplen;   /* 0: no limit */
    uint16_t linktype;
    uint8_t name_length;
    char name[FW_INTERFACE_NAME];
};

struct fw_walker {
    enum fw_format format;
    uint8_t swapped;           /* the file's byte order is not ours */
    uint8_t started;
    uint8_t modified;          /* pcap of magic a1b2cd34 */
    uint32_t record;           /* pcap: bytes of a record header, 0 before the first one */
    uint64_t lost;             /* packets that the capture says it lost, without the open section's statistics ... */
    uint64_t lost_between;     /* ... and as packet blocks say it, where there are no statistics */
    uint32_t interface_count;  /* pcap: always 1 */
    const char *why;           /* after an error: one sentence, a string constant */
    struct fw_interface interfaces[FW_MAX_INTERFACES];
};

void fw_walker_init(struct fw_walker *w);

/* Packets that the capture itself says were lost so far. */
uint64_t fw_walker_lost(const struct fw_walker *w);

/* Read the next frame at block[*pos], *pos <= size. Returns 1 with a frame and *pos behind it; 0 with *pos
 * at the end of what is complete (header or non-packet block consumed: call again; or NEED_MORE below);
 * FW_NEED_MORE when block[*pos..size) is only the beginning of a record; another negative fw_err when the
 * bytes at *pos are wrong, with w->why set. *need then holds the bytes that the record would take. */
int fw_walker_next(struct fw_walker *w, const uint8_t *block, size_t size, size_t *pos, size_t *need,
                   struct fw_frame *out);

#endif
