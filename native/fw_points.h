/* One packet, seen at several points of one host: what is forwarded passes a card, a bridge and a veth, what a VLAN or a
 * bond receives its lower device received before. Each packet is counted where it was seen first.
 *
 * A point is a device and a direction. A packet that comes back at the point where it was first seen is another one,
 * equal as it may be, and counts; at any other point it is the same one. So a flood of equal packets loses none,
 * and who sends it cannot choose what is left out: points are the host's own. */
#ifndef FW_POINTS_H
#define FW_POINTS_H

#include "fw_packet.h"

#define FW_POINTS_SLOTS 32768u /* packets between two sightings of one: queues, and rings that are read in turn */
#define FW_POINTS_TICKS 1024u  /* about a second, in units of 2^20 ns: no queue of a host holds a packet for longer */

struct fw_sighting {
    uint64_t packet;
    uint32_t point, ticks;
};

struct fw_points {
    struct fw_sighting seen[FW_POINTS_SLOTS];
};

/* Cooked captures of all interfaces name the direction, and version 2 the device, in front of each packet. */
static inline uint32_t fw_point_of(const struct fw_frame *f)
{
    if (f->linktype == 276 && f->caplen > 10)
        return fw_be32(f->data + 4) << 3 | (f->data[10] & 7u);
    if (f->linktype == 113 && f->caplen > 1)
        return 1 + (f->data[1] & 7u);
    return f->point;
}

/* Was this packet, with its payload as captured, counted at another point? `point` is not 0. What a router changes
 * does not matter: link layer, TTL, checksums. An address that is translated makes another packet. */
int fw_points_elsewhere(struct fw_points *t, const struct fw_packet *p, const uint8_t *payload, uint64_t ts_ns,
                        uint32_t point);

#endif
