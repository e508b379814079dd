/* A saved sketch: 32 bytes of header, the cells, a check sum. All little-endian.
 *
 *    0  magic     "FWSK"
 *    4  version   1
 *    5  kind      1 count-min, 2 HyperLogLog, 3 frequent keys (TopK)
 *    6  flags     bit 0: conservative update (count-min only); the rest 0
 *    7  rank      count-min: depth, 1..16; HyperLogLog: precision p, 4..18; TopK: 0
 *    8  width     u32; count-min: width, 1..2^28; HyperLogLog: 2^p; TopK: k, 3..2^20
 *   12  reserved  u32, 0
 *   16  key       u64, names the hash key without telling it: SipHash-1-3 of "floodwatch sketch" under that key;
 *                TopK: 0, for its keys stand in it
 *   24  total     u64; count-min: N, the sum of all counts; HyperLogLog: 0; TopK: N
 *   32  payload   count-min: depth x width u64, row by row; HyperLogLog: 2^p bytes, a register each;
 *                TopK: offset u64, items u32, then the items by falling count, equal ones by key: count u64,
 *                form u8 (0 int, 1 bytes, 2 text, 3 IPv4, 4 IPv6), size u8, the key's bytes (ints: 8, little-endian)
 *  end  checksum  u32, CRC-32 (ISO-HDLC, as in gzip) of all bytes before
 *
 * Size: 36 + 8 x depth x width, or 36 + 2^p, or 48 + 10 and the key for each item. CRC-32 finds every change within one 32-bit stretch; it does not
 * authenticate, and what passes it is checked for sense before it becomes a sketch. */
#ifndef FW_BLOB_H
#define FW_BLOB_H

#include "fw_common.h"

#define FW_BLOB_HEAD 32u
#define FW_BLOB_TAIL 4u

enum fw_blob_kind { FW_BLOB_COUNTMIN = 1, FW_BLOB_HLL = 2, FW_BLOB_TOPK = 3 };

struct fw_blob {
    uint8_t kind, flags, rank;
    uint32_t width;
    uint64_t key, total;
    const uint8_t *payload;
    size_t payload_size;
};

/* Write the header. */
void fw_blob_head(const struct fw_blob *b, uint8_t out[FW_BLOB_HEAD]);

/* Read header and size of a blob. Returns 0 and fills *b, or FW_BAD_RECORD with the wrong field's name in *field.
 * The check sum and the sense of the payload are the caller's. */
int fw_blob_parse(const uint8_t *bytes, size_t n, struct fw_blob *b, const char **field);

/* Are all registers possible ranks, 0..65 - p? */
int fw_blob_registers_plausible(const uint8_t *registers, unsigned p);

#endif
