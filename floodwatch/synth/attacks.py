"""Scenarios of one flood each, in front of people who browse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from floodwatch.synth import bots, floods
from floodwatch.synth.addresses import public4, texts
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import SECOND, Trace, arrivals
from floodwatch.synth.stage import Params, background, staged_flood
from floodwatch.synth.truth import peak


def syn_flood(trace: Trace, params: Params) -> None:
    """SYNs to port 80 from forged addresses of the whole unicast space (or of IPv6, by --target)."""
    floods.syn_flood(trace, staged_flood(trace, params, 4000, 6, None, 80))


def syn_flood_random_ports(trace: Trace, params: Params) -> None:
    """One forged SYN flood over thousands of destination ports of one address."""
    flood = staged_flood(trace, params, 4000, 6, None, None)
    ports = trace.rng.integers(1, 65536, round(flood.seconds * flood.pps))
    syns = floods.syn_packets(trace, flood, ports, answered=0.0)
    floods.record(trace, flood, "syn_flood", syns, origin="forged")


def syn_flood_one_source(trace: Trace, params: Params) -> None:
    """A SYN flood in which every packet names the same source, which never completes a handshake."""
    flood = staged_flood(trace, replace(params, sources=1), 3000, 6, 1, 80)
    syns = floods.syn_packets(trace, flood, 80)
    floods.record(trace, flood, "syn_flood", syns, origin="unknown")


def pulse(trace: Trace, params: Params) -> None:
    """A forged SYN flood that is on for 1 s and off for 2 s, three times and more: one flood."""
    flood = staged_flood(trace, params, 4000, 9, None, 80)
    waves = range(max(1, int(flood.seconds // 3)))
    parts = [
        floods.syn_packets(trace, replace(flood, start=flood.start + wave * 3 * SECOND, seconds=1.0), 80)
        for wave in waves
    ]
    floods.record(trace, flood, "syn_flood", np.concatenate(parts), origin="forged", pattern="pulse")


def http_flood(trace: Trace, params: Params) -> None:
    """40 real bots ask for one path 2000 times a second and more, on old and new connections."""
    script = bots.Script(path="/search")
    bots.http_flood(trace, staged_flood(trace, params, 2200, 5, 40, 80), script)


def http_flood_low_rate(trace: Trace, params: Params) -> None:
    """600 real bots ask for /login twice a second each, and for nothing else."""
    script = bots.Script(path="/login", gap_s=0.43)
    bots.low_rate_flood(trace, staged_flood(trace, params, 1200, 8, 600, 80), script)


def http_flood_beside_pollers(trace: Trace, params: Params) -> None:
    """40 real bots flood one path; 16 programs poll another, since 7 to 15 s before."""
    flood = Flood(params.victim, 80, trace.at(16.0), params.duration or 5.0, params.pps or 2200.0,
                  params.sources or 40)  # fmt: skip
    background(trace, params.victim, 17.0 + flood.seconds)
    pollers = public4(trace.rng, 16)
    starts = trace.at(1.0) + (np.arange(16) * 0.53 * SECOND).astype(np.int64)
    bots.poll(trace, flood, bots.Script(path="/api/v1/poll", gap_s=0.19), pollers, starts)
    trace.truth.add_clients(pollers, known=True)
    bots.http_flood(trace, flood, bots.Script(path="/search"))


def slow_http(trace: Trace, params: Params) -> None:
    """Ten sources hold 400 connections with requests that they never finish."""
    bots.slow_requests(trace, staged_flood(trace, params, 100, 14, 10, 80))


def slow_post(trace: Trace, params: Params) -> None:
    """Ten sources hold 400 connections with bodies that they promise and send byte by byte."""
    head = b"POST /upload HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 8192\r\n\r\n"
    bots.slow_requests(trace, staged_flood(trace, params, 100, 14, 10, 80), head, b"a=4711&b")


def slow_read(trace: Trace, params: Params) -> None:
    """Ten sources ask on 400 connections for something large and take nothing of it."""
    bots.slow_readers(trace, staged_flood(trace, params, 100, 14, 10, 80))


def login_bruteforce(trace: Trace, params: Params) -> None:
    """Five sources guess passwords, twenty a second together; all are refused."""
    bots.guessing(trace, staged_flood(trace, params, 20, 12, 5, 80))


def login_bruteforce_spread(trace: Trace, params: Params) -> None:
    """300 sources guess passwords, one try each, 20 a second together; all are refused."""
    flood = staged_flood(trace, params, 20, 15, 300, 80)
    starts = arrivals(trace.rng, flood.start, flood.seconds, flood.pps)
    clients = np.resize(public4(trace.rng, flood.sources or 300), len(starts))
    sent = bots.tries(trace, starts, clients, params.victim, "/login", ["401 Unauthorized"])
    floods.record(trace, flood, "login_bruteforce", sent, origin="unknown", unit="req/s", path="/login",
                  requests=len(starts), peak_per_second=peak(sent["t"][sent["plen"] > 0]),
                  sources=texts(clients))  # fmt: skip


def udp_flood(trace: Trace, params: Params) -> None:
    """Random UDP payloads from forged sources to random ports."""
    floods.udp_flood(trace, staged_flood(trace, params, 4000, 5, None, None))


def icmp_flood(trace: Trace, params: Params) -> None:
    """Echo requests from forged sources."""
    floods.icmp_flood(trace, staged_flood(trace, params, 4000, 5, None, None))


def dns_amplification(trace: Trace, params: Params) -> None:
    """Large answers to ANY that nobody asked, partly in fragments, from 1500 open resolvers."""
    floods.dns_amplification(trace, staged_flood(trace, params, 2500, 5, 1500, None))


def ntp_amplification(trace: Trace, params: Params) -> None:
    """Monlist replies from 800 time servers."""
    floods.ntp_amplification(trace, staged_flood(trace, params, 4000, 5, 800, 80))


def ssdp_amplification(trace: Trace, params: Params) -> None:
    """Search answers from 3000 home routers."""
    floods.ssdp_amplification(trace, staged_flood(trace, params, 4000, 5, 3000, None))


def memcached_amplification(trace: Trace, params: Params) -> None:
    """Datagrams of 1400 bytes from 500 memcached servers."""
    floods.memcached_amplification(trace, staged_flood(trace, params, 4000, 5, 500, 80))


def burst(trace: Trace, params: Params) -> None:
    """4000 reflected NTP packets within 23 ms, and nothing else in the capture."""
    flood = Flood(params.victim, 80, trace.start, params.duration or 0.023, params.pps or 4000 / 0.023,
                  params.sources or 700)  # fmt: skip
    floods.ntp_amplification(trace, flood)


def zero_duration(trace: Trace, params: Params) -> None:
    """10000 UDP packets that all carry the same time."""
    flood = Flood(params.victim, None, trace.start, 1e-9, params.pps or 1e13, params.sources)
    floods.udp_flood(trace, replace(flood, pps=1e13), sizes=(64, 128))
