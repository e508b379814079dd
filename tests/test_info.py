"""What analysts are handed: several files, parts of them, files that grow, mirrored frames; and `info`."""

from __future__ import annotations

import json
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import floodwatch as fw
from floodwatch import _engine, synth
from floodwatch.capture import share_of_twins

sys.path.insert(0, str(Path(__file__).parent))
from evaluate import records

PROGRAM = (sys.executable, "-P", "-m", "floodwatch")
Frames = list[tuple[int, int, bytes]]


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flood") / "flood.pcap"
    synth.make("http_flood", path, synth.Params(duration=4.0, seed=9))
    return path


def write(path: Path, frames: Frames) -> Path:
    head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
    parts = [
        struct.pack("<4I", *divmod(t, 1_000_000_000), len(frame), length) + frame
        for t, length, frame in frames
    ]
    path.write_bytes(head + b"".join(parts))
    return path


def run(*words: Any) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, check=False, cwd="/")
    return done.returncode, json.loads(done.stdout) if done.stdout else {"said": done.stderr.decode()}


def scan(*words: Any) -> dict[str, Any]:
    return run("scan", "--format", "json", "--top", "0", "--seed", "0" * 32, *words)[1]


def found(report: dict[str, Any]) -> list[Any]:
    """The events without the names of their inputs, which differ between ways of reading."""
    return [{**event, "input": ""} for event in (*report["floods"], *report["crowds"])]


def _counted(event: dict[str, Any]) -> dict[str, Any]:
    """What does not depend on how it was captured."""
    return {
        name: event[name]
        for name in ("id", "verdict", "first", "last", "rate", "packets", "bytes", "sources")
    }


def by_direction(frames: Frames) -> list[Frames]:
    server = bytes([198, 51, 100, 7])
    return [[f for f in frames if f[2][26:30] == server], [f for f in frames if f[2][26:30] != server]]


def rotated(frames: Frames) -> list[Frames]:
    return [frames[i : i + 1 + len(frames) // 7] for i in range(0, len(frames), 1 + len(frames) // 7)]


@pytest.mark.parametrize("split", [by_direction, rotated])
def test_merged_captures_are_one_capture(
    flood: Path, tmp_path: Path, split: Callable[[Frames], list[Frames]]
) -> None:
    frames = list(records(flood))
    paths = [write(tmp_path / f"{i}.pcap", part) for i, part in enumerate(split(frames))]
    random.Random(3).shuffle(paths)
    whole = write(tmp_path / "whole.pcap", frames)
    expected, merged = scan(whole), scan("--merge", *paths)
    assert found(merged) == found(expected)
    assert merged["totals"]["packets"] == len(frames)
    assert len(merged["inputs"]) == len(paths)
    assert {event["input"] for event in merged["floods"]} == {"merged"}
    program = fw.scan([str(path) for path in paths], merge=True, seed=bytes(16))
    assert [flood.id for flood in program.floods] == [flood["id"] for flood in expected["floods"]]
    apart = scan(*paths)
    assert found(apart) != found(expected)  # each alone tells less


def test_a_broken_file_among_merged_ones_ends_alone(flood: Path, tmp_path: Path) -> None:
    frames = list(records(flood))
    whole, broken = write(tmp_path / "whole.pcap", frames), tmp_path / "broken.pcap"
    broken.write_bytes(whole.read_bytes()[:5000])
    report = scan("--merge", whole, broken, tmp_path / "missing.pcap")
    assert [bool(item["error"]) for item in report["inputs"]] == [False, True, True]
    assert [flood["vector"] for flood in report["floods"]] == ["http_flood"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 50), max_size=30), min_size=1, max_size=5), st.integers(1, 9))
def test_merging_batches_is_a_stable_sort(times: list[list[int]], size: int) -> None:
    batches = []
    for number, part in enumerate(times):
        head = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)
        frame = bytes(12) + b"\x08\0" + bytes.fromhex("4500001400000000401100000102030405060708")
        frame = frame[:-1] + bytes([number])
        data = head + b"".join(struct.pack("<4I", 1, t, len(frame), len(frame)) + frame for t in sorted(part))
        decoder, batch = _engine.Decoder(bytes(16)), _engine.Batch(64)
        decoder.fill(data.replace(b"@\x11", b"@\x63"), 0, batch)
        batches.append(batch)
    at, out, got = np.zeros(len(batches), np.uint32), _engine.Batch(size), []
    alive = list(range(len(batches)))
    while alive:
        place = at[alive].copy()
        used = _engine.merge(out, [batches[i] for i in alive], place)
        at[alive] = place
        got += [(int(row["ts_ns"]), int(row["dst"][1]) & 0xFF) for row in out.records()]
        assert len(out) <= size
        if used < len(alive):
            del alive[used]
    assert got == sorted((1_000_000_000 + t, n) for n, part in enumerate(times) for t in part)


def test_only_a_part_of_the_time_counts(flood: Path) -> None:
    expected = [t for t, _, _ in records(flood)]
    begin, end = expected[0] + 1_000_000_000, expected[0] + 5_500_000_000
    since = f"{begin // 10**9}.{begin % 10**9:09}"
    report = scan("--since", since, "--until", f"{end // 10**9}.{end % 10**9:09}", flood)
    assert report["totals"]["packets"] == sum(begin <= t < end for t in expected)
    assert scan("--since", "2025-01-27T02:13:08Z", flood)["totals"] == scan("--since", since, flood)["totals"]
    assert scan("--until", "2025-01-27", flood)["totals"]["packets"] == 0
    code, said = run("scan", "--since", "yesterday", flood)
    assert code == 2
    assert "give a time as 2025-01-27T02:13:07Z" in said["said"]


def test_a_growing_file_is_followed_until_told_to_stop(flood: Path, tmp_path: Path) -> None:
    data = flood.read_bytes()
    growing = tmp_path / "growing.pcap"
    growing.write_bytes(b"")
    process = subprocess.Popen([*PROGRAM, "scan", "--follow", "--format", "json", str(growing)],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")  # fmt: skip
    with growing.open("ab", buffering=0) as file:
        for at in range(0, len(data), 1 + len(data) // 20):
            file.write(data[at : at + 1 + len(data) // 20])
            time.sleep(0.03)
    assert process.stderr is not None
    assert b"opened  HTTP flood" in process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    report = json.loads(out)
    assert process.returncode == 130
    assert report["complete"] is False
    assert report["totals"]["packets"] == len(list(records(flood)))
    assert [event["vector"] for event in report["floods"]] == ["http_flood"]


def test_mirrored_frames_count_once_where_that_is_certain(flood: Path, tmp_path: Path) -> None:
    frames = list(records(flood))
    copies = [  # routed to a VLAN: new addresses, a tag, one hop more
        (t + 3000, length + 4, bytes(12) + b"\x81\0\0\7" + frame[12:22] + bytes([frame[22] - 1]) + frame[23:])
        for t, length, frame in frames
    ]
    doubled = write(tmp_path / "doubled.pcap", sorted(frames + copies))
    once, twice = scan(write(tmp_path / "once.pcap", frames)), scan(doubled)
    assert twice["totals"]["packets"] == once["totals"]["packets"] == len(frames)
    assert twice["inputs"][0]["duplicates"] == len(frames)
    assert [_counted(event) for event in found(twice)] == [_counted(event) for event in found(once)]
    assert all(event["capture"]["copied_share"] == 0.5 for event in found(twice))
    done = subprocess.run([*PROGRAM, "info", str(doubled)], capture_output=True, text=True, check=True)
    assert "every frame was captured twice" in done.stdout


def test_floods_of_equal_frames_are_no_mirror() -> None:
    rng = np.random.default_rng(1)
    apart = np.arange(4000, dtype=np.uint64) * 1_000_000
    assert share_of_twins(np.zeros(4000, np.uint64), apart)[0] == 0.0
    assert share_of_twins(rng.integers(0, 1 << 62, 4000).astype(np.uint64), apart)[0] == 0.0
    again = np.tile(rng.integers(0, 1 << 62, 2000).astype(np.uint64), 2)
    assert share_of_twins(again, apart)[0] == 0.0  # two seconds later: sent again, not seen twice
    assert share_of_twins(np.repeat(again[:2000], 2), apart) == (1.0, 1)
    assert share_of_twins(np.repeat(again[:1000], 3), apart[:3000]) == (1.0, 2)
    assert share_of_twins(np.tile(again[:200], 20), apart // 8)[0] == 0.0  # a loop of 25 ms
    assert share_of_twins(np.repeat(again[:20], 2), apart[:40])[0] == 0.0  # too few to say


@pytest.mark.captures
def test_no_real_capture_is_taken_for_a_mirror(captures: Path) -> None:
    """But the one whose every frame was captured twice, as its index says."""
    mirrors = {Path(item.path).name: item for folder in ("attack", "benign")
               for item in fw.scan(str(captures / folder)).inputs if item.duplicates}  # fmt: skip
    assert list(mirrors) == ["CIC-DDoS-2019-WebDDoS.pcap"]
    (mirror,) = mirrors.values()
    assert mirror.packets == mirror.duplicates == 1552


def test_info_tells_what_is_in_a_capture(tmp_path: Path) -> None:
    def block(kind: int, body: bytes) -> bytes:
        size = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + size + body + size

    arp = bytes(12) + b"\x08\x06" + bytes(28)
    capture = tmp_path / "x.pcapng"
    capture.write_bytes(
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, struct.pack("<HHI", 1, 0, 128) + struct.pack("<HH4s", 2, 4, b"eth7") + bytes(4))
        + b"".join(block(6, struct.pack("<5I", 0, 0, 1000 + i, 42, 42) + arp + bytes(2)) for i in range(3))
        + block(5, struct.pack("<3I", 0, 0, 0) + struct.pack("<HHQ", 5, 8, 1) + bytes(4))
    )
    code, told = run("info", "--format", "json", capture)
    (item,) = told["inputs"]
    assert (code, told["schema"], told["complete"]) == (3, "floodwatch.info/1", True)
    assert item["error"]["code"] == "nothing_decoded"
    assert item["interfaces"] == [{"name": "eth7", "linktype": "EN10MB", "snaplen": 128}]
    assert (item["packets"], item["rejected"], item["lost"]) == (3, {"not_ip": 3}, 1)
    done = subprocess.run([*PROGRAM, "info", str(capture)], capture_output=True, text=True, check=False)
    text = done.stdout
    assert "eth7: EN10MB, snap length 128" in text
    assert "3 not IP (ARP, LLDP, spanning tree ...)" in text
    assert "1 packet (25 %), as recorded in the capture" in text
    code, told = run("info", "--format", "json", tmp_path / "missing.pcap")
    assert code == 3
    assert told["inputs"][0]["error"]["code"] == "missing_file"


def test_read_and_scan_of_a_dpkt_capture_agree(flood: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pcap"
    with copy.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for t, _, frame in records(flood):
            writer.writepkt(frame, t / 1e9)
    assert sum(len(batch) for batch in fw.read(str(copy))) == fw.scan(str(copy)).totals.packets
