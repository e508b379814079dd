"""A configuration as TOML: the file to begin with, and what holds once all files are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .document import Document, Entry
from .keys import FLOORS, SCHEMA, TABLES, TOP, Key, Table
from .kinds import toml

HEAD = f"""\
# The configuration of floodwatch. It watches, and blocks nothing.
#
# A line that begins with # and a key shows what holds where nothing is written, or an example.
#   floodwatch config check            can it be read, and what would run?
#   floodwatch config show --origin    what holds, and which line says so?
# Files in conf.d beside it are read after it, in the order of their names.

schema = {SCHEMA}
"""


def fresh(interfaces: Iterable[str]) -> str:
    """A file that observes these interfaces and names every other key."""
    written = {
        "schema": "",
        "mode": 'mode = "observe"',
        "interfaces": f"interfaces = {toml(list(interfaces))}",
    }
    lines = [HEAD]
    for table in TABLES:
        if table.name:
            lines += ["", f"# {table.says}", f"{'#' if table.most > 1 else ''}{table.header}"]
        for key in table.keys[:1] if table is FLOORS else table.keys:
            line = written.get(key.name) if table is TOP else None
            if line != "":
                lines += [f"# {key.says}", line or f"#{key.name} = {_usual(key)}"]
    return "\n".join(lines) + "\n"


def _usual(key: Key) -> str:
    return key.kind.example if key.default is None else toml(key.default)


def effective(whole: Document, *, origin: bool) -> str:
    """What holds, as a file that says the same; ``origin`` adds the place of each value."""
    lines: list[str] = []
    for table in TABLES:
        entries = [entry for _, entry in whole.tables.get(table.name, ())]
        for entry in entries or ([Entry()] if table.most == 1 else []):
            held = list(_table(table, entry, origin))
            if table.name and held:
                lines += ["", table.header]
            lines += held
    return "\n".join(lines) + "\n"


def _table(table: Table, entry: Entry, origin: bool) -> Iterator[str]:
    for key in table.keys:
        if key.name in entry:
            given = entry[key.name]
            places = ", ".join(dict.fromkeys(f"{place.file}:{place.line}" for place in given.places))
            yield f"{key.name} = {toml(given.raw)}" + (f"  # {places}" if origin else "")
        elif key.default is not None and not (key.name == "profile" and "false_alarms" in entry):
            yield f"{key.name} = {toml(key.default)}" + ("  # built in" if origin else "")
