"""Where each key and value of a TOML text stands: the standard library's reader tells what, but not where.

Libraries that keep a text's layout (tomlkit) do not tell positions either. This scanner need not judge: it
walks over a text that ``tomllib`` has read without complaint, so that what opens also closes.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import NamedTuple, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices that lead to a value, as ``("service", 0, "port")``."""
Point: TypeAlias = tuple[int, int]
"""Line and column, from 1; columns count characters."""

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' r"|'''.*?'''(?:'{0,2})" r'|"(?:\\.|[^"\\])*"' r"|'[^']*'", re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\n]+")


class Spot(NamedTuple):
    """Where a key stands, and its value; an element of a list has no key, so that both are its own."""

    key: Point
    value: Point


def positions(text: str) -> dict[Path, Spot]:
    """Where everything in a TOML text stands, by the keys that lead to it.

    Args:
        text: TOML that ``tomllib.loads`` takes.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.spots


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.spots: dict[Path, Spot] = {}
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._tables: dict[Path, int] = {}

    def scan(self) -> None:
        table: Path = ()
        self._over(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._over(_BLANK)

    def _over(self, pattern: re.Pattern[str]) -> str:
        """Go on behind what matches here, which is returned."""
        found = pattern.match(self.text, self.at)
        assert found is not None, self.at
        self.at = found.end()
        return found[0]

    def _point(self, at: int) -> Point:
        line = bisect_right(self._lines, at)
        return line, at - self._lines[line - 1] + 1

    def _header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``: the table that follows."""
        begin, several = self.at, self.text.startswith("[[", self.at)
        self.at += 1 + several
        names = self._names()
        self.at += 1 + several
        path: Path = ()
        for number, (name, _) in enumerate(names, 1):
            path = (*path, name)
            if several and number == len(names):
                self._mark(path, begin, begin)
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
            self._mark(path, begin, begin)
        return path

    def _names(self) -> list[tuple[str, int]]:
        """A key and where it begins, or several with dots between."""
        found = []
        while True:
            self._over(_SPACE)
            begin = self.at
            if self.text[self.at] in "\"'":
                name = str(tomllib.loads(f"k={self._over(_TEXT)}")["k"])
            else:
                name = self._over(_BARE)
            found.append((name, begin))
            self._over(_SPACE)
            if not self.text.startswith(".", self.at):
                return found
            self.at += 1

    def _mark(self, path: Path, key: int, value: int) -> None:
        self.spots.setdefault(path, Spot(self._point(key), self._point(value)))

    def _pair(self, table: Path) -> None:
        names, path = self._names(), table
        self.at += 1  # the =
        self._over(_SPACE)
        for name, begin in names:
            path = (*path, name)
            self._mark(path, begin, self.at)
        self._value(path)

    def _value(self, path: Path) -> None:
        """Go on behind a value, marking what is inside."""
        first = self.text[self.at]
        if first in "\"'":
            self._over(_TEXT)
        elif first not in "[{":
            self._over(_PLAIN)
        else:
            self.at += 1
            self._over(_BLANK)
            index, end = 0, "]" if first == "[" else "}"
            while self.text[self.at] != end:
                if first == "[":
                    self._mark((*path, index), self.at, self.at)
                    self._value((*path, index))
                else:
                    self._pair(path)
                index += 1
                self._over(_BLANK)
                if self.text[self.at] == ",":
                    self.at += 1
                    self._over(_BLANK)
            self.at += 1
