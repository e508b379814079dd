"""Detection for programs: batches in, events out; scapy in and out; what was learnt before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.utils import rdpcap

import floodwatch as fw
from floodwatch import _engine, synth
from floodwatch.cli import main

PCAPS = Path(__file__).resolve().parents[1] / "pcaps"
LAUNCH_DAY = str(PCAPS / "launch-day.pcap.gz")


def facts(event: fw.Event) -> tuple[object, ...]:
    sources = tuple(source.cidr for source in event.sources.top)
    return (
        event.vector,
        event.verdict,
        event.victim,
        event.first,
        event.packets,
        event.sources.origin,
        sources,
    )


def test_batches_give_the_floods_of_the_scan() -> None:
    """Payloads too: HTTP paths reach the detector with the packets."""
    told: list[fw.Event] = []
    detector = fw.Detector(seed=bytes(16), on_event=told.append)
    returned = [event for batch in fw.read(LAUNCH_DAY, batch=1000) for event in detector.feed(batch)]
    last = detector.flush()
    report = fw.scan(LAUNCH_DAY, seed=bytes(16))
    assert len(last) == len(report.events()) > 5
    assert {facts(e) for e in last} == {facts(e) for e in report.events()}
    assert {e.id for e in returned} == {e.id for e in last}
    assert told == [*returned, *last]
    assert detector.flush() == []  # it begins anew
    paths = {event.victim.path for event in last}
    assert "/api/v1/signup" in paths


def test_a_detector_says_what_is_to_be_done_while_floods_go_on() -> None:
    detector, blocked = fw.Detector(top=1), set[str]()
    with fw.Blocker() as blocker:
        for batch in fw.read(LAUNCH_DAY, batch=4096):
            open_now = {event.id for event in detector.feed(batch) if event.state == "open"}
            decisions = detector.decisions()
            assert open_now - {one.id for one in decisions} <= {e for e in open_now if "http_flood" in e}
            blocked |= {str(step.block.network) for step in blocker.enforce(decisions)}
    (flood,) = (f for f in fw.scan(LAUNCH_DAY, top=0).floods if f.vector == "http_flood")
    assert {f"{top.cidr}/32" for top in flood.sources.top} <= blocked  # all of them, though top is one
    detector.flush()
    assert detector.decisions() == []


def test_detect_takes_paths_and_batches() -> None:
    by_path = list(fw.detect(LAUNCH_DAY, seed=bytes(16)))
    by_batch = list(fw.detect(fw.read(LAUNCH_DAY), seed=bytes(16)))
    assert {e.id for e in by_path} == {e.id for e in by_batch} == {
        e.id for r in [fw.scan(LAUNCH_DAY)] for e in (*r.floods, *r.crowds)
    }  # fmt: skip
    last = {event.id: event.state for event in by_path}
    assert set(last.values()) <= {"ended", "cut"}
    assert list(fw.detect([])) == []
    with pytest.raises(fw.InputError):
        list(fw.detect("missing.pcap"))


def test_a_filter_over_batches_is_a_filter_over_packets() -> None:
    def only_victim(batch: fw.PacketBatch) -> fw.PacketBatch:
        return batch[(batch.dport == 443) | (batch.sport == 443)]

    detector = fw.Detector(seed=bytes(16))
    for batch in fw.read(LAUNCH_DAY):
        detector.feed(only_victim(batch))
    floods = detector.flush()
    assert [flood.vector for flood in floods] == [fw.Vector.SYN_FLOOD]


def test_what_was_learnt_decides_what_is_unusual(tmp_path: Path) -> None:
    """A busy site's usual surge is a crowd for whoever does not know it, and nothing for whoever does."""
    quiet, surge = tmp_path / "quiet.pcap", tmp_path / "flood.pcap"
    synth.make("clean", quiet, synth.Params(duration=10.0))
    synth.make("http_flood", surge, synth.Params(duration=3.0, seed=4))
    detector = fw.Detector(seed=bytes(16)).fit(fw.read(str(quiet)))
    events = [event for batch in fw.read(str(surge)) for event in detector.feed(batch)]
    assert [event.vector for event in events if event.state == "open"] == [fw.Vector.HTTP_FLOOD]
    (flood,) = detector.flush()
    assert flood.verdict == "attack"
    assert "HTTP flood" in detector.explain(flood)
    fitted = fw.Detector().fit(fw.read(str(surge)))
    assert fitted.flush() == []  # what it learnt from is no event


@pytest.mark.slow
def test_what_was_learnt_is_kept_for_another_day(tmp_path: Path) -> None:
    split = np.datetime64("2025-01-27T02:13:35").astype("datetime64[ns]").astype(np.uint64)
    detector = fw.Detector()
    for batch in fw.read(LAUNCH_DAY):
        detector.feed(batch[batch.ts_ns < split])
    kept = tmp_path / "kept.npz"
    kept.write_bytes(detector.learnt())

    def day(**given: Any) -> list[fw.Event]:
        later = fw.Detector(seed=bytes(16), **given)
        for batch in fw.read(LAUNCH_DAY):
            later.feed(batch[batch.ts_ns >= split])
        return later.flush()

    usual = {event.vector: event.rate.baseline for event in day(baseline=kept)}
    assert usual[fw.Vector.SYN_FLOOD] == pytest.approx(9, abs=5)
    both = (day(baseline=kept), scanned_since(split, kept))
    told, scanned = ({(e.vector, e.verdict, e.rate.baseline) for e in events} for events in both)
    assert told == scanned
    assert fw.Vector.SYN_FLOOD not in {
        event.vector for event in day(baseline=kept, floors={"syn_flood": 1e5})
    }
    with pytest.raises(fw.ConfigError, match="not a baseline"):
        fw.Detector(baseline=LAUNCH_DAY)
    with pytest.raises(fw.ConfigError, match="sin_flood"):
        fw.Detector(floors={"sin_flood": 10.0})


def scanned_since(split: np.uint64, baseline: Path) -> list[fw.Event]:
    command = [
        "scan",
        "-q",
        "--since",
        str(int(split) / 1e9),
        "--baseline",
        str(baseline),
        "--format",
        "json",
    ]
    called = CliRunner().invoke(main, [*command, LAUNCH_DAY])
    report = json.loads(called.stdout)
    return [msgspec.convert(e, fw.Event) for e in (*report["floods"], *report["crowds"], *report["surges"])]


def test_packets_of_scapy_read_as_those_of_the_capture(tmp_path: Path) -> None:
    capture = tmp_path / "x.pcap"
    synth.make("syn_flood", capture, synth.Params(duration=1.0, pps=500))
    (whole,) = fw.read(str(capture))
    batch = fw.PacketBatch.from_scapy(rdpcap(str(capture)))
    for column in ("src", "dst", "sport", "dport", "proto", "flags", "seq", "ack", "payload"):
        assert (getattr(batch, column) == getattr(whole, column)).all(), column
    assert np.abs(batch.ts_ns.astype(np.int64) - whole.ts_ns.astype(np.int64)).max() < 1000
    detector = fw.Detector()
    detector.feed(batch)
    assert [flood.vector for flood in detector.flush()] == [fw.Vector.SYN_FLOOD]


def test_scapy_packets_begin_with_ethernet_or_ip() -> None:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")  # or scapy would ask the network
    packets = [IP(src="1.2.3.4", dst="5.6.7.8") / TCP(dport=80),
               frame / IPv6(src="::4", dst="::5") / UDP(dport=53),
               frame / ARP(psrc="1.2.3.4", pdst="1.2.3.5")]  # fmt: skip
    batch = fw.PacketBatch.from_scapy(packets)
    assert batch.dport.tolist() == [80, 53]  # ARP is no IP packet
    assert len(fw.PacketBatch.from_scapy(packets[0])) == 1
    with pytest.raises(ValueError, match="not with TCP"):
        fw.PacketBatch.from_scapy([TCP()])


def test_frames_go_out_to_scapy_as_they_came_in() -> None:
    path = str(PCAPS / "real_nginx_synflood.pcap.gz")
    kept = list(fw.read(path, keep_raw=True, batch=1000))
    assert [len(batch) for batch in kept[:-1]] == [1000] * (len(kept) - 1)
    plain = list(fw.read(path, batch=1000))
    rows = [np.concatenate([batch.to_numpy() for batch in batches]) for batches in (kept, plain)]
    assert (rows[0] == rows[1]).all()
    batch = kept[1]
    for index in (0, -1, 500):
        (packet,) = batch.to_scapy(index)
        row = batch[index]
        assert (packet[IP].src, packet[TCP].sport, packet[TCP].seq) == (
            str(row["src"]),
            row["sport"],
            row["seq"],
        )
        assert packet.wirelen == row["length"]
    assert len(batch.to_scapy()) == 1000
    syns = batch[batch.flags == 2]
    assert {str(packet[TCP].flags) for packet in syns.to_scapy(slice(0, 5))} == {"S"}
    assert [e.vector for e in fw.detect(kept)] == [e.vector for e in fw.detect(plain)]
    with pytest.raises(ValueError, match="keep_raw=True"):
        plain[0].to_scapy()


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        fw.Detector(seed=b"short")
    with pytest.raises(ValueError, match="top"):
        fw.Detector(top=-1)
    (batch, *_) = fw.read(LAUNCH_DAY)
    records, messages, texts = batch.parts()
    with pytest.raises(ValueError, match="beyond its texts"):
        _engine.Batch.load(records, messages, texts[:-1], bytes(16))
    with pytest.raises(ValueError, match="no packets of this version"):
        _engine.Batch.load(records, messages[:-1], texts, bytes(16))
    wrong = records.copy()
    wrong["kind"][0] = 200
    with pytest.raises(ValueError, match="no known kind"):
        _engine.Batch.load(wrong, messages, texts, bytes(16))
    wrong = records.copy()
    wrong["message"] = 1 << 31
    assert len(_engine.Batch.load(wrong, messages, texts, bytes(16))) == len(records)
    assert issubclass(fw.CaptureError, fw.FloodwatchError)
