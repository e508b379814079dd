/* HPACK, the header compression of HTTP/2 (RFC 7541), as far as requests and answers are told by it: the fields :method,
 * :path and :status of a header block, byte by byte, so that a block may come in any number of pieces.
 *
 * Memory is fixed whatever table the peers agree on. An index counts from the newest entry, and an encoder refers to no
 * entry that was evicted: the newest FW_HPACK_ENTRIES are enough, without their sizes. What an older one holds, or one from
 * before a gap in the capture, is not known, and never guessed. Of a path that is told by index the hash is exact. */
#ifndef FW_HPACK_H
#define FW_HPACK_H

#include "fw_message.h"

#define FW_HPACK_ENTRIES 128u /* what fits the default table of 4,096 bytes (RFC 7541, 4.1: 32 bytes and more each) */

enum fw_header { FW_FIELD_OTHER = 0, FW_FIELD_METHOD, FW_FIELD_PATH, FW_FIELD_STATUS };

/* What a block has told so far. */
struct fw_fields {
    uint64_t path_hash;
    uint16_t status;
    uint8_t has;             /* bit of every enum fw_header that came with a value that is known */
    uint8_t posts, asset;    /* as in fw_message */
    uint8_t spelled;         /* the path stands in `path`; else it was told by index */
    uint8_t path_len, query; /* query: what follows is no part of the path */
    uint8_t path[FW_PATH_MAX];
};

struct fw_hpack {
    uint32_t inserted;       /* entries since the start, or the last gap */
    uint32_t number, left;   /* the integer that is read; bytes of the string that are still to come */
    uint32_t code;           /* bits of a Huffman code, and how many */
    uint8_t code_bits, shift, more, state, form, field, huffman, broken;
    uint8_t length, text[15]; /* of a name, a method, a status: as much as tells them */
    struct fw_fields fields;
    uint64_t values[FW_HPACK_ENTRIES]; /* hash of a path, or status */
    uint8_t kinds[FW_HPACK_ENTRIES];   /* enum fw_header; above it what the value is: a part of a page, a method with a body */
};

/* A new header block. */
void fw_hpack_begin(struct fw_hpack *h);
/* The next bytes of the block. Returns 0, or -1 for what no encoder writes: the connection ends there. */
int fw_hpack_feed(struct fw_hpack *h, const struct fw_key *key, const uint8_t *p, uint32_t size);
/* Blocks are missing: what the table holds is not known any more. */
void fw_hpack_lose(struct fw_hpack *h);

#endif
