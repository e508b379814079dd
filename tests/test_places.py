"""Places that are held for minutes: in a capture, where nobody has to wait for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floodwatch as fw
from floodwatch import synth
from floodwatch.detectors.held import STILL
from floodwatch.model.event import Event
from floodwatch.synth.addresses import parse
from floodwatch.synth.packets import ACK, FIN, PSH, SECOND, SYN, Trace
from floodwatch.synth.people import http_request
from floodwatch.synth.stage import background
from floodwatch.synth.templates import Head

VICTIM = "198.51.100.7"
BEGIN = 4.0
"""Seconds of ordinary traffic before the first place is taken; the next follow it 0.2 s apart."""
TOOLS = ("100.64.7.1", "93.184.5.20", "93.184.5.21", "81.2.69.9")
SEGMENT = 256
"""Bytes of the window of a reader: two units of 128."""


class Connections:
    """Connections of these clients to port 80 with right numbers: both sides say what they are told to."""

    def __init__(self, trace: Trace, clients: list[str], each: int) -> None:
        self._trace = trace
        count = len(clients) * each
        self.began = trace.at(BEGIN) + np.arange(count) * (SECOND // 5)
        self._client = {
            "src": np.resize([parse(one)[1] for one in clients], count).astype(np.uint64),
            "dst": np.uint64(parse(VICTIM)[1]),
            "sport": 20_000 + np.arange(count),
            "dport": 80,
        }
        back = {"src": "dst", "dst": "src", "sport": "dport", "dport": "sport"}
        self._server = {name: self._client[other] for name, other in back.items()} | {"out": True}
        self._next = [np.full(count, 1000, np.uint32), np.full(count, 9000, np.uint32)]
        self._say(0.0, 0, head=Head.SYN_LINUX, flags=SYN)
        self._next[0] += 1
        self._say(0.01, 1, head=Head.SYN_ACK, flags=SYN | ACK)
        self._next[1] += 1
        self.client(0.02)

    def client(self, after: float, payload: bytes = b"", **fields: Any) -> None:
        """A client's packet, so many seconds after each connection began."""
        self._say(after, 0, payload, **fields)

    def server(self, after: float, payload: bytes = b"", **fields: Any) -> None:
        """A server's packet."""
        self._say(after, 1, payload, **fields)

    def _say(self, after: float, side: int, payload: bytes = b"", **fields: Any) -> None:
        plain = {"head": Head.TCP if payload else Head.TCP_PADDED, "flags": PSH | ACK if payload else ACK,
                 "win": 502, "pay": self._trace.pool.add(payload), "plen": len(payload),
                 "seq": self._next[side], "ack": self._next[1 - side]}  # fmt: skip
        self._trace.add(
            self.began + int(after * SECOND), **(self._server if side else self._client), **(plain | fields)
        )
        self._next[side] = self._next[side] + np.uint32(len(payload))


def headers(held: Connections, seconds: float) -> None:
    """A request, and a line of its header every 100 s."""
    held.client(0.03, b"GET / HTTP/1.1\r\nHost: chat.example\r\n")
    drips(held, seconds, 100, b"X-a: 4711\r\n")


def bodies(held: Connections, seconds: float) -> None:
    """A promise of 8 kB, and a byte of it every 9 s."""
    held.client(0.03, b"POST /form HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 8192\r\n\r\n")
    drips(held, seconds, 9, b"a")


def drips(held: Connections, seconds: float, every: int, piece: bytes) -> None:
    """A piece of the rest every so many seconds, each acknowledged."""
    held.server(0.04)
    for number in range(1, int(seconds / every) + 1):
        held.client(float(every * number), piece)
        held.server(every * number + 0.01)


def readers(held: Connections, seconds: float, window: int = 0) -> None:
    """A request for something large, of which nothing is taken: the server asks ever less often."""
    held.client(0.03, http_request("GET", "/archive", "chat.example", "curl/8.5.0"))
    held.server(0.05, b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + bytes(900))
    held.client(0.06, win=window)
    at, wait = 0.3, 0.2
    while at < seconds:
        held.server(at)
        held.client(at + 0.01, win=window)
        at, wait = at + wait, min(2 * wait, 30.0)


def sippers(held: Connections, seconds: float, window: int = SEGMENT >> 7, take: int = SEGMENT) -> None:
    """The same, of which a piece is taken every other second: the window is never one of zero."""
    held.client(0.03, http_request("GET", "/archive", "chat.example", "curl/8.5.0"))
    for number in range(int(seconds / 2)):
        held.server(2.0 * number + 0.1, b"x" * take)
        held.client(2.0 * number + 0.2, win=window)


def captured(
    path: Path, how: Callable[..., None], lasts: float, clients: tuple[str, ...] = TOOLS, each: int = 15,
    **settings: int,
) -> tuple[list[Event], Connections]:  # fmt: skip
    """What is told of such a capture, in which people come and go; and the connections."""
    trace = Trace("places", 5, np.random.default_rng(5))
    background(trace, VICTIM, BEGIN + lasts + 20.0, per_second=0.3)
    held = Connections(trace, list(clients), each)
    how(held, lasts, **settings)
    held.server(lasts + 1.0, flags=FIN | ACK)
    synth.write(trace, path)
    return list(fw.scan(path, seed=bytes(16)).floods), held


def seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


@pytest.mark.parametrize(
    ("how", "lasts"), [(headers, 350.0), (bodies, 120.0), (readers, 120.0), (sippers, 60.0)]
)
def test_one_event_lasts_from_the_first_place_to_the_last(
    tmp_path: Path, how: Callable[..., None], lasts: float
) -> None:
    """And says how many were held at the peak, how long, and for whom."""
    floods, held = captured(tmp_path / "held.pcap", how, lasts)
    (flood,) = floods
    assert (flood.vector, flood.victim.ip, flood.victim.port) == ("slow_http", VICTIM, 80)
    assert abs(seconds(flood.first) - held.began[0] / SECOND) < 1.0
    fewest, last = held.began[[-STILL, -1]] / SECOND + lasts + 1.0
    assert fewest - 0.5 < seconds(flood.last) < last + 0.5
    says = {one.name: one for one in flood.evidence}
    assert says["held"].value == 60
    assert "for 4 sources, 15 of them for" in says["held"].says
    assert says["held_s"].value == pytest.approx(lasts + 1.0, abs=2.0)
    assert flood.sources.origin == "real"
    assert {one.cidr for one in flood.sources.top} == set(TOOLS)


@pytest.mark.parametrize(
    ("how", "settings"),
    [(readers, {}), (sippers, {}), (sippers, {"take": 60}), (sippers, {"window": 34, "take": 1400})],
)
def test_people_hold_a_place_each(tmp_path: Path, how: Callable[..., None], settings: dict[str, int]) -> None:
    """Players that are paused, phones in a tunnel, devices with little room: one or two of a host."""
    people = tuple(f"93.184.{n}.7" for n in range(40))
    floods, _ = captured(tmp_path / "people.pcap", how, 60.0, people, each=2, **settings)
    assert floods == []


@pytest.mark.parametrize("settings", [{"take": 60}, {"window": 34, "take": 1400}])
def test_who_is_given_all_there_is_or_reads_on_holds_no_place(
    tmp_path: Path, settings: dict[str, int]
) -> None:
    """Many devices behind one address get news, or a film, through windows of little room."""
    floods, _ = captured(tmp_path / "devices.pcap", sippers, 60.0, **settings)
    assert floods == []
