/* Victim slots: who stays, exact counters, epochs. */
#include "check.h"
#include "make.h"

static struct fw_victims *victims;

static struct fw_slot *in(const struct fw_packet *p)
{
    struct fw_slot *s = fw_victim_admit(victims, p->dst_hash, &p->dst);
    if (s)
        fw_victim_in(victims, s, p, NULL, p->src_hash);
    return s;
}

/* Without eviction every counter is exact. */
static void test_exact(void)
{
    static uint32_t packets[64][FW_KINDS];
    static uint64_t bytes[64];
    fw_victim_clear(victims);
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t host = (uint32_t)number(1, i) % 64;
        uint8_t kind = (uint8_t)(number(2, i) % FW_KINDS);
        struct fw_packet p = packet(kind, (uint32_t)number(3, i), 1, 0x0a000000 + host, (uint16_t)(i % 7));
        p.bytes = 60 + (uint32_t)i % 1000;
        CHECK(in(&p) != NULL);
        packets[host][kind]++;
        bytes[host] += p.bytes;
    }
    CHECK(victims->evicted == 0 && victims->unslotted == 0 && victims->touched_count == 64);
    for (uint32_t host = 0; host < 64; host++) {
        struct fw_packet p = packet(FW_SYN, 0, 1, 0x0a000000 + host, 80);
        struct fw_slot *s = fw_victim_find(victims, p.dst_hash, &p.dst);
        uint64_t sum = 0;
        CHECK(s != NULL);
        for (unsigned k = 0; s && k < FW_KINDS; k++) {
            CHECK_EQUAL(s->v.kinds[k].packets, packets[host][k]);
            sum += s->v.kinds[k].bytes;
        }
        CHECK_EQUAL(sum, bytes[host]);
    }
    fw_victim_close_epoch(victims, 0);
    struct fw_packet p = packet(FW_SYN, 0, 1, 0x0a000000, 80);
    struct fw_slot *s = fw_victim_find(victims, p.dst_hash, &p.dst);
    CHECK(s && s->v.kinds[FW_SYN].packets == 0 && s->worth > 0 && victims->touched_count == 0);
}

/* Two ports that share a bucket are both told, and short of the truth by a third of its packets at most. */
static void test_two_ports_of_a_bucket(void)
{
    struct fw_port_count b = {0};
    uint32_t sent[3] = {0}, keys[3] = {fw_port_key(17, 123), fw_port_key(17, 1900), 0};
    for (uint32_t i = 0; i < 30000; i++) {
        uint32_t which = (uint32_t)number(7, i) % 10, at = which < 5 ? 0 : which < 9 ? 1 : 2;
        fw_port_vote(&b, at < 2 ? keys[at] : fw_port_key(17, (uint16_t)(20000 + i)), 100);
        sent[at]++;
    }
    CHECK(b.packets == 30000 && b.bytes == 3000000);
    CHECK((b.key == keys[0] && b.second == keys[1]) || (b.key == keys[1] && b.second == keys[0]));
    uint32_t votes[2] = {(uint32_t)b.vote, (uint32_t)b.second_vote};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t true_count = sent[(i == 0 ? b.key : b.second) == keys[0] ? 0 : 1];
        CHECK(votes[i] <= true_count && votes[i] + b.packets / 3 >= true_count);
    }
}

/* Whom the registers stand for hangs hardly ever on who came first, and shows what share came from which port. */
static void test_marks(void)
{
    static uint16_t first[1 << FW_HLL_P];
    unsigned ntp = 0, other = 0;
    for (unsigned turn = 0; turn < 2; turn++) {
        fw_victim_clear(victims);
        struct fw_slot *s = NULL;
        for (uint32_t i = 0; i < 4000; i++) {
            uint32_t source = turn ? 3999 - i : i;
            struct fw_packet p = packet(FW_UDP, source, 1, 0x0a000000, 80);
            p.sport = source < 1000 ? 123 : 1900;
            s = in(&p);
        }
        if (turn == 0)
            memcpy(first, s->v.udp_marks, sizeof first);
        else
            for (unsigned i = 0; i < 1u << FW_HLL_P; i++)
                other += first[i] != s->v.udp_marks[i];
    }
    for (unsigned i = 0; i < 1u << FW_HLL_P; i++)
        ntp += (first[i] & 255) == fw_port_mark(123);
    CHECK(other < 10);
    CHECK(ntp > 200 && ntp < 310); /* a quarter of some 1,000 filled registers, four standard errors around */
}

/* One packet in eight to one host, the rest to addresses that come once (some 28,000 a set). */
static void test_survivor(void)
{
    fw_victim_clear(victims);
    struct fw_packet host = packet(FW_UDP, 1, 53, 0xc6336407, 80);
    uint32_t mine = (uint32_t)(host.dst_hash >> 16) & (FW_SLOT_SETS - 1), in_set = 0, sent = 0, counted = 0;
    uint16_t generation = 0;
    for (uint32_t i = 0; in_set < 100000; i++) {
        struct fw_packet p = packet(FW_UDP, i, 53, i, 80);
        if (((uint32_t)(p.dst_hash >> 16) & (FW_SLOT_SETS - 1)) != mine)
            continue;
        in(&p);
        if (++in_set % 7 == 0) {
            struct fw_slot *s = in(&host);
            sent++;
            counted += s != NULL;
            if (s && sent > 100 && !generation)
                generation = s->generation;
        }
    }
    struct fw_slot *s = fw_victim_find(victims, host.dst_hash, &host.dst);
    CHECK(s != NULL);
    CHECK(s && s->generation == generation); /* never pushed out since it settled */
    CHECK(s && s->v.kinds[FW_UDP].packets >= sent - 100 && counted >= sent - 100);
    CHECK(victims->unslotted > 0 && victims->evicted > 0);
    CHECK(victims->touched_count <= FW_SLOTS);
}

static void test_ports(void)
{
    fw_victim_clear(victims);
    struct fw_slot *s = NULL;
    for (uint32_t i = 0; i < 3000; i++) {
        struct fw_packet p = packet(FW_UDP, i, 123, 0xc6336407, i % 3 ? 80 : (uint16_t)i);
        s = in(&p);
    }
    uint32_t total = 0, best = 0;
    for (unsigned i = 0; i < FW_PORTS; i++) {
        total += s->v.opened[i].packets;
        if (s->v.opened[i].key == (17u << 16 | 80) && s->v.opened[i].vote > 0)
            best = (uint32_t)s->v.opened[i].vote;
        CHECK((int64_t)s->v.opened[i].vote <= (int64_t)s->v.opened[i].packets);
    }
    CHECK_EQUAL(total, 3000);
    CHECK(best > 1500 && best <= 2001); /* vote <= true count */
}

/* What is copied out: slots over a floor, by address, each with its reference. */
static void test_rows(void)
{
    static struct fw_slot *chosen[FW_SLOTS];
    static struct fw_victim rows[3];
    fw_victim_clear(victims);
    for (uint32_t i = 0; i < 60; i++) {
        struct fw_packet p = packet(FW_UDP, i, 53, 0x0a000004 - i % 4, 80);
        if (i % 4 != 3 || i < 8)
            in(&p);
    }
    CHECK_EQUAL(fw_victim_select(victims, 3, chosen), 3);
    fw_victim_copy(chosen, 3, rows);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_EQUAL(rows[i].address.lo & UINT32_MAX, 0x0a000002 + i);
        CHECK_EQUAL(rows[i].kinds[FW_UDP].packets, 15);
        CHECK(&victims->slots[rows[i].reference & FW_SLOT_MASK] == chosen[i]);
    }
}

int main(void)
{
    victims = calloc(1, sizeof *victims);
    if (!victims)
        return 2;
    test_exact();
    test_two_ports_of_a_bucket();
    test_marks();
    test_survivor();
    test_ports();
    test_rows();
    free(victims);
    return finish("victim");
}
