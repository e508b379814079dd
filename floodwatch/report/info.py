"""What is in a capture, for people: the page that ``floodwatch info`` prints."""

from __future__ import annotations

from collections.abc import Iterator

from floodwatch.model.report import Greetings, Info, Input
from floodwatch.report import words
from floodwatch.report.escape import flow, printable
from floodwatch.report.units import compact, largest_first, percent, plural, span

LABEL_END = 14
REJECTS = {
    "unknown_linktype": "of a link type that floodwatch does not read",
    "not_ip": "not IP (ARP, LLDP, spanning tree ...)",
    "truncated": "cut by the snap length inside their headers",
    "bad_ip": "with an inconsistent IP header",
    "bad_transport": "too short for their transport header",
    "nested": "with more nested headers than any stack sends",
}


LISTED = 10
"""Fingerprints, and names, on a page; JSON tells more."""


def render_info(info: Info, *, unicode: bool, width: int) -> str:
    """Describe each capture in lines of at most ``width`` columns."""
    pages = ["\n".join(_page(item, unicode, width)) for item in info.inputs]
    return "\n\n".join(pages) + "\n"


def _page(item: Input, unicode: bool, width: int) -> list[str]:
    def row(label: str, text: str) -> list[str]:
        safe = printable(text, unicode=unicode)
        return flow(
            safe.split(" "), width, first=f"  {label:<{LABEL_END - 2}}", rest=" " * LABEL_END, gap=" "
        )

    lines = ["(standard input)" if item.path == "-" else printable(item.path, unicode=unicode)]
    lines += row("format", item.format or "unknown")
    for interface in item.interfaces:
        named = f"{interface.name}: " if interface.name else ""
        limit = f"snap length {interface.snaplen:,}" if interface.snaplen else "no snap length"
        lines += row("interface", f"{named}{interface.linktype}, {limit}")
    if item.first and item.last:
        lines += row("time", f"{item.first[:10]} {span(item.first, item.last, item.first[:10], ' UTC')}")
    if item.packets:
        rate = f", {compact(item.packets / item.duration_s)} packets/s" if item.duration_s else ""
        mean = f"{item.bytes / item.packets:.0f} bytes on average"
        lines += row("packets", f"{item.packets:,}, {compact(item.bytes, ' ')}B{rate}, {mean}")
        lines += row("decoded", f"{percent(1 - sum(item.rejected.values()) / item.packets)} of them")
    for why, count in largest_first(item.rejected):
        lines += row("rejected", f"{count:,} {REJECTS.get(why, why)}")
    for kind, count in largest_first(item.tunnels):
        lines += row("tunnel", f"{plural(count, 'packet')} in {kind}")
    if item.packets:
        lines += row("direction", words.ONE_WAY if item.one_way else "both, judging by the hosts under load")
        lines += row("lost", _lost(item))
        lines += row("duplicates", _doubled(item))
    if item.elsewhere:
        lines += row("forwarded", words.ELSEWHERE.format(plural(item.elsewhere, "more sighting")))
    for label, text in _greetings(item.hellos) if item.hellos else ():
        lines += row(label, text)
    for text in words.decrypted(item.decrypted) if item.decrypted else ():
        lines += row("keys", text)
    if item.error:
        where = "" if item.error.offset is None else f" at byte {item.error.offset:,}"
        lines += row("error", f"{item.error.message} ({item.error.code}{where})")
    return lines


def _greetings(hellos: Greetings) -> Iterator[tuple[str, str]]:
    """Rows on the ClientHellos of a capture; none where there are none."""
    whole = {"TLS": hellos.tls, "DTLS": hellos.dtls, "QUIC": hellos.quic}
    if total := sum(whole.values()):
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in whole.items() if count)
        offers = ", ".join(
            f"{version} {percent(count / total)}" for version, count in hellos.versions.items()
        )
        yield "hellos", f"{kinds}; offering at most {offers}"
    for one in hellos.fingerprints[:LISTED]:
        yield "ja4", f"{one.ja4} {plural(one.hellos, 'hello')} ({percent(one.hellos / total)})"
    for name in hellos.names[:LISTED]:
        outer = f", {name.outer:,} of them as the outer name" if name.outer else ""
        yield "name", f"{name.sni} {plural(name.hellos, 'hello')}{outer}"
    missed = "more than the sample takes" if hellos.opener else words.NO_OPENER
    for count, what in (
        (hellos.forgotten, "of fingerprints that were too many to keep"),
        (hellos.broken, "broken: lengths that contradict each other, or more than 8 KiB"),
        (hellos.unfinished, "unfinished: the rest never came"),
        (hellos.cut, "cut by the snap length"),
        (hellos.refused, "of QUIC that no key opens: forged, or begun before the capture"),
        (hellos.missed, f"not looked at: {missed}"),
    ):
        if count:
            yield "hellos", f"{count:,} {what}"


def _lost(item: Input) -> str:
    if not item.lost:
        return "none recorded in the file"
    share = percent(item.lost / (item.lost + item.packets))
    return f"{plural(item.lost, 'packet')} ({share}), as recorded in the capture"


def _doubled(item: Input) -> str:
    if item.duplicates:
        return words.MIRRORED.format(plural(item.duplicates, "copy", "copies"))
    if item.doubled >= 0.01:
        return f"{percent(item.doubled)} of the first frames were captured twice; both copies are counted"
    return "none"
