"""One line for each change of an event, for people."""

from __future__ import annotations

from floodwatch.detectors import title
from floodwatch.model.event import Event
from floodwatch.report import words
from floodwatch.report.escape import printable


def line(what: str, event: Event) -> bytes:
    """``time  opened  SYN flood, forged sources  198.51.100.7:443  peak 1300 packet/s  confidence 0.97``."""
    victim, rate = event.victim, event.rate
    where = f"[{victim.ip}]" if ":" in victim.ip and victim.port is not None else victim.ip
    where += "" if victim.port is None else f":{victim.port}"
    where += f" {victim.path}" if victim.path else ""
    origin = words.TITLE_ENDS.get(event.sources.origin, "")
    lost = event.capture.unseen_share
    unseen = f"  {100 * lost:.1f} % unseen" if lost >= 0.001 else ""
    when = event.last if what == "ended" else event.detected
    named = title(event.vector, event.verdict)
    text = f"{when}  {what:8}{named}{origin}  {where}  peak {rate.peak:,.0f} {rate.unit}  "
    return printable(f"{text}confidence {event.confidence}{unseen}").encode() + b"\n"
