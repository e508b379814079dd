"""``scan --cut``: the frames of one event as a file for others, held against Wireshark's own tools."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import dpkt
import pytest

from floodwatch.capture.community import community_id

PROGRAM = [sys.executable, "-P", "-m", "floodwatch"]
LAUNCH = Path(__file__).parents[1] / "pcaps" / "launch-day.pcap.gz"
PCAP_HEADER = 24


def run(*args: object) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, "scan", "-q", "--seed", "0" * 32, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def report(*args: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--format", "json", *args).stdout)
    return found


def tool(*args: object) -> str:
    done = subprocess.run([*map(str, args)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def frames(path: Path, folder: Path) -> bytes:
    """The records of a capture as Wireshark's tools write them: stamps, lengths, bytes."""
    plain = folder / "plain.pcap"
    tool("editcap", "-F", "nsecpcap", path, plain)
    return plain.read_bytes()[PCAP_HEADER:]


def shown(capture: Path, event: dict[str, Any], folder: Path) -> bytes:
    """What tshark finds in the input by the event's own filter, in the time that is cut."""
    first, last = (datetime.fromisoformat(event[name]).timestamp() for name in ("first", "last"))
    when = f"frame.time_epoch >= {first - 2:.6f} && frame.time_epoch < {last + 1:.6f}"
    out = folder / "shown.pcap"
    tool("tshark", "-r", capture, "-Y", f"({event['display_filter']}) && {when}", "-F", "nsecpcap", "-w", out)
    return out.read_bytes()[PCAP_HEADER:]


@pytest.fixture(scope="module")
def launch() -> dict[str, Any]:
    return report(LAUNCH)


@pytest.mark.parametrize("vector", ["syn_flood", "ntp_amplification", "http_flood", "api_probing"])
def test_a_cut_is_what_the_filter_shows_and_tells_the_same(
    launch: dict[str, Any], tmp_path: Path, vector: str
) -> None:
    (number,) = [n for n, event in enumerate(launch["floods"], 1) if event["vector"] == vector]
    event, file = launch["floods"][number - 1], tmp_path / "cut.pcapng"
    done = run("--cut", number, "-w", file, LAUNCH)
    assert done.returncode == 1
    records = frames(file, tmp_path)
    assert records == shown(LAUNCH, event, tmp_path)
    assert len(records) > 10_000
    again = [(e["vector"], e["victim"]["ip"]) for e in report(file)["floods"]]
    assert (vector, event["victim"]["ip"]) in again
    told = tool("capinfos", file)
    for fact in (event["id"], event["vector"], "verdict attack", event["technique"], event["display_filter"]):
        assert fact in told
    (count,) = re.findall(r"wrote ([\d,]+) frames", done.stderr)
    assert f"Number of packets = {count.replace(',', '')}\n" in told


def test_its_flows_have_the_community_ids_of_wireshark(launch: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "cut.pcapng"
    stderr = run("--cut", launch["floods"][1]["id"], "-w", file, LAUNCH).stderr
    fields = ["-T", "fields", "-e", "communityid", "-e", "frame.comment"]
    asked = ["--enable-protocol", "communityid", "-Y", "frame.comment"]
    rows = [line.split("\t") for line in tool("tshark", "-r", file, *asked, *fields).splitlines()]
    assert rows[0][1].startswith(f"floodwatch: {launch['floods'][1]['id']} begins")
    flows = [(name, comment) for name, comment in rows if "Community ID" in comment]
    assert len(flows) == 5
    for name, comment in flows:
        assert comment.endswith(f"Community ID {name}")
        assert name in stderr


def test_community_ids_as_published() -> None:
    mapped = 0xFFFF << 32
    src, dst = (
        mapped | int.from_bytes(bytes(octets)) for octets in ((128, 232, 110, 120), (66, 35, 250, 204))
    )
    assert community_id(src, dst, 34855, 80, 6) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
    assert community_id(dst, src, 80, 34855, 6) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="


def tagged(source: Path, target: Path) -> None:
    """The same frames in a VLAN."""
    with source.open("rb") as read, target.open("wb") as file:
        writer = dpkt.pcap.Writer(file, nano=True)
        for when, frame in dpkt.pcap.Reader(read):
            writer.writepkt(frame[:12] + struct.pack(">HH", 0x8100, 7) + frame[12:], when)


@pytest.mark.parametrize(
    ("scenario", "more"),
    [
        ("syn_flood", ["--target", "2001:db8::7"]),
        ("gre_flood", []),
        pytest.param("icmp_flood", [], marks=pytest.mark.slow),
        pytest.param("carpet_udp", [], marks=pytest.mark.slow),
        pytest.param("fragment_flood", [], marks=pytest.mark.slow),
    ],
)
def test_each_kind_of_packets_is_cut_as_it_is_shown(tmp_path: Path, scenario: str, more: list[str]) -> None:
    made, capture, file = tmp_path / "made.pcap", tmp_path / "in.pcap", tmp_path / "cut.pcapng"
    tool(*PROGRAM, "gen", scenario, "-w", made, "--duration", 1, *more)
    tagged(made, capture)
    event = report(capture)["floods"][0]
    run("--cut", 1, "-w", file, capture)
    records = frames(file, tmp_path)
    assert records == shown(capture, event, tmp_path)
    assert len(records) > 10_000
    assert report(file)["floods"][0]["vector"] == event["vector"]


@pytest.mark.slow
def test_merged_captures_are_cut_together(tmp_path: Path) -> None:
    halves = [tmp_path / "there.pcap", tmp_path / "back.pcap"]
    there = "ip.dst == 198.51.100.7"
    for half, wanted in zip(halves, (there, f"!({there})"), strict=True):
        tool("tshark", "-r", LAUNCH, "-Y", wanted, "-F", "nsecpcap", "-w", half)
    merged = report("--merge", *halves)
    (number,) = [n for n, event in enumerate(merged["floods"], 1) if event["vector"] == "syn_flood"]
    file = tmp_path / "cut.pcapng"
    run("--merge", "--cut", number, "-w", file, *halves)
    assert sorted(_records(frames(file, tmp_path))) == sorted(
        _records(shown(LAUNCH, merged["floods"][number - 1], tmp_path))
    )
    assert "Strict time order:   True" in tool("capinfos", file)


def _records(data: bytes) -> list[bytes]:
    out, at = [], 0
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        out.append(data[at : at + size])
        at += size
    return out


def test_a_cut_is_bounded_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "cut.pcapng"
    done = run("--cut", 1, "-w", file, "--write-max", 10, LAUNCH)
    assert "wrote 10 frames" in done.stderr
    assert "--write-max" in done.stderr
    assert "the first 10 frames" in tool("capinfos", file)
    assert len(_records(frames(file, tmp_path))) == 10


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--cut", "99", "-w", "cut.pcapng", LAUNCH], 2, "no event 99: it holds 1 to "),
        (["--cut", "1", "-w", "/dev/full", LAUNCH], 4, "cannot write /dev/full: No space left on device"),
        (["--cut", "1", "-w", "missing/cut.pcapng", LAUNCH], 4, "cannot write missing/cut.pcapng"),
        (["--cut", "1", LAUNCH], 2, "--cut EVENT and -w FILE.pcapng go together"),
        (["-w", "cut.pcapng", LAUNCH], 2, "--cut EVENT and -w FILE.pcapng go together"),
        (["--cut", "1", "-w", "cut.pcapng", "-"], 2, "standard input can be read once"),
        (["--cut", "1", "-w", "cut.pcapng", "--follow", LAUNCH], 2, "neither --follow nor"),
    ],
)
def test_what_cannot_be_cut_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[object], code: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*args)
    assert done.returncode == code
    assert says in done.stderr
    assert not list(tmp_path.iterdir())
