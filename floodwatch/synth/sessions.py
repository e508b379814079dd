"""Floods of the layers above: names, TLS and QUIC handshakes, unused connections; and a crowd over TLS."""

from __future__ import annotations

import numpy as np

from floodwatch.synth.addresses import parse, public4, texts
from floodwatch.synth.floods import Flood, forge, record
from floodwatch.synth.packets import SECOND, Array, Trace, arrivals, hops
from floodwatch.synth.people import lookups
from floodwatch.synth.stage import LEAD, Params, background, staged_flood
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import (
    Head,
    dns_failure,
    dns_query,
    quic_initial,
    tls_client_hello,
    tls_record,
)
from floodwatch.synth.truth import peak


def dns_query_flood(trace: Trace, params: Params) -> None:
    """Queries for random names under one zone, through 300 resolvers, on top of ordinary ones."""
    flood = staged_flood(trace, params, 4000, 5, 300, 53)
    rng, server = trace.rng, parse(params.victim)[1]
    usual = arrivals(rng, trace.start, LEAD + flood.seconds + 1, 300)
    resolvers = public4(rng, flood.sources or 300)
    lookups(trace, server, usual, rng.choice(resolvers, len(usual)), names=200)
    trace.truth.add_clients(resolvers, known=True)
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    labels = [f"{value:012x}.shop.example" for value in rng.integers(0, 1 << 48, min(len(t), 3000))]
    asked = trace.pool.add_all([dns_query(name) for name in labels])
    denied = trace.pool.add_all([dns_failure(name) for name in labels])
    chosen = np.arange(len(t)) % len(labels)
    common = {"head": Head.UDP, "marked": True, "mark": rng.integers(0, 1 << 16, len(t))}
    source = rng.choice(resolvers, len(t))
    sent = trace.add(
        t, src=source, dst=server, dport=53, pay=asked[chosen], plen=30, ttl=hops(source), **common
    )
    sent["sport"] = rng.integers(1024, 65536, len(t))
    sent["plen"] = trace.pool.lengths()[sent["pay"]]
    reply = trace.add(t + 90_000, src=server, dst=source, sport=53, dport=sent["sport"], out=True, **common)
    reply["pay"] = denied[chosen]
    reply["plen"] = trace.pool.lengths()[reply["pay"]]
    record(trace, flood, "dns_query_flood", sent, origin="unknown", unit="query/s")


def connection_flood(trace: Trace, params: Params) -> None:
    """60 real bots finish 1500 handshakes a second and never say a word."""
    flood = staged_flood(trace, params, 1500, 6, 60, 80)
    conns = _dial(trace, flood, 60)
    sent = converse(trace, conns, np.zeros(0, REQUEST))
    _note(trace, flood, "connection_flood", "conn/s", sent, conns["start"])


def tls_flood(trace: Trace, params: Params) -> None:
    """80 real bots begin 1500 TLS handshakes a second and finish none."""
    flood = staged_flood(trace, params, 1500, 6, 80, 443)
    conns = _dial(trace, flood, 80)
    hello = trace.pool.add(tls_client_hello("chat.example"))
    hellos = _one_each(trace, conns, hello, 3000)
    sent = converse(trace, conns, hellos)
    _note(trace, flood, "tls_flood", "hello/s", sent, hellos["t"])


def tls_crowd(trace: Trace, params: Params) -> None:
    """People who come to a TLS site by the hundred a second, and use it. Not a flood."""
    seconds = params.duration or 10.0
    background(trace, params.victim, seconds)
    rng = trace.rng
    start = arrivals(rng, trace.at(1.0), max(seconds - 1.0, 0.1), params.pps or 600)
    clients = public4(rng, len(start))
    conns = dial(trace, start, clients, parse(params.victim)[1], 443)
    steps = [
        (tls_client_hello("chat.example"), 3000, 0.0),
        (tls_record(22, 70), 300, 0.0),
        (tls_record(23, 420), 14_000, 0.05),
        (tls_record(23, 380), 30_000, 1.2),
    ]
    reqs = np.zeros(len(conns) * len(steps), REQUEST)
    reqs["conn"] = np.repeat(np.arange(len(conns)), len(steps))
    rows = trace.pool.add_all([step[0] for step in steps])
    reqs["pay"], reqs["length"] = np.tile(rows, len(conns)), np.tile([len(s[0]) for s in steps], len(conns))
    reqs["reply"] = trace.pool.add(tls_record(23, 1200))
    reqs["reply_length"] = np.tile([step[1] for step in steps], len(conns))
    reqs["gap"] = (np.tile([step[2] for step in steps], len(conns)) * SECOND).astype(np.int64)
    reqs["service"] = 2_000_000
    converse(trace, conns, schedule(conns, reqs))
    trace.truth.add_clients(clients)


def quic_flood(trace: Trace, params: Params) -> None:
    """QUIC Initials, each with a connection id of its own, from forged sources."""
    flood = staged_flood(trace, params, 4000, 5, None, 443)
    t = arrivals(trace.rng, flood.start, flood.seconds, flood.pps)
    rows = trace.pool.add_all([quic_initial(int(n)) for n in trace.rng.integers(0, 1 << 62, 256)])
    sent = trace.add(t, head=Head.UDP, pay=trace.rng.choice(rows, len(t)), plen=1200,
                     **forge(trace, flood, len(t)))  # fmt: skip
    sent["sport"], sent["dport"] = trace.rng.integers(1024, 65536, len(t)), 443
    record(trace, flood, "quic_flood", sent, origin="forged")


def _dial(trace: Trace, flood: Flood, sources: int) -> Array:
    rng = trace.rng
    bots = public4(rng, flood.sources or sources, 1.1)
    # the last handshakes need a round trip, so they begin a little before the end
    start = arrivals(rng, flood.start, max(flood.seconds - 0.2, 0.1), flood.pps)
    client = np.concatenate([bots, rng.choice(bots, max(0, len(start) - len(bots)))])[: len(start)]
    return dial(trace, start, client, parse(flood.victim)[1], flood.port or 80, rtt_ms=60.0)


def _one_each(trace: Trace, conns: Array, row: int, reply: int) -> Array:
    reqs = np.zeros(len(conns), REQUEST)
    reqs["conn"], reqs["pay"], reqs["length"] = np.arange(len(conns)), row, trace.pool.lengths()[row]
    reqs["reply"], reqs["reply_length"] = trace.pool.add(tls_record(22, 1200)), reply
    reqs["service"] = 1_500_000
    return schedule(conns, reqs)


def _note(trace: Trace, flood: Flood, vector: str, unit: str, sent: Array, at: Array) -> None:
    record(trace, flood, vector, sent, origin="real", unit=unit, sources=texts(sent["src"]),
           peak_per_second=peak(at))  # fmt: skip
