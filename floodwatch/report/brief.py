"""The whole verdict in at most 2 kB of plain text: for a ticket, a chat, a pager."""

from __future__ import annotations

from collections.abc import Iterator

from floodwatch.model.event import Event
from floodwatch.model.report import Report
from floodwatch.report import phrases, words
from floodwatch.report.escape import clip, printable
from floodwatch.report.near import gravest, says, where
from floodwatch.report.units import plural, span

MOST = 2048
"""Bytes."""
LINE = 300
"""Columns of one line; what strangers name without end is cut."""
MORE = "and {} more: --format text\n"


def render(report: Report) -> str:
    """Lines of ASCII, the gravest event first; how many were left out is said."""
    lines = [*_head(report), *map(_event, (*gravest(report.floods), *report.crowds, *report.surges))]
    if not report.floods:
        lines += [f"nearest to a flood: {says(near, several=False)}" for near in report.nearest[:1]]
    safe = [clip(printable(line), LINE) + "\n" for line in lines]
    kept, room = list[str](), MOST - len(MORE.format(len(safe)))
    for line in safe:
        if len(line) > room:
            return "".join([*kept, MORE.format(len(safe) - len(kept))])
        kept.append(line)
        room -= len(line)
    return "".join(kept)


def _head(report: Report) -> Iterator[str]:
    told = ((report.floods, "flood"), (report.crowds, "crowd"), (report.surges, "surge"))
    counts = ", ".join(plural(len(events), noun) for events, noun in told if events) or "no flood"
    names = [item.path for item in report.inputs]
    place = names[0] if len(names) == 1 else plural(len(names), "capture")
    stamps = sorted(stamp for item in report.inputs for stamp in (item.first, item.last) if stamp)
    when = f", {stamps[0][:10]} {span(stamps[0], stamps[-1], stamps[0][:10], ' UTC')}" if stamps else ""
    yield f"floodwatch: {counts} in {place}, {plural(report.totals.packets, 'packet')}{when}"
    if not report.complete:
        yield "stopped before the end: only what was read until then"
    broken = [item for item in report.inputs if item.error]
    for item in broken[:1]:
        others = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        assert item.error is not None
        yield f"not read to its end: {item.path}{others}: {item.error.message}"


def _event(event: Event) -> str:
    path = f" {event.victim.path}" if event.victim.path else ""
    technique = f" ({event.technique})" if event.technique else ""
    return (
        f"{event.severity.upper()} {phrases.named(event)}{technique}: {where(event.victim)}{path}, "
        f"{span(event.first, event.last, event.first[:10], '')}, {phrases.peak(event)[0]}, "
        f"{phrases.senders(event.sources)}. "
        f"Do: {words.advice(event)}."
    )
