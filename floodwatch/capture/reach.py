"""How much of a frame the kernel copies into a ring: the headers of most, and all of what tells who comes.

A classic BPF program (Documentation/networking/filter.rst of the kernel) returns the number of bytes. Proxies
write for whom they ask at the end of a request's header, and a ClientHello tells one program from another by
what stands anywhere in it (RFC 8446, 4.1.2; inside Initials of QUIC: RFC 9000, 17.2.2). Those are few. Of
HTTP/2 in clear text a segment holds many frames, and all are counted.

The program sees one frame and remembers none. The rest of a hello that needs two segments comes in one frame
where offloading merges them; else it is known by what it is not: the end of something, sent to port 443, in
which no record begins. Cut stay: such a rest at other ports, hellos of three segments and more, hellos and
requests behind extension headers of IPv6 or on interfaces without Ethernet headers (tun, WireGuard).
"""

from __future__ import annotations

import struct

WHOLE = 8192
"""Bytes of a frame that is copied whole: as long as servers let headers be (nginx:
large_client_header_buffers) and hellos are read (native/fw_hello.h)."""
LEAST = 14 + 20 + 20 + 8
"""Bytes of a frame of Ethernet, IPv4 and TCP whose payload can be told."""
SEGMENT = 14 + 8 + 1500
"""Bytes of a frame that no offloading merged, with two tags."""
JUMP, RETURN = 0x05, 0x06
TAG, SERVICE_TAG, OLD_TAG = 0x8100, 0x88A8, 0x9100
"""EtherTypes of VLAN tags. The kernel has taken off the outermost one, so that two stand here seldom."""
_CODES = {
    "len": 0x80, "ldh": 0x28, "ld[x]": 0x40, "ldh[x]": 0x48, "ldb[x]": 0x50, "ldx": 0x01, "sub x": 0x1C,
    "add": 0x04, "add x": 0x0C, "and": 0x54, "tax": 0x07, "txa": 0x87, "rsh": 0x74, "lsh": 0x64, "jeq": 0x15,
    "jgt": 0x25, "jge": 0x35, "jset": 0x45, "jge x": 0x3D, "store": 0x02, "load": 0x60, "loadx": 0x61,
    "ret": RETURN,
}  # fmt: skip
_SOURCE: tuple[tuple[str, int, str, str], ...] = (
    ("len", 0, "", ""),
    ("jge", LEAST, "", "short"),
    # X: bytes of VLAN tags
    ("ldx", 0, "", ""),
    ("ldh", 12, "", ""),
    ("jeq", TAG, "tag", ""),
    ("jeq", SERVICE_TAG, "tag", ""),
    ("jeq", OLD_TAG, "tag", "network"),
    ("tag:ldx", 4, "", ""),
    ("ldh", 16, "", ""),
    ("jeq", TAG, "", "network"),
    ("ldx", 8, "", ""),
    ("ldh", 20, "", ""),
    ("network:jeq", 0x0800, "four", ""),
    ("jeq", 0x86DD, "six", "short"),
    # X: and of the header of IP; memory 0: what it carries
    ("four:len", 0, "", ""),
    ("sub x", 0, "", ""),
    ("jge", LEAST, "", "short"),
    ("ldh[x]", 14 + 6, "", ""),
    ("jset", 0x1FFF, "short", ""),
    ("ldb[x]", 14 + 9, "", ""),
    ("store", 0, "", ""),
    ("ldb[x]", 14, "", ""),
    ("and", 15, "", ""),
    ("lsh", 2, "", ""),
    ("add x", 0, "", ""),
    ("tax", 0, "", ""),
    ("jeq", 0, "transport", "transport"),
    ("six:len", 0, "", ""),
    ("sub x", 0, "", ""),
    ("jge", LEAST + 20, "", "short"),
    ("ldb[x]", 14 + 6, "", ""),
    ("store", 0, "", ""),
    ("txa", 0, "", ""),
    ("add", 40, "", ""),
    ("tax", 0, "", ""),
    ("transport:len", 0, "", ""),
    ("jge x", 0, "", "short"),
    ("sub x", 0, "", ""),
    ("jge", LEAST - 20, "", "short"),
    ("load", 0, "", ""),
    ("jeq", 6, "tcp", ""),
    ("jeq", 17, "", "short"),
    # a datagram; memory 0: the form and type of a packet of QUIC
    ("ldb[x]", 14 + 8, "", ""),
    ("jeq", 22, "dtls", ""),
    ("and", 0xF0, "", ""),
    ("store", 0, "", ""),
    ("ld[x]", 14 + 8 + 1, "", ""),
    ("jeq", 0x6B3343CF, "second", ""),  # RFC 9369, 3.2
    ("jeq", 1, "first", ""),
    ("rsh", 8, "", ""),
    ("jeq", 0xFF0000, "first", "short"),  # drafts
    ("first:load", 0, "", ""),
    ("jeq", 0xC0, "long", "short"),
    ("second:load", 0, "", ""),
    ("jeq", 0xD0, "long", "short"),
    ("dtls:ldb[x]", 14 + 8 + 1, "", ""),
    ("jeq", 0xFE, "", "short"),
    ("ldb[x]", 14 + 8 + 13, "", ""),
    ("jeq", 1, "long", "short"),
    # a segment; memory 1: what X was, X: and of the header of TCP
    ("tcp:txa", 0, "", ""),
    ("store", 1, "", ""),
    ("ldb[x]", 14 + 12, "", ""),
    ("rsh", 4, "", ""),
    ("lsh", 2, "", ""),
    ("add x", 0, "", ""),
    ("tax", 0, "", ""),
    ("len", 0, "", ""),
    ("jge x", 0, "", "short"),
    ("sub x", 0, "", ""),
    ("jge", 14 + 8, "", "short"),
    ("ldh[x]", 14, "", ""),
    ("jeq", 22 << 8 | 3, "record", ""),
    ("jeq", 23 << 8 | 3, "short", ""),  # application data is most of TLS
    ("rsh", 8, "", ""),
    ("jeq", 0, "frame", ""),
    ("jeq", ord("\r"), "long", ""),
    ("jgt", ord("Z"), "rest", ""),
    ("jge", ord("A"), "long", "rest"),
    ("record:ldb[x]", 14 + 5, "", ""),
    ("jeq", 1, "long", "short"),
    ("frame:ldb[x]", 14 + 3, "", ""),  # type of a frame of HTTP/2, other than DATA (RFC 9113, 4.1 and 6)
    ("jgt", 9, "rest", ""),
    ("jge", 1, "long", "rest"),
    ("rest:loadx", 1, "", ""),
    ("ldh[x]", 14 + 2, "", ""),
    ("jeq", 443, "", "short"),
    ("ldb[x]", 14 + 13, "", ""),
    ("jset", 8, "", "short"),  # PSH
    ("len", 0, "", ""),
    ("jgt", SEGMENT, "short", "long"),
    ("long:ret", WHOLE, "", ""),
    ("short:ret", 0, "", ""),
)
"""Each step: label and operation, its number, where to go if a test is true and if it is false: "" is on."""


def program(snaplen: int) -> bytes:
    """The instructions: ``snaplen`` bytes of a frame, and all of what opens a conversation.

    No load leaves the frame, for the kernel would drop it then.
    """
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
