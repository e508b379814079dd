"""Floods of invented requests: one address that never asks the same thing twice, at any rate.

Tools that want every request to miss the caches (HULK, GoldenEye, HOIC with its boosters and their kin) make
up a query for each, and a name for the program that asks. No honest program does either. It knows the
parameters of the service that it calls: a crawler, a mirror, a frontend or an office full of people ask with
a few names of parameters, again and again. And what calls itself ever otherwise is many machines, whose TCP
stacks differ.

Two tests, each sequential: a source is judged over a batch of its requests that lasts until there are enough
of them, so a slow one takes longer. Of the requests whose query begins with a named parameter, the distinct
names are estimated by linear counting; a vocabulary of V names never shows more than V. Or: distinct queries
to one path, under ever other agents, from a single class of TCP stack.
Left out: sources that fetch parts of pages, and queries without a name of one program that stays the same (a
crawler of a wiki asks so).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..history.servers import Asked
from ..history.sources import distinct_paths, source_counts
from ..history.windows import Since, asking, requests_in
from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Finding
from ..model.summary import Summary
from ..model.vector import Vector
from .family import Detector, Scene, by_whom
from .http import DISGUISED, HTTP_FLOOD, INVENTED, NEW, STEADY, Requests

COUNTED = 200
"""Requests of which new names are a share (``NEW``), at most: 64 bits tell no more, and err by a tenth."""
CHANGING = 0.5
"""``DISGUISED`` requests show it by their agents if this share of them has another than the last did ..."""
SAME = 0.8
"""... this share goes to the path of the last one, and hardly any query comes again (``NEW``)."""
PARTS = 0.03
"""Share of parts of pages from which a browser is at work."""
WITHIN = 60 * EPOCHS_PER_SECOND
"""Epochs within which that has to come together: slower than a request in two seconds is no flood."""
LEAST = 4
"""Requests with a named parameter, or agents that change, in a window from which a source is looked at."""
MOST = 4096
"""Sources that are looked at."""
COUNTS = ("requests", "named", "agents", "repeats", "assets")
"""Columns of the table that a batch adds up."""


@dataclass(slots=True)
class Batch:
    """What one source asked since its batch began, in windows that are over.

    Attributes:
        since: the epoch in which it began.
        newest: the epoch in which it was looked at last.
        invents: the source was found out: what it asks from now on counts ...
        told: ... and what it asked before is told.
    """

    since: int
    newest: int
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(COUNTS), np.int64))
    names: int = 0
    queries: int = 0
    stacks: int = 0
    invents: bool = False
    told: bool = False

    def with_row(self, row: np.void) -> Batch:
        """This, and what the source asks in the open window."""
        return replace(
            self,
            counts=self.counts + np.array([row[name] for name in COUNTS], np.int64),
            names=self.names | int(row["names"]),
            queries=self.queries | int(row["queries"]),
            stacks=self.stacks | int(row["stacks"]),
        )

    def variety(self) -> float:
        """Different names of parameters, or different queries: whatever is more."""
        return max(_distinct(self.names), _distinct(self.queries))

    def shows(self) -> bool | None:
        """It invents what it asks; None: too little was seen."""
        requests, named, agents, repeats, assets = map(int, self.counts)
        if assets > PARTS * requests:
            return False
        changing = agents >= CHANGING * requests and self.stacks.bit_count() <= 1
        least = INVENTED.count if changing else STEADY
        if _distinct(self.names) >= max(least, NEW * min(named, COUNTED)):
            return True
        if requests >= DISGUISED and changing and repeats >= SAME * (requests - 1):
            return _distinct(self.queries) >= NEW * min(requests, COUNTED)
        return None if requests < DISGUISED else False


def _distinct(bits: int) -> float:
    return float(distinct_paths(np.array([bits], np.uint64))[0])


class InventingDetector:
    """Judges the heavy-hitter table once a second."""

    def __init__(self) -> None:
        self._newest = -EPOCHS_PER_SECOND
        self._before: NDArray[np.void] | None = None
        self._earlier: NDArray[np.void] | None = None
        self._asked, self._since = Asked(), Since()
        self._batches: dict[int, Batch] = {}
        self._told: dict[int, int] = {}

    def detect(self, scene: Scene) -> Iterator[Finding[Requests]]:
        """The findings of the second that ends with this epoch, if one does."""
        summary = scene.summary
        self._asked.note(summary)
        quarters = summary.epoch - self._newest
        if 0 < quarters < EPOCHS_PER_SECOND and not (summary.window_ends or summary.final):
            return
        self._newest = summary.epoch
        if not 0 < quarters <= WITHIN:
            quarters = 1
        self._forget(summary.epoch)
        rows = asking(summary.heavy())
        since = self._since.note(rows, self._earlier, summary.epoch + 1 - quarters)
        suspect = (rows["named"] >= LEAST) | (rows["agents"] >= LEAST)
        suspect &= rows["requests"] > requests_in(self._before, rows)
        invents = [
            self._judge(row, int(at), summary) for row, at in zip(rows[suspect], since[suspect], strict=True)
        ]
        found = rows[suspect][np.array(invents, bool)]
        for victim in np.unique(found["victim"]).tolist():
            known = self._asked.known.get(victim)
            mine = found[found["victim"] == victim]
            if known is None:
                continue
            if (Vector.HTTP_FLOOD, known[0]) in scene.by_rate:
                self._counted(summary, victim, mine)  # by the rate
                continue
            scene.visitors.flooded(victim, summary.epoch)
            yield self._finding(summary, victim, known, mine, quarters)
        self._before = rows
        if summary.window_ends:
            self._end_window(rows, summary.epoch)

    def _judge(self, row: np.void, since: int, summary: Summary) -> bool:
        """Take in what a source asks; returns whether it invents it."""
        pair = int(row["pair_hash"])
        batch = self._batches.get(pair)
        if batch is None:
            if len(self._batches) >= MOST:
                return False
            batch = self._batches[pair] = Batch(since, summary.epoch)
        batch.newest = summary.epoch
        shows = batch.with_row(row).shows()
        batch.invents = batch.invents if shows is None else shows
        return batch.invents

    def _end_window(self, rows: NDArray[np.void], epoch: int) -> None:
        """Add up what was asked in it; batches that hold enough, show nothing or took too long begin anew."""
        self._before, self._earlier = None, rows
        for row in rows[np.isin(rows["pair_hash"], np.array([*self._batches], np.uint64))]:
            pair = int(row["pair_hash"])
            batch = self._batches[pair].with_row(row)
            long = epoch - batch.since > WITHIN and not batch.invents
            if long or batch.shows() is False or int(batch.counts[0]) >= 2 * COUNTED:
                told = batch.told and batch.invents
                batch = Batch(epoch + 1, batch.newest, invents=batch.invents, told=told)
            self._batches[pair] = batch

    def _finding(
        self,
        summary: Summary,
        victim: int,
        known: tuple[Address, int],
        rows: NDArray[np.void],
        quarters: int,
    ) -> Finding[Requests]:
        asked = rows["requests"].astype(np.int64)
        lately = asked - requests_in(self._before, rows)
        batches = [self._batches[pair] for pair in rows["pair_hash"].tolist()]
        new = [not batch.told for batch in batches]
        earlier = [int(b.counts[0]) if not b.told else 0 for b in batches] + np.where(new, asked - lately, 0)
        begin = min((b.since for b in batches if not b.told), default=summary.epoch + 1 - quarters)
        begin = max(begin, self._told.get(victim, begin - 1) + 1)
        self._counted(summary, victim, rows)
        counted, count = lately + earlier, int(lately.sum())
        facts = Requests(invented=float(counted.sum()), **by_whom(rows, counted))
        return HTTP_FLOOD.told(
            summary,
            known[0],
            facts,
            count=count,
            quarters=quarters,
            earlier=int(counted.sum()) - count,
            stretches=[(begin, summary.epoch + 1)],
            held=max(batch.with_row(row).variety() for batch, row in zip(batches, rows, strict=True)),
            floor=INVENTED,
            over=count > 0,
            ports=[(known[1], int(counted.sum()))],
            top=source_counts(rows[rows["proven"] > 0], "requests", "requests"),
        )

    def _counted(self, summary: Summary, victim: int, rows: NDArray[np.void]) -> None:
        """What these sources asked so far stands in a finding."""
        self._told[victim] = summary.epoch
        for pair in rows["pair_hash"].tolist():
            self._batches[pair].told = True

    def _forget(self, epoch: int) -> None:
        """Sources that asked nothing for so long, and victims without a finding, begin anew."""
        self._batches = {p: b for p, b in self._batches.items() if abs(epoch - b.newest) <= WITHIN}
        self._told = {victim: told for victim, told in self._told.items() if abs(epoch - told) <= WITHIN}


DETECTOR = Detector((), watcher=InventingDetector)
