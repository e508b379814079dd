"""How much of a frame the kernel copies into a ring: the headers of most, and of a request the whole of it.

A classic BPF program (Documentation/networking/filter.rst of the kernel) returns the number of bytes. Proxies
write for whom they ask at the end of a request's header, which is longer than what is kept of other frames;
those are few, and a flood of anything else costs no more than before.
"""

from __future__ import annotations

import struct

REQUEST = 8192
"""Bytes of a frame whose TCP payload begins as requests, responses and PROXY lines do: as long as servers let
headers be (nginx: large_client_header_buffers)."""
LEAST = 14 + 20 + 20 + 8
"""Bytes of a frame of Ethernet, IPv4 and TCP whose payload can be told."""
JUMP, RETURN = 0x05, 0x06
_CODES = {
    "len": 0x80, "ldh": 0x28, "ldb": 0x30, "ldb[x]": 0x50, "ldx4*": 0xB1, "ldx": 0x01, "sub x": 0x1C,
    "add x": 0x0C, "tax": 0x07, "rsh": 0x74, "lsh": 0x64, "jeq": 0x15, "jgt": 0x25, "jge": 0x35,
    "jset": 0x45, "jge x": 0x3D,
    "ret": RETURN,
}  # fmt: skip
_SOURCE: tuple[tuple[str, int, str, str], ...] = (
    ("len", 0, "", ""),
    ("jge", LEAST, "", "short"),
    ("ldh", 12, "", ""),
    ("jeq", 0x0800, "four", "six"),
    ("four:ldb", 23, "", ""),
    ("jeq", 6, "", "short"),
    ("ldh", 20, "", ""),
    ("jset", 0x1FFF, "short", ""),
    ("ldx4*", 14, "", ""),
    ("jeq", 0, "tcp", "tcp"),
    ("six:jeq", 0x86DD, "", "short"),
    ("ldb", 20, "", ""),
    ("jeq", 6, "", "short"),
    ("ldx", 40, "", ""),
    ("tcp:len", 0, "", ""),
    ("sub x", 0, "", ""),
    ("jge", LEAST - 20, "", "short"),
    ("ldb[x]", 14 + 12, "", ""),  # the length of the TCP header
    ("rsh", 4, "", ""),
    ("lsh", 2, "", ""),
    ("add x", 0, "", ""),
    ("tax", 0, "", ""),
    ("len", 0, "", ""),
    ("jge x", 0, "", "short"),
    ("sub x", 0, "", ""),
    ("jge", 14 + 8, "", "short"),
    ("ldb[x]", 14, "", ""),
    ("jeq", ord("\r"), "long", ""),
    ("jgt", ord("Z"), "short", ""),
    ("jge", ord("A"), "long", "short"),
    ("long:ret", REQUEST, "", ""),
    ("short:ret", 0, "", ""),
)
"""Each step: label and operation, its number, where to go if a test is true and if it is false: "" is on."""


def program(snaplen: int) -> bytes:
    """The instructions: ``snaplen`` bytes of a frame, and more of a request. No load leaves the frame."""
    labels = [name.rpartition(":")[0] for name, *_ in _SOURCE]
    out = b""
    for number, (name, value, *targets) in enumerate(_SOURCE):
        jumps = [labels.index(to) - number - 1 if to else 0 for to in targets]
        if labels[number] in ("long", "short"):
            value = max(snaplen, value)
        out += struct.pack("=HBBI", _CODES[name.rpartition(":")[2]], *jumps, value)
    return out


def behind(code: bytes, tail: bytes) -> bytes:
    """A filter that goes on with ``tail`` where it would take a frame."""
    count, out = len(code) // 8, bytearray(code)
    for number in range(count):
        operation, kept = struct.unpack_from("=H2xI", code, 8 * number)
        if operation == RETURN and kept:
            struct.pack_into("=HBBI", out, 8 * number, JUMP, 0, 0, count - number - 1)
    return bytes(out) + tail
