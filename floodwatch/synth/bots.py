"""Floods by real machines: completed handshakes, real requests, one path and nothing else of the site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from floodwatch.synth.addresses import parse, public4, texts
from floodwatch.synth.floods import Flood, record
from floodwatch.synth.packets import ACK, PSH, SECOND, Array, Trace, hops
from floodwatch.synth.people import AGENTS, build_site, http_reply, http_request
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import Head
from floodwatch.synth.truth import peak


@dataclass(frozen=True, slots=True)
class Script:
    """What each bot repeats; ``keep_alive`` is the mean number of requests on a kept connection."""

    method: str = "GET"
    path: str = "/"
    host: str = "chat.example"
    body: bytes = b""
    keep_alive: int = 30
    single_share: float = 0.3
    """Share of the requests that come on a connection of their own."""
    gap_s: float = 0.02
    reply: str = "200 OK"
    reply_bytes: int = 700


def http_flood(trace: Trace, flood: Flood, script: Script, bots: Array | None = None) -> Array:
    """``flood.pps`` requests a second from ``flood.sources`` real bots. Returns the packets of the bots."""
    rng = trace.rng
    if bots is None:
        bots = public4(rng, flood.sources or 40, 1.1)
    per_conn = _requests_per_connection(rng, flood, script)
    # the last connections are cut off by the end of the flood, so they start early enough to be of use
    start = flood.start + np.sort(rng.integers(0, int(flood.seconds * 0.93 * SECOND), len(per_conn)))
    client = np.concatenate([rng.permutation(bots), rng.choice(bots, max(0, len(start) - len(bots)))])[
        : len(start)
    ]
    conns = dial(trace, start, client, parse(flood.victim)[1], flood.port or 80, rtt_ms=60.0)
    return _flooding(trace, flood, script, conns, per_conn)


def poll(trace: Trace, flood: Flood, script: Script, clients: Array, starts: Array) -> None:
    """Programs that ask for one path all the time, one connection each, until the flood is over."""
    conns = dial(trace, starts, clients, parse(flood.victim)[1], flood.port or 80, rtt_ms=30.0)
    _run(trace, flood, script, conns, np.full(len(clients), 200))


def _requests_per_connection(rng: np.random.Generator, flood: Flood, script: Script) -> Array:
    total = flood.pps * flood.seconds * 1.12
    single = np.ones(round(total * script.single_share), np.int64)
    long = 2 + rng.poisson(
        script.keep_alive - 2, max(1, round(total * (1 - script.single_share) / script.keep_alive))
    )
    return rng.permutation(np.concatenate([single, long]))


def _run(trace: Trace, flood: Flood, script: Script, conns: Array, per_conn: Array) -> tuple[Array, Array]:
    """The packets that the clients send, and their requests."""
    rng, end = trace.rng, flood.start + int(flood.seconds * SECOND)
    reqs = np.zeros(int(per_conn.sum()), REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(conns)), per_conn)
    agents = AGENTS[:2]
    rows = trace.pool.add_all(
        [http_request(script.method, script.path, script.host, a, script.body) for a in agents]
    )
    reqs["pay"] = rng.choice(rows, len(conns))[reqs["conn"]]
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"] = trace.pool.add(http_reply(script.reply, "text/html"))
    reqs["reply_length"], reqs["service"] = (
        script.reply_bytes,
        rng.gamma(2, 3, len(reqs)) * 1_000_000 + 400_000,
    )
    reqs["gap"] = rng.gamma(4, script.gap_s / 4, len(reqs)) * SECOND
    reqs = schedule(conns, reqs, until=end)
    return converse(trace, conns, reqs), reqs


def _flooding(trace: Trace, flood: Flood, script: Script, conns: Array, per_conn: Array) -> Array:
    """The same as the flood that it is; returns the packets."""
    sent, reqs = _run(trace, flood, script, conns, per_conn)
    record(trace, flood, "http_flood", sent, origin="real", unit="req/s", path=script.path,
           requests=len(reqs), peak_per_second=peak(reqs["t"]), sources=texts(conns["client"]))  # fmt: skip
    return sent


def low_rate_flood(trace: Trace, flood: Flood, script: Script) -> Array:
    """Every bot keeps one connection and asks about ``flood.pps / flood.sources`` times a second."""
    rng = trace.rng
    bots = public4(rng, flood.sources or 600, 1.1)
    each = flood.pps / len(bots)
    conns = dial(trace, flood.start + rng.integers(0, SECOND, len(bots)), bots, parse(flood.victim)[1],
                 flood.port or 80, rtt_ms=60.0)  # fmt: skip
    per_conn = np.full(len(bots), max(1, round(flood.seconds * each * 1.2)))
    return _flooding(trace, flood, script, conns, per_conn)


def mimics(
    trace: Trace, flood: Flood, bots: Array, parts: float, paths: list[str] | None = None, **facts: Any
) -> None:
    """Bots that ask for the pages of the site, and in a share of ``parts`` for what pages pull in.

    ``paths`` are asked for in place of its pages.
    """
    rng, server = trace.rng, parse(flood.victim)[1]
    site = build_site(trace, server, flood.port or 80, "chat.example")
    starts = flood.start + rng.integers(0, SECOND // 2, len(bots))
    pages = site.pages
    if paths is not None:
        asked = [[http_request("GET", path, "chat.example", agent) for agent in AGENTS] for path in paths]
        pages = np.array([trace.pool.add_all(row) for row in asked])
    conns = dial(trace, starts, bots, server, flood.port or 80)
    conns["rtt"] = np.minimum(conns["rtt"], 20_000_000)
    count = round(flood.seconds * flood.pps / len(bots))
    reqs = np.zeros(len(bots) * count, REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(bots)), count)
    agent = rng.integers(0, len(AGENTS), len(bots))[reqs["conn"]]
    page, part = rng.integers(0, len(pages), len(reqs)), rng.integers(0, len(site.assets), len(reqs))
    is_part = rng.random(len(reqs)) < parts
    reqs["pay"] = np.where(is_part, site.assets[part, agent], pages[page, agent])
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"], reqs["reply_length"] = site.replies[0], 900
    reqs["service"] = 1_000_000
    wait = SECOND * len(bots) / flood.pps - 1_000_000 - conns["rtt"][reqs["conn"]]
    reqs["gap"] = np.maximum(rng.gamma(4, 1 / 4, len(reqs)) * wait, 0)
    reqs = schedule(conns, reqs, until=flood.start + int(flood.seconds * SECOND))
    sent = converse(trace, conns, reqs)
    record(trace, flood, "http_flood", sent, origin="real", unit="req/s", requests=len(reqs),
           peak_per_second=peak(reqs["t"]), sources=texts(conns["client"]), **facts)  # fmt: skip


def probing(trace: Trace, flood: Flood, endpoints: int = 60) -> Array:
    """One source walks end points and parameters at ``flood.pps`` requests a second; most do not exist."""
    rng = trace.rng
    bots = public4(rng, 1)
    count = max(1, round(flood.seconds * flood.pps))
    names = ("users", "keys", "admin", "debug", "export", "chat", "files", "tokens", "config", "health")
    paths = [f"/api/v{i % 3 + 1}/{names[i % len(names)]}?id={i * 7 % 100}&page={i}" for i in range(endpoints)]
    rows = trace.pool.add_all(
        [http_request("GET", path, "chat.example", "python-requests/2.32") for path in paths]
    )
    conns = dial(trace, np.full(1, flood.start), bots, parse(flood.victim)[1], flood.port or 80)
    conns["rtt"] = 40_000_000
    reqs = np.zeros(count, REQUEST)
    reqs["pay"] = rows[np.arange(count) % endpoints]
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"] = trace.pool.add(http_reply("404 Not Found", "application/json"))
    reqs["reply_length"], reqs["service"] = 220, 2_000_000
    reqs["gap"] = np.maximum(rng.gamma(6, 1 / 6, count) / flood.pps * SECOND - 42_000_000, 1_000_000)
    return converse(trace, conns, schedule(conns, reqs))


def guessing(trace: Trace, flood: Flood) -> Array:
    """Each source posts a password to the login page again and again; every one of them is refused."""
    rng = trace.rng
    bots = public4(rng, flood.sources or 5)
    count = max(2, round(flood.seconds * flood.pps / len(bots)))
    body = b'{"user": "admin", "password": "%06d"}'
    pays = trace.pool.add_all(
        [http_request("POST", "/login", "chat.example", "curl/8.5.0", body % n) for n in range(64)]
    )
    conns = dial(trace, np.full(len(bots), flood.start), bots, parse(flood.victim)[1], flood.port or 80)
    reqs = np.zeros(count * len(bots), REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(bots)), count)
    reqs["pay"] = rng.choice(pays, len(reqs))
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"] = trace.pool.add(http_reply("401 Unauthorized", "application/json"))
    reqs["reply_length"], reqs["service"] = 180, 20_000_000
    each = SECOND * len(bots) / flood.pps
    reqs["gap"] = np.maximum(rng.gamma(6, 1 / 6, len(reqs)) * each - 60_000_000, 1_000_000)
    reqs = schedule(conns, reqs, until=flood.start + int(flood.seconds * SECOND))
    sent = converse(trace, conns, reqs)
    record(trace, flood, "login_bruteforce", sent, origin="real", unit="req/s", path="/login",
           requests=len(reqs), peak_per_second=peak(reqs["t"]), sources=texts(conns["client"]))  # fmt: skip
    return sent


def tries(trace: Trace, starts: Array, clients: Array, victim: str, path: str, replies: list[str]) -> Array:
    """Each client posts once to ``path``, on a connection of its own, and gets one of ``replies``."""
    conns = dial(trace, starts, clients, parse(victim)[1], 80)
    bodies = [b'{"user": "u%04d", "password": "%06d"}' % (n, n * 7919 % 10**6) for n in range(64)]
    pays = trace.pool.add_all(
        [http_request("POST", path, "chat.example", AGENTS[0], body) for body in bodies]
    )
    answers = trace.pool.add_all([http_reply(reply, "application/json") for reply in replies])
    pay, reply = trace.rng.choice(pays, len(conns)), np.resize(answers, len(conns))
    return ask_once(trace, conns, pay, reply, reply_length=180, service=20_000_000)[0]


def ask_once(
    trace: Trace, conns: Array, pay: Array | int, reply: Array | int, *, reply_length: int, service: int,
    close: bool = True,
) -> tuple[Array, Array]:  # fmt: skip
    """One request on each connection, and its answer: the packets that the clients send, and the requests."""
    reqs = np.zeros(len(conns), REQUEST)
    reqs["conn"], reqs["pay"] = np.arange(len(conns)), pay
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    reqs["reply"], reqs["reply_length"], reqs["service"] = reply, reply_length, service
    reqs = schedule(conns, reqs)
    return converse(trace, conns, reqs, close=close), reqs


def slow_requests(
    trace: Trace,
    flood: Flood,
    begins: bytes = b"GET / HTTP/1.1\r\nHost: chat.example\r\nUser-Agent: Mozilla/5.0\r\n",
    goes_on: bytes = b"X-a: 4711\r\n",
) -> Array:
    """Each source opens connections, begins a request on each, and then sends a piece of it now and then."""
    rng = trace.rng
    bots = public4(rng, flood.sources or 10)
    opening = min(flood.seconds, 4.0)
    start = flood.start + np.sort(rng.integers(0, int(opening * SECOND), round(flood.pps * opening)))
    conns = dial(trace, start, rng.choice(bots, len(start)), parse(flood.victim)[1], flood.port or 80)
    isn = trace.rng.integers(0, 1 << 32, len(conns), dtype=np.uint32)
    begun, more = trace.pool.add(begins), trace.pool.add(goes_on)
    sent = [converse(trace, conns, np.zeros(0, REQUEST), close=False)]
    at, seq = conns["start"] + conns["rtt"] + 1_000_000, isn
    for number in range(1 + int(flood.seconds // 4)):
        kept = at <= flood.start + int(flood.seconds * SECOND)
        row = begun if number == 0 else more
        part = trace.add(at[kept], src=conns["client"][kept], dst=conns["server"][kept], flags=PSH | ACK)
        part["sport"], part["dport"], part["pay"] = conns["cport"][kept], conns["sport"][kept], row
        part["plen"], part["seq"], part["ttl"] = trace.pool.lengths()[row], seq[kept], hops(part["src"])
        seq = seq + np.uint32(part["plen"][0] if len(part) else 0)
        at = at + 4 * SECOND + rng.integers(0, SECOND, len(conns))
        sent.append(part)
    every = np.concatenate(sent)
    record(trace, flood, "slow_http", every, origin="real", unit="conn/s", sources=texts(conns["client"]),
           peak_per_second=peak(conns["start"]))  # fmt: skip
    return every


def slow_readers(trace: Trace, flood: Flood) -> Array:
    """Each source asks for something large on many connections, 80 a second, and takes nothing of it."""
    bots = public4(trace.rng, flood.sources or 10)
    count = round(min(4 * flood.pps, 80 * flood.seconds))
    start = flood.start + np.sort(trace.rng.integers(0, count * SECOND // 80, count))
    client = trace.rng.choice(bots, len(start))
    conns = dial(trace, start, client, parse(flood.victim)[1], flood.port or 80)
    every = stall(trace, conns, flood.start + int(flood.seconds * SECOND))
    record(trace, flood, "slow_http", every, origin="real", unit="conn/s", sources=texts(conns["client"]),
           peak_per_second=peak(conns["start"]))  # fmt: skip
    return every


def stall(trace: Trace, conns: Array, end: int) -> Array:
    """Ask once on each connection, and tell the server until ``end`` that there is no room for the answer."""
    pay = trace.pool.add(http_request("GET", "/archive", "chat.example", AGENTS[0]))
    reply = trace.pool.add(http_reply("200 OK", "application/zip"))
    sent = [ask_once(trace, conns, pay, reply, reply_length=4000, service=2_000_000, close=False)[0]]
    after, wait = conns["start"] + conns["rtt"] + SECOND // 4, SECOND // 5
    while (after <= end).any():  # the server probes less and less often (RFC 9293, 3.8.6.1)
        held = conns[after <= end]
        part = trace.add(after[after <= end], src=held["client"], dst=held["server"], sport=held["cport"],
                         dport=held["sport"], flags=ACK, win=0, head=Head.TCP_PADDED)  # fmt: skip
        part["ttl"] = hops(part["src"])
        sent.append(part)
        after = after + wait + trace.rng.integers(0, SECOND // 50, len(conns))
        wait = min(2 * wait, 5 * SECOND)
    return np.concatenate(sent)
