"""HTTP/2 in clear text and WebSockets: floods on connections that go on, and those who are none.

A packet holds several frames of a client; the server answers each packet.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from floodwatch.synth.addresses import parse, public4, texts
from floodwatch.synth.floods import Flood, record
from floodwatch.synth.packets import SECOND, Array, Trace
from floodwatch.synth.stage import Params, background, staged_flood
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import http2_frame, http2_preface, http2_request, websocket_frame
from floodwatch.synth.truth import peak

SETTLED = http2_frame(4, 1, 0)
"""What a server says to most: its settings are agreed."""
UPGRADE = (
    b"GET /live HTTP/1.1\r\nHost: chat.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
NO_ERROR_OF_THE_CLIENT, ERROR_OF_THE_CLIENT = 7, 1
"""REFUSED_STREAM and PROTOCOL_ERROR (RFC 9113, 7)."""
FRAMES = 10
"""Frames, or streams, in a packet of a flood."""


def http2_flood(trace: Trace, params: Params) -> None:
    """40 real bots ask for one path 1500 times a second by HTTP/2 in clear text."""
    flood = staged_flood(trace, params, 1500, 6, 40, 80)
    bots = public4(trace.rng, flood.sources or 40, 1.1)
    pays = [http2_request(2 * n + 1, "chat.example", "/search", again=n > 0) for n in range(400)]
    answer = http2_frame(1, 4, 1, b"\x88") + http2_frame(0, 1, 1, b"no results, as before")
    sent, t = _flooding(trace, flood, bots, 1, [http2_preface(), *pays], [SETTLED, answer])
    record(trace, flood, "http_flood", sent, origin="real", unit="req/s", path="/search", requests=len(t),
           sources=texts(bots), peak_per_second=peak(t))  # fmt: skip


def madeyoureset(trace: Trace, params: Params) -> None:
    """40 real bots ask 4000 times a second by HTTP/2, and behind each request make the server reset it."""
    flood = staged_flood(trace, params, 4000, 6, 40, 80)
    _break_streams(trace, flood, "madeyoureset", lambda number: _streams(number, _error),
                   _resets(ERROR_OF_THE_CLIENT))  # fmt: skip


def http2_refusals(trace: Trace, params: Params) -> None:
    """A proxy asks 1500 times a second by HTTP/2 of a server that refuses what it cannot do. Not a flood."""
    _proxies(trace, params, lambda n: b"", _resets(NO_ERROR_OF_THE_CLIENT))


def websocket_flood(trace: Trace, params: Params) -> None:
    """20 real bots send 6000 small frames a second through WebSockets, ten in a packet."""
    flood = staged_flood(trace, params, 6000, 6, 20, 80)
    bots = public4(trace.rng, flood.sources or 20, 1.1)
    spam = [
        b"".join(websocket_frame(1, b"hello %02d" % (n % 100)) for _ in range(FRAMES)) for n in range(200)
    ]
    sent, t = _flooding(trace, flood, bots, FRAMES, [UPGRADE, *spam], [UPGRADED, b"\x8a\0"])
    record(trace, flood, "websocket_flood", sent, origin="real", unit="frame/s", sources=texts(bots),
           peak_per_second=peak(np.repeat(t, FRAMES)))  # fmt: skip


def websocket_games(trace: Trace, params: Params) -> None:
    """60 people play a game that sends 60 frames a second through WebSockets, each. Not a flood."""
    seconds = params.duration or 6.0
    background(trace, params.victim, seconds)
    players = public4(trace.rng, params.sources or 60)
    moves = [websocket_frame(2, bytes((n % 256,)) * 12) for n in range(400)]
    conns = dial(trace, trace.at(0.5) + np.arange(len(players)) * SECOND // 100, players,
                 parse(params.victim)[1], 80, rtt_ms=5.0)  # fmt: skip
    world = b"\x82\x7e\x01\0" + bytes(256)
    _speak(trace, conns, [UPGRADE, *moves], [UPGRADED, world], (params.pps or 3600.0) / len(players),
           trace.at(seconds))  # fmt: skip
    trace.truth.add_clients(players, known=True)


def http2_rapid_reset(trace: Trace, params: Params) -> None:
    """40 real bots open 4000 streams of HTTP/2 a second, in clear text, and reset each at once."""
    flood = staged_flood(trace, params, 4000, 6, 40, 80)
    _break_streams(trace, flood, "http2_rapid_reset", lambda number: _streams(number, _cancel), SETTLED)


def http2_continuation_flood(trace: Trace, params: Params) -> None:
    """40 real bots send 3000 pieces a second of headers of HTTP/2 that never end, in clear text."""
    flood = staged_flood(trace, params, 3000, 6, 40, 80)
    piece = http2_frame(9, 0, 1, b"\x40\x01a\x78" + b"a" * 120)
    begun = http2_frame(1, 0, 1, b"\x82\x86\x84\x41\x0cchat.example")
    _break_streams(trace, flood, "http2_continuation_flood",
                   lambda number: (b"" if number else begun) + piece * FRAMES, SETTLED)  # fmt: skip


def http2_proxy(trace: Trace, params: Params) -> None:
    """A proxy asks 1500 times a second by HTTP/2 in clear text, and cancels one of ten. Not a flood."""
    _proxies(trace, params, lambda stream: _cancel(stream) if stream // 2 % FRAMES == 0 else b"", SETTLED)


def _proxies(trace: Trace, params: Params, behind: Callable[[int], bytes], answer: bytes) -> None:
    """Four proxies that ask for people, each over one connection."""
    seconds = params.duration or 6.0
    background(trace, params.victim, seconds)
    proxies = public4(trace.rng, params.sources or 4)
    pays = [_streams(number, behind, _page) for number in range(200)]
    conns = dial(trace, trace.at(0.5) + np.arange(4) * SECOND // 100, np.resize(proxies, 4),
                 parse(params.victim)[1], 80, rtt_ms=5.0)  # fmt: skip
    _speak(trace, conns, [http2_preface(), *pays], [SETTLED, answer], (params.pps or 1500.0) / FRAMES / 4,
           trace.at(seconds))  # fmt: skip
    trace.truth.add_clients(proxies, known=True)


def _cancel(stream: int) -> bytes:
    return http2_frame(3, 0, stream, b"\0\0\0\x08")


def _error(stream: int) -> bytes:
    """A window that does not grow: an error of the stream (RFC 9113, 6.9)."""
    return http2_frame(8, 0, stream, bytes(4))


def _resets(code: int) -> bytes:
    """A server's resets of the streams of a packet; their numbers do not matter here."""
    return b"".join(http2_frame(3, 0, 2 * n + 1, code.to_bytes(4, "big")) for n in range(FRAMES))


def _streams(
    number: int, behind: Callable[[int], bytes], path: Callable[[int], str] = lambda n: "/"
) -> bytes:
    """Packet ``number`` of a connection: it opens ten streams, with something behind each."""
    first = 2 * FRAMES * number + 1
    streams = range(first, first + 2 * FRAMES, 2)
    return b"".join(http2_request(n, "chat.example", path(n)) + behind(n) for n in streams)


def _page(stream: int) -> str:
    """What people ask for one after the other: pages, and four parts of each."""
    part, page = stream // 2 % 5, stream // 10
    return (
        f"/topic/{page}"
        if part == 0
        else f"/static/{page % 40}-{part}.{('css', 'js', 'png', 'jpg')[part - 1]}"
    )


def _break_streams(
    trace: Trace, flood: Flood, vector: str, packet: Callable[[int], bytes], answer: bytes
) -> None:
    """Every bot sends ``packet(0)``, ``packet(1)``, ... with ten frames of the vector each."""
    bots = public4(trace.rng, flood.sources or 40, 1.1)
    pays = [http2_preface(), *(packet(number) for number in range(200))]
    sent, t = _flooding(trace, flood, bots, FRAMES, pays, [SETTLED, answer])
    record(trace, flood, vector, sent, origin="real", unit="record/s", sources=texts(bots),
           peak_per_second=peak(np.repeat(t, FRAMES)))  # fmt: skip


def _flooding(
    trace: Trace, flood: Flood, bots: Array, frames: int, pays: list[bytes], answers: list[bytes]
) -> tuple[Array, Array]:
    """``flood.pps`` frames a second, so many in a packet, over one connection of each bot; see ``_speak``."""
    starts = flood.start + trace.rng.integers(0, SECOND // 10, len(bots))
    conns = dial(trace, starts, bots, parse(flood.victim)[1], flood.port or 80, rtt_ms=30.0)
    until = flood.start + int(flood.seconds * SECOND)
    return _speak(trace, conns, pays, answers, flood.pps / frames / len(bots), until)


def _speak(
    trace: Trace, conns: Array, pays: list[bytes], answers: list[bytes], each: float, until: int
) -> tuple[Array, Array]:
    """Connections that begin with ``pays[0]`` and send ``each`` packets a second, the first and the others
    answered by one of two ``answers``; returns the packets, and the times of those behind the first.
    """
    rng, count = trace.rng, len(pays)
    reqs = np.zeros(len(conns) * count, REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(conns)), count)
    reqs["pay"] = np.tile(trace.pool.add_all(pays), len(conns))
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    begins = np.arange(len(reqs)) % count == 0
    rows = trace.pool.add_all(answers)
    reqs["reply"] = np.where(begins, *rows)
    reqs["reply_length"] = trace.pool.lengths()[reqs["reply"]]
    wait = SECOND / each - conns["rtt"][reqs["conn"]]
    reqs["gap"] = np.maximum(rng.gamma(6, 1 / 6, len(reqs)) * wait, 0)
    reqs["service"] = 200_000
    reqs = schedule(conns, reqs, until=until)
    first = reqs["pay"] == reqs["pay"][0]
    return converse(trace, conns, reqs), reqs["t"][~first]
