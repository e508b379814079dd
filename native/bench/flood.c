/* A bounded sender for live measurements: flood INTERFACE PACKETS PACKETS_PER_SECOND (0: all it can) syn|udp.
 * SYNs from forged addresses, or UDP to one port from them.
 *
 * Run it inside a network namespace that you made. It sends to 10.99.0.2 port 80 by sendmmsg in groups of 64, past
 * the queueing discipline, and prints how many were sent and the seconds they took. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define GROUP 64
#define FRAME 60

static uint64_t state = 0x9e3779b97f4a7c15ull;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void prepare(uint8_t *f, int udp)
{
    static const uint8_t UDP_HEAD[] = {0, 0, 0x1f, 0x90, 0, 26, 0, 0};
    static const uint8_t HEAD[] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0,
                                   0, 0, 0, 0, 10, 99, 0, 2, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 2, 0};
    memset(f, 0, FRAME);
    memcpy(f, HEAD, sizeof HEAD);
    if (udp) {
        f[17] = 46;
        f[23] = 17;
        memset(f + 34, 0, FRAME - 34);
        memcpy(f + 34, UDP_HEAD, sizeof UDP_HEAD);
    }
}

static void vary(uint8_t *f, int udp)
{
    uint32_t source = draw() | 0x01000000u, sequence = draw(), sum = 0;
    uint16_t port = (uint16_t)(1024 + draw() % 60000);
    source = htonl(source & 0x7fffffffu);
    port = htons(port);
    memcpy(f + 26, &source, 4);
    memcpy(f + 34, &port, 2);
    if (!udp)
        memcpy(f + 38, &sequence, 4);
    f[24] = f[25] = 0;
    for (int i = 14; i < 34; i += 2)
        sum += (uint32_t)(f[i] << 8 | f[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    f[24] = (uint8_t)(sum >> 8);
    f[25] = (uint8_t)sum;
}

int main(int argc, char **argv)
{
    static uint8_t frames[GROUP][FRAME];
    struct mmsghdr messages[GROUP];
    struct iovec parts[GROUP];
    if (argc != 5)
        return 2;
    int udp = strcmp(argv[4], "udp") == 0;
    uint64_t wanted = strtoull(argv[2], NULL, 10), sent = 0;
    double rate = atof(argv[3]), begin = now();
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return perror(argv[1]), 1;
    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < GROUP; i++) {
        prepare(frames[i], udp);
        parts[i] = (struct iovec){frames[i], FRAME};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    while (sent < wanted && now() - begin < 60) {
        double ahead = rate > 0 ? (double)sent / rate - (now() - begin) : 0;
        if (ahead > 0) {
            usleep(ahead > 0.002 ? 1000 : 50);
            continue;
        }
        unsigned group = wanted - sent < GROUP ? (unsigned)(wanted - sent) : GROUP;
        for (unsigned i = 0; i < group; i++)
            vary(frames[i], udp);
        int n = sendmmsg(fd, messages, group, 0);
        if (n > 0)
            sent += (uint64_t)n;
        else if (errno != ENOBUFS && errno != EAGAIN)
            return perror("sendmmsg"), 1;
    }
    printf("%llu %.3f\n", (unsigned long long)sent, now() - begin);
    return 0;
}
