/* WebSockets in clear text (RFC 6455): what clients send after the upgrade, frame by frame across packets.
 *
 * A connection is followed from its request, or from answer 101, on. Servers push what they like; only the client's
 * frames count. The newest connections keep their places (two for each hash), so memory is fixed; one that lost its place,
 * or a piece of which is missing, is counted no more until a packet begins with a frame and holds nothing but frames. */
#ifndef FW_WEBSOCKET_H
#define FW_WEBSOCKET_H

#include "fw_flow.h"
#include "fw_message.h"

#define FW_SOCKET_SETS 8192u
#define FW_SOCKET_WAYS 2u
#define FW_SOCKET_SMALL 1024u    /* bytes of a frame: larger ones carry data, and are no flood of frames */
#define FW_SOCKET_FRAMES 200u    /* small frames a second of one connection: games send 128 at most */
#define FW_SOCKET_CONTROLS 10u   /* control frames a second: keep-alives come every few seconds */

enum fw_socket_state { FW_SOCKET_FREE = 0, FW_SOCKET_ASKED, FW_SOCKET_OPEN, FW_SOCKET_LOST };

struct fw_socket {
    uint64_t flow, left;   /* left: bytes of the frame that is not over */
    uint32_t client, next; /* piece of the client's hash; sequence number of its next byte */
    uint32_t second;       /* the second of packet time that is counted */
    uint32_t small, small_before, controls, controls_before; /* in it, and in the one before */
    uint8_t state, got;    /* got: bytes of the header that are in `head` */
    uint8_t head[14];
};

struct fw_sockets {
    uint32_t used;
    struct fw_socket held[FW_SOCKET_SETS][FW_SOCKET_WAYS];
};

/* A client asks for the upgrade, or (`answered`) a server agrees. */
void fw_socket_open(struct fw_sockets *t, uint64_t flow, const struct fw_packet *p, int answered);

/* Read a packet of a flow. Returns 1 if it belongs to a WebSocket, with out->what FW_WEBSOCKET where a client sent frames. */
int fw_socket_hear(struct fw_sockets *t, uint64_t flow, const struct fw_packet *p, const uint8_t *payload,
                   struct fw_message *out);

#endif
