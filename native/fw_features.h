/* What is counted: the one list. Every row F(type, name, dimensions, what) makes
 *
 *   - a member of a C struct,
 *   - a field of the NumPy record that Python gets (fw_layout.h),
 *   - a line of the stub and of the page floodwatch/docs/features.md (python native/features.py writes both).
 *
 * A new counter is one row here, and the line of C that counts it. `dimensions` is empty for a single number.
 *
 * In all records the numbers are of the open epoch and of packets towards the address, unless a row says otherwise.
 * A port of a kind is told by majority vote (Boyer, Moore: "MJRTY", 1981), those of a bucket as fw_ports.h says:
 * vote <= true count of the key <= packets. Weights are those of a sample of the flows, see fw_flow.h. */
#ifndef FW_FEATURES_H
#define FW_FEATURES_H

#define FW_MEMBER(type, name, dimensions, what) type name dimensions;

/* Kinds of packets, in the order of the array `kinds`: K(name, what). */
#define FW_KIND_LIST(K)                                                                                                \
    K(SYN, "SYN without ACK, RST, FIN; ECE and CWR do not matter")                                                     \
    K(SYNACK, "SYN with ACK")                                                                                          \
    K(RST, "RST")                                                                                                      \
    K(FIN, "FIN with ACK")                                                                                             \
    K(DATA, "ACK with payload")                                                                                        \
    K(ACK, "ACK without payload")                                                                                      \
    K(TCP_ODD, "any other set of TCP flags")                                                                           \
    K(UDP, "UDP")                                                                                                      \
    K(ICMP, "ICMP and ICMPv6")                                                                                         \
    K(FRAGMENT, "fragment but the first: no ports")                                                                    \
    K(OTHER, "any other protocol")                                                                                     \
    K(CARRIER, "holds another packet, which follows it in the batch and is counted for itself")                        \
    K(MALFORMED, "contradicts itself: nothing but addresses and protocol is known")

/* Classes of packets that keep their own set of sources, in the order of the array `sources`: C(name, what). */
#define FW_CLASS_LIST(C)                                                                                               \
    C(SYN, "SYN packets")                                                                                              \
    C(UDP, "UDP packets")                                                                                              \
    C(OTHER, "ICMP, fragments, other protocols, carriers, malformed")                                                        \
    C(HTTP, "HTTP requests")                                                                                           \
    C(TCP, "TCP packets that are no bare SYN")                                                                         \
    C(SEALED, "turns of TLS and QUIC: requests that cannot be read")

#define FW_ADDRESS_FEATURES(F)                                                                                         \
    F(uint64_t, hi, , "upper half of the address; 0 for IPv4")                                                         \
    F(uint64_t, lo, , "lower half of the address; IPv4 as in ::ffff:a.b.c.d")

/* Per victim and kind of packet. */
#define FW_KIND_FEATURES(F)                                                                                            \
    F(uint32_t, packets, , "packets towards the address")                                                              \
    F(uint32_t, out, , "packets from it")                                                                              \
    F(uint64_t, bytes, , "bytes towards it, as on the wire")                                                           \
    F(uint64_t, first_ns, , "time of the first packet")                                                                \
    F(uint64_t, last_ns, , "time of the last packet")                                                                  \
    F(uint32_t, port, , "majority of the destination ports; UDP: source ports; FRAGMENT, OTHER, CARRIER, MALFORMED:"   \
                        " protocols; none for SYN and ICMP")                                                                    \
    F(int32_t, port_vote, , "its vote")                                                                                \
    F(uint32_t, strange, , "weight of the packets of flows without a handshake whose other side was never heard")      \
    F(uint32_t, strange_flows, , "weight of such flows that began")                                                    \
    F(uint32_t, known, , "packets, of UDP, ICMP, OTHER and CARRIER, from addresses that this one sent the same"         \
                         " protocol to lately (fw_peers.h)")                                                           \
    F(uint32_t, replayed, , "packets, of all but TCP, that came before as no mirror shows them (fw_replays.h)")

/* Per victim and bucket of ports. */
#define FW_PORT_FEATURES(F)                                                                                            \
    F(uint32_t, key, , "a frequent port, with the protocol in the upper half")                                         \
    F(int32_t, vote, , "its vote")                                                                                     \
    F(uint32_t, second, , "another one of the same bucket")                                                            \
    F(int32_t, second_vote, , "its vote")                                                                              \
    F(uint32_t, packets, , "packets of the whole bucket")                                                              \
    F(uint32_t, out, , "in `service`: UDP and SYN packets that the address sent to a port of this bucket")             \
    F(uint64_t, bytes, , "bytes of the whole bucket")                                                                  \
    F(uint32_t, known, , "in `service`: UDP packets of it from addresses that this one sent UDP to lately")

/* Per victim and bucket of HTTP paths. */
#define FW_PATH_FEATURES(F)                                                                                            \
    F(uint64_t, hash, , "keyed hash of the majority path (SipHash-1-3; Aumasson, Bernstein 2012)")                     \
    F(int32_t, vote, , "its vote")                                                                                     \
    F(uint32_t, requests, , "requests of the whole bucket; parts of pages stay out")                                   \
    F(uint16_t, length, , "bytes of the text")                                                                         \
    F(uint8_t, posts, , "1: it was asked for by a method with a body")                                                 \
    F(uint8_t, text, [FW_PATH_TEXT], "the path without query, cut to its room")

/* Per victim, protocol (TLS over TCP, QUIC) and bucket of shapes. */
#define FW_SHAPE_FEATURES(F)                                                                                           \
    F(uint32_t, hash, , "the majority shape: lengths of a request and of its answer, in steps (fw_sealed.h)")          \
    F(int32_t, vote, , "its vote")                                                                                     \
    F(uint32_t, exchanges, , "exchanges of the whole bucket")

/* Per victim and protocol (TLS over TCP, QUIC): connections whose content is sealed, told from the outside. */
#define FW_SEALED_FEATURES(F)                                                                                          \
    F(uint64_t, bytes, , "application data of clients, in bytes")                                                      \
    F(uint64_t, answered, , "bytes of the answers in exchanges that ended")                                            \
    F(uint32_t, hellos, , "handshakes begun")                                                                          \
    F(uint32_t, finished, , "handshakes that their client finished")                                                   \
    F(uint32_t, first, , "connections whose handshake was seen that were asked the first time")                        \
    F(uint32_t, turns, , "turns: application data of the client after data of the server")                             \
    F(uint32_t, records, , "records of application data of clients; those that cannot be a request stay out")          \
    F(uint32_t, least, , "requests in sixtieths, at least ...")                                                         \
    F(uint32_t, most, , "... and at most: told from lengths (fw_asked.h)")                                             \
    F(uint32_t, small, , "records as long as RST_STREAM and WINDOW_UPDATE of HTTP/2")                                  \
    F(uint32_t, small_out, , "the same from the address: of TLS alone")                                                \
    F(uint32_t, exchanges, , "turns whose answer was seen to its end")                                                 \
    F(uint32_t, port, , "majority port of the turns and hellos")                                                       \
    F(int32_t, port_vote, , "its vote")                                                                                \
    F(struct fw_shape_count, shapes, [FW_SHAPES], "shapes of exchanges")

/* Per victim: the counters that any packet may write. The first row of this list and of the tables below stays the
 * first: an epoch's end clears from one to the next (fw_victim.c). */
#define FW_VICTIM_COUNTERS(F)                                                                                          \
    F(uint32_t, reference, , "number of the slot, with the slot's generation in the upper 16 bits")                    \
    F(uint32_t, syn_flows, , "weight of the flows whose first SYN came (distinct sampling, Gibbons 2001)")             \
    F(uint32_t, syn_again, , "weight of the SYNs that came again later: retransmitted (RFC 6298)")                     \
    F(uint32_t, syn_copies, , "weight of the SYNs that came again at once: the frame was captured twice")              \
    F(uint32_t, syn_replayed, , "weight of the SYNs that came again as neither stacks nor mirrors repeat them")        \
    F(uint32_t, syn_tried, , "SYNs to ports that their source tried before (fw_tries.h)")                              \
    F(uint32_t, syn_tried_often, , "of these: to ports that it had tried twice or more")                               \
    F(uint32_t, syn_tried_in_vain, , "of these: to ports that had answered")                                           \
    F(uint32_t, synack_flows, , "weight of the flows whose SYN was seen that the address answered with SYN-ACK")       \
    F(uint32_t, finished, , "weight of the handshakes finished: the ACK fits a SYN-ACK that was seen (RFC 9293, 3.5)") \
    F(uint32_t, followed, , "weight of the flows whose client went on though no SYN-ACK was seen: forgeable")          \
    F(uint32_t, refused, , "weight of the flows that the address answered with RST")                                   \
    F(uint32_t, beats, [FW_BEATS],                                                                                     \
      "packets by time, in steps of 2^24 ns (17 ms): of step n in place n mod 16")                                     \
    F(uint32_t, bogons, [FW_CLASSES],                                                                                  \
      "packets of each class from reserved addresses (RFC 6890): beside a private network's own, which it may get")    \
    F(uint32_t, dark, [FW_CLASSES], "packets of each class from /8 networks that hold no Internet clients")            \
    F(uint16_t, dark_blocks, [FW_CLASSES], "which of those networks, a bit each")                                      \
    F(uint32_t, icmp_errors, , "ICMP errors: unreachable and the like (RFC 792, RFC 4443)")                            \
    F(uint32_t, icmp_replies, , "ICMP echo replies")                                                                   \
    F(uint32_t, requests, , "HTTP requests")                                                                           \
    F(uint32_t, posts, , "requests whose method carries a body")                                                       \
    F(uint32_t, assets, , "requests for parts of pages: static files")                                                 \
    F(uint32_t, responses, , "HTTP responses from the address")                                                        \
    F(uint32_t, errors, , "responses with a status of 400 or more")                                                    \
    F(uint32_t, unfinished, , "requests whose header does not end in their packet")                                    \
    F(uint32_t, owing, , "requests whose body is not whole in their packet")                                           \
    F(uint32_t, denied, , "responses 401 and 403")                                                                     \
    F(uint32_t, logins, , "requests with a login (Authorization: Basic, Digest)")                                      \
    F(uint32_t, turned_away, , "of the responses 401 and 403 those that answer a request with a login")                \
    F(uint32_t, stalled, , "TCP packets of open connections with a window of zero")                                    \
    F(uint64_t, owed, , "bytes of the bodies that are not in their request's packet")                                  \
    F(uint64_t, loose, , "bytes of TCP data in packets that begin nothing we know")                                    \
    F(uint32_t, http_port, , "majority port of the requests")                                                          \
    F(uint32_t, udp_payload_max, , "largest UDP payload")                                                              \
    F(int32_t, http_port_vote, , "vote of http_port")                                                                  \
    F(uint32_t, fragment_heads, , "first fragments")                                                                   \
    F(uint32_t, dns_queries, , "DNS queries (RFC 1035)")                                                               \
    F(uint32_t, dns_answers, , "DNS answers from the address")                                                         \
    F(uint32_t, dns_failures, , "DNS answers from it with a response code")                                            \
    F(uint32_t, tls_hellos, , "TLS ClientHellos (RFC 8446)")                                                           \
    F(uint32_t, tls_records, , "TLS records of clients that went on: data, or the end of a handshake")                 \
    F(uint32_t, quic_initials, , "QUIC Initial packets of version 1 or 2 (RFC 9000, RFC 9369)")                        \
    F(uint32_t, h2_streams, , "HTTP/2 frames HEADERS in clear text (RFC 9113)")                                        \
    F(uint32_t, h2_resets, , "HTTP/2 frames RST_STREAM")                                                               \
    F(uint32_t, h2_continuations, , "HTTP/2 frames CONTINUATION")                                                      \
    F(uint32_t, h2_requests, , "of the requests: those by HTTP/2")                                                     \
    F(uint32_t, h2_violations, , "HTTP/2 frames for which a server has to reset their stream (RFC 9113, 5.4.2)")       \
    F(uint32_t, h2_provoked, , "HTTP/2 frames RST_STREAM from the address whose code blames the client")               \
    F(uint32_t, ws_frames, , "frames of WebSockets that clients sent (RFC 6455)")                                      \
    F(uint32_t, ws_fast, , "of these: small or control frames of connections that send more of them than people and"   \
                           " their programs do (fw_websocket.h)")                                                      \
    F(uint32_t, ws_controls, , "of these: pings, pongs and closes")                                                    \
    F(uint32_t, ws_port, , "majority port of the fast ones")                                                           \
    F(int32_t, ws_port_vote, , "its vote")                                                                             \
    F(uint64_t, zone_hash, , "keyed hash of the majority zone of the DNS queries: the name without its first label")   \
    F(int32_t, zone_vote, , "its vote")                                                                                \
    F(uint16_t, zone_length, , "bytes of its text; 0 where it is longer than its room")                                \
    F(uint8_t, zone_text, [FW_ZONE_TEXT], "the zone as labels")                                                        \
    F(struct fw_kind_count, kinds, [FW_KINDS], "what is counted by kind of packet")                                    \
    F(uint32_t, strays, , "packets of TCP out of any connection, of the flows that are looked at")                     \
    F(uint8_t, stray_ports, [1 << FW_SMALL_HLL_P], "their distinct destination ports: HyperLogLog, p = 6")             \
    F(uint8_t, stray_sources, [1 << FW_SMALL_HLL_P], "their distinct sources: HyperLogLog, p = 6")                     \
    F(uint8_t, finishers, [1 << FW_NAMES_HLL_P], "distinct sources that finished a handshake: HyperLogLog, p = 8")

/* Per victim and class of packets: HyperLogLog (Flajolet and others 2007; estimator of Ertl 2017). */
#define FW_VICTIM_SOURCES(F)                                                                                           \
    F(uint8_t, sources, [FW_CLASSES][1 << FW_HLL_P],                                                                   \
      "distinct sources (IPv4 address or IPv6 /64) of each class: HyperLogLog, p = 10")

/* Per victim: written by SYN, SYN-ACK and UDP packets only. */
#define FW_VICTIM_PORT_TABLES(F)                                                                                       \
    F(uint16_t, udp_marks, [1 << FW_HLL_P],                                                                            \
      "which source each register of UDP stands for: low byte the mark of its port (fw_port_mark), high byte of its"   \
      " hash, the largest of equal ranks; a sample of all sources (Gibbons 2001)")                                     \
    F(uint8_t, syn_ports, [1 << FW_SMALL_HLL_P], "distinct destination ports of SYNs: HyperLogLog, p = 6")             \
    F(uint8_t, udp_ports, [1 << FW_SMALL_HLL_P], "distinct destination ports of UDP packets: HyperLogLog, p = 6")      \
    F(uint8_t, udp_flows, [1 << FW_NAMES_HLL_P], "distinct flows of UDP packets, by both addresses and both ports:"    \
                                                 " HyperLogLog, p = 8")                                                \
    F(uint8_t, dns_names, [1 << FW_NAMES_HLL_P], "distinct names of DNS queries: HyperLogLog, p = 8")                  \
    F(struct fw_port_count, opened, [FW_PORTS], "destination ports of SYN and UDP packets")                            \
    F(struct fw_port_count, service, [FW_PORTS], "source ports of UDP and SYN-ACK packets")

/* Per victim: written by HTTP requests only. */
#define FW_VICTIM_HTTP_TABLES(F)                                                                                       \
    F(uint8_t, http_paths, [1 << FW_SMALL_HLL_P], "distinct paths of requests: HyperLogLog, p = 6")                    \
    F(struct fw_path_count, paths, [FW_PATHS], "paths of requests")

/* Per victim: written by packets of TLS and QUIC only. */
#define FW_VICTIM_SEALED_TABLES(F)                                                                                     \
    F(struct fw_sealed_count, sealed, [FW_SEALED_KINDS], "connections whose content is sealed: of TLS over TCP, of QUIC")

/* Per address that got packets, in short: for looks over whole networks. */
#define FW_HOST_FEATURES(F)                                                                                            \
    F(uint32_t, reference, , "as in the victim's record")                                                              \
    F(uint32_t, finished, , "as in the victim's record")                                                               \
    F(uint32_t, packets, [FW_KINDS], "packets towards the address, by kind")                                           \
    F(uint32_t, out, [FW_KINDS], "packets from it, by kind")                                                           \
    F(uint64_t, bytes, [FW_KINDS], "bytes towards it, by kind")                                                        \
    F(uint32_t, udp_from, , "majority source port of its UDP packets")                                                 \
    F(int32_t, udp_vote, , "its vote")

/* Per heavy (source, victim) pair, over the open window. */
#define FW_HEAVY_FEATURES(F)                                                                                           \
    F(uint64_t, pair_hash, , "keyed hash of source and victim; 0: a free entry")                                       \
    F(uint64_t, source, , "the source: tagged IPv4 address, or the upper half of an IPv6 address")                     \
    F(uint64_t, bytes, , "bytes of its packets")                                                                       \
    F(uint64_t, paths, , "bit hash(path) of every request: linear counting (Whang and others 1990)."                   \
                         " Before the first request: a bit for the source port of every UDP packet")                   \
    F(uint32_t, victim, , "reference of the victim's slot")                                                            \
    F(uint32_t, packets, , "packets since it is in the table: a lower bound (Space-Saving, Metwally and others 2005)") \
    F(uint32_t, udp, , "UDP packets")                                                                                  \
    F(uint32_t, requests, , "HTTP requests")                                                                           \
    F(uint32_t, missed, , "upper bound of its packets before (count-min, Cormode, Muthukrishnan 2005)")                \
    F(uint16_t, assets, , "requests for parts of pages; saturates, as do the next three")                              \
    F(uint16_t, repeats, , "requests for the same path as the one before")                                             \
    F(uint16_t, posts, , "requests with a body")                                                                       \
    F(uint16_t, errors, , "requests answered by a status of 400 or more; not of IPv6 networks")                       \
    F(uint8_t, last_path, , "the low byte of the last path's hash")                                                    \
    F(uint8_t, v6, , "0: the source is an IPv4 address; 1: an IPv6 /64; 2: one address of a translator (NAT64)")       \
    F(uint8_t, proven, , "handshakes that it is known to have finished, at most 255; above 0 its address is real")      \
    F(uint64_t, clients, , "bit hash(client) of every client that it says it asks for (X-Forwarded-For, Forwarded, PROXY" \
                           " line): linear counting")                                                                  \
    F(uint32_t, forwards, , "messages of its that name such a client")                                                 \
    F(uint8_t, how, , "how it names them: 1 by a header, 2 by a PROXY line; 3 both")                                    \
    F(uint8_t, via, , "0: the source sent the packets itself; else it is the client that a trusted proxy names,"       \
                      " 1 by a header, 2 by a PROXY line; `proven` then speaks of the proxy's connection")             \
    F(uint16_t, stacks, , "a bit for the class of TCP stack of every SYN: several machines share the address")          \
    F(uint32_t, frames, , "frames of WebSockets of its connections that send too many, as `ws_fast`") \
    F(uint16_t, denied, , "requests answered 401 or 403; saturates, as do the next four; not of IPv6 networks")        \
    F(uint16_t, logins, , "requests with another login (Basic, Digest) than the last request that had one")            \
    F(uint16_t, agents, , "requests with another User-Agent than the request before")                                  \
    F(uint16_t, strains, , "packets that cost the server and ask for nothing whole: requests without their end or"     \
                           " body, windows of zero, HTTP/2 resets, continuations and violations")                      \
    F(uint16_t, named, , "requests whose query begins with a named parameter")                                         \
    F(uint8_t, last_agent, , "a number for the last User-Agent")                                                       \
    F(uint8_t, last_login, , "a number for the last login")                                                            \
    F(uint64_t, queries, , "bit hash(query) of every request with one: linear counting")                               \
    F(uint64_t, names, , "bit hash(name of the first parameter) of every such request: linear counting")

/* Per connection on which a client holds a place (fw_held.h). */
#define FW_HELD_FEATURES(F)                                                                                            \
    F(uint64_t, flow, , "keyed hash of the connection; 0: a free entry")                                               \
    F(uint64_t, hi, , "upper half of the server's address; 0 for IPv4")                                                \
    F(uint64_t, lo, , "lower half of it")                                                                              \
    F(uint64_t, source, , "who holds it, as in the heavy pairs")                                                       \
    F(uint64_t, low, , "as in the heavy pairs")                                                                        \
    F(uint64_t, since_ns, , "time of the packet that began it")                                                        \
    F(uint64_t, last_ns, , "time of the client's last sign of it")                                                     \
    F(uint64_t, opened_ns, , "time at which the reader made room; 0: it takes nothing")                                \
    F(uint64_t, until_ns, , "time at which it was over; 0: it is held")                                                \
    F(uint32_t, moved, , "bytes of the rest of the request that came since, or that were sent to the reader")          \
    F(uint32_t, owed, , "bytes of the body that were not in the request's packet, or left of the reader's room")       \
    F(uint32_t, weight, , "so many connections it stands for")                                                         \
    F(uint16_t, port, , "the server's port")                                                                           \
    F(uint16_t, room, , "bytes for which a reader made room: its window, if that was narrow")                          \
    F(uint8_t, v6, , "as in the heavy pairs")                                                                          \
    F(uint8_t, kind, , "1: the request's header has no end; 2: its body does not come; 3: its answer is not read;"                \
                        " 4: inside TLS nothing is asked, or what is asked has no answer and goes on")     \
    F(uint8_t, proven, , "1: the connection's handshake was seen, so that the source is real")                         \
    F(uint8_t, heard, , "1: the server was seen to send on it since")

/* The same as the heavy pairs, in what is listed only: the table keeps it beside the entries, for hardly any needs it. */
#define FW_HEAVY_LISTED_FEATURES(F)                                                                                    \
    F(uint64_t, low, , "lower half of the address of a translator; else 0")

/* The same, of sources that speak TLS or QUIC. */
#define FW_HEAVY_SEALED_FEATURES(F)                                                                                    \
    F(uint64_t, shapes, , "bit hash(shape) of every exchange: linear counting")                                        \
    F(uint64_t, sealed_bytes, , "application data that it sent, in bytes")                                             \
    F(uint64_t, answered, , "bytes of the answers in its exchanges")                                                   \
    F(uint32_t, turns, , "turns")                                                                                      \
    F(uint32_t, quic_turns, , "those of them over QUIC")                                                               \
    F(uint32_t, talk, , "those of them on connections that speak no HTTP: their answers are too short for a header")   \
    F(uint32_t, records, , "records of application data, without those that cannot be a request")                      \
    F(uint32_t, least, , "requests in sixtieths, at least ...")                                                         \
    F(uint32_t, most, , "... and at most")                                                                             \
    F(uint32_t, small, , "records as long as RST_STREAM and WINDOW_UPDATE of HTTP/2")                                  \
    F(uint32_t, exchanges, , "exchanges that ended")                                                                   \
    F(uint32_t, alike, , "exchanges of the shape of the one before")                                                   \
    F(uint16_t, hellos, , "handshakes begun; saturates, as do the next two")                                           \
    F(uint16_t, shaken, , "handshakes finished")                                                                       \
    F(uint16_t, first, , "connections asked the first time")                                                           \
    F(uint16_t, closed, , "those of them that a side closed; over QUIC, where nobody sees it, all")                                                           \
    F(uint16_t, last_shape, , "the low bits of the last shape")

#endif
