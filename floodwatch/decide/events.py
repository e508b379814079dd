"""Cases -> the event records that users receive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from .._native import hll_estimate
from ..model.address import address_text, source_cidr
from ..model.epoch import EPOCH_NS, rfc3339
from ..model.event import (
    Action,
    Advice,
    CaptureInfo,
    CountBounds,
    Estimate,
    Event,
    Pattern,
    Rate,
    Sources,
    State,
    TopSource,
    Victim,
)
from ..model.finding import SourceCount
from ..model.vector import AMPLIFIERS
from . import judge
from .cases import Case

_KEY_SHARE = 0.8
_TIMELINE = 60


def estimate(registers: object, precision: int) -> Estimate:
    """Distinct sources with the bounds of two standard errors (1.04 / sqrt(2^p))."""
    value = hll_estimate(registers)
    error = 2 * 1.04 / 2 ** (precision / 2)
    return Estimate(est=round(value), lo=int(value / (1 + error)), hi=int(value * (1 + error)) + 1)


def build_events(
    cases: Sequence[Case], path: str, last_epoch: int, top: int
) -> tuple[list[Event], list[Event]]:
    """The floods and the crowds of one capture, linked where they overlap on one victim."""
    linked = build_each(cases, path, last_epoch, top)
    return [e for e in linked if e.verdict != "crowd"], [e for e in linked if e.verdict == "crowd"]


def build_each(
    cases: Sequence[Case], path: str, last_epoch: int, top: int, unfinished: State = "cut"
) -> list[Event]:
    """One event for each case, in order; ``unfinished`` is the state of those that go on."""
    events = [_event(case, path, last_epoch, top, unfinished) for case in cases]
    return [
        _linked(event, case, list(zip(events, cases, strict=True)))
        for event, case in zip(events, cases, strict=True)
    ]


def _linked(event: Event, case: Case, others: list[tuple[Event, Case]]) -> Event:
    ids = tuple(
        other.id
        for other, theirs in others
        if theirs is not case
        and theirs.victim == case.victim
        and theirs.first_ns <= case.last_ns
        and case.first_ns <= theirs.last_ns
    )
    return _replace(event, linked=ids)


def _replace(event: Event, **changes: Any) -> Event:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return Event(**(fields | changes))


def _event(case: Case, path: str, last_epoch: int, top: int, unfinished: State) -> Event:
    facts: dict[str, float] = dict(case.facts)
    registers = np.ascontiguousarray(case.sources) if case.sources is not None else bytes(1024)
    distinct = estimate(registers, 10)
    origin = judge.origin(case.vector, facts, float(case.count), float(distinct.est))
    if origin == "real" and case.settled:  # the set also holds those who only visit
        named = len(case.settled)
        distinct = Estimate(est=named, lo=named, hi=max(named, distinct.hi))
    port = _winner(case.ports, case.count)
    name = _winner(case.paths, case.count)
    peak = float(case.peak)
    state: State = "ended" if case.ended(last_epoch) else unfinished
    seconds = max((case.last_ns - case.first_ns) / 1e9, 1.0)
    ip = address_text(case.victim) + ("" if case.prefix is None else f"/{case.prefix}")
    return Event(
        id=f"{datetime.fromtimestamp(min(case.first_ns // 10**9, 253402300799), UTC):%Y%m%dT%H%M%SZ}"
        f"-{case.vector}-{ip}-{'any' if port is None else port}",
        input=path,
        seq=1 + int(seconds // 60),
        vector=case.vector,
        verdict=case.verdict,
        severity=judge.severity(case.vector, peak, case.bytes * 8 / seconds / 1e6),
        confidence=judge.confidence(case.vector, case.count, case.epochs, case.verdict, facts),
        state=state,
        pattern=_pattern(case),
        linked=(),
        capture=CaptureInfo(interface=None, unseen_share=0.0),
        victim=Victim(ip=ip, port=port, protocol=case.protocol, path=name),
        first=rfc3339(case.first_ns),
        detected=rfc3339(case.detected_ns),
        last=rfc3339(case.last_ns),
        rate=Rate(peak=peak, unit=case.unit, baseline=_rounded(case.baseline)),
        packets=case.count,
        bytes=case.bytes,
        sources=Sources(
            origin=origin,
            distinct=distinct,
            forged_share=judge.forged_share(case.vector, facts, float(case.count), float(distinct.est)),
            top=_top(case, top) if origin in ("real", "reflected") and case.verdict != "crowd" else (),
            reflector_ports=_reflector_ports(case),
        ),
        evidence=judge.evidence(case.vector, facts, peak, case.baseline, _limit(case)),
        action=_advice(case, origin, name is not None),
        timeline=case.timeline(_TIMELINE),
    )


def _advice(case: Case, origin: Any, known_path: bool) -> Advice:
    found = judge.advice(case.vector, case.verdict, origin, known_path, case.facts)
    needs: Action = found.recommended
    if needs == "drop_sources" and not case.settled:
        return Advice(
            recommended="cap_unknown", why="no single source stands out: cap unknown clients", taken="none"
        )
    return found


def _limit(case: Case) -> float | None:
    """The rate a second that the user's limits ask for; a crowd is told by its growth."""
    return None if case.verdict == "crowd" else case.limit


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _winner(table: Counter[Any], count: int) -> Any:
    """The key that holds most of the count, or None: scattered ports and paths are not named."""
    if not table:
        return None
    key, held = max(table.items(), key=lambda item: (item[1], str(item[0])))
    return key if held >= _KEY_SHARE * count and held > 0 else None


def _pattern(case: Case) -> tuple[Pattern, ...]:
    carpet: tuple[Pattern, ...] = () if case.prefix is None else ("carpet",)
    return (*carpet, *_course(case))


def _course(case: Case) -> tuple[Pattern, ...]:
    if case.pulses > 1:
        return ("pulse",)
    rates = case.timeline(10)
    if len(rates) >= 6 and case.last_ns - case.first_ns >= 20 * EPOCH_NS:
        third = len(rates) // 3
        if sum(rates[-third:]) > 3 * sum(rates[:third]):
            return ("ramp",)
    return ("steady",)


def _reflector_ports(case: Case) -> tuple[int, ...]:
    """All ports of a protocol that is known to reflect, else the one that was seen in every epoch."""
    name = case.vector.removesuffix("_amplification")
    known = tuple(port for port, protocol in AMPLIFIERS if protocol == name)
    port, more = divmod(case.facts.get("service_port", 0), case.epochs)
    return known or (() if more or not port else (int(port),))


def _top(case: Case, limit: int) -> tuple[TopSource, ...]:
    ordered = sorted(case.settled.values(), key=lambda s: (-s.lo, s.v6, s.source))
    total = max(case.count, sum(s.lo for s in ordered), 1)
    chosen: list[SourceCount] = ordered[:limit] if limit else ordered
    return tuple(
        TopSource(
            cidr=source_cidr(s.source, s.v6),
            share=round(s.lo / total, 4),
            count=CountBounds(lo=s.lo, hi=s.hi),
        )
        for s in chosen
    )


def sort_key(event: Event) -> tuple[str, str, str]:
    """Order of events in a report: by onset, then by name."""
    return event.first, event.input, event.id
