"""What scenarios share: their parameters, the flood they describe, the people in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from floodwatch.synth.addresses import is_v6, parse, public4, texts
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import Array, Trace, arrivals
from floodwatch.synth.people import Habits, browse, build_site, lookups
from floodwatch.synth.truth import SideTruth, span

LEAD = 3.0
"""Seconds of ordinary traffic before a flood begins."""
DNS_SERVER = "198.51.100.53"


@dataclass(frozen=True, slots=True)
class Params:
    """What a user may set, or None for the scenario's own value; ``pps`` is the flood's rate in its unit."""

    seed: int = 1
    victim: str = "198.51.100.7"
    pps: float | None = None
    duration: float | None = None
    sources: int | None = None


Scenario: TypeAlias = Callable[[Trace, Params], None]


def staged_flood(
    trace: Trace, params: Params, pps: float, seconds: float, sources: int | None, port: int | None
) -> Flood:
    """The scenario's flood with the user's changes; people browse before, during and after it."""
    flood = Flood(
        params.victim,
        port,
        trace.at(LEAD),
        seconds if params.duration is None else params.duration,
        pps if params.pps is None else params.pps,
        sources if params.sources is None else params.sources,
    )
    background(trace, params.victim, LEAD + flood.seconds + 1.0)
    return flood


def background(trace: Trace, victim: str, seconds: float, per_second: float = 3.0) -> None:
    """Let people browse the victim and look up names for ``seconds``; the capture stops a second later."""
    trace.stop = trace.at(seconds + 1.0)
    if is_v6(victim):
        return
    site = build_site(trace, parse(victim)[1], 80, "chat.example")
    starts = arrivals(trace.rng, trace.start, seconds, per_second)
    clients = public4(trace.rng, len(starts))
    browse(trace, site, starts, clients, Habits(size_scale=0.5))
    trace.truth.add_clients(clients)
    # a handshake takes up to 0.2 s, and 3 s more after a lost SYN, of which an idle server loses none
    trace.truth.add_clients(clients[starts < trace.at(LEAD - 0.5)], known=True)
    queries = arrivals(trace.rng, trace.start, seconds, 15)
    lookups(trace, parse(DNS_SERVER)[1], queries, public4(trace.rng, 40)[np.arange(len(queries)) % 40])


def side_note(records: list[SideTruth], kind: str, victim: str, sent: Array) -> None:
    """Note what looks like a flood and is none; ``sent`` are its packets."""
    facts = span(sent["t"])
    records.append(SideTruth(kind=kind, source=texts(sent["src"])[0], victim_ip=victim, packets=len(sent),
                             first_ns=facts["first_ns"], last_ns=facts["last_ns"]))  # fmt: skip
