"""What people and honest programs do inside TLS and QUIC: pages, apps, chats, uploads, films, polls.

Everybody is written as turns at times; see ``records`` for how they become packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.packets import SECOND, Trace
from floodwatch.synth.quic import exchange
from floodwatch.synth.records import TURN, Session, speak
from floodwatch.synth.tcp import dial

Array = NDArray[Any]
Step: TypeAlias = tuple[float, int, int, int]
"""Seconds after the start, bytes of a request, requests in one segment, bytes of the answers."""
Steps: TypeAlias = Iterable[Step]
Habit: TypeAlias = Callable[[np.random.Generator, float], Iterator[Step]]
"""What one client does, given how many seconds are left."""
PARTS_TOGETHER = 6
"""Requests that a browser packs into one segment."""


@dataclass(frozen=True, slots=True)
class Place:
    """A site from outside: lengths of requests and answers of its pages, parts and end points."""

    server: int
    pages: tuple[tuple[int, int], ...]
    parts: tuple[tuple[int, int], ...]
    calls: tuple[tuple[int, int], ...]


def build_place(rng: np.random.Generator, server: int) -> Place:
    """A site with lengths of its own."""

    def some(count: int, asks: tuple[int, int], middle: float, spread: float) -> tuple[tuple[int, int], ...]:
        sizes = np.exp(rng.normal(np.log(middle), spread, count)).clip(80, 40_000).astype(int)
        return tuple(zip(rng.integers(*asks, count).tolist(), sizes.tolist(), strict=True))

    return Place(
        server,
        pages=some(30, (24, 80), 4000, 0.7),
        parts=some(60, (24, 70), 2500, 1.2),
        calls=some(10, (40, 160), 900, 1.0),
    )


def reader(place: Place, think_s: float = 7.0, views: float = 3.0) -> Habit:
    """Pages with what they pull in, then reading, and calls of their scripts now and then."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        own, at = int(rng.integers(0, 40)), 0.0  # cookies and the agent's name
        seen = set[int]()
        for view in range(1 + int(rng.poisson(views - 1))):
            page = 0 if view == 0 and rng.random() < 0.6 else int(min(rng.geometric(0.12), 30)) - 1
            ask, answer = place.pages[page]
            yield at, ask + own, 1, int(answer * rng.uniform(0.95, 1.05))
            wanted = [int(part) for part in rng.integers(0, 60, rng.integers(5, 40)) if part not in seen]
            seen.update(wanted)
            at += rng.uniform(0.03, 0.15)
            while wanted:
                batch = wanted[: rng.integers(1, PARTS_TOGETHER + 1)]
                wanted = wanted[len(batch) :]
                yield at, place.parts[batch[0]][0] + own, len(batch), sum(place.parts[p][1] for p in batch)
                at += rng.uniform(0.0, 0.05)
            rest = at + float(np.clip(rng.gamma(1.5, think_s / 1.5), 0.8, 60.0))
            while rng.random() < 0.5 and at < rest:
                ask, answer = place.calls[rng.integers(0, 10)]
                at += rng.uniform(0.2, 2.0)
                yield at, ask + own, 1, int(answer * rng.uniform(0.7, 1.4))
            at = max(at, rest)
            if at > left:
                return

    return habit


def app(place: Place, tap_s: float = 4.0) -> Habit:
    """One program in many hands: some calls as it opens, one or two for each tap, a sign of life."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        own, at = int(rng.integers(0, 12)), 0.0
        for ask, answer in place.calls[:4]:
            yield at, ask + own, 1, int(answer * rng.uniform(0.6, 1.6))
            at += rng.uniform(0.02, 0.2)
        while at < left:
            at += float(np.clip(rng.gamma(1.2, tap_s / 1.2), 0.3, 40.0))
            for _ in range(int(rng.integers(1, 4))):
                ask, answer = place.calls[rng.integers(0, 10)]
                yield at, ask + own + int(rng.integers(0, 6)), 1, int(answer * rng.uniform(0.5, 2.0))
                at += rng.uniform(0.01, 0.1)
            if rng.random() < 0.06:
                return

    return habit


def poller(ask: int, answer: int, period_s: float, fresh: float = 0.1) -> Habit:
    """The same call each ``period_s``; in a share of ``fresh`` there is news."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        for at in np.arange(rng.uniform(0, 0.1), left, period_s):
            size = int(answer * rng.uniform(1.5, 6)) if rng.random() < fresh else answer
            yield float(at + rng.uniform(0, 0.02) * period_s), ask, 1, size

    return habit


def talker(pace_s: float = 1.5) -> Habit:
    """A chat: texts of any length, signs that somebody types, pings; answers are as short."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        at = 0.0
        yield at, 350, 1, 300
        while at < left:
            at += float(rng.exponential(pace_s)) + 0.05
            if rng.random() < 0.4:  # somebody types
                for _ in range(int(rng.integers(2, 6))):
                    yield at, 38, 1, int(rng.integers(20, 60))
                    at += rng.uniform(0.15, 0.6)
            yield at, int(np.exp(rng.normal(4.2, 0.6))), 1, int(np.exp(rng.normal(4.6, 0.9)))

    return habit


def player(pace: float) -> Habit:
    """A game on a WebSocket: what hands do, ``pace`` times a second, and how the world goes on."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        yield 0.0, 330, 1, 129
        for at in np.arange(0.3, left, 1 / pace):
            late = float(rng.uniform(0, 0.3)) / pace
            yield float(at) + late, 6 + int(rng.integers(8, 40)), 1, 2 + int(rng.integers(20, 100))

    return habit


def uploader(pieces: tuple[int, int] = (40, 160)) -> Habit:
    """Large bodies in full segments, and a short answer to each."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        at = 0.0
        while at < left:
            yield at, 420, 1, 0
            for _ in range(int(rng.integers(*pieces))):
                yield at, 1400, 1, 0
            yield at, int(rng.integers(200, 1400)), 1, 180
            at += rng.uniform(1.0, 6.0)

    return habit


def watcher(period_s: float = 2.0) -> Habit:
    """A film: pieces ahead at first, then one each ``period_s``, each as long as its pictures make it."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        ahead, at = int(rng.integers(3, 9)), 0.0
        while at < left:
            yield at, 96 + int(rng.integers(0, 3)), 1, int(rng.gamma(8, 5000))
            ahead -= 1
            at += 0.02 if ahead > 0 else period_s * rng.uniform(0.9, 1.1)

    return habit


def crawler(pace_s: float) -> Habit:
    """Page after page, each once."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        at = 0.0
        while at < left:
            yield at, int(rng.integers(24, 110)), 1, int(np.exp(rng.normal(8.6, 0.8)))
            at += pace_s * rng.uniform(0.6, 1.4)

    return habit


def surf(
    trace: Trace, place: Place, starts: Array, clients: Array, habit: Habit, *,
    until: int, port: int = 443, quic: bool = False, session: Session | None = None, rtt_ms: float = 45.0,
) -> Array:  # fmt: skip
    """Let each client follow the habit from its start on, on one connection. Returns their packets."""
    conns = dial(trace, starts, clients, place.server, port, rtt_ms=rtt_ms)
    rows = list[tuple[int, int, int, int, int, int]]()
    for number, start in enumerate(starts.tolist()):
        begin = start + int(conns["rtt"][number])
        for at, size, count, answer in habit(trace.rng, (until - start) / SECOND):
            rows.append((number, begin + int(at * SECOND), size, count, answer, 0))
    turns = np.array(rows, TURN)
    turns = turns[turns["at"] <= until]
    turns["service"] = trace.rng.gamma(2.0, 3.0, len(turns)) * 1_000_000 + 400_000
    if quic:
        return exchange(trace, conns, turns, until)
    return speak(trace, conns, turns, session or mixed(trace.rng, len(conns)), until)


def mixed(rng: np.random.Generator, count: int) -> Session:
    """Most clients speak TLS 1.3 and HTTP/2, some come again."""
    return Session(
        old=rng.random(count) < 0.1, resumed=rng.random(count) < 0.3, http2=rng.random(count) < 0.9
    )
