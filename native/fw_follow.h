/* What goes on from packet to packet of a TCP connection: requests that are cut, HTTP/2 and WebSockets in clear text.
 *
 * Each table has a fixed size, and the newest connections keep their places. A decoder follows the packets that it sees, in
 * their order; without any of these in its tables it pays for none. */
#ifndef FW_FOLLOW_H
#define FW_FOLLOW_H

#include "fw_begun.h"
#include "fw_rest.h"
#include "fw_streams.h"
#include "fw_websocket.h"

struct fw_follow {
    struct fw_beguns beguns;
    struct fw_sockets sockets;
    struct fw_streams streams;
    struct fw_rests rests;
    struct fw_texts texts;
};

/* What a TCP packet with a payload says; see fw_message.h. The message points into the payload or into the texts. */
int fw_follow_hear(struct fw_follow *f, const struct fw_key *key, const struct fw_ranges *named, const struct fw_packet *p,
                   const uint8_t *payload, struct fw_message *out);

/* Forget all connections. */
void fw_follow_clear(struct fw_follow *f);

#endif
