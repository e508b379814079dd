/* A ClientHello (RFC 8446, 4.1.2; with a cookie RFC 9147, 5.3): what tells one program from another, and for which name it asks.
 *
 * GREASE (RFC 8701) is left out: it is there to be ignored. Nothing is allocated, no byte behind the end is read, and
 * lengths that contradict each other make a broken hello, of which nothing is used. */
#ifndef FW_HELLO_H
#define FW_HELLO_H

#include "fw_common.h"

#define FW_HELLO_MOST 8192u /* bytes of a hello's body: with post-quantum keys and a ticket real ones take some 2,500 */
#define FW_HELLO_NAME 255u  /* bytes of a name that are kept: the longest that DNS knows */

enum fw_transport { FW_HELLO_TLS = 't', FW_HELLO_DTLS = 'd', FW_HELLO_QUIC = 'q' };

struct fw_hello {
    const uint8_t *name;  /* server name, inside the body */
    uint16_t name_length; /* 0: none */
    uint16_t version;     /* the highest of supported_versions, else the one of the hello itself */
    uint8_t named;        /* there is an extension server_name */
    uint8_t outer;        /* there is an encrypted hello behind it (RFC 9849), or the pretence of one */
    uint8_t protocols;    /* ALPN names a protocol ... */
    uint8_t first, last;  /* ... of the first one the first and last byte */
    uint16_t ciphers, extensions, algorithms; /* how many, and, one behind the other in the order of the hello: */
    uint16_t ids[FW_HELLO_MOST / 2];
};

/* Read the body of a ClientHello, behind the header of the handshake message. Returns 0 or FW_BAD_RECORD. */
int fw_hello_parse(const uint8_t *body, uint32_t size, int transport, struct fw_hello *out);

#endif
