"""Packets of scapy in and out; scapy is imported here and only when it is asked for."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scapy.packet import Packet  # type: ignore[import-not-found, unused-ignore]

ETHERNET, RAW_IP = 1, 101
MAGIC = 0xA1B23C4D
"""pcap with nanoseconds."""


def to_capture(packets: Iterable[Packet]) -> bytes:
    """Packets of scapy as a pcap of Ethernet frames, at the times that they carry.

    What begins with an IP header gets an empty Ethernet header in front.

    Raises:
        ValueError: something that begins with neither.
    """
    parts = [struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, 262_144, ETHERNET)]
    for packet in packets:
        raw = bytes(packet)
        if packet.name in ("IP", "IPv6"):
            raw = bytes(12) + (b"\x08\x00" if packet.name == "IP" else b"\x86\xdd") + raw
        elif packet.name not in ("Ethernet", "802.3"):
            raise ValueError(f"packets begin with Ethernet or IP, not with {packet.name}")
        nanoseconds = int(packet.time * 1_000_000_000)
        head = struct.pack(
            "<4I", *divmod(nanoseconds, 1_000_000_000), len(raw), max(len(raw), _wirelen(packet))
        )
        parts.append(head + raw)
    return b"".join(parts)


def _wirelen(packet: Any) -> int:
    return int(getattr(packet, "wirelen", None) or 0)


def from_frames(frames: Sequence[tuple[int, bytes, int, int]]) -> list[Packet]:
    """Packets of scapy from (time in ns, bytes, link type, length on the wire).

    Raises:
        ValueError: scapy knows no layer for a link type.
    """
    from scapy.config import conf  # type: ignore[import-not-found, unused-ignore]
    from scapy.layers import all as layers  # type: ignore[import-not-found, unused-ignore] # noqa: F401

    out = []
    for nanoseconds, raw, linktype, length in frames:
        layer = conf.l2types.num2layer.get(linktype)
        if layer is None:
            raise ValueError(f"scapy reads no frames of link type {linktype}")
        packet = layer(raw)
        packet.time = nanoseconds / 1_000_000_000
        packet.wirelen = length
        out.append(packet)
    return out
