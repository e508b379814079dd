"""The live picture of a watch on a terminal: rates, victims, open floods and losses, once a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from floodwatch.detectors import title
from floodwatch.report import words
from floodwatch.report.escape import clip, printable

if TYPE_CHECKING:
    from types import TracebackType

    from floodwatch.model.event import Event
    from floodwatch.pipeline.watch import Moment

BARS = "▁▂▃▄▅▆▇█"
HISTORY_S = 60
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


class Picture:
    """A context that redraws itself at most once a second, below whatever else is written meanwhile.

    All that it takes to draw is loaded when it is made: a watch soon has no right to read files.

    Args:
        screen: where to draw; standard error if not given.
    """

    def __init__(self, screen: TextIO | None = None) -> None:
        self._console = Console(file=screen, stderr=screen is None, force_terminal=True)
        self._rates: deque[float] = deque(maxlen=HISTORY_S)
        self._open: dict[tuple[str, str], Event] = {}
        self._drawn = 0.0
        self._packets = self._bytes = 0
        self._shown: list[str] = []
        self._height = 0
        self._lines(Group(Text(BARS), Table("loads what draws", box=None)))

    def __enter__(self) -> Picture:
        self._write(HIDE_CURSOR)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._erase()
        self._write(SHOW_CURSOR)

    @contextmanager
    def above(self) -> Iterator[None]:
        """Make way for what is written to the terminal in this context: it stays above the picture."""
        self._erase()
        try:
            yield
        finally:
            self._show()

    def _lines(self, drawing: Group) -> list[str]:
        """The drawing as lines of the terminal, as many as fit."""
        with self._console.capture() as caught:
            self._console.print(drawing, overflow="ellipsis", no_wrap=True, crop=True)
        return caught.get().splitlines()[: max(self._console.height - 1, 1)]

    def _show(self) -> None:
        self._write("".join(f"{line}\r\n" for line in self._shown))
        self._height = len(self._shown)

    def _erase(self) -> None:
        """Take the picture off the screen; the cursor then stands where it began."""
        if self._height:
            self._write(f"\r\x1b[{self._height}A\x1b[J")
            self._height = 0

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal went away, the watch goes on
            self._console.file.write(text)
            self._console.file.flush()

    def draw(self, moment: Moment) -> None:
        """Take in a moment; draw it if a second has passed."""
        for change in moment.changes:
            key = (change.event.vector, change.event.victim.ip)
            if change.what == "ended":
                self._open.pop(key, None)
            else:
                self._open[key] = change.event
        now = time.monotonic()
        passed = now - self._drawn
        if passed >= 1.0:
            self._drawn = now
            self._shown = self._lines(self._render(moment, passed))
            self._erase()
            self._show()

    def _render(self, moment: Moment, passed: float) -> Group:
        counters = moment.counters
        rate = (counters.packets - self._packets) / passed
        megabit = (counters.bytes - self._bytes) * 8 / passed / 1e6
        self._packets, self._bytes = counters.packets, counters.bytes
        self._rates.append(rate)
        head = Text(f"{rate:12,.0f} packets/s {megabit:10,.1f} Mbit/s  {_spark(self._rates)}\n")
        head.append(
            f"{counters.packets:12,} packets   {counters.lost:,} lost ({100 * counters.lost_share:.2f} %)"
        )
        if counters.backlog:
            head.append(f", {counters.backlog:,} by the backlog")
        return Group(head, self._floods(), self._victims(moment))

    def _floods(self) -> Table | Text:
        if not self._open:
            return Text("no flood", style="dim")
        table = Table("since", "flood", "victim", "peak", "confidence", box=None, pad_edge=False)
        for event in self._open.values():
            port = "" if event.victim.port is None else f":{event.victim.port}"
            style = words.COLORS[event.severity].replace("1;31", "bold red")
            style = {"36": "cyan", "33": "yellow", "31": "red"}.get(style, style)
            peak = f"{event.rate.peak:,.0f} {event.rate.unit}"
            cells = (
                event.first[11:19],
                title(event.vector, event.verdict),
                f"{event.victim.ip}{port}",
                peak,
                f"{event.confidence:.2f}",
            )
            table.add_row(*(Text(clip(printable(cell), 44)) for cell in cells), style=style)
        return table

    def _victims(self, moment: Moment) -> Table:
        table = Table("most packets to", "packets/s", box=None, pad_edge=False, style="dim")
        for address, rate in moment.counters.victims:
            table.add_row(address, f"{rate:,.0f}")
        return table


def _spark(values: deque[float]) -> str:
    top = max(values, default=0.0) or 1.0
    return "".join(BARS[min(int(value / top * len(BARS)), len(BARS) - 1)] for value in values)
