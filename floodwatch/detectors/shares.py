"""Shares as evidence and as text."""

from __future__ import annotations

from ..model.event import Evidence


def share(name: str, part: float, whole: float, usual: float | None, says: str, about: str = "") -> Evidence:
    """A percentage as evidence, with the two numbers that it is made of, so that anybody can count again.

    Args:
        name: of the evidence.
        part: how many of ...
        whole: ... all these.
        usual: the share that is usual, or None.
        says: what the part is.
        about: what the numbers are where they are no exact counts: ``about``, ``at least``.
    """
    value = min(1.0, part / max(whole, 1))
    lead = f"{about} " if about else ""
    sentence = f"{lead}{100 * value:.1f} % {says} ({part:,.0f} of {whole:,.0f})"
    return Evidence(name=name, value=round(value, 4), usual=usual, says=sentence)


def percent(part: float) -> str:
    """A share as a rule states it."""
    return f"{100 * part:.0f} %"
