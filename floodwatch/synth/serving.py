"""Scenarios without a flood: machines that report, stream, poll, measure and are served, some unanswered."""

from __future__ import annotations

import numpy as np

from floodwatch.synth.addresses import parse, public4
from floodwatch.synth.bots import ask_once
from floodwatch.synth.packets import ACK, RST, SECOND, SYN, Array, Trace, arrivals, hops
from floodwatch.synth.people import http_reply, http_request
from floodwatch.synth.stage import LEAD, Params, background, side_note
from floodwatch.synth.tcp import REQUEST, converse, dial, schedule
from floodwatch.synth.templates import Head, dns_answer

COLLECTOR = "198.51.100.60"
FIRST_PORT = 20_000


def collector(trace: Trace, params: Params) -> None:
    """60 devices log 1,400 times a second, from the first packet on, and get no answer. Not a flood."""
    seconds = params.duration or 5.0
    background(trace, params.victim, seconds)
    devices = public4(trace.rng, params.sources or 60)
    _report(trace, devices, (trace.start, seconds, params.pps or 1400.0), size=220)
    trace.truth.add_clients(devices, known=True)


def collector_own_port(trace: Trace, params: Params) -> None:
    """The same with port 514 at both ends, as syslog daemons have it. Not a flood."""
    seconds = params.duration or 5.0
    background(trace, params.victim, seconds)
    devices = public4(trace.rng, params.sources or 60)
    _report(trace, devices, (trace.start, seconds, params.pps or 1400.0), size=120, sport=514)
    trace.truth.add_clients(devices, known=True)


def flow_exports(trace: Trace, params: Params) -> None:
    """Three routers begin to export flows to a host at rest, 2,500 packets a second. Not a flood."""
    seconds = params.duration or 5.0
    background(trace, params.victim, LEAD + seconds)
    routers = public4(trace.rng, params.sources or 3)
    _report(trace, routers, (trace.at(LEAD), seconds, params.pps or 2500.0), size=1400, dport=2055)
    trace.truth.add_clients(routers, known=True)


def recorded_calls(trace: Trace, params: Params) -> None:
    """30 phones send a recorder 50 packets of speech a second each, to ports of their own. Not a flood."""
    seconds = params.duration or 5.0
    background(trace, params.victim, LEAD + seconds)
    phones = public4(trace.rng, params.sources or 30)
    pace = params.pps or 50.0 * len(phones)
    _report(trace, phones, (trace.at(LEAD), seconds, pace), size=172, dport=None)
    trace.truth.add_clients(phones, known=True)


def relayed_calls(trace: Trace, params: Params) -> None:
    """12 video calls by way of relays at port 3478: 110 packets a second in, 8 out each. Not a flood."""
    seconds, relays = params.duration or 5.0, public4(trace.rng, params.sources or 12)
    background(trace, params.victim, seconds)
    victim, pace = parse(params.victim)[1], params.pps or 110.0 * len(relays)
    who, t = _turns(trace, len(relays), trace.start, seconds, pace)
    plain = {"head": Head.UDP, "frag": 0}
    trace.add(t, src=relays[who], dst=victim, sport=3478, dport=FIRST_PORT + who, plen=900,
              ttl=hops(relays[who]), **plain)  # fmt: skip
    who, t = _turns(trace, len(relays), trace.start, seconds, pace / 14)
    trace.add(t, src=victim, dst=relays[who], sport=FIRST_PORT + who, dport=3478, plen=60, out=True, **plain)
    trace.truth.add_clients(relays, known=True)


def polls(trace: Trace, params: Params) -> None:
    """A manager polls 100 agents 1,500 times a second; large answers from port 161 come back. Not a flood."""
    seconds, agents = params.duration or 5.0, public4(trace.rng, params.sources or 100)
    background(trace, params.victim, seconds)
    victim = parse(params.victim)[1]
    who, t = _turns(trace, len(agents), trace.start, seconds, params.pps or 1500.0)
    plain = {"head": Head.UDP, "frag": 0}
    sport = FIRST_PORT + who % 20
    trace.add(t, src=victim, dst=agents[who], sport=sport, dport=161, plen=60, out=True, **plain)
    trace.add(t + 4_000_000, src=agents[who], dst=victim, sport=161, dport=sport, plen=1300,
              ttl=hops(agents[who]), **plain)  # fmt: skip
    trace.truth.add_clients(agents, known=True)


def half_a_resolver(trace: Trace, params: Params) -> None:
    """80 name servers answer a resolver whose 2,500 questions a second were not captured. Not a flood."""
    seconds, servers = params.duration or 4.0, public4(trace.rng, params.sources or 80)
    trace.stop = trace.at(seconds)
    t = arrivals(trace.rng, trace.start, seconds, params.pps or 2500.0)
    src = trace.rng.choice(servers, len(t))
    rows = trace.pool.add_all([dns_answer(f"host{i}.example", "198.51.100.10") for i in range(50)])
    got = trace.add(t, head=Head.UDP, frag=0, src=src, dst=parse(params.victim)[1], sport=53, ttl=hops(src))
    got["dport"], got["pay"] = trace.rng.integers(1024, 65536, len(t)), trace.rng.choice(rows, len(t))
    got["plen"] = trace.pool.lengths()[got["pay"]]
    trace.truth.add_clients(servers, known=True)


def api_frontend(trace: Trace, params: Params) -> None:
    """A frontend asks an API 400 times a second from the first packet on, each path once. Not a flood."""
    seconds, count = params.duration or 5.0, params.sources or 1
    trace.stop = trace.at(seconds + 1.0)
    _ask(trace, params, seconds, count)


def own_crawler(trace: Trace, params: Params) -> None:
    """A crawler of one's own asks 400 times a second from the first packet on, beside people. Not a flood."""
    seconds, count = params.duration or 5.0, params.sources or 1
    background(trace, params.victim, seconds)
    _ask(trace, params, seconds, count, port=80)


def _ask(trace: Trace, params: Params, seconds: float, count: int, port: int = 8080) -> None:
    """Kept connections of ``count`` sources that ask for one thing after the other."""
    clients, pace = public4(trace.rng, count), (params.pps or 400.0) / count
    conns = dial(trace, np.full(count, trace.start), clients, parse(params.victim)[1], port, rtt_ms=0.5)
    conns["rtt"] = 300_000
    each = int(seconds * pace)
    asks = [
        http_request("GET", f"/v1/item/{i:06x}", "api.example", "frontend/2.1") for i in range(count * each)
    ]
    rows = trace.pool.add_all(asks)
    reqs = np.zeros(count * each, REQUEST)
    reqs["conn"], reqs["pay"] = np.repeat(np.arange(count), each), rows
    reqs["length"], reqs["reply_length"] = trace.pool.lengths()[reqs["pay"]], 600
    reqs["reply"] = trace.pool.add(http_reply("200 OK", "application/json"))
    reqs["service"] = 400_000
    reqs["gap"] = max(int(1e9 / pace) - 412_000 - 300_000, 0)
    converse(trace, conns, schedule(conns, reqs))
    trace.truth.add_clients(clients, known=True)


def ping_as_fast_as_it_is(trace: Trace, params: Params) -> None:
    """One host pings the server 4,000 times a second, and each ping is answered. Not a flood."""
    seconds, client = params.duration or 4.0, public4(trace.rng, 1)
    background(trace, params.victim, LEAD + seconds)
    t = arrivals(trace.rng, trace.at(LEAD), seconds, params.pps or 4000.0)
    victim, number = parse(params.victim)[1], np.arange(len(t)) % 65536
    plain = {"plen": 56, "frag": 0, "sport": 77, "dport": number}
    trace.add(t, head=Head.ICMP_REQUEST, src=client[0], dst=victim, ttl=57, **plain)
    trace.add(t + 30_000, head=Head.ICMP_REPLY, src=victim, dst=client[0], out=True, **plain)
    trace.truth.add_clients(client, known=True)


def scan_of_all_ports(trace: Trace, params: Params) -> None:
    """One scanner tries all 65,535 ports at 30,000 a second; closed ones answer with RST. Not a flood."""
    pace = params.pps or 30_000.0
    tried = min(65_535, int(pace * params.duration)) if params.duration else 65_535
    background(trace, params.victim, LEAD + tried / pace)
    _scan(trace, params.victim, tried, pace)


def scan_beside_a_client(trace: Trace, params: Params) -> None:
    """One scanner tries 1,000 ports a second beside a client that comes 20 times a second. Not a flood."""
    seconds, pace = params.duration or 8.0, params.pps or 1000.0
    background(trace, params.victim, LEAD + seconds)
    _scan(trace, params.victim, min(65_535, int(pace * seconds)), pace)
    starts = arrivals(trace.rng, trace.start, LEAD + seconds, 20.0)
    client = public4(trace.rng, 1)
    conns = dial(trace, starts, np.resize(client, len(starts)), parse(params.victim)[1], 80)
    ask_once(
        trace,
        conns,
        np.full(len(starts), trace.pool.add(http_request("GET", "/status", "chat.example", "monitor/1.0"))),
        trace.pool.add(http_reply("200 OK", "text/plain")),
        reply_length=300,
        service=SECOND // 500,
    )
    trace.truth.add_clients(client, known=True)


def _scan(trace: Trace, host: str, tried: int, pace: float) -> None:
    """One scanner tries so many ports of a host, at so many a second; three are open."""
    rng, victim = trace.rng, parse(host)[1]
    scanner, ports = public4(rng, 1), rng.permutation(np.arange(1, 65_536))[:tried]
    t = trace.at(LEAD) + (np.arange(tried) * (1e9 / pace)).astype(np.int64)
    syns = trace.add(t, head=Head.SYN_BARE, flags=SYN, win=1024, src=scanner[0], dst=victim, dport=ports,
                     sport=44_321)  # fmt: skip
    syns["seq"] = rng.integers(0, 1 << 32, tried)
    closed = ~np.isin(ports, (22, 80, 443))
    reply = trace.add(t + 40_000, out=True, src=victim, dst=scanner[0], sport=ports, dport=44_321)
    reply["ack"] = syns["seq"] + 1
    reply["head"] = np.where(closed, Head.TCP, Head.SYN_ACK)
    reply["flags"] = np.where(closed, RST | ACK, SYN | ACK)
    side_note(trace.truth.scans, "port_scan", host, syns)


def _turns(trace: Trace, count: int, start: int, seconds: float, pace: float) -> tuple[Array, Array]:
    """Who sends, in turn, and when: evenly, but for half of the distance to the next."""
    number = np.arange(int(seconds * pace))
    t = start + ((number + 0.5 * trace.rng.random(len(number))) * (1e9 / pace)).astype(np.int64)
    return number % count, t


def _report(
    trace: Trace,
    senders: Array,
    course: tuple[int, float, float],
    *,
    size: int,
    sport: int | None = None,
    dport: int | None = 514,
) -> None:
    """Packets of senders in turn to the collector; ``course``: the start (ns), the seconds, the pace of all.

    Without ``sport`` each sends from a port of its own, without ``dport`` to one of its own.
    """
    start, seconds, pace = course
    who, t = _turns(trace, len(senders), start, seconds, pace)
    own = 30_000 + 2 * who
    ports = {"sport": own if sport is None else sport, "dport": own if dport is None else dport}
    to, ttl = parse(COLLECTOR)[1], hops(senders[who])
    trace.add(t, head=Head.UDP, frag=0, src=senders[who], dst=to, ttl=ttl, plen=size, **ports)
