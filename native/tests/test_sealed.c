/* Records of TLS, headers of QUIC, and the connections that they make. */
#include "check.h"
#include "make.h"

#include "../fw_sealed.h"

#include <stdlib.h>

static struct fw_sealed *table;
static struct fw_exchange x;
static struct fw_message h;
static uint8_t buffer[4096];
static uint32_t filled, seq = 1000, ack = 5000;
static uint64_t now;

static void record(uint8_t type, uint16_t length, uint8_t first)
{
    uint8_t head[6] = {type, 3, 3, (uint8_t)(length >> 8), (uint8_t)length, first};
    memset(buffer + filled, 0xc5, 5u + length);
    memcpy(buffer + filled, head, length ? 6 : 5);
    filled += 5u + length;
}

static int parsed(void)
{
    int said = fw_tls_parse(guarded(buffer, filled), filled, &h);
    return said;
}

/* Send what was put together; returns what fw_sealed_observe does. */
static int send(int answer)
{
    struct fw_packet p = {.payload = filled, .captured = (uint16_t)filled, .seq = answer ? 1 : seq, .ack = answer ? 1 : ack};
    p.sport = answer ? 443 : 50000;
    p.dport = answer ? 50000 : 443;
    p.src_hash = p.sender_hash = answer ? 1 : 2;
    p.dst_hash = answer ? 2 : 1;
    p.ts_ns = now;
    int said = parsed();
    seq += answer ? 0 : filled;
    filled = 0;
    return said != FW_SAID_NOTHING && fw_sealed_observe(table, &p, &h, &x);
}

static int data(uint16_t length)
{
    record(23, length, 0);
    return send(0);
}

static void fresh(void) { memset(table, 0, sizeof *table); }

static void test_walk(void)
{
    record(22, 300, 1);
    CHECK_EQUAL(parsed(), FW_TLS_HELLO);
    record(20, 1, 1);
    record(23, 53, 0);
    record(23, 30, 0);
    record(23, 26, 0);
    record(23, 19, 0);
    record(23, 200, 0);
    CHECK_EQUAL(parsed(), FW_TLS_HELLO);
    CHECK_EQUAL(h.records, 2);
    CHECK_EQUAL(h.record[0], 53);
    CHECK_EQUAL(h.record[1], 200);
    CHECK_EQUAL(h.small, 1);
    CHECK_EQUAL(h.shook, FW_SHOOK_CHANGED | FW_SHOOK_HANDSHAKE | FW_SHOOK_ALERT);
    for (uint32_t cut = 0; cut < filled; cut++) { /* each prefix in front of a guard page */
        uint8_t *p = guarded(buffer, cut);
        CHECK(fw_tls_parse(p, cut, &h) == (cut > 5 ? FW_TLS_HELLO : FW_SAID_NOTHING));
    }
    filled = 0;
    record(23, 0, 0); /* RFC 8446, 5.1: application data may be empty, but asks for nothing */
    CHECK_EQUAL(parsed(), FW_SAID_NOTHING);
    uint8_t longest[6] = {23, 3, 3, 0x41, 0x01, 0}; /* 2^14 + 257 */
    CHECK_EQUAL(fw_tls_parse(guarded(longest, 6), 6, &h), FW_SAID_NOTHING);
    filled = 0;
}

static void test_tls13(void)
{
    fresh();
    record(22, 300, 1);
    CHECK(send(0) && x.hello && !x.turn);
    ack += 3000;
    record(20, 1, 1);
    record(23, 53, 0);
    CHECK(send(0) && x.finished && !x.turn && !x.records); /* Finished is no request */
    CHECK(data(120) && x.first && x.turn && x.records == 1 && !x.ended);
    CHECK(data(120) && !x.turn && x.records == 1); /* two in one turn */
    ack += 2000;
    CHECK(data(120) && x.turn && !x.first && x.ended && x.answer == 2000);
    uint32_t shape = x.shape;
    ack += 2000;
    CHECK(data(120) && x.ended && x.shape == shape);
    ack += 9000;
    CHECK(data(90) && x.ended && x.shape != shape);
    ack += 100;
    CHECK(data(30) && !x.turn && x.small == 1); /* WINDOW_UPDATE */
    CHECK(data(19) && x.ended && !x.turn);      /* an alert ends the last exchange */
    record(23, 500, 0);
    CHECK(!send(1)); /* the server's own */
}

static void test_tls12(void)
{
    fresh();
    record(22, 200, 1);
    CHECK(send(0) && x.hello);
    ack += 3000;
    record(22, 66, 16);
    record(20, 1, 1);
    record(22, 40, 0);
    CHECK(send(0) && x.finished && !x.turn);
    ack += 250;
    CHECK(data(150) && x.first && x.turn);
}

static void test_open_before(void)
{
    for (unsigned half = 0; half < 2; half++) { /* ACK numbers begin anywhere */
        fresh();
        ack += 1u << 31;
        CHECK(data(100) && x.turn && !x.first && !x.ended);
        ack += 1500;
        CHECK(data(100) && x.turn && x.ended && x.answer == 1500);
    }
    record(23, 500, 0);
    CHECK(!send(1));
}

static void shake_hands(void)
{
    fresh();
    record(22, 300, 1);
    CHECK(send(0) && x.hello);
    ack += 3000;
    record(20, 1, 1);
    record(23, 53, 0);
    CHECK(send(0) && x.finished && !x.waits);
}

/* More of a request, and no answer: since when; and a connection that asks for nothing is told of once, unless it is closed. */
static void test_who_waits(void)
{
    struct fw_waiting w;
    struct fw_packet p = {.sport = 50000, .dport = 443, .sender_hash = 2, .dst_hash = 1, .ts_ns = 30 * FW_SEALED_LATER_NS};
    uint64_t source, server;
    uint32_t from = 0;
    now = FW_SEALED_LATER_NS;
    shake_hands();
    fw_sealed_prove(table, &p);
    CHECK(!fw_sealed_mute(table, now + FW_SEALED_MUTE_NS - 1, &from, &w));
    from = 0;
    CHECK(fw_sealed_mute(table, now + FW_SEALED_MUTE_NS, &from, &w) && w.since_ns == now && w.port == 443 && w.proven);
    CHECK(!fw_sealed_mute(table, now + FW_SEALED_MUTE_NS, &from, &w));
    from = 0;
    CHECK(!fw_sealed_mute(table, now + 9 * FW_SEALED_MUTE_NS, &from, &w));
    shake_hands();
    CHECK(!fw_sealed_end(table, &p, &source, &server)); /* nothing was asked */
    from = 0;
    CHECK(!fw_sealed_mute(table, now + FW_SEALED_MUTE_NS, &from, &w));
    shake_hands();
    ack += 500; /* tickets */
    CHECK(data(100) && x.turn && !x.waits);
    now += FW_SEALED_LATER_NS - 1;
    CHECK(data(40) && !x.waits); /* of the same flight */
    now += 1;
    CHECK(data(40) && x.waits);
    CHECK(fw_sealed_waiting(table, &p, &w) && w.since_ns == now - FW_SEALED_LATER_NS && w.last_ns == p.ts_ns);
    ack += 100; /* the server says something */
    CHECK(data(40) && !x.waits);
    fresh();
    CHECK(data(100) && !fw_sealed_mute(table, now + 9 * FW_SEALED_MUTE_NS, &from, &w)); /* it was there before */
    CHECK(!fw_sealed_end(table, &p, &source, &server));
    now += 2 * FW_SEALED_LATER_NS;
    CHECK(data(40) && !x.waits);
}

/* Who asked and was served is told of once when a side closes, and who begins it is the client, whoever closes. */
static void test_who_closes(void)
{
    struct fw_packet of_client = {.sport = 50000, .dport = 443, .sender_hash = 2, .dst_hash = 1};
    struct fw_packet of_server = {.sport = 443, .dport = 50000, .sender_hash = 1, .dst_hash = 2};
    for (int waits = 0; waits < 2; waits++)
        for (int server_closes = 0; server_closes < 2; server_closes++) {
            uint64_t source = 0, server = 0;
            shake_hands();
            CHECK(data(100) && x.turn && x.first);
            now += FW_SEALED_LATER_NS;
            ack += waits ? 0 : 900;
            CHECK(data(100) && x.waits == waits);
            const struct fw_packet *p = server_closes ? &of_server : &of_client;
            CHECK(fw_sealed_end(table, p, &source, &server) == !waits);
            CHECK(source == 2 && server == 1);
            CHECK(!fw_sealed_end(table, p, &source, &server));
        }
}

/* Turns told of as talk, of so many with answers that are `varies` bytes apart. */
static uint32_t talk_of(uint32_t turns, uint32_t answer, uint32_t varies)
{
    uint32_t told = 0;
    for (uint32_t i = 0; i < turns; i++) {
        CHECK(data(60) && x.turn);
        told += x.talk;
        ack += answer + (i & 1) * varies;
    }
    return told;
}

/* Answers that are too short for HTTP/1.1, of ever other lengths; but not where the beginning was not seen or has frames. */
static void test_who_talks(void)
{
    shake_hands();
    CHECK_EQUAL(talk_of(20, 60, 9), 20); /* those before it was known count as well */
    CHECK_EQUAL(talk_of(400, 60, 40), 400);
    shake_hands();
    CHECK_EQUAL(talk_of(20, 60, 0), 0);
    shake_hands();
    CHECK_EQUAL(talk_of(20, FW_SEALED_HEADER, 9), 0);
    shake_hands();
    record(23, 26, 0); /* SETTINGS is acknowledged */
    send(0);
    CHECK_EQUAL(talk_of(20, 60, 9), 0);
    fresh();
    CHECK_EQUAL(talk_of(20, 60, 9), 0);
}

static void test_bounded(void)
{
    fresh();
    for (uint32_t i = 0; i < 200000; i++) { /* hellos that nobody goes on with leave open connections alone */
        struct fw_packet p = {.sport = 50000, .dport = 443, .sender_hash = fw_mix64(i + 9), .dst_hash = 1};
        struct fw_message hello = {.what = i == 0 ? FW_TLS_RECORD : FW_TLS_HELLO, .records = 1, .record = {100, 0}};
        CHECK(fw_sealed_observe(table, &p, &hello, &x));
        CHECK(i == 0 ? x.turn : x.hello);
    }
    struct fw_packet p = {.sport = 50000, .dport = 443, .sender_hash = fw_mix64(9), .dst_hash = 1, .ack = 77};
    struct fw_message more = {.what = FW_TLS_RECORD, .records = 1, .record = {100, 0}};
    CHECK(fw_sealed_observe(table, &p, &more, &x) && x.turn && x.ended && x.answer == 77);
}

static int quic(int answer, uint8_t first, const char *dcid, const char *scid, uint32_t size)
{
    uint8_t packet[1500] = {first, 0, 0, 0, 1};
    uint32_t at = first & 0x80 ? 5 : 1;
    if (first & 0x80)
        packet[at++] = (uint8_t)strlen(dcid);
    memcpy(packet + at, dcid, strlen(dcid));
    at += (uint32_t)strlen(dcid);
    if (first & 0x80) {
        packet[at++] = (uint8_t)strlen(scid);
        memcpy(packet + at, scid, strlen(scid));
    }
    struct fw_packet p = {.payload = size, .captured = (uint16_t)size, .proto = 17};
    p.sport = answer ? 443 : 50000;
    p.dport = answer ? 50000 : 443;
    p.src_hash = p.sender_hash = answer ? 1 : 2;
    p.dst_hash = answer ? 2 : 1;
    return fw_quic_parse(guarded(packet, size), size, &h) != FW_SAID_NOTHING && fw_sealed_observe(table, &p, &h, &x);
}

static void test_quic(void)
{
    fresh();
    CHECK(quic(0, 0xc0, "destined", "ours", 1200) && x.hello && x.quic);
    CHECK(!quic(1, 0xc0, "ours", "serverid", 1200));
    CHECK(quic(0, 0xe0, "elsewere", "ours", 80) && !x.finished); /* who did not hear the server */
    CHECK(quic(0, 0xe0, "serverid", "ours", 80) && x.finished && x.proven);
    CHECK(quic(0, 0x40, "serverid", "", 100) && x.first && x.turn && x.proven);
    CHECK(quic(0, 0x40, "serverid", "", 40) && !x.records); /* an ACK */
    CHECK(!quic(1, 0x40, "ours", "", 900));
    CHECK(quic(0, 0x40, "forgedid", "", 100) && x.turn && x.ended && x.answer == 900 && !x.proven);
}

/* What a decrypted connection says in clear text is asked once, by its client, with or without a Finished before. */
static void test_decrypted(void)
{
    struct fw_packet client = {.sport = 50000, .dport = 443, .sender_hash = 2, .dst_hash = 1, .payload = 90};
    struct fw_packet server = {.sport = 443, .dport = 50000, .sender_hash = 1, .dst_hash = 2, .payload = 90};
    for (int apart = 0; apart < 2; apart++) {
        fresh();
        CHECK(!fw_sealed_read(table, &client, &x) && !table->greeted);
        record(22, 300, 1);
        CHECK(send(0) && x.hello && table->greeted);
        if (apart)
            CHECK(data(53) && x.finished);
        CHECK(!fw_sealed_read(table, &server, &x));
        CHECK(fw_sealed_read(table, &client, &x) && x.first && !x.turn && x.finished == !apart);
        CHECK(!fw_sealed_read(table, &client, &x));
    }
}

int main(void)
{
    table = calloc(1, sizeof *table);
    test_walk();
    test_tls13();
    test_tls12();
    test_open_before();
    test_who_waits();
    test_who_closes();
    test_who_talks();
    test_bounded();
    test_quic();
    test_decrypted();
    free(table);
    return finish("sealed");
}
