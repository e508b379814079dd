"""Floods that are made to mislead: sources that are somebody, waves shorter than an epoch, mimicry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from floodwatch.synth import bots, floods
from floodwatch.synth.addresses import parse, public4
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import ACK, PSH, SECOND, SYN, Trace, arrivals
from floodwatch.synth.people import http_request
from floodwatch.synth.stage import Params, background, staged_flood
from floodwatch.synth.templates import Head
from floodwatch.synth.truth import Array, peak


def framed_clients(trace: Trace, params: Params) -> None:
    """A SYN flood in the names of the people who browse: to block its sources is the attacker's aim."""
    flood = staged_flood(trace, params, 4000, 6, None, 80)
    _in_the_name_of(trace, flood, _clients(trace))


def framed_gateway(trace: Trace, params: Params) -> None:
    """A SYN flood that names the site's own gateway and its resolver as its only sources."""
    flood = staged_flood(trace, params, 4000, 6, None, 80)
    _in_the_name_of(trace, flood, np.array([parse(a)[1] for a in ("198.51.100.1", "198.51.100.53")]))


def framed_networks(trace: Trace, params: Params) -> None:
    """A SYN flood from forged addresses inside the /24 networks of the people who browse."""
    flood = staged_flood(trace, params, 4000, 6, None, 80)
    networks = np.unique(_clients(trace) >> np.uint64(8)) << np.uint64(8)
    hosts = trace.rng.integers(1, 255, 4096, dtype=np.uint64)
    _in_the_name_of(trace, flood, trace.rng.choice(networks, 4096) | hosts)


def short_pulses(trace: Trace, params: Params) -> None:
    """Forged SYNs for 0.1 s of every second, shorter than an epoch: one flood all the same."""
    flood = staged_flood(trace, params, 20_000, 8, None, 80)
    waves = [
        floods.syn_packets(trace, replace(flood, start=flood.start + wave * SECOND, seconds=0.1), 80)
        for wave in range(max(1, int(flood.seconds)))
    ]
    floods.record(trace, flood, "syn_flood", np.concatenate(waves), origin="forged", pattern="pulse")


def slow_ramp(trace: Trace, params: Params) -> None:
    """Forged SYNs that grow from nothing to 1500 a second within 60 s: found when they pass the floor."""
    flood = staged_flood(trace, params, 1500, 60, None, 80)
    # the arrivals of a rate that grows linearly, half of them in the last three tenths of the time
    count = round(flood.seconds * flood.pps / 2)
    t = flood.start + (np.sqrt(np.sort(trace.rng.random(count))) * flood.seconds * SECOND).astype(np.int64)
    syns = floods.syn_packets(trace, replace(flood, pps=flood.pps / 2), 80, answered=0.0)
    syns["t"] = t[: len(syns)] // 1000 * 1000
    floor = 500 / flood.pps * flood.seconds
    floods.record(trace, flood, "syn_flood", syns, origin="forged", pattern="ramp", late_s=floor + 2)


def blind_requests(trace: Trace, params: Params) -> None:
    """SYN, ACK and GET forged in the names of 200 clients, seen one way: nothing proves them real."""
    flood = Flood(params.victim, 80, trace.start + SECOND, params.duration or 6.0, params.pps or 2000.0)
    rng, names = trace.rng, public4(trace.rng, params.sources or 200)
    t = arrivals(rng, flood.start, flood.seconds, flood.pps)
    isn = rng.integers(0, 1 << 32, (2, len(t)), dtype=np.uint32)
    row = trace.pool.add(http_request("GET", "/search", "chat.example", "Mozilla/5.0"))
    common = {"src": rng.choice(names, len(t)), "dst": parse(params.victim)[1], "dport": 80, "win": 1026,
              "sport": rng.integers(1024, 65536, len(t)), "ttl": 57}  # fmt: skip
    parts = [trace.add(t, head=Head.SYN_LINUX, flags=SYN, seq=isn[0], **common)]
    for later, head, row_of, flags in ((1, Head.TCP_PADDED, 0, ACK), (2, Head.TCP, row, PSH | ACK)):
        part = trace.add(t + later * 20_000_000, head=head, flags=flags, pay=row_of, **common)
        part["plen"] = trace.pool.lengths()[row] if row_of else 0
        part["seq"], part["ack"] = isn[0] + 1, isn[1]
        parts.append(part)
    floods.record(trace, flood, "syn_flood", parts[0], origin="forged",
                  limit="one way, each of these handshakes looks finished")  # fmt: skip
    floods.record(trace, flood, "http_flood", np.concatenate(parts), origin="forged", unit="req/s",
                  path="/search", requests=len(t), peak_per_second=peak(t + 40_000_000))  # fmt: skip


def bots_among_clients(trace: Trace, params: Params) -> None:
    """40 real bots in the /24 networks of clients who are served since before: only the bots are listed."""
    flood = staged_flood(trace, params, 2200, 5, 40, 80)
    clients = _clients(trace)
    networks = trace.rng.choice(clients, flood.sources or 40) & ~np.uint64(0xFF)
    taken = set(clients.tolist())
    last = trace.rng.permutation(np.arange(1, 255, dtype=np.uint64))
    hosts = np.array([next(int(net | n) for n in np.roll(last, i) if int(net | n) not in taken)
                      for i, net in enumerate(networks)], np.uint64)  # fmt: skip
    bots.http_flood(trace, flood, bots.Script(path="/search"), np.unique(hosts))


def mimics_of_pages(trace: Trace, params: Params) -> None:
    """60 real bots ask for all pages of the site 1500 times a second, without their parts, beside people."""
    flood = staged_flood(trace, params, 1500, 6, 60, 80)
    bots.mimics(trace, flood, public4(trace.rng, flood.sources or 60), 0.0)


def mimics_of_people(trace: Trace, params: Params) -> None:
    """300 real bots that ask for pages and their parts as people do, if faster. They look like a crowd."""
    flood = staged_flood(trace, params, 900, 8, 300, 80)
    bots.mimics(trace, flood, public4(trace.rng, flood.sources or 300), 0.7, limit="mimicry of people")


def poisoned_paces(trace: Trace, params: Params) -> None:
    """40 real bots poll for 11 s and then ask three times as fast: known by then, they count as a crowd."""
    flood = Flood(params.victim, 80, trace.at(14.0), params.duration or 6.0, params.pps or 240.0,
                  params.sources or 40)  # fmt: skip
    background(trace, params.victim, 15.0 + flood.seconds)
    names = public4(trace.rng, flood.sources or 40)
    before = replace(flood, start=trace.at(2.0), seconds=11.0, pps=flood.pps / 3)
    script = bots.Script(path="/search", gap_s=len(names) / before.pps, single_share=0.0)
    bots.http_flood(trace, before, script, names)
    trace.truth.floods.clear()
    script = replace(script, gap_s=len(names) / flood.pps)
    bots.http_flood(trace, flood, script, names)
    trace.truth.floods[-1].limit = "paces that were learnt"


def _clients(trace: Trace) -> Array:
    return np.array([parse(client)[1] for client in trace.truth.clients], np.uint64)


def _in_the_name_of(trace: Trace, flood: Flood, names: Array) -> None:
    syns = floods.syn_packets(trace, flood, flood.port or 80, answered=0.0)
    syns["src"] = trace.rng.choice(names, len(syns))
    floods.record(trace, flood, "syn_flood", syns, origin="forged")
