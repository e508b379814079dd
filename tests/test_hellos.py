"""ClientHellos by fingerprint: published values, an independent reading of every capture, and bad input."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import wrpcap

import floodwatch as fw
from floodwatch import synth

PROGRAM = (sys.executable, "-P", "-m", "floodwatch")
Need = Callable[[object, str], None]
GREASE = 0x3A3A
CHROME = "t13d1516h2_8daaf6152771_e5627efa2ab1"

# What FoxIO publishes for these files (python/test/testdata, rust/ja4/src/snapshots).
PUBLISHED = {
    "tls3.pcapng.gz": {
        CHROME: 4,
        "t13d1516h2_8daaf6152771_9b887d9acb53": 3,
        "q13d0310h3_55b375c5d22e_cd85d2d88918": 5,
        "q13d0311h3_55b375c5d22e_3512bcbbc9ec": 1,
    },
    "browsers-x509.pcapng.gz": {CHROME: 3},
    "http2-with-cookies.pcapng.gz": {CHROME: 1},
}


def info(*captures: Path) -> dict[str, Any]:
    done = subprocess.run(
        [*PROGRAM, "info", "--format", "json", *map(str, captures)], capture_output=True, check=True, cwd="/"
    )
    hellos = json.loads(done.stdout)["inputs"][0]["hellos"]
    assert isinstance(hellos, dict)
    return hellos


def scanned(capture: Path) -> dict[str, Any]:
    done = subprocess.run(
        [*PROGRAM, "scan", "--format", "json", "--top", "0", str(capture)], capture_output=True, check=False
    )
    return dict(json.loads(done.stdout))


def fingerprints(hellos: dict[str, Any]) -> dict[str, int]:
    return {one["ja4"]: one["hellos"] for one in hellos["fingerprints"]}


def directory(variable: str, need: Need) -> Path:
    path = Path(os.environ.get(variable) or os.devnull)
    need(path.is_dir(), f"{variable} names no directory")
    return path


@pytest.mark.captures
@pytest.mark.parametrize("name", PUBLISHED)
def test_fingerprints_are_the_published_ones(name: str, need: Need) -> None:
    assert fingerprints(info(directory("FLOODWATCH_FIELD", need) / name)) == PUBLISHED[name]


# An independent reading: tshark dissects the hellos, and the fingerprint is made here from its decimal lists.

FIELDS = (
    "ip.src", "ipv6.src", "tcp.srcport", "udp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "udp.dstport",
    "frame.time_epoch", "frame.protocols", "handshake.ja3_full", "handshake.extensions.supported_version",
    "handshake.sig_hash_alg", "handshake.sig_hash_alg_len", "handshake.extensions_alpn_str",
    "handshake.extensions_server_name",
)  # fmt: skip
WELL_FORMED = (
    "(tls.handshake.ja3 || dtls.handshake.ja3) && (ip || ipv6) && !icmp && !icmpv6 && !openvpn"
    " && !(tls.handshake.comp_methods_length == 0)"
)
"""Hellos that TLS begins with, as RFC 5246 has them: one compression method at least."""
ALGORITHM_LISTS = (13, 34, 50)
"""Extensions that tshark reads as lists of signature algorithms."""
SHORT = {0x304: "13", 0x303: "12", 0x302: "11", 0x301: "10", 0x300: "s3", 0xFEFF: "d1", 0xFEFD: "d2"}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def fingerprint_of(row: dict[str, str], transport: str) -> str:
    version, ciphers, extensions = (
        [int(n) for n in part.split("-") if n] for part in row["handshake.ja3_full"].split(",")[:3]
    )
    offered = [int(n, 16) for n in row["handshake.extensions.supported_version"].split(",") if n]
    best = max((v for v in offered if v & 0x0F0F != 0x0A0A), default=version[0])
    numbers = [int(n, 16) for n in row["handshake.sig_hash_alg"].split(",") if n]
    lists: dict[int, list[int]] = {}
    lengths = [int(n) // 2 for n in row["handshake.sig_hash_alg_len"].split(",") if n]
    for kind, length in zip((e for e in extensions if e in ALGORITHM_LISTS), lengths, strict=False):
        lists[kind], numbers = numbers[:length], numbers[length:]
    algorithms = [n for n in lists.get(13, []) if n & 0x0F0F != 0x0A0A]
    protocol = row["handshake.extensions_alpn_str"].split(",")[0]
    kept = ",".join(f"{e:04x}" for e in sorted(e for e in extensions if e not in (0, 16)))
    kept += "_" + ",".join(f"{n:04x}" for n in algorithms) if algorithms else ""
    return (
        f"{transport}{SHORT.get(best, '00')}{'d' if 0 in extensions else 'i'}"
        f"{min(len(ciphers), 99):02}{min(len(extensions), 99):02}"
        f"{protocol[0] + protocol[-1] if protocol else '00'}"
        f"_{sha(','.join(f'{c:04x}' for c in sorted(ciphers)))}_{sha(kept)}"
    )


def expanded(path: Path) -> bytes:
    data = path.read_bytes()
    try:
        return {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix, bytes)(data)
    except (EOFError, OSError, lzma.LZMAError):
        return b""


LIKELY = re.compile(
    rb"\x16\x03[\0-\x04]..\x01|\x16\xfe[\xfc-\xff]|[\xc0-\xff]\0\0\0\x01.|[\xc0-\xff]\x6b\x33\x43\xcf",
    re.DOTALL,
)
"""What a file holds that has a hello in one piece; tshark takes a second for each file."""


Seen = tuple[str, ...]


def by_tshark(path: Path) -> list[tuple[float, Seen]]:
    """Of each ClientHello that tshark finds its time, and what it says: (source, port, destination, port,
    fingerprint, name).
    """
    columns = [[f"tls.{field}", f"dtls.{field}"] if "handshake" in field else [field] for field in FIELDS]
    words = [word for names in columns for name in names for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-r", "-", "-Y", WELL_FORMED, "-T", "fields",
         "-E", "separator=|", "-E", "occurrence=a", *words],
        input=expanded(path), capture_output=True, check=False,
    )  # fmt: skip
    found = list[tuple[float, Seen]]()
    for line in done.stdout.decode().splitlines():
        values = iter(line.split("|"))
        row = {
            field: "".join(next(values) for _ in names) for field, names in zip(FIELDS, columns, strict=True)
        }
        layers = row["frame.protocols"].split(":")
        transport = "t" if row["tcp.srcport"] else "d" if "dtls" in layers else "q"
        inner = [layer for layer in layers if layer in ("ip", "ipv6")][-1]
        ends = (
            row[f"{inner}.src"].split(",")[-1],
            (row["tcp.srcport"] or row["udp.srcport"]).split(",")[-1],
            row[f"{inner}.dst"].split(",")[-1],
            (row["tcp.dstport"] or row["udp.dstport"]).split(",")[-1],
        )
        name = row["handshake.extensions_server_name"].split(",")[0]
        said = (*ends, fingerprint_of(row, transport), name)
        found.append((float(row["frame.time_epoch"].split(",")[0]), said))
    return found


def by_floodwatch(path: Path) -> set[Seen]:
    found = set()
    for batch in fw.read(path):
        for i in (batch.ja4 != None).nonzero()[0]:  # noqa: E711 (an array)
            one = batch[int(i)]
            ends = (one["src"], one["sport"], one["dst"], one["dport"])
            found.add((*map(str, ends), batch.ja4[i], batch.sni[i]))
    return found


@pytest.mark.slow
@pytest.mark.captures
@pytest.mark.parametrize("variable", ["FLOODWATCH_FIELD", "FLOODWATCH_TLS", "FLOODWATCH_CAPTURES"])
def test_every_hello_reads_as_tshark_reads_it(variable: str, need: Need) -> None:
    need(shutil.which("tshark"), "tshark is missing")
    folder = directory(variable, need)
    paths = sorted(path for path in folder.rglob("*.*") if LIKELY.search(expanded(path)))
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(by_tshark, paths))
    asked = [
        (path, {said for _, said in hellos}) for path, hellos in zip(paths, theirs, strict=True) if hellos
    ]
    assert asked
    wrong = {path.name: by_floodwatch(path) ^ hellos for path, hellos in asked}
    assert {name: one for name, one in wrong.items() if one} == {}


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


LOOK = 9.75
"""Seconds before an event whose hellos belong to it."""


@pytest.mark.slow
@pytest.mark.captures
def test_events_hold_the_shares_that_tshark_counts(need: Need) -> None:
    """Names and fingerprints of every flood and crowd inside TLS and QUIC, hello by hello."""
    need(shutil.which("tshark"), "tshark is missing")
    events = 0
    for path in sorted(directory("FLOODWATCH_TLS", need).glob("*.pcap*")):
        report = scanned(path)
        told = [*report["floods"], *report["crowds"], *report["surges"]]
        hellos = by_tshark(path) if told else []
        for event in told:
            spans = [(seconds(s["first"]), seconds(s["until"])) for s in event["counted"]["stretches"]]
            spans.append((spans[0][0] - LOOK, spans[0][0]))
            victim, letter = event["victim"], {"tcp": "t", "udp": "q"}[event["victim"]["protocol"]]
            mine = [
                said
                for at, said in hellos
                if said[2:4] == (victim["ip"], str(victim["port"])) and said[4][0] == letter
                and any(a <= at < b for a, b in spans)
            ]  # fmt: skip
            counts = Counter(said[4] for said in mine)
            frequent = [ja4 for ja4, count in counts.most_common(5) if count > 0.02 * len(mine)]
            assert len(frequent) <= len(event["fingerprints"]) <= 5
            for one in event["fingerprints"]:
                assert one["share"] == pytest.approx(counts[one["ja4"]] / len(mine), abs=0.01), path
                senders = {said[0] for said in mine if said[4] == one["ja4"]}
                assert one["sources"] == pytest.approx(len(senders), rel=0.1, abs=2)
                assert one["usual"] is None or 0 <= one["usual"] <= 1
            ((name, held),) = Counter(said[5] for said in mine).most_common(1)
            assert victim["sni"] == (name if held >= 0.8 * len(mine) else None)
            newest = {said[0]: said[4] for said in mine}
            for source in event["sources"]["top"]:
                address = source["cidr"].partition("/")[0]
                assert source["ja4"] in (newest.get(address), None), path
            with_one = [source for source in event["sources"]["top"] if source["ja4"]]
            assert len(with_one) >= 0.9 * len(event["sources"]["top"])
            events += 1
    assert events >= 9


# Hellos made here, in every shape that the wire gives them.

Extensions = Sequence[tuple[int, bytes]]


def vector(width: int, content: bytes) -> bytes:
    return len(content).to_bytes(width, "big") + content


def numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)


def sni(name: bytes) -> tuple[int, bytes]:
    return 0, vector(2, b"\0" + vector(2, name))


def alpn(*names: bytes) -> tuple[int, bytes]:
    return 16, vector(2, b"".join(vector(1, name) for name in names))


VERSIONS = (43, vector(1, numbers(GREASE, 0x304, 0x303)))
ALGORITHMS = (13, vector(2, numbers(0x403, GREASE, 0x804, 0x401)))
USUAL: Extensions = ((GREASE, b""), sni(b"shop.example"), ALGORITHMS, alpn(b"h2"), VERSIONS)
ANSWER = ("t13d0304h2_" + sha("1301,1302,c02b") + "_" + sha("000d,002b_0403,0804,0401"), "shop.example")


def hello(extensions: Extensions = USUAL, cookie: bytes | None = None, version: int = 0x303) -> bytes:
    """The body of a ClientHello."""
    listed = b"".join(numbers(kind) + vector(2, content) for kind, content in extensions)
    return (
        numbers(version) + bytes(range(32)) + vector(1, b"\x11" * 32)
        + (b"" if cookie is None else vector(1, cookie))
        + vector(2, numbers(GREASE, 0xC02B, 0x1302, 0x1301)) + b"\x01\0" + vector(2, listed)
    )  # fmt: skip


def message(body: bytes) -> bytes:
    return b"\x01" + vector(3, body)


def in_records(content: bytes, *cuts: int) -> bytes:
    """The message in TLS records, cut at these places."""
    edges = [0, *cuts, len(content)]
    return b"".join(b"\x16\x03\x01" + vector(2, content[a:b]) for a, b in pairwise(edges))


ETHERNET = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def segment(data: bytes, at: int = 0, port: int = 40_000) -> Packet:
    return ETHERNET / IP(src="192.0.2.1", dst="203.0.113.80") / TCP(
        sport=port, dport=443, seq=(0xFFFFFF00 + at) % 2**32, flags="PA"
    ) / data  # fmt: skip


def datagram(data: bytes, port: int = 40_000, back: bool = False) -> Packet:
    ends, ports = ["192.0.2.1", "203.0.113.80"], [port, 443]
    if back:
        ends, ports = ends[::-1], ports[::-1]
    return ETHERNET / IP(src=ends[0], dst=ends[1]) / UDP(sport=ports[0], dport=ports[1]) / data


def said(*packets: Packet) -> list[tuple[str, str]]:
    batch = fw.PacketBatch.from_scapy(packets)
    return [pair for pair in zip(batch.ja4, batch.sni, strict=True) if pair[0] is not None]


def counted(tmp_path: Path, *packets: Packet) -> dict[str, Any]:
    wrpcap(str(tmp_path / "made.pcap"), list(packets))
    return info(tmp_path / "made.pcap")


RECORD = in_records(message(hello()))


def test_a_hello_in_one_segment() -> None:
    assert said(segment(RECORD)) == [ANSWER]
    assert said(segment(RECORD + in_records(b"\x0b\0\0\0"))) == [ANSWER]


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 6, 8, 9, 40, 100, len(RECORD) - 1])
def test_a_hello_over_two_segments(cut: int) -> None:
    assert said(segment(RECORD[:cut]), segment(RECORD[cut:], cut)) == [ANSWER]


def test_a_hello_byte_by_byte_and_with_a_gap_that_is_filled_later() -> None:
    assert said(*(segment(RECORD[i : i + 1], i) for i in range(len(RECORD)))) == [ANSWER]
    head, middle, tail = segment(RECORD[:50]), segment(RECORD[50:90], 50), segment(RECORD[90:], 90)
    assert said(head, tail, middle) == [ANSWER]
    assert said(head, tail) == []


@pytest.mark.parametrize("cuts", [(1,), (3, 4), (40,), (100, 101, 102), tuple(range(1, 120))])
def test_a_hello_over_several_records(cuts: tuple[int, ...]) -> None:
    split = in_records(message(hello()), *cuts)
    assert said(segment(split)) == [ANSWER]
    assert said(segment(split[:33]), segment(split[33:], 33)) == [ANSWER]


def test_of_bytes_that_come_twice_the_first_count() -> None:
    forged = segment(RECORD[:60] + b"\xff" * 20)
    assert said(segment(RECORD[:80]), forged, segment(RECORD[80:], 80)) == [ANSWER]


def test_a_segment_that_comes_again_is_no_second_hello(tmp_path: Path) -> None:
    assert said(segment(RECORD), segment(RECORD)) == [ANSWER]
    second = segment(RECORD, len(RECORD))  # after a HelloRetryRequest
    assert said(segment(RECORD), second) == [ANSWER, ANSWER]
    # An encrypted handshake may look like the beginning of a hello.
    told = counted(tmp_path, segment(RECORD), segment(b"\x16\x03\x03\0\x28\x01" + bytes(39), len(RECORD)))
    assert (told["tls"], told["broken"], told["unfinished"]) == (1, 0, 0)


@pytest.mark.parametrize(
    ("first", "letters"),
    [(b"h2", "h2"), (b"http/1.1", "h1"), (b"q", "qq"), (b"\xab", "ab"), (b"\xab\xcd", "ad"), (b"0\xab", "3b"),
     (b"01\xab\xcd", "3d"), (b"0\xab\xcd1", "01"), (b"\xba\xad", "bd"), (b"a-", "6d"), (b"\x3a\x3a", "h2")],
)  # fmt: skip
def test_protocols_as_the_text_of_ja4_has_them(first: bytes, letters: str) -> None:
    ((found, _),) = said(segment(in_records(message(hello([alpn(first, b"h2")])))))
    assert found.startswith(f"t12i0301{letters}_")


def test_what_is_missing_is_zeros() -> None:
    body = hello([])
    for bare in (body, body[:-2]):  # no extensions, and not even their length
        assert said(segment(in_records(message(bare)))) == [
            ("t12i030000_" + sha("1301,1302,c02b") + "_" + "0" * 12, "")
        ]


def test_a_name_before_an_encrypted_hello_is_told_as_the_outer_one(tmp_path: Path) -> None:
    inner = (0xFE0D, b"\0" + bytes(20))
    packets = [
        segment(in_records(message(hello([sni(b"cover.example"), inner])))),
        segment(in_records(message(hello([sni(b"cover.example")]))), port=40_001),
        segment(in_records(message(hello([sni(b"\xff\x1b[31m")]))), port=40_002),
    ]
    assert counted(tmp_path, *packets)["names"] == [
        {"sni": "cover.example", "hellos": 2, "outer": 1},
        {"sni": "\\xff\x1b[31m", "hellos": 1, "outer": 0},
    ]
    done = subprocess.run([*PROGRAM, "info", str(tmp_path / "made.pcap")], capture_output=True, check=True)
    assert b"cover.example 2 hellos, 1 of them as the outer name" in done.stdout
    assert b"\x1b" not in done.stdout


def test_shuffled_extensions_are_one_fingerprint(tmp_path: Path) -> None:
    packets = [
        segment(in_records(message(hello([*USUAL[i:], *USUAL[:i]]))), port=41_000 + i)
        for i in range(len(USUAL))
    ]
    assert counted(tmp_path, *packets)["fingerprints"] == [{"ja4": ANSWER[0], "hellos": len(USUAL)}]


def test_a_hello_of_dtls() -> None:
    body = hello([sni(b"shop.example"), (43, vector(1, numbers(0xFEFD, 0xFEFC)))], b"cookie", 0xFEFD)
    start = b"\x01" + vector(3, body)[:3] + bytes(5) + vector(3, body)
    flight = b"\x16\xfe\xff" + bytes(8) + vector(2, start)
    kept = "_" + sha("1301,1302,c02b") + "_" + sha("002b")
    assert said(datagram(flight)) == [("dd3d030200" + kept, "shop.example")]


# QUIC: Initials sealed here with the client's keys that the RFCs print for one connection id.

ID = bytes.fromhex("8394c8f03e515708")
PRINTED = {
    1: ("1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"),
    0x6B3343CF: (
        "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"
    ),
}  # fmt: skip
"""Version -> key, vector and header key (RFC 9001, A.1; RFC 9369, A.1)."""
QUIC = ("q" + ANSWER[0][1:], ANSWER[1])


def varint(value: int) -> bytes:
    return (0x4000 | value).to_bytes(2, "big")


def sealed(frames: bytes, number: int = 0, version: int = 1, name: bytes = ID, token: bytes = b"") -> bytes:
    key, start, protect = map(bytes.fromhex, PRINTED[version])
    frames = frames.ljust(1150, b"\0")
    first = 0xC1 if version == 1 else 0xD1
    head = bytes([first]) + version.to_bytes(4, "big") + vector(1, name) + vector(1, b"me")
    head += varint(len(token)) + token + varint(2 + len(frames) + 16) + number.to_bytes(2, "big")
    nonce = (int.from_bytes(start, "big") ^ number).to_bytes(12, "big")
    body = AESGCM(key).encrypt(nonce, frames, head)
    mask = Cipher(AES(protect), ECB()).encryptor().update(body[2:18])
    masked = bytearray(head)
    masked[0] ^= mask[0] & 0x0F
    masked[-2] ^= mask[1]
    masked[-1] ^= mask[2]
    return bytes(masked) + body


def crypto(content: bytes, start: int, end: int) -> bytes:
    return b"\x06" + varint(start) + varint(len(content[start:end])) + content[start:end]


LONG = message(hello([*USUAL[:-1], VERSIONS, (51, bytes(1400))]))
LONG_ANSWER = (
    "q13d0305h2_" + sha("1301,1302,c02b") + "_" + sha("000d,002b,0033_0403,0804,0401"),
    "shop.example",
)


@pytest.mark.parametrize("version", PRINTED)
def test_a_hello_in_an_initial(version: int) -> None:
    content = message(hello())
    assert said(datagram(sealed(crypto(content, 0, 9999), version=version, token=b"token"))) == [QUIC]


def test_pieces_in_any_order_over_datagrams_and_an_answer_between() -> None:
    ack = b"\x02\x05\0\0\0\x01"  # PING behind it
    pieces = [
        sealed(crypto(LONG, 900, 9999) + crypto(LONG, 10, 300), 1),
        sealed(ack + crypto(LONG, 300, 900), 2, name=b"theirs"),  # the keys stay those of the first id
        sealed(crypto(LONG, 0, 12), 3, name=b"theirs"),
    ]
    answer = datagram(sealed(crypto(b"\x02" + bytes(60), 0, 61), 0), back=True)
    first, second, third = map(datagram, pieces)
    assert said(first, answer, second, third) == [LONG_ANSWER]
    assert said(first, second) == []
    assert said(second, first, third) == []  # the first one seen names the keys: nothing else can


def test_packets_behind_an_initial_in_its_datagram() -> None:
    early = b"\xd0\0\0\0\x01" + vector(1, ID) + vector(1, b"me") + varint(40) + bytes(40)
    inside = sealed(crypto(message(hello()), 0, 9999))
    assert said(datagram(inside + early)) == [QUIC]


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "cryptography.py").write_text("raise ImportError")
    wrpcap(
        str(tmp_path / "made.pcap"), [segment(RECORD), datagram(sealed(crypto(message(hello()), 0, 9999)))]
    )
    done = subprocess.run(
        [*PROGRAM, "info", str(tmp_path / "made.pcap")],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "1 not looked at: to read the hellos of QUIC, pip install" in done.stdout
    assert ANSWER[0] in done.stdout


# Bad input.


def test_bad_input_is_counted_and_told(tmp_path: Path) -> None:
    lying = bytearray(RECORD)
    lying[9 + 2 + 32] = 200  # the session reaches beyond the hello
    forged = bytearray(sealed(crypto(message(hello()), 0, 9999)))
    forged[-1] ^= 1
    long_token = b"\xc0\0\0\0\x01" + vector(1, ID) + b"\0" + varint(16_000) + bytes(1100)
    packets = [
        segment(bytes(lying)),
        segment(b"\x16\x03\x01\x40\0\x01\xff\xff\xff\x03\x03" + bytes(200), port=40_001),
        segment(RECORD[:70], port=40_002),
        datagram(bytes(forged)),
        datagram(long_token, 40_003),
        datagram(sealed(crypto(LONG, 0, 500)), 40_004),
        datagram(sealed(crypto(b"\x02" + bytes(30), 0, 31)), 40_005),
    ]
    told = counted(tmp_path, *packets)
    assert {name: count for name, count in told.items() if count and isinstance(count, int)} == {
        "broken": 4, "unfinished": 2, "initials": 4, "refused": 1, "opener": True,
    }  # fmt: skip
    done = subprocess.run(
        [*PROGRAM, "info", str(tmp_path / "made.pcap")], capture_output=True, text=True, check=True
    )
    for word in ("4 broken", "2 unfinished", "1 of QUIC that no key opens"):
        assert word in done.stdout


def test_what_the_snap_length_cuts_is_told(tmp_path: Path) -> None:
    packets = [segment(RECORD), datagram(sealed(crypto(message(hello()), 0, 9999)))]
    for packet in packets:
        packet.wirelen = len(packet)
    cut = [Ether(bytes(packet)[:120]) for packet in packets]
    for whole, part in zip(packets, cut, strict=True):
        part.wirelen = len(whole)
    path = tmp_path / "cut.pcap"
    rows = [struct.pack("<4I", 1, i, 120, len(one)) + bytes(one)[:120] for i, one in enumerate(packets)]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 120, 1) + b"".join(rows))
    told = info(path)
    assert (told["tls"], told["quic"], told["cut"], told["broken"]) == (0, 0, 2, 0)


def test_a_scan_of_who_greets_so(tmp_path: Path) -> None:
    tool = in_records(message(hello([sni(b"shop.example")])))
    tool_ja4 = "t12d030100_" + sha("1301,1302,c02b") + "_" + "0" * 12
    packets = []
    for host in range(1, 6):  # 1 and 2 greet as the tool does
        for packet in (segment(tool if host < 3 else RECORD), segment(b"", 900)):
            packet[IP].src = f"192.0.2.{host}"
            packets.append(packet)
        answer = (
            ETHERNET / IP(src="203.0.113.80", dst=f"192.0.2.{host}") / TCP(sport=443, dport=40_000, flags="A")
        )
        packets.append(answer)
    wrpcap(str(tmp_path / "made.pcap"), packets)
    scan = [*PROGRAM, "scan", "--format", "json", "--filter-ja4"]

    def of(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*scan, *words], capture_output=True, text=True, check=False, cwd=tmp_path)

    told = json.loads(of(tool_ja4, "made.pcap").stdout)
    assert (told["inputs"][0]["packets"], told["inputs"][0]["filtered"]) == (6, 9)
    assert told["settings"]["ja4"] == [tool_ja4]
    both = json.loads(of(tool_ja4, "--filter-ja4", ANSWER[0], "made.pcap").stdout)
    assert both["inputs"][0]["packets"] == 15
    none = of(CHROME, "made.pcap")
    assert none.returncode == 3
    assert "none of 15 packets is of who sent such a hello" in none.stdout
    assert of("t13", "made.pcap").returncode == of(tool_ja4, "-").returncode == 2
    assert of(tool_ja4, "missing.pcap").returncode == 3


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_bytes_bring_it_down(data: st.DataObject) -> None:
    """Segments and Initials with bytes changed, cut and out of order: an answer, or nothing."""
    flights = [RECORD, LONG[:100], sealed(crypto(LONG, 0, 700)), sealed(crypto(LONG, 700, 9999), 1)]
    packets = []
    for _ in range(data.draw(st.integers(1, 6))):
        flight = bytearray(data.draw(st.sampled_from(flights)))
        for _ in range(data.draw(st.integers(0, 3))):
            flight[data.draw(st.integers(0, len(flight) - 1))] = data.draw(st.integers(0, 255))
        part = bytes(flight[: data.draw(st.integers(0, len(flight)))])
        place = data.draw(st.integers(0, 300))
        packets.append(datagram(part) if flight[0] >= 0xC0 else segment(part, place))
    for fingerprint, _ in said(*packets):
        assert re.fullmatch(r"[tq]\w{2}[di]\d{4}\w{2}(_[0-9a-f]{12}){2}", fingerprint)
    frames = data.draw(st.binary(max_size=60))
    for version in PRINTED:  # well sealed, and nonsense inside
        said(datagram(sealed(frames, version=version)))


@pytest.mark.slow
def test_memory_is_flat_whatever_greets(tmp_path: Path) -> None:
    """Of more fingerprints, and names, than are kept the frequent ones stay; a name that left begins anew."""

    def named(number: int, port: int, *more: tuple[int, bytes]) -> Packet:
        extensions = [(number, b""), sni(b"%d.example" % number), *more]
        return segment(in_records(message(hello(extensions))), port=port)

    inner = (0xFE0D, b"\0" + bytes(20))
    numbers = [number for number in range(100, 9_500) if number & 0x0F0F != 0x0A0A]
    rare = [named(number, 1024 + number, inner) for number in numbers]
    often = [segment(RECORD, port=62_000 + i) for i in range(40)]
    first, left = numbers[0], numbers[6_000]  # of equals those that came first stay
    again = [named(first, 20_000 + i) for i in range(30)] + [named(left, 30_000 + i) for i in range(20)]
    told = counted(tmp_path, *rare, *often, *again)
    assert told["tls"] == len(rare) + 40 + 30 + 20
    assert told["fingerprints"][0] == {"ja4": ANSWER[0], "hellos": 40}
    assert told["forgotten"] >= len(rare) - 8192 > 0
    assert told["names"][:3] == [
        {"sni": "shop.example", "hellos": 40, "outer": 0},
        {"sni": f"{first}.example", "hellos": 31, "outer": 1},
        {"sni": f"{left}.example", "hellos": 20, "outer": 0},
    ]


# Who greets the victim of an event.

TOOL = (
    "t12d030100_" + sha("1301,1302,c02b") + "_" + "0" * 12,
    in_records(message(hello([sni(b"shop.example")]))),
)


def greets(host: str, data: bytes, at: float, port: int, start: int = 0) -> Packet:
    packet = segment(data, start, port)
    packet[IP].src, packet.time = host, at
    return packet


def calm(ends: float) -> list[Packet]:
    """Browsers begin five connections a second, with a hello and what follows on it."""
    inner = in_records(message(hello([*USUAL, (0xFE0D, b"\0" + bytes(20))])))
    later = b"\x17\x03\x03\x00\x20" + bytes(32)
    out = list[Packet]()
    for i in range(round(5 * ends)):
        host, at = f"192.0.2.{1 + i % 40}", i / 5
        out.append(greets(host, inner, at, 10_000 + i))
        out += [greets(host, later, at + 0.02 * n, 10_000 + i, 1000 + 37 * n) for n in range(1, 5)]
    return out


def flood(begins: float, ends: float, per_second: int, halves: bool) -> list[Packet]:
    """Hellos that nobody goes on with, whole or in two segments."""
    out = list[Packet]()
    for i in range(round((ends - begins) * per_second)):
        host, at, port = f"198.18.0.{1 + i % 100}", begins + i / per_second, 1024 + i
        data = TOOL[1]
        parts = [(0, data[:60]), (60, data[60:])] if halves and i % 2 else [(0, data)]
        out += [greets(host, part, at + n / 10_000, port, start) for n, (start, part) in enumerate(parts)]
    return out


def test_an_event_says_what_is_asked_for_and_who_is_new(tmp_path: Path) -> None:
    """A share among 600 hellos a second is estimated from a sample; the usual one is learnt before."""
    packets = sorted([*calm(25.0), *flood(22.0, 24.0, 600, halves=True)], key=lambda one: float(one.time))
    wrpcap(str(tmp_path / "made.pcap"), packets)
    (event,) = scanned(tmp_path / "made.pcap")["floods"]
    assert event["vector"] == "tls_flood"
    assert (event["victim"]["sni"], event["victim"]["sni_outer"]) == ("shop.example", False)
    new, old = event["fingerprints"]
    assert (new["ja4"], new["usual"]) == (TOOL[0], 0.0)
    assert new["share"] == pytest.approx(1200 / (1200 + 5 * 12), abs=0.02)
    assert new["sources"] == pytest.approx(100, rel=0.15)
    assert old["usual"] == 1.0
    assert old["share"] == pytest.approx(1 - new["share"], abs=0.001)
    done = subprocess.run(
        [*PROGRAM, "scan", str(tmp_path / "made.pcap")], capture_output=True, text=True, check=False
    )
    assert re.search(rf"hello +shop\.example\s+{TOOL[0]} 9\d(\.\d)? %, usual 0 %", done.stdout)


def test_a_name_ahead_of_an_encrypted_hello_is_told_as_the_outer_one_in_events(tmp_path: Path) -> None:
    inner = in_records(message(hello([*USUAL, (0xFE0D, b"\0" + bytes(20))])))
    packets = [greets(f"198.18.0.{1 + i % 50}", inner, i / 800, 1024 + i) for i in range(1200)]
    wrpcap(str(tmp_path / "made.pcap"), packets)
    (event,) = scanned(tmp_path / "made.pcap")["floods"]
    assert (event["victim"]["sni"], event["victim"]["sni_outer"]) == ("shop.example", True)
    assert event["fingerprints"][0]["usual"] is None  # nothing came before


@pytest.mark.slow
def test_memory_is_flat_in_random_hellos_and_names(tmp_path: Path) -> None:
    """10^5 and 10^6 hellos in a second, each of another program that asks for another name."""
    script = (
        "import sys; from floodwatch.cli import main\n"
        "try: main(['scan', '--format', 'json', '-'])\n"
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    peaks = []
    for count in (100_000, 1_000_000):
        pipe = tmp_path / f"{count}.pcap"
        os.mkfifo(pipe)
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(synth.bench_hellos, pipe, count)
            # nobody else holds the pipe open: a scan that ends early ends the writer, too
            with pipe.open("rb") as source:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-c", script],
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                )
            told, heard = process.communicate()
            writing.result()
        peaks.append(int(heard.split()[-1]))
        assert json.loads(told)["inputs"][0]["packets"] == count
    print("peak RSS in KiB:", peaks)
    assert peaks[1] - peaks[0] < 30_000
