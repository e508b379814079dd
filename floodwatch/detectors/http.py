"""HTTP floods and crowds: who asks, how fast, and for what.

Volume only says that there is something to judge. What decides is how each source behaves: people fetch a
page with its parts and then read; machines repeat a few paths and fetch nothing else. An office behind one
address asks as often as a machine, but as variously as many people. The excess is split: what machines ask
is the flood, what is left over the usual rate is the crowd.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._native import hll_estimate
from ..history.clients import KnownNetworks
from ..history.memory import Networks
from ..history.sources import Machines, Paces, asking, machines, requests_in, source_counts
from ..history.victims import View, distinct_sources, source_registers
from ..model.epoch import CLASS_HTTP, DATA, EPOCHS_PER_SECOND
from ..model.finding import Finding
from ..model.summary import Summary
from ..model.vector import Vector
from .slow import MISSING

FLOOR = 50
"""Requests of machines in an epoch: 200 a second ..."""
FLOOR_ALONE = 75
"""... and 300 where one single source sends them: a script, a health check."""
CROWD_FLOOR = 40.0
"""Requests (or connections) a second from which a surge is worth telling."""
CROWD_RATIO = 2.5
"""How many times the usual rate a surge is."""
CROWD_PERSIST = 4
"""Epochs that a surge (of a second's sum) lasts before it is a crowd."""
TRIED = 12
"""Epochs (3 s) that a pace has to stand before it is believed: no flood goes unnoticed for longer ..."""
HELD = 40
"""... and epochs (10 s) after one in which nothing is learnt about its victim."""
UNFINISHED = 0.5
ONE_PATH = 0.8
FEW_ASSETS = 0.05
LOUD = 3.0
"""Requests per source and second, on average, from which one path without its parts is not reading."""


class Second(NamedTuple):
    """The table at the end of a second, and what its pairs had asked by the second before."""

    epoch: int
    rows: NDArray[np.void]
    asked: NDArray[np.int64]
    seconds: float
    window: int


class HttpDetector:
    """HTTP judgements over one capture; remembers one second of the heavy-hitter table.

    Args:
        before: networks of clients that are known from the start.
    """

    def __init__(self, before: Networks) -> None:
        self.known = KnownNetworks(before)
        self._window = 0
        self._second: deque[NDArray[np.void]] = deque(maxlen=EPOCHS_PER_SECOND)
        self._earlier: NDArray[np.void] | None = None
        self._now: NDArray[np.void] | None = None
        self._learnt: NDArray[np.void] | None = None
        self._paces = Paces()
        self._pending: deque[Second] = deque()
        self._flooded: dict[int, int] = {}
        self._age = 0

    def detect(self, view: View, summary: Summary) -> Iterator[Finding]:
        """Judge one victim's requests and connections of the epoch."""
        row = view.row
        if row is None:
            return
        requests = int(row["requests"])
        if requests < FLOOR // 2:
            yield from _crowd(view, row, requests, int(row["finished"]), 0)
            return
        if int(row["unfinished"]) + _bodiless(row) >= UNFINISHED * requests:
            return  # requests that never end ask for nothing: they hold places, which is another vector
        hammered = _hammered(view, row)
        found = self._machines(view, row, summary, _winner(row) if hammered else None)
        alone = len(found.rows) == 1
        if hammered and not alone:
            self._flooded[int(row["reference"])] = view.epoch
            yield _flood(view, row, found, requests, self.known.asked(found.rows, self._window), over=True)
            return
        flood = min(found.requests, requests)
        floor = FLOOR_ALONE if alone else FLOOR
        if flood >= floor / 2:
            self._flooded[int(row["reference"])] = view.epoch
            yield _flood(
                view, row, found, flood, self.known.asked(found.rows, self._window), over=flood >= floor
            )
        for surge in _crowd(view, row, requests - flood, 0 if flood else int(row["finished"]), flood):
            table = self._table(summary)
            surge.facts.update(
                self.known.asked(table[table["victim"] == int(row["reference"])], self._window)
            )
            yield surge

    def known_networks(self) -> Networks:
        """Networks that are known by now."""
        return self.known.aged(self._window)

    def close_epoch(self, summary: Summary) -> None:
        """Keep this epoch's table for the rates of the next ones."""
        self._learn(summary)
        if self._now is None and (summary.victims["requests"] == 0).all() and self._second:
            self._second.append(self._second[-1])  # nobody asked, so the table stands as it was
        else:
            self._second.append(self._table(summary))
        self._age += 1
        if summary.window_ends:
            self._earlier = self._now
            self._second.clear()
            self._learnt = None
            self._age = 0
            self._window += 1
        self._now = None

    def _machines(self, view: View, row: np.void, summary: Summary, only: int | None) -> Machines:
        reference = int(row["reference"])
        before = self._second[0] if self._second else None
        newest = self._second[-1] if self._second else None
        return machines(
            reference,
            self._table(summary),
            newest,
            before,
            self._earlier,
            len(self._second) + 1,
            only,
            self._paces,
        )

    def _learn(self, summary: Summary) -> None:
        """Once a second, remember how fast everybody asks; believe it when no flood was found since."""
        if self._pending and self._pending[-1].epoch >= summary.epoch:  # the clock was set back
            self._pending.clear()
        if self._age % EPOCHS_PER_SECOND == EPOCHS_PER_SECOND - 1:
            table, seconds = self._table(summary), (self._age + 1) / EPOCHS_PER_SECOND
            asked = requests_in(self._learnt, table)
            self._learnt = table
            self._pending.append(Second(summary.epoch, table, asked, seconds, self._window))
        while self._pending and self._pending[0].epoch <= summary.epoch - TRIED:
            second = self._pending.popleft()
            recent = [victim for victim, epoch in self._flooded.items() if epoch > summary.epoch - HELD]
            calm = ~np.isin(second.rows["victim"], recent)
            self._paces.learn(second.rows[calm], second.asked[calm], second.seconds, second.window)
            self.known.learn(second.rows[calm], second.window)
        self._flooded = {
            victim: epoch
            for victim, epoch in self._flooded.items()
            if summary.epoch - HELD < epoch <= summary.epoch
        }

    def _table(self, summary: Summary) -> NDArray[np.void]:
        if self._now is None:
            self._now = asking(summary.heavy())
        return self._now


def _bodiless(row: np.void) -> int:
    """Requests whose bodies do not come; clients that send header and body apart send the body at once."""
    return int(row["owing"]) if int(row["owed"]) >= MISSING * int(row["loose"]) else 0


def _hammered(view: View, row: np.void) -> bool:
    """A flood by sources too slow to stand out one by one: one path, no parts, beyond reading pace."""
    requests = int(row["requests"])
    votes = int(row["paths"]["vote"].max())
    senders = distinct_sources(row, CLASS_HTTP)
    usual = view.usual("requests")
    grown = usual is None or requests * EPOCHS_PER_SECOND >= CROWD_RATIO * usual
    pace = sum(int(r["requests"]) for r in view.recent()) / max(senders, 1)
    return (
        requests >= FLOOR
        and votes >= ONE_PATH * requests
        and int(row["assets"]) <= FEW_ASSETS * requests
        and grown
        and pace >= LOUD
    )


def _pace(view: View) -> float:
    """Requests a second for each source of the last second."""
    rows = view.recent()
    union = np.maximum.reduce([source_registers(row, CLASS_HTTP) for row in rows])
    return sum(int(row["requests"]) for row in rows) / max(hll_estimate(union), 1.0)


def _winner(row: np.void) -> int:
    """Keyed hash of the path that nearly everybody asks for."""
    return int(row["paths"][int(row["paths"]["vote"].argmax())]["hash"])


def _paths(row: np.void, requests: int) -> list[tuple[str, int]]:
    """(path, requests) of the paths that win their bucket and hold a tenth of the requests."""
    found = []
    for bucket in row["paths"]:
        if int(bucket["vote"]) >= max(requests // 10, 1):
            text = bytes(bucket["text"][: int(bucket["length"])]).decode("latin-1")
            found.append((text, int(bucket["vote"])))
    return found


def _flood(
    view: View, row: np.void, found: Machines, count: int, known: dict[str, float], *, over: bool
) -> Finding:
    kind = row["kinds"][DATA]
    requests = int(row["requests"])
    proven = int(found.rows["requests"][found.rows["proven"] > 0].sum())
    asked = int(found.rows["requests"].sum())
    return Finding(
        vector=Vector.HTTP_FLOOD,
        victim=view.track.address,
        protocol="tcp",
        epoch=view.epoch,
        over=over,
        persist=2,
        count=count,
        bytes=int(int(kind["bytes"]) * count / max(requests, 1)),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        unit="req/s",
        baseline=view.usual("requests"),
        facts={
            "requests": float(requests),
            "posts": float(row["posts"]),
            "assets": float(row["assets"]),
            "machine_requests": float(count),
            "errors": float(row["errors"]),
            "responses": float(row["responses"]),
            "proven_requests": float(proven),
            "asked": float(asked),
            "sent": float(view.track.sent),
            **known,
        },
        keys=[(int(row["http_port"]), count)],
        paths=_paths(row, count),
        sources=source_registers(row, CLASS_HTTP),
        top=source_counts(found.rows[found.rows["proven"] > 0], "requests", "requests"),
    )


def _crowd(view: View, row: np.void, requests: int, finished: int, flood: int) -> Iterator[Finding]:
    """A surge over the usual rate of requests, or of finished handshakes where requests cannot be seen."""
    metric, count = ("requests", requests) if requests >= finished else ("finished", finished)
    usual = view.usual(metric)
    recent = view.recent()
    rate = sum(int(r[metric]) for r in recent) * EPOCHS_PER_SECOND / max(len(recent), 1) - 4 * flood
    if usual is None or rate < CROWD_FLOOR / 2 or rate < CROWD_RATIO / 2 * usual:
        return
    kind = row["kinds"][DATA]
    visible = metric == "requests"
    yield Finding(
        vector=Vector.HTTP_FLOOD if visible else Vector.CONNECTION_FLOOD,
        victim=view.track.address,
        protocol="tcp",
        epoch=view.epoch,
        over=rate >= CROWD_FLOOR and rate >= CROWD_RATIO * usual,
        persist=CROWD_PERSIST,
        verdict="crowd",
        count=count,
        bytes=int(kind["bytes"]),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        unit="req/s" if visible else "conn/s",
        baseline=usual,
        facts={
            "requests": float(row["requests"]),
            "assets": float(row["assets"]),
            "attempts": 0.0 if visible else float(row["syn_flows"]),
            "finished": float(row["finished"]),
            "again": float(row["syn_again"]),
            "sent": float(view.track.sent),
            "pace": _pace(view),
        },
        keys=[(int(row["http_port"]), count)] if visible else [],
        sources=source_registers(row, CLASS_HTTP if visible else 0),
    )
