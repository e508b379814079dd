"""A watch and a scan give one answer on the same frames.

A capture is sent over a wire at its own pace. Beside the watch the same frames are recorded, with the stamps
that it saw, and scanned: everything that is told has to agree. What was sent is scanned as well; there the
pace of the sender, on a machine that does other things, moves counts and may break a flood in two pulses.

Both know when they began: one frame of somebody else comes a second ahead, for a watch knows that nothing
came before, and a capture that begins in the middle of things does not.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from floodwatch import synth
from floodwatch.config.options import ScanOptions
from floodwatch.pipeline.scan import scan

sys.path.insert(0, str(Path(__file__).parent))
from evaluate import Frame, records, write
from given import folder_of
from lab import lab

pytestmark = [pytest.mark.root, pytest.mark.slow]
SECOND = 10**9
SEED = bytes(16)
AHEAD = bytes.fromhex(
    "020000000001 020000000002 0800 4500001c00000000401100 00c00002c8c6120001 c000000900080000"
)
"""A datagram of somebody else to somebody else."""
LONGEST_S = 13
TOGETHER = 4
"""Wires at the same time; most of the time they wait."""
QUIET = {
    "syn_flood": (0.15, 2.3), "ack_flood": (0.3, 2.7), "udp_flood": (0.2, 3.3),
    "ntp_amplification": (0.4, 5.0), "http_flood": (1.2, 3.1), "login_bruteforce": (2.2, 4.0),
}  # fmt: skip
"""Scenarios of which only so many seconds of so many are left: between them lies silence."""
WHOLE = ("pulse", "slow_http", "http2_rapid_reset", "websocket_flood", "udp_loop", "invented_queries")
Told = dict[str, Any]
Need = Callable[[object, str], None]


@pytest.fixture
def rooted(need: Need) -> None:
    """Each replay makes a wire of its own."""
    need(os.geteuid() == 0, "network namespaces take root")


def frames_of(capture: Path, kept: Callable[[float], bool] = lambda second: True) -> list[Frame]:
    """The first seconds of a capture, and the frame ahead of it; seconds that are not kept are silent."""
    all_of_it = records(capture)
    first = next(all_of_it)
    begin = first[0]
    early = takewhile(lambda frame: frame[0] - begin <= LONGEST_S * SECOND, all_of_it)
    whole = [(t, len(frame[:1514]), frame[:1514]) for t, _, frame in (first, *early)]
    left = [frame for frame in whole if kept((frame[0] - begin) / SECOND)]
    return [(begin - SECOND, len(AHEAD), AHEAD), *left]


def report_of(capture: Path) -> Told:
    return dict(json.loads(msgspec.json.encode(scan([str(capture)], ScanOptions(seed=SEED)))))


def replay(number: int, capture: Path) -> tuple[Told, Told, Told]:
    """What a watch tells of a capture on a wire, and scans of what was recorded there and what was sent."""
    recorded = capture.with_suffix(".recorded")
    with lab(number) as wire:
        wire.hush()
        recorder = wire.recorder(recorded)
        watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--seed", SEED.hex())
        wire.send(capture)
        wire.seen(watch, sum(1 for _ in records(capture)))
        watch.send_signal(signal.SIGINT)
        out, _ = watch.communicate(timeout=30)
        recorder.terminate()
        assert recorder.wait(30) == 0
    return json.loads(out.splitlines()[-1]), report_of(recorded), report_of(capture)


def named(report: Told, *, pattern: bool) -> list[Told]:
    """What is said of each event, in the order of what it is."""
    events = [*report["floods"], *report["crowds"], *report["surges"]]
    return sorted(
        (
            {
                "what": (event["vector"], event["verdict"], event["victim"], event["sources"]["origin"],
                         event["action"]["recommended"], event["pattern"] if pattern else []),
                "top": {source["cidr"] for source in event["sources"]["top"]} if pattern else set(),
                "counts": [event["packets"], event["rate"]["peak"], event["sources"]["distinct"]["est"]],
            }
            for event in events
        ),
        key=lambda event: str(event["what"]),
    )  # fmt: skip


def disagreement(one: Told, other: Told, *, within: float, pattern: bool) -> str:
    """How two reports differ; empty where they agree."""
    mine, theirs = named(one, pattern=pattern), named(other, pattern=pattern)
    same = len(mine) == len(theirs) and all(
        a["what"] == b["what"]
        and a["top"] == b["top"]
        and a["counts"] == pytest.approx(b["counts"], rel=within, abs=2)
        for a, b in zip(mine, theirs, strict=True)
    )
    return "" if same else f"{mine} is not {theirs}"


def check(captures: Iterable[Path]) -> None:
    """Replay them beside each other; all have to agree."""
    ordered, numbers = list(captures), count()
    with ThreadPoolExecutor(TOGETHER) as pool:
        told = list(pool.map(replay, numbers, ordered))
    wrong = []
    for capture, (live, recorded, sent) in zip(ordered, told, strict=True):
        assert live["inputs"][0]["lost"] == 0, capture.name
        assert live["inputs"][0]["packets"] == recorded["inputs"][0]["packets"], capture.name
        for what, scanned, within, whole in (("recorded", recorded, 0.01, True), ("sent", sent, 0.25, False)):
            if differs := disagreement(live, scanned, within=within, pattern=whole):
                wrong.append(f"{capture.name}, {what}: {differs}")
    assert not wrong, "\n".join(wrong)


def test_what_silence_lies_between_is_one_answer(rooted: None, tmp_path: Path) -> None:
    made = []
    for scenario, (left, of) in QUIET.items():
        whole, out = tmp_path / "whole.pcap", tmp_path / f"{scenario}.pcap"
        synth.make(scenario, whole, synth.Params(duration=8.0))
        write(frames_of(whole, lambda second, left=left, of=of: second % of < left), out)  # type: ignore[misc]
        made.append(out)
    check(made)


def test_scenarios_are_one_answer(rooted: None, tmp_path: Path) -> None:
    made = []
    for scenario in WHOLE:
        whole, out = tmp_path / "whole.pcap", tmp_path / f"{scenario}.pcap"
        synth.make(scenario, whole, synth.Params(duration=8.0))
        write(frames_of(whole), out)
        made.append(out)
    check(made)


def test_cases_are_one_answer(rooted: None, tmp_path: Path, need: Need) -> None:
    folder = folder_of("cases")
    need(folder, "FLOODWATCH_CASES names no folder")
    assert folder is not None
    made = []
    for case in sorted(folder.glob("*.pcap.gz")):
        if case.name.startswith("pflog"):  # no frames of Ethernet
            continue
        write(frames_of(case), tmp_path / case.stem)
        made.append(tmp_path / case.stem)
    check(made)
