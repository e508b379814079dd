"""Shares as evidence and as text."""

from __future__ import annotations

from ..model.event import Evidence


def share(name: str, part: float, whole: float, usual: float | None, says: str) -> Evidence:
    """A percentage as evidence."""
    value = round(min(1.0, part / max(whole, 1)), 4)
    return Evidence(name=name, value=value, usual=usual, says=f"{100 * value:.1f} % {says}")


def percent(part: float) -> str:
    """A share as a rule states it."""
    return f"{100 * part:.0f} %"
