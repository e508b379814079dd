"""The events as a table: a row each, columns named after the JSON report's fields (CSV, RFC 4180).

Spreadsheets run what looks like a formula, and paths and names in a report are written by strangers: such a
cell gets an apostrophe in front. Lists stand in one cell; what is a course in time stands only in the JSON.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from floodwatch.model.event import Event
from floodwatch.report.escape import printable

COLUMNS = (
    "id", "input", "seq", "vector", "verdict", "severity", "confidence", "state", "pattern", "linked",
    "capture.interface", "capture.unseen_share", "capture.copied_share", "capture.stamps",
    "victim.ip", "victim.port", "victim.protocol", "victim.path", "victim.sni", "victim.sni_outer",
    "first", "detected", "last",
    "rate.peak", "rate.unit", "rate.baseline", "rate.estimated", "rate.lo", "rate.hi", "packets", "bytes",
    "sources.origin", "sources.distinct.est", "sources.distinct.lo", "sources.distinct.hi",
    "sources.forged_share.est", "sources.forged_share.lo", "sources.forged_share.hi",
    "sources.top", "sources.reflector_ports", "sources.seen", "sources.via",
    "evidence", "action.recommended", "action.why", "action.taken", "fingerprints", "counted.seconds",
    "technique", "display_filter",
)  # fmt: skip
"""New ones are added at the end."""
ABSENT = ("schema", "counted.stretches", "timeline", "timeline_lo", "timeline_hi")
"""Fields of an event that no cell can hold, or that are the same in every row."""
CELLS = {
    "sources.top": ("cidr", " "),
    "sources.seen": ("cidr", " "),
    "sources.via": ("cidr", " "),
    "evidence": ("says", " | "),
    "fingerprints": ("ja4", " "),
}
"""Lists of records: the field that a cell holds of each, and what stands in between."""
FORMULA = re.compile('(^|;)(?=[\\s"]*[=+\\-@\t\r\uff1d\uff0b\uff0d\uff20])')
"""What begins like a formula, also in the wide letters of East Asia, and also behind a semicolon: where a
comma is the decimal sign, spreadsheets part cells there."""


def csv_table(events: Iterable[Event]) -> bytes:
    """A row of names, and a row for each event, in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for event in events:
        fields = msgspec.to_builtins(event)
        writer.writerow(_cell(name, _field(fields, name)) for name in COLUMNS)
    return text.getvalue().encode()


def _field(fields: Any, name: str) -> Any:
    """The field of a dotted name; None where a record on the way is null."""
    for part in name.split("."):
        if fields is None:
            return None
        fields = fields[part]
    return fields


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return inert(value)
    part, gap = CELLS.get(name, ("", " "))
    return inert(gap.join(str(one[part] if part else one) for one in value))


def inert(text: str) -> str:
    """Text that a spreadsheet takes as text and a terminal shows as it is."""
    return printable(FORMULA.sub(r"\1'", text), unicode=True)
