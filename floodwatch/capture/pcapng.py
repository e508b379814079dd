"""The blocks of a pcapng file (draft-ietf-opsawg-pcapng), in our own order of bytes: little endian."""

from __future__ import annotations

import struct

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
COMMENT, NAME, USER_PROGRAM, RESOLUTION = 1, 2, 4, 9
MAGIC = 0x1A2B3C4D
COMMENT_MOST = 60_000
"""Bytes of a comment; an option holds 65,535."""
END = bytes(4)


def block(kind: int, body: bytes) -> bytes:
    """A block of any kind; the body fills whole words."""
    size = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + size + body + size


def option(code: int, value: bytes) -> bytes:
    """An option; behind the last one ``END``."""
    return struct.pack("<HH", code, len(value)) + padded(value)


def comment(text: str) -> bytes:
    """A comment, of a section, an interface or a packet."""
    return option(COMMENT, text.encode()[:COMMENT_MOST])


def padded(data: bytes) -> bytes:
    """Filled up to a whole word."""
    return data + bytes(-len(data) % 4)


def section(options: bytes = b"") -> bytes:
    """What a file begins with; its options with their ``END``."""
    return block(SECTION, struct.pack("<IHHq", MAGIC, 1, 0, -1) + options)


def interface(linktype: int, options: bytes = b"") -> bytes:
    """An interface whose packets have stamps in nanoseconds."""
    known = option(RESOLUTION, b"\x09") + END
    return block(INTERFACE, struct.pack("<HHI", linktype, 0, 0) + options + known)


def packet(number: int, ts_ns: int, frame: bytes, length: int, options: bytes = b"") -> bytes:
    """A frame of the interface of that number; ``length`` is that on the wire."""
    head = struct.pack("<5I", number, ts_ns >> 32, ts_ns & 0xFFFFFFFF, len(frame), length)
    return block(PACKET, head + padded(frame) + (options + END if options else b""))
