/* The exported records, field by field: what NumPy and the documentation know about the C structs. */
#ifndef FW_LAYOUT_H
#define FW_LAYOUT_H

#include "fw_epoch.h"
#include "fw_hellos.h"
#include "fw_segment.h"

struct fw_field {
    const char *record, *name;
    const char *format;   /* NumPy type string, or the record of the elements */
    size_t offset, count; /* count 0: a single number */
    size_t itemsize;      /* of the record */
    const char *what;
};

/* A number of an enumeration, by name. */
struct fw_name {
    const char *name, *what;
};

#define FW_FORMAT(type)                                                                                                \
    _Generic((type *)0, uint8_t *: "u1", uint16_t *: "<u2", uint32_t *: "<u4", uint64_t *: "<u8", int32_t *: "<i4",    \
             default: #type)
/* A single number's dimensions are empty, and their text is the empty string. */
#define FW_ROW(record, member, type, name, dimensions, what)                                                           \
    {#record, #name, FW_FORMAT(type), offsetof(record, member),                                                        \
     sizeof #dimensions > 1 ? sizeof(((record *)0)->member) / sizeof(type) : 0, sizeof(record), what},

#define FW_VICTIM_ADDRESS_ROW(type, name, d, what) FW_ROW(struct fw_victim, address.name, type, name, d, what)
#define FW_VICTIM_ROW(type, name, d, what) FW_ROW(struct fw_victim, name, type, name, d, what)
#define FW_KIND_ROW(type, name, d, what) FW_ROW(struct fw_kind_count, name, type, name, d, what)
#define FW_PORT_ROW(type, name, d, what) FW_ROW(struct fw_port_count, name, type, name, d, what)
#define FW_PATH_ROW(type, name, d, what) FW_ROW(struct fw_path_count, name, type, name, d, what)
#define FW_SHAPE_ROW(type, name, d, what) FW_ROW(struct fw_shape_count, name, type, name, d, what)
#define FW_SEALED_ROW(type, name, d, what) FW_ROW(struct fw_sealed_count, name, type, name, d, what)
#define FW_HOST_ADDRESS_ROW(type, name, d, what) FW_ROW(struct fw_host, address.name, type, name, d, what)
#define FW_HOST_ROW(type, name, d, what) FW_ROW(struct fw_host, name, type, name, d, what)
#define FW_HELD_ROW(type, name, d, what) FW_ROW(struct fw_held, name, type, name, d, what)
#define FW_HEAVY_ROW(type, name, d, what) FW_ROW(struct fw_heavy_count, name, type, name, d, what)
#define FW_HEAVY_SEALED_ROW(type, name, d, what) FW_ROW(struct fw_heavy_count, sealed.name, type, name, d, what)

/* Packets are not counters, and their keyed hashes stay here: the columns are chosen one by one. */
#define FW_COLUMN(name, format, count, what)                                                                           \
    {"struct fw_packet", #name, format, offsetof(struct fw_packet, name), count, sizeof(struct fw_packet), what},

#define FW_HELLO_COLUMN(name, format, count, what)                                                                     \
    {"struct fw_hello_seen", #name, format, offsetof(struct fw_hello_seen, name), count, sizeof(struct fw_hello_seen), what},

#define FW_SEGMENT_COLUMN(name, format, count, what)                                                                   \
    {"struct fw_segment", #name, format, offsetof(struct fw_segment, name), count, sizeof(struct fw_segment), what},

static const struct fw_field FW_LAYOUT[] = {
    FW_ADDRESS_FEATURES(FW_VICTIM_ADDRESS_ROW)
    FW_VICTIM_COUNTERS(FW_VICTIM_ROW)
    FW_VICTIM_SOURCES(FW_VICTIM_ROW)
    FW_VICTIM_PORT_TABLES(FW_VICTIM_ROW)
    FW_VICTIM_HTTP_TABLES(FW_VICTIM_ROW)
    FW_VICTIM_SEALED_TABLES(FW_VICTIM_ROW)
    FW_SHAPE_FEATURES(FW_SHAPE_ROW)
    FW_SEALED_FEATURES(FW_SEALED_ROW)
    FW_KIND_FEATURES(FW_KIND_ROW)
    FW_PORT_FEATURES(FW_PORT_ROW)
    FW_PATH_FEATURES(FW_PATH_ROW)
    FW_ADDRESS_FEATURES(FW_HOST_ADDRESS_ROW)
    FW_HOST_FEATURES(FW_HOST_ROW)
    FW_HEAVY_FEATURES(FW_HEAVY_ROW)
    FW_HEAVY_LISTED_FEATURES(FW_HEAVY_ROW)
    FW_HEAVY_SEALED_FEATURES(FW_HEAVY_SEALED_ROW)
    FW_HELD_FEATURES(FW_HELD_ROW)
    FW_COLUMN(ts_ns, "<u8", 0, "nanoseconds since 1970")
    FW_COLUMN(src, "<u8", 2, "source address: upper and lower half, IPv4 as in ::ffff:a.b.c.d")
    FW_COLUMN(dst, "<u8", 2, "destination address")
    FW_COLUMN(sport, "<u2", 0, "source port, 0 where there is none")
    FW_COLUMN(dport, "<u2", 0, "destination port; the type for ICMP")
    FW_COLUMN(proto, "u1", 0, "IP protocol")
    FW_COLUMN(tcp_flags, "u1", 0, "TCP flags, FIN = 1 to CWR = 128")
    FW_COLUMN(kind, "u1", 0, "kind of packet")
    FW_COLUMN(bits, "u1", 0, "1: IPv6; 2: more fragments follow; 4: reserved source address; 8: window of zero;"
              " 16: source inside a translator's network (NAT64); 32 to 128: of a SYN a class of its TCP stack;"
              " 64 of other packets of TCP: a short payload ends with an empty line")
    FW_COLUMN(seq, "<u4", 0, "TCP sequence number")
    FW_COLUMN(ack, "<u4", 0, "TCP acknowledgement number")
    FW_COLUMN(bytes, "<u4", 0, "bytes of the frame, as on the wire")
    FW_COLUMN(payload, "<u4", 0, "bytes of transport payload, as on the wire")
    FW_COLUMN(message, "<u4", 0, "1 + number of the message in it, 0 for none")
    FW_COLUMN(captured, "<u2", 0, "bytes of transport payload that were captured")
    FW_COLUMN(window, "<u2", 0, "of data and ACKs the TCP window as it stands in the header, of a SYN by how many bits it"
              " shifts later ones; 0 for others")
    FW_HELLO_COLUMN(ts_ns, "<u8", 0, "nanoseconds since 1970")
    FW_HELLO_COLUMN(key, "<u8", 0, "keyed hash of all that makes the fingerprint")
    FW_HELLO_COLUMN(name_key, "<u8", 0, "keyed hash of the server name, 0 for none")
    FW_HELLO_COLUMN(sender, "<u8", 0, "keyed hash of the source: IPv4 address or IPv6 /64")
    FW_HELLO_COLUMN(src, "<u8", 2, "source address: upper and lower half, IPv4 as in ::ffff:a.b.c.d")
    FW_HELLO_COLUMN(dst, "<u8", 2, "destination address")
    FW_HELLO_COLUMN(packet, "<u4", 0, "place in its batch of the packet that made it whole")
    FW_HELLO_COLUMN(at, "<u4", 0, "where its text begins: the ids (<u2 each), then the name; of an Initial the datagram")
    FW_HELLO_COLUMN(size, "<u4", 0, "bytes of the text")
    FW_HELLO_COLUMN(weight, "<u4", 0, "so many hellos it stands for, where not all are looked at")
    FW_HELLO_COLUMN(sport, "<u2", 0, "source port")
    FW_HELLO_COLUMN(dport, "<u2", 0, "destination port")
    FW_HELLO_COLUMN(version, "<u2", 0, "highest version that it offers")
    FW_HELLO_COLUMN(ciphers, "<u2", 0, "ids of cipher suites in the text")
    FW_HELLO_COLUMN(extensions, "<u2", 0, "ids of extensions behind them")
    FW_HELLO_COLUMN(algorithms, "<u2", 0, "ids of signature algorithms behind those")
    FW_HELLO_COLUMN(name_length, "<u2", 0, "bytes of the server name")
    FW_HELLO_COLUMN(transport, "u1", 0, "the letter t, d or q: TLS over TCP, DTLS, QUIC")
    FW_HELLO_COLUMN(sealed, "u1", 0, "1: an Initial of QUIC, still encrypted")
    FW_HELLO_COLUMN(named, "u1", 0, "1: there is an extension server_name")
    FW_HELLO_COLUMN(outer, "u1", 0, "1: an encrypted hello stands behind it, or the pretence of one")
    FW_HELLO_COLUMN(protocols, "u1", 0, "1: ALPN names a protocol ...")
    FW_HELLO_COLUMN(first, "u1", 0, "... of the first one the first byte ...")
    FW_HELLO_COLUMN(last, "u1", 0, "... and the last")
    FW_SEGMENT_COLUMN(ts_ns, "<u8", 0, "nanoseconds since 1970")
    FW_SEGMENT_COLUMN(flow, "<u8", 0, "keyed hash of the connection, the same for both directions")
    FW_SEGMENT_COLUMN(src, "<u8", 2, "source address: upper and lower half, IPv4 as in ::ffff:a.b.c.d")
    FW_SEGMENT_COLUMN(dst, "<u8", 2, "destination address")
    FW_SEGMENT_COLUMN(seq, "<u4", 0, "TCP sequence number")
    FW_SEGMENT_COLUMN(ack, "<u4", 0, "TCP acknowledgement number")
    FW_SEGMENT_COLUMN(record, "<u4", 0, "byte of the block at which its record begins, header included ...")
    FW_SEGMENT_COLUMN(size, "<u4", 0, "... and bytes of that record")
    FW_SEGMENT_COLUMN(frame, "<u4", 0, "from the record's beginning to the frame ...")
    FW_SEGMENT_COLUMN(ip, "<u4", 0, "... to the IP header ...")
    FW_SEGMENT_COLUMN(payload, "<u4", 0, "... and to the payload of TCP")
    FW_SEGMENT_COLUMN(captured, "<u4", 0, "bytes of payload that were captured ...")
    FW_SEGMENT_COLUMN(wire, "<u4", 0, "... and sent")
    FW_SEGMENT_COLUMN(sport, "<u2", 0, "source port")
    FW_SEGMENT_COLUMN(dport, "<u2", 0, "destination port")
    FW_SEGMENT_COLUMN(flags, "u1", 0, "TCP flags, FIN = 1 to CWR = 128")
    FW_SEGMENT_COLUMN(v6, "u1", 0, "1: IPv6")
    FW_SEGMENT_COLUMN(hello, "u1", 0, "1: the payload begins as a ClientHello of TLS does")
};
#define FW_LAYOUT_ROWS (sizeof FW_LAYOUT / sizeof FW_LAYOUT[0])

#define FW_LIST_NAME(name, what) {#name, what},
static const struct fw_name FW_KIND_NAMES[] = {FW_KIND_LIST(FW_LIST_NAME)};
static const struct fw_name FW_CLASS_NAMES[] = {FW_CLASS_LIST(FW_LIST_NAME)};

_Static_assert(sizeof(struct fw_addr) == 16 && offsetof(struct fw_addr, lo) == 8, "an address is (hi, lo)");

#endif
