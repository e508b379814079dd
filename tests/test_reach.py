"""How much of a frame the kernel copies: its own filter machine answers, on a socket that needs no rights."""

from __future__ import annotations

import ctypes
import socket
import struct

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from floodwatch.capture.filter import compile_filter
from floodwatch.capture.reach import REQUEST, behind, program

SNAPLEN = 256
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # else scapy asks the network for them
ASK = b"GET / HTTP/1.1\r\nCookie: " + b"x" * 1000


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


def tcp(payload: bytes, *, six: bool = False, options: int = 0, **ip: int) -> bytes:
    below = IPv6() if six else IP(src="192.0.2.1", dst="192.0.2.2", **ip)
    return bytes(LINK / below / TCP(options=[("NOP", None)] * options) / payload)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("options", [0, 12, 40])
def test_requests_are_copied_whole(six: bool, options: int) -> None:
    for payload in (ASK, b"PROXY TCP4 192.0.2.1" + ASK, b"\r\n" + ASK):
        frame = tcp(payload, six=six, options=options)
        assert kept(frame, program(SNAPLEN)) == len(frame)


def test_of_everything_else_the_headers_are() -> None:
    code = program(SNAPLEN)
    udp = bytes(LINK / IP(dst="192.0.2.2") / UDP() / ASK)
    others = [tcp(b"\x17\x03\x03" + ASK), tcp(b"lower" + ASK), tcp(ASK, frag=100), udp, bytes(1400)]
    assert {kept(frame, code) for frame in others} == {SNAPLEN}
    assert kept(tcp(b"G" * 20_000), program(SNAPLEN)) == REQUEST
    assert kept(tcp(b"G" * 20_000), program(12_000)) == 12_000


def test_no_frame_is_lost_for_its_length() -> None:
    whole = tcp(ASK, options=40)
    for length in range(1, 140):
        assert kept(whole[:length], program(SNAPLEN)) == length
        assert kept(b"\xff" * length, program(SNAPLEN)) == length


def test_a_filter_goes_on_with_it() -> None:
    compiled = compile_filter("tcp port 80 or udp")
    size, _ = struct.unpack("HL", compiled.kernel_program(program(SNAPLEN)) or b"")
    assert size > len(program(SNAPLEN)) // 8
    code = ctypes.string_at(ctypes.addressof(compiled._kernel), size * 8)
    udp = bytes(LINK / IP(dst="192.0.2.2") / UDP() / ASK)
    icmp = bytes(LINK / IP(dst="192.0.2.2", proto=1) / ASK)
    assert [kept(frame, code) for frame in (tcp(ASK), udp, icmp)] == [len(tcp(ASK)), SNAPLEN, 0]
    assert behind(b"", program(1)) == program(1)
