"""Floods and crowds of requests that cannot be read: HTTPS and HTTP/3, told from the outside.

People read: their requests and the answers to them are hardly ever as long as the last ones, and they pause.
Machines repeat: the same few lengths over and over. Hosts that repeat fast stand out alone. Hosts that repeat
slowly look like programs that poll, which were there before and do not grow; so they are a flood where turns
surge over the usual and a few shapes hold most of what is asked. A surge of many shapes at a reader's pace,
with newcomers who shake hands, is a crowd of people; of a surge that is neither, nothing tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..history import sealed
from ..history.baseline import Baseline
from ..history.clients import Visitors
from ..history.memory import nothing
from ..history.sealed import common_shapes, relentless, stuck
from ..history.sources import source_counts
from ..history.victims import View
from ..history.windows import Windows, requests_in, with_earlier
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Finding
from .crowd import RATIO
from .family import Detector, Scene, by_whom
from .turns import (
    ALONE,
    FLOODS,
    FLOOR,
    HTTP3_CROWD,
    HTTP3_FLOOD,
    HTTPS_CROWD,
    HTTPS_FLOOD,
    OVER,
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
NEWCOMERS = 10.0
"""Handshakes begun in a second from which newcomers come ..."""
ARRIVING = 40
"""... and epochs (10 s) for which they are new."""


class SealedDetector:
    """Judges the turns of each victim; remembers who took turns how fast, and what is usual."""

    def __init__(self) -> None:
        self._visitors = Visitors(nothing().networks, windows=Windows(sealed.asking, sealed.nobody_asks))
        self._usual = Baseline(nothing(), sealed.METRICS, sealed.counts)
        self._arrived: dict[int, int] = {}

    def detect(self, scene: Scene) -> Iterator[Finding[Any]]:
        """The findings of one epoch."""
        if scene.summary.gap:
            self._usual.bridge(scene.summary.epoch)
        for view in scene.views:
            if view.row is not None and view.sealed("turns") >= FLOOR.count:
                yield from self._judge(view, view.row, scene)
        self._usual.update(scene.summary.victims, scene.summary.epoch)
        self._visitors.close_epoch(scene.summary)
        self._arrived = {at: e for at, e in self._arrived.items() if 0 <= scene.summary.epoch - e <= ARRIVING}

    def _judge(self, view: View, row: np.void, scene: Scene) -> Iterator[Finding[Any]]:
        seen = self._look(view, row)
        if view.unchanged("turns"):
            return
        flood = 0
        for over in OVER:
            finding = self._flood(view, row, scene, over, seen)
            if finding is not None:
                flood += finding.count
                yield finding
        visitors, reference = self._visitors, int(row["reference"])
        if flood or seen.surges:
            visitors.flooded(reference, view.epoch)
        if not visitors.flood_ended(reference, view.epoch):
            yield from surge(view, row, seen, flood)

    def _look(self, view: View, row: np.void) -> Seen:
        """What its turns and handshakes are against what is usual; notes when newcomers came."""
        reference = int(row["reference"])
        rate = view.sealed("turns") * EPOCHS_PER_SECOND / len(view.recent())
        begun = view.sealed("hellos")
        usual, shaken = (self._usual.usual(reference, name, view.epoch) for name in sealed.METRICS)
        if usual is None or shaken is None:
            return Seen(rate, None, surges=False, arriving=False)
        if begun >= max(NEWCOMERS, RATIO * shaken):
            self._arrived[reference] = view.epoch
        arriving = 0 <= view.epoch - self._arrived.get(reference, -1) <= ARRIVING
        return Seen(rate, usual, rate >= RATIO * usual, arriving)

    def _flood(self, view: View, row: np.void, scene: Scene, over: Over, seen: Seen) -> Finding[Turns] | None:
        windows = self._visitors.windows
        table = windows.now(scene.summary)
        mine = (table["victim"] == row["reference"]) & (
            (2 * table["quic_turns"] > table["turns"]) == bool(over)
        )
        rows = table[mine]
        if not len(rows):
            return None
        asked = rows["requests"].astype(np.int64)
        last = asked - requests_in(windows.newest, rows)
        second = (asked - requests_in(windows.before, rows)) * (EPOCHS_PER_SECOND / windows.epochs)
        habit = with_earlier(rows, windows.earlier)
        chosen = relentless(habit, second)
        shapes, exchanges = common_shapes(held["sealed"][over] for held in view.recent())
        common = sum(shapes.values())
        grew = seen.surges or (seen.usual is None and not view.track.early)
        if grew and common >= GATHERED * exchanges:
            chosen |= stuck(habit, shapes)
        chosen &= ~self._visitors.paces.kept(rows, second)
        chosen &= habit["small"] <= RESETTING * habit["turns"]
        count = int(last[chosen].sum())
        floor = ALONE if chosen.sum() == 1 else FLOOR
        if count < floor.count / 2:
            return None
        whom = by_whom(habit[chosen], last[chosen])
        facts = facts_of(view, row, over, (common, exchanges), float(count), **whom)
        proven = chosen & (rows["proven"] > 0)
        top = source_counts(rows[proven], "requests", "requests", last[proven])
        return found(FLOODS[over], view, row, facts, over, count, floor, seen, top=top)


DETECTOR = Detector((HTTPS_FLOOD, HTTP3_FLOOD, HTTPS_CROWD, HTTP3_CROWD), watcher=SealedDetector)
