/* What an application said in one packet: the first line of HTTP/1, the header of a DNS message, the start of a
 * TLS or QUIC handshake, frames of HTTP/2 in clear text. The readers here keep no state, and results point into the caller's
 * payload; what goes on from packet to packet is followed in fw_follow.h. */
#ifndef FW_MESSAGE_H
#define FW_MESSAGE_H

#include "fw_hash.h"

#define FW_OWED_MAX (1u << 20)
#define FW_PATH_MAX 128u /* bytes of a path that are looked at */

#define FW_QUIC_PORT 443u
#define FW_QUIC_V2 0x6b3343cfu /* RFC 9369, 3.1 */

#define FW_FRAME_HEADER 9u /* of HTTP/2: RFC 9113, 4.1 */
enum fw_frame_type { FW_DATA_FRAME, FW_HEADERS, FW_PRIORITY, FW_RST_STREAM, FW_SETTINGS, FW_PUSH_PROMISE, FW_PING, FW_GOAWAY,
                     FW_WINDOW_UPDATE, FW_CONTINUATION, FW_FRAME_TYPES };

enum fw_said {
    FW_SAID_NOTHING = 0,
    FW_HTTP_REQUEST,
    FW_HTTP_RESPONSE,
    FW_DNS_QUERY,
    FW_DNS_ANSWER,
    FW_HTTP2,       /* frames of HTTP/2, and neither a request nor an answer among them */
    FW_PROXY_LINE,  /* the PROXY protocol, with nothing behind it that is a request */
    FW_WEBSOCKET,   /* frames that a client of a WebSocket sends */
    FW_TLS_MORE,    /* a segment that goes on with a ClientHello: nothing is said in it by itself (fw_rest.h) */
    FW_TLS_HELLO,   /* a ClientHello; from here on the content is sealed */
    FW_TLS_RECORD,  /* application data, or the end of a handshake: the client went on */
    FW_QUIC_INITIAL, /* long header, version known, type Initial */
    FW_QUIC_LONG,   /* the same, of another type */
    FW_QUIC_SHORT   /* short header: the connection is open */
};

/* What HTTP/1 is left for (RFC 9110, 7.8), by the header of a request or of the answer 101. */
enum fw_upgrade { FW_UPGRADE_NONE = 0, FW_UPGRADE_WEBSOCKET, FW_UPGRADE_HTTP2 };

/* What begins behind what was read, where that is not the next packet: `at` bytes from the start of the payload. */
enum fw_next_what {
    FW_NEXT_NOTHING = 0,
    FW_NEXT_LINE,    /* in the payload: the line of a request that the packet cuts */
    FW_NEXT_REQUEST, /* behind it: a request */
    FW_NEXT_CHUNK,   /* behind it: the size of a chunk (RFC 9112, 7.1) */
    FW_NEXT_UPGRADED /* in the payload or at its end: the protocol that answer 101 promised */
};
struct fw_next {
    uint32_t at;
    uint8_t what; /* enum fw_next_what */
};

/* Records of a TLS packet that are no application data, a bit each. */
enum fw_shook { FW_SHOOK_CHANGED = 1, FW_SHOOK_HANDSHAKE = 2, FW_SHOOK_ALERT = 4 };

#define FW_TLS_AROUND 17u /* bytes by which a record of TLS 1.3 is longer than what it holds: RFC 8446, 5.2 */

/* How a sender tells for whom it speaks. */
enum fw_via { FW_VIA_NOBODY = 0, FW_VIA_HEADER, FW_VIA_LINE };

struct fw_message {
    const uint8_t *whole; /* of a hello of TLS, what goes on with it, and an Initial of QUIC: the payload, as much as was
                           * captured; NULL where it is not at hand any more */
    const uint8_t *path; /* request target without scheme, host and query; or the zone of a DNS name, as labels; of QUIC
                          * the connection ids: of a long header with their lengths, of a short one as much as can be one */
    uint64_t path_hash;  /* keyed hash of the path; of the whole name for DNS; 0 for others */
    uint64_t zone_hash;  /* DNS: keyed hash of the name without its first label */
    uint16_t path_len;   /* at most FW_PATH_MAX */
    uint16_t status;     /* HTTP status; DNS response code */
    uint8_t what;        /* enum fw_said */
    uint8_t posts;       /* the method carries a body (POST, PUT, PATCH) */
    uint8_t asset;       /* the path ends like a static file that a page pulls in */
    uint8_t partial;     /* the packet, or its capture, ends inside the target */
    uint8_t begun;       /* HTTP: and the rest is waited for; the request counts, and what it asks for is told later ... */
    uint8_t resumed;     /* ... which is here: the request was counted when it began */
    uint8_t upgrade;     /* HTTP: enum fw_upgrade */
    uint8_t unfinished;  /* HTTP: a whole packet without the empty line that ends a header */
    uint32_t owed;       /* HTTP: bytes of the promised body that are not in the packet, at most FW_OWED_MAX */
    uint8_t more, more_same, more_posts, more_assets; /* HTTP: further requests in the payload (pipelined); those of them
                                                       * for the same path, with a body, for parts of pages; at most 255 */
    uint64_t more_paths;                              /* bit hash(path) of each */
    uint8_t queried, query_bit; /* HTTP: there is a query, and one of 64 bits for it ... */
    uint8_t named, name_bit;    /* ... which begins with a parameter, and one for the name of that */
    uint8_t agent, login;       /* HTTP: a number from 1 on for the User-Agent, and for a login; 0: none (fw_program.h) */
    uint64_t client_hi, client_lo; /* for whom the sender says that it asks, IPv4 as in ::ffff:a.b.c.d ... */
    uint64_t client_hash;          /* ... and its keyed hash, as in src_hash */
    uint8_t via;         /* enum fw_via: how it says so */
    uint8_t line;        /* a PROXY line stands at the start of the payload ... */
    uint8_t deeper;      /* ... and names a proxy, behind which the headers name the client */
    uint8_t answers, refused, denied; /* HTTP: answers; those with a status of 400 or more; 401 and 403; at most 255 */
    uint8_t streams, resets, continuations; /* HTTP/2, of the client: frames HEADERS, RST_STREAM, CONTINUATION; at most 255 */
    uint8_t violations;  /* HTTP/2, of the client: frames for which a server has to reset their stream; at most 255 */
    uint8_t provoked;    /* HTTP/2, of the server: RST_STREAM frames that blame the client; at most 255 */
    uint16_t frames, pings, fast; /* WebSocket: frames; control frames of them; those of a connection that sends more
                                   * than people and their programs do (fw_websocket.h) */
    uint16_t record[2];  /* TLS: lengths of the first two records of application data ... */
    uint8_t records;     /* ... and how many begin in the packet, without those that are told apart next; at most 255 */
    uint32_t plain;      /* TLS: bytes inside these, as TLS 1.3 wraps them */
    uint8_t small;       /* TLS: records as long as a frame of 13 bytes: RST_STREAM and WINDOW_UPDATE of HTTP/2; at most 255 */
    uint8_t framed;      /* TLS: a record is as long as the acknowledgement of SETTINGS of HTTP/2, which both sides send */
    uint8_t shook;       /* TLS: enum fw_shook */
};

/* One more request of the payload of `out`. */
static inline void fw_message_add(struct fw_message *out, const struct fw_message *next)
{
    if (out->more == UINT8_MAX)
        return;
    out->more++;
    out->more_same = (uint8_t)(out->more_same + (next->path_hash == out->path_hash));
    out->more_posts = (uint8_t)(out->more_posts + next->posts);
    out->more_assets = (uint8_t)(out->more_assets + next->asset);
    out->more_paths |= 1ULL << (next->path_hash >> 58);
}

/* One more answer of the payload of `out`, by its status. */
static inline void fw_message_answer(struct fw_message *out, unsigned status)
{
    fw_count8(&out->answers, 1);
    fw_count8(&out->refused, status >= 400);
    fw_count8(&out->denied, status == 401 || status == 403);
}

struct fw_ranges;

/* Each looks at payload[0..size) and returns out->what; FW_SAID_NOTHING when it is none of theirs. They never fail. */
int fw_http_parse(const struct fw_key *key, const uint8_t *payload, uint32_t size, struct fw_message *out);
/* The same, with a PROXY line ahead, and with the client that it or a header names, see fw_forward.h; with the requests
 * behind the first one. Of a `whole` packet also: does its header end, how much of its body does not come with it, and in
 * *next what begins behind. */
int fw_http_read(const struct fw_key *key, const struct fw_ranges *named, const uint8_t *payload, uint32_t size, int whole,
                 struct fw_message *out, struct fw_next *next);
/* Go over the chunks of a body from payload[at] on, where the size of one stands; `at` may lie behind the payload. Returns
 * where the body ends, or `size`: not here, and *next says how it goes on. */
uint32_t fw_http_chunks(const uint8_t *payload, uint32_t at, uint32_t size, struct fw_next *next);
#define FW_HTTP_CUT 224u /* bytes of a line that is cut of which the rest is waited for: a method, a host, the path looked at */
/* Does the path of a request end like that of a part of a page? */
int fw_http_asset(const uint8_t *path, uint32_t n);
/* The keyed hash of a path of n <= FW_PATH_MAX bytes, as in path_hash. */
uint64_t fw_http_hash(const struct fw_key *key, const uint8_t *path, uint32_t n);
/* RFC 1035: a message with one question, standard opcode, whose name is whole and plain. */
int fw_dns_parse(const struct fw_key *key, const uint8_t *payload, uint32_t size, struct fw_message *out);
/* RFC 8446, 5.1: records from the start of the payload on, as far as they were captured. */
int fw_tls_parse(const uint8_t *payload, uint32_t size, struct fw_message *out);
/* RFC 9113, 4.1: how many frames of HTTP/2 begin in the payload, the last one perhaps cut; 0: it is something else. */
uint32_t fw_http2_frames(const uint8_t *payload, uint32_t size);
/* RFC 9113, 7: does a stream's error blame what the other side sent? PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED and
 * FRAME_SIZE_ERROR do; who is busy, or has no use for the rest, says so by other codes. */
int fw_http2_blames(uint32_t code);
/* RFC 9000, 17.2 and 17.3, RFC 9369: the header of a packet of version 1 or 2. */
int fw_quic_parse(const uint8_t *payload, uint32_t size, struct fw_message *out);

/* Cheap tests before the parsers: can these bytes begin HTTP/1, a TLS record, a frame of HTTP/2? (size >= 1)
 * RFC 9110, 5.6.2: a method is a token; RFC 9112, 2.2: an empty line may stand before it. */
static inline int fw_token_byte(uint8_t c)
{
    static const uint64_t TOKEN[2] = {0x03ff6cfa00000000ULL, 0x57ffffffc7fffffeULL};
    return c < 128 && (TOKEN[c >> 6] >> (c & 63) & 1);
}

static inline int fw_http_likely(const uint8_t *p) { return fw_token_byte(p[0]) || p[0] == '\r' || p[0] == '\n'; }

/* The same with a second look: a method or a version has its end within some bytes. Most segments of bodies have none. */
int fw_http_begins(const uint8_t *payload, uint32_t size);

static inline int fw_http2_likely(const uint8_t *p, uint32_t size)
{
    return p[0] == 0 && size >= FW_FRAME_HEADER && p[1] <= 0x40 && p[3] < FW_FRAME_TYPES;
}

static inline int fw_tls_likely(const uint8_t *p, uint32_t size)
{
    return p[0] >= 20 && p[0] <= 23 && size >= 6 && p[1] == 3;
}

#endif
