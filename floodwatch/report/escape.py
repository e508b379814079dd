"""What may reach a terminal: hostile text made visible, and lines that keep to a width.

File names and HTTP paths are written by strangers. A raw escape sequence in them could clear the screen,
retitle the window or, with a bidirectional override, show another address than the one that is there.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ASCII_END = 0x7F
MAX_WIDTH = 100
"""Wider lines are hard to read even where the terminal has room for them."""


@dataclass(frozen=True, slots=True)
class Look:
    """What standard output can show."""

    color: bool
    unicode: bool
    width: int


def look(color: str, *, to_file: bool, environ: Mapping[str, str] = os.environ) -> Look:
    """Decide how a text report should look; plain ASCII in 80 columns unless a terminal reads it.

    Args:
        color: ``always``, ``never`` or ``auto``; auto obeys NO_COLOR and FORCE_COLOR.
        to_file: the report goes to a file and not to standard output.
        environ: the environment variables.
    """
    terminal = not to_file and sys.stdout.isatty()
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    wanted = terminal or (not to_file and bool(environ.get("FORCE_COLOR")))
    # LC_CTYPE is left out: Python itself sets it to UTF-8 when the locale is C.
    locale = environ.get("LC_ALL") or environ.get("LANG") or ""
    return Look(
        color=color == "always" or (color == "auto" and wanted and not plain),
        unicode=terminal and not plain and "utf" in locale.lower(),
        width=min(MAX_WIDTH, shutil.get_terminal_size().columns) if terminal else 80,
    )


def printable(text: str, *, unicode: bool = False) -> str:
    r"""Spell everything that is not a visible character as ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    That covers C0, C1, ESC and DEL, line and paragraph separators, bidirectional marks, zero-width characters
    and the lone surrogates of undecodable file names. Without ``unicode`` the result is pure ASCII.
    """
    return "".join(char if _is_safe(char, unicode) else _spell(char) for char in text)


def _is_safe(char: str, unicode: bool) -> bool:
    return char.isprintable() and (unicode or ord(char) < ASCII_END)


def _spell(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def columns(text: str) -> int:
    """Columns that ``text`` takes on a terminal, at most: East Asian wide characters count twice.

    Combining marks count as one, so the result may be too large but is never too small.
    """
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def clip(text: str, width: int) -> str:
    """Shorten ``text`` to ``width`` columns; three dots tell that something was cut."""
    if columns(text) <= width:
        return text
    head, _ = _cut(text, width - 3)
    return head + "..."


def flow(pieces: Iterable[str], width: int, *, first: str = "", rest: str = "", gap: str = " ") -> list[str]:
    """Lay ``pieces`` out in lines of at most ``width`` columns.

    Pieces on one line are joined by ``gap`` and break only between each other, unless a single one is wider
    than a line. ``first`` starts the first line and ``rest`` each line after it.
    """
    lines: list[str] = []
    line, joint = first, ""
    for piece in pieces:
        if joint and columns(line) + columns(joint) + columns(piece) > width:
            lines.append(line.rstrip())
            line, joint = rest, ""
        line += joint
        while columns(line) + columns(piece) > width:
            head, piece = _cut(piece, width - columns(line))
            lines.append(line + head)
            line = rest
        line, joint = line + piece, gap
    lines.append(line.rstrip())
    return lines


def _cut(text: str, width: int) -> tuple[str, str]:
    """Split ``text`` after ``width`` columns, but after at least one character."""
    used = 0
    for index, char in enumerate(text):
        used += columns(char)
        if used > width and index > 0:
            return text[:index], text[index:]
    return text, ""
