"""Lines for people, of which a flood makes no flood: so many of a kind in a second, and what was left out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

A_SECOND, KINDS_MOST = 10, 256
"""Lines of a kind in a second, and kinds that are told apart; all others are one."""
TOLD_S = 60.0
"""How often it is said how many lines were left out."""
KIND_MOST = 60
"""Characters that tell kinds apart."""
_VARIES = re.compile(r"\S*\d\S*")


class Log:
    """Hands lines on, ten of a kind a second. Kinds are what is the same but for words with digits in them.

    Args:
        write: writes a line.
        clock: seconds that only go forward.
    """

    def __init__(self, write: Callable[[str], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._second = 0
        self._said: dict[str, int] = {}
        self._left_out: dict[str, int] = {}
        self._due = clock() + TOLD_S
        self.suppressed = 0
        """Lines that were left out, in all."""

    def __call__(self, line: str) -> None:
        """Write a line, or leave it out."""
        self.look()
        kind = _VARIES.sub("#", line)[:KIND_MOST]
        if kind not in self._said and len(self._said) >= KINDS_MOST:
            kind = ""
        said = self._said[kind] = self._said.get(kind, 0) + 1
        if said <= A_SECOND:
            self._write(line)
            return
        self.suppressed += 1
        if kind not in self._left_out and len(self._left_out) >= KINDS_MOST:
            kind = ""
        self._left_out[kind] = self._left_out.get(kind, 0) + 1

    async def keep(self) -> None:
        """Say once a minute what was left out, until it is cancelled; then the rest."""
        try:
            while True:
                await asyncio.sleep(1.0)
                self.look()
        finally:
            self.tell()

    def look(self) -> None:
        """Begin a new second, and say what was left out when it is time for it."""
        now = self._clock()
        if int(now) != self._second:
            self._second = int(now)
            self._said.clear()
        if now >= self._due:
            self.tell()

    def tell(self) -> None:
        """Say what was left out."""
        self._due = self._clock() + TOLD_S
        left_out, self._left_out = self._left_out, {}
        for kind, count in left_out.items():
            self._write(f"suppressed {count} more lines as: {kind or 'of other kinds'}")
