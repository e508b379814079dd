/* The least a receiver can do: count the frames of an interface from a TPACKET_V3 ring. count INTERFACE SECONDS
 *
 * Prints how many it saw, how many its ring lost, and the seconds of processor time it took. */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define BLOCK (1u << 20)
#define BLOCKS 64u

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V3;
    struct tpacket_req3 shape = {BLOCK, BLOCKS, 2048, BLOCK / 2048 * BLOCKS, 10, 0, 0};
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &shape, sizeof shape) < 0)
        return perror("ring"), 1;
    uint8_t *ring = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                             .sll_ifindex = (int)if_nametoindex(argv[1])};
    if (ring == MAP_FAILED || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return perror(argv[1]), 1;
    uint64_t seen = 0;
    unsigned current = 0;
    puts("ready");
    fflush(stdout);
    for (double end = now() + atof(argv[2]); now() < end;) {
        struct tpacket_block_desc *b = (void *)(ring + (size_t)current * BLOCK);
        if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
            struct pollfd p = {fd, POLLIN, 0};
            poll(&p, 1, 50);
            continue;
        }
        seen += b->hdr.bh1.num_pkts;
        __atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        current = (current + 1) % BLOCKS;
    }
    struct tpacket_stats_v3 stats;
    socklen_t size = sizeof stats;
    struct rusage used;
    getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size);
    getrusage(RUSAGE_SELF, &used);
    double spent = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                   (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("%llu %u %.4f\n", (unsigned long long)seen, stats.tp_drops, spent);
    return 0;
}
