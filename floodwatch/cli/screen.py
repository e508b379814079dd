"""A drawing on a terminal that is drawn again and again, below whatever else is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self, TextIO

from rich.console import Console, Group

if TYPE_CHECKING:
    from types import TracebackType

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Screen:
    """A context in which something is drawn.

    Args:
        screen: where to draw; standard error if not given.
    """

    def __init__(self, screen: TextIO | None = None) -> None:
        self._console = Console(file=screen, stderr=screen is None, force_terminal=True)
        self._shown: list[str] = []
        self._height = 0

    def __enter__(self) -> Self:
        self._write(HIDE_CURSOR)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._erase()
        self._write(SHOW_CURSOR)

    @contextmanager
    def above(self) -> Iterator[None]:
        """Make way for what is written to the terminal in this context: it stays above the drawing."""
        self._erase()
        try:
            yield
        finally:
            self._show()

    def show(self, drawing: Group) -> None:
        """Draw this in place of what was drawn before."""
        self._shown = self.lines(drawing)
        self._erase()
        self._show()

    def lines(self, drawing: Group) -> list[str]:
        """A drawing as lines of the terminal, as many as fit."""
        with self._console.capture() as caught:
            self._console.print(drawing, overflow="ellipsis", no_wrap=True, crop=True)
        return caught.get().splitlines()[: max(self._console.height - 1, 1)]

    def _show(self) -> None:
        self._write("".join(f"{line}\r\n" for line in self._shown))
        self._height = len(self._shown)

    def _erase(self) -> None:
        """Take the drawing off the screen; the cursor then stands where it began."""
        if self._height:
            self._write(f"\r\x1b[{self._height}A\x1b[J")
            self._height = 0

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal went away, the watch goes on
            self._console.file.write(text)
            self._console.file.flush()
