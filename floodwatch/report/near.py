"""What a text report says below its floods: what came nearest to one, and what to type next."""

from __future__ import annotations

import shlex

from floodwatch.detectors import title
from floodwatch.model.event import Victim
from floodwatch.model.report import Near, Report
from floodwatch.report.escape import flow, printable
from floodwatch.report.units import clock, percent

HEADING = "NEAREST to a flood, and none"
REPORT = "report.json"
NEXT = "Next, every source and the rules against the first flood:"


def where(victim: Victim) -> str:
    """The victim's address with its port; not yet fit for a terminal."""
    address = victim.ip
    if victim.port is None:
        return f"{address} ({victim.protocol}, any port)"
    if "/" in address:
        return f"{address} port {victim.port}"
    return f"[{address}]:{victim.port}" if ":" in address else f"{address}:{victim.port}"


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
    quoted = " ".join(shlex.quote(item.path) for item in report.inputs)
    if (
        len(report.inputs) > 1
        or quoted != printable(quoted)
        or quoted.startswith("-")
        or len(quoted) > width - 8
    ):
        quoted = "CAPTURE..."
    return [
        *flow(NEXT.split(" "), width),
        *_command(["floodwatch scan", "--format json", "--top 0", f"-o {REPORT}", quoted], width),
        *_command(["floodwatch explain", REPORT, "1", "--as nft"], width),
    ]


def _command(pieces: list[str], width: int) -> list[str]:
    """A command in lines that end in a backslash where it goes on."""
    *lines, last = flow(pieces, width - 2, first="  ", rest="    ")
    return [*(f"{line} \\" for line in lines), last]
