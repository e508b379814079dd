"""What ``explain`` prints for people: one event in full, or all that a report tells of one address."""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterable, Iterator

from floodwatch.detectors import title
from floodwatch.model.address import Network, meet
from floodwatch.model.event import Event, TopSource
from floodwatch.model.report import Report
from floodwatch.report import phrases, words
from floodwatch.report.escape import flow, printable
from floodwatch.report.near import says, where
from floodwatch.report.units import compact, percent, plural

LABEL_END = 10
WIDTH = 80
PROVEN = {"handshake": "proven by a handshake", "forwarded": "named by a proxy", None: ""}

Row = tuple[str | None, str]
"""A label, and what is said beside it; a headline has none, and an empty one continues the row above."""


def event_text(event: Event, *, width: int = WIDTH, unicode: bool = False) -> str:
    """One event: what was seen, the evidence, what to do, and every source that the report lists."""
    return _page(_event(event), width, unicode)


def address_text(
    report: Report, network: Network, path: str, *, width: int = WIDTH, unicode: bool = False
) -> str:
    """What a report tells of an address, or of a network: as a victim, as a source, or that it is normal.

    Args:
        report: the report.
        network: the address.
        path: where the report is, for the commands that are named.
        width: columns of the terminal.
        unicode: allow characters beyond ASCII.
    """
    return _page(_address(report, network, path), width, unicode)


def fewer(event: Event) -> str:
    """A clear word where the report holds fewer sources than the event has; else empty."""
    listed, most = len(event.sources.top), event.sources.distinct.lo
    if not 0 < listed < most:
        return ""
    return (
        f"the report lists {listed:,} of at least {most:,} sources: scan with --top 0 for all that are known"
    )


def _page(rows: Iterable[Row], width: int, unicode: bool) -> str:
    lines: list[str] = []
    for label, text in rows:
        pieces = printable(text, unicode=unicode).split(" ")
        lines += flow(
            pieces, width, first="" if label is None else f"{label:<{LABEL_END}}", rest=" " * LABEL_END
        )
    return "\n".join(lines) + "\n"


def _event(event: Event) -> Iterator[Row]:
    sure = f"confidence {event.confidence}, {event.severity}"
    yield None, f"{title(event.vector, event.verdict)} ({event.verdict}), {sure}"
    victim, sources = event.victim, event.sources
    yield "victim", f"{where(victim)} ({victim.protocol}) {victim.path or ''}".rstrip()
    if victim.sni is not None:
        yield "name", f"{victim.sni}{' (outer name)' if victim.sni_outer else ''}"
    yield "time", phrases.when(event)
    yield "", f"{event.first} to {event.last}, detected {event.detected}"
    yield "rate", ", ".join(phrases.peak(event))
    yield "volume", ", ".join(phrases.volume(event))
    if event.capture.unseen_share >= 0.001:
        yield "unseen", f"up to {percent(event.capture.unseen_share)} of the packets"
    yield "sources", f"{sources.distinct.lo:,} to {sources.distinct.hi:,}, {words.origin(sources)}"
    if sources.forged_share is not None:
        yield "", f"{percent(sources.forged_share.est)} of the flood forged"
    for via in sources.via:
        yield "via", f"{via.cidr}  {percent(via.share)}, {words.HOW[via.how]}"
    for one in event.fingerprints:
        yield "hello", f"{one.ja4}  {percent(one.share)}"
    for fact in event.evidence:
        yield "because", f"{fact.says} ({fact.name})"
    yield "so", f"{words.advice(event)}: {event.action.why}"
    if event.action.taken != "none":
        yield "in force", event.action.taken.replace("_", " ")
    yield from _references(event)
    for source in sources.top:
        yield "source", _source(source)
    for source in sources.seen:
        yield "seen", f"{_source(source)}, not proven"


def _references(event: Event) -> Iterator[Row]:
    if event.technique:
        yield "ATT&CK", words.technique(event)
    if event.display_filter:
        yield "Wireshark", event.display_filter
    yield "capture", event.input
    yield "event", event.id
    for other in event.linked:
        yield "linked", other


def _source(source: TopSource) -> str:
    notes = (PROVEN[source.proof], "shared by many" if source.shared else "", source.ja4 or "",
             phrases.located(source))  # fmt: skip
    count = f"{source.count.lo:,} to {source.count.hi:,}"
    return ", ".join([f"{source.cidr}  {percent(source.share)}  {count}", *filter(None, notes)])


def _network(text: str) -> Network | None:
    """An address of a report; whoever wrote the report may have written anything."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _meets(network: Network, text: str) -> bool:
    other = _network(text)
    return other is not None and meet(network, other)


def _address(report: Report, network: Network, path: str) -> Iterator[Row]:
    host = network.prefixlen == network.max_prefixlen
    yield None, str(network.network_address if host else network)
    named, doubts = list[int](), dict[str, list[int]]()
    for number, event in enumerate(report.events(), 1):
        rows = list(_parts(number, event, network))
        yield from rows
        if rows:
            named.append(number)
        elif doubt := _doubt(event):
            doubts.setdefault(doubt, []).append(number)
    other = [*_nearest(report, network), *_got(report, network)]
    yield from other
    if not named and not other:
        yield "unnamed", "no event, near miss or busy host of the report names it"
    for doubt, numbers in doubts.items():
        yield "unsure", f"whether it sent {_listed(numbers)}: {doubt}"
    if named:
        yield "more", f"floodwatch explain {shlex.quote(path)} N, where N is {_listed(named)}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _parts(number: int, event: Event, network: Network) -> Iterator[Row]:
    """What an address is in an event."""
    named, sources = f"{number} {phrases.named(event)}", event.sources
    if _meets(network, event.victim.ip):
        yield "victim", f"of {named}: {where(event.victim)}, {phrases.when(event)}, {phrases.peak(event)[0]}"
    at = f"of {named} at {where(event.victim)}, {phrases.when(event)}"
    for source in sources.top:
        if _meets(network, source.cidr):
            yield "reflector" if sources.origin == "reflected" else "source", f"{at}: {_source(source)}"
    for source in sources.seen:
        if _meets(network, source.cidr):
            yield "seen", f"as a sender {at}: {_source(source)}; not proven, so it may be forged"
    for via in sources.via:
        if _meets(network, via.cidr):
            yield "proxy", f"{at}: {percent(via.share)} came through it, {words.HOW[via.how]}"


def _doubt(event: Event) -> str:
    """Why a report cannot tell whether an address that it does not name sent an event; empty where it can."""
    if fewer(event):
        return "not all of the sources are listed, scan with --top 0 for all that are known"
    origin = event.sources.origin
    return f"the sources are {words.ORIGINS[origin]}" if origin in ("forged", "mixed", "unknown") else ""


def _nearest(report: Report, network: Network) -> Iterator[Row]:
    for near in report.nearest:
        if _meets(network, near.victim.ip):
            yield "nearest", f"to a flood, and none: {says(near, several=len(report.inputs) > 1)}"


def _got(report: Report, network: Network) -> Iterator[Row]:
    """What busy hosts got, and that they were normal if no event has them as its victim."""
    victims = [event.victim.ip for event in report.events()]
    for measured in report.traffic:
        capture = f" in {measured.input}" if len(report.traffic) > 1 else ""
        for host in measured.hosts:
            address = _network(host.address)
            if address is None or not meet(network, address):
                continue
            normal = not any(_meets(address, victim) for victim in victims)
            got = f"{plural(host.packets, 'packet')} at least, at most {compact(host.peak)} packets/s"
            label, ends = ("normal", ", and no flood, crowd or surge") if normal else ("got", "")
            yield label, f"{host.address}{capture}: {got}{ends}"
