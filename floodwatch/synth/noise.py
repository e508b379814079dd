"""What a host on the Internet gets when nothing is wrong: scanners, backscatter, broken clients, checks.

Sparse on purpose: an hour by default, and a month of it can be made and scanned within minutes. Rates are
those of one address, after what telescopes publish (Pang and others: "Characteristics of Internet Background
Radiation", 2004; Durumeric, Bailey, Halderman: "An Internet-Wide View of Internet-Wide Scanning", 2014).
"""

from __future__ import annotations

import numpy as np

from floodwatch.synth.addresses import parse, public4
from floodwatch.synth.packets import ACK, RST, SECOND, SYN, Array, Trace, arrivals
from floodwatch.synth.people import Habits, browse, build_site
from floodwatch.synth.stage import Params
from floodwatch.synth.tcp import REQUEST, converse, dial
from floodwatch.synth.templates import Head

HOUR = 3600.0
OPEN = (22, 80, 443)
"""Ports that answer; all others refuse."""
WANTED = (22, 23, 80, 443, 445, 1433, 2323, 3389, 5060, 5555, 6379, 8080, 8443, 9200)
"""Ports that scanners look for ..."""
WANTED_UDP = (53, 123, 161, 389, 1900, 5060, 5353, 11211)
"""... and of UDP."""


def noise(trace: Trace, params: Params) -> None:
    """An hour (or as long as is asked for) of what one host on the Internet gets. Not a flood."""
    seconds, victim = params.duration or HOUR, parse(params.victim)[1]
    hours, rng = seconds / HOUR, trace.rng
    trace.stop = trace.at(seconds)
    t = arrivals(rng, trace.start, seconds, 45 / HOUR)
    _knock(trace, t, public4(rng, len(t)), victim, rng.choice(WANTED, len(t)))
    for start in arrivals(rng, trace.start, seconds, max(0.05, 1 / hours) / HOUR):  # sweeps over many ports
        ports = rng.permutation(np.arange(1, 301))
        t = arrivals(rng, int(start), 300 / float(rng.choice([30, 100, 1000])), 1000.0)[: len(ports)]
        _knock(trace, t, np.resize(public4(rng, 1), len(t)), victim, ports[: len(t)])
    for start in arrivals(rng, trace.start, seconds, max(0.01, 1 / hours) / HOUR):  # a swarm that it left
        t = arrivals(rng, int(start), 120.0, 8.0)
        _knock(trace, t, public4(rng, len(t)), victim, np.full(len(t), 6881))
    for start in arrivals(rng, trace.start, seconds, max(0.05, 1 / hours) / HOUR):  # who never gives up
        t = np.int64(start) + np.arange(300) * 5 * SECOND
        _knock(trace, t, np.resize(public4(rng, 1), len(t)), victim, np.full(len(t), 8081))
    _backscatter(trace, seconds, victim)
    _retries(trace, arrivals(rng, trace.start, seconds, 4 / HOUR), victim)
    t = arrivals(rng, trace.start, seconds, 15 / HOUR)
    probes = trace.add(t, head=Head.UDP, src=public4(rng, len(t)), dst=victim, plen=40, frag=0)
    probes["sport"], probes["dport"] = rng.integers(1024, 65536, len(t)), rng.choice(WANTED_UDP, len(t))
    t = arrivals(rng, trace.start, seconds, 4 / HOUR)
    trace.add(t, head=Head.ICMP_REQUEST, src=public4(rng, len(t)), dst=victim, plen=56)
    checks = trace.start + (np.arange(1 + int(seconds // 600)) * 600 * SECOND).astype(np.int64)
    checker = np.resize(public4(rng, 1), len(checks))
    converse(trace, dial(trace, checks, checker, victim, 80), np.zeros(0, REQUEST))
    site = build_site(trace, victim, 80, "chat.example")
    visits = arrivals(rng, trace.start, seconds, max(2 / HOUR, 1 / seconds))
    visitors = public4(rng, len(visits))
    browse(trace, site, visits, visitors, Habits(size_scale=0.2))
    trace.truth.add_clients(visitors)


def _knock(trace: Trace, t: Array, sources: Array, victim: int, ports: Array) -> None:
    """SYNs that want nothing: open ports answer and get a RST, the others refuse."""
    rng = trace.rng
    syns = trace.add(t, head=Head.SYN_BARE, flags=SYN, win=1024, src=sources, dst=victim, dport=ports)
    syns["sport"], syns["seq"] = rng.integers(1024, 65536, len(t)), rng.integers(0, 1 << 32, len(t))
    reply = trace.add(t + 40_000, out=True, src=victim, dst=sources, sport=ports, dport=syns["sport"])
    served = np.isin(ports, OPEN)
    reply["ack"] = syns["seq"] + 1
    reply["head"] = np.where(served, Head.SYN_ACK, Head.TCP)
    reply["flags"] = np.where(served, SYN | ACK, RST | ACK)
    ends = syns[served]
    trace.add(ends["t"] + 60_000_000, head=Head.TCP_PADDED, flags=RST, src=ends["src"], dst=victim,
              sport=ends["sport"], dport=ends["dport"], seq=ends["seq"] + 1)  # fmt: skip


def _backscatter(trace: Trace, seconds: float, victim: int) -> None:
    """Answers to what others forged in this address: SYN-ACKs sent again, resets."""
    rng = trace.rng
    for start in arrivals(rng, trace.start, seconds, max(0.1, HOUR / seconds) / HOUR):
        server, t = public4(rng, 1), arrivals(rng, int(start), 60.0, 0.7)
        for wait, flags in ((0, SYN | ACK), (SECOND, SYN | ACK), (3 * SECOND, RST)):
            part = trace.add(t + wait, head=Head.TCP_PADDED, flags=flags, src=server[0], dst=victim)
            part["sport"], part["dport"] = 443, 20_000 + np.arange(len(t)) % 40_000
            part["seq"] = rng.integers(0, 1 << 32, len(t))


def _retries(trace: Trace, starts: Array, victim: int) -> None:
    """Clients whose SYNs to a filtered port meet silence: they ask again after 1, 3 and 7 s (RFC 6298)."""
    rng = trace.rng
    sources, ports = public4(rng, len(starts)), rng.integers(1024, 65536, len(starts))
    seq = rng.integers(0, 1 << 32, len(starts))
    for wait in (0, 1, 3, 7):
        trace.add(starts + wait * SECOND, head=Head.SYN_BARE, flags=SYN, src=sources, dst=victim,
                  sport=ports, dport=8443, seq=seq)  # fmt: skip
