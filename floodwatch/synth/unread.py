"""Scenarios inside TLS and QUIC without a flood: crowds, and what asks as much as a flood and is none.

How many take part, how fast they are and how long what they ask for is differs from seed to seed.
"""

from __future__ import annotations

import numpy as np

from floodwatch.synth.addresses import public4
from floodwatch.synth.packets import SECOND, Array, Trace, arrivals
from floodwatch.synth.records import TURN, Session, speak
from floodwatch.synth.stage import Params
from floodwatch.synth.surfers import (
    Habit,
    Place,
    app,
    crawler,
    mixed,
    player,
    poller,
    reader,
    talker,
    uploader,
    watcher,
)
from floodwatch.synth.tcp import dial
from floodwatch.synth.truth import CrowdTruth, span
from floodwatch.synth.visits import BEFORE, backdrop, draw_shape, honest


def people_inside_tls(trace: Trace, params: Params) -> None:
    """People on a site, over TLS and QUIC. Not a flood."""
    backdrop(trace, params, params.duration or 25.0, trace.rng.uniform(1, 4))


def crowd_inside_tls(trace: Trace, params: Params) -> None:
    """Five to twenty times as many visitors within seconds: people, all of them. A crowd."""
    usual, times = trace.rng.uniform(0.6, 1.5), float(trace.rng.choice([6, 10, 20]))
    place = backdrop(trace, params, 30.0, usual)
    habit = reader(place, think_s=float(trace.rng.uniform(4, 9)))
    _gather(trace, params, place, habit, usual * times)


def app_crowd_inside_tls(trace: Trace, params: Params) -> None:
    """The users of one app come back at once after a message to all of them: one program, many hands."""
    usual, times = trace.rng.uniform(0.5, 1.5), float(trace.rng.choice([6, 12]))
    place = backdrop(trace, params, 30.0, 0.4)
    habit, rng = app(place), trace.rng
    assert trace.stop is not None
    before = arrivals(rng, trace.start, 30.0, usual)
    honest(trace, place, before, public4(rng, len(before)), habit)
    _gather(trace, params, place, habit, usual * times)


def pollers_inside_tls(trace: Trace, params: Params) -> None:
    """Programs that poll once or twice a second from the first packet on. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 22.0, 0.5), trace.rng
    clients = public4(rng, params.sources or int(rng.choice([20, 60, 120])))
    habit = poller(
        int(rng.integers(60, 300)), int(rng.integers(100, 900)), float(rng.choice([0.5, 1.0, 2.0]))
    )
    honest(trace, place, trace.start + rng.integers(0, SECOND // 2, len(clients)), clients, habit)


def chats_inside_tls(trace: Trace, params: Params) -> None:
    """People who chat, and who type. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 25.0, 0.5), trace.rng
    start = np.sort(
        trace.start + rng.integers(0, 15 * SECOND, params.sources or int(rng.choice([20, 50, 90])))
    )
    honest(trace, place, start, public4(rng, len(start)), talker(float(rng.uniform(0.6, 2.0))))


def games_inside_tls(trace: Trace, params: Params) -> None:
    """Players, each of whom sends many small messages a second. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 25.0, 0.5), trace.rng
    count, within = params.sources or int(rng.choice([12, 30])), int(rng.choice([1, 12]))
    start = np.sort(trace.at(rng.choice([0.2, BEFORE])) + rng.integers(0, within * SECOND, count))
    habit = player(float(rng.choice([10.0, 20.0, 30.0])))
    honest(trace, place, start, public4(rng, count), habit, rtt_ms=25.0, session=Session())


def uploads_inside_tls(trace: Trace, params: Params) -> None:
    """Clients that send large bodies. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 20.0, 0.5), trace.rng
    start = np.sort(trace.start + rng.integers(0, 12 * SECOND, params.sources or int(rng.choice([5, 20]))))
    honest(trace, place, start, public4(rng, len(start)), uploader(), rtt_ms=12.0)


def films_inside_tls(trace: Trace, params: Params) -> None:
    """Players that fetch a film piece by piece. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 20.0, 0.5), trace.rng
    start = np.sort(trace.start + rng.integers(0, 12 * SECOND, params.sources or int(rng.choice([10, 25]))))
    honest(trace, place, start, public4(rng, len(start)), watcher(float(rng.choice([1.0, 2.0, 4.0]))))


def probes_inside_tls(trace: Trace, params: Params) -> None:
    """Monitors that look at one page, each time on a new connection. Not a flood."""
    place, rng, seconds = (
        backdrop(trace, params, params.duration or 25.0, 1.0),
        trace.rng,
        params.duration or 25.0,
    )
    probes, period = (
        public4(rng, params.sources or int(rng.choice([10, 30]))),
        float(rng.choice([1.0, 4.0, 8.0])),
    )
    begin = trace.start + rng.integers(0, int(period * SECOND), len(probes))
    rounds = np.arange(int(seconds / period))
    start = (begin[:, None] + rounds * int(period * SECOND)).reshape(-1)
    conns = dial(trace, start, np.repeat(probes, len(rounds)), place.server, 443)
    turns = np.zeros(len(conns), TURN)
    turns["conn"], turns["count"], turns["service"] = np.arange(len(conns)), 1, 2_000_000
    turns["size"], turns["answer"] = draw_shape(trace)
    speak(trace, conns, turns, Session())
    trace.truth.add_clients(probes)


def proxies_inside_tls(trace: Trace, params: Params) -> None:
    """Hundreds of people behind a few addresses, each with a connection of their own. Not a flood."""
    place, rng, seconds = (
        backdrop(trace, params, params.duration or 25.0, 0.5),
        trace.rng,
        params.duration or 25.0,
    )
    offices = public4(rng, params.sources or int(rng.choice([1, 3, 6])))
    start = arrivals(rng, trace.start, seconds, float(rng.choice([3, 6, 12])))
    honest(trace, place, start, rng.choice(offices, len(start)), reader(place))


def offices_inside_tls(trace: Trace, params: Params) -> None:
    """Offices whose people come back from lunch: hundreds of them behind a few new addresses. A crowd."""
    place, rng = backdrop(trace, params, params.duration or 28.0, 0.5), trace.rng
    offices = public4(rng, params.sources or int(rng.choice([1, 3, 8])))
    _gather(trace, params, place, reader(place), float(rng.choice([5, 8, 12])), offices)


def rollout_inside_tls(trace: Trace, params: Params) -> None:
    """Programs that poll are rolled out, one after the other. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 32.0, 1.0), trace.rng
    start = np.sort(
        trace.at(BEFORE) + rng.integers(0, 20 * SECOND, params.sources or int(rng.choice([40, 120])))
    )
    habit = poller(int(rng.integers(60, 300)), int(rng.integers(100, 900)), float(rng.choice([1.0, 2.0])))
    honest(trace, place, start, public4(rng, len(start)), habit)


def idlers_inside_tls(trace: Trace, params: Params) -> None:
    """Browsers that keep connections on which they asked, some behind few addresses. Not a flood."""
    place, rng, seconds = (
        backdrop(trace, params, params.duration or 32.0, 0.5),
        trace.rng,
        params.duration or 32.0,
    )
    people = public4(rng, params.sources or int(rng.choice([30, 80])))
    offices = public4(rng, 2)
    clients = np.concatenate([np.repeat(people, 5), np.repeat(offices, int(rng.choice([40, 80])))])
    start = np.sort(trace.start + rng.integers(0, int(12 * SECOND), len(clients)))
    conns = dial(trace, start, rng.permutation(clients), place.server, 443)
    asks = rng.integers(4, 9, len(conns))
    turns = np.zeros(int(asks.sum()), TURN)
    turns["conn"], turns["count"], turns["service"] = np.repeat(np.arange(len(conns)), asks), 1, 4_000_000
    again = np.concatenate([np.arange(number) for number in asks.tolist()])
    turns["at"] = start[turns["conn"]] + (again * rng.uniform(0.1, 1.2, len(turns)) * SECOND).astype(np.int64)
    turns["size"], turns["answer"] = rng.integers(60, 900, len(turns)), rng.integers(300, 20_000, len(turns))
    speak(trace, conns, turns, mixed(rng, len(conns)), until=trace.at(seconds))
    trace.truth.add_clients(people)
    trace.truth.add_clients(offices)


def crawlers_inside_tls(trace: Trace, params: Params) -> None:
    """Search engines that fetch page after page, each once. Not a flood."""
    place, rng = backdrop(trace, params, params.duration or 25.0, 1.0), trace.rng
    start = trace.start + rng.integers(0, 10 * SECOND, params.sources or int(rng.choice([1, 3, 5])))
    honest(trace, place, start, public4(rng, len(start)), crawler(float(rng.uniform(0.06, 0.3))))


def _gather(
    trace: Trace, params: Params, place: Place, habit: Habit, rate: float, behind: Array | None = None
) -> None:
    """``rate`` visitors a second after the lead and a rise of some seconds; ``behind`` these addresses."""
    rng = trace.rng
    assert trace.stop is not None
    seconds = (trace.stop - trace.at(BEFORE)) / SECOND
    at, rise = np.sort(rng.random(round(rate * seconds))), float(rng.choice([1.0, 5.0, 10.0]))
    at = at[rng.random(len(at)) < np.minimum(at * seconds / rise, 1.0)]
    start = trace.at(BEFORE) + (at * seconds * SECOND).astype(np.int64)
    clients = public4(rng, len(start)) if behind is None else rng.choice(behind, len(start))
    sent = honest(trace, place, start, clients, habit)
    sent = sent[sent["t"] <= trace.stop]
    crowd = CrowdTruth(victim_ip=params.victim, victim_port=443, client_count=len(start),
                       requests=int((sent["plen"] > 0).sum()), **span(sent["t"]))  # fmt: skip
    trace.truth.crowds.append(crowd)
