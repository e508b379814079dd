"""How well floods are found, on captures whose truth is known packet by packet: one table for each set.

    python tests/evaluate.py [SET ...] [--false-alarms 1/30d]      without a set: all that are at hand

The development set may be looked at while a detector is written. The held-out set has other seeds, rates,
lengths and mixes; nobody tunes to it. Both are superposed on real benign captures where FLOODWATCH_CAPTURES
names some. The degraded set loses packets, a direction, their order or the clock on the way. Sealed are
floods and crowds inside synthetic TLS and QUIC. The truth comes from the generator, beside the packets; the
detector never reads it. Noise is a month of background, in two halves. Others recorded what field, cases,
benign and tls hold (FLOODWATCH_FIELD, _CASES, _CAPTURES and _TLS name their folders; see ``given``). A new
set is a line in SETS; degraded-third is what CI has time for of the whole.
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from operator import methodcaller
from pathlib import Path
from typing import Protocol

import dpkt
import given
from degrade import DEGRADES, Frame
from scoring import Judge, Row, Score, show

from floodwatch import synth
from floodwatch.config.limits import Limits, ask
from floodwatch.config.options import ScanOptions
from floodwatch.detectors import least_floor
from floodwatch.model.vector import Vector
from floodwatch.pipeline.scan import scan
from floodwatch.synth.truth import Truth


class Scored(Protocol):
    """One capture of a set: it is scanned under a budget of false alarms, and judged by its truth."""

    def score(self, limits: Limits) -> Score:
        """The score of this capture alone."""
        ...


SEALED = tuple(
    name
    for name, scenario in synth.SCENARIOS.items()
    if scenario.__module__.rpartition(".")[2] in ("encrypted", "unread")
)
"""Scenarios inside TLS and QUIC: a set of their own, as less is told from the outside, and later."""
SEALED_SEEDS = (1, 2, 20_260, 77_771)
"""The last two are held out."""
LOSSY = ("half_lost", "sampled", "inbound_only")
ANSWERED = ("api_frontend", "own_crawler", "polls", "ping_as_fast_as_it_is")
"""Services that are told by their answers: of the inbound half alone nobody can say that they are served."""
BENIGN = ("benign/reddit.pcap", "benign/example.pcap", "benign/echo-connections.pcap.gz")
"""Real captures that people's traffic is taken from; Ethernet, all of them."""


@dataclass(frozen=True)
class Case:
    """One capture to make: scenarios laid over each other, with or without a real capture beneath."""

    scenarios: tuple[str, ...]
    seed: int
    faster: float = 1.0
    benign: str | None = None
    degrade: str | None = None

    @property
    def name(self) -> str:
        beneath = f" on {self.benign}" if self.benign else ""
        how = f", {self.degrade}" if self.degrade else ""
        return f"{'+'.join(self.scenarios)} seed {self.seed} x{self.faster:g}{beneath}{how}"

    @property
    def slack_ns(self) -> int:
        """An event may begin or end this far from the true flood: judgement takes an epoch or more."""
        return 3_602_000_000_000 if self.degrade in ("clock_back", "clock_forward") else 2_000_000_000

    @property
    def beyond(self) -> frozenset[str]:
        """Vectors that a known limit hides: floors count what was seen; answers must be seen."""
        if self.degrade == "sampled":
            return frozenset(Vector)
        answered = {"api_probing", "login_bruteforce", "udp_loop"}
        return frozenset(answered if self.degrade == "inbound_only" else ())

    def score(self, limits: Limits) -> Score:
        """Make, scan and judge this capture."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "case.pcap"
            truths = make(self, path, given.folder_of("captures"))
            seed = self.seed.to_bytes(16, "big")
            report = scan([str(path)], ScanOptions(top=0, seed=seed, limits=limits))
            whole = self.degrade not in LOSSY
            return Judge(
                self.name, report, truths, slack_ns=self.slack_ns, beyond=self.beyond, whole=whole
            ).judge()


def _all(names: Iterable[str], seed: int, faster: float, benign: str | None = None) -> list[Case]:
    return [Case((name,), seed, faster, benign) for name in names]


def cases(which: str) -> list[Case]:
    """The captures of one set."""
    if which == "sealed":
        return [Case((name,), seed) for seed in SEALED_SEEDS for name in SEALED]
    every = [name for name in synth.SCENARIOS if name not in SEALED]
    mixed = [name for name in every if name not in ("burst", "zero_duration")]
    if which == "development":
        return [*_all(every, 1, 1.0), *_all(mixed, 2, 1.0, BENIGN[0])]
    if which == "degraded":
        halves = [(name, how) for name in mixed for how in DEGRADES]
        return [Case((name,), 5, 2.5, degrade=how) for name, how in halves
                if how != "inbound_only" or name not in ANSWERED]  # fmt: skip
    pairs = [("crowd", "syn_flood"), ("crowd", "ntp_amplification"), ("http_flood", "udp_flood"),
             ("office_nat", "dns_amplification"), ("bulk_download", "http_flood_low_rate"),
             ("busy_dns", "icmp_flood"), ("port_scan", "ssdp_amplification")]  # fmt: skip
    return [
        *_all(every, 20_260, 1.0),
        *_all(mixed, 77_771, 1.6, BENIGN[1]),
        *_all(mixed, 31_337, 2.5, BENIGN[2]),
        *(Case(pair, 4_242, 1.0) for pair in pairs),
    ]


def a_third(captures: Sequence[Scored]) -> list[Scored]:
    """Every third of the degraded ones: each scenario with some ways, and each way with some scenarios."""
    return [one for at, one in enumerate(captures) if (at + at // len(DEGRADES)) % 3 == 0]


def records(path: Path) -> Iterator[Frame]:
    """(nanoseconds, length on the wire, captured bytes) of a pcap of Ethernet frames."""
    raw = path.read_bytes()
    data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    scale = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
    order = "<" if struct.unpack_from("<I", data)[0] in scale else ">"
    unit = scale[struct.unpack_from(order + "I", data)[0]]
    assert struct.unpack_from(order + "I", data, 20)[0] == dpkt.pcap.DLT_EN10MB
    at = 24
    while at + 16 <= len(data):
        second, part, caplen, length = struct.unpack_from(order + "IIII", data, at)
        yield second * 1_000_000_000 + part * unit, length, data[at + 16 : at + 16 + caplen]
        at += 16 + caplen


def write(frames: Iterable[Frame], out: Path) -> None:
    """Write Ethernet frames as a pcap, in nanoseconds."""
    with out.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1))
        for t, length, frame in frames:
            file.write(struct.pack("<IIII", *divmod(t, 1_000_000_000), len(frame), length) + frame)


@lru_cache(maxsize=2)
def staged(scenario: str, seed: int, faster: float) -> tuple[list[Frame], Truth]:
    """The frames and the truth of one scenario; neighbours in a set ask for the same."""
    trace = synth.generate(scenario, synth.Params(seed=seed))
    if faster != 1.0 and trace.truth.floods:
        # the story's rate is its size as a whole
        rate = 1000 if scenario == "launch_day" else trace.truth.floods[0].peak_per_second
        trace = synth.generate(scenario, synth.Params(seed=seed, pps=rate * faster))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "staged.pcap"
        truth = synth.write(trace, path)
        return list(records(path)), truth


def make(case: Case, out: Path, captures: Path | None) -> list[Truth]:
    """Write one case's capture: its scenarios merged by time, a real capture beneath them that is moved to
    begin with the first; then it is degraded. Without FLOODWATCH_CAPTURES nothing real lies beneath."""
    parts = [
        staged(scenario, case.seed + number, 1.0 if number else case.faster)
        for number, scenario in enumerate(case.scenarios)
    ]
    streams = [frames for frames, _ in parts]
    if captures is not None and case.benign:
        beneath = sorted(records(captures / case.benign))
        later = streams[0][0][0] - beneath[0][0]
        streams.append([(t + later, length, frame) for t, length, frame in beneath])
    merged: Iterable[Frame] = heapq.merge(*streams)
    if case.degrade:
        merged = DEGRADES[case.degrade](merged, case.seed)
    write(merged, out)
    return [truth for _, truth in parts]


@dataclass(frozen=True)
class Quiet:
    """Days of what one host on the Internet gets when nothing is wrong."""

    days: float
    seed: int

    def score(self, limits: Limits) -> Score:
        """Make, scan and judge it: whatever is named is a false alarm."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "noise.pcap"
            truth = synth.make("noise", path, synth.Params(seed=self.seed, duration=86_400 * self.days))
            report = scan([str(path)], ScanOptions(seed=self.seed.to_bytes(16, "big"), limits=limits))
            name, nothing = f"{self.days:g} days of noise", frozenset[str]()
            return Judge(name, report, [truth], slack_ns=0, beyond=nothing, whole=True).judge()


SETS: dict[str, Callable[[], Iterable[Scored]]] = {
    "development": partial(cases, "development"),
    "held-out": partial(cases, "held-out"),
    "degraded": partial(cases, "degraded"),
    "degraded-third": lambda: a_third(cases("degraded")),
    "sealed": partial(cases, "sealed"),
    "noise": lambda: [Quiet(15.0, seed) for seed in (1, 2)],
    "field": partial(given.measured, "field"),
    "cases": partial(given.measured, "cases"),
    "benign": given.benign,
    "tls": given.encrypted,
}
"""What there is to score, by name; a set whose folder is not at hand is empty."""


def evaluate(captures: Sequence[Scored], jobs: int, limits: Limits) -> Score:
    """Score the captures of one set, on ``jobs`` processes."""
    with ProcessPoolExecutor(jobs) as pool:
        scores: Iterator[Score] = pool.map(methodcaller("score", limits), captures, chunksize=len(DEGRADES))
        return reduce(Score.__add__, scores)


def main() -> None:
    """Parse the arguments, print the tables; exit 1 when a number falls short."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--false-alarms", metavar="N/TIME", help="a budget as of floodwatch scan")
    options = parser.parse_args()
    if unknown := set(options.sets) - set(SETS):
        parser.error(f"no such set: {', '.join(sorted(unknown))}")
    limits = ask({}, options.false_alarms, least_floor)
    short: list[Row] = []
    for which in options.sets or [name for name in SETS if name != "degraded-third"]:
        captures = list(SETS[which]())
        if captures:
            short += show(which, evaluate(captures, options.jobs, limits))
        else:
            print(f"\n{which} set: not at hand")
    sys.exit(bool(short))


if __name__ == "__main__":
    main()
