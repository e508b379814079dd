"""The formats of an answer, a row each: what ``--format`` takes, and what writes it.

A new format is a function and a row. Writers are imported late: the command line reads this table for --help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from floodwatch.model.event import Event
    from floodwatch.model.report import Report


class Shown(NamedTuple):
    """How a text for people should look.

    Attributes:
        top: sources to list for each flood; 0 lists all.
        color: ``always``, ``never`` or ``auto``.
        to_file: it goes to a file and not to standard output.
    """

    top: int = 0
    color: str = "never"
    to_file: bool = True


class Format(NamedTuple):
    """One format.

    Attributes:
        says: what it is, in a few words.
        report: the whole answer of a scan.
        change: one change of an event while a watch goes on, or None: it has no such form.
        last: what a watch ends with, after its changes.
    """

    says: str
    report: Callable[[Report, Shown], bytes]
    change: Callable[[str, Event], bytes] | None
    last: Callable[[Report, Shown], bytes]


def _text(report: Report, shown: Shown) -> bytes:
    from floodwatch.report.escape import look
    from floodwatch.report.text import render

    screen = look(shown.color, to_file=shown.to_file)
    text = render(report, top=shown.top, color=screen.color, unicode=screen.unicode, width=screen.width)
    return text.encode()


def _json(report: Report, shown: Shown) -> bytes:
    from floodwatch.report.json import dump

    return dump(report)


def _ndjson(report: Report, shown: Shown) -> bytes:
    events = (_event("ended", event) for event in report.events())
    return b"".join([*events, _json(report, shown)])


def _line(what: str, event: Event) -> bytes:
    from floodwatch.report.events import line

    return line(what, event)


def _brief(report: Report, shown: Shown) -> bytes:
    from floodwatch.report.brief import render

    return render(report).encode()


def _html(report: Report, shown: Shown) -> bytes:
    from floodwatch.report.page import render

    return render(report).encode()


def _event(what: str, event: Event) -> bytes:
    from floodwatch.report.json import dump

    return dump(event)


def _eve(what: str, event: Event) -> bytes:
    from floodwatch.report.eve import line

    return line(what, event)


def _eves(report: Report, shown: Shown) -> bytes:
    return b"".join(_eve("ended", event) for event in report.events())


def _ecs(what: str, event: Event) -> bytes:
    from floodwatch.report.ecs import line

    return line(what, event)


def _ecs_lines(report: Report, shown: Shown) -> bytes:
    return b"".join(_ecs("ended", event) for event in report.events())


def _ocsf(what: str, event: Event) -> bytes:
    from floodwatch.report.ocsf import line

    return line(what, event)


def _ocsf_lines(report: Report, shown: Shown) -> bytes:
    # Whoever reads them hears of each for the first time.
    return b"".join(_ocsf("opened", event) for event in report.events())


def _stix(report: Report, shown: Shown) -> bytes:
    from floodwatch.report.stix import bundle

    return bundle(report)


def _csv(report: Report, shown: Shown) -> bytes:
    from floodwatch.report.table import csv_table

    return csv_table(report.events())


def _nothing(report: Report, shown: Shown) -> bytes:
    return b""


FORMATS: dict[str, Format] = {
    "text": Format("for people", _text, _line, _text),
    "json": Format("one object (floodwatch.report/1)", _json, None, _json),
    "ndjson": Format("one event per line (floodwatch.event/1), then the report", _ndjson, _event, _json),
    "eve": Format("an alert per line, as Suricata's EVE has it", _eves, _eve, _nothing),
    "ecs": Format("a document per line, of the Elastic Common Schema", _ecs_lines, _ecs, _nothing),
    "ocsf": Format("a Detection Finding per line, of OCSF 1.3", _ocsf_lines, _ocsf, _nothing),
    "stix": Format("a bundle of STIX 2.1, whose indicators name proven sources only", _stix, None, _stix),
    "csv": Format("a table of the events, for spreadsheets and databases", _csv, None, _csv),
    "brief": Format("the verdict in at most 2 kB, for a ticket or a chat", _brief, None, _brief),
    "html": Format("one page for a browser, which needs nothing else", _html, None, _html),
}
LIVE = [name for name, row in FORMATS.items() if row.change is not None]
"""Formats in which a watch can tell what happens."""
