"""Frames of a capture -> packets, one tuple each; of tunnels the outermost packet only.

Captures by hand (pcap, pcapng; gzip, xz), for dpkt keeps neither nanoseconds nor the length on the wire; what
is inside a frame is decoded by hand too, and held against dpkt in the test.
"""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SYN, SYNACK, RST, FIN, DATA, ACK, ODD = "SYN", "SYN-ACK", "RST", "FIN", "DATA", "ACK", "ODD"
UDP, ICMP, FRAGMENT, OTHER = "UDP", "ICMP", "FRAGMENT", "OTHER"
SECOND = 1_000_000_000
QUARTER = SECOND // 4
TAGS = (0x8100, 0x88A8, 0x9100)
SKIPPED = {0: 8, 43: 8, 60: 8, 135: 8}
"""IPv6 extension headers whose length counts eights of bytes."""
ICMPS = (1, 58)


class UnreadableError(Exception):
    """The oracle does not know this kind of capture."""


class Frame(NamedTuple):
    time: int
    """Nanoseconds since 1970."""
    wire: int
    linktype: int
    data: bytes


class Packet(NamedTuple):
    """A packet: addresses are 4 or 16 bytes, ``sport`` of ICMP is its type, ``said`` is what was captured of
    a payload of ``length`` bytes."""

    time: int
    wire: int
    source: bytes
    target: bytes
    kind: str
    protocol: int
    sport: int
    dport: int
    seq: int
    ack: int
    window: int
    length: int
    said: bytes
    more: bool
    """A first fragment, which others follow."""


def content(path: Path) -> bytes:
    """The bytes of a capture, unpacked."""
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    return lzma.decompress(data) if data.startswith(b"\xfd7zXZ") else data


def frames(data: bytes) -> Iterator[Frame]:
    """The frames of a pcap or pcapng.

    Raises:
        UnreadableError: it is neither.
    """
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        yield from _blocks(data)
        return
    for order in "<>":
        unit = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}.get(struct.unpack_from(order + "I", data)[0])
        if unit:
            break
    else:
        raise UnreadableError("no pcap and no pcapng")
    linktype, at, head = (
        struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF,
        24,
        struct.Struct(order + "IIII"),
    )
    while at + 16 <= len(data):
        second, part, caught, wire = head.unpack_from(data, at)
        at += 16
        if at + caught > len(data):
            return
        yield Frame(second * SECOND + part * unit, wire, linktype, data[at : at + caught])
        at += caught


def _blocks(data: bytes) -> Iterator[Frame]:
    at, order, cards = 0, "<", list[tuple[int, int]]()
    while at + 12 <= len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order, cards = "<" if data[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">", []
        kind, size = struct.unpack_from(order + "II", data, at)
        if size < 12 or at + size > len(data):
            return
        body = data[at + 8 : at + size - 4]
        if kind == 1:
            cards.append((struct.unpack_from(order + "H", body)[0], _resolution(body, order)))
        elif kind == 6:
            card, high, low, caught, wire = struct.unpack_from(order + "IIIII", body)
            linktype, unit = cards[card]
            yield Frame((high << 32 | low) * SECOND // unit, wire, linktype, body[20 : 20 + caught])
        elif kind == 3:
            raise UnreadableError("packets without a time")
        at += size


def _resolution(body: bytes, order: str) -> int:
    """Ticks a second of an interface (option if_tsresol)."""
    at = 8
    while at + 4 <= len(body):
        code, size = struct.unpack_from(order + "HH", body, at)
        if code == 9:
            tick = body[at + 4]
            return int(2 ** (tick & 0x7F) if tick & 0x80 else 10**tick)
        if code == 0:
            break
        at += 4 + (size + 3) // 4 * 4
    return 1_000_000


def network(frame: Frame) -> tuple[int, int]:
    """Where the IP header stands, and its version; (0, 0) where there is none.

    Raises:
        UnreadableError: the oracle does not know the link type.
    """
    data, at, kind = frame.data, 14, 0
    if frame.linktype == 1:
        kind = int.from_bytes(data[12:14], "big")
        while kind in TAGS:
            kind, at = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif frame.linktype in (12, 14, 101, 228, 229):
        at, kind = 0, 0x86DD if data[:1] and data[0] >> 4 == 6 else 0x0800
    elif frame.linktype == 113:
        at, kind = 16, int.from_bytes(data[14:16], "big")
    elif frame.linktype == 276:
        at, kind = 20, int.from_bytes(data[:2], "big")
    else:
        raise UnreadableError(f"link type {frame.linktype}")
    return at, {0x0800: 4, 0x86DD: 6}.get(kind, 0)


def packet(frame: Frame) -> Packet | None:
    """What a frame holds, or None where it holds no packet that makes sense."""
    at, version = network(frame)
    data, more, fragment = frame.data, False, False
    left = frame.wire - at
    if version == 4:
        if len(data) < at + 20 or data[at] >> 4 != 4:
            return None
        size, total = (data[at] & 15) * 4, int.from_bytes(data[at + 2 : at + 4], "big") or left
        field, protocol = int.from_bytes(data[at + 6 : at + 8], "big"), data[at + 9]
        source, target = data[at + 12 : at + 16], data[at + 16 : at + 20]
        if size < 20 or total < size:
            return None
        left, more, fragment = min(left, total) - size, bool(field & 0x2000), bool(field & 0x1FFF)
    elif version == 6:
        if len(data) < at + 40 or data[at] >> 4 != 6:
            return None
        size, protocol = 40, data[at + 6]
        source, target = data[at + 8 : at + 24], data[at + 24 : at + 40]
        left = min(left - 40, int.from_bytes(data[at + 4 : at + 6], "big") or left)
        while protocol in SKIPPED or protocol in (44, 51):
            head = data[at + size : at + size + 8]
            if len(head) < 8:
                return None
            step = 8 if protocol == 44 else (head[1] + 2) * 4 if protocol == 51 else (head[1] + 1) * 8
            if protocol == 44:
                field = int.from_bytes(head[2:4], "big")
                more, fragment = bool(field & 1), bool(field & 0xFFF8)
            protocol, size, left = head[0], size + step, left - step
            if fragment:
                break
    else:
        return None
    if left < 0:
        return None
    said = data[at + size : at + size + left]
    known = (frame.time, frame.wire, source, target)
    if fragment:
        return Packet(*known, FRAGMENT, protocol, 0, 0, 0, 0, 1, left, said, False)
    return _transport(known, protocol, said, left, more)


def _transport(
    known: tuple[int, int, bytes, bytes], protocol: int, said: bytes, left: int, more: bool
) -> Packet | None:
    if protocol == 6:
        if more and left < 14:
            return Packet(*known, FRAGMENT, protocol, 0, 0, 0, 0, 1, left, said, False)
        if len(said) < 14:
            return None
        sport, dport, seq, ack, offset, flags = struct.unpack_from(">HHIIBB", said)
        head = (offset >> 4) * 4
        if head < 20 or (head > left and not more):
            return None
        window = int.from_bytes(said[14:16], "big") if len(said) >= 16 else 1
        length = max(left - head, 0)
        kind = _tcp_kind(flags, length)
        return Packet(*known, kind, 6, sport, dport, seq, ack, window, length, said[head:], more)
    if protocol == 17:
        if len(said) < 8:
            return None
        sport, dport, size = struct.unpack_from(">HHH", said)
        if size and size < 8:
            return None
        length = min(size - 8, left - 8) if size else left - 8
        return Packet(*known, UDP, 17, sport, dport, 0, 0, 1, length, said[8 : 8 + length], more)
    if protocol in ICMPS:
        if len(said) < 4:
            return None
        return Packet(*known, ICMP, protocol, said[0], 0, 0, 0, 1, left - 4, said[4:], more)
    return Packet(*known, OTHER, protocol, 0, 0, 0, 0, 1, left, said, more)


def _tcp_kind(flags: int, length: int) -> str:
    if flags & 0x07 == 0x04:
        return RST
    if flags & 0x17 == 0x02:
        return SYN
    if flags & 0x17 == 0x12:
        return SYNACK
    if flags & 0x17 == 0x11 or flags & 0x3F == 0x01:
        return FIN
    if flags & 0x17 == 0x10:
        return DATA if length else ACK
    return ODD


def packets(data: bytes, doubled: bool = False) -> list[Packet]:
    """All packets of a capture, in its order; of frames that were captured twice, the first."""
    out, seen = list[Packet](), dict[bytes, int]()
    for frame in frames(data):
        if doubled:
            before = seen.get(frame.data)
            if before is not None and abs(frame.time - before) < SECOND // 10:
                del seen[frame.data]
                continue
            seen[frame.data] = frame.time
        found = packet(frame)
        if found is not None:
            out.append(found)
    return out
