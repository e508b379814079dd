"""What to set for a network, from traffic of it that is said to be clean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from ..detectors import least_floor
from ..model.event import Event
from ..model.report import Report

SPARE = 1.5
"""How far above the highest peak of clean traffic a proposed floor lies."""


class Named(Struct, frozen=True, kw_only=True):
    """Something in the clean traffic that would have been named, with the sources that could be blocked."""

    event: str
    input: str
    vector: str
    victim: str
    peak: float
    unit: str
    sources: tuple[str, ...]


class Proposal(Struct, frozen=True, kw_only=True):
    """The answer of ``tune``.

    Attributes:
        hours: length of the traffic.
        named: what would have been named.
        floors: proposed floors by vector, for ``--set``.
        habits: vectors among ``named`` that no floor can silence, for they are told by habits.
        most_per_hour: with 95 % probability clean traffic like this gives no more false alarms an hour than
            this (Garwood's upper limit for a Poisson count), as the limits were.
    """

    schema: Literal["floodwatch.tune/1"] = "floodwatch.tune/1"
    hours: float
    named: tuple[Named, ...]
    floors: dict[str, float]
    habits: tuple[str, ...]
    most_per_hour: float | None


def propose(report: Report) -> Proposal:
    """What to set so that nothing in this report would have been named."""
    hours = report.totals.duration_s / 3600
    floors: dict[str, float] = {}
    for event in report.floods:
        least = least_floor(event.vector)
        if least is not None:
            peak = max(event.rate.peak, _shortest(event))
            floor = max(_rounded_up(SPARE * peak), least)
            floors[event.vector.value] = max(floors.get(event.vector.value, 0.0), floor)
    habits = sorted({event.vector.value for event in report.floods if least_floor(event.vector) is None})
    return Proposal(
        hours=round(hours, 4),
        named=tuple(_named(event) for event in report.floods),
        floors=dict(sorted(floors.items())),
        habits=tuple(habits),
        most_per_hour=round(_upper(len(report.floods)) / hours, 3) if hours > 0 else None,
    )


def arguments(floors: dict[str, float]) -> Sequence[str]:
    """The floors as options of ``scan`` and ``watch``."""
    return [word for vector, rate in floors.items() for word in ("--set", f"{vector}={rate:.0f}")]


def _shortest(event: Event) -> float:
    """The highest rate in the timeline: floors hold for a quarter of a second, a peak is of a whole one."""
    return max(event.timeline, default=0.0)


def _rounded_up(rate: float) -> float:
    step = 10.0 ** max(math.floor(math.log10(max(rate, 1.0))) - 1, 0)
    return math.ceil(rate / step) * step


def _named(event: Event) -> Named:
    return Named(
        event=event.id,
        input=event.input,
        vector=event.vector.value,
        victim=event.victim.ip,
        peak=event.rate.peak,
        unit=event.rate.unit,
        sources=tuple(source.cidr for source in event.sources.top),
    )


def _upper(count: int) -> float:
    """The mean of a Poisson count that gives no more than ``count`` with 5 % probability, by bisection."""
    low, high = float(count), 10.0 * count + 10.0
    for _ in range(60):
        middle = (low + high) / 2
        term = total = math.exp(-middle)
        for number in range(1, count + 1):
            term *= middle / number
            total += term
        low, high = (middle, high) if total > 0.05 else (low, middle)
    return high
