"""Floods inside TLS and QUIC, beside people.

How many take part, how fast they are and how long what they ask for is differs from seed to seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from floodwatch.synth.addresses import public4, texts
from floodwatch.synth.floods import Flood, record
from floodwatch.synth.packets import SECOND, Array, Trace, arrivals
from floodwatch.synth.quic import ACK_ALONE, HANDSHAKE, exchange
from floodwatch.synth.records import RESET, RESET_RECORD, TURN, Session, requests_of, speak
from floodwatch.synth.stage import Params
from floodwatch.synth.surfers import Habit, Place, Step, mixed, surf
from floodwatch.synth.tcp import dial
from floodwatch.synth.templates import Head
from floodwatch.synth.truth import peak
from floodwatch.synth.visits import BEFORE, backdrop, draw_shape


def https_flood(trace: Trace, params: Params) -> None:
    """Bots that ask for one thing over and over on kept connections, as fast as they are told."""
    flood, place = _stage(trace, params, 14.0, (5, 20, 40), (8.0, 30.0, 90.0))
    shape = draw_shape(trace)
    _kept(trace, flood, place, lambda pace: _script([shape], pace, 0.02))


def https_flood_few(trace: Trace, params: Params) -> None:
    """One to three hosts that pack many requests of HTTP/2 into a segment."""
    flood, place = _stage(trace, params, 12.0, (1, 2, 3), (250.0, 500.0))
    shape, together = (int(trace.rng.integers(30, 80)), 400), int(trace.rng.choice([4, 8, 12]))
    _kept(trace, flood, place, lambda pace: _script([shape], pace, 0.05, together), share=8)


def https_flood_slow(trace: Trace, params: Params) -> None:
    """Very many hosts that ask for the same one to three times a second each: none of them stands out."""
    flood, place = _stage(trace, params, 16.0, (60, 120, 200), (1.2, 2.0, 2.8))
    shape = draw_shape(trace)
    _kept(trace, flood, place, lambda pace: _script([shape], pace, 0.2), persistent=True)


def https_flood_login(trace: Trace, params: Params) -> None:
    """Names and passwords of any length at a login that refuses them, now and then at more length."""
    flood, place = _stage(trace, params, 14.0, (12, 36, 60), (4.0, 9.0, 20.0))
    answer = int(trace.rng.integers(120, 600))
    shapes = [(int(60 + n), answer + (300 if n % 5 == 0 else 0)) for n in trace.rng.integers(0, 12, 30)]
    _kept(trace, flood, place, lambda pace: _script(shapes, pace, 0.3))


def https_flood_invented(trace: Trace, params: Params) -> None:
    """Paths that are drawn for each request; the error page is always about the same."""
    flood, place = _stage(trace, params, 14.0, (10, 30, 50), (8.0, 20.0, 60.0))
    answer = int(trace.rng.integers(150, 4000))
    shapes = [(int(40 + n), answer + int(n)) for n in trace.rng.integers(0, 24, 60)]
    _kept(trace, flood, place, lambda pace: _script(shapes, pace, 0.1))


def https_flood_curt(trace: Trace, params: Params) -> None:
    """Bots that ask for what is answered without a body (204, 304), perhaps without a date."""
    flood, place = _stage(trace, params, 14.0, (12, 30), (10.0, 20.0))
    answer = int(trace.rng.choice([27, 45, 64, 110]))
    shapes = [(int(60 + n), answer) for n in trace.rng.integers(0, 60, 30)]
    session = Session(bye=bool(trace.rng.random() < 0.5))
    _kept(trace, flood, place, lambda pace: _script(shapes, pace, 0.1), session=session)


def https_flood_various(trace: Trace, params: Params) -> None:
    """All pages of the site, drawn one after the other and nothing that they pull in, faster than people."""
    flood, place = _stage(trace, params, 14.0, (12, 30), (12.0, 30.0))
    _kept(trace, flood, place, lambda pace: _script(list(place.pages), pace, 0.1))


def https_flood_strolling(trace: Trace, params: Params) -> None:
    """All pages of the site in turn, hardly faster than people, by many hosts that never rest."""
    flood, place = _stage(trace, params, 18.0, (40, 80), (4.5, 5.5))
    _kept(trace, flood, place, lambda pace: _script(list(place.pages), pace, 0.1))


def https_flood_pausing(trace: Trace, params: Params) -> None:
    """Bots that ask for two seconds and pause for two."""
    flood, place = _stage(trace, params, 16.0, (20, 40), (10.0, 25.0))
    shape = draw_shape(trace)

    def script(pace: float) -> Habit:
        def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
            for step in _script([shape], pace, 0.1)(rng, left):
                if step[0] % 4.0 < 2.0:
                    yield step

        return habit

    _kept(trace, flood, place, script)


def https_flood_churn(trace: Trace, params: Params) -> None:
    """Bots with a connection for each request, some of them resumed."""
    flood, place = _stage(trace, params, 12.0, (10, 30, 80), (2.0, 6.0, 15.0))
    bots = _bots(trace, flood)
    start = arrivals(trace.rng, flood.start, flood.seconds - 0.4, flood.pps)
    client = np.resize(trace.rng.permutation(bots), len(start))
    conns = dial(trace, start, client, place.server, 443, rtt_ms=float(trace.rng.uniform(15, 60)))
    turns = np.zeros(len(conns), TURN)
    turns["conn"], turns["count"], turns["service"] = np.arange(len(conns)), 1, 3_000_000
    turns["size"], turns["answer"] = draw_shape(trace)
    resumed = trace.rng.random(len(conns)) < trace.rng.choice([0.0, 0.9])
    _note(trace, flood, speak(trace, conns, turns, Session(resumed=resumed, bye=trace.rng.random() < 0.7)))


def http3_flood(trace: Trace, params: Params) -> None:
    """Bots that ask for one thing over and over on kept connections of QUIC."""
    flood, place = _stage(trace, params, 12.0, (4, 16, 40), (8.0, 20.0, 60.0))
    shape = draw_shape(trace)
    _kept(trace, flood, place, lambda pace: _script([shape], pace, 0.1), quic=True)


def tls_handshakes(trace: Trace, params: Params) -> None:
    """Whole handshakes, and then nothing."""
    flood, place = _stage(trace, params, 12.0, (6, 24, 60), (5.0, 14.0))
    bots = _bots(trace, flood)
    start = arrivals(trace.rng, flood.start, flood.seconds - 0.4, flood.pps)
    conns = dial(trace, start, np.resize(bots, len(start)), place.server, 443)
    session = Session(old=bool(trace.rng.random() < 0.5), bye=bool(trace.rng.random() < 0.5))
    sent = speak(trace, conns, np.zeros(0, TURN), session)
    _note(trace, flood, sent, vector="tls_flood", unit="hello/s")


def quic_handshakes(trace: Trace, params: Params) -> None:
    """Whole handshakes of QUIC by real hosts, and then nothing."""
    flood, place = _stage(trace, params, 12.0, (6, 24, 60), (5.0, 14.0))
    start = arrivals(trace.rng, flood.start, flood.seconds - 0.4, flood.pps)
    conns = dial(trace, start, np.resize(_bots(trace, flood), len(start)), place.server, 443)
    sent = exchange(trace, conns, np.zeros(0, TURN))
    _note(trace, flood, sent, vector="quic_flood", unit="packet/s")


def slow_http_inside_tls(trace: Trace, params: Params) -> None:
    """Hosts with many connections each, on which they ask for nothing, or for what they never end."""
    rng, seconds = trace.rng, params.duration or 32.0
    sources, each = params.sources or int(rng.choice([1, 4, 10])), int(rng.choice([40, 60]))
    rate = params.pps or float(rng.choice([15, 30]))
    flood = Flood(params.victim, 443, trace.at(BEFORE), seconds, rate, sources)
    place = backdrop(trace, params, BEFORE + seconds, rng.uniform(0.5, 2.0))
    bots, opening = _bots(trace, flood), min(sources * each / rate, 16.0)
    start = np.sort(flood.start + rng.integers(0, int(opening * SECOND), sources * each))
    conns = dial(trace, start, np.resize(bots, len(start)), place.server, 443)
    turns, end = np.zeros(0, TURN), flood.start + int(seconds * SECOND)
    if rng.random() < 0.6:
        pause = float(rng.choice([2.0, 5.0, 9.0]))
        pieces = int(seconds / pause)
        turns = np.zeros(pieces * len(conns), TURN)
        turns["conn"], turns["count"] = np.repeat(np.arange(len(conns)), pieces), 1
        wait = np.tile(np.arange(pieces), len(conns)) * pause + rng.uniform(0, 0.3, len(turns))
        turns["at"] = start[turns["conn"]] + (wait * SECOND).astype(np.int64)
        turns["size"] = np.where(np.arange(len(turns)) % pieces, rng.integers(8, 24, len(turns)), 150)
    sent = speak(trace, conns, turns, Session(old=bool(rng.random() < 0.3), bye=False), until=end)
    record(trace, flood, "slow_http", sent, origin="real", unit="conn/s", sources=texts(bots),
           peak_per_second=peak(start))  # fmt: skip


def madeyoureset_inside_tls(trace: Trace, params: Params) -> None:
    """Hosts that break a rule behind each request, for which the server resets it."""
    flood, place = _stage(trace, params, 10.0, (2, 4), (200.0, 350.0))
    bots = np.repeat(_bots(trace, flood), 8)
    conns = dial(trace, flood.start + trace.rng.integers(0, SECOND // 2, len(bots)), bots, place.server, 443)
    each = int(flood.pps * flood.seconds / len(conns))
    turns = np.zeros(2 * each * len(conns), TURN)
    turns["conn"], turns["count"] = np.repeat(np.arange(len(conns)), 2 * each), 1
    breaks = np.arange(len(turns)) % 2 == 1
    turns["size"] = np.where(breaks, RESET, int(trace.rng.integers(30, 90)))
    turns["answer"] = np.where(breaks, RESET, 0)
    pace = np.tile(np.arange(2 * each) // 2, len(conns)) * (len(conns) / flood.pps)
    turns["at"] = conns["start"][turns["conn"]] + (pace * SECOND).astype(np.int64)
    conns["rtt"] = 1_000_000
    sent = speak(trace, conns, turns, Session(http2=True), until=flood.start + int(flood.seconds * SECOND))
    _note(trace, flood, sent, vector="madeyoureset", unit="record/s")


def _stage(
    trace: Trace, params: Params, seconds: float, sources: tuple[int, ...], paces: tuple[float, ...]
) -> tuple[Flood, Place]:
    """A flood of one of these numbers of sources, each at one of these paces, beside people."""
    rng = trace.rng
    seconds = params.duration or seconds
    count, pace = params.sources or int(rng.choice(sources)), float(rng.choice(paces))
    flood = Flood(
        params.victim, 443, trace.at(BEFORE), seconds, params.pps or max(count * pace, 100.0), count
    )
    return flood, backdrop(trace, params, BEFORE + seconds + 2.0, trace.rng.uniform(0.5, 2.0))


def _bots(trace: Trace, flood: Flood) -> Array:
    return public4(trace.rng, flood.sources or 1, 1.1)


def _script(shapes: list[tuple[int, int]], pace: float, jitter: float, together: int = 1) -> Habit:
    """Requests of these lengths, drawn one after the other, ``pace`` a second."""

    def habit(rng: np.random.Generator, left: float) -> Iterator[Step]:
        for at in np.arange(0.0, left, together / pace):
            ask, answer = shapes[rng.integers(0, len(shapes))]
            fits = max(1, min(together, 1400 // (ask + 22)))
            yield max(float(at + rng.normal(0, jitter) * together / pace), 0.0), ask, fits, answer * fits

    return habit


def _kept(trace: Trace, flood: Flood, place: Place, script: Callable[[float], Habit], *, share: int = 1,
          quic: bool = False, persistent: bool = False, session: Session | None = None) -> None:  # fmt: skip
    """The flood's bots, each with ``share`` connections (several speak HTTP/2), whose requests ``script``
    makes at a pace.
    """
    bots = np.repeat(_bots(trace, flood), share)
    start = flood.start + trace.rng.integers(0, SECOND // 2, len(bots))
    end = flood.start + int(flood.seconds * SECOND)
    if persistent:
        session = mixed(trace.rng, len(bots))
    elif session is None:
        session = Session(http2=share > 1 or bool(trace.rng.random() < 0.5))
    sent = surf(trace, place, start, bots, script(flood.pps / len(bots)), until=end, quic=quic,
                session=session, rtt_ms=float(trace.rng.uniform(4, 40)))  # fmt: skip
    _note(trace, flood, sent, vector="http3_flood" if quic else "https_flood")


def _note(
    trace: Trace, flood: Flood, sent: Array, *, vector: str = "https_flood", unit: str = "req/s"
) -> None:
    record(trace, flood, vector, sent, origin="real", unit=unit, sources=texts(sent["src"]),
           peak_per_second=peak(_asked(trace, sent, unit)))  # fmt: skip


def _asked(trace: Trace, sent: Array, unit: str) -> Array:
    """When each request was sent, or each ClientHello."""
    if unit == "packet/s":
        return sent["t"]
    rows, which = np.unique(sent["pay"], return_inverse=True)
    if unit == "record/s":
        each = np.array([len(trace.pool.payload(row)) == RESET_RECORD for row in rows.tolist()])
    elif unit == "hello/s":
        each = np.array([trace.pool.payload(row).startswith(b"\x16\3\1") for row in rows.tolist()])
    else:
        each = np.array([requests_of(trace.pool.payload(row)) for row in rows.tolist()])
    udp = (sent["head"] == Head.UDP) & (sent["plen"] > ACK_ALONE) & (sent["plen"] < HANDSHAKE)
    asked: Array = np.repeat(sent["t"], np.where(sent["plen"] > 0, each[which.reshape(-1)], 0) + udp)
    return asked
