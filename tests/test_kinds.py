"""The smallest of each kind that people reported: frames, requests and headers as few programs write them.

The silent, the pulsing and the repeated are in ``test_matrix``, what ``-i any`` counts in ``test_points``,
proxies, translators, pollers and weak floods among the scenarios of ``synth``.
"""

from __future__ import annotations

import ipaddress
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import floodwatch as fw

sys.path.insert(0, str(Path(__file__).parent))
from forge import FLAGS, TCP, UDP, Forger
from test_matrix import VICTIM, VICTIM6, Frame, address, ip4, named, scan, spread, talk, tcp
from test_tunnels import ip

MACS = bytes(5) + b"\1" + bytes(5) + b"\2"
MAGIC, RAW, ETHERNET, PFLOG = 0xA1B2C3D4, 101, 1, 117
TIME_STAMP, SECURITY_TAG, OLD_TAG = "8988 000000000000", "8909 010100010007", "9100 0007"


def tagged(tags: str) -> Callable[[bytes], bytes]:
    """An Ethernet frame of an IPv4 packet, with tags between its addresses and its EtherType."""
    return lambda packet: MACS + bytes.fromhex(tags) + b"\x08\0" + packet


def mirrored(packet: bytes) -> bytes:
    """What a switch mirrors by ERSPAN II, with its own time stamp inside."""
    return ip(47, b"\x10\0\x88\xbe" + bytes(12) + tagged(TIME_STAMP)(packet))


def filtered(packet: bytes) -> bytes:
    """What pflog(4) writes: its header of 61 bytes, filled up to 64."""
    return bytes((61, 2)) + bytes(62) + packet


FRAMES: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "ttag": (ETHERNET, tagged(TIME_STAMP)),
    "cmd": (ETHERNET, tagged(SECURITY_TAG)),
    "ttag, cmd and a tag": (ETHERNET, tagged(TIME_STAMP + SECURITY_TAG + OLD_TAG)),
    "erspan": (ETHERNET, mirrored),
    "pflog": (PFLOG, filtered),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_flood_in_a_frame_that_mirrors_and_firewalls_write(tmp_path: Path, kind: str) -> None:
    link, wrap = FRAMES[kind]
    forger, path = Forger("syn", VICTIM), tmp_path / "framed.pcap"
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", MAGIC, 2, 4, 0, 0, 1 << 18, link))
        for at, packet in spread(forger.packet, 0.0, 0.5, 1000):
            frame = wrap(packet)
            file.write(struct.pack("<IIII", 1, int(1e6 * at), len(frame), len(frame)) + frame)
    (flood,) = fw.scan(path, seed=bytes(16)).floods
    assert (flood.vector, flood.victim.ip, flood.packets) == ("syn_flood", VICTIM, 1000)


CLIENTS = [address(f"192.0.2.{number}") for number in range(1, 5)]
LINE = b"GET /search HTTP/1.1\r\nHost: x\r\n\r\n"


def asking(turn: bytes, rate: float, seconds: float = 3.0, piece: int = 1460) -> Iterator[Frame]:
    """Four clients ask on a connection each, ``rate`` turns a second, each in pieces and answered at once."""
    us, sent, said = address(VICTIM), [0] * 4, b"HTTP/1.1 204 No Content\r\n\r\n"
    for number, client in enumerate(CLIENTS):
        for at, flag in ((0.0, "syn"), (0.001, "ack")):
            yield at, ip4(client, us, tcp(5000, 80, flag == "ack", flag == "ack", FLAGS[flag]))
        yield 0.0005, ip4(us, client, tcp(80, 5000, 0, 1, FLAGS["synack"]))
        sent[number] = 1
    for turns in range(int(rate * seconds)):
        number, at, heard = turns % 4, 0.1 + turns / rate, 1 + turns // 4 * len(said)
        for place in range(0, len(turn), piece):
            part = turn[place : place + piece]
            data = tcp(5000, 80, sent[number], heard, FLAGS["ack"], part)
            yield at + 1e-5 * place, ip4(CLIENTS[number], us, data)
            sent[number] += len(part)
        answer = tcp(80, 5000, heard, sent[number], FLAGS["ack"], said)
        yield at + 1e-3, ip4(us, CLIENTS[number], answer)


@pytest.mark.parametrize(("turn", "rate", "each", "piece"), [
    (LINE, 600, 1, 1460),
    (LINE.replace(b"GET", b"PROPFIND"), 600, 1, 1460),
    (LINE.replace(b"GET", b"X-ANY"), 600, 1, 1460),
    (b"\r\n" + LINE, 600, 1, 1460),
    (25 * LINE, 150, 25, 1460),
    (40 * LINE, 8, 40, 1460),  # two packets in an epoch, and 80 requests
    (LINE, 600, 1, 19),  # a whole line, and a header that goes on
    (LINE, 600, 1, 7),
])  # fmt: skip
def test_requests_as_servers_take_them(
    tmp_path: Path, turn: bytes, rate: float, each: int, piece: int
) -> None:
    (flood,) = scan(asking(turn, rate, piece=piece), tmp_path).floods
    assert flood.vector == "http_flood"
    assert flood.rate.peak == pytest.approx(each * rate, rel=0.35)
    assert flood.packets >= 0.9 * each * rate * 3.0


def test_a_line_that_never_ends_asks_for_nothing(tmp_path: Path) -> None:
    """The same pieces, but for the last one and the answers: they hold places."""
    frames = [frame for frame in asking(LINE[:-2], 600, piece=7) if frame[1][12:16] != address(VICTIM)]
    assert "http_flood" not in named(scan([*frames, *talk(4.0)], tmp_path))


def optional(count: int) -> bytes:
    """A packet to the victim behind so many extension headers of destination options (RFC 8200, 4.6)."""
    kinds = [60] * (count - 1) + [UDP]
    body = b"".join(bytes((kind, 0, 1, 4, 0, 0, 0, 0)) for kind in kinds) + struct.pack("!HHHH", 5, 80, 8, 0)
    ends = ipaddress.IPv6Address("2001:db8:9::5").packed + ipaddress.IPv6Address(VICTIM6).packed
    return struct.pack("!IHBB", 6 << 28, len(body), 60, 60) + ends + body


def lying(number: int, body: bytes) -> bytes:
    return ip4(address("203.0.113.9"), address(VICTIM), body, number)


LIES = {
    "a UDP length of 4": (VICTIM, lying(UDP, struct.pack("!HHHH", 5, 80, 4, 0) + bytes(20))),
    "a TCP offset of 0": (VICTIM, lying(TCP, tcp(5, 80, 1, 0, FLAGS["syn"])[:12] + bytes((0, 2)) + bytes(6))),
    "a TCP header that the packet cuts": (VICTIM, lying(TCP, bytes(8))),
    "eleven extension headers": (VICTIM6, optional(11)),
}


@pytest.mark.parametrize("kind", LIES)
def test_headers_that_contradict_themselves_count_for_whom_they_reach(tmp_path: Path, kind: str) -> None:
    victim, packet = LIES[kind]
    (flood,) = scan(spread(lambda: packet, 0.0, 2.0, 4000), tmp_path).floods
    assert (flood.vector, flood.victim.ip) == ("malformed_flood", victim)


def test_a_closed_port_is_told_and_cookies_are_not_advised(tmp_path: Path) -> None:
    forger, us, frames = Forger("syn", VICTIM), address(VICTIM), list[Frame]()
    for at, packet in spread(forger.packet, 0.1, 0.5, 600):
        port, target, seq = struct.unpack_from("!HHI", packet, 20)
        refusal = tcp(target, port, 0, seq + 1, FLAGS["rst"] | FLAGS["ack"])
        frames += [(at, packet), (at + 5e-5, ip4(us, packet[12:16], refusal))]
    (flood,) = scan(frames, tmp_path).floods
    assert "the port is closed" in flood.evidence[0].says
    assert flood.action.recommended == "observe"


@pytest.mark.parametrize("rate", [45, 80, 200])
def test_few_syns_of_ever_other_sources_add_up(tmp_path: Path, rate: int) -> None:
    """At hardly ten an epoch, to a host that nobody else talks to."""
    (flood,) = scan(spread(Forger("syn", VICTIM).packet, 0.0, 20.0, 20 * rate), tmp_path).floods
    assert (flood.vector, flood.severity) == ("syn_flood", "low")
    assert flood.packets >= 0.8 * 20 * rate


def test_guesses_of_four_a_second_add_up(tmp_path: Path) -> None:
    """Each with another login, all refused, and nothing else is asked."""
    frames = list[Frame]()
    us, client, said = address(VICTIM), address("192.0.2.5"), b"HTTP/1.1 401 Unauthorized\r\n\r\n"
    for number in range(120):
        at, port = 0.25 * number, 5000 + number
        login = b"GET /manager HTTP/1.1\r\nAuthorization: Basic %s\r\n\r\n" % f"{number:08x}".encode()
        frames += [
            (at, ip4(client, us, tcp(port, 80, 0, 0, FLAGS["syn"]))),
            (at + 0.001, ip4(us, client, tcp(80, port, 0, 1, FLAGS["synack"]))),
            (at + 0.002, ip4(client, us, tcp(port, 80, 1, 1, FLAGS["ack"]))),
            (at + 0.003, ip4(client, us, tcp(port, 80, 1, 1, FLAGS["ack"], login))),
            (at + 0.004, ip4(us, client, tcp(80, port, 1, 1 + len(login), FLAGS["ack"], said))),
        ]
    (flood,) = scan(frames, tmp_path).floods
    assert flood.vector == "login_bruteforce"
    assert [source.cidr for source in flood.sources.top] == ["192.0.2.5"]
