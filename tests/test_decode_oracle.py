"""The decoder against an oracle: tshark must read the same out of every packet of every third-party capture.

Where the two disagree, a named reason must explain it; an unexplained disagreement fails.
"""

from __future__ import annotations

import gzip
import ipaddress
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodwatch import _engine, synth
from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan

pytestmark = pytest.mark.captures

KEY = bytes(16)
BATCH = 8192
LINKTYPES = {
    "EN10MB", "RAW", "RAW(12)", "IPV4", "IPV6", "LINUX_SLL", "LINUX_SLL2", "NULL", "PPP", "PPP_HDLC",
    "C_HDLC", "FRELAY", "IEEE802_5", "FDDI", "IEEE802_11", "RADIOTAP", "PPI", "NFLOG",
    "242", "258",
}  # fmt: skip
MAGICS = (
    b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a",
    b"\x34\xcd\xb2\xa1", b"snoop",
)  # fmt: skip
FIELDS = (
    "frame.number", "frame.protocols", "frame.len", "frame.cap_len", "_ws.malformed", "_ws.short",
    "ip.src", "ip.dst", "ip.proto", "ip.frag_offset", "ip.flags.mf", "ip.hdr_len", "ip.len",
    "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.plen", "ipv6.fraghdr.offset", "ipv6.fraghdr.more",
    "tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.len", "tcp.hdr_len", "tcp.seq_raw", "tcp.ack_raw",
    "udp.srcport", "udp.dstport", "udp.length", "icmp.type", "icmpv6.type",
)  # fmt: skip
OPTIONS = (
    "ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE",
    "tcp.analyze_sequence_numbers:FALSE", "tcp.relative_sequence_numbers:FALSE",
    "ip.decode_tos_as_diffserv:TRUE", "tcp.try_heuristic_first:FALSE", "udp.try_heuristic_first:FALSE",
)  # fmt: skip
EXTENSIONS = ("ipv6.hopopts", "ipv6.routing", "ipv6.dstopts", "ipv6.fraghdr", "ah", "mipv6")
NETWORK = ("ip", "ipv6")
TUNNEL_LAYERS = (
    *EXTENSIONS, "gre", "erspan", "udp", "vxlan", "geneve", "gtp", "teredo", "eth", "ethertype", "vlan",
    "mpls", "pwethheuristic", "pwethcw", "ppp", "llc",
)  # fmt: skip
TRANSPORTS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}

Row = dict[str, str]
Facts = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One packet, innermost or outermost of its frame, on which the two decoders disagree.

    ``row`` has the fields of that packet, ``layers`` what comes before it and after it in the frame, and
    ``at`` its place among them.
    """

    file: str
    row: Row
    layers: list[str]
    at: int | None
    theirs: Facts | None
    ours: Facts | None

    def differ(self) -> set[str]:
        """Names of the facts that differ."""
        if self.theirs is None or self.ours is None:
            return {"decoded"}
        return {name for name in self.theirs if self.theirs[name] != self.ours[name]}


def integer(text: str) -> int:
    return int(text, 0) if text else 0


def flag(text: str) -> bool:
    return text in ("1", "True")


def packed(address: str) -> int:
    """128 bits, IPv4 as ::ffff:a.b.c.d."""
    ip = ipaddress.ip_address(address)
    return int(ip) if ip.version == 6 else 0xFFFF << 32 | int(ip)


def outermost(layers: list[str]) -> int | None:
    """Index of the outermost IP layer that link header and VLAN tags alone lead to."""
    return next((i for i, name in enumerate(layers) if name in NETWORK), None)


def innermost(layers: list[str]) -> int | None:
    """Index of the last IP layer that tunnels alone lead to; an ICMP error only quotes what it holds."""
    at = outermost(layers)
    for i in range((at or 0) + 1, len(layers)):
        if layers[i] in NETWORK:
            at = i
        elif layers[i] not in TUNNEL_LAYERS:
            break
    return at


def fields_at(row: Row, layers: list[str], at: int | None) -> Row:
    """The fields of the packet whose IP layer stands at ``at``: one of the values that each has."""
    picked = {}
    for name, text in row.items():
        layer = name.partition(".")[0]
        values = text.split(",")
        if layer in ("frame", "_ws") or at is None or len(values) == 1:
            picked[name] = text if len(values) == 1 or layer in ("frame", "_ws") else values[0]
            continue
        before = layers[:at].count("ipv6" if name.startswith("ipv6.fraghdr") else layer)
        picked[name] = values[before] if before < len(values) else values[-1]
    return picked


def tshark_facts(row: Row, layers: list[str], at: int | None) -> Facts | None:
    """What the oracle says of the IP packet at ``at``; only what it could read."""
    if at is None:
        return None
    ip = layers[at]
    if not row[f"{ip}.src"] or not row[f"{ip}.dst"]:
        return None
    facts: Facts = {"src": packed(row[f"{ip}.src"]), "dst": packed(row[f"{ip}.dst"])}
    following = next((name for name in layers[at + 1 :] if name not in EXTENSIONS), "")
    if ip == "ip":
        facts["proto"] = integer(row["ip.proto"])
        if integer(row["ip.frag_offset"]):
            return facts | {"sport": 0, "dport": 0}
    elif integer(row["ipv6.fraghdr.offset"]):
        return facts | {"sport": 0, "dport": 0}
    elif following in TRANSPORTS:
        facts["proto"] = TRANSPORTS[following]
    return facts | transport_facts(row, following)


def transport_facts(row: Row, transport: str) -> Facts:
    if transport == "tcp" and row["tcp.flags"]:
        facts = {
            "sport": integer(row["tcp.srcport"]), "dport": integer(row["tcp.dstport"]),
            "tcp_flags": integer(row["tcp.flags"]) & 0xFF,
            "seq": integer(row["tcp.seq_raw"]), "ack": integer(row["tcp.ack_raw"]),
        }  # fmt: skip
        return facts | ({"payload": integer(row["tcp.len"])} if row["tcp.len"] else {})
    if transport == "udp" and row["udp.length"]:
        facts = {"sport": integer(row["udp.srcport"]), "dport": integer(row["udp.dstport"])}
        return facts | {"payload": integer(row["udp.length"]) - 8}
    if transport in ("icmp", "icmpv6") and row[f"{transport}.type"]:
        return {"sport": 0, "dport": integer(row[f"{transport}.type"])}
    return {}


def native_facts(record: np.void) -> Facts:
    facts: Facts = {name: int(record[name]) for name in ("proto", "tcp_flags", "sport", "dport", "payload")}
    for name in ("src", "dst"):
        facts[name] = int(record[name][0]) << 64 | int(record[name][1])
    return facts | {"seq": int(record["seq"]), "ack": int(record["ack"])}


def native_decode(data: bytes) -> tuple[dict[int, tuple[np.void, np.void]], int, int]:
    """Frame number -> innermost and outermost packet, the number of frames, and how the reading ended.

    A batch of one packet tells the number of the frame that filled it; a second pass with big batches has
    the records, so that both ways of reading are seen to agree.
    """
    decoder, one, at, numbers = _engine.Decoder(KEY), _engine.Batch(1), 0, []
    while True:
        code, at = decoder.fill(data, at, one)
        if len(one):
            numbers.append(decoder.packets)
        if code:
            break
    again, batch, at, records = _engine.Decoder(KEY), _engine.Batch(BATCH), 0, []
    while True:
        code, at = again.fill(data, at, batch)
        records.extend(zip(batch.records(), batch.outermost(), strict=True))
        if code:
            break
    assert (again.packets, again.rejected) == (decoder.packets, decoder.rejected)
    malformed = [record["kind"] == _engine.MALFORMED for record, _ in records]
    assert len(records) == decoder.packets - sum(decoder.rejected.values()) + sum(malformed)
    known = {n: pair for n, pair, bad in zip(numbers, records, malformed, strict=True) if not bad}
    return known, decoder.packets, code


def tshark_decode(path: Path, home: Path) -> list[Row]:
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"]
    for option in OPTIONS:
        command += ["-o", option]
    for field in FIELDS:
        command += ["-e", field]
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    rows = [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]
    return [row for row in rows if row["frame.protocols"] != "data"]  # pcapng blocks that hold no packet


def oracle_files(root: Path) -> list[str]:
    """Captures that both sides should read: known link types, pcap, pcapng or gzip by magic, not corrupt."""
    names = []
    for line in (root / "INDEX.tsv").read_text().splitlines()[1:]:
        columns = line.split("\t")
        if columns[0].split("/")[0] not in ("attack", "benign", "formats"):
            continue
        if set(columns[6].split(",")) <= LINKTYPES and content(root / columns[0]).startswith(MAGICS):
            names.append(columns[0])
    return names


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def compare(root: Path, name: str, rows: list[Row]) -> Iterator[Case]:
    records, frames, code = native_decode(content(root / name))
    assert code == _engine.NEED_MORE, f"{name}: {_engine.ERRORS.get(code)} after {frames} frames"
    assert len(rows) == frames, f"{name}: tshark reads {len(rows)} frames, floodwatch {frames}"
    for number, row in enumerate(rows, 1):
        layers = row["frame.protocols"].split(":")
        ours = records.get(number)
        for which, at in enumerate((innermost(layers), outermost(layers))):
            fields = fields_at(row, layers, at)
            theirs = tshark_facts(fields, layers, at)
            while theirs is None and at not in (None, outermost(layers)):  # what is inside is broken
                at = max(i for i in range(at or 0) if layers[i] in NETWORK)
                fields = fields_at(row, layers, at)
                theirs = tshark_facts(fields, layers, at)
            mine = native_facts(ours[which]) if ours is not None else None
            if theirs is None and mine is None:
                continue
            case = Case(name, fields, layers, at, theirs, mine)
            if case.differ():
                yield case


def only_first_fragment(case: Case) -> bool:
    """UDP says the datagram's length, tshark repeats it, and we count what this fragment carries."""
    row, ours, theirs = case.row, case.ours, case.theirs
    if ours is None or theirs is None or case.differ() != {"payload"} or ours["payload"] >= theirs["payload"]:
        return False
    if case.layers[case.at or 0] == "ip":
        carried = integer(row["ip.len"]) - integer(row["ip.hdr_len"]) - 8
        return flag(row["ip.flags.mf"]) and ours["payload"] == carried
    return flag(row["ipv6.fraghdr.more"]) and ours["payload"] == integer(row["ipv6.plen"]) - 8 - 8


def extension_too_long(case: Case) -> bool:
    """An extension header runs over the end of the packet: tshark shows the addresses, we trust nothing."""
    return case.ours is None and case.layers[-1] in EXTENSIONS and case.row["_ws.malformed"] != ""


def cut_by_snaplen(case: Case) -> bool:
    """The capture ends inside the headers."""
    cut = integer(case.row["frame.cap_len"]) < integer(case.row["frame.len"])
    return case.ours is None and cut and case.row["_ws.short"] != ""


def tcp_header_lies(case: Case) -> bool:
    """A data offset under 20 bytes: tshark shows the ports, we trust nothing."""
    return case.ours is None and case.row["tcp.srcport"] != "" and 0 < integer(case.row["tcp.hdr_len"]) < 20


def fabric_path_check_sequence(case: Case) -> bool:
    """tshark takes the last four bytes of what FabricPath carries for a check sequence; IP says otherwise."""
    row, ours = case.row, case.ours
    if ours is None or case.differ() != {"payload"} or "cfp" not in case.layers:
        return False
    headers = integer(row["ip.hdr_len"]) + integer(row["tcp.hdr_len"])
    return bool(ours["payload"] == integer(row["ip.len"]) - headers)


REASONS: dict[str, Callable[[Case], bool]] = {
    "FabricPath, a check sequence that is not there": fabric_path_check_sequence,
    "first fragment, length of the whole datagram": only_first_fragment,
    "extension header longer than the packet": extension_too_long,
    "headers cut by the snap length": cut_by_snaplen,
    "TCP header length under 20": tcp_header_lies,
}


@pytest.mark.slow
def test_every_packet_reads_as_tshark_reads_it(captures: Path, need: Any, tmp_path: Path) -> None:
    need(shutil.which("tshark"), "tshark is not installed")
    names = oracle_files(captures)
    explained: Counter[str] = Counter()
    unexplained, packets = [], 0
    with ThreadPoolExecutor(2) as pool:
        results = pool.map(lambda name: tshark_decode(captures / name, tmp_path), names)
        for name, rows in zip(names, results, strict=True):
            packets += len(rows)
            for case in compare(captures, name, rows):
                reason = next((title for title, holds in REASONS.items() if holds(case)), None)
                if reason:
                    explained[reason] += 1
                else:
                    unexplained.append(case)
    print(f"{len(names)} captures, {packets} frames; explained: {dict(explained)}")
    assert not unexplained, "\n".join(describe(case) for case in one_per_file(unexplained))


@pytest.mark.parametrize("name", ["brcm-tag.pcap", "dsa.pcap", "edsa-high-vid.pcap"])
def test_tags_of_switches_read_as_tcpdump_reads_them(captures: Path, need: Any, name: str) -> None:
    """tshark does not know these link types."""
    need(shutil.which("tcpdump"), "tcpdump is not installed")
    path = captures / "formats" / name
    done = subprocess.run(["tcpdump", "-nr", str(path)], capture_output=True, text=True, check=True)
    theirs = re.findall(r" IP6? ([0-9a-f.:]+) > ([0-9a-f.:]+):", done.stdout)
    records, _, _ = native_decode(path.read_bytes())
    ours = [native_facts(inner) for inner, _ in records.values()]
    assert len(ours) == len(theirs) > 3
    for facts, pair in zip(ours, theirs, strict=True):
        for side, text in zip(("src", "dst"), pair, strict=True):
            four = text.count(".") >= 3
            assert facts[side] == packed(".".join(text.split(".")[:4]) if four else text.partition(".")[0])


def one_per_file(cases: list[Case]) -> list[Case]:
    return list({case.file: case for case in reversed(cases)}.values())


def describe(case: Case) -> str:
    known = {k: v for k, v in case.row.items() if v and k != "frame.protocols"}
    return f"{case.file} {':'.join(case.layers)} {case.differ()} ours={case.ours} tshark={known}"


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "kind"), [("http2_rapid_reset", 3), ("http2_continuation_flood", 9)])
def test_frames_of_http2_are_those_that_tshark_counts(
    need: Any, tmp_path: Path, scenario: str, kind: int
) -> None:
    need(shutil.which("tshark"), "tshark is not installed")
    capture = tmp_path / "http2.pcap"
    synth.make(scenario, capture, synth.Params(duration=2))
    command = ["tshark", "-r", str(capture), "-d", "tcp.port==80,http2", "-Y", "http2"]
    found = subprocess.run(
        [*command, "-T", "fields", "-e", "http2.type"], capture_output=True, text=True, check=True
    )
    theirs = sum(line.split(",").count(str(kind)) for line in found.stdout.split("\n"))
    (flood,) = scan([str(capture)], ScanOptions()).floods
    assert flood.vector == scenario
    assert 0.9 * theirs <= flood.packets <= theirs  # the first epochs are not judged yet
