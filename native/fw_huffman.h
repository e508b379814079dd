/* The Huffman code of HPACK (RFC 7541, appendix B), read bit by bit. It is canonical: codes of one length are numbers in a
 * row, given out in the order of the symbols, so that how many there are of each length says it all. */
#ifndef FW_HUFFMAN_H
#define FW_HUFFMAN_H

#include "fw_common.h"

#define FW_HUFFMAN_LONGEST 30u
#define FW_HUFFMAN_END 256 /* EOS, which no string may hold */

/* What the `bits` bits of `code` say: a symbol, or -1: they are only its beginning, or none. `symbols` before those of
 * this length, and the first code of it, are carried from length to length. */
static inline int fw_huffman_symbol(uint32_t code, unsigned bits)
{
    static const uint8_t COUNT[FW_HUFFMAN_LONGEST + 1] = {0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3,
                                                          0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19, 29, 0, 4};
    static const uint16_t SYMBOLS[257] = {
        48, 49, 50, 97, 99, 101, 105, 111, 115, 116, 32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98,
        100, 102, 103, 104, 108, 109, 110, 112, 114, 117, 58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
        80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122, 38, 42, 44, 59, 88, 90, 33, 34, 40,
        41, 63, 39, 43, 124, 35, 62, 0, 36, 64, 91, 93, 126, 94, 125, 60, 96, 123, 92, 195, 208, 128, 130, 131, 162,
        184, 194, 224, 226, 153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230, 129, 132, 133, 134, 136,
        146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233, 1, 135,
        137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183,
        188, 191, 197, 231, 239, 9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237, 199, 207, 234, 235, 192, 193,
        200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255, 203, 204, 211, 212, 214, 221, 222, 223, 241,
        244, 245, 246, 247, 248, 250, 251, 252, 253, 254, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21,
        23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249, 10, 13, 22, FW_HUFFMAN_END};
    uint32_t first = 0, before = 0;
    for (unsigned length = 1; length < bits; length++) {
        first = (first + COUNT[length]) << 1;
        before += COUNT[length];
    }
    return code >= first && code - first < COUNT[bits] ? SYMBOLS[before + code - first] : -1;
}

#endif
