"""The step that scan, watch and the Python API share: looking at it changes nothing, silence ends events."""

from __future__ import annotations

import gzip
from itertools import islice
from pathlib import Path

import pytest
from evaluate import records, write

from floodwatch import synth
from floodwatch._engine import WINDOW_EPOCHS, Batch, Decoder
from floodwatch.config.options import ScanOptions
from floodwatch.model.epoch import EPOCH_NS
from floodwatch.model.event import Event
from floodwatch.pipeline.analysis import GRACE_NS, Analysis, Change
from floodwatch.pipeline.scan import scan

CAPTURE = Path(__file__).resolve().parents[1] / "pcaps" / "launch-day.pcap.gz"
KEY = bytes(range(16))


def test_it_is_told_how_long_each_epoch_took() -> None:
    decoder, analysis, batch = Decoder(KEY), Analysis(str(CAPTURE), 0), Batch(512)
    took, heard = list[float](), list[int]()
    analysis.judged, analysis.heard = took.append, lambda summary: heard.append(summary.epoch)
    decoder.fill(gzip.decompress(CAPTURE.read_bytes()), 0, batch)
    analysis.observe(batch)
    analysis.finish()
    assert len(took) == len(heard) > 0
    assert all(0 < seconds < 60 for seconds in took)


@pytest.fixture(scope="module")
def told() -> tuple[Analysis, list[Change], int]:
    """The analysis of a capture whose changes were asked for after every epoch, before it is finished."""
    decoder, analysis, batch = Decoder(KEY), Analysis(str(CAPTURE), 0), Batch(512)
    block, position, code = gzip.decompress(CAPTURE.read_bytes()), 0, 0
    changes: list[Change] = []
    while code == 0:
        code, position = decoder.fill(block, position, batch)
        if analysis.observe(batch):
            changes += analysis.changes()
    assert decoder.last_ns is not None
    return analysis, changes, decoder.last_ns


def test_looking_changes_nothing_and_silence_ends_every_event(
    told: tuple[Analysis, list[Change], int],
) -> None:
    analysis, changes, last_ns = told
    report = scan([str(CAPTURE)], ScanOptions(seed=KEY, top=0))
    expected = {event.id: event for event in report.events()}
    opened = {change.event.id: change.event for change in changes if change.what == "opened"}
    assert len(expected) >= 4
    assert all(event.state == "open" for event in opened.values())

    assert not analysis.advance(last_ns)
    for step in range(1, 17):
        analysis.advance(last_ns + step * EPOCH_NS)
        changes += analysis.changes()
    assert [event for event in analysis.events() if event.state != "ended"] == []
    ended = [change.event for change in changes if change.what == "ended"]
    assert {event.id for event in ended} == set(expected)
    for event in ended:
        counted = expected[event.id]
        assert (event.first, event.detected, event.verdict) == (
            counted.first, counted.detected, counted.verdict,
        )  # fmt: skip
        assert (event.packets, event.sources) == (counted.packets, counted.sources)


def test_every_event_opens_once_before_anything_else_is_said(
    told: tuple[Analysis, list[Change], int],
) -> None:
    order: dict[tuple[str, str, str], list[str]] = {}
    for change in told[1]:
        event = change.event
        order.setdefault((event.vector, event.verdict, event.first), []).append(change.what)
    assert order
    for said in order.values():
        assert said[0] == "opened"
        assert said.count("opened") == 1


@pytest.mark.parametrize(("before", "surges"), [(0, 0), (8, 1)])
def test_a_watch_that_began_earlier_sees_the_onset(before: int, surges: int, tmp_path: Path) -> None:
    """Devices that report from the first packet on were there before, unless we looked and they were not."""
    path = tmp_path / "x.pcap"
    synth.make("collector", path, synth.Params(pps=3000.0, duration=2.0))
    decoder, analysis, batch = Decoder(KEY), Analysis(str(path), 0), Batch(512)
    block, position, code = path.read_bytes(), 0, 0
    code, position = decoder.fill(block, position, batch)
    assert decoder.last_ns is not None
    analysis.begin(decoder.last_ns - before * EPOCH_NS)
    analysis.observe(batch)
    while code == 0:
        code, position = decoder.fill(block, position, batch)
        analysis.observe(batch)
    analysis.finish()
    told = [event.verdict for event in analysis.events()]
    assert told == ["unclear"] * surges


def events_of(block: bytes, clock: bool, after: int = 0) -> list[Event]:
    """The events of a capture, in whose silences a clock goes on, or not, and for some epochs afterwards."""
    decoder, analysis, batch = Decoder(KEY), Analysis("x", 0), Batch(1)
    position, code = 0, 0
    while code == 0:
        code, position = decoder.fill(block, position, batch)
        if len(batch) and clock:
            analysis.advance(batch.last_ns)
            analysis.changes()
        analysis.observe(batch)
    for _ in range(after):
        analysis.advance((analysis.engine.epoch + 1) * EPOCH_NS + GRACE_NS)
    analysis.finish()
    return analysis.events()


@pytest.mark.parametrize(
    ("scenario", "left_s", "of_s"),
    [("http_flood", 1.2, 3.1), ("syn_flood", 0.2, 5.3), ("slow_http", 2.0, 30.0)],
)
def test_a_silence_is_the_same_with_and_without_a_clock(
    scenario: str, left_s: float, of_s: float, tmp_path: Path
) -> None:
    """A scan sees the packet that ends a silence, a watch the silence itself."""
    path = tmp_path / "x.pcap"
    synth.make(scenario, path, synth.Params(duration=12.0))
    frames = list(records(path))
    parts = [(int((t - frames[0][0]) / 1e9 // left_s), t, length, frame) for t, length, frame in frames]
    write(((t + int(part * (of_s - left_s) * 1e9), n, frame) for part, t, n, frame in parts), path)
    block = path.read_bytes()
    with_clock, without = events_of(block, clock=True), events_of(block, clock=False)
    assert with_clock
    assert with_clock == without


@pytest.mark.parametrize("after", range(1, 4))
def test_a_watch_may_end_just_after_an_epoch(after: int, tmp_path: Path) -> None:
    """What that epoch held is still to be judged with what follows, which is nothing."""
    path = tmp_path / "x.pcap"
    synth.make("syn_flood", path, synth.Params(pps=4000.0, duration=4.0))
    write(list(islice(records(path), 12_000)), path)
    block = path.read_bytes()
    (ended,), (cut,) = events_of(block, clock=True, after=after), events_of(block, clock=True)
    assert (ended.vector, ended.packets, ended.last) == (cut.vector, cut.packets, cut.last)


def test_slow_clients_inside_tls_are_counted_in_every_step(tmp_path: Path) -> None:
    """A new window of the heavy-hitter table does not begin with nobody in it."""
    path = tmp_path / "slow.pcap"
    synth.make("https_flood_slow", path, synth.Params(seed=1))
    (flood,) = scan([str(path)], ScanOptions()).floods
    assert len(flood.timeline) > WINDOW_EPOCHS
    assert min(flood.timeline[1:-1]) > 0
