"""A site that is visited inside TLS and QUIC: what scenarios that nobody can read have in common."""

from __future__ import annotations

import numpy as np

from floodwatch.synth.addresses import parse, public4
from floodwatch.synth.packets import SECOND, Array, Trace, arrivals
from floodwatch.synth.records import Session
from floodwatch.synth.stage import Params
from floodwatch.synth.surfers import Habit, Place, build_place, reader, surf

BEFORE = 8.0
"""Seconds of people before something happens."""


def backdrop(trace: Trace, params: Params, seconds: float, visits: float) -> Place:
    """The site, and people who visit it ``visits`` times a second until the capture stops."""
    rng, trace.stop = trace.rng, trace.at(seconds + 1.0)
    place = build_place(rng, parse(params.victim)[1])
    early = np.full(round(6 * visits), trace.start)  # those who read as the capture begins
    start = np.concatenate([early, arrivals(rng, trace.start, seconds, visits)])
    three = rng.random(len(start)) < rng.choice([0.0, 0.4])
    for quic in (False, True):
        mine = start[three == quic]
        if len(mine):
            honest(trace, place, mine, public4(rng, len(mine)), reader(place), quic=quic)
    return place


def honest(
    trace: Trace, place: Place, start: Array, clients: Array, habit: Habit, *, quic: bool = False,
    rtt_ms: float = 45.0, session: Session | None = None,
) -> Array:  # fmt: skip
    """Clients who are no part of a flood, from their starts on; those who came before anything are known."""
    assert trace.stop is not None
    sent = surf(trace, place, start, clients, habit, until=trace.stop, quic=quic, rtt_ms=rtt_ms,
                session=session)  # fmt: skip
    trace.truth.add_clients(clients)
    early = start < min(trace.at(BEFORE), trace.stop) - SECOND
    trace.truth.add_clients(clients[early], known=True)
    return sent


def draw_shape(trace: Trace) -> tuple[int, int]:
    """Lengths of one request and of its answer."""
    return int(trace.rng.integers(30, 500)), int(np.exp(trace.rng.uniform(np.log(100), np.log(9000))))
