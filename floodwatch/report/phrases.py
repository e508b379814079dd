"""What the reports for people say of an event and of a capture, whether on a terminal or on a page.

Nothing here is safe for either yet: addresses, names and paths are as strangers wrote them.
"""

from __future__ import annotations

from floodwatch.detectors import UNITS, title
from floodwatch.model.event import Event, Sources, TopSource
from floodwatch.model.report import Input
from floodwatch.model.vector import Vector
from floodwatch.report import words
from floodwatch.report.near import where
from floodwatch.report.units import compact, largest_first, percent, plural, span


def named(event: Event) -> str:
    """The event as people write it: ``SYN flood, forged sources``, ``HTTP crowd, not an attack``."""
    if event.verdict == "crowd":
        return title(event.vector, "crowd") + ", not an attack"
    if event.verdict == "unclear":
        return title(event.vector, "unclear") + ", people or machines: unclear"
    text = title(event.vector) + words.TITLE_ENDS.get(event.sources.origin, "")
    return text + (", inside a crowd" if event.verdict == "mixed" else "")


def peak(event: Event) -> list[str]:
    """The largest rate, against what is usual, and the pattern."""
    rate = event.rate
    unit = "SYN/s" if event.vector is Vector.SYN_FLOOD else rate.unit
    text = f"peak {compact(rate.peak)} {unit}"
    if rate.estimated and rate.lo is not None and rate.hi is not None:
        text = f"peak about {compact(rate.peak)} {unit} ({compact(rate.lo)} to {compact(rate.hi)})"
    if rate.baseline is not None:
        text += f", usual {compact(rate.baseline)}"
        text += f" (x{compact(rate.peak / rate.baseline)})" if rate.baseline > 0 else ""
    return [text, *(words.PATTERNS[word] for word in event.pattern if word in words.PATTERNS)]


def volume(event: Event) -> list[str]:
    """How much of it was counted, and about how many bits a second that was at the peak."""
    if not (event.packets and event.bytes):
        return [f"{event.packets:,} {UNITS[event.rate.unit]}"]
    bits = event.rate.peak * 8 * event.bytes / event.packets
    pieces = [f"{event.packets:,} {UNITS[event.rate.unit]}", f"{compact(event.bytes, ' ')}B"]
    return [*pieces, f"about {compact(bits, ' ')}bit/s at the peak"]


def distinct(sources: Sources) -> str:
    """How many sources there were, with the bounds."""
    count = sources.distinct
    error = max(count.hi - count.est, count.est - count.lo)
    around = f"about {compact(count.est)} (+-{percent(error / max(count.est, 1))})"
    if count.lo == count.est < count.hi:  # counted one by one, so there may be more
        around = f"{compact(count.est)} named"
    return around if error else f"{count.est:,}"


def senders(sources: Sources) -> str:
    """How many they are, and whose addresses those are."""
    return f"sources: {distinct(sources)}, {words.origin(sources)}"


def message(event: Event) -> str:
    """The event in one line: what, where, how fast, from whom."""
    return f"{named(event)} at {where(event.victim)}, {peak(event)[0]}, {senders(event.sources)}"


def when(event: Event) -> str:
    """The day and the times, and how it ended."""
    day = event.first[:10]
    return f"{day} {span(event.first, event.last, day, words.ENDINGS[event.state])}"


def located(source: TopSource) -> str:
    """Where a source belongs, as ``AS64500 Example, NL``; empty where nobody says."""
    found = source.located
    if found is None:
        return ""
    system = " ".join(filter(None, (None if found.asn is None else f"AS{found.asn}", found.org)))
    return ", ".join(filter(None, (system, found.country)))


def input_notes(item: Input) -> list[str]:
    """What an analyst must know about a capture before believing its numbers."""
    notes = []
    if item.lost:
        share = 100 * item.lost / (item.lost + item.packets)
        notes.append(f"the capture itself lost {plural(item.lost, 'packet')} ({share:.2g} %)")
    if item.duplicates:
        notes.append(words.MIRRORED.format(plural(item.duplicates, "copy", "copies")))
    if item.elsewhere:
        notes.append(words.ELSEWHERE.format(plural(item.elsewhere, "more sighting")))
    if item.tunnels:
        told = ", ".join(f"{kind} {count:,}" for kind, count in largest_first(item.tunnels))
        notes.append(f"looked into tunnels: {told}")
    notes += words.decrypted(item.decrypted) if item.decrypted else ()
    return notes
