"""The engine (C under a thin Cython layer): what packets and counters cross from C to Python by.

Bytes of a capture go in by blocks, one summary of NumPy arrays comes out per epoch. Calls release the GIL
while they work. No object is safe for use by two threads at once, except that one thread may fill a batch
while another observes a different batch.
"""

from collections.abc import Sequence
from mmap import mmap
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

ERRORS: Final[dict[int, str]]
NEED_MORE: Final[int]
RANGES_MOST: Final[int]
VOUCHED_MOST: Final[int]
MERGED: Final[int]
REJECTS: Final[tuple[str, ...]]
TUNNELS: Final[tuple[str, ...]]
FEATURES: Final[tuple[tuple[str, str, str, str], ...]]
"""(record, name, NumPy format, what it counts) of every field; ``(12,)kind``: twelve records so named."""
KINDS: Final[tuple[tuple[str, str], ...]]
"""(name, meaning) of the kinds of packets, in the order of their numbers."""
CLASSES: Final[tuple[tuple[str, str], ...]]
"""(name, meaning) of the classes of packets that keep their own set of sources."""
EPOCH_NS: Final[int]
"""Length of an epoch."""
WINDOW_EPOCHS: Final[int]
"""Epochs of a heavy-hitter window at most."""
FRAMES_A_SECOND: Final[int]
"""Small frames of one WebSocket in a second, over which its client sends too many."""
CONTROLS_A_SECOND: Final[int]
"""Control frames of one WebSocket in a second, over which its client sends too many."""
SLOTS: Final[int]
"""Addresses that are counted at a time."""
SLOT_MASK: Final[int]
"""The bits of a ``reference`` that number the slot; the others tell who had it."""
HLL_P: Final[int]
"""Precision of the HyperLogLog registers in ``sources``."""
SMALL_HLL_P: Final[int]
"""Precision of those in ``syn_ports``, ``udp_ports`` and ``http_paths``."""
NAMES_HLL_P: Final[int]
"""Precision of those in ``dns_names``."""
TOTAL_HLL_P: Final[int]
TRANSLATORS_MOST: Final[int]
"""Networks of translators that a decoder can be told of."""
"""Precision of ``Engine.total_sources``."""

# From here on native/features.py writes what native/fw_features.h says ...

SYN: Final[int]
"""SYN without ACK, RST, FIN; ECE and CWR do not matter."""
SYNACK: Final[int]
"""SYN with ACK."""
RST: Final[int]
"""RST."""
FIN: Final[int]
"""FIN with ACK."""
DATA: Final[int]
"""ACK with payload."""
ACK: Final[int]
"""ACK without payload."""
TCP_ODD: Final[int]
"""Any other set of TCP flags."""
UDP: Final[int]
"""UDP."""
ICMP: Final[int]
"""ICMP and ICMPv6."""
FRAGMENT: Final[int]
"""Fragment but the first: no ports."""
OTHER: Final[int]
"""Any other protocol."""
CARRIER: Final[int]
"""Holds another packet, which follows it in the batch and is counted for itself."""
MALFORMED: Final[int]
"""Contradicts itself: nothing but addresses and protocol is known."""
CLASS_SYN: Final[int]
"""SYN packets."""
CLASS_UDP: Final[int]
"""UDP packets."""
CLASS_OTHER: Final[int]
"""ICMP, fragments, other protocols, carriers, malformed."""
CLASS_HTTP: Final[int]
"""HTTP requests."""
CLASS_TCP: Final[int]
"""TCP packets that are no bare SYN."""
CLASS_SEALED: Final[int]
"""Turns of TLS and QUIC: requests that cannot be read."""
VICTIM_DTYPE: Final[np.dtype[np.void]]
"""One address and what it got in one epoch.

- ``hi`` (<u8) upper half of the address; 0 for IPv4
- ``lo`` (<u8) lower half of the address; IPv4 as in ::ffff:a.b.c.d
- ``reference`` (<u4) number of the slot, with the slot's generation in the upper 16 bits
- ``syn_flows`` (<u4) weight of the flows whose first SYN came (distinct sampling, Gibbons 2001)
- ``syn_again`` (<u4) weight of the SYNs that came again later: retransmitted (RFC 6298)
- ``syn_copies`` (<u4) weight of the SYNs that came again at once: the frame was captured twice
- ``syn_replayed`` (<u4) weight of the SYNs that came again as neither stacks nor mirrors repeat them
- ``syn_tried`` (<u4) SYNs to ports that their source tried before (fw_tries.h)
- ``syn_tried_often`` (<u4) of these: to ports that it had tried twice or more
- ``syn_tried_in_vain`` (<u4) of these: to ports that had answered
- ``synack_flows`` (<u4) weight of the flows whose SYN was seen that the address answered with SYN-ACK
- ``finished`` (<u4) weight of the handshakes finished: the ACK fits a SYN-ACK that was seen (RFC 9293, 3.5)
- ``followed`` (<u4) weight of the flows whose client went on though no SYN-ACK was seen: forgeable
- ``refused`` (<u4) weight of the flows that the address answered with RST
- ``beats`` ((16,)<u4) packets by time, in steps of 2^24 ns (17 ms): of step n in place n mod 16
- ``bogons`` ((6,)<u4) packets of each class from reserved addresses (RFC 6890): beside a private network's
  own, which it may get
- ``dark`` ((6,)<u4) packets of each class from /8 networks that hold no Internet clients
- ``dark_blocks`` ((6,)<u2) which of those networks, a bit each
- ``icmp_errors`` (<u4) ICMP errors: unreachable and the like (RFC 792, RFC 4443)
- ``icmp_replies`` (<u4) ICMP echo replies
- ``requests`` (<u4) HTTP requests
- ``posts`` (<u4) requests whose method carries a body
- ``assets`` (<u4) requests for parts of pages: static files
- ``responses`` (<u4) HTTP responses from the address
- ``errors`` (<u4) responses with a status of 400 or more
- ``unfinished`` (<u4) requests whose header does not end in their packet
- ``owing`` (<u4) requests whose body is not whole in their packet
- ``denied`` (<u4) responses 401 and 403
- ``logins`` (<u4) requests with a login (Authorization: Basic, Digest)
- ``turned_away`` (<u4) of the responses 401 and 403 those that answer a request with a login
- ``stalled`` (<u4) TCP packets of open connections with a window of zero
- ``owed`` (<u8) bytes of the bodies that are not in their request's packet
- ``loose`` (<u8) bytes of TCP data in packets that begin nothing we know
- ``http_port`` (<u4) majority port of the requests
- ``udp_payload_max`` (<u4) largest UDP payload
- ``http_port_vote`` (<i4) vote of http_port
- ``fragment_heads`` (<u4) first fragments
- ``dns_queries`` (<u4) DNS queries (RFC 1035)
- ``dns_answers`` (<u4) DNS answers from the address
- ``dns_failures`` (<u4) DNS answers from it with a response code
- ``tls_hellos`` (<u4) TLS ClientHellos (RFC 8446)
- ``tls_records`` (<u4) TLS records of clients that went on: data, or the end of a handshake
- ``quic_initials`` (<u4) QUIC Initial packets of version 1 or 2 (RFC 9000, RFC 9369)
- ``h2_streams`` (<u4) HTTP/2 frames HEADERS in clear text (RFC 9113)
- ``h2_resets`` (<u4) HTTP/2 frames RST_STREAM
- ``h2_continuations`` (<u4) HTTP/2 frames CONTINUATION
- ``h2_requests`` (<u4) of the requests: those by HTTP/2
- ``h2_violations`` (<u4) HTTP/2 frames for which a server has to reset their stream (RFC 9113, 5.4.2)
- ``h2_provoked`` (<u4) HTTP/2 frames RST_STREAM from the address whose code blames the client
- ``ws_frames`` (<u4) frames of WebSockets that clients sent (RFC 6455)
- ``ws_fast`` (<u4) of these: small or control frames of connections that send more of them than people and
  their programs do (fw_websocket.h)
- ``ws_controls`` (<u4) of these: pings, pongs and closes
- ``ws_port`` (<u4) majority port of the fast ones
- ``ws_port_vote`` (<i4) its vote
- ``zone_hash`` (<u8) keyed hash of the majority zone of the DNS queries: the name without its first label
- ``zone_vote`` (<i4) its vote
- ``zone_length`` (<u2) bytes of its text; 0 where it is longer than its room
- ``zone_text`` ((66,)u1) the zone as labels
- ``kinds`` ((13,)kind) what is counted by kind of packet
  - ``packets`` (<u4) packets towards the address
  - ``out`` (<u4) packets from it
  - ``bytes`` (<u8) bytes towards it, as on the wire
  - ``first_ns`` (<u8) time of the first packet
  - ``last_ns`` (<u8) time of the last packet
  - ``port`` (<u4) majority of the destination ports; UDP: source ports; FRAGMENT, OTHER, CARRIER, MALFORMED:
    protocols; none for SYN and ICMP
  - ``port_vote`` (<i4) its vote
  - ``strange`` (<u4) weight of the packets of flows without a handshake whose other side was never heard
  - ``strange_flows`` (<u4) weight of such flows that began
  - ``known`` (<u4) packets, of UDP, ICMP, OTHER and CARRIER, from addresses that this one sent the same
    protocol to lately (fw_peers.h)
  - ``replayed`` (<u4) packets, of all but TCP, that came before as no mirror shows them (fw_replays.h)
- ``strays`` (<u4) packets of TCP out of any connection, of the flows that are looked at
- ``stray_ports`` ((64,)u1) their distinct destination ports: HyperLogLog, p = 6
- ``stray_sources`` ((64,)u1) their distinct sources: HyperLogLog, p = 6
- ``finishers`` ((256,)u1) distinct sources that finished a handshake: HyperLogLog, p = 8
- ``sources`` ((6144,)u1) distinct sources (IPv4 address or IPv6 /64) of each class: HyperLogLog, p = 10
- ``udp_marks`` ((1024,)<u2) which source each register of UDP stands for: low byte the mark of its port
  (fw_port_mark), high byte of its hash, the largest of equal ranks; a sample of all sources (Gibbons 2001)
- ``syn_ports`` ((64,)u1) distinct destination ports of SYNs: HyperLogLog, p = 6
- ``udp_ports`` ((64,)u1) distinct destination ports of UDP packets: HyperLogLog, p = 6
- ``udp_flows`` ((256,)u1) distinct flows of UDP packets, by both addresses and both ports: HyperLogLog, p = 8
- ``dns_names`` ((256,)u1) distinct names of DNS queries: HyperLogLog, p = 8
- ``opened`` ((64,)port) destination ports of SYN and UDP packets
  - ``key`` (<u4) a frequent port, with the protocol in the upper half
  - ``vote`` (<i4) its vote
  - ``second`` (<u4) another one of the same bucket
  - ``second_vote`` (<i4) its vote
  - ``packets`` (<u4) packets of the whole bucket
  - ``out`` (<u4) in `service`: UDP and SYN packets that the address sent to a port of this bucket
  - ``bytes`` (<u8) bytes of the whole bucket
  - ``known`` (<u4) in `service`: UDP packets of it from addresses that this one sent UDP to lately
- ``service`` ((64,)port) source ports of UDP and SYN-ACK packets
  - ``key`` (<u4) a frequent port, with the protocol in the upper half
  - ``vote`` (<i4) its vote
  - ``second`` (<u4) another one of the same bucket
  - ``second_vote`` (<i4) its vote
  - ``packets`` (<u4) packets of the whole bucket
  - ``out`` (<u4) in `service`: UDP and SYN packets that the address sent to a port of this bucket
  - ``bytes`` (<u8) bytes of the whole bucket
  - ``known`` (<u4) in `service`: UDP packets of it from addresses that this one sent UDP to lately
- ``http_paths`` ((64,)u1) distinct paths of requests: HyperLogLog, p = 6
- ``paths`` ((16,)path) paths of requests
  - ``hash`` (<u8) keyed hash of the majority path (SipHash-1-3; Aumasson, Bernstein 2012)
  - ``vote`` (<i4) its vote
  - ``requests`` (<u4) requests of the whole bucket; parts of pages stay out
  - ``length`` (<u2) bytes of the text
  - ``posts`` (u1) 1: it was asked for by a method with a body
  - ``text`` ((76,)u1) the path without query, cut to its room
- ``sealed`` ((2,)sealed) connections whose content is sealed: of TLS over TCP, of QUIC
  - ``bytes`` (<u8) application data of clients, in bytes
  - ``answered`` (<u8) bytes of the answers in exchanges that ended
  - ``hellos`` (<u4) handshakes begun
  - ``finished`` (<u4) handshakes that their client finished
  - ``first`` (<u4) connections whose handshake was seen that were asked the first time
  - ``turns`` (<u4) turns: application data of the client after data of the server
  - ``records`` (<u4) records of application data of clients; those that cannot be a request stay out
  - ``least`` (<u4) requests in sixtieths, at least ...
  - ``most`` (<u4) ... and at most: told from lengths (fw_asked.h)
  - ``small`` (<u4) records as long as RST_STREAM and WINDOW_UPDATE of HTTP/2
  - ``small_out`` (<u4) the same from the address: of TLS alone
  - ``exchanges`` (<u4) turns whose answer was seen to its end
  - ``port`` (<u4) majority port of the turns and hellos
  - ``port_vote`` (<i4) its vote
  - ``shapes`` ((16,)shape) shapes of exchanges
    - ``hash`` (<u4) the majority shape: lengths of a request and of its answer, in steps (fw_sealed.h)
    - ``vote`` (<i4) its vote
    - ``exchanges`` (<u4) exchanges of the whole bucket
"""
HOST_DTYPE: Final[np.dtype[np.void]]
"""One address and what it got and sent in one epoch, in short.

- ``hi`` (<u8) upper half of the address; 0 for IPv4
- ``lo`` (<u8) lower half of the address; IPv4 as in ::ffff:a.b.c.d
- ``reference`` (<u4) as in the victim's record
- ``finished`` (<u4) as in the victim's record
- ``packets`` ((13,)<u4) packets towards the address, by kind
- ``out`` ((13,)<u4) packets from it, by kind
- ``bytes`` ((13,)<u8) bytes towards it, by kind
- ``udp_from`` (<u4) majority source port of its UDP packets
- ``udp_vote`` (<i4) its vote
"""
HEAVY_DTYPE: Final[np.dtype[np.void]]
"""One heavy pair of a source and a victim, over the open window.

- ``pair_hash`` (<u8) keyed hash of source and victim; 0: a free entry
- ``source`` (<u8) the source: tagged IPv4 address, or the upper half of an IPv6 address
- ``bytes`` (<u8) bytes of its packets
- ``paths`` (<u8) bit hash(path) of every request: linear counting (Whang and others 1990). Before the first
  request: a bit for the source port of every UDP packet
- ``victim`` (<u4) reference of the victim's slot
- ``packets`` (<u4) packets since it is in the table: a lower bound (Space-Saving, Metwally and others 2005)
- ``udp`` (<u4) UDP packets
- ``requests`` (<u4) HTTP requests
- ``missed`` (<u4) upper bound of its packets before (count-min, Cormode, Muthukrishnan 2005)
- ``assets`` (<u2) requests for parts of pages; saturates, as do the next three
- ``repeats`` (<u2) requests for the same path as the one before
- ``posts`` (<u2) requests with a body
- ``errors`` (<u2) requests answered by a status of 400 or more; not of IPv6 networks
- ``last_path`` (u1) the low byte of the last path's hash
- ``v6`` (u1) 0: the source is an IPv4 address; 1: an IPv6 /64; 2: one address of a translator (NAT64)
- ``proven`` (u1) handshakes that it is known to have finished, at most 255; above 0 its address is real
- ``clients`` (<u8) bit hash(client) of every client that it says it asks for (X-Forwarded-For, Forwarded,
  PROXY line): linear counting
- ``forwards`` (<u4) messages of its that name such a client
- ``how`` (u1) how it names them: 1 by a header, 2 by a PROXY line; 3 both
- ``via`` (u1) 0: the source sent the packets itself; else it is the client that a trusted proxy names, 1 by a
  header, 2 by a PROXY line; `proven` then speaks of the proxy's connection
- ``stacks`` (<u2) a bit for the class of TCP stack of every SYN: several machines share the address
- ``frames`` (<u4) frames of WebSockets of its connections that send too many, as `ws_fast`
- ``denied`` (<u2) requests answered 401 or 403; saturates, as do the next four; not of IPv6 networks
- ``logins`` (<u2) requests with another login (Basic, Digest) than the last request that had one
- ``agents`` (<u2) requests with another User-Agent than the request before
- ``strains`` (<u2) packets that cost the server and ask for nothing whole: requests without their end or
  body, windows of zero, HTTP/2 resets, continuations and violations
- ``named`` (<u2) requests whose query begins with a named parameter
- ``last_agent`` (u1) a number for the last User-Agent
- ``last_login`` (u1) a number for the last login
- ``queries`` (<u8) bit hash(query) of every request with one: linear counting
- ``names`` (<u8) bit hash(name of the first parameter) of every such request: linear counting
- ``low`` (<u8) lower half of the address of a translator; else 0
- ``shapes`` (<u8) bit hash(shape) of every exchange: linear counting
- ``sealed_bytes`` (<u8) application data that it sent, in bytes
- ``answered`` (<u8) bytes of the answers in its exchanges
- ``turns`` (<u4) turns
- ``quic_turns`` (<u4) those of them over QUIC
- ``talk`` (<u4) those of them on connections that speak no HTTP: their answers are too short for a header
- ``records`` (<u4) records of application data, without those that cannot be a request
- ``least`` (<u4) requests in sixtieths, at least ...
- ``most`` (<u4) ... and at most
- ``small`` (<u4) records as long as RST_STREAM and WINDOW_UPDATE of HTTP/2
- ``exchanges`` (<u4) exchanges that ended
- ``alike`` (<u4) exchanges of the shape of the one before
- ``hellos`` (<u2) handshakes begun; saturates, as do the next two
- ``shaken`` (<u2) handshakes finished
- ``first`` (<u2) connections asked the first time
- ``closed`` (<u2) those of them that a side closed; over QUIC, where nobody sees it, all
- ``last_shape`` (<u2) the low bits of the last shape
"""
HELD_DTYPE: Final[np.dtype[np.void]]
"""One connection on which a client holds a server's place.

- ``flow`` (<u8) keyed hash of the connection; 0: a free entry
- ``hi`` (<u8) upper half of the server's address; 0 for IPv4
- ``lo`` (<u8) lower half of it
- ``source`` (<u8) who holds it, as in the heavy pairs
- ``low`` (<u8) as in the heavy pairs
- ``since_ns`` (<u8) time of the packet that began it
- ``last_ns`` (<u8) time of the client's last sign of it
- ``opened_ns`` (<u8) time at which the reader made room; 0: it takes nothing
- ``until_ns`` (<u8) time at which it was over; 0: it is held
- ``moved`` (<u4) bytes of the rest of the request that came since, or that were sent to the reader
- ``owed`` (<u4) bytes of the body that were not in the request's packet, or left of the reader's room
- ``weight`` (<u4) so many connections it stands for
- ``port`` (<u2) the server's port
- ``room`` (<u2) bytes for which a reader made room: its window, if that was narrow
- ``v6`` (u1) as in the heavy pairs
- ``kind`` (u1) 1: the request's header has no end; 2: its body does not come; 3: its answer is not read; 4:
  inside TLS nothing is asked, or what is asked has no answer and goes on
- ``proven`` (u1) 1: the connection's handshake was seen, so that the source is real
- ``heard`` (u1) 1: the server was seen to send on it since
"""
PACKET_DTYPE: Final[np.dtype[np.void]]
"""One decoded packet.

- ``ts_ns`` (<u8) nanoseconds since 1970
- ``src`` ((2,)<u8) source address: upper and lower half, IPv4 as in ::ffff:a.b.c.d
- ``dst`` ((2,)<u8) destination address
- ``sport`` (<u2) source port, 0 where there is none
- ``dport`` (<u2) destination port; the type for ICMP
- ``proto`` (u1) IP protocol
- ``tcp_flags`` (u1) TCP flags, FIN = 1 to CWR = 128
- ``kind`` (u1) kind of packet
- ``bits`` (u1) 1: IPv6; 2: more fragments follow; 4: reserved source address; 8: window of zero; 16: source
  inside a translator's network (NAT64); 32 to 128: of a SYN a class of its TCP stack; 64 of other packets of
  TCP: a short payload ends with an empty line
- ``seq`` (<u4) TCP sequence number
- ``ack`` (<u4) TCP acknowledgement number
- ``bytes`` (<u4) bytes of the frame, as on the wire
- ``payload`` (<u4) bytes of transport payload, as on the wire
- ``message`` (<u4) 1 + number of the message in it, 0 for none
- ``captured`` (<u2) bytes of transport payload that were captured
- ``window`` (<u2) of data and ACKs the TCP window as it stands in the header, of a SYN by how many bits it
  shifts later ones; 0 for others
"""
HELLO_DTYPE: Final[np.dtype[np.void]]
"""One ClientHello that is whole, or one Initial of QUIC.

- ``ts_ns`` (<u8) nanoseconds since 1970
- ``key`` (<u8) keyed hash of all that makes the fingerprint
- ``name_key`` (<u8) keyed hash of the server name, 0 for none
- ``sender`` (<u8) keyed hash of the source: IPv4 address or IPv6 /64
- ``src`` ((2,)<u8) source address: upper and lower half, IPv4 as in ::ffff:a.b.c.d
- ``dst`` ((2,)<u8) destination address
- ``packet`` (<u4) place in its batch of the packet that made it whole
- ``at`` (<u4) where its text begins: the ids (<u2 each), then the name; of an Initial the datagram
- ``size`` (<u4) bytes of the text
- ``weight`` (<u4) so many hellos it stands for, where not all are looked at
- ``sport`` (<u2) source port
- ``dport`` (<u2) destination port
- ``version`` (<u2) highest version that it offers
- ``ciphers`` (<u2) ids of cipher suites in the text
- ``extensions`` (<u2) ids of extensions behind them
- ``algorithms`` (<u2) ids of signature algorithms behind those
- ``name_length`` (<u2) bytes of the server name
- ``transport`` (u1) the letter t, d or q: TLS over TCP, DTLS, QUIC
- ``sealed`` (u1) 1: an Initial of QUIC, still encrypted
- ``named`` (u1) 1: there is an extension server_name
- ``outer`` (u1) 1: an encrypted hello stands behind it, or the pretence of one
- ``protocols`` (u1) 1: ALPN names a protocol ...
- ``first`` (u1) ... of the first one the first byte ...
- ``last`` (u1) ... and the last
"""
SEGMENT_DTYPE: Final[np.dtype[np.void]]
"""One TCP segment of a capture, and where it lies in its block.

- ``ts_ns`` (<u8) nanoseconds since 1970
- ``flow`` (<u8) keyed hash of the connection, the same for both directions
- ``src`` ((2,)<u8) source address: upper and lower half, IPv4 as in ::ffff:a.b.c.d
- ``dst`` ((2,)<u8) destination address
- ``seq`` (<u4) TCP sequence number
- ``ack`` (<u4) TCP acknowledgement number
- ``record`` (<u4) byte of the block at which its record begins, header included ...
- ``size`` (<u4) ... and bytes of that record
- ``frame`` (<u4) from the record's beginning to the frame ...
- ``ip`` (<u4) ... to the IP header ...
- ``payload`` (<u4) ... and to the payload of TCP
- ``captured`` (<u4) bytes of payload that were captured ...
- ``wire`` (<u4) ... and sent
- ``sport`` (<u2) source port
- ``dport`` (<u2) destination port
- ``flags`` (u1) TCP flags, FIN = 1 to CWR = 128
- ``v6`` (u1) 1: IPv6
- ``hello`` (u1) 1: the payload begins as a ClientHello of TLS does
"""

# ... to here.

@final
class Batch:
    """Up to ``capacity`` decoded packets, 96 bytes each, and what applications said in them.

    Its length counts the carriers of tunnelled packets too; the last packet may come with one more.
    """

    def __new__(cls, capacity: int) -> Batch: ...
    def __len__(self) -> int: ...
    @property
    def last_ns(self) -> int:
        """Time of the last packet, 0 without one."""

    def records(self) -> NDArray[np.void]:
        """A read-only copy of the packets (PACKET_DTYPE), in stream order; of tunnels what they carry.

        ``src`` and ``dst`` are (hi, lo) of the 128-bit address; IPv4 is ``::ffff:a.b.c.d``. ``bytes`` is the
        frame and ``payload`` the transport payload, both as on the wire; ICMP has its type in ``dport``.
        """

    def messages(self) -> tuple[bytes, bytes]:
        """What applications said in the packets: records, to which ``message`` of a packet points (1 is the
        first, 0 none), and the texts that they point into."""

    @staticmethod
    def load(records: NDArray[np.void], messages: bytes, texts: bytes, key: bytes) -> Batch:
        """A batch of packets that were decoded before, hashed anew under a key of 16 bytes.

        Raises:
            ValueError: they are not from ``records`` and ``messages`` of this version.
        """

    def outermost(self) -> NDArray[np.void]:
        """For each of ``records()`` the packet that carried it through a tunnel, or itself."""

@final
class Hellos:
    """ClientHellos of a capture, put together over segments and records, in fixed memory (fw_hellos.h).

    Args:
        room: hellos that are kept between two drains, at most a million.
        key: 16 bytes for ``key`` and ``name_key``.
    """

    def __new__(cls, room: int, key: bytes) -> Hellos: ...
    def __len__(self) -> int: ...
    def drain(self) -> tuple[NDArray[np.void], bytes]:
        """What was kept since the last call (HELLO_DTYPE, in capture order) and its texts."""

    def add(self, body: bytes, transport: str) -> bool:
        """Keep one hello by its body (RFC 8446, 4.1.2), without addresses; False: it is broken."""

    @property
    def whole(self) -> int:
        """Hellos of TLS and DTLS, and those added."""

    @property
    def sealed(self) -> int:
        """Initials of QUIC."""

    @property
    def broken(self) -> int:
        """What begins like a hello and contradicts itself, or is longer than 8 KiB."""

    @property
    def cut(self) -> int:
        """Hellos and Initials that the snap length cut."""

    @property
    def unfinished(self) -> int:
        """Hellos that were never whole: still open, or gone to make room."""

    @property
    def missed(self) -> int:
        """Hellos and Initials that found no room before they were drained."""

@final
class Segments:
    """Where the TCP segments of a capture lie in its bytes, for who rewrites them (fw_segment.h).

    Args:
        key: 16 bytes for ``flow``.
    """

    def __new__(cls, key: bytes) -> Segments: ...
    def list(self, block: bytes | mmap, start: int, most: int) -> tuple[NDArray[np.void], int, int]:
        """Segments from ``start`` on (SEGMENT_DTYPE, at most ``most``), a code, and where the rest begins.

        The code is 0 when there are that many or a block of secrets was passed, ``NEED_MORE`` when the block
        is used up, or one of ``ERRORS``. Raises ValueError for a start behind the block.
        """

    @property
    def secrets(self) -> tuple[int, int]:
        """Where the body of the block of secrets lies that the last call ended with, and its bytes, or 0."""

    @property
    def swapped(self) -> bool:
        """The capture's byte order is not this machine's."""

    @property
    def need(self) -> int:
        """Bytes that the next record takes, where a block ended inside it."""

@final
class Decoder:
    """Reads one capture: record walking, header decoding, keyed hashing, and their counters.

    Args:
        key: 16 secret bytes; the same key gives the same sketches.
    """

    def __new__(cls, key: bytes) -> Decoder: ...
    def set_filter(self, function: int, programs: list[tuple[int, int]], owner: object) -> None:
        """Drop the frames that a cBPF program does not match.

        Args:
            function: address of a function with the signature of libpcap's ``bpf_filter``.
            programs: (link type, address of its instructions; 0 matches nothing), at most 8.
            owner: kept alive as long as the decoder uses the addresses.
        """

    def set_span(self, since_ns: int, until_ns: int) -> None:
        """Count only frames from ``since_ns`` on and before ``until_ns``, in ns since 1970."""

    def trust(self, spans: NDArray[np.uint64]) -> None:
        """Look past these proxies for the client that a request names.

        Args:
            spans: (n, 4): upper and lower half of the first and of the last address, in order, at most
                ``RANGES_MOST``.
        """

    def set_translators(self, networks: Sequence[tuple[int, int, int]]) -> None:
        """Take each address of these IPv6 networks for a host of its own, as those of NAT64 are anyway.

        Args:
            networks: (upper half, lower half, prefix length) of each; at most ``TRANSLATORS_MOST``.
        """

    def drop_twins(self, copies: int) -> None:
        """From now on count so many copies of a frame, within 50 ms of the first, as ``duplicates`` only."""

    def count_once(self, beside: Decoder | None = None) -> None:
        """From now on count a packet that a host shows at several points (devices, directions) once.

        Args:
            beside: a decoder of other points of the same host that counts once; its thread must be ours.
        """

    def only(self, addresses: NDArray[np.uint64]) -> None:
        """From now on leave out, as filtered, packets that are neither from nor to one of these.

        Args:
            addresses: (n, 2): upper and lower half, in ascending order; of a tunnel those of what it carries.
        """

    def collect(self, hellos: Hellos) -> None:
        """Put the ClientHellos of all packets from here on into ``hellos``."""

    def fill(self, block: object, start: int, batch: Batch) -> tuple[int, int]:
        """Decode from ``block[start:]`` until the batch is full or the block used up.

        Returns:
            (code, position): 0, ``NEED_MORE``, or a key of ``ERRORS``; and where to go on.
        """

    def frame(self) -> tuple[bytes, int, int]:
        """(bytes, link type, length on the wire) of the last frame that ``fill`` took into a full batch.

        Good until the block that it was filled from is given back.
        """

    @property
    def why(self) -> str:
        """After an error: one sentence."""

    @property
    def format(self) -> str | None: ...
    @property
    def linktypes(self) -> tuple[int, ...]: ...
    @property
    def interfaces(self) -> tuple[tuple[str, int, int], ...]:
        """(name, link type, snap length) of each interface of the capture's newest section; 0 is no limit."""

    @property
    def lost(self) -> int:
        """Packets that the capture itself says were lost."""

    @property
    def rejected(self) -> dict[str, int]: ...
    @property
    def unread_type(self) -> int:
        """EtherType of most frames that are not IP, or a length; 0 where there is none."""

    @property
    def tunnelled(self) -> dict[str, int]:
        """Frames that carried another packet, by the kind of their outermost tunnel."""

    @property
    def offset(self) -> int:
        """Bytes of the capture that were consumed."""

    @property
    def need(self) -> int:
        """After ``NEED_MORE``: bytes that the record at the position takes."""

    @property
    def packets(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def filtered(self) -> int: ...
    @property
    def unwanted(self) -> tuple[int, int] | None:
        """Earliest and latest time stamp of the frames that were ``filtered``; None where none were."""

    @property
    def duplicates(self) -> int:
        """Copies of frames that ``drop_twins`` left out."""

    @property
    def elsewhere(self) -> int:
        """Packets left out because they were counted at another interface, or in the other direction."""

    @property
    def first_ns(self) -> int | None: ...
    @property
    def last_ns(self) -> int | None: ...

@final
class Ring:
    """The blocks of an AF_PACKET receive ring (TPACKET_V3, with PACKET_VNET_HDR), mapped and shared.

    Args:
        memory: the mapping, writable; held until ``close``.
        block_size: bytes of one block.

    Raises:
        ValueError: the mapping is no whole number of blocks of 4,096 bytes or more.
    """

    def __new__(cls, memory: mmap, block_size: int) -> Ring: ...
    def fill(self, decoder: Decoder, batch: Batch, shift_ns: int) -> bool:
        """Fill the batch from at most one block; False when the kernel has none ready.

        Frames that offloading merged count as the segments they carry. ``shift_ns`` is taken off the
        kernel's time stamps. The batch points into the block, which goes back in the next call.
        """

    def close(self) -> None:
        """Let go of the memory; ``fill`` raises ValueError afterwards."""

    def record(self, room: int, budget: int, interface: int, most: int) -> None:
        """From now on keep a sample of the frames that are counted.

        Args:
            room: bytes of each of the two halves that hold them.
            budget: frames of a quarter second that are kept, about.
            interface: their number in a pcapng file; the next one is for frames without a link layer.
            most: bytes of a frame that are kept.

        Raises:
            ValueError: it was asked for before.
        """

    def recorded(self) -> bytes:
        """Take what was kept, oldest first: whole pcapng Enhanced Packet Blocks, times in nanoseconds."""

    @property
    def frames(self) -> int: ...
    @property
    def damaged(self) -> int: ...
    @property
    def full(self) -> float:
        """Share of the blocks that wait to be read: when all do, the kernel has no room for more.

        Raises:
            ValueError: the ring is closed.
        """

@final
class Engine:
    """The sketches of one analysis: count-min, HyperLogLog, heavy hitters, handshakes, victim slots.

    About 26 MiB, whatever the traffic. Packet time is the only clock.
    """

    def __new__(cls) -> Engine: ...
    def trust(self, spans: NDArray[np.uint64]) -> None:
        """From now on believe these proxies; see ``Decoder.trust``."""

    def vouch(self, pairs: NDArray[np.uint64]) -> None:
        """From now on believe, beside those, the senders of these pairs (``pair_hash`` of the heavy table).

        Args:
            pairs: in order, at most ``VOUCHED_MOST``.
        """

    def collect(self, hellos: Hellos) -> None:
        """From now on put a sample of the ClientHellos, and of QUIC's Initials, in there; ``packet`` is 0.

        Of each victim and epoch the first 128 (16 Initials) are looked at, then every other one, and each
        time as many have come again half as many; ``weight`` says for how many one stands.
        """

    def observe(self, batch: Batch, start: int) -> int:
        """Count ``batch[start:]`` up to the end of the epoch; returns how many packets were taken."""

    def victims(self, least: int) -> NDArray[np.void]:
        """The open epoch's slots with at least ``least`` packets towards them (VICTIM_DTYPE), by address."""

    def hosts(self) -> NDArray[np.void]:
        """Every address that got packets in the open epoch, in short (HOST_DTYPE), in no order."""

    def sources_of(self, references: NDArray[np.uint32], which: int) -> NDArray[np.uint8]:
        """The union of one source set (HyperLogLog registers, p = 10) over slots given by reference.

        Raises:
            ValueError: there is no source set of that number.
        """

    def heavy(self) -> NDArray[np.void]:
        """The heavy (source, victim) pairs of the open window (HEAVY_DTYPE).

        ``packets`` is a lower bound of the true count; the upper one is ``packets + missed``, or the gate of
        admission (8 + 3 N / 65,536 for N packets in the window) where that is larger.
        """

    def held(self) -> NDArray[np.void]:
        """The connections on which clients hold places (HELD_DTYPE), and those that are over.

        The latter are told once and forgotten then.
        """

    def window_ends(self, batch: Batch, following: int) -> bool:
        """Will closing the epoch clear the heavy-hitter window?"""

    def gap_before(self, batch: Batch, following: int) -> int:
        """Epochs between the open one and that of ``batch[following]``; 2^64 - 1 if that lies behind."""

    def close_epoch(self, batch: Batch, following: int) -> None:
        """Zero the epoch's counters and open the epoch of packet ``batch[following]``, if there is one."""

    @property
    def nbytes(self) -> int:
        """Bytes of all that it counts in."""

    def total_sources(self) -> bytes:
        """HyperLogLog registers (p = 12) of all sources seen: IPv4 addresses and IPv6 /64 networks."""

    @property
    def places(self) -> int:
        """Connections that the table of held ones keeps: a sample, where there are too many."""

    @property
    def epoch(self) -> int: ...
    @property
    def epoch_packets(self) -> int: ...
    @property
    def epoch_bytes(self) -> int: ...
    @property
    def epoch_kinds(self) -> tuple[int, ...]:
        """Packets of the open epoch by kind; those of CARRIER are no packets of ``epoch_packets``."""

    @property
    def first_ns(self) -> int: ...
    @property
    def last_ns(self) -> int: ...
    @property
    def gap(self) -> int:
        """Epochs without a packet before the open one; 2^64 - 1 after the clock was set back."""

    @property
    def late(self) -> int: ...
    @property
    def fractions(self) -> bool:
        """Some time stamp was no whole second."""

    @property
    def unslotted(self) -> int: ...

def merge(out: Batch, batches: list[Batch], at: NDArray[np.uint32]) -> int:
    """Merge batches by packet time into ``out``, from the positions ``at``, which move on.

    Returns the number of a batch that is used up, or how many there are when ``out`` is full.

    Raises:
        ValueError: more than ``MERGED`` batches, as many positions as batches are not there, or ``out``
            is one of them.
    """

def frame_hashes(block: object, start: int, most: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash, under a fixed key, and time in ns of the first ``most`` frames of a capture.

    Equal hashes are copies of a frame: all but its Ethernet addresses counts, up to 128 bytes.
    """
