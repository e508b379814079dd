/* Tunnels: from the payload of a packet to the IP header of the packet that it carries.
 *
 * IP in IP (RFC 2003, 2473, 4213), perhaps behind an authentication header; GRE (RFC 2784, 2890; version 1 with PPP:
 * RFC 2637); ERSPAN I to III (draft-foschiano-erspan); VXLAN (RFC 7348); GENEVE (RFC 8926); GTP-U (3GPP TS 29.281);
 * Teredo (RFC 4380); and what sends mirrored frames over UDP: TZSP, and HP's encapsulated remote mirroring (ERM), of
 * which the manual gives no more than that 12 bytes stand before the frame. A tunnel is told by protocol or port, and
 * only if its header and the one inside hold together. */
#ifndef FW_TUNNEL_H
#define FW_TUNNEL_H

#include "fw_link.h"

enum fw_tunnel {
    FW_TUNNEL_NONE = 0, FW_TUNNEL_IPIP, FW_TUNNEL_IPV6, FW_TUNNEL_GRE, FW_TUNNEL_ERSPAN, FW_TUNNEL_VXLAN,
    FW_TUNNEL_GENEVE, FW_TUNNEL_GTPU, FW_TUNNEL_TEREDO, FW_TUNNEL_TZSP, FW_TUNNEL_ERM, FW_TUNNELS
};

/* What a decoded packet carries: with anything but NONE the cursor, which came at the payload, stands at an IP header
 * (or what should be one) and *type is FW_TYPE_IPV4 or FW_TYPE_IPV6. */
enum fw_tunnel fw_tunnel_open(const struct fw_packet *outer, struct fw_cursor *c, uint16_t *type);

#endif
