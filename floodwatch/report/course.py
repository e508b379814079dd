"""The course of an event in the text report: bars, and the time below them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from floodwatch.report.units import clock

MOST = 60
"""Columns; an event's timeline has as many steps at most."""
BARS_UNICODE = "▁▂▃▄▅▆▇█"
BARS_ASCII = ".:-=#"


def bars(timeline: tuple[float, ...], columns: int, *, unicode: bool) -> str:
    """A bar for each column, the highest that fell into its stretch; empty where there is no course.

    Of few steps each takes several columns, so that times can stand below.
    """
    top = max(timeline, default=0.0)
    if len(timeline) < 2 or top <= 0:
        return ""
    marks, steps = BARS_UNICODE if unicode else BARS_ASCII, len(timeline)
    edges = [(column * steps // columns) for column in range(columns + 1)]
    # The highest value of each stretch, so that a short pulse stays visible.
    peaks = (max(timeline[start : max(end, start + 1)]) for start, end in pairwise(edges))
    return "".join(marks[min(len(marks) - 1, int(max(0.0, peak) / top * len(marks)))] for peak in peaks)


def axis(first: str, last: str, columns: int) -> str:
    """The times of the first and the last column, and of the middle one where there is room for it."""
    begin, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    middle = (begin + (end - begin) / 2).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    short = (end - begin).total_seconds() < 10
    left, between, right = (
        clock(stamp, with_ms=short) if first[:10] == last[:10] else f"{stamp[5:10]} {stamp[11:16]}"
        for stamp in (first, middle, last)
    )
    gap = columns - len(left) - len(right) - 2
    inner = f" {between} ".center(gap, "-") if gap >= len(between) + 4 else "-" * gap
    return f"{left} {inner} {right}"
