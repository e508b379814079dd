"""A report beside the truth of its capture: counts that add up over a set, and the table of what we ask."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np

from floodwatch.model import Event, Report
from floodwatch.synth.truth import FloodTruth, Truth

BLOCKING = ("drop_sources", "limit_per_source")
SLACK_NS = 2_000_000_000
"""An event may begin or end this far from the true flood: judgement takes an epoch or more."""
ASKED_S = {
    "http_flood": 3.0,
    "tls_flood": 3.0,
    "http2_flood": 3.0,
    "slow_http": 30.0,
    "login_bruteforce": 30.0,
}
"""Seconds of packet time from onset to ``detected``; the others get one."""
KNOWN_SHORT = ("flooding sources listed (real floods)",)
"""Lines that do not hold yet; everything else is the floor that the tests keep."""
EPOCH_NS = 250_000_000


@dataclass
class Score:
    """Counts over a set; every list holds texts that say where to look."""

    cases: int = 0
    floods: int = 0
    found: int = 0
    missed: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    false_alarms: list[str] = field(default_factory=list)
    seconds: float = 0.0
    delays: dict[str, list[float]] = field(default_factory=dict)
    origins: dict[str, int] = field(default_factory=lambda: {"right": 0, "unknown": 0, "wrong": 0})
    crowds: int = 0
    crowds_found: int = 0
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


def _ns(text: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(whole + "+00:00").timestamp()) * 10**9 + int(
        fraction.ljust(9, "0") or 0
    )


def _overlaps(event: Event, victim: str, first_ns: int, last_ns: int) -> bool:
    where = ipaddress.ip_network(event.victim.ip, strict=False)
    return (
        ipaddress.ip_network(victim, strict=False).subnet_of(where)  # type: ignore[arg-type]
        and _ns(event.first) <= last_ns + SLACK_NS
        and first_ns - SLACK_NS <= _ns(event.last)
    )


def judge(name: str, report: Report, truths: list[Truth]) -> Score:
    """Compare one report with the truth."""
    score = Score(cases=1, seconds=report.totals.duration_s)
    true = [flood for truth in truths for flood in truth.floods]
    matched: set[str] = set()
    for flood in true:
        score.floods += 1
        same = [e for e in report.floods if _overlaps(e, flood.victim_ip, flood.first_ns, flood.last_ns)]
        right = [e for e in same if e.vector == flood.vector]
        if not right:
            score.missed.append(f"{name}: {flood.vector} at {flood.victim_ip}")
            continue
        matched.update(e.id for e in right)
        _judge_found(score, name, flood, right)
    _judge_rest(score, name, report, true, matched)
    _judge_crowds(score, report, truths, matched)
    _judge_lists(score, name, report, truths)
    return score


def _judge_found(score: Score, name: str, flood: FloodTruth, events: list[Event]) -> None:
    score.found += 1
    first = min(events, key=lambda event: event.detected)
    delay = (_ns(first.detected) - flood.first_ns) / 1e9
    score.delays.setdefault(str(first.vector), []).append(delay)
    said = first.sources.origin
    verdict = "right" if said == flood.origin else "unknown" if said in ("unknown", "mixed") else "wrong"
    score.origins[verdict] += 1
    if flood.origin == "real" and flood.sources:
        listed = {top.cidr.partition("/")[0] for event in events for top in event.sources.top}
        score.flooding_sources += len(flood.sources)
        score.flooding_sources_listed += len(listed.intersection(flood.sources))


def _judge_rest(score: Score, name: str, report: Report, true: list[FloodTruth], matched: set[str]) -> None:
    for event in report.floods:
        if event.id in matched:
            continue
        text = f"{name}: {event.id}"
        near = any(_overlaps(event, flood.victim_ip, flood.first_ns, flood.last_ns) for flood in true)
        (score.misnamed if near else score.false_alarms).append(text)


def _judge_crowds(score: Score, report: Report, truths: list[Truth], matched: set[str]) -> None:
    for crowd in (crowd for truth in truths for crowd in truth.crowds):
        score.crowds += 1
        where = (crowd.victim_ip, crowd.first_ns, crowd.last_ns)
        score.crowds_found += any(_overlaps(event, *where) for event in report.crowds)
        epochs = set(range(crowd.first_ns // EPOCH_NS, crowd.last_ns // EPOCH_NS + 1))
        score.crowd_epochs += len(epochs)
        wrong: set[int] = set()
        for event in report.floods:
            if event.id not in matched and _overlaps(event, *where):
                wrong.update(range(_ns(event.first) // EPOCH_NS, _ns(event.last) // EPOCH_NS + 1))
        score.crowd_epochs_called_attack += len(epochs & wrong)


def _judge_lists(score: Score, name: str, report: Report, truths: list[Truth]) -> None:
    guilty = {ip for truth in truths for flood in truth.floods for ip in flood.sources or ()}
    guilty |= {walk.source for truth in truths for walk in truth.probing}
    people = {ip for truth in truths for ip in truth.clients} - guilty
    for event in report.floods:
        listed = {top.cidr.partition("/")[0] for top in event.sources.top}
        if event.sources.origin == "real":
            score.bystanders += [f"{name}: {ip} in {event.id}" for ip in sorted(listed & people)]
        if event.action.recommended in BLOCKING:
            score.forged_offered += [f"{name}: {ip} in {event.id}" for ip in sorted(listed - guilty)]


class Row(NamedTuple):
    """One line of the table: what was measured, what is asked for, and whether it holds."""

    label: str
    measured: str
    asked: str
    holds: bool


def share(part: int, whole: int) -> float:
    """A share of nothing is complete."""
    return part / whole if whole else 1.0


def rows(score: Score) -> list[Row]:
    """The table of one set beside the numbers that we ask of ourselves."""
    hours = score.seconds / 3600
    right, left_open, wrong = score.origins.values()
    named, sources = score.flooding_sources_listed, score.flooding_sources
    called, epochs = score.crowd_epochs_called_attack, score.crowd_epochs
    offered = score.forged_offered
    table = [
        Row("floods found, vector and victim right", f"{score.found} of {score.floods}", "98 %",
            share(score.found, score.floods) >= 0.98),
        Row("another vector named beside a flood", str(len(score.misnamed)), "0", not score.misnamed),
        Row("false alarms", f"{len(score.false_alarms)} in {hours:.2f} h", "0", not score.false_alarms),
        Row("origin right / left open / wrong", f"{right} / {left_open} / {wrong}", "0 wrong", wrong == 0),
        Row("crowds found", f"{score.crowds_found} of {score.crowds}", "all",
            score.crowds_found == score.crowds),
        Row("crowd epochs called attack", f"{called} of {epochs}", "0.1 %", called <= 0.001 * epochs),
        Row("flooding sources listed (real floods)", f"{named} of {sources}", "95 %",
            share(named, sources) >= 0.95),
        Row("bystanders listed", str(len(score.bystanders)), "0", not score.bystanders),
        Row("forged or innocent sources offered", str(len(offered)), "0", not offered),
    ]  # fmt: skip
    for vector, delays in sorted(score.delays.items()):
        late, asked = float(np.percentile(delays, 95)), ASKED_S.get(vector, 1.0)
        label = f"onset to detected, {vector}"
        table.append(Row(label, f"{late:.2f} s of {len(delays)}", f"{asked:g} s", late <= asked))
    return table


def show(which: str, score: Score) -> list[Row]:
    """Print one set's table and every case that fell short; returns the lines that do not hold."""
    table = rows(score)
    print(f"\n{which} set: {score.cases} captures (delays: 95th percentile of packet time)")
    for row in table:
        short = "" if row.holds else "SHORT"
        print(f"  {row.label:44} {row.measured:>22}   asked {row.asked:8} {short}".rstrip())
    for label in ("missed", "misnamed", "false_alarms", "bystanders", "forged_offered"):
        for text in getattr(score, label):
            print(f"  {label}: {text}")
    return [row for row in table if not row.holds]
