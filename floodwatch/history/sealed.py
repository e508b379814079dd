"""What is asked inside TLS and QUIC, told from the outside in the words of requests that can be read.

A turn (application data of the client after data of the server) stands for a request, the shape of an
exchange (lengths of request and answer, in steps) for its path. See ``native/fw_sealed.h``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ..model.finding import Bounds
from .sources import distinct_paths
from .windows import looked_up, requests_in

PART = 60
"""Bounds of requests are counted in parts of one (fw_asked.h)."""
TLS, QUIC = 0, 1
"""Places in the array ``sealed`` of a victim."""
FAST = 6.0
"""Turns a second of one source over the last second, beyond what people keep up ..."""
REPEATED = 8
"""... if so many of its exchanges in the window ended ..."""
VARIETY = 0.26
"""... and at most this share of them is of different shapes; people's are hardly ever the same twice."""
SAME = 0.1
"""... and so many of them are of the shape of the one before, unless the victim's exchanges are mostly of few
shapes: behind one address (a proxy) may be many people, who ask for all that a site has, over and over."""
HAMMER = 48.0
"""Turns a second of one source over the last second, beyond what a page pulls in ..."""
HAMMERED = 0.25
"""... if this share of its exchanges is of the shape of the one before: no variety excuses that."""
FULL = 40
"""Bits of 64 (about 63 shapes) from which variety is no question of how often each was asked for."""
TIRELESS = ((FAST, 9), (3.0, 16))
"""Turns a second, and epochs in a row at such a pace, by the last second of each: no page takes so long to
load (3 s, or 5 s), and readers rest ..."""
EACH_CONNECTION = 16
"""... with so many turns on each connection that was begun: behind one address may be many people ..."""
ANSWERED = 256.0
"""... and so many bytes in an answer: a chat has no more, at any pace."""
GANG = 5
"""Sources that do so together; of a few it may be their trade (crawlers, mirrors)."""
TALK = 0.5
"""Share of the turns on connections that speak no HTTP, from which a source talks (a game, a chat, a shell)
and asks for nothing, at a pace below ``HAMMER``."""
STUCK = 3
"""Exchanges in the window from which a habit shows at any pace ..."""
ALIKE = 0.6
"""... if this share of them is of the shape of the one before: of people's exchanges at most a third is."""
CHURNED = 8
"""Connections of one source that were asked the first time, and closed, in the window: who keeps them open
holds places (``slow_http``) ..."""
A_CONNECTION = 2.0
"""... if each was asked so often at most: browsers open six at once and keep them."""
ONSET = 12
"""Epochs (3 s) within which the hosts of a flood come ..."""
AT_ONCE = 0.6
"""... that repeat as slowly as programs that poll, this share of them; programs are rolled out one by one."""
COMMON = 0.05
"""Share of all exchanges from which a shape is one that many ask for."""


def asking(heavy: NDArray[np.void]) -> NDArray[np.void]:
    """The rows that speak TLS or QUIC, by pair, with turns in the place of requests and shapes in that of
    paths: the form in which ``Windows`` and ``Visitors`` take their tables.
    """
    if not len(heavy):
        return heavy
    rows = heavy[(heavy["turns"] > 0) | (heavy["small"] > 0)]
    rows = rows[np.argsort(rows["pair_hash"])]
    rows["requests"], rows["paths"] = rows["turns"], rows["shapes"]
    rows["repeats"] = np.minimum(rows["alike"], 0xFFFF)
    for name in ("assets", "posts", "errors"):
        rows[name] = 0
    return rows


def nobody_asks(victims: NDArray[np.void]) -> bool:
    """No victim got a turn in this epoch."""
    if not len(victims):
        return True
    sealed = victims["sealed"]
    return bool((sealed["turns"] == 0).all() and (sealed["small"] == 0).all())


def counts(victims: NDArray[np.void]) -> NDArray[np.float64]:
    """Of each victim in an epoch: turns, handshakes begun, and requests as far as lengths tell."""
    sealed = victims["sealed"]
    turns, hellos, least, most = (
        sealed[name].sum(axis=1, dtype=np.float64) for name in ("turns", "hellos", "least", "most")
    )
    return np.stack([turns, hellos, np.sqrt(least * most) / PART], axis=1)


def bounds(counted: np.void, share: float = 1.0) -> Bounds:
    """Of the requests that one protocol's counters of an epoch hold, or of a share of them."""
    return Bounds(*(share * int(counted[name]) / PART for name in ("least", "most")))


def bounds_of(rows: NDArray[np.void], before: NDArray[np.void] | None) -> Bounds:
    """Of what these sources asked for since another table.

    Args:
        rows: of the heavy-hitter table.
        before: the table then, by pair; None: nobody had asked.
    """
    low, high = (
        int((rows[name].astype(np.int64) - requests_in(before, rows, name)).sum()) / PART
        for name in ("least", "most")
    )
    return Bounds(low, high)


def in_requests(rows: NDArray[np.void]) -> NDArray[np.void]:
    """Rows with requests at most, in whole ones, in the place of their parts."""
    out = rows.copy()
    out["most"] = -(-out["most"].astype(np.int64) // PART)
    return out


class Streaks:
    """For how many epochs in a row each source kept up a pace that people do not.

    Args:
        pace: turns a second.
        least: epochs after which a source is tireless.
    """

    def __init__(self, pace: float, least: int) -> None:
        self._pace, self._least = pace, least
        self._pairs, self._epochs = np.zeros(0, np.uint64), np.zeros(0, np.int64)
        self._found = np.zeros(0, np.uint64)

    def note(self, rows: NDArray[np.void], second: NDArray[np.float64]) -> None:
        """Take in the table of an epoch, sorted by pair, and turns of the last second."""
        fast = second >= self._pace
        epochs = self._of(rows) + 1
        self._pairs, self._epochs = rows["pair_hash"][fast].astype(np.uint64), epochs[fast]
        self._found = self._found[np.isin(self._found, self._pairs)]

    def tireless(self, habit: NDArray[np.void], new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Sources of one victim that never pause, whatever they ask for: no page has parts for so long.

        Whoever was found stays so until the first pause: who comes later is not counted as those are.

        Args:
            habit: what they did in the window and the one before, sorted by pair.
            new: who was not as fast before.
        """
        streak, pairs = self._of(habit), habit["pair_hash"].astype(np.uint64)
        each = habit["answered"] / np.maximum(habit["exchanges"], 1)
        devoted = habit["turns"] >= EACH_CONNECTION * np.maximum(habit["first"], 1)
        lately = (streak >= self._least) & (streak <= 2 * self._least)
        found: NDArray[np.bool_] = new & lately & devoted & (each >= ANSWERED)
        found |= np.isin(pairs, self._found)
        if found.sum() < GANG:
            return np.zeros(len(habit), bool)
        self._found = np.union1d(self._found, pairs[found])
        return found

    def _of(self, rows: NDArray[np.void]) -> NDArray[np.int64]:
        return looked_up(self._pairs, self._epochs, rows["pair_hash"])


def at_once(since: NDArray[np.int64]) -> bool:
    """Most of the sources that ask since these epochs came within seconds of each other."""
    since = np.sort(since)
    within = np.searchsorted(since, since + ONSET) - np.arange(len(since))
    return bool(len(since)) and int(within.max()) >= AT_ONCE * len(since)


def resting(
    now: NDArray[np.void], before: NDArray[np.void] | None, earlier: NDArray[np.void] | None, victim: int
) -> tuple[int, int]:
    """Sources of a victim that asked some time ago, and those of them that did not in the last second.

    Args:
        now: the table.
        before: the table a second ago; None: the window is younger.
        earlier: at the end of the window before.
        victim: the victim's slot reference.
    """
    tables = [table[table["victim"] == victim] for table in (now, before, earlier) if table is not None]
    rows, *others = tables
    known = np.unique(np.concatenate([table["pair_hash"] for table in others])) if others else np.zeros(0)
    asked = rows["pair_hash"][rows["requests"] > requests_in(before, rows)]
    return len(known), int((~np.isin(known, asked)).sum())


def relentless(
    habit: NDArray[np.void], second: NDArray[np.float64], *, scattered: bool = False
) -> NDArray[np.bool_]:
    """Sources that ask for the same again and again, faster than people do, or anew on each connection.

    Args:
        habit: what they did in the window and the one before.
        second: their turns in the last second.
        scattered: the victim's exchanges are as various as people's.
    """
    ended = habit["exchanges"].astype(np.float64)
    alike = habit["alike"] / np.maximum(ended - 1, 1)
    monotonous = (second >= FAST) & (ended >= REPEATED) & (varied(habit) <= VARIETY)
    monotonous &= (alike >= SAME) | (not scattered)
    monotonous |= (second >= HAMMER) & (ended >= second) & (alike >= HAMMERED)
    churning = (habit["closed"] >= CHURNED) & _anew(habit) & (second > 0)
    found: NDArray[np.bool_] = monotonous | churning
    return found


def talking(habit: NDArray[np.void], second: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Sources whose turns are mostly no requests, and no more of them than programs that talk have."""
    found: NDArray[np.bool_] = (second < HAMMER) & (habit["talk"] >= TALK * np.maximum(habit["turns"], 1))
    return found


def gathering(habit: NDArray[np.void]) -> NDArray[np.bool_]:
    """Sources that open connection after connection for hardly a request each, closed or not."""
    found: NDArray[np.bool_] = (habit["first"] >= CHURNED) & _anew(habit)
    return found


def _anew(habit: NDArray[np.void]) -> NDArray[np.bool_]:
    few: NDArray[np.bool_] = habit["turns"] <= A_CONNECTION * habit["first"].astype(np.float64)
    return few


def stuck(habit: NDArray[np.void], common: Iterable[int]) -> NDArray[np.bool_]:
    """Sources whose exchanges are hardly ever anything but these shapes, one after the other alike."""
    bits = np.uint64(0)
    for shape in common:
        bits |= np.uint64(1) << np.uint64(shape >> 26)
    ended = habit["exchanges"].astype(np.float64)
    other = np.bitwise_count(habit["paths"] & ~bits)
    found: NDArray[np.bool_] = (
        (ended >= STUCK)
        & (habit["alike"] >= ALIKE * (ended - 1))
        & (habit["paths"] & bits > 0)
        & (other <= VARIETY * ended)
    )
    return found


def varied(habit: NDArray[np.void]) -> NDArray[np.float64]:
    """Different shapes per exchange; 1 where there are too many to tell."""
    found: NDArray[np.float64] = distinct_paths(habit["paths"]) / np.maximum(habit["exchanges"], 1)
    return np.where(np.bitwise_count(habit["paths"]) >= FULL, 1.0, found)


def common_shapes(counts: Iterable[np.void]) -> tuple[dict[int, int], int]:
    """Shapes that many of the exchanges in some epochs have, with how many at least, and all exchanges."""
    votes, total = Counter[int](), 0
    for count in counts:
        total += int(count["exchanges"])
        shapes = count["shapes"]
        won = shapes["vote"] > 0
        for shape, vote in zip(shapes["hash"][won].tolist(), shapes["vote"][won].tolist(), strict=True):
            votes[shape] += vote
    return {shape: held for shape, held in votes.items() if held >= COMMON * total}, total
