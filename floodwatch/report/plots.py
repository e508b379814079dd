"""Plots as SVG, drawn by hand: sizes are attributes and colours are classes, so that a page needs no script
and no style of an element, which its Content-Security-Policy forbids.

Every plot says in words what it shows (``<title>``, read aloud and shown under a pointer).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from floodwatch.report.units import compact

WIDTH = 860
"""Units across; a page scales them to its own width."""
STEPS = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 10_800, 21_600, 43_200, 86_400, 2 * 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400,
)  # fmt: skip
"""Distances of ticks, in seconds, of which people know the parts."""
TICKS = 7
LABELS = 262.0
"""Units that labels take on the left, in pictures that share an axis."""
LAYERS = {"syn": "SYN", "tcp": "other TCP", "udp": "UDP", "icmp": "ICMP", "other": "fragments and other"}


@dataclass(frozen=True, slots=True)
class Axis:
    """Packet time (seconds since 1970) along a plot: from ``first`` at ``left`` to ``last`` at ``right``."""

    first: float
    last: float
    left: float
    right: float

    def at(self, second: float) -> float:
        """Where a moment stands; what lies outside stands at the end."""
        inside = min(max(second, self.first), self.last) - self.first
        return self.left + inside / max(self.last - self.first, 1e-9) * (self.right - self.left)

    def ticks(self) -> list[tuple[float, str]]:
        """At most ``TICKS`` round moments, and how each is written: the day only where it is another."""
        length = max(self.last - self.first, 1e-3)
        step = next((step for step in STEPS if length / step <= TICKS), STEPS[-1])
        count = int(self.last // step) - int(-(-self.first // step)) + 1
        moments = [(-(-self.first // step) + number) * step for number in range(count)]
        days = {_moment(moment).date() for moment in (self.first, self.last)}
        return [(moment, _spelled(moment, step, day=len(days) > 1)) for moment in moments]

    def drawn(self, top: float, bottom: float) -> str:
        """The axis at the bottom, with lines up to the top."""
        parts = []
        for moment, words in self.ticks():
            x = self.at(moment)
            parts.append(
                f'<path class="grid" d="M{x:.1f} {top:.1f}V{bottom:.1f}"/>'
                f'<text class="tick" x="{x:.1f}" y="{bottom + 13:.1f}" text-anchor="middle">{words}</text>'
            )
        line = f'<path class="axis" d="M{self.left:.1f} {bottom:.1f}H{self.right:.1f}"/>'
        return "".join(parts) + line


def seconds(stamp: str) -> float:
    """An RFC 3339 time in seconds since 1970."""
    return datetime.fromisoformat(stamp).timestamp()


def _moment(second: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)


def _spelled(second: float, step: float, *, day: bool) -> str:
    moment = _moment(round(second, 3))
    if step >= 86_400:
        return f"{moment:%Y-%m-%d}"
    clock = f"{moment:%H:%M}" if step >= 60 else f"{moment:%H:%M:%S}"
    if step < 1:
        clock += f".{moment.microsecond // 1000:03d}"
    return f"{moment:%m-%d} {clock}" if day else clock


def figure(height: float, says: str, drawn: str) -> str:
    """A plot with its words; where the screen is narrow it is moved and not shrunk, also by the keyboard."""
    return (
        f'<div class="plot" tabindex="0"><svg viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
        f"<title>{html.escape(says)}</title>{drawn}</svg></div>"
    )


def _steps(axis: Axis, first: float, last: float, heights: Sequence[float]) -> str:
    """A line from where the pen stands that keeps each height for its step of time."""
    length = (last - first) / len(heights)
    ends = (axis.at(first + number * length) for number in range(1, len(heights) + 1))
    return "".join(f"V{height:.1f}H{end:.1f}" for height, end in zip(heights, ends, strict=True))


def _area(axis: Axis, first: float, last: float, heights: Sequence[float], floor: float) -> str:
    """The same from the floor on and back to it."""
    return f"M{axis.at(first):.1f} {floor:.1f}{_steps(axis, first, last, heights)}V{floor:.1f}Z"


def _levels(axis: Axis, most: float, top: float, bottom: float, unit: str = "") -> str:
    """Lines at the highest value and at half of it, with their numbers."""
    levels = ((most, top), (most / 2, bottom - 0.5 * (bottom - top)))
    return "".join(
        f'<path class="grid" d="M{axis.left} {height:.1f}H{axis.right}"/><text class="tick" '
        f'x="{axis.left - 6}" y="{height + 4:.1f}" text-anchor="end">{compact(value)}{unit}</text>'
        for value, height in levels
    )


def rates(
    first: float,
    last: float,
    timeline: Sequence[float],
    *,
    says: str,
    unit: str,
    baseline: float | None = None,
    bounds: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> str:
    """A rate over time: an area, the usual rate as a broken line, and where it is estimated its bounds."""
    low, high = bounds
    most = max([*timeline, *high, baseline or 0.0, 1e-9])
    height, top, bottom = 150, 12.0, 120.0
    axis = Axis(first, max(last, first + 1e-3), 64.0, WIDTH - 12.0)

    def y(value: float) -> float:
        return bottom - max(value, 0.0) / most * (bottom - top)

    parts = [axis.drawn(top, bottom), _levels(axis, most, top, bottom)]
    parts.append(f'<text class="tick" x="2" y="{bottom + 13}">{html.escape(unit)}</text>')
    if timeline:
        course = _area(axis, first, last, [y(value) for value in timeline], bottom)
        parts.append(f'<path class="course" d="{course}"/>')
    if low and high:
        back = _steps(axis, last, first, [y(value) for value in reversed(low)])
        over = _steps(axis, first, last, [y(value) for value in high])
        parts.append(f'<path class="band" d="M{axis.left} {bottom}{over}{back}Z"/>')
    if baseline is not None:
        parts.append(f'<path class="usual" d="M{axis.left} {y(baseline):.1f}H{axis.right}"/>')
    return figure(height, says, "".join(parts))


def stack(
    layers: Mapping[str, Sequence[float]], begin: float, step: float, first: float, last: float, *, says: str
) -> str:
    """Rates that add up, one upon the other, on the axis of ``stretches``; each is a class of its own colour.

    Args:
        layers: the rates in equal steps, the lowest layer first.
        begin: when the first step begins, in seconds since 1970.
        step: seconds of each.
        first: where the axis begins.
        last: where it ends.
        says: what it shows, in words.
    """
    top, bottom = 12.0, 120.0
    axis = Axis(first, max(last, first + 1e-3), LABELS, WIDTH - 12.0)
    sums = [sum(rates) for rates in zip(*layers.values(), strict=True)]
    most, end = max([*sums, 1e-9]), begin + step * len(sums)
    parts = [axis.drawn(top, bottom), _levels(axis, most, top, bottom, " packets/s")]
    under = [0.0] * len(sums)
    for row, (name, rates) in enumerate(layers.items()):
        over = [low + rate for low, rate in zip(under, rates, strict=True)]
        high, low = ([bottom - value / most * (bottom - top) for value in edge] for edge in (over, under))
        course = f"{_steps(axis, begin, end, high)}{_steps(axis, end, begin, low[::-1])}"
        y = top + 18 * row
        parts.append(
            f'<path class="{name}" d="M{axis.at(begin):.1f} {low[0]:.1f}{course}Z"/>'
            f'<rect class="{name}" x="4" y="{y:.1f}" width="10" height="10"/>'
            f'<text class="label" x="20" y="{y + 9:.1f}">{LAYERS[name]}</text>'
        )
        under = over
    return figure(bottom + 20, says, "".join(parts))


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time in a picture of many.

    Attributes:
        label: its words.
        kind: class of its colour.
        link: id of what tells more.
        first: where it begins, in seconds since 1970.
        last: where it ends.
        timeline: its course, in equal steps.
    """

    label: str
    kind: str
    link: str
    first: float
    last: float
    timeline: tuple[float, ...] = ()


def stretches(bars: Sequence[Bar], first: float, last: float, *, says: str) -> str:
    """Many stretches below each other on one axis, each with its course inside."""
    row, top = 24, 6.0
    bottom = top + row * len(bars)
    axis = Axis(first, max(last, first + 1e-3), LABELS, WIDTH - 12.0)
    parts = [axis.drawn(top, bottom)]
    for number, bar in enumerate(bars):
        y = top + number * row
        begin, end = axis.at(bar.first), max(axis.at(bar.last), axis.at(bar.first) + 2)
        most = max(bar.timeline, default=0.0)
        parts.append(
            f'<a href="#{bar.link}"><text class="label" x="4" y="{y + 16:.1f}">{html.escape(bar.label)}'
            f'</text><rect class="{bar.kind} back" x="{begin:.1f}" y="{y + 3:.1f}" width="{end - begin:.1f}"'
            f' height="{row - 6}"/>'
        )
        if most > 0:
            heights = [y + row - 3 - max(value, 0.0) / most * (row - 6) for value in bar.timeline]
            course = _area(axis, bar.first, bar.last, heights, y + row - 3)
            parts.append(f'<path class="{bar.kind}" d="{course}"/>')
        parts.append("</a>")
    return figure(bottom + 20, says, "".join(parts))


def share(part: float) -> str:
    """A share as a bar; the number stands beside it in words, so nobody needs to see it."""
    return (
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="back" width="100" height="8"/><rect class="part" width="{100 * min(part, 1.0):.2f}"'
        ' height="8"/></svg>'
    )
