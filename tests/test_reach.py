"""How much of a frame the kernel copies: its own filter machine answers, on a socket that needs no rights."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from floodwatch.capture.filter import compile_filter
from floodwatch.capture.reach import SEGMENT, WHOLE, behind, program

SNAPLEN = 256
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # else scapy asks the network for them
ASK = b"GET / HTTP/1.1\r\nCookie: " + b"x" * 1000
HELLO = b"\x16\x03\x01\x07\x00\x01\x00\x06\xfc\x03\x03" + bytes(1700)
INITIALS = (
    b"\xc3\x00\x00\x00\x01" + bytes(1195),
    b"\xd0\x6b\x33\x43\xcf" + bytes(1195),
    b"\xcf\xff\x00\x00\x1d" + bytes(1195),
)
DTLS = b"\x16\xfe\xfd" + bytes(10) + b"\x01" + bytes(300)


def kept(frame: bytes, code: bytes) -> int:
    """Bytes of a datagram that pass a program."""
    memory = ctypes.create_string_buffer(code, len(code))
    told = struct.pack("HL", len(code) // 8, ctypes.addressof(memory))
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        there.setsockopt(socket.SOL_SOCKET, 26, told)
        here.send(frame)
        there.setblocking(False)
        try:
            return len(there.recv(65536))
        except BlockingIOError:
            return 0


def below(tags: int, six: bool, **ip: Any) -> Packet:
    made = LINK
    for _ in range(tags):
        made = made / Dot1Q(vlan=7)
    return made / (IPv6() if six else IP(src="192.0.2.1", dst="192.0.2.2", **ip))


def tcp(
    payload: bytes,
    *,
    six: bool = False,
    options: int = 0,
    tags: int = 0,
    port: int = 443,
    flags: str = "A",
    **ip: Any,
) -> bytes:
    header = TCP(sport=50000, dport=port, flags=flags, options=[("NOP", None)] * options)
    return bytes(below(tags, six, **ip) / header / payload)


def udp(payload: bytes, *, six: bool = False, tags: int = 0, **ip: Any) -> bytes:
    return bytes(below(tags, six, **ip) / UDP(sport=50000, dport=443) / payload)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("options", [0, 12, 40])
def test_requests_are_copied_whole(six: bool, options: int) -> None:
    for payload in (ASK, b"PROXY TCP4 192.0.2.1" + ASK, b"\r\n" + ASK):
        frame = tcp(payload, six=six, options=options)
        assert kept(frame, program(SNAPLEN)) == len(frame)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("tags", [0, 1, 2])
def test_hellos_are_copied_whole(six: bool, tags: int) -> None:
    code = program(SNAPLEN)
    for options in (0, 12, 40):
        for port in (443, 8443):
            frame = tcp(HELLO, six=six, options=options, tags=tags, port=port)
            assert kept(frame, code) == len(frame)
    for payload in (*INITIALS, DTLS):
        frame = udp(payload, six=six, tags=tags)
        assert kept(frame, code) == len(frame)
    if not six:
        frame = udp(INITIALS[0], tags=tags, options=[IPOption(b"\x94\x04\x00\x00")] * 10)
        assert kept(frame, code) == len(frame)


def test_what_looks_like_a_hello_and_is_none_is_cut() -> None:
    code = program(SNAPLEN)
    server, later, short = b"\x16\x03\x03\x07\x00\x02", b"\xe3\x00\x00\x00\x01", b"\x43\x00\x00\x00\x01"
    retry, unknown, first = b"\xf0\x00\x00\x00\x01", b"\xc0\x00\x00\x00\x00", b"\xd0\x00\x00\x00\x01"
    frames = [tcp(server + bytes(1200), flags="PA"), tcp(HELLO, frag=8), udp(INITIALS[0], frag=8)]
    frames += [udp(head + bytes(1200)) for head in (later, short, retry, unknown, first)]
    frames += [udp(DTLS[:13] + b"\x02" + bytes(300)), tcp(HELLO, tags=3), udp(INITIALS[0], tags=3)]
    frames.append(bytes(LINK / IPv6() / IPv6ExtHdrHopByHop() / TCP(dport=443) / HELLO))
    assert {kept(frame, code) for frame in frames} == {SNAPLEN}


@pytest.mark.parametrize("six", [False, True])
def test_the_second_segment_of_a_hello_is_told_by_what_it_is_not(six: bool) -> None:
    code, rest = program(SNAPLEN), b"\x9f" + bytes(600)
    for tags, options in ((0, 0), (1, 12), (2, 40)):
        frame = tcp(rest, six=six, tags=tags, options=options, flags="PA")
        assert kept(frame, code) == len(frame)
    others = [
        tcp(rest, six=six),  # something goes on
        tcp(rest, six=six, port=444, flags="PA"),
        tcp(b"\x17\x03\x03" + rest, six=six, flags="PA"),
        tcp(b"\x9f" + bytes(SEGMENT), six=six, flags="PA"),  # several segments, merged
    ]
    assert {kept(frame, code) for frame in others} == {SNAPLEN}


def test_frames_of_http2_are_copied_whole() -> None:
    resets = struct.pack("!BHBBII", 0, 4, 3, 0, 1, 8) * 60
    assert kept(tcp(resets), program(SNAPLEN)) == len(tcp(resets))
    for other in (bytes(800), b"\0\0\4\x0a" * 200):  # DATA of stream 0 does not exist, nor does type 10
        assert kept(tcp(other), program(SNAPLEN)) == SNAPLEN


def test_of_everything_else_the_headers_are() -> None:
    code = program(SNAPLEN)
    others = [tcp(b"\x17\x03\x03" + ASK), tcp(b"lower" + ASK), tcp(ASK, frag=100), udp(ASK), bytes(1400)]
    assert {kept(frame, code) for frame in others} == {SNAPLEN}
    assert kept(tcp(b"G" * 20_000), program(SNAPLEN)) == WHOLE
    assert kept(tcp(b"G" * 20_000), program(12_000)) == 12_000


def test_no_frame_is_lost_for_its_length() -> None:
    whole = [
        tcp(ASK, options=40),
        tcp(HELLO, options=40, tags=2, six=True),
        udp(INITIALS[0], tags=2),
        udp(DTLS),
    ]
    whole.append(tcp(b"\x9f" + bytes(99), flags="PA", tags=2, options=40, proto=6))
    for length in range(1, 180):
        assert {kept(frame[:length], program(SNAPLEN)) for frame in whole} == {length}
        assert kept(b"\xff" * length, program(SNAPLEN)) == length


def test_a_filter_goes_on_with_it() -> None:
    compiled = compile_filter("tcp port 80 or udp")
    size, _ = struct.unpack("HL", compiled.kernel_program(program(SNAPLEN)) or b"")
    assert size > len(program(SNAPLEN)) // 8
    code = ctypes.string_at(ctypes.addressof(compiled._kernel), size * 8)
    icmp = bytes(LINK / IP(dst="192.0.2.2", proto=1) / ASK)
    web = tcp(ASK, port=80)
    assert [kept(frame, code) for frame in (web, udp(ASK), icmp)] == [len(web), SNAPLEN, 0]
    assert behind(b"", program(1)) == program(1)
