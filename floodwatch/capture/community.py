"""Community ID, version 1: one name of a flow for all tools that read packets."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import struct

SEED = 0
MAPPED = 0xFFFF << 32
"""The upper bits of an IPv4 address as ``::ffff:a.b.c.d``."""


def community_id(src: int, dst: int, sport: int, dport: int, proto: int) -> str:
    """The name of a flow of TCP, UDP or SCTP, which is that of both its directions.

    Args:
        src, dst: addresses as numbers, IPv4 as in ``::ffff:a.b.c.d``.
        sport, dport: ports.
        proto: IP protocol.
    """
    low, high = sorted(((_packed(src), sport), (_packed(dst), dport)))
    text = struct.pack(">H", SEED) + low[0] + high[0] + struct.pack(">BBHH", proto, 0, low[1], high[1])
    return "1:" + base64.b64encode(hashlib.sha1(text, usedforsecurity=False).digest()).decode()


def _packed(address: int) -> bytes:
    if address >> 32 == MAPPED >> 32:
        return ipaddress.IPv4Address(address & 0xFFFFFFFF).packed
    return ipaddress.IPv6Address(address).packed
