/* Packet decode: each link type, each header, every truncation. */
#include "check.h"
#include "make.h"

static struct fw_hasher hasher = {.key = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL}};

static int decode(const struct bytes *b, uint16_t linktype, size_t caplen, uint32_t len, struct fw_packet *out)
{
    const uint8_t *payload = NULL, *p = guarded(b->at, caplen);
    struct fw_frame f = {.data = p, .caplen = (uint32_t)caplen, .len = len, .linktype = linktype};
    memset(out, 0xa5, sizeof *out);
    int rc = fw_packet_decode(&hasher, &f, out, &payload);
    CHECK(rc >= 0 && rc <= FW_REJECTS);
    if (rc == 0) {
        CHECK(out->captured <= out->payload && out->kind < FW_KINDS);
        if (out->captured)
            CHECK(payload >= p && payload + out->captured <= p + caplen);
    }
    return rc;
}

static const struct link {
    uint16_t linktype;
    uint8_t size, type_at; /* of the EtherType; type_at == size: there is none */
} LINKS[] = {{1, 14, 12}, {113, 16, 14}, {276, 20, 0}, {101, 0, 0}, {12, 0, 0}, {14, 0, 0}, {228, 0, 0}, {229, 0, 0}};

static void link_header(struct bytes *b, const struct link *l, unsigned type)
{
    zeros(b, l->size);
    if (l->size) {
        b->at[l->type_at] = (uint8_t)(type >> 8);
        b->at[l->type_at + 1] = (uint8_t)type;
    }
}

static void ip4(struct bytes *b, unsigned proto, unsigned options, unsigned fragment, unsigned payload)
{
    put8(b, 0x45 + options);
    put8(b, 0);
    put16(b, 20 + 4 * options + payload);
    put16(b, 1);
    put16(b, fragment);
    put8(b, 64);
    put8(b, proto);
    put16(b, 0);
    put32(b, 0xcb007105); /* 203.0.113.5 */
    put32(b, 0xc6336407); /* 198.51.100.7 */
    zeros(b, 4 * (size_t)options);
}

static void ip6(struct bytes *b, unsigned next, unsigned payload)
{
    put32(b, 0x60000000);
    put16(b, payload);
    put8(b, next);
    put8(b, 64);
    put32(b, 0x20010db8);
    zeros(b, 8);
    put32(b, 1);
    put32(b, 0x20010db8);
    zeros(b, 8);
    put32(b, 2);
}

static void tcp(struct bytes *b, unsigned flags, unsigned words, const char *payload)
{
    put16(b, 4000);
    put16(b, 80);
    put32(b, 0x01020304);
    put32(b, 0x05060708);
    put8(b, words << 4);
    put8(b, flags);
    zeros(b, 4 * (size_t)words - 14);
    put(b, payload, strlen(payload));
}

static void udp(struct bytes *b, unsigned length)
{
    put16(b, 123);
    put16(b, 5000);
    put16(b, length);
    zeros(b, length - 6);
}

static void check_tcp(const struct fw_packet *p, unsigned payload)
{
    CHECK_EQUAL(p->sport, 4000);
    CHECK_EQUAL(p->dport, 80);
    CHECK_EQUAL(p->seq, 0x01020304);
    CHECK_EQUAL(p->ack, 0x05060708);
    CHECK_EQUAL(p->proto, 6);
    CHECK_EQUAL(p->payload, payload);
}

/* The whole frame decodes; each snap length gives a reject or the same addresses; a shorter wire never faults. */
static void truncations(const struct bytes *b, uint16_t linktype)
{
    struct fw_packet whole, p;
    CHECK_EQUAL(decode(b, linktype, b->size, (uint32_t)b->size, &whole), 0);
    int complete = 0;
    for (size_t n = 0; n <= b->size; n++) {
        int rc = decode(b, linktype, n, (uint32_t)b->size, &p);
        if (rc == 0) {
            complete = 1;
            CHECK(fw_addr_equal(&p.src, &whole.src) && fw_addr_equal(&p.dst, &whole.dst));
            CHECK(p.kind == whole.kind && p.payload == whole.payload && p.sport == whole.sport);
        } else {
            CHECK_EQUAL(rc, 1 + FW_REJECT_TRUNCATED);
        }
        CHECK(!complete || rc == 0);
        decode(b, linktype, n, (uint32_t)n, &p);
    }
}

static void test_links(void)
{
    for (unsigned i = 0; i < sizeof LINKS / sizeof LINKS[0]; i++)
        for (int six = 0; six < 2; six++) {
            struct bytes b = {.big = 1};
            struct fw_packet p;
            link_header(&b, &LINKS[i], six ? 0x86dd : 0x0800);
            if (six)
                ip6(&b, 6, 25);
            else
                ip4(&b, 6, 0, 0, 25);
            tcp(&b, 0x18, 5, "hello");
            CHECK_EQUAL(decode(&b, LINKS[i].linktype, b.size, (uint32_t)b.size, &p), 0);
            check_tcp(&p, 5);
            CHECK_EQUAL(p.kind, FW_DATA);
            CHECK_EQUAL(p.bits & FW_V6, six);
            uint64_t words[2] = {p.src.hi, p.src.lo};
            CHECK(p.sender_hash == fw_siphash13(&KEY, six ? words : words + 1, six ? 2 : 1));
            CHECK(p.src_hash == fw_siphash13(&KEY, six ? words : words + 1, 1));
            CHECK(!six || (p.src.hi == 0x20010db800000000ULL && p.src.lo == 1 && p.dst.lo == 2));
            CHECK(six || (p.src.lo == (FW_V4_TAG | 0xcb007105) && p.dst.lo == (FW_V4_TAG | 0xc6336407)));
            truncations(&b, LINKS[i].linktype);
        }
    struct bytes b = {.big = 1};
    struct fw_packet p;
    zeros(&b, 60);
    CHECK_EQUAL(decode(&b, 999, 60, 60, &p), 1 + FW_REJECT_LINKTYPE);
    b.at[12] = 8, b.at[13] = 6;
    CHECK_EQUAL(decode(&b, 1, 60, 60, &p), 1 + FW_REJECT_NOT_IP);
}

static void test_vlan(void)
{
    for (unsigned tags = 0; tags <= 5; tags++) {
        struct bytes b = {.big = 1};
        struct fw_packet p;
        zeros(&b, 12);
        for (unsigned i = 0; i < tags; i++) {
            put16(&b, i + 1 < tags ? 0x88a8 : 0x8100);
            put16(&b, 100 + i);
        }
        put16(&b, 0x0800);
        ip4(&b, 17, 0, 0, 28);
        udp(&b, 28);
        int rc = decode(&b, 1, b.size, (uint32_t)b.size, &p);
        CHECK_EQUAL(rc, tags <= 4 ? 0 : 1 + FW_REJECT_NESTED);
        if (rc)
            continue;
        CHECK_EQUAL(p.kind, FW_UDP);
        CHECK_EQUAL(p.sport, 123);
        CHECK_EQUAL(p.payload, 20);
        truncations(&b, 1);
    }
}

static void test_ip4(void)
{
    struct fw_packet p;
    for (unsigned options = 0; options <= 10; options++) {
        struct bytes b = {.big = 1};
        link_header(&b, &LINKS[0], 0x0800);
        ip4(&b, 6, options, 0, 40);
        tcp(&b, 0xc2, 10, "");
        zeros(&b, 6); /* Ethernet padding is not payload */
        CHECK_EQUAL(decode(&b, 1, b.size, (uint32_t)b.size, &p), 0);
        check_tcp(&p, 0);
        CHECK_EQUAL(p.kind, FW_SYN);
        CHECK_EQUAL(p.bits & FW_BOGON, 0); /* both are of networks that nobody routes: among them that is usual */
        uint64_t victim = p.dst.lo;
        for (unsigned octet = 26; octet <= 30; octet += 4) { /* from where nobody is, and to a public address */
            uint8_t held = b.at[octet];
            b.at[octet] = octet == 26 ? 127 : 8;
            CHECK_EQUAL(decode(&b, 1, b.size, (uint32_t)b.size, &p), 0);
            CHECK_EQUAL(p.bits & FW_BOGON, FW_BOGON);
            b.at[octet] = held;
        }
        b.at[14] = 0x44;
        CHECK_EQUAL(decode(&b, 1, b.size, (uint32_t)b.size, &p), 1 + FW_REJECT_BAD_IP);
        CHECK(p.kind == FW_MALFORMED && p.dst.lo == victim && p.sport == 0 && p.captured == 0);
        b.at[14] = 0x65; /* where the addresses of another version stand is not known */
        CHECK_EQUAL(decode(&b, 1, b.size, (uint32_t)b.size, &p), 1 + FW_REJECT_BAD_IP);
        CHECK(p.kind != FW_MALFORMED);
    }
    static const uint16_t TOTALS[] = {1, 19, 23};
    for (unsigned i = 0; i < 4; i++) { /* a total length within the header, or a header longer than the packet */
        struct bytes b = {.big = 1};
        ip4(&b, 6, i < 3, 0, 20);
        tcp(&b, 0x02, 5, "");
        uint32_t total = i < 3 ? TOTALS[i] : 40;
        b.at[0] = i < 3 ? 0x46 : 0x4f;
        b.at[2] = 0;
        b.at[3] = (uint8_t)total;
        CHECK_EQUAL(decode(&b, 101, b.size, (uint32_t)b.size, &p), 1 + FW_REJECT_BAD_IP);
        CHECK(p.kind == FW_MALFORMED && p.proto == 6);
        CHECK_EQUAL(decode(&b, 101, 19, (uint32_t)b.size, &p), 1 + FW_REJECT_TRUNCATED);
        CHECK(p.kind != FW_MALFORMED);
    }
    static const struct { uint8_t flags, kind; } KINDS[] = {
        {0x02, FW_SYN}, {0x12, FW_SYNACK}, {0x04, FW_RST}, {0x14, FW_RST}, {0x11, FW_FIN}, {0x01, FW_FIN},
        {0x10, FW_ACK}, {0x00, FW_TCP_ODD}, {0x29, FW_TCP_ODD}, {0x03, FW_TCP_ODD}, {0x06, FW_TCP_ODD}, {0x3f, FW_TCP_ODD},
    };
    for (unsigned i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        struct bytes b = {.big = 1};
        ip4(&b, 6, 0, 0, 20);
        tcp(&b, KINDS[i].flags, 5, "");
        CHECK_EQUAL(decode(&b, 101, b.size, (uint32_t)b.size, &p), 0);
        CHECK_EQUAL(p.kind, KINDS[i].kind);
        b.at[32] = 0x40; /* TCP header of 16 bytes */
        CHECK_EQUAL(decode(&b, 101, b.size, (uint32_t)b.size, &p), 1 + FW_REJECT_BAD_L4);
        CHECK(p.kind == FW_MALFORMED && p.sport == 0 && p.dport == 0 && p.seq == 0 && p.tcp_flags == 0);
    }
    struct bytes icmp = {.big = 1};
    ip4(&icmp, 1, 0, 0, 12);
    put8(&icmp, 3);
    zeros(&icmp, 11);
    CHECK_EQUAL(decode(&icmp, 101, icmp.size, (uint32_t)icmp.size, &p), 0);
    CHECK(p.kind == FW_ICMP && p.dport == 3);
    struct bytes short_udp = {.big = 1};
    ip4(&short_udp, 17, 0, 0, 4);
    zeros(&short_udp, 4);
    CHECK_EQUAL(decode(&short_udp, 101, short_udp.size, (uint32_t)short_udp.size, &p), 1 + FW_REJECT_BAD_L4);
    CHECK(p.kind == FW_MALFORMED && p.sport == 0 && p.captured == 0);
    struct bytes cut = {.big = 1};
    ip4(&cut, 17, 0, 0, 8);
    zeros(&cut, 8);
    CHECK_EQUAL(decode(&cut, 101, 24, (uint32_t)cut.size, &p), 1 + FW_REJECT_TRUNCATED);
    CHECK(p.kind != FW_MALFORMED); /* the snap length cut it */
}

/* The window of one segment with these options, of a SYN its shift. */
static unsigned window(unsigned flags, unsigned told, const char *options, size_t size)
{
    struct bytes b = {0};
    struct fw_packet p;
    ip4(&b, 6, 0, 0, 20 + (unsigned)size);
    tcp(&b, flags, 5, "");
    b.at[20 + 12] = (uint8_t)((5 + size / 4) << 4);
    b.at[20 + 14] = (uint8_t)(told >> 8);
    b.at[20 + 15] = (uint8_t)told;
    put(&b, options, size);
    CHECK_EQUAL(decode(&b, 101, b.size, (uint32_t)b.size, &p), 0);
    CHECK_EQUAL(p.bits & FW_STALLED, flags == 16 && told == 0 ? FW_STALLED : 0);
    return p.window;
}

static void test_windows(void)
{
    CHECK_EQUAL(window(16, 0x0102, "", 0), 0x0102);
    CHECK_EQUAL(window(16, 0, "", 0), 0);
    CHECK_EQUAL(window(17, 502, "", 0), 0);
    CHECK_EQUAL(window(2, 502, "", 0), 0);
    CHECK_EQUAL(window(2, 502, "\2\4\5\xb4\4\2\x8\xa\0\0\0\1\0\0\0\0\1\3\3\7", 20), 7);
    CHECK_EQUAL(window(2, 502, "\2\4\5\xb4\1\3\3\x8\1\1\4\2", 12), 8);
    CHECK_EQUAL(window(2, 502, "\3\3\xff\1", 4), 14);     /* more than anybody may ask for */
    CHECK_EQUAL(window(2, 502, "\0\3\3\7", 4), 0);         /* behind the end of the options */
    CHECK_EQUAL(window(2, 502, "\2\0\3\3\7\1\1\1", 8), 7); /* a length that lies */
    CHECK_EQUAL(window(2, 502, "\1\1\3\3", 4), 0);         /* cut */
}

static void test_fragments(void)
{
    struct fw_packet p;
    struct bytes first = {.big = 1}, later = {.big = 1}, tiny = {.big = 1};
    ip4(&first, 17, 0, 0x2000, 32);
    udp(&first, 32);
    CHECK_EQUAL(decode(&first, 101, first.size, (uint32_t)first.size, &p), 0);
    CHECK(p.kind == FW_UDP && p.bits & FW_MORE_FRAGMENTS);
    truncations(&first, 101);
    ip4(&later, 17, 0, 4, 32);
    zeros(&later, 32);
    CHECK_EQUAL(decode(&later, 101, later.size, (uint32_t)later.size, &p), 0);
    CHECK(p.kind == FW_FRAGMENT && p.sport == 0 && p.payload == 32);
    truncations(&later, 101);
    ip4(&tiny, 6, 0, 0x2000, 8); /* the TCP flags are in the next fragment */
    zeros(&tiny, 8);
    CHECK_EQUAL(decode(&tiny, 101, tiny.size, (uint32_t)tiny.size, &p), 0);
    CHECK_EQUAL(p.kind, FW_FRAGMENT);
}

static void test_ip6(void)
{
    static const uint8_t TYPES[] = {0, 43, 60, 135, 51};
    struct fw_packet p;
    for (unsigned count = 1; count <= 11; count++) {
        struct bytes b = {.big = 1};
        ip6(&b, TYPES[0], 16 * count + 20);
        for (unsigned i = 0; i < count; i++) {
            unsigned type = TYPES[i % 5];
            put8(&b, i + 1 < count ? TYPES[(i + 1) % 5] : 6);
            put8(&b, type == 51 ? 2 : 1); /* 16 bytes either way */
            zeros(&b, 14);
        }
        tcp(&b, 0x12, 5, "");
        int rc = decode(&b, 101, b.size, (uint32_t)b.size, &p);
        CHECK_EQUAL(rc, count <= 10 ? 0 : 1 + FW_REJECT_NESTED);
        CHECK((p.kind == FW_MALFORMED) == (count > 10));
        if (rc)
            continue;
        check_tcp(&p, 0);
        CHECK_EQUAL(p.kind, FW_SYNACK);
        truncations(&b, 101);
    }
    for (unsigned offset = 0; offset < 2; offset++) {
        struct bytes b = {.big = 1};
        ip6(&b, 44, 8 + 28);
        put8(&b, 17);
        put8(&b, 0);
        put16(&b, offset << 3 | 1);
        put32(&b, 77);
        udp(&b, 28);
        CHECK_EQUAL(decode(&b, 101, b.size, (uint32_t)b.size, &p), 0);
        CHECK_EQUAL(p.kind, offset ? FW_FRAGMENT : FW_UDP);
        CHECK(p.bits & FW_MORE_FRAGMENTS);
        truncations(&b, 101);
    }
}

/* Random damage to a good frame: any answer, no fault. */
/* One IPv6 TCP packet from hi:lo, as decoded. */
static struct fw_packet from6(uint64_t hi, uint64_t lo)
{
    struct bytes b = {.big = 1};
    struct fw_packet p;
    ip6(&b, 6, 25);
    for (unsigned i = 0; i < 8; i++) {
        b.at[8 + i] = (uint8_t)(hi >> (56 - 8 * i));
        b.at[16 + i] = (uint8_t)(lo >> (56 - 8 * i));
    }
    tcp(&b, 0x18, 5, "hello");
    CHECK_EQUAL(decode(&b, 101, b.size, (uint32_t)b.size, &p), 0);
    uint64_t words[2] = {hi, lo};
    CHECK(p.src.hi == hi && p.src.lo == lo && p.sender_hash == fw_siphash13(&KEY, words, 2));
    CHECK(p.src_hash == (p.bits & FW_TRANSLATED ? p.sender_hash : fw_siphash13(&KEY, words, 1)));
    return p;
}

/* Behind each address of a translator is a host of its own; the /64 stands for every other. */
static void test_translated(void)
{
    const uint64_t wkp = 0x0064ff9b00000000ULL, local = 0x0064ff9b00010000ULL, own = 0x20010db800640000ULL;
    CHECK(from6(wkp, 0xcb00710a).bits & FW_TRANSLATED);
    CHECK(!(from6(wkp, 1ULL << 32 | 0xcb00710a).bits & FW_TRANSLATED));
    CHECK(!(from6(wkp + 1, 0xcb00710a).bits & FW_TRANSLATED));
    CHECK(from6(local, 0xcb00710a).bits & FW_TRANSLATED);
    CHECK(from6(local | 0xffff, 7ULL << 32 | 0xcb00710a).bits & FW_TRANSLATED);
    CHECK(!(from6(local + 0x10000, 0xcb00710a).bits & FW_TRANSLATED));
    CHECK(!(from6(own, 0xcb00710a).bits & FW_TRANSLATED));
    hasher.translators[0] = (struct fw_translator){own, 0, UINT64_MAX, 0xffffffff00000000ULL};
    hasher.translator_count = 1;
    CHECK(from6(own, 0xcb00710a).bits & FW_TRANSLATED);
    CHECK(!(from6(own, 1ULL << 32 | 0xcb00710a).bits & FW_TRANSLATED));
    CHECK(!(from6(own + 1, 0xcb00710a).bits & FW_TRANSLATED));
    hasher.translator_count = 0;
}

static void test_damage(void)
{
    struct fw_packet p;
    for (uint64_t i = 0; i < 200000; i++) {
        struct bytes b = {.big = 1};
        const struct link *l = &LINKS[number(1, i) % 8];
        link_header(&b, l, i & 1 ? 0x86dd : 0x0800);
        if (i & 1)
            ip6(&b, (unsigned)number(2, i) % 64, 60);
        else
            ip4(&b, i & 2 ? 6 : 17, (unsigned)number(3, i) % 11, 0, 60);
        tcp(&b, 0x18, 5, "GET / HTTP/1.1\r\n\r\n");
        for (unsigned k = 0; k < 3; k++)
            b.at[number(4 + k, i) % b.size] = (uint8_t)number(8 + k, i);
        decode(&b, l->linktype, number(12, i) % (b.size + 1), (uint32_t)b.size, &p);
    }
}

int main(void)
{
    test_links();
    test_vlan();
    test_ip4();
    test_windows();
    test_fragments();
    test_ip6();
    test_translated();
    test_damage();
    return finish("packet");
}
