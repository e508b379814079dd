"""What tunnels carry: the findings of a capture are those of the same capture inside of a tunnel."""

from __future__ import annotations

import ipaddress
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import dpkt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

import floodwatch as fw
from floodwatch import _engine, synth

sys.path.insert(0, str(Path(__file__).parent))
from evaluate import records

FRAME = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
"""With both addresses, or scapy would ask the network for them."""
HUB, SPOKE = "192.0.2.1", "192.0.2.2"
ETHERNET = bytes.fromhex("02000000000202000000000108 00".replace(" ", ""))


def udp_ip(port: int, payload: bytes) -> bytes:
    return ip(17, struct.pack("!HHHH", 40_000, port, 8 + len(payload), 0) + payload)


def ip(protocol: int, payload: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
                         *(ipaddress.ip_address(a).packed for a in (SPOKE, HUB)))  # fmt: skip
    return ETHERNET + header + payload


WRAPS: dict[str, Callable[[bytes], bytes]] = {
    "ipip": lambda frame: ip(4, frame[14:]),
    "gre": lambda frame: ip(47, b"\0\0\x08\0" + frame[14:]),
    "erspan": lambda frame: ip(47, b"\x10\0\x88\xbe" + bytes(12) + frame),
    "vxlan": lambda frame: udp_ip(4789, b"\x08" + bytes(7) + frame),
    "geneve": lambda frame: udp_ip(6081, b"\0\0\x65\x58" + bytes(4) + frame),
    "tzsp": lambda frame: udp_ip(37008, b"\1\0\0\1\0\x0a\1\xd0\1" + frame),
    "erm": lambda frame: udp_ip(7932, bytes(12) + frame),
    "gtpu": lambda frame: udp_ip(2152, b"\x30\xff" + struct.pack("!HI", len(frame) - 14, 7) + frame[14:]),
}
"""An Ethernet frame of IPv4 -> the frame of a tunnel from SPOKE to HUB that holds it."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "flood.pcap"
    synth.make("http_flood", path, synth.Params(duration=3.0, seed=3))
    return path


@pytest.mark.parametrize("kind", WRAPS)
def test_p45_a_flood_inside_of_a_tunnel_is_the_flood(plain: Path, tmp_path: Path, kind: str) -> None:
    wrapped = tmp_path / "wrapped.pcap"
    with open(wrapped, "wb") as file:
        writer = dpkt.pcap.Writer(file, nano=True)
        for t, _, frame in records(plain):
            writer.writepkt_time(WRAPS[kind](frame), t // 1_000_000_000 + t % 1_000_000_000 / 1e9)
    outside, inside = (fw.scan(str(path), seed=bytes(16), top=0) for path in (plain, wrapped))
    (flood,), (same,) = outside.floods, inside.floods
    assert same.vector == flood.vector == fw.Vector.HTTP_FLOOD
    assert same.victim == flood.victim
    assert same.sources.origin == flood.sources.origin == "real"
    assert {s.cidr for s in same.sources.top} == {s.cidr for s in flood.sources.top}
    assert same.packets == flood.packets
    assert inside.totals.packets == outside.totals.packets
    assert inside.inputs[0].tunnels == {kind: outside.totals.packets}


addresses4 = st.integers(1 << 24, 0xDFFFFFFF).map(lambda n: str(ipaddress.IPv4Address(n)))
addresses6 = st.integers(1, (1 << 128) - 1).map(lambda n: str(ipaddress.IPv6Address(n)))


@st.composite
def inner_packets(draw: st.DrawFn) -> Packet:
    ports = {"sport": draw(st.integers(30_000, 40_000)), "dport": draw(st.integers(1, 2000))}
    transport = draw(st.sampled_from([TCP, UDP]))(**ports)
    if draw(st.booleans()):
        return IP(src=draw(addresses4), dst=draw(addresses4)) / transport
    return IPv6(src=draw(addresses6), dst=draw(addresses6)) / transport


@st.composite
def tunnels(draw: st.DrawFn, inner: Packet) -> Packet:
    """The packet in one of the tunnels that scapy can build."""
    outer = (
        IP(src=draw(addresses4), dst=draw(addresses4))
        if draw(st.booleans())
        else IPv6(src=draw(addresses6), dst=draw(addresses6))
    )
    ether = FRAME / Dot1Q(vlan=7) / inner if draw(st.booleans()) else FRAME / inner
    port = {"sport": 50_000}
    return outer / draw(
        st.sampled_from([
            inner,
            GRE() / inner,
            GRE(key_present=1, key=5, chksum_present=1) / inner,
            GRE(proto=0x6558) / ether,
            GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / ether,
            UDP(dport=4789, **port) / VXLAN(vni=9, flags=8) / ether,
            UDP(dport=6081, **port) / GENEVE(proto=0x6558, vni=9) / ether,
            UDP(dport=2152, **port) / GTP_U_Header(gtp_type=255, teid=1) / inner,
        ])
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_tunnels_that_scapy_builds_read_as_it_built_them(data: st.DataObject) -> None:
    inner = data.draw(inner_packets())
    outer = inner
    for _ in range(data.draw(st.integers(1, 3))):
        outer = data.draw(tunnels(outer))
    frame = bytes(FRAME / outer / Raw(b""))
    record = struct.pack("<4I", 1, 0, len(frame), len(frame)) + frame
    capture = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + record
    decoder, batch = _engine.Decoder(bytes(16)), _engine.Batch(4)
    decoder.fill(capture, 0, batch)
    (found,), (around,) = batch.records(), batch.outermost()
    assert (number(found["src"]), number(found["dst"])) == (packed(inner.src), packed(inner.dst))
    assert (found["sport"], found["dport"]) == (inner.payload.sport, inner.payload.dport)
    assert (number(around["src"]), number(around["dst"])) == (packed(outer.src), packed(outer.dst))
    assert sum(decoder.tunnelled.values()) == 1


def number(address: np.ndarray) -> int:
    return int(address[0]) << 64 | int(address[1])


def packed(text: str) -> int:
    address = ipaddress.ip_address(text)
    return int(address) | (0xFFFF << 32 if address.version == 4 else 0)


def test_read_gives_what_tunnels_carry(plain: Path, tmp_path: Path) -> None:
    wrapped = tmp_path / "wrapped.pcap"
    frames = [WRAPS["vxlan"](frame) for _, _, frame in records(plain)]
    with open(wrapped, "wb") as file:
        writer = dpkt.pcap.Writer(file)
        for i, frame in enumerate(frames):
            writer.writepkt(frame, float(i))
    sources = np.concatenate([batch.src4 for batch in fw.read(str(wrapped))])
    assert len(sources) == len(frames)
    plain_sources = np.concatenate([batch.src4 for batch in fw.read(str(plain))])
    assert (sources == plain_sources).all()
