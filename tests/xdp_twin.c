/* The XDP program of floodwatch/mitigate/xdp_program.py once more, in C: test_xdp.py compiles it with clang and
 * holds the two against each other, frame by frame. The maps come as file descriptors: -DNEVER4=5 ... */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct xdp_md {
    u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
struct block {
    u64 until, packets;
};
struct cpu {
    u64 refilled, left, hosts, networks, sampled, spared;
};
struct key4 {
    u32 bits;
    u8 address[4];
};
struct key6 {
    u32 bits;
    u8 address[16];
};
#define INLINE static inline __attribute__((always_inline))
enum verdict { DROP = 1, PASS = 2 };

static void *(*lookup)(void *map, const void *key) = (void *)1;
static u64 (*now)(void) = (void *)160;
extern u64 pseudo_map(u64 kind, u64 file) asm("llvm.bpf.pseudo");
#define MAP(file) ((void *)pseudo_map(1, file))

INLINE struct cpu *this_cpu(void)
{
    u32 key = 0;
    return lookup(MAP(TALLY), &key);
}

INLINE int spared(void)
{
    struct cpu *cpu = this_cpu();
    if (cpu)
        cpu->spared++;
    return PASS;
}

/* Pass a sample on, count and drop the others. */
INLINE int blocked(struct block *block, int host, u64 time)
{
    struct cpu *cpu = this_cpu();
    if (!cpu)
        return DROP;
    u64 more = (time - cpu->refilled) >> 17;
    if (more) {
        cpu->refilled = time;
        cpu->left = more > 128 ? 128 : more;
    }
    if (cpu->left) {
        cpu->left--;
        cpu->sampled++;
        return PASS;
    }
    if (host)
        cpu->hosts++;
    else
        cpu->networks++;
    __sync_fetch_and_add(&block->packets, 1);
    return DROP;
}

INLINE int judge(void *never, void *hosts, void *wide, const void *host, const void *prefix)
{
    if (lookup(never, prefix))
        return spared();
    struct block *block = lookup(hosts, host);
    if (block) {
        u64 time = now();
        if (block->until > time)
            return blocked(block, 1, time);
    }
    block = lookup(wide, prefix);
    if (block) {
        u64 time = now();
        if (block->until > time)
            return blocked(block, 0, time);
    }
    return PASS;
}

__attribute__((section("xdp"))) int twin(struct xdp_md *ctx)
{
    u8 *at = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;
    if (at + 14 > end)
        return PASS;
    u16 kind = *(u16 *)(at + 12);
    at += 14;
    for (int tags = 0; tags < 2; tags++) {
        if (kind != __builtin_bswap16(0x8100) && (tags || kind != __builtin_bswap16(0x88a8)))
            break;
        if (at + 4 > end)
            return PASS;
        kind = *(u16 *)(at + 2);
        at += 4;
    }
    if (kind == __builtin_bswap16(0x0800)) {
        struct key4 key = {.bits = 32};
        if (at + 20 > end)
            return PASS;
        __builtin_memcpy(key.address, at + 12, 4);
        return judge(MAP(NEVER4), MAP(BLOCK4), MAP(WIDE4), key.address, &key);
    }
    if (kind == __builtin_bswap16(0x86dd)) {
        struct key6 key = {.bits = 128};
        if (at + 40 > end)
            return PASS;
        __builtin_memcpy(key.address, at + 8, 16);
        return judge(MAP(NEVER6), MAP(BLOCK6), MAP(WIDE6), key.address, &key);
    }
    return PASS;
}
