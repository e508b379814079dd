"""Frame headers and protocol payloads, built once by scapy; NumPy stamps the copies (see render.py)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from ipaddress import IPv4Address
from typing import Any

GATEWAY_MAC = "02:00:5e:00:53:01"
SERVER_MAC = "02:00:5e:00:53:02"


class Head(IntEnum):
    """Which header a packet wears."""

    TCP = 0
    SYN_LINUX = 1
    SYN_WINDOWS = 2
    SYN_PHONE = 3
    SYN_BARE = 4
    """What a raw-socket tool sends: no options, padded to 60 bytes by Ethernet."""
    SYN_ACK = 5
    UDP = 6
    ICMP_REQUEST = 7
    ICMP_REPLY = 8
    FRAGMENT = 9
    """The second and later fragments of a UDP datagram: IP header only."""
    SYN6 = 10
    SYN_ACK6 = 11
    TCP_PADDED = 12
    """A received segment without payload: 54 bytes padded to 60."""
    GRE = 13
    """Generic routing encapsulation (RFC 2784): the outer IP header only; the payload brings its own."""
    TCP6 = 14


@dataclass(frozen=True, slots=True)
class Template:
    """Header bytes of one kind; ``network`` is the length of all IP layers in them, padding excluded."""

    frame: bytes
    version: int
    protocol: str
    network: int

    @property
    def transport(self) -> int:
        """Offset of the transport header in the frame."""
        return 34 if self.version == 4 else 54


_NOP = ("NOP", None)
_SACK = ("SAckOK", b"")
_OPTIONS: dict[Head, list[tuple[str, Any]]] = {
    Head.SYN_LINUX: [("MSS", 1460), _SACK, _NOP, _NOP, _NOP, ("WScale", 7)],
    Head.SYN_WINDOWS: [("MSS", 1460), _NOP, ("WScale", 8), _NOP, _NOP, _SACK],
    Head.SYN_PHONE: [("MSS", 1400), _NOP, ("WScale", 6), _SACK, ("EOL", None), ("EOL", None)],
    Head.SYN_ACK: [("MSS", 1460), _NOP, _NOP, _SACK, _NOP, ("WScale", 7)],
    Head.SYN6: [("MSS", 1440), _NOP, ("WScale", 8), _NOP, _NOP, _SACK],
    Head.SYN_ACK6: [("MSS", 1440), _NOP, _NOP, _SACK, _NOP, ("WScale", 7)],
}
"""TCP options of the heads that carry any."""


def _scapy() -> Any:
    # scapy takes most of a second to import and logs about routes of this host, which no capture depends on
    logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
    import scapy.all

    return scapy.all


@cache
def templates() -> tuple[Template, ...]:
    """One template a ``Head``, in its order."""
    return tuple(_template(head) for head in Head)


def _template(head: Head) -> Template:
    s = _scapy()
    v6 = head in (Head.SYN6, Head.SYN_ACK6, Head.TCP6)
    lower = s.IPv6(src="2001:db8::1", dst="2001:db8::2") if v6 else s.IP(src="192.0.2.1", dst="192.0.2.2")
    protocol = "tcp"
    if head is Head.UDP:
        packet, protocol = lower / s.UDP(), "udp"
    elif head in (Head.ICMP_REQUEST, Head.ICMP_REPLY):
        packet, protocol = lower / s.ICMP(type=8 if head is Head.ICMP_REQUEST else 0), "icmp"
    elif head in (Head.FRAGMENT, Head.GRE):
        lower.proto, packet, protocol = 17 if head is Head.FRAGMENT else 47, lower, "bare"
    else:
        packet = lower / s.TCP(options=_OPTIONS.get(head, []))
    body = bytes(packet)
    link = bytes(s.Ether(src=GATEWAY_MAC, dst=SERVER_MAC, type=0x86DD if v6 else 0x0800))
    padding = bytes(60 - len(link) - len(body)) if head in (Head.SYN_BARE, Head.TCP_PADDED) else b""
    return Template(link + body + padding, 6 if v6 else 4, protocol, len(body))


def dns_query(name: str, kind: str = "A") -> bytes:
    """A DNS query with id 0."""
    s = _scapy()
    return bytes(s.DNS(id=0, rd=1, qd=s.DNSQR(qname=name, qtype=kind)))


def dns_answer(name: str, address: str) -> bytes:
    """The authoritative answer to ``dns_query`` with one address, id 0."""
    s = _scapy()
    record = s.DNSRR(rrname=name, type="A", ttl=300, rdata=address)
    return bytes(s.DNS(id=0, qr=1, aa=1, rd=1, qd=s.DNSQR(qname=name, qtype="A"), an=record))


def dns_failure(name: str) -> bytes:
    """The answer that there is no such name, id 0."""
    s = _scapy()
    return bytes(s.DNS(id=0, qr=1, aa=1, rd=1, rcode=3, qd=s.DNSQR(qname=name, qtype="A")))


def gre_packet(src: int, dst: int, sport: int, dport: int, *, tcp: bool = False) -> bytes:
    """A GRE header for IPv4 (RFC 2784), and a UDP packet or a TCP segment inside, with 12 bytes at most."""
    s = _scapy()
    ports = {"sport": sport, "dport": dport}
    inside = s.TCP(**ports, flags="PA") if tcp else s.UDP(**ports) / bytes(12)
    return b"\0\0\x08\0" + bytes(s.IP(src=str(IPv4Address(src)), dst=str(IPv4Address(dst))) / inside)


def tls_client_hello(host: str) -> bytes:
    """A ClientHello of TLS 1.2 with one extension, the server's name (RFC 8446, 4.1.2; RFC 6066, 3)."""
    name = host.encode()
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    names = len(entry).to_bytes(2, "big") + entry
    extensions = b"\0\0" + len(names).to_bytes(2, "big") + names
    ciphers = bytes.fromhex("130113021303c02bc02fc02cc030")
    body = b"\x03\x03" + bytes(range(32)) + b"\0" + len(ciphers).to_bytes(2, "big") + ciphers + b"\x01\0"
    body += len(extensions).to_bytes(2, "big") + extensions
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello


def tls_record(kind: int, size: int) -> bytes:
    """A TLS record of ``size`` bytes that nobody can read: 22 handshake, 23 application data."""
    return bytes((kind, 3, 3)) + size.to_bytes(2, "big") + bytes((7 * i + 3) & 0xFF for i in range(size))


def http2_preface() -> bytes:
    """How a client begins HTTP/2 in clear text: the preface and empty settings (RFC 9113, 3.4)."""
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0)


def http2_frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame of HTTP/2 (RFC 9113, 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def http2_request(stream: int, host: str, path: str = "/", *, again: bool = False) -> bytes:
    """A GET as one HEADERS frame that ends its stream; HPACK without Huffman (RFC 7541, appendix A).

    A path other than / goes into the table; ``again`` tells it by the table's newest entry but the host's.
    """
    told = b"\x84" if path == "/" else b"\xbe" if again else b"\x44" + bytes((len(path),)) + path.encode()
    block = b"\x82\x86" + told + b"\x01" + bytes((len(host),)) + host.encode()
    return http2_frame(1, 5, stream, block)


def websocket_frame(opcode: int, payload: bytes) -> bytes:
    """A frame of fewer than 126 bytes as clients send it: whole, and masked by zeros (RFC 6455, 5.2)."""
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


def quic_initial(identity: int) -> bytes:
    """A client's first QUIC packet (RFC 9000, 17.2.2): version 1, its own connection id, 1,200 bytes."""
    head = b"\xc3\0\0\0\1\x08" + identity.to_bytes(8, "big") + b"\0\0\x44\x9e"
    return head + bytes((identity + 11 * i) & 0xFF for i in range(1200 - len(head)))


def quic_long(to: int, of: int) -> bytes:
    """The start of a Handshake packet (RFC 9000, 17.2.4): version 1, the connection ids of both sides."""
    return b"\xe3\0\0\0\1\x08" + to.to_bytes(8, "big") + b"\x08" + of.to_bytes(8, "big") + b"\x44\x9e"


def quic_short(to: int) -> bytes:
    """The start of a short packet (RFC 9000, 17.3): the connection id of who gets it."""
    return b"\x41" + to.to_bytes(8, "big")


def dns_any_answer(name: str, size: int) -> bytes:
    """An answer to an ANY query of about ``size`` bytes, id 0: TXT records, as abused zones hold them."""
    s = _scapy()
    text = s.DNSRR(
        rrname=name, type="TXT", ttl=3600, rdata=[b"v=spf1 include:_spf.example -all ".ljust(230, b"x")]
    )
    count = max(1, (size - 40) // 250)
    query = s.DNSQR(qname=name, qtype="ALL")
    return bytes(s.DNS(id=0, qr=1, ra=1, rd=1, qd=query, an=[text] * count))


def ntp_monlist() -> bytes:
    """One NTP mode 7 monlist reply: six entries of 72 bytes, 440 bytes in all."""
    return bytes((0xD7, 0, 3, 42, 0, 6, 0, 72)) + bytes(range(72)) * 6


def ssdp_reply(target: str) -> bytes:
    """The answer of a home router to an SSDP search; ``target`` is what the device says it is."""
    lines = (
        "HTTP/1.1 200 OK",
        "CACHE-CONTROL: max-age=120",
        f"ST: {target}",
        f"USN: uuid:7d1f9a6e-2c1b-4f0e-9d5a-0c8e5f4b21aa::{target}",
        "EXT:",
        "SERVER: Linux/3.4 UPnP/1.0 MiniUPnPd/1.9",
        "LOCATION: http://192.168.1.1:5000/rootDesc.xml",
    )
    return "\r\n".join((*lines, "", "")).encode()


def memcached_reply(sequence: int, total: int) -> bytes:
    """One UDP datagram of a memcached answer: the 8-byte frame header (request id 0), then data."""
    header = b"\0\0" + sequence.to_bytes(2, "big") + total.to_bytes(2, "big") + b"\0\0"
    return header + (b"VALUE page 0 1048576\r\n" if sequence == 0 else b"")
