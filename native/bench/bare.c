/* The bare loop that the whole chain is measured against: walk a mapped pcap, decode Ethernet, IPv4 and TCP, hash
 * the source with SipHash-1-3, add it to one count-min sketch (4 rows of 65,536 counters) and one HyperLogLog
 * (p = 12). Simple code, no batches, no prefetching.
 *
 *   bare FILE [PACKETS]    prints: packets N seconds S mpps M */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "../fw_hash.h"

static uint32_t rows[4][65536];
static uint8_t registers[4096];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int decode(const uint8_t *p, uint32_t caplen, uint32_t *src, uint64_t *syns)
{
    if (caplen < 14 + 20 || p[12] != 8 || p[13] != 0)
        return 0;
    const uint8_t *ip = p + 14;
    uint32_t header = (uint32_t)(ip[0] & 15) * 4;
    if (ip[0] >> 4 != 4 || header < 20 || ip[9] != 6 || caplen < 14 + header + 20)
        return 0;
    *src = fw_be32(ip + 12);
    *syns += (ip[header + 13] & 0x12) == 2;
    return 1;
}

static void count(uint64_t hash)
{
    for (unsigned row = 0; row < 4; row++)
        rows[row][hash >> (16 * row) & 65535]++;
    uint64_t rest = hash << 12 | 1u << 11;
    uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);
    uint8_t *r = &registers[hash >> 52];
    if (*r < rank)
        *r = rank;
}

int main(int argc, char **argv)
{
    struct fw_key key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
    struct stat st;
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < 24) {
        fprintf(stderr, "usage: bare FILE [PACKETS]\n");
        return 2;
    }
    size_t size = (size_t)st.st_size;
    uint64_t limit = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX, packets = 0, counted = 0, syns = 0;
    const uint8_t *file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED || fw_load32(file) != 0xa1b2c3d4u)
        return 2;
    double start = now();
    for (size_t at = 24; at + 16 <= size && packets < limit; packets++) {
        uint32_t caplen = fw_load32(file + at + 8), src;
        if (caplen > size - at - 16)
            break;
        if (decode(file + at + 16, caplen, &src, &syns)) {
            uint64_t word = src;
            count(fw_siphash13(&key, &word, 1));
            counted++;
        }
        at += 16 + (size_t)caplen;
    }
    double seconds = now() - start;
    uint64_t sum = rows[0][0] + rows[1][1] + rows[2][2] + rows[3][3] + registers[1] + counted + syns;
    printf("packets %llu seconds %.4f mpps %.3f check %llu\n", (unsigned long long)packets, seconds,
           (double)packets / seconds / 1e6, (unsigned long long)sum);
    return 0;
}
