/* HTTP/1 seen in one packet: the request line or the status line at the start of a TCP payload.
 * No reassembly and no state: results point into the caller's payload. */
#ifndef FW_HTTP_H
#define FW_HTTP_H

#include "fw_hash.h"

#define FW_PATH_MAX 128u /* bytes of a path that are looked at */

enum fw_http_what { FW_HTTP_NONE = 0, FW_HTTP_REQUEST = 1, FW_HTTP_RESPONSE = 2 };

struct fw_http {
    const uint8_t *path; /* request target without scheme, host and query; inside the payload */
    uint64_t path_hash;  /* keyed; 0 unless a request */
    uint16_t path_len;   /* at most FW_PATH_MAX */
    uint16_t status;     /* response only */
    uint8_t what;        /* enum fw_http_what */
    uint8_t posts;       /* the method carries a body (POST, PUT, PATCH) */
    uint8_t asset;       /* the path ends like a static file that a page pulls in */
    uint8_t partial;     /* the capture ends inside the target */
};

/* Look at payload[0..size). Returns out->what; FW_HTTP_NONE when it is neither. Never fails. */
int fw_http_parse(const struct fw_key *key, const uint8_t *payload, uint32_t size, struct fw_http *out);

/* Cheap test before the parser: can these bytes begin HTTP/1? (size >= 8) */
static inline int fw_http_likely(const uint8_t *p)
{
    switch (p[0]) {
    case 'G': case 'P': case 'H': case 'D': case 'O': case 'C': case 'T':
        return 1;
    default:
        return 0;
    }
}

#endif
