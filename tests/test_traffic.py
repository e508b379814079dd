"""All traffic of a capture, by class and time, and who got the most: counted exactly by another decoder."""

from __future__ import annotations

import gzip
import json
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from floodwatch._engine import Batch, Decoder
from floodwatch.cli import main
from floodwatch.config.options import WatchOptions
from floodwatch.daemon import sensor
from floodwatch.daemon.line import HEAD, VERSION, Line
from floodwatch.daemon.records import Kind, Start, start_of
from floodwatch.decide.traffic import BINS, CLASSES, KEPT, Measured
from floodwatch.model.report import Traffic
from floodwatch.pipeline.analysis import Analysis
from floodwatch.report.page import render

sys.path.insert(0, str(Path(__file__).parent))
from sample_events import REPORT

PCAPS = Path(__file__).parents[1] / "pcaps"
EPOCH = 6_800_000_000


def scanned(*args: str) -> dict[str, Any]:
    called = CliRunner().invoke(main, ["scan", "-q", "--format", "json", *args])
    report: dict[str, Any] = json.loads(called.stdout)
    return report


def frames(path: Path) -> Iterator[tuple[float, dpkt.ip.IP, int]]:
    with gzip.open(path) as file:
        for stamp, frame in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(frame).data
            yield stamp, packet, max(60, 14 + packet.len)  # the frames are cut, and were padded


def class_of(packet: dpkt.ip.IP) -> str:
    if isinstance(packet.data, dpkt.tcp.TCP):
        return "syn" if packet.data.flags & 0x17 == dpkt.tcp.TH_SYN else "tcp"
    return "udp" if isinstance(packet.data, dpkt.udp.UDP) else "other"


def test_every_packet_and_byte_is_in_the_course() -> None:
    path = PCAPS / "launch-day.pcap.gz"
    (traffic,) = scanned(str(path))["traffic"]
    exact: Counter[str] = Counter()
    to: Counter[str] = Counter()
    size = 0
    for _, packet, length in frames(path):
        exact[class_of(packet)] += 1
        to[dpkt.utils.inet_to_str(packet.dst)] += 1
        size += length
    step = traffic["step_s"]
    assert {
        name: round(sum(rates) * step) for name, rates in traffic["packets"].items() if any(rates)
    } == exact
    assert sum(traffic["bits"]) * step / 8 == pytest.approx(size, rel=1e-3)
    lengths = {len(rates) for rates in [*traffic["packets"].values(), traffic["bits"]]}
    assert len(lengths) == 1
    assert lengths.pop() <= BINS
    busiest, *others = traffic["hosts"]
    assert (busiest["address"], 1) == (to.most_common(1)[0][0], to.most_common(1)[0][1] // busiest["packets"])
    assert all(host["packets"] <= to[host["address"]] for host in traffic["hosts"])
    assert [host["packets"] for host in others] == sorted((h["packets"] for h in others), reverse=True)


def test_a_rate_stands_where_its_packets_came() -> None:
    path = PCAPS / "launch-day.pcap.gz"
    (traffic,) = scanned(str(path))["traffic"]
    begin = np.datetime64(traffic["first"].rstrip("Z")).astype("datetime64[ns]").astype(int) / 1e9
    exact: Counter[int] = Counter()
    for stamp, packet, _ in frames(path):
        exact[int((stamp - begin) // traffic["step_s"])] += class_of(packet) == "udp"
    told = [round(rate * traffic["step_s"]) for rate in traffic["packets"]["udp"]]
    assert told == [exact[step] for step in range(len(told))]


def test_each_capture_has_its_own_and_merged_ones_have_one_together() -> None:
    paths = [str(path) for path in sorted(PCAPS.glob("*.pcap.gz"))[:2]]
    assert [traffic["input"] for traffic in scanned(*paths)["traffic"]] == paths
    assert [traffic["input"] for traffic in scanned("--merge", *paths)["traffic"]] == ["merged"]


def test_memory_is_bounded_in_time_and_hosts() -> None:
    measured, row = Measured(), np.zeros(1, [("hi", "u8"), ("lo", "u8"), ("kinds", [("packets", "u4")], 13)])
    kinds = [1, 0, 0, 0, 2, 0, 0, 4, 0, 0, 0, 9, 8]
    for number in range(3000):
        row["lo"], row["kinds"]["packets"][0, 0] = number, number
        measured.add(EPOCH + number, kinds, 100, row)
    told = measured.told("x")
    assert told is not None
    assert len(measured._course.counted) <= 240
    assert len(measured._hosts) <= 2 * KEPT
    sums = {name: round(sum(rates) * told.step_s) for name, rates in told.packets.items()}
    assert sums == {"syn": 3000, "tcp": 6000, "udp": 12_000, "icmp": 0, "other": 24_000}
    assert [host.packets for host in told.hosts] == list(range(2999, 2989, -1))


def test_nothing_came_and_nothing_is_told() -> None:
    assert Measured().told("x") is None


def test_the_sensor_of_a_daemon_adds_up_no_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks it for a report; who scans and who watches by hand gets one."""
    asked = dict[str, object]()

    def watch(*args: object, **settings: object) -> None:
        asked.update(settings)
        raise EOFError

    monkeypatch.setattr(sensor, "Watch", watch)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        start = start_of(Start((), WatchOptions()))
        ours.sendall(HEAD.pack(VERSION, Kind.START, len(start)) + start)
        with pytest.raises(EOFError):
            sensor.Sensor(Line(theirs)).run()
    assert asked == {"reports": False}
    analysis, batch = Analysis("x", 0), Batch(512)
    Decoder(bytes(16)).fill(gzip.decompress((PCAPS / "syn_flood.pcap.gz").read_bytes()), 0, batch)
    analysis.observe(batch)
    analysis.finish()
    assert analysis.traffic() is None


def test_the_page_tells_who_stayed_normal_and_not_who_is_told_of() -> None:
    rates = dict.fromkeys(CLASSES, (1.0, 2.0))
    hosts = [
        {"address": ip, "packets": 10**6, "peak": 4e4} for ip in ("192.0.2.77", REPORT.floods[0].victim.ip)
    ]
    traffic = {
        "input": "x",
        "first": "2025-01-27T02:17:40Z",
        "step_s": 1.0,
        "packets": rates,
        "bits": (8.0, 9.0),
    }
    page = render(with_traffic({**traffic, "hosts": hosts}))
    assert "What stayed normal" in page
    assert "192.0.2.77: 1,000,000 packets at least" in page
    assert page.count("no flood</li>") == 1


def with_traffic(traffic: dict[str, Any]) -> Any:
    return msgspec.structs.replace(REPORT, traffic=(msgspec.convert(traffic, Traffic),))
