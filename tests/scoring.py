"""A report beside the truth of its capture: counts that add up over a set, and the table of what we ask."""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np

from floodwatch.detectors import FAMILIES
from floodwatch.model.epoch import EPOCH_NS
from floodwatch.model.event import Event
from floodwatch.model.report import Report
from floodwatch.model.vector import Vector
from floodwatch.synth.truth import CrowdTruth, FloodTruth, SideTruth, Truth

BLOCKING = ("drop_sources", "limit_per_source")
MINUTE_NS = 60_000_000_000
DATED_S = 1.0
"""Floods of which first or last is told further off are listed."""
DATED = {"field": DATED_S, "cases": DATED_S, "development": 2.0, "held-out": 2.0}
"""Seconds to within which first and last are to be told, by set."""


@dataclass
class Score:
    """Counts over a set; every list holds texts that say where to look."""

    cases: int = 0
    floods: int = 0
    found: int = 0
    beyond: int = 0
    missed: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    seconds: float = 0.0
    delays: dict[str, list[float]] = field(default_factory=dict)
    begins: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    dates: list[str] = field(default_factory=list)
    origins: dict[str, int] = field(default_factory=lambda: {"right": 0, "unknown": 0, "wrong": 0})
    crowds: int = 0
    crowds_missed: list[str] = field(default_factory=list)
    crowd_epochs: int = 0
    crowd_epochs_called_attack: int = 0
    flooding_sources: int = 0
    flooding_sources_listed: int = 0
    bystanders: list[str] = field(default_factory=list)
    forged_offered: list[str] = field(default_factory=list)

    def __add__(self, other: Score) -> Score:
        out = Score()
        for name in vars(out):
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, dict):
                zero = mine[next(iter(mine))] * 0 if mine else []
                keys = {**mine, **theirs}
                setattr(out, name, {k: mine.get(k, zero) + theirs.get(k, zero) for k in keys})
            else:
                setattr(out, name, mine + theirs)
        return out


def ns(text: str) -> int:
    """A time of a report in nanoseconds."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(
        fraction.ljust(9, "0") or 0
    )


def _probing(walk: SideTruth) -> FloodTruth:
    """A walk over end points is no flood, but it is named all the same."""
    return FloodTruth(
        vector=walk.kind, victim_ip=walk.victim_ip, victim_port=None, path=None, first="", last="",
        first_ns=walk.first_ns, last_ns=walk.last_ns, packets=walk.packets, requests=None, unit="req/s",
        peak_per_second=0, pattern="steady", origin="real", source_count=1, sources=[walk.source],
    )  # fmt: skip


def named(events: Iterable[Event], addresses: Iterable[str]) -> set[str]:
    """Those of the addresses that lists of sources name, by themselves or by a network around them."""
    networks = {ipaddress.ip_network(top.cidr) for event in events for top in event.sources.top}
    lengths = {(network.version, network.prefixlen) for network in networks}
    return {text for text in addresses if networks.intersection(_around(text, lengths))}


def _holding(event: Event, addresses: Iterable[str]) -> set[str]:
    """The listed sources of an event that are, or hold, one of the addresses."""
    by_network = {ipaddress.ip_network(top.cidr): top.cidr for top in event.sources.top}
    lengths = {(network.version, network.prefixlen) for network in by_network}
    around = {network for text in addresses for network in _around(text, lengths)}
    return {cidr for network, cidr in by_network.items() if network in around}


def _around(text: str, lengths: set[tuple[int, int]]) -> set[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of these lengths that hold an address."""
    address = ipaddress.ip_address(text)
    return {
        ipaddress.ip_network((text, length), strict=False)
        for version, length in lengths
        if version == address.version
    }


class Judge:
    """Compares one report with the truth of its capture.

    Args:
        name: what texts call the capture.
        slack_ns: an event may begin or end this far from the true flood.
        beyond: vectors that a documented limit hides in this capture.
        whole: nothing is missing from the capture, so that every real source can be proven.
        names: of a true vector, all names that are right for it; without an entry its own alone.
    """

    def __init__(
        self,
        name: str,
        report: Report,
        truths: list[Truth],
        *,
        slack_ns: int,
        beyond: Container[str],
        whole: bool,
        names: Mapping[str, Container[str]] | None = None,
    ) -> None:
        self._name, self._report, self._truths = name, report, truths
        self._slack, self._beyond, self._whole = slack_ns, beyond, whole
        self._names = names or {}
        self._true = [flood for truth in truths for flood in (*truth.floods, *map(_probing, truth.probing))]
        self._matched: set[str] = set()
        self.score = Score(cases=1, seconds=report.totals.duration_s)

    def judge(self) -> Score:
        """The score of this one capture."""
        for flood in self._true:
            self._judge_flood(flood)
        self._judge_rest()
        for crowd in (crowd for truth in self._truths for crowd in truth.crowds):
            self._judge_crowd(crowd)
        self._judge_lists()
        return self.score

    def _near(self, event: Event, true: FloodTruth | CrowdTruth) -> bool:
        where = ipaddress.ip_network(event.victim.ip, strict=False)
        return (
            ipaddress.ip_network(true.victim_ip, strict=False).subnet_of(where)  # type: ignore[arg-type]
            and ns(event.first) <= true.last_ns + self._slack
            and true.first_ns - self._slack <= ns(event.last)
        )

    def _judge_flood(self, flood: FloodTruth) -> None:
        names = self._names.get(flood.vector, (flood.vector,))
        right = [e for e in self._report.floods if e.vector in names and self._near(e, flood)]
        self._matched.update(event.id for event in right)
        if flood.vector in self._beyond or flood.limit:
            self.score.beyond += 1
            return
        self.score.floods += 1
        if right:
            self._judge_found(flood, right)
        else:
            self.score.missed.append(f"{self._name}: {flood.vector} at {flood.victim_ip}")

    def _judge_found(self, flood: FloodTruth, events: list[Event]) -> None:
        score = self.score
        score.found += 1
        first = min(events, key=lambda event: event.detected)
        if self._slack < MINUTE_NS:  # else the clock was set, and there is no telling
            delay = max((ns(first.detected) - flood.first_ns) / 1e9 - flood.late_s, 0.0)
            score.delays.setdefault(str(first.vector), []).append(delay)
            self._judge_dates(flood, events)
        said = first.sources.origin
        verdict = "right" if said == flood.origin else "unknown" if said in ("unknown", "mixed") else "wrong"
        score.origins[verdict] += 1
        if flood.origin == "real" and flood.sources and self._whole:
            score.flooding_sources += len(flood.sources)
            score.flooding_sources_listed += len(named(events, flood.sources))

    def _judge_dates(self, flood: FloodTruth, events: list[Event]) -> None:
        """How far first and last of the events are from the flood's, in seconds; negative: too early."""
        begin = (min(ns(event.first) for event in events) - flood.first_ns) / 1e9
        begin -= min(max(begin, 0.0), flood.late_s)
        end = (max(ns(event.last) for event in events) - flood.last_ns) / 1e9
        self.score.begins.append(begin)
        self.score.ends.append(end)
        if max(abs(begin), abs(end)) > DATED_S:
            self.score.dates.append(f"{self._name}: {flood.vector} begins {begin:+.2f} s, ends {end:+.2f} s")

    def _judge_rest(self) -> None:
        for event in self._report.floods:
            if event.id not in self._matched:
                near = any(self._near(event, flood) for flood in self._true)
                texts = self.score.misnamed if near else self.score.false_alarms
                texts.append(f"{self._name}: {event.id}")

    def _judge_crowd(self, crowd: CrowdTruth) -> None:
        score = self.score
        if "http_flood" not in self._beyond:
            score.crowds += 1
            if not any(self._near(event, crowd) for event in (*self._report.crowds, *self._report.surges)):
                score.crowds_missed.append(f"{self._name}: at {crowd.victim_ip}")
        epochs = set(range(crowd.first_ns // EPOCH_NS, crowd.last_ns // EPOCH_NS + 1))
        score.crowd_epochs += len(epochs)
        wrong: set[int] = set()
        for event in self._report.floods:
            if event.id not in self._matched and self._near(event, crowd):
                wrong.update(range(ns(event.first) // EPOCH_NS, ns(event.last) // EPOCH_NS + 1))
        score.crowd_epochs_called_attack += len(epochs & wrong)

    def _judge_lists(self) -> None:
        guilty = {ip for flood in self._true for ip in flood.sources or ()}
        guilty |= {walk.source for truth in self._truths for walk in truth.probing}
        people = {ip for truth in self._truths for ip in truth.clients} - guilty
        for event in self._report.floods:
            where = f"in {event.id} of {self._name}"
            if event.sources.origin == "real":
                self.score.bystanders += [f"{ip} {where}" for ip in sorted(named([event], people))]
            if event.action.recommended in BLOCKING:
                innocent = {top.cidr for top in event.sources.top} - _holding(event, guilty)
                self.score.forged_offered += [f"{cidr} {where}" for cidr in sorted(innocent)]


class Row(NamedTuple):
    """One line of the table: what was measured, what is asked for, and whether it holds."""

    label: str
    measured: str
    asked: str
    holds: bool


def share(part: int, whole: int) -> float:
    """A share of nothing is complete."""
    return part / whole if whole else 1.0


def rows(which: str, score: Score) -> list[Row]:
    """The table of one set beside the numbers that we ask of ourselves."""
    hours = score.seconds / 3600
    right, left_open, wrong = score.origins.values()
    named, sources = score.flooding_sources_listed, score.flooding_sources
    called, epochs = score.crowd_epochs_called_attack, score.crowd_epochs
    offered = score.forged_offered
    table = [
        Row("floods found, vector and victim right", f"{score.found} of {score.floods}", "98 %",
            share(score.found, score.floods) >= 0.98),
        Row("floods beyond a documented limit", str(score.beyond), "-", True),
        Row("another vector named beside a flood", str(len(score.misnamed)), "0", not score.misnamed),
        Row("false alarms", f"{len(score.false_alarms)} in {hours:.2f} h", "0", not score.false_alarms),
        Row("origin right / left open / wrong", f"{right} / {left_open} / {wrong}", "0 wrong", wrong == 0),
        Row("crowds found", f"{score.crowds - len(score.crowds_missed)} of {score.crowds}", "all",
            not score.crowds_missed),
        Row("crowd epochs called attack", f"{called} of {epochs}", "0.1 %", called <= 0.001 * epochs),
        Row("flooding sources listed (real floods)", f"{named} of {sources}", "95 %",
            share(named, sources) >= 0.95),
        Row("bystanders listed", str(len(score.bystanders)), "0", not score.bystanders),
        Row("forged or innocent sources offered", str(len(offered)), "0", not offered),
    ]  # fmt: skip
    for label, off in (
        ("first of a flood, furthest off", score.begins),
        ("last of a flood, furthest off", score.ends),
    ):
        worst, most = max(off, key=abs, default=0.0), DATED.get(which)
        asked = "-" if most is None else f"{most:g} s"
        table.append(Row(label, f"{worst:+.2f} s of {len(off)}", asked, most is None or abs(worst) <= most))
    for vector, delays in sorted(score.delays.items()):
        late, asked = float(np.percentile(delays, 95)), FAMILIES[Vector(vector)].promised_s
        label = f"onset to detected, {vector}"
        table.append(Row(label, f"{late:.2f} s of {len(delays)}", f"{asked:g} s", late <= asked))
    return table


def show(which: str, score: Score) -> list[Row]:
    """Print one set's table and every case that fell short; returns the lines that do not hold."""
    table = rows(which, score)
    print(f"\n{which} set: {score.cases} captures (delays: 95th percentile of packet time)")
    for row in table:
        short = "" if row.holds else "SHORT"
        print(f"  {row.label:44} {row.measured:>22}   asked {row.asked:8} {short}".rstrip())
    for label in (
        "missed",
        "crowds_missed",
        "misnamed",
        "false_alarms",
        "dates",
        "bystanders",
        "forged_offered",
    ):
        for text in getattr(score, label):
            print(f"  {label}: {text}")
    return [row for row in table if not row.holds]
