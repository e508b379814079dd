"""The live picture of a watch on a terminal: rates, victims, open floods and losses, once a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from rich.console import Group
from rich.table import Table
from rich.text import Text

from floodwatch.detectors import title
from floodwatch.report import words
from floodwatch.report.escape import clip, printable

from .screen import Screen

if TYPE_CHECKING:
    from floodwatch.model.event import Event
    from floodwatch.pipeline.watch import Moment

BARS = "▁▂▃▄▅▆▇█"
HISTORY_S = 60


class Rates:
    """The packets and bytes of a second, from counters that only grow, and how that was lately.

    Args:
        packets, octets: where they begin.
    """

    def __init__(self, packets: int = 0, octets: int = 0) -> None:
        self._lately: deque[float] = deque(maxlen=HISTORY_S)
        self._packets, self._bytes = packets, octets

    def line(self, packets: int, octets: int, passed: float) -> str:
        """What came since the last time, seconds ago."""
        rate = (packets - self._packets) / passed
        megabit = (octets - self._bytes) * 8 / passed / 1e6
        self._packets, self._bytes = packets, octets
        self._lately.append(rate)
        return f"{rate:12,.0f} packets/s {megabit:10,.1f} Mbit/s  {_spark(self._lately)}\n"


class Picture(Screen):
    """Redraws itself at most once a second.

    All that it takes to draw is loaded when it is made: a watch soon has no right to read files.

    Args:
        screen: where to draw; standard error if not given.
    """

    def __init__(self, screen: TextIO | None = None) -> None:
        super().__init__(screen)
        self._rates = Rates()
        self._open: dict[tuple[str, str], Event] = {}
        self._drawn = 0.0
        self.lines(Group(Text(BARS), Table("loads what draws", box=None)))

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
            self.show(self._render(moment, passed))

    def _render(self, moment: Moment, passed: float) -> Group:
        counters = moment.counters
        head = Text(self._rates.line(counters.packets, counters.bytes, passed))
        head.append(
            f"{counters.packets:12,} packets   {counters.lost:,} lost ({100 * counters.lost_share:.2f} %)"
        )
        if counters.backlog:
            head.append(f", {counters.backlog:,} by the backlog")
        return Group(head, floods(self._open.values()), victims(counters.victims))


def floods(events: Iterable[Event]) -> Table | Text:
    """A table of open floods, crowds and surges."""
    table = Table("since", "flood", "victim", "peak", "confidence", box=None, pad_edge=False)
    for event in events:
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
    return table if table.row_count else Text("no flood", style="dim")


def victims(rows: Iterable[tuple[str, float]]) -> Table:
    """A table of the addresses that get most packets, with packets a second."""
    table = Table("most packets to", "packets/s", box=None, pad_edge=False, style="dim")
    for address, rate in rows:
        table.add_row(address, f"{rate:,.0f}")
    return table


def _spark(values: deque[float]) -> str:
    top = max(values, default=0.0) or 1.0
    return "".join(BARS[min(int(value / top * len(BARS)), len(BARS) - 1)] for value in values)
