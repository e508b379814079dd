/* The exported records, field by field, for a NumPy dtype that cannot drift from the C structs. */
#ifndef FW_LAYOUT_H
#define FW_LAYOUT_H

#include "fw_epoch.h"

struct fw_field {
    const char *name, *format; /* NumPy type string */
    size_t offset, count;      /* count 0: a scalar */
    const char *parent;        /* the array of records that the field lies in, or "" */
    size_t stride;             /* of the parent's records */
};

#define FW_SCALAR(type, member, format) {#member, format, offsetof(struct type, member), 0, "", 0}
#define FW_ARRAY(type, member, format, n) {#member, format, offsetof(struct type, member), n, "", 0}
#define FW_INNER(outer, array, inner, member, format, n) \
    {#member, format, offsetof(struct inner, member), n, #array, sizeof(struct inner)}

static const struct fw_field FW_VICTIM_LAYOUT[] = {
    {"hi", "<u8", offsetof(struct fw_victim, address) + offsetof(struct fw_addr, hi), 0, "", 0},
    {"lo", "<u8", offsetof(struct fw_victim, address) + offsetof(struct fw_addr, lo), 0, "", 0},
    FW_SCALAR(fw_victim, reference, "<u4"),
    FW_SCALAR(fw_victim, syn_flows, "<u4"),
    FW_SCALAR(fw_victim, syn_again, "<u4"),
    FW_SCALAR(fw_victim, syn_copies, "<u4"),
    FW_SCALAR(fw_victim, synack_flows, "<u4"),
    FW_SCALAR(fw_victim, finished, "<u4"),
    FW_SCALAR(fw_victim, followed, "<u4"),
    FW_SCALAR(fw_victim, refused, "<u4"),
    FW_SCALAR(fw_victim, syn_bogons, "<u4"),
    FW_SCALAR(fw_victim, udp_bogons, "<u4"),
    FW_SCALAR(fw_victim, icmp_errors, "<u4"),
    FW_SCALAR(fw_victim, icmp_replies, "<u4"),
    FW_SCALAR(fw_victim, requests, "<u4"),
    FW_SCALAR(fw_victim, posts, "<u4"),
    FW_SCALAR(fw_victim, assets, "<u4"),
    FW_SCALAR(fw_victim, responses, "<u4"),
    FW_SCALAR(fw_victim, errors, "<u4"),
    FW_SCALAR(fw_victim, unfinished, "<u4"),
    FW_SCALAR(fw_victim, owing, "<u4"),
    FW_SCALAR(fw_victim, denied, "<u4"),
    FW_SCALAR(fw_victim, stalled, "<u4"),
    FW_SCALAR(fw_victim, owed, "<u8"),
    FW_SCALAR(fw_victim, loose, "<u8"),
    FW_SCALAR(fw_victim, http_port, "<u4"),
    FW_SCALAR(fw_victim, udp_payload_max, "<u4"),
    FW_SCALAR(fw_victim, fragment_heads, "<u4"),
    FW_SCALAR(fw_victim, dns_queries, "<u4"),
    FW_SCALAR(fw_victim, dns_answers, "<u4"),
    FW_SCALAR(fw_victim, dns_failures, "<u4"),
    FW_SCALAR(fw_victim, tls_hellos, "<u4"),
    FW_SCALAR(fw_victim, tls_records, "<u4"),
    FW_SCALAR(fw_victim, quic_initials, "<u4"),
    FW_SCALAR(fw_victim, h2_streams, "<u4"),
    FW_SCALAR(fw_victim, h2_resets, "<u4"),
    FW_SCALAR(fw_victim, h2_continuations, "<u4"),
    {"zone_vote", "<i4", offsetof(struct fw_victim, zone) + offsetof(struct fw_zone_count, vote), 0, "", 0},
    {"zone_length", "<u2", offsetof(struct fw_victim, zone) + offsetof(struct fw_zone_count, length), 0, "", 0},
    {"zone_text", "u1", offsetof(struct fw_victim, zone) + offsetof(struct fw_zone_count, text), FW_ZONE_TEXT, "", 0},
    FW_ARRAY(fw_victim, kinds, "", FW_KINDS),
    FW_INNER(fw_victim, kinds, fw_kind_count, packets, "<u4", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, out, "<u4", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, bytes, "<u8", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, first_ns, "<u8", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, last_ns, "<u8", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, port, "<u4", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, port_vote, "<i4", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, strange, "<u4", 0),
    FW_INNER(fw_victim, kinds, fw_kind_count, strange_flows, "<u4", 0),
    FW_ARRAY(fw_victim, sources, "u1", sizeof(((struct fw_victim *)0)->sources)),
    FW_ARRAY(fw_victim, syn_ports, "u1", 1 << FW_SMALL_HLL_P),
    FW_ARRAY(fw_victim, http_paths, "u1", 1 << FW_SMALL_HLL_P),
    FW_ARRAY(fw_victim, udp_ports, "u1", 1 << FW_SMALL_HLL_P),
    FW_ARRAY(fw_victim, dns_names, "u1", 1 << FW_NAMES_HLL_P),
    FW_ARRAY(fw_victim, opened, "", FW_PORTS),
    FW_INNER(fw_victim, opened, fw_port_count, key, "<u4", 0),
    FW_INNER(fw_victim, opened, fw_port_count, vote, "<i4", 0),
    FW_INNER(fw_victim, opened, fw_port_count, packets, "<u4", 0),
    FW_ARRAY(fw_victim, service, "", FW_PORTS),
    FW_INNER(fw_victim, service, fw_port_count, key, "<u4", 0),
    FW_INNER(fw_victim, service, fw_port_count, vote, "<i4", 0),
    FW_INNER(fw_victim, service, fw_port_count, packets, "<u4", 0),
    FW_INNER(fw_victim, service, fw_port_count, out, "<u4", 0),
    FW_INNER(fw_victim, service, fw_port_count, bytes, "<u8", 0),
    FW_ARRAY(fw_victim, paths, "", FW_PATHS),
    FW_INNER(fw_victim, paths, fw_path_count, hash, "<u8", 0),
    FW_INNER(fw_victim, paths, fw_path_count, vote, "<i4", 0),
    FW_INNER(fw_victim, paths, fw_path_count, requests, "<u4", 0),
    FW_INNER(fw_victim, paths, fw_path_count, length, "<u2", 0),
    FW_INNER(fw_victim, paths, fw_path_count, posts, "u1", 0),
    FW_INNER(fw_victim, paths, fw_path_count, text, "u1", FW_PATH_TEXT),
};

static const struct fw_field FW_HOST_LAYOUT[] = {
    {"hi", "<u8", offsetof(struct fw_host, address) + offsetof(struct fw_addr, hi), 0, "", 0},
    {"lo", "<u8", offsetof(struct fw_host, address) + offsetof(struct fw_addr, lo), 0, "", 0},
    FW_SCALAR(fw_host, reference, "<u4"),
    FW_SCALAR(fw_host, finished, "<u4"),
    FW_ARRAY(fw_host, packets, "<u4", FW_KINDS),
    FW_ARRAY(fw_host, out, "<u4", FW_KINDS),
    FW_ARRAY(fw_host, bytes, "<u8", FW_KINDS),
    FW_SCALAR(fw_host, udp_from, "<u4"),
    FW_SCALAR(fw_host, udp_vote, "<i4"),
};

static const struct fw_field FW_HEAVY_LAYOUT[] = {
    FW_SCALAR(fw_heavy, pair_hash, "<u8"), FW_SCALAR(fw_heavy, source, "<u8"),  FW_SCALAR(fw_heavy, bytes, "<u8"),
    FW_SCALAR(fw_heavy, paths, "<u8"),   FW_SCALAR(fw_heavy, victim, "<u4"),
    FW_SCALAR(fw_heavy, packets, "<u4"), FW_SCALAR(fw_heavy, requests, "<u4"),
    FW_SCALAR(fw_heavy, udp, "<u4"),   FW_SCALAR(fw_heavy, assets, "<u2"),
    FW_SCALAR(fw_heavy, repeats, "<u2"), FW_SCALAR(fw_heavy, missed, "<u4"),
    FW_SCALAR(fw_heavy, posts, "<u2"), FW_SCALAR(fw_heavy, errors, "<u2"),
    FW_SCALAR(fw_heavy, v6, "u1"),       FW_SCALAR(fw_heavy, proven, "u1"),
    FW_SCALAR(fw_heavy, strains, "u1"),
};

static const struct fw_field FW_PACKET_LAYOUT[] = {
    FW_SCALAR(fw_packet, ts_ns, "<u8"),
    FW_ARRAY(fw_packet, src, "<u8", 2), /* hi, lo */
    FW_ARRAY(fw_packet, dst, "<u8", 2),
    FW_SCALAR(fw_packet, sport, "<u2"),
    FW_SCALAR(fw_packet, dport, "<u2"),
    FW_SCALAR(fw_packet, proto, "u1"),
    FW_SCALAR(fw_packet, tcp_flags, "u1"),
    FW_SCALAR(fw_packet, kind, "u1"),
    FW_SCALAR(fw_packet, bits, "u1"),
    FW_SCALAR(fw_packet, seq, "<u4"),
    FW_SCALAR(fw_packet, ack, "<u4"),
    FW_SCALAR(fw_packet, bytes, "<u4"),
    FW_SCALAR(fw_packet, payload, "<u4"),
    FW_SCALAR(fw_packet, message, "<u4"),
    FW_SCALAR(fw_packet, captured, "<u4"),
};
_Static_assert(sizeof(struct fw_addr) == 16 && offsetof(struct fw_addr, lo) == 8, "an address is (hi, lo)");

#define FW_COUNT(a) (sizeof(a) / sizeof((a)[0]))
static const size_t FW_VICTIM_FIELDS = FW_COUNT(FW_VICTIM_LAYOUT);
static const size_t FW_HOST_FIELDS = FW_COUNT(FW_HOST_LAYOUT);
static const size_t FW_HEAVY_FIELDS = FW_COUNT(FW_HEAVY_LAYOUT);
static const size_t FW_PACKET_FIELDS = FW_COUNT(FW_PACKET_LAYOUT);

#endif
