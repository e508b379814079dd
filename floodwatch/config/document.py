"""One file of a configuration: read, and each value of it held against its key. All that is wrong is told."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from ..errors import ConfigError
from .keys import TABLES, TOP, Above, Key, Table
from .kinds import TYPES, near, shown
from .positions import Path, Point, Spot, positions

BYTES_MOST = 1 << 20
"""Of one file."""
MEANS = {
    "Cannot overwrite a value": "this key is written twice, keep one of them",
    "Cannot declare": "this table is written twice, join both",
    "Cannot mutate immutable namespace": "a table in braces cannot be added to, write all of it in one place",
    "Invalid value": "no value can be read here; text stands in quotes, as \"60s\"",
    "Expected '=' after a key": "a key is followed by = and its value",
    "Unclosed array": "a list is not closed, the ] is missing",
    "Unterminated string": "text is not closed, the quote at its end is missing",
    "Expected newline or end of document": "something stands behind the value, write one key a line",
    "Illegal character '\\n'": "text is not closed, the quote at its end is missing",
    "Unescaped '\\'": "a backslash in text is written twice, or the text stands in single quotes",
    "Invalid statement": "a line is neither key = value, nor [table], nor a # comment",
}  # fmt: skip
"""What complaints of ``tomllib`` mean, and what to do; it gives no others a name of their own."""


class Place(NamedTuple):
    """Where something stands in a file, line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """As compilers have it."""
        return f"{self.file}:{self.line}:{self.column}"


class Given(NamedTuple):
    """A value as it was written, what became of it, and where: a list may come from several places."""

    raw: Any
    value: Any
    places: tuple[Place, ...]


class Entry(dict[str, Given]):
    """What one table says, by key. ``wrong``: keys that are written, and their values will not do."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: set[str] = set()

    def written(self, key: str) -> bool:
        """Is it there, right or wrong?"""
        return key in self or key in self.wrong


Tell: TypeAlias = Callable[[Place, str], None]
"""Hears of all that is wrong."""


class Document(NamedTuple):
    """What a file says: for each table's name the tables of that name, each with its place."""

    tables: dict[str, list[tuple[Place, Entry]]]


def read(file: str, content: bytes, above: Above, tell: Tell) -> Document:
    """What a file says; what is wrong is told, and left out.

    Args:
        file: its name, for messages.
        content: what it holds.
        above: see there.
        tell: hears each error.
    """
    try:
        if len(content) > BYTES_MOST:
            raise ConfigError(f"the file is larger than {BYTES_MOST >> 20} MiB: it is no configuration")
        text = content.decode()
        data = tomllib.loads(text)
        spots = positions(text)
    except ConfigError as error:
        tell(Place(file, 1, 1), str(error))
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line = before.count("\n")
        tell(Place(file, line + 1, len(before.rpartition("\n")[2]) + 1), "this is no UTF-8: save it as UTF-8")
    except RecursionError:
        tell(Place(file, 1, 1), "lists or tables stand too deep in each other")
    except tomllib.TOMLDecodeError as error:
        tell(*_syntax(file, text, str(error)))
    else:
        return _Reader(file, spots, above, tell).document(data)
    return Document({})


def _syntax(file: str, text: str, complaint: str) -> tuple[Place, str]:
    """A complaint of ``tomllib`` with its place; at the end of the text it names none."""
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", complaint, re.DOTALL)
    why = found[1] if found else complaint
    lines = text.split("\n")
    place = Place(file, len(lines), len(lines[-1]) + 1)
    if found and found[2]:
        place = Place(file, int(found[2]), int(found[3]))
    means = next((means for begin, means in MEANS.items() if why.startswith(begin)), None)
    return place, f"this is no TOML: {means or why}"


class _Reader:
    def __init__(self, file: str, spots: Mapping[Path, Spot], above: Above, tell: Tell) -> None:
        self._file, self._spots, self._above, self._tell = file, spots, above, tell

    def document(self, data: dict[str, Any]) -> Document:
        tables = {TOP.name: [self._table(TOP, {k: v for k, v in data.items() if _named(k) is None}, ())]}
        for name, value in data.items():
            if (table := _named(name)) is not None:
                tables[name] = list(self._tables(table, value))
        return Document(tables)

    def _place(self, point: Point) -> Place:
        return Place(self._file, *point)

    def _tables(self, table: Table, value: Any) -> Iterator[tuple[Place, Entry]]:
        """All tables of a name; a single one stands once."""
        name, place = table.name, self._place(self._spots[(table.name,)].key)
        if table.most == 1:
            if isinstance(value, dict):
                yield self._table(table, value, (name,))
            elif isinstance(value, list):
                self._tell(place, f"{name}: this is a list, write [{name}] once, with single brackets")
            else:
                self._tell(place, f"{name}: this is {_type(value)}, write a table: [{name}]")
        elif not isinstance(value, list):
            self._tell(place, f"{name}: this is {_type(value)}, write [[{name}]], with double brackets")
        else:
            if len(value) > table.most:
                self._tell(place, f"{name}: there are {len(value)}, and {table.most} are the most")
            for number, one in enumerate(value[: table.most]):
                if isinstance(one, dict):
                    yield self._table(table, one, (name, number))
                else:
                    self._tell(place, f"{name}: this is {_type(one)}, write [[{name}]] and its keys below")

    def _table(self, table: Table, data: dict[str, Any], path: Path) -> tuple[Place, Entry]:
        entry = Entry()
        place = self._place(self._spots[path].key if path in self._spots else (1, 1))
        for name, raw in data.items():
            spot, key = self._spots[*path, name], table.key(name)
            if key is None:
                self._tell(self._place(spot.key), _unknown(table, name))
            else:
                self._value(entry, key, raw, (*path, name))
        if path:  # whether the top of a file is whole shows when all files are together
            for key in table.keys:
                if key.needed and key.name not in data:
                    wanted = f"write {key.name} = {key.kind.example}"
                    self._tell(place, f"{table.name}: {key.name} is missing, {wanted}")
        return place, entry

    def _value(self, entry: Entry, key: Key, raw: Any, path: Path) -> None:
        """Add a value to what its table says, unless something is wrong with it."""
        place = self._place(self._spots[path].value)
        of = key.kind.of
        try:
            if of is None or not isinstance(raw, list):
                value = key.kind.read(raw)
                if key.judge is not None:
                    key.judge(self._above, value)
                entry[key.name] = Given(raw, value, (place,))
                return
            if len(raw) > key.kind.schema["maxItems"]:
                raise ConfigError(f"there are {len(raw)}, and {key.kind.schema['maxItems']} are the most")
        except ConfigError as error:
            self._tell(place, f"{_dotted(path)} = {shown(raw)}: {error}")
            entry.wrong.add(key.name)
            return
        parsed, places = [], []
        for number, one in enumerate(raw):
            where = self._place(self._spots[*path, number].value)
            try:
                if key.name != "argv" and one in raw[:number]:
                    raise ConfigError("it is listed twice, keep one of them")
                parsed.append(of.read(one))
                places.append(where)
            except ConfigError as error:
                self._tell(where, f"{_dotted(path)}[{number}] = {shown(one)}: {error}")
                entry.wrong.add(key.name)
        entry[key.name] = Given(raw, tuple(parsed), tuple(places) or (place,))


def _named(name: str) -> Table | None:
    return next((table for table in TABLES if table.name == name and table is not TOP), None)


def _type(value: object) -> str:
    return TYPES.get(type(value), "a date or time")


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path if isinstance(part, str))


def _unknown(table: Table, name: str) -> str:
    """A key that there is not: what may have been meant, or where it belongs."""
    here = f"in [{table.name}]" if table.name else "here"
    names = [key.name for key in table.keys]
    if not table.name:
        names += [other.name for other in TABLES if other.name]
    homes = [other for other in TABLES if other.key(name)]
    close = near(name, names)
    if homes and not close.startswith("did"):
        home = homes[0]
        close = f"it belongs under {home.header}" if home.name else "it belongs before the first table"
    return f"there is no key {shown(name)} {here}; {close}"
