"""read() and scan() as a program uses them, against dpkt, scapy and the command line."""

from __future__ import annotations

import gzip
import importlib.util
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

import dpkt
import numpy as np
import pytest
from scapy.all import ICMP, IP, TCP, UDP, Ether, IPv6, wrpcap

import floodwatch as fw

Need = Callable[[object, str], None]
PCAPS = Path(__file__).resolve().parents[1] / "pcaps"
REAL = PCAPS / "real_nginx_synflood.pcap.gz"
SEED = bytes(16)


def by_dpkt(path: Path) -> list[tuple[Any, ...]]:
    """The TCP and UDP packets (no later fragments) as dpkt reads them."""
    rows = []
    with gzip.open(path) as file:
        for stamp, frame in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(frame).data
            inner = packet.data
            if isinstance(inner, dpkt.tcp.TCP | dpkt.udp.UDP):
                tcp = isinstance(inner, dpkt.tcp.TCP)
                whole = packet.len if isinstance(packet, dpkt.ip.IP) else 40 + packet.plen
                wire = max(len(frame), 14 + whole)  # the captures keep 128 bytes of a frame
                row = (packet.src[-4:], packet.dst[-4:], inner.sport, inner.dport, packet.p, wire)
                rows.append((round(stamp * 1e6), *row, *((inner.flags, inner.seq) if tcp else (0, 0))))
    return rows


@pytest.mark.parametrize("name", ["real_nginx_synflood", "dns_amplification"])
@pytest.mark.parametrize("size", [1, 777, 65536])
def test_columns_are_what_dpkt_reads(name: str, size: int) -> None:
    path = PCAPS / f"{name}.pcap.gz"
    rows: list[tuple[Any, ...]] = []
    for batch in fw.read(path, batch=size):
        assert 0 < len(batch) <= size
        some = batch[np.isin(batch.proto, (6, 17)) & (batch.sport > 0)]
        columns = (some.sport, some.dport, some.proto, some.length, some.flags, some.seq)
        ends = [[row.tobytes()[-4:] for row in side] for side in (some.src, some.dst)]
        stamps = (some.ts_ns // 1000).tolist()
        rows += zip(stamps, *ends, *(column.tolist() for column in columns), strict=True)
    assert rows == by_dpkt(path)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # or scapy would ask the network
    packets = [
        frame / IP(src="203.0.113.9", dst="198.51.100.7") / TCP(sport=1234, dport=80, flags="S", seq=7),
        frame / IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=53, dport=5353) / b"four",
        frame / IP(src="203.0.113.9", dst="198.51.100.8") / ICMP(type=8),
    ]
    for at, packet in enumerate(packets):
        packet.time = 1_700_000_000 + at
    path = tmp_path_factory.mktemp("mixed") / "mixed.pcap"
    wrpcap(str(path), packets)
    return path


def test_one_packet_and_some_packets(mixed: Path) -> None:
    (batch,) = fw.read([mixed])
    assert batch[0]["src"] == IPv4Address("203.0.113.9")
    assert (batch[1]["src"], batch[1]["payload"]) == (IPv6Address("2001:db8::1"), 4)
    assert (batch[0]["flags"], batch[0]["seq"], batch[-1]["dport"], batch[-1]["proto"]) == (2, 7, 8, 1)
    assert batch.version.tolist() == [4, 6, 4]
    assert batch.src4.tolist() == [0xCB007109, 0, 0xCB007109]
    for some in (batch[1:2], batch[batch.version == 6], batch[[1]], batch[np.array([1])]):
        assert [some[i]["sport"] for i in range(len(some))] == [53]
    assert len(batch[3:]) == len(batch[3:].src) == 0
    assert repr(batch) == "PacketBatch(3 packets)"
    with pytest.raises(IndexError):
        batch[3]


def test_columns_feed_the_sketches(mixed: Path) -> None:
    (batch,) = fw.read(mixed)
    assert fw.CountMin().update(batch.src4).query(ip_address("203.0.113.9")) == 2
    assert fw.CountMin().update(batch.src).query(ip_address("2001:db8::1")) == 1


def test_columns_cannot_be_written_and_outlive_the_reading(mixed: Path) -> None:
    batches = list(fw.read(mixed, batch=1))
    assert [batch[0]["proto"] for batch in batches] == [6, 17, 1]
    for name in batches[0].to_numpy().dtype.names or ():
        column = getattr(batches[0][:], name)
        with pytest.raises(ValueError, match="read-only"):
            column[...] = 0
        assert (batches[0].to_numpy()[name] == column).all()


def test_a_filter_takes_some(mixed: Path, need: Need) -> None:
    try:
        found = [len(batch) for batch in fw.read(mixed, filter="udp")]
    except fw.FloodwatchError as error:
        need(False, str(error))
    assert found == [1]
    with pytest.raises(fw.ConfigError):
        fw.read(mixed, filter="not a filter at all")


def test_a_broken_capture_warns_or_raises(tmp_path: Path) -> None:
    whole = gzip.decompress(REAL.read_bytes())
    path = tmp_path / "cut.pcap"
    path.write_bytes(whole[:-1])
    all_packets = sum(len(batch) for batch in fw.read(REAL))
    with pytest.warns(UserWarning, match=r"cut\.pcap.*ends inside a record.*after [\d,]+ packets"):
        assert sum(len(batch) for batch in fw.read(path)) == all_packets - 1
    with gzip.open(REAL) as file:
        frames = sum(1 for _ in dpkt.pcap.Reader(file))
    with pytest.raises(fw.InputError) as error:
        list(fw.read(path, strict=True))
    assert (error.value.path, error.value.packets_ok) == (str(path), frames - 1)
    assert error.value.offset is not None
    with pytest.raises(fw.InputError, match="no such file"):
        list(fw.read(tmp_path / "missing.pcap"))
    with pytest.raises(ValueError, match="at least one packet"):
        fw.read(REAL, batch=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(len(batch) for batch in fw.read([REAL, REAL])) == 2 * all_packets


def test_to_pandas(mixed: Path, need: Need) -> None:
    need(importlib.util.find_spec("pandas"), "pandas is not installed")
    import pandas

    (batch,) = fw.read(mixed)
    frame = batch.to_pandas()
    assert frame["src"].tolist() == ["203.0.113.9", "2001:db8::1", "203.0.113.9"]
    assert frame["time"].tolist() == [
        pandas.Timestamp(1_700_000_000 + at, unit="s", tz="UTC") for at in range(3)
    ]
    assert frame["payload"].tolist() == [0, 4, 4]


@pytest.mark.parametrize("jobs", [1, None])
def test_scan_is_the_command_s_answer(jobs: int | None) -> None:
    report = fw.scan(PCAPS / "http_flood.pcap.gz", jobs=jobs, seed=SEED)
    command = [
        "scan",
        "--format",
        "json",
        "--top",
        "0",
        "--seed",
        SEED.hex(),
        str(PCAPS / "http_flood.pcap.gz"),
    ]
    run = subprocess.run(
        [sys.executable, "-P", "-m", "floodwatch", *command], stdout=subprocess.PIPE, check=False
    )
    assert run.returncode == 1
    assert json.loads(report.to_json()) == json.loads(run.stdout)
    assert report.floods[0].vector is fw.Vector.HTTP_FLOOD


def test_a_report_shows_itself() -> None:
    report = fw.scan([str(PCAPS / "syn_flood.pcap.gz")])
    assert "SYN flood" in report.to_text()
    page = report._repr_html_()
    assert page.startswith("<pre>")
    assert "SYN flood" in page


def test_file_names_are_escaped_in_html(tmp_path: Path) -> None:
    path = tmp_path / "<img src=x>.pcap"
    path.write_bytes(gzip.decompress(REAL.read_bytes()))
    page = fw.scan(path)._repr_html_()
    assert "<img" not in page
    assert "&lt;img" in page


def test_scan_names_what_it_could_not_read(tmp_path: Path) -> None:
    report = fw.scan([tmp_path / "missing.pcap", REAL])
    assert [item.error.code if item.error else None for item in report.inputs] == ["missing_file", None]
    for wrong in ({"jobs": 0}, {"top": -1}, {"seed": b"short"}):
        with pytest.raises(ValueError, match=r"at least|16 bytes"):
            fw.scan(REAL, **wrong)  # type: ignore[arg-type]


def test_a_report_as_rows(need: Need) -> None:
    need(importlib.util.find_spec("pandas"), "pandas is not installed")
    report = fw.scan(PCAPS / "launch-day.pcap.gz")
    frame = report.to_pandas()
    assert frame["vector"].tolist() == [event.vector for event in (*report.floods, *report.crowds)]
    assert set(frame["victim.ip"]) == {"198.51.100.7"}
    assert (frame["first"] <= frame["last"]).all()
    assert len(fw.scan(PCAPS / "clean.pcap.gz").to_pandas()) == 0
