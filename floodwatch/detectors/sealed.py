"""Floods and crowds of requests that cannot be read: HTTPS and HTTP/3, told from the outside.

People read: their requests and the answers to them are hardly ever as long as the last ones, and they pause.
Machines repeat: the same few lengths over and over. Hosts that repeat fast stand out alone. Hosts that repeat
slowly look like programs that poll, which were there before or come one by one; so they are a flood where
most of them came at once, turns surge over the usual and a few shapes hold most of what is asked. A surge of
many shapes at a reader's pace, with newcomers who shake hands, is a crowd of people; of a surge that is
neither, nothing tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..history import sealed
from ..history.clients import Visitors
from ..history.memory import nothing
from ..history.sealed import (
    TIRELESS,
    Streaks,
    at_once,
    common_shapes,
    gathering,
    relentless,
    resting,
    stuck,
    talking,
)
from ..history.sources import source_counts
from ..history.victims import View
from ..history.windows import Since, Windows, requests_in, with_earlier
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Finding
from .crowd import RATIO
from .family import Detector, Scene, by_whom
from .http2 import alone
from .turns import (
    ALONE,
    FLOODS,
    FLOOR,
    HTTP3_CROWD,
    HTTP3_FLOOD,
    HTTPS_CROWD,
    HTTPS_FLOOD,
    OVER,
    SCATTERED,
    Over,
    Seen,
    Turns,
    facts_of,
    found,
    surge,
)

GATHERED = 0.5
"""Share of the exchanges that a few shapes hold, from which slow hosts are machines together."""
RESETTING = 2.0
"""Records as long as a reset for each turn, beyond which a source resets streams: another vector."""
NEWCOMERS = 15.0
"""Handshakes begun in ``LATELY`` epochs (3 s) from which newcomers come ..."""
LATELY = 12
BEGINNING = 12
"""Epochs (3 s) in which an analysis begins: who asks in it was there before, and no onset of his was seen."""
ARRIVING = 40
"""... and epochs (10 s) for which they are new."""


class SealedDetector:
    """Judges the turns of each victim; remembers who took turns how fast."""

    def __init__(self) -> None:
        self._visitors = Visitors(nothing().networks, windows=Windows(sealed.asking, sealed.nobody_asks))
        self._arrived: dict[int, int] = {}
        self._hellos: dict[int, deque[tuple[int, int]]] = {}
        self._streaks = [Streaks(pace, least) for pace, least in TIRELESS]
        self._since = Since()
        self._begun: int | None = None
        self._there = np.zeros(0, np.uint64)

    def detect(self, scene: Scene) -> Iterator[Finding[Any]]:
        """The findings of one epoch."""
        summary, windows = scene.summary, self._visitors.windows
        asks = not sealed.nobody_asks(summary.victims)
        busy = [view for view in scene.views if view.sealed("turns") >= FLOOR.count]
        since = np.zeros(0, np.int64)
        if asks or busy:
            since = self._since.note(windows.now(summary), windows.earlier, summary.epoch)
        for view in busy:
            if view.row is not None:
                yield from self._judge(view, view.row, scene, since)
        if asks:
            self._note(windows.now(summary), summary.epoch)
        self._visitors.close_epoch(scene.summary)
        self._hellos = {at: e for at, e in self._hellos.items() if e[-1][0] > scene.summary.epoch - LATELY}
        self._arrived = {at: e for at, e in self._arrived.items() if 0 <= scene.summary.epoch - e <= ARRIVING}

    def _note(self, rows: NDArray[np.void], epoch: int) -> None:
        """Who asks in this epoch, and for how long; who did as the analysis began."""
        windows = self._visitors.windows
        lately = windows.asking_lately(rows)
        second = windows.lately(lately)
        for streaks in self._streaks:
            streaks.note(lately, second)
        self._begun = epoch if self._begun is None else self._begun
        if 0 <= epoch - self._begun < BEGINNING:
            self._there = np.union1d(self._there, rows["pair_hash"].astype(np.uint64))

    def _judge(
        self, view: View, row: np.void, scene: Scene, since: NDArray[np.int64]
    ) -> Iterator[Finding[Any]]:
        seen = self._look(view, row)
        flood = 0
        for over in OVER:
            finding = self._flood(view, row, scene, over, seen, since)
            if finding is not None:
                flood += finding.count
                yield finding
        visitors, reference = self._visitors, int(row["reference"])
        if flood or seen.surges:
            visitors.flooded(reference, view.epoch)
        if not (view.unchanged("turns") or visitors.flood_ended(reference, view.epoch)):
            windows = visitors.windows
            rest = resting(windows.now(scene.summary), windows.before, windows.earlier, reference)
            yield from surge(view, row, seen, max(flood, self._gathered(row, scene)), rest)

    def _gathered(self, row: np.void, scene: Scene) -> int:
        """Turns of those who open many connections for hardly any, or talk: neither readers nor a flood."""
        windows = self._visitors.windows
        table = windows.now(scene.summary)
        rows = table[table["victim"] == row["reference"]]
        turns = _since(windows.newest, rows, "requests")
        habit = with_earlier(rows, windows.earlier)
        return int(turns[gathering(habit) | talking(habit, windows.lately(rows))].sum())

    def _look(self, view: View, row: np.void) -> Seen:
        """What its turns and handshakes are against what is usual; notes when newcomers came."""
        reference = int(row["reference"])
        rate = view.sealed("turns") * EPOCHS_PER_SECOND / len(view.recent())
        begun = self._hello(view, row)
        usual, shaken, asked = (view.usual(name) for name in ("turns", "hellos", "asked"))
        if usual is None or shaken is None:
            return Seen(rate, None, None, surges=False, arriving=False)
        if begun >= max(NEWCOMERS, RATIO * shaken * LATELY / EPOCHS_PER_SECOND):
            self._arrived[reference] = view.epoch
        arriving = 0 <= view.epoch - self._arrived.get(reference, -1) <= ARRIVING
        return Seen(rate, usual, asked, rate >= RATIO * usual, arriving)

    def _hello(self, view: View, row: np.void) -> int:
        """Handshakes begun in the ``LATELY`` last epochs."""
        each = self._hellos.setdefault(int(row["reference"]), deque(maxlen=LATELY))
        each.append((view.epoch, int(row["sealed"]["hellos"].sum())))
        while view.epoch - each[0][0] >= LATELY:
            each.popleft()
        return sum(hellos for _, hellos in each)

    def _flood(
        self, view: View, row: np.void, scene: Scene, over: Over, seen: Seen, since: NDArray[np.int64]
    ) -> Finding[Turns] | None:
        """What machines ask over one protocol; ``since``: of all rows, see ``Since``."""
        windows = self._visitors.windows
        table = windows.now(scene.summary)
        mine = (table["victim"] == row["reference"]) & (
            (2 * table["quic_turns"] > table["turns"]) == bool(over)
        )
        rows = table[mine]
        if not len(rows):
            return None
        second = windows.lately(rows)
        habit = with_earlier(rows, windows.earlier)
        shapes, exchanges = common_shapes(held["sealed"][over] for held in view.recent())
        common = sum(shapes.values())
        chosen = relentless(habit, second, scattered=common <= SCATTERED * exchanges)
        kept = self._visitors.paces.kept(rows, second)
        if view.unchanged("turns"):
            kept |= np.isin(rows["pair_hash"], self._there)
        grew = seen.surges or (seen.usual is None and not view.track.early)
        if grew:
            for streaks in self._streaks:
                chosen |= streaks.tireless(habit, ~kept)
        if grew and common >= GATHERED * exchanges:
            slow = stuck(habit, shapes) & ~kept
            if at_once(since[mine][slow]):
                chosen |= slow
        chosen &= ~kept & ~talking(habit, second) & (habit["small"] <= RESETTING * habit["turns"])
        chosen &= (habit["small"] < habit["turns"]) | ~alone(habit)
        turns = _since(windows.newest, rows, "requests")
        asked = sealed.bounds_of(rows[chosen], windows.newest)
        count = max(int(turns[chosen].sum()), int(asked.lo))
        floor = ALONE if chosen.sum() == 1 else FLOOR
        if count < floor.count / 2:
            return None
        whom = by_whom(habit[chosen], turns[chosen])
        quic = _since(windows.newest, rows, "quic_turns")
        machine = int((quic if over else turns - quic)[chosen].sum())  # requests in a turn may be many
        facts = facts_of(view, row, over, (common, exchanges), float(machine), most=asked.hi, **whom)
        proven = chosen & (rows["proven"] > 0)
        top = source_counts(sealed.in_requests(rows[proven]), "requests", "most", turns[proven])
        return found(FLOODS[over], view, row, facts, over, count, floor, seen, asked, top=top)


def _since(table: NDArray[np.void] | None, rows: NDArray[np.void], name: str) -> NDArray[np.int64]:
    """A counter of these rows since another table of their window."""
    return rows[name].astype(np.int64) - requests_in(table, rows, name)


DETECTOR = Detector((HTTPS_FLOOD, HTTP3_FLOOD, HTTPS_CROWD, HTTP3_CROWD), watcher=SealedDetector)
