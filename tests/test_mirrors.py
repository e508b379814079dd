"""What mirror ports send: a SYN flood is the same behind each tag and in each encapsulation, and so is one of
malformed packets; tshark reads the same addresses; and nobody hides a flood in what looks like a mirror's.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_unread import write

import floodwatch as fw

VICTIM = bytes([198, 51, 100, 7])
COLLECTOR, SWITCH = bytes([10, 9, 9, 9]), bytes([10, 9, 9, 1])
MACS = bytes.fromhex("020000000002020000000001")
TTAG, SGT, STACKED = "8988" + "00" * 6, "890901010001000a", "9200000191000002"
IP = "0800"
PACKETS = 1000
Wrap = Callable[[bytes], bytes]


def ip(protocol: int, payload: bytes, source: bytes, target: bytes = VICTIM, **wrong: int) -> bytes:
    """An IPv4 packet; ``words`` and ``total`` lie about the length of its header and of the whole."""
    words, total = wrong.get("words", 5), wrong.get("total", 20 + len(payload))
    return struct.pack("!BBHIBBH4s4s", 0x40 | words, 0, total, 0, 60, protocol, 0, source, target) + payload


def udp(port: int, payload: bytes, source: bytes, target: bytes) -> bytes:
    head = struct.pack("!HHHH", 40_000, port, 8 + len(payload), 0)
    return ip(17, head + payload, source, target)


def ethernet(packet: bytes, tags: str = "") -> bytes:
    return MACS + bytes.fromhex(tags + IP) + packet


def wireless(packet: bytes) -> bytes:
    return b"\x88\1" + bytes(24) + bytes.fromhex("aaaa030000000800") + packet


def gre(kind: int, header: bytes, tags: str = "", flags: int = 0x1000) -> Wrap:
    def wrap(packet: bytes) -> bytes:
        within = struct.pack("!HH", flags, kind) + header + ethernet(packet, tags)
        return ethernet(ip(47, within, SWITCH, COLLECTOR))

    return wrap


def over_udp(port: int, header: str, inner: Wrap = ethernet) -> Wrap:
    return lambda packet: ethernet(udp(port, bytes.fromhex(header) + inner(packet), SWITCH, COLLECTOR))


ERSPAN2, ERSPAN3 = (
    bytes(4) + bytes.fromhex("1001000100000000"),
    bytes(4) + bytes.fromhex("20010001") + bytes(8),
)
PRISM = bytes.fromhex("0000004490000000") + bytes(136)
AVS = bytes.fromhex("8021100100000040") + bytes(56)
MIRRORS: dict[str, tuple[int, Wrap]] = {
    "stacked": (1, lambda packet: ethernet(packet, STACKED + "88a8000381000004")),
    "tags": (1, lambda packet: ethernet(packet, "92000001" + SGT + "81000002" + TTAG)),
    "erspan1-ttag": (1, gre(0x88BE, b"", TTAG, flags=0)),
    "erspan2-sgt": (1, gre(0x88BE, ERSPAN2, SGT)),
    "erspan3-stacked": (1, gre(0x22EB, ERSPAN3, STACKED)),
    "tzsp": (1, over_udp(37008, "0100000101")),
    "tzsp-tags": (1, over_udp(37008, "01000001000a01d00b01a02902006e3c0602000000000101")),
    "tzsp-802.11": (1, over_udp(37008, "010000120a01d001", wireless)),
    "tzsp-prism": (1, over_udp(37008, "0100007701", lambda packet: PRISM + wireless(packet))),
    "erm": (1, over_udp(7932, "00" * 12)),
    "pppoe": (51, lambda packet: struct.pack("!HHHH", 0x1100, 1, len(packet) + 2, 0x21) + packet),
    "enc": (109, lambda packet: bytes.fromhex("020000000000100100000200") + packet),
    "pflog": (117, lambda packet: b"\x3d\2\0\0" + bytes(60) + packet),
    "pflog-nat": (117, lambda packet: b"\x64\2\0\0" + bytes(96) + packet),
    "prism": (119, lambda packet: PRISM + wireless(packet)),
    "avs-as-prism": (119, lambda packet: AVS + wireless(packet)),
    "avs": (163, lambda packet: AVS + wireless(packet)),
    "radiotap-padded": (127, lambda packet: bytes.fromhex("000009000200000020") + wireless(packet)[:26]
                        + bytes(2) + wireless(packet)[26:]),
    "ppi": (192, lambda packet: struct.pack("<HHI", 0, 8, 105) + wireless(packet)),
}  # fmt: skip

UNKNOWN_TO_TSHARK = {"stacked", "tags", "erspan1-ttag", "erspan3-stacked"}
"""It reads neither 0x9200 nor TTags."""


def sources() -> list[bytes]:
    """Forged addresses."""
    numbers = np.random.default_rng(7).integers(0x20000000, 0x7E000000, PACKETS, np.uint32)
    return [struct.pack("!I", number) for number in numbers]


def syn(source: bytes, target: bytes = VICTIM, offset: int = 5) -> bytes:
    number = struct.unpack("!I", source)[0]
    segment = struct.pack(
        "!HHIIBBHHH", number >> 8 & 0x7FFF | 1024, 443, number, 0, offset << 4, 2, 64_000, 0, 0
    )
    return ip(6, segment, source, target)


MALFORMED: dict[str, Wrap] = {
    "header below 20": lambda source: ip(6, bytes(20), source, words=4),
    "header beyond the packet": lambda source: ip(6, bytes(20), source, words=15),
    "total below the header": lambda source: ip(6, bytes(20), source, total=12),
    "offset below 5": lambda source: syn(source, offset=4),
    "offset beyond the packet": lambda source: syn(source, offset=15),
    "UDP length below 8": lambda source: ip(17, struct.pack("!HHHH", 9, 9, 7, 0) + bytes(20), source),
    "no room for UDP": lambda source: ip(17, bytes(4), source),
}


def found(capture: Path) -> list[tuple[str, str]]:
    return [(flood.vector, flood.victim.ip) for flood in fw.scan(str(capture), seed=bytes(16)).floods]


@pytest.mark.parametrize("name", MIRRORS)
def test_a_flood_is_the_same_in_what_a_mirror_sends(tmp_path: Path, name: str) -> None:
    linktype, wrap = MIRRORS[name]
    frames = [wrap(syn(source)) for source in sources()]
    assert found(write(tmp_path / "x.pcap", *frames, linktype=linktype)) == [("syn_flood", "198.51.100.7")]


@pytest.mark.parametrize("name", ["erspan2-sgt", "tzsp", "erm", "pppoe", "prism"])
@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_packets_count_for_their_victim(tmp_path: Path, name: str, kind: str) -> None:
    linktype, wrap = MIRRORS[name]
    frames = [wrap(MALFORMED[kind](source)) for source in sources()]
    capture = write(tmp_path / "x.pcap", *frames, linktype=linktype)
    assert found(capture) == [("malformed_flood", "198.51.100.7")]
    rejected = fw.scan(str(capture)).inputs[0].rejected
    assert sum(rejected.values()) == PACKETS
    assert set(rejected) <= {"bad_ip", "bad_transport"}


@pytest.mark.parametrize(("port", "header"), [(37008, "0100000101"), (7932, "00" * 12)])
@pytest.mark.parametrize("carried", [syn, MALFORMED["header below 20"]])
def test_a_flood_that_looks_like_a_mirrors_counts_for_its_victim(
    tmp_path: Path, port: int, header: str, carried: Callable[..., bytes]
) -> None:
    """The addresses inside are anybody's; those outside are too many to be switches."""
    frames = []
    for source in sources():
        packet = carried(source)[:16] + source  # to an address as random as its own
        within = bytes.fromhex(header) + ethernet(packet + carried(source)[20:])
        frames.append(ethernet(udp(port, within, source, VICTIM)))
    assert found(write(tmp_path / "x.pcap", *frames)) == [("udp_flood", "198.51.100.7")]


@pytest.mark.parametrize("name", sorted(MIRRORS.keys() - UNKNOWN_TO_TSHARK))
def test_tshark_reads_the_same_addresses(need: Any, tmp_path: Path, name: str) -> None:
    need(shutil.which("tshark"), "tshark is not installed")
    linktype, wrap = MIRRORS[name]
    capture = write(tmp_path / "x.pcap", *[wrap(syn(s)) for s in sources()[:20]], linktype=linktype)
    command = ["tshark", "-nr", str(capture), "-d", "udp.port==7932,hp_erm", "-T", "fields", "-e", "ip.src"]
    done = subprocess.run([*command, "-E", "occurrence=l"], capture_output=True, text=True, check=True)
    theirs = [int.from_bytes(bytes(map(int, line.split(".")))) for line in done.stdout.split()]
    ours = np.concatenate([batch.src4 for batch in fw.read(str(capture))])
    assert ours.tolist() == theirs
    assert len(theirs) == 20
