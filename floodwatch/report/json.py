"""The report for programs: one JSON object, safe to show on a terminal, and the schema that describes it."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from floodwatch.errors import InputError
from floodwatch.model.report import SCHEMA_REPORT, Report
from floodwatch.report.checked import check

AReport = TypeVar("AReport", bound=Report)

SCHEMA_ID = f"urn:floodwatch:schema:{SCHEMA_REPORT}"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_UNUSUAL = re.compile(r"[^\x20-\x7e]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def dump(record: msgspec.Struct | dict[str, Any]) -> bytes:
    """Encode a report, or another record, as one JSON object and a newline, keys in the order of the records.

    JSON itself escapes only the C0 controls. DEL, C1, bidirectional marks and whatever else has no visible
    shape are escaped as well, so that ``cat`` cannot be made to run a terminal's escape sequences.
    """
    try:
        encoded = msgspec.json.encode(record)
    except UnicodeEncodeError:
        # A file name that is not UTF-8: rare, so only then is the record walked.
        encoded = msgspec.json.encode(_without_surrogates(msgspec.to_builtins(record)))
    return ascii_json(encoded)


def ascii_json(encoded: bytes) -> bytes:
    """One line of JSON in which nothing can move a terminal's cursor."""
    return _UNUSUAL.sub(_escape, encoded.decode()).encode() + b"\n"


def load(encoded: bytes | str, path: str, kind: type[AReport]) -> AReport:
    """Read a report back.

    Args:
        encoded: what ``dump`` made of it; fields that a later version added are passed over.
        path: what to call it in an error.
        kind: the class that it becomes.

    Raises:
        InputError: it is no report.
    """
    try:
        report = msgspec.json.decode(encoded, type=kind)
        check(report)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError(path, "no_report", f"not a JSON report of floodwatch: {error}") from error
    return report


def schema() -> bytes:
    """Return the JSON Schema (2020-12) of a report, generated from the records, pretty-printed."""
    document = {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": SCHEMA_REPORT,
        **msgspec.json.schema(Report),
    }
    return pretty(document)


def pretty(document: dict[str, Any]) -> bytes:
    """JSON for people, as schemas are printed."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char.isprintable():
        return char
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _without_surrogates(value: Any) -> Any:
    r"""Spell bytes that were no UTF-8 as ``\xNN`` in every string; JSON has no way to carry them."""
    if isinstance(value, str):
        return _SURROGATE.sub(lambda match: f"\\x{ord(match[0]) & 0xFF:02x}", value)
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    return value
