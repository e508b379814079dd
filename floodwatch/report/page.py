"""The report as one page of HTML: it needs nothing else, asks nobody for anything and runs no script.

Its Content-Security-Policy (CSP3) forbids all but the one style sheet, which is named by its hash. What
strangers wrote (addresses, paths, names of files and servers) is spelled visibly and escaped.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from importlib import resources
from ipaddress import ip_address, ip_network

from floodwatch.model.event import Event, Evidence, TopSource
from floodwatch.model.report import Host, Input, Report, Traffic
from floodwatch.report import phrases, plots, words
from floodwatch.report.escape import printable
from floodwatch.report.near import says, where
from floodwatch.report.units import clock, compact, largest_first, percent, plural, span

CURVES = 60
"""Events up to which the picture of all shows the course of each; above it they would be too small."""
COURSES = 8
"""Captures of which all traffic is drawn."""
QUIET = 0.01
"""Share of all packets from which a host is worth a word that nothing is told of."""
LISTED = 40
"""Sources that a card shows as bars; the others follow as text."""


def render(report: Report) -> str:
    """The page.

    Args:
        report: the answer of a scan. What its ``sources.top`` leave out the page does not know either.
    """
    style = resources.files("floodwatch.report").joinpath("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    verdict, body = _verdict(report), "".join(_body(report))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{verdict} - floodwatch</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def _text(value: object) -> str:
    """Anything as text of a page."""
    return html.escape(printable(str(value), unicode=True))


def _verdict(report: Report) -> str:
    told = [
        plural(len(events), noun)
        for noun, events in (("flood", report.floods), ("crowd", report.crowds), ("surge", report.surges))
        if events
    ]
    return ", ".join(told) or "No flood found"


def _body(report: Report) -> Iterable[str]:
    yield f"<header><h1>{_verdict(report)}</h1>"
    yield f"<p>{_text(_summary(report))}</p>"
    notes = _notes(report)
    yield f"<ul class=notes>{_items(notes)}</ul></header>\n<main>\n" if notes else "</header>\n<main>\n"
    events = report.events()
    if events or report.traffic:
        yield f"<section><h2>When</h2>{''.join(_pictures(report))}</section>\n"
    number = 0
    for heading, group in (("Floods", report.floods), ("Crowds", report.crowds), ("Surges", report.surges)):
        if group:
            yield f"<section><h2>{heading}</h2>\n"
            for event in group:
                number += 1
                yield _card(number, event)
            yield "</section>\n"
    if report.nearest:
        yield "<section><h2>What came nearest to a flood, and was none</h2>\n<ol>"
        several = len(report.inputs) > 1
        yield _items(says(near, several=several) for near in report.nearest) + "</ol></section>\n"
    quiet = list(_quiet(report))
    if quiet:
        yield f"<section><h2>What stayed normal</h2>\n<ul>{_items(quiet)}</ul></section>\n"
    yield f"<section><h2>What was read</h2>\n{''.join(map(_input, report.inputs))}</section>\n"
    yield f"</main>\n<footer>{_text(_settings(report))}</footer>\n"


def _quiet(report: Report) -> Iterable[str]:
    """The busiest hosts that nothing is told of."""
    told = [ip_network(event.victim.ip) for event in report.events()]
    for measured in report.traffic:
        for host in measured.hosts:
            address = ip_address(host.address)
            if host.packets >= QUIET * report.totals.packets and not any(address in net for net in told):
                yield _normal(host, measured, several=len(report.traffic) > 1)


def _normal(host: Host, measured: Traffic, *, several: bool) -> str:
    where = f" in {measured.input}" if several else ""
    peak = f"at most {compact(host.peak)} packets/s"
    return f"{host.address}{where}: {plural(host.packets, 'packet')} at least, {peak}: no flood"


def _summary(report: Report) -> str:
    totals, sources = report.totals, report.totals.sources
    return (
        f"{plural(len(report.inputs), 'capture')}, {plural(totals.packets, 'packet')}, "
        f"{compact(totals.bytes, ' ')}B, about {compact(sources.est)} sources"
    )


def _notes(report: Report) -> list[str]:
    notes = [] if report.complete else ["Stopped before the end: this covers only what was read until then."]
    if report.totals.skipped:
        notes.append(f"skipped {plural(report.totals.skipped, 'file')} that are not captures")
    if report.totals.forgotten:
        notes.append(f"{report.totals.forgotten:,} smaller events were too many to list")
    return notes


def _settings(report: Report) -> str:
    told = [f"{report.tool.name} {report.tool.version}", f"profile {report.settings.profile}"]
    if report.settings.filter:
        told.append(f"only packets that match {report.settings.filter}")
    if report.settings.ja4:
        told.append(f"only who greeted as {', '.join(report.settings.ja4)}")
    return "; ".join([*told, "all times are UTC"])


def _items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{_text(text)}</li>" for text in texts)


def _pictures(report: Report) -> Iterable[str]:
    """All traffic, and all events below it, on one axis, which is that of the captures."""
    events = report.events()
    stamps = [
        *(stamp for item in report.inputs for stamp in (item.first, item.last) if stamp),
        *(stamp for event in events for stamp in (event.first, event.last)),
    ]
    if not stamps:
        return
    first, last = min(map(plots.seconds, stamps)), max(map(plots.seconds, stamps))
    for measured in report.traffic[:COURSES]:
        if len(report.traffic) > 1:
            yield f"<p><code>{_text(measured.input)}</code></p>"
        yield _traffic(measured, first, last)
    if len(report.traffic) > COURSES:
        yield f"<p>and {plural(len(report.traffic) - COURSES, 'other capture')}</p>"
    if events:
        says = f"{plural(len(events), 'event')} from {min(stamps)} to {max(stamps)}"
        yield _bars_of(events, first, last, says)


def _traffic(measured: Traffic, first: float, last: float) -> str:
    """All that came, by class of packets."""
    # A later version may tell more classes: without a name and a colour here they are not drawn.
    layers = {name: rates for name, rates in measured.packets.items() if name in plots.LAYERS and any(rates)}
    told = [f"{plots.LAYERS[name]} at most {compact(max(rates))} packets/s" for name, rates in layers.items()]
    bits = compact(max(measured.bits, default=0.0), " ")
    says = f"All traffic by class: {', '.join(told)}; together at most {bits}bit/s"
    plot = plots.stack(layers, plots.seconds(measured.first), measured.step_s, first, last, says=says)
    return f"{plot}<p class=says>{_text(says)}.</p>"


def _bars_of(events: Sequence[Event], first: float, last: float, says: str) -> str:
    bars = [
        plots.Bar(
            label=_short(f"{number} {phrases.named(event)}"),
            kind=event.verdict,
            link=_id(number),
            first=plots.seconds(event.first),
            last=plots.seconds(event.last),
            timeline=event.timeline if len(events) <= CURVES else (),
        )
        for number, event in enumerate(events, 1)
    ]
    return plots.stretches(bars, first, last, says=says)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}\N{HORIZONTAL ELLIPSIS}"


def _id(number: int) -> str:
    return f"event-{number}"


def _card(number: int, event: Event) -> str:
    sure = f"{event.severity} severity, confidence {event.confidence:.2f}"
    rows = [
        ("Victim", _victim(event)),
        ("When", _text(phrases.when(event))),
        ("Detected", _text(clock(event.detected, with_ms=True))),
        ("Rate", _text(", ".join(phrases.peak(event)))),
        ("Volume", _text(", ".join(phrases.volume(event)))),
        ("Sources", _sources(event)),
        ("Greets as", _fingerprints(event)),
        ("What to do", _text(_advice(event))),
        ("ATT&amp;CK", _text(words.technique(event))),
        ("Wireshark", f"<code>{_text(event.display_filter)}</code>" if event.display_filter else ""),
        ("Capture", _text(event.input)),
        ("Event", f"<code>{_text(event.id)}</code>"),
    ]
    told = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows if value)
    plot = plots.rates(
        plots.seconds(event.first), plots.seconds(event.last), event.timeline,
        says=f"Rate of event {number} in {event.rate.unit}: {', '.join(phrases.peak(event))}",
        unit=event.rate.unit, baseline=event.rate.baseline, bounds=(event.timeline_lo, event.timeline_hi),
    )  # fmt: skip
    return (
        f'<article id="{_id(number)}" class="{event.verdict}"><h3><span class="number">{number}</span> '
        f'{_text(phrases.named(event))} <span class="badge {event.severity}">{_text(sure)}</span></h3>\n'
        f"{plot if event.timeline else ''}<dl>{told}</dl>\n<h4>Because</h4><ul class=evidence>"
        f"{''.join(map(_evidence, event.evidence))}</ul>{_bars(event)}</article>\n"
    )


def _victim(event: Event) -> str:
    victim = event.victim
    told = [f"<code>{_text(where(victim))}</code>"]
    if victim.path:
        told.append(f"<code>{_text(victim.path)}</code>")
    if victim.sni is not None:
        told.append(_text(f"name {victim.sni}{' (outer name)' if victim.sni_outer else ''}"))
    return " ".join(told)


def _sources(event: Event) -> str:
    sources = event.sources
    told = [phrases.distinct(sources), words.origin(sources)]
    if sources.forged_share is not None:
        told.append(f"{percent(sources.forged_share.est)} of the flood forged")
    if sources.reflector_ports:
        told.append(f"reflectors answer from port {', '.join(map(str, sources.reflector_ports))}")
    told += [f"through {via.cidr} ({percent(via.share)}), {words.HOW[via.how]}" for via in sources.via]
    if event.capture.unseen_share >= 0.001:
        told.append(f"up to {percent(event.capture.unseen_share)} of the packets unseen")
    return _text("; ".join(told))


def _fingerprints(event: Event) -> str:
    told = (
        f"{one.ja4} {percent(one.share)}" + ("" if one.usual is None else f", usual {percent(one.usual)}")
        for one in event.fingerprints
    )
    return _text("; ".join(told))


def _advice(event: Event) -> str:
    why, advice = event.action.why.rstrip(". "), words.advice(event)
    text = f"{why}. {advice[0].upper()}{advice[1:]}." if why else f"{advice}."
    taken = event.action.taken
    return text if taken == "none" else f"{text} In force: {taken.replace('_', ' ')}."


def _evidence(fact: Evidence) -> str:
    most = max(fact.value, fact.usual or 0.0, 1e-9)
    bars = ""
    if fact.usual is not None and fact.value >= 0 and fact.usual >= 0:
        bars = f"{plots.share(fact.value / most)}{plots.share(fact.usual / most)}"
        bars = f"<span class=pair>{bars}<small>now {fact.value:.4g}, usual {fact.usual:.4g}</small></span>"
    return f"<li>{_text(fact.says)}{bars}</li>"


def _bars(event: Event) -> str:
    """Who sent it, as a picture and in words; of what is not proven it is said that it is not."""
    parts = []
    for heading, rows in (
        ("Sources, proven real" if event.sources.origin != "reflected" else "Reflectors", event.sources.top),
        ("Seen, not proven: never blocked", event.sources.seen),
    ):
        if not rows:
            continue
        most = max(row.share for row in rows) or 1.0
        told = "".join(_source(row, most) for row in rows[:LISTED])
        rest = rows[LISTED:]
        more = f"<p>and {', '.join(_text(row.cidr) for row in rest)}</p>" if rest else ""
        parts.append(f"<h4>{heading}</h4><ul class=sources>{told}</ul>{more}")
    return "".join(parts)


def _source(row: TopSource, most: float) -> str:
    count = f"{row.count.lo:,}" if row.count.lo == row.count.hi else f"{row.count.lo:,} to {row.count.hi:,}"
    notes = [
        percent(row.share),
        count,
        *(["shared by many"] if row.shared else []),
        row.ja4 or "",
        phrases.located(row),
    ]
    return (
        f"<li><code>{_text(row.cidr)}</code>{plots.share(row.share / most)}"
        f"<span>{_text(', '.join(filter(None, notes)))}</span></li>"
    )


def _input(item: Input) -> str:
    name = "(standard input)" if item.path == "-" else item.path
    told = [plural(item.packets, "packet"), f"{compact(item.bytes, ' ')}B", item.format or "unknown format"]
    if item.first and item.last:
        told.append(f"{item.first[:10]} {span(item.first, item.last, item.first[:10], ' UTC')}")
    told += [f"{why.replace('_', ' ')}: {count:,}" for why, count in largest_first(item.rejected) if count]
    told += phrases.input_notes(item)
    if item.one_way:
        told.append(words.ONE_WAY)
    if item.error:
        told.append(f"error: {item.error.message} ({item.error.code})")
    return f"<h3><code>{_text(name)}</code></h3><ul>{_items(told)}</ul>"
