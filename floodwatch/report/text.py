"""The report for people: one screen, plain words, never wider than the terminal.

The text depends on nothing but the report and the arguments: the same capture always prints the same page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from floodwatch.model.event import Event, Sources, TopSource, Victim
from floodwatch.model.report import Input, Report
from floodwatch.report import course, phrases, words
from floodwatch.report.escape import clip, flow, printable
from floodwatch.report.near import nearest, next_commands, where
from floodwatch.report.units import compact, largest_first, percent, plural, span

MIN_WIDTH = 40
LABEL_END = 14
"""Column at which the text of an event's lines starts."""
PATH_WIDTH = 120
EVIDENCE_LINES = 2
STOPPED = "stopped before the end: this report covers only what was read until then"
ENDED = "a signal ended the watch"


@dataclass(frozen=True, slots=True)
class _View:
    """How to print; bundles the arguments of ``render``."""

    top: int
    color: bool
    unicode: bool
    width: int

    def safe(self, text: str) -> str:
        return printable(text, unicode=self.unicode)

    def prose(self, label: str, text: str) -> list[str]:
        return self.row(label, self.safe(text).split(" "), gap=" ")

    def row(self, label: str, pieces: Iterable[str], *, gap: str = "   ") -> list[str]:
        """One labelled line of an event, continued under its text."""
        first = f"    {label:<{LABEL_END - 4}}"
        return flow(pieces, self.width, first=first, rest=" " * LABEL_END, gap=gap)


def render(
    report: Report, *, top: int = 5, color: bool = False, unicode: bool = False, width: int = 80
) -> str:
    """Describe ``report`` in lines of at most ``width`` columns (40 or more).

    Args:
        report: the answer of a scan.
        top: how many sources to list for each event; 0 lists all.
        color: add ANSI colour to the severities. Without it the text says the same.
        unicode: allow characters beyond ASCII (bars, and names as they are).
        width: columns of the terminal.
    """
    view = _View(top, color, unicode, max(width, MIN_WIDTH))
    lines: list[str] = []
    for item in report.inputs:
        lines += [*_input(item, view), ""]
    notes = _notes(report, view)
    if notes:
        lines += [*notes, ""]
    days = {item.path: (item.first or "")[:10] for item in report.inputs}
    number = 1
    for noun, events in (("FLOOD", report.floods), ("CROWD", report.crowds), ("SURGE", report.surges)):
        if events:
            lines += [*_section(noun, events, number, days, view), ""]
        number += len(events)
    if report.nearest:
        lines += [*nearest(report, unicode=view.unicode, width=view.width), ""]
    return "\n".join([*lines, _closing(report), *next_commands(report, width=view.width)]) + "\n"


def _input(item: Input, view: _View) -> list[str]:
    name = "(standard input)" if item.path == "-" else view.safe(item.path)
    pieces = [name, f"{compact(item.bytes, ' ')}B", plural(item.packets, "packet")]
    if item.first and item.last:
        pieces.append(f"{item.first[:10]} {span(item.first, item.last, item.first[:10], ' UTC')}")
    lines = flow(pieces, view.width, rest="  ", gap="   ")
    if item.packets:
        rejected = largest_first(item.rejected)
        share = max(0.0, 1 - sum(count for _, count in rejected) / item.packets)
        # Rounded down: 100 % must mean all of them.
        decoded = [f"decoded {math.floor(share * 10_000) / 100:g} %"]
        decoded += [f"{view.safe(why).replace('_', ' ')} {count:,}" for why, count in rejected if count]
        lines += flow(decoded, view.width, rest="  ", gap="   ")
    if item.error:
        where = "" if item.error.offset is None else f" at byte {item.error.offset:,}"
        fault = view.safe(f"error{where}: {item.error.message} ({item.error.code})").split(" ")
        lines += flow(fault, view.width, rest="  ")
    for note in phrases.input_notes(item):
        lines += flow(view.safe(note).split(" "), view.width, rest="  ")
    if item.one_way:
        lines += flow(words.ONE_WAY.split(" "), view.width, rest="  ")
    return lines


def _decoded(item: Input) -> int:
    return max(0, item.packets - sum(item.rejected.values()))


def _is_live(report: Report) -> bool:
    return any(item.format == "live" for item in report.inputs)


def _notes(report: Report, view: _View) -> list[str]:
    notes = []
    if not report.complete:
        notes.append(ENDED if _is_live(report) else STOPPED)
    if report.settings.filter:
        notes.append(f"only packets that match the filter: {view.safe(report.settings.filter)}")
    if report.settings.ja4:
        notes.append(f"only packets from and to who greeted as {', '.join(report.settings.ja4)}")
    if report.totals.skipped:
        notes.append(f"skipped {plural(report.totals.skipped, 'file')} that are not captures")
    if report.totals.forgotten:
        notes.append(f"{report.totals.forgotten:,} smaller floods, crowds and surges were too many to list")
    return [line for note in notes for line in flow(note.split(" "), view.width, rest="  ")]


def _section(
    noun: str, events: tuple[Event, ...], begin: int, days: dict[str, str], view: _View
) -> list[str]:
    """The events of a kind, numbered from ``begin`` on: numbers that explain and --cut take as well."""
    lines = [f"{len(events)} {noun}{'S' if len(events) != 1 else ''}"]
    for number, event in enumerate(events, begin):
        lines += _headline(number, phrases.named(event), event, view)
        if len(days) > 1:
            lines += view.row("capture", [view.safe(event.input)])
        lines += _event(event, days.get(event.input, ""), view)
    return lines


def _headline(number: int, named: str, event: Event, view: _View) -> list[str]:
    left = f"{number:>2}  {named}"
    severity = event.severity.upper()
    right = f"{severity:<8} confidence {event.confidence:.2f}"
    *lines, last = flow(left.split(" "), view.width, rest="    ")
    if len(last) + 1 + len(right) > view.width:
        lines, last = [*lines, last], ""
    if view.color:
        padding = " " * (8 - len(severity))
        painted = f"\x1b[{words.COLORS[event.severity]}m{severity}\x1b[0m{padding}"
        return [*lines, last + " " * (view.width - len(last) - len(right)) + painted + right[8:]]
    return [*lines, last + right.rjust(view.width - len(last))]


def _event(event: Event, day: str, view: _View) -> list[str]:
    told = [*_victim(event.victim, view), span(event.first, event.last, day, words.ENDINGS[event.state])]
    lines = view.row("victim", told) + view.row("rate", phrases.peak(event))
    lines += _course(event, view)
    lines += view.row("volume", phrases.volume(event)) + _sources(event.sources, view)
    lines += _greeted(event, view)
    if event.capture.unseen_share >= 0.001:
        lines += view.prose("unseen", f"up to {percent(event.capture.unseen_share)} of the packets")
    for index, fact in enumerate(event.evidence[:EVIDENCE_LINES]):
        lines += view.prose("because" if index == 0 else "", fact.says)
    for fact in event.evidence[EVIDENCE_LINES:]:
        if fact.name in words.DOUBTS:
            lines += view.prose("but", fact.says)
    why = event.action.why.rstrip(". ")
    advice = words.advice(event)
    text = f"{why}. {advice[0].upper()}{advice[1:]}." if why else f"{advice}."
    if event.action.taken != "none":
        text += f" In force: {event.action.taken.replace('_', ' ')}."
    return lines + view.prose("so", text)


def _victim(victim: Victim, view: _View) -> list[str]:
    address = view.safe(where(victim))
    return [address, clip(view.safe(victim.path), PATH_WIDTH)] if victim.path else [address]


def _greeted(event: Event, view: _View) -> list[str]:
    """The name that is asked for inside TLS or QUIC, and the fingerprint that came with the event."""
    victim, pieces = event.victim, list[str]()
    if victim.sni is not None:
        outer = " (outer name)" if victim.sni_outer else ""
        pieces.append(clip(view.safe(victim.sni), PATH_WIDTH) + outer)
    for one in event.fingerprints[:1]:
        usual = "" if one.usual is None else f", usual {percent(one.usual)}"
        pieces.append(f"{one.ja4} {percent(one.share)}{usual}")
    return view.row("hello", pieces) if pieces else []


def _course(event: Event, view: _View) -> list[str]:
    """How the rate went, with the time below; nothing where it has no course."""
    width = min(course.MOST, view.width - LABEL_END)
    drawn = course.bars(event.timeline, width, unicode=view.unicode)
    if not drawn:
        return []
    return view.row("course", [drawn]) + view.row("", [course.axis(event.first, event.last, width)])


def _sources(sources: Sources, view: _View) -> list[str]:
    told = [phrases.distinct(sources), words.origin(sources)]
    if sources.forged_share is not None:
        told.append(f"{percent(sources.forged_share.est)} of the flood forged")
    if sources.top:
        told.append(f"the largest sends {percent(sources.top[0].share)}")
    lines = view.row("sources", [f"{phrase}," for phrase in told[:-1]] + told[-1:], gap=" ")
    if sources.via:
        held = sources.via[: view.top] if view.top else sources.via
        rest = [f"and {len(sources.via) - len(held)} more"] if len(sources.via) > len(held) else []
        lines += view.row("via", [*(f"{view.safe(via.cidr)} {percent(via.share)}" for via in held), *rest])
    if sources.seen:
        seen = [_source(source, view) for source in sources.seen]
        lines += view.row("", [f"seen, not proven: {seen[0]}", *seen[1:]])
    shown = sources.top[: view.top] if view.top else sources.top
    if not shown:
        return lines
    listed = [_source(source, view) for source in shown]
    more = view.top and (len(sources.top) > view.top or sources.distinct.lo > len(shown) >= view.top)
    return lines + view.row("", [*listed, "(--top 0 lists all)"] if more else listed)


def _source(source: TopSource, view: _View) -> str:
    place = phrases.located(source)
    return f"{view.safe(source.cidr)} {percent(source.share)}" + (f" ({view.safe(place)})" if place else "")


def _closing(report: Report) -> str:
    if report.floods:
        return "Full detail: --format json"
    if report.complete and report.inputs and all(item.error and not _decoded(item) for item in report.inputs):
        return "Nothing was decoded, so nothing can be said."
    stopped = not report.complete and not _is_live(report)
    partial = stopped or any(item.error for item in report.inputs)
    return "No flood found in what could be read." if partial else "No flood found."
