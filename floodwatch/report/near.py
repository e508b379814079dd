"""What a text report says below its floods: what came nearest to one, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from floodwatch.detectors import title
from floodwatch.model.event import Event, Victim
from floodwatch.model.report import Near, Report
from floodwatch.report.escape import flow, printable
from floodwatch.report.units import clock, percent

HEADING = "NEAREST to a flood, and none"
SEVERITIES = ("critical", "high", "medium", "low")
REPORT = "report.json"
PAGE = "report.html"
NEXT = "Next, {}a page to send, every source, and the rules against {}:"


def where(victim: Victim) -> str:
    """The victim's address with its port; not yet fit for a terminal."""
    address = victim.ip
    if victim.port is None:
        return f"{address} ({victim.protocol}, any port)"
    if "/" in address:
        return f"{address} port {victim.port}"
    return f"[{address}]:{victim.port}" if ":" in address else f"{address}:{victim.port}"


def gravest(events: Iterable[Event]) -> list[Event]:
    """The events by severity, those of most packets first among their like."""
    return sorted(events, key=lambda event: (SEVERITIES.index(event.severity), -event.packets))


def nearest(report: Report, *, unicode: bool, width: int) -> list[str]:
    """A line or some for each, those first that came nearest."""
    lines = [HEADING] if report.nearest else []
    several = len(report.inputs) > 1
    for near in report.nearest:
        words = printable(says(near, several=several), unicode=unicode).split(" ")
        lines += flow(words, width, first="  - ", rest="    ")
    return lines


def says(near: Near, *, several: bool) -> str:
    """What came near a flood, where, when, and why it was none.

    Args:
        near: what is told.
        several: there are several captures, so that it is said which.
    """
    capture = f" of {near.input}" if several else ""
    text = (
        f"{title(near.vector)} at {where(near.victim)}{capture}, {clock(near.at, with_ms=True)}: {near.why}"
    )
    share = f" ({percent(near.share)})" if near.share < 1 else ""
    usual = "" if near.usual is None else f"; usual there: {near.usual:,.10g} per second"
    return f"{text}{share}. Rule: {near.what}{usual}"


def next_commands(report: Report, *, width: int) -> list[str]:
    """What to type next where there are floods: lines that a shell takes as they stand, broken ones too."""
    if not report.floods or any(item.format == "live" or item.path == "-" for item in report.inputs):
        return []
    captures = [_word(item.path, width) for item in report.inputs]
    named = captures[0] if len(captures) == 1 else None
    settings = report.settings
    only = ["-f", _word(settings.filter, width) or "FILTER"] if settings.filter else []
    for ja4 in settings.ja4:
        only += ["--filter-ja4", _word(ja4, width) or "JA4"]
    number = 1 + report.floods.index(gravest(report.floods)[0])
    # Of chosen fingerprints nothing can be cut.
    cut = [] if settings.ja4 else [f"--cut {number}", f"-w flood-{number}.pcapng"]
    which = "the flood" if len(report.floods) == 1 else f"flood {number}, the gravest"
    asked = ["--report", PAGE, "--format json", "--top 0", "-o", REPORT]
    return [
        *flow(
            NEXT.format(f"the frames of {which}, " if cut else "", "it" if cut else which).split(" "), width
        ),
        *_command(["floodwatch scan", *cut, *asked, *only, named or "CAPTURE..."], width),
        *_command(["floodwatch explain", REPORT, str(number), "--as nft"], width),
    ]


def _word(text: str, width: int) -> str | None:
    """Text as one word of a command line; None where it cannot be typed, or would not fit into a line."""
    quoted = shlex.quote(text)
    if quoted != printable(quoted) or quoted.startswith("-") or len(quoted) > width - 12:
        return None
    return quoted


def _command(pieces: list[str], width: int) -> list[str]:
    """A command in lines that end in a backslash where it goes on."""
    *lines, last = flow(pieces, width - 2, first="  ", rest="    ")
    return [*(f"{line} \\" for line in lines), last]
