"""Visitors and bots behind load balancers, who name them in each request or ahead of each connection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from floodwatch.synth.addresses import parse, public4, texts
from floodwatch.synth.floods import Flood, record
from floodwatch.synth.packets import SECOND, Array, Trace, arrivals
from floodwatch.synth.people import AGENTS, ASSETS, PAGES, http_reply, http_request
from floodwatch.synth.stage import LEAD, Params, background
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.truth import peak

HOST = "chat.example"
BALANCERS = ("10.0.0.11", "10.0.0.12")
SESSION = "0123456789abcdef" * 24
NAMES = 4096
"""Invented clients that the bots of a capture share."""


def proxied_people(trace: Trace, params: Params) -> None:
    """People behind two load balancers that name them, and three times as many after a while. Not a flood."""
    seconds = params.duration or 12.0
    _Balancers(trace, params).serve(seconds, params.pps or 8.0, growth=3.0)


def proxied_flood(trace: Trace, params: Params) -> None:
    """5 clients among people behind two load balancers ask for one path 600 times a second."""
    flood = Flood(params.victim, 80, trace.at(LEAD + 3), params.duration or 5.0, params.pps or 600.0,
                  params.sources or 5)  # fmt: skip
    balancers = _Balancers(trace, params)
    balancers.serve(LEAD + 4.0 + flood.seconds, 8.0)
    balancers.flood(flood)


def proxy_line_flood(trace: Trace, params: Params) -> None:
    """3 clients behind two load balancers that send PROXY lines ask for one path 400 times a second."""
    flood = Flood(params.victim, 80, trace.at(LEAD + 3), params.duration or 5.0, params.pps or 400.0,
                  params.sources or 3)  # fmt: skip
    balancers = _Balancers(trace, params, lines=True)
    balancers.serve(LEAD + 4.0 + flood.seconds, 8.0)
    balancers.flood(flood)


def invented_clients(trace: Trace, params: Params) -> None:
    """20 real bots ask 800 times a second, each time in the name of another client: there is no proxy."""
    flood = Flood(params.victim, 80, trace.at(LEAD), params.duration or 5.0, params.pps or 800.0,
                  params.sources or 20)  # fmt: skip
    background(trace, params.victim, LEAD + flood.seconds + 1.0)
    rng, bots = trace.rng, public4(trace.rng, flood.sources or 20, 1.1)
    conns = dial(
        trace, flood.start + rng.integers(0, SECOND // 4, len(bots)), bots, parse(flood.victim)[1], 80
    )
    conns["rtt"] = np.minimum(conns["rtt"], 20_000_000)
    each = round(1.2 * flood.seconds * flood.pps / len(bots))
    names = [str_of(client) for client in public4(rng, NAMES)]
    pays = trace.pool.add_all([_request("/search", AGENTS[0], name) for name in names])
    reqs = _requests(trace, len(bots), each)
    reqs["pay"] = rng.choice(pays, len(reqs))
    reqs["gap"] = rng.gamma(4, 1 / 4, len(reqs)) * _wait(flood, len(bots), conns, reqs)
    _note(trace, flood, conns, reqs, "/search", texts(bots), [])


def str_of(address: int) -> str:
    """The text of an IPv4 address."""
    return ".".join(str(int(address) >> shift & 255) for shift in (24, 16, 8, 0))


@dataclass
class _Balancers:
    """Two load balancers ahead of the victim; each visit comes on a connection of its own."""

    trace: Trace
    params: Params
    lines: bool = False

    def serve(self, seconds: float, per_second: float, growth: float = 1.0) -> None:
        """Let people visit: each asks for a page, its parts, and another page."""
        trace, rng = self.trace, self.trace.rng
        trace.stop = trace.at(seconds + 1.0)
        starts = np.sort(np.concatenate([
            arrivals(rng, trace.start, seconds, per_second),
            arrivals(rng, trace.at(seconds / 2), seconds / 2, per_second * (growth - 1) + 0.01),
        ]))  # fmt: skip
        clients = public4(rng, len(starts))
        conns = self._dial(starts)
        reqs = _requests(trace, len(starts), 6)
        visit, step = reqs["conn"], np.arange(len(reqs)) % 6
        paths = [*PAGES, *ASSETS]
        chosen = np.where(step % 5 == 0, rng.integers(0, len(PAGES), len(reqs)), 0)
        part = (step % 5 > 0) * (len(PAGES) + rng.integers(0, len(ASSETS), len(reqs)))
        texts_of = [
            self._ask(paths[path], AGENTS[client % len(AGENTS)], str_of(clients[client]), first)
            for path, client, first in zip((chosen + part).tolist(), visit.tolist(), step == 0, strict=True)
        ]
        reqs["pay"] = trace.pool.add_all(texts_of)
        reqs["gap"] = np.where(step == 5, 1.5, rng.uniform(0.005, 0.05, len(reqs))) * SECOND
        self._send(conns, reqs)
        trace.truth.add_clients(clients)
        trace.truth.add_clients(np.array([parse(b)[1] for b in BALANCERS], np.uint64), known=True)

    def flood(self, flood: Flood) -> None:
        """Let some clients ask for one path, on a new connection after every ten requests."""
        trace, rng = self.trace, self.trace.rng
        bots = public4(rng, flood.sources or 3, 1.1)
        count = max(1, round(flood.pps * flood.seconds / 10))
        starts = flood.start + np.sort(rng.integers(0, int(flood.seconds * 0.97 * SECOND), count))
        who = np.concatenate([np.arange(len(bots)), rng.integers(0, len(bots), count)])[:count]
        conns, reqs = self._dial(starts), _requests(trace, count, 10)
        conns["cport"] -= 20_000  # away from those of people
        rows = [
            trace.pool.add_all([self._ask("/search", AGENTS[1], str_of(bot), first) for bot in bots])
            for first in (True, False)
        ]
        opening = np.arange(len(reqs)) % 10 == 0
        mine = who[reqs["conn"]]
        reqs["pay"] = np.where(opening, np.array(rows[0])[mine], np.array(rows[1])[mine])
        reqs["gap"] = rng.gamma(4, 0.001, len(reqs)) * SECOND
        _note(trace, flood, conns, reqs, "/search", texts(bots), list(BALANCERS))

    def _dial(self, starts: Array) -> Array:
        rows = np.array([parse(b)[1] for b in BALANCERS], np.uint64)
        conns = dial(self.trace, starts, rows[np.arange(len(starts)) % 2], parse(self.params.victim)[1], 80)
        conns["rtt"], conns["head"] = 400_000, conns["head"][0] if len(conns) else 0
        return conns

    def _ask(self, path: str, agent: str, client: str, first: bool) -> bytes:
        if not self.lines:
            return _request(path, agent, client)
        line = f"PROXY TCP4 {client} {self.params.victim} 40000 80\r\n".encode() if first else b""
        return line + http_request("GET", path, HOST, agent)

    def _send(self, conns: Array, reqs: Array) -> None:
        reqs["length"] = self.trace.pool.lengths()[reqs["pay"]]
        converse(self.trace, conns, schedule(conns, reqs))


def _request(path: str, agent: str, client: str) -> bytes:
    """A request as long as those of browsers are, with the header that a proxy adds at its end."""
    more = f"Cookie: session={SESSION}\r\nX-Forwarded-For: {client}\r\n\r\n"
    return http_request("GET", path, HOST, agent)[:-2] + more.encode()


def _requests(trace: Trace, conns: int, each: int) -> Array:
    reqs = np.zeros(conns * each, REQUEST)
    reqs["conn"] = np.repeat(np.arange(conns), each)
    reqs["reply"], reqs["reply_length"] = trace.pool.add(http_reply("200 OK", "text/html")), 900
    reqs["service"] = 1_000_000
    return reqs


def _wait(flood: Flood, bots: int, conns: Array, reqs: Array) -> Array:
    wait = SECOND * bots / flood.pps - 1_000_000 - conns["rtt"][reqs["conn"]]
    least: Array = np.maximum(wait, 0)
    return least


def _note(
    trace: Trace, flood: Flood, conns: Array, reqs: Array, path: str, sources: list[str], via: list[str]
) -> None:
    """Send what bots ask, and note the flood that it is."""
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs = schedule(conns, reqs, until=flood.start + int(flood.seconds * SECOND))
    sent = converse(trace, conns, reqs)
    record(trace, flood, "http_flood", sent, origin="real", unit="req/s", path=path, requests=len(reqs),
           peak_per_second=peak(reqs["t"]), source_count=len(sources), sources=sources, via=via)  # fmt: skip
