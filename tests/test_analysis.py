"""The step that scan, watch and the Python API share: looking at it changes nothing, silence ends events."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from floodwatch import synth
from floodwatch._engine import Batch, Decoder
from floodwatch.config.options import ScanOptions
from floodwatch.model.epoch import EPOCH_NS
from floodwatch.pipeline.analysis import Analysis, Change
from floodwatch.pipeline.scan import scan

CAPTURE = Path(__file__).resolve().parents[1] / "pcaps" / "launch-day.pcap.gz"
KEY = bytes(range(16))


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
