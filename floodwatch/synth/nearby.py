"""Floods whose sources lie close together, or look alike: a list must name these and nobody beside."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from floodwatch.synth import bots
from floodwatch.synth.addresses import parse, public4
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import SECOND, Trace
from floodwatch.synth.stage import LEAD, Params, background, staged_flood
from floodwatch.synth.templates import Head
from floodwatch.synth.truth import Array

SERVER6 = "2001:db8:5::7"
TRANSLATOR = parse("64:ff9b::")[0]
"""The upper half of the well-known prefix of NAT64 (RFC 6052)."""
CUSTOMER = parse("2a02:8108:44c0:1a00::")[0]
HEADS6 = {Head.SYN_ACK: Head.SYN_ACK6, Head.TCP: Head.TCP6, Head.TCP_PADDED: Head.TCP6}
Place: TypeAlias = Callable[[Array], tuple[Array, Array]]
"""IPv4 addresses to upper and lower halves of IPv6 ones."""


def visitors_of_home(trace: Trace, params: Params) -> None:
    """One bot floods the home page; three people look at it twice in two seconds, few others browse."""
    flood = Flood(params.victim, 80, trace.at(LEAD), params.duration or 10.0, params.pps or 480.0)
    background(trace, params.victim, LEAD + flood.seconds + 1.0, per_second=0.5)
    regulars = public4(trace.rng, 3)
    starts = flood.start - 2 * SECOND + trace.rng.integers(0, SECOND, len(regulars))
    bots.poll(trace, flood, bots.Script(path="/", gap_s=0.6), regulars, starts)
    trace.truth.add_clients(regulars, known=True)
    bots.mimics(trace, flood, np.repeat(public4(trace.rng, 1), 12), 0.0, ["/"])


def bots_over_a_28(trace: Trace, params: Params) -> None:
    """14 bots of one /28 walk a thousand pages 20 times a second each; none of them stands out."""
    flood = staged_flood(trace, params, 280, 10, 14, 80)
    _walk(trace, flood, 28)


def bots_over_a_24(trace: Trace, params: Params) -> None:
    """200 bots of one /24 walk a thousand pages three times a second each, beside people."""
    flood = staged_flood(trace, params, 600, 8, 200, 80)
    _walk(trace, flood, 24)


def _walk(trace: Trace, flood: Flood, length: int) -> None:
    first = int(public4(trace.rng, 1)[0]) >> 32 - length << 32 - length
    hosts = first + 1 + trace.rng.permutation((1 << 32 - length) - 2)[: flood.sources]
    bots.mimics(trace, flood, hosts.astype(np.uint64), 0.0, [f"/item/{n}" for n in range(1000)])


def nat64_bots(trace: Trace, params: Params) -> None:
    """Four bots and all the people come through one NAT64: each of them is an address of its /96."""
    mark, flood = trace.mark(), staged_flood(trace, params, 400, 6, 4, 80)
    bots.http_flood(trace, flood, bots.Script(path="/search"))
    _translate(trace, mark, lambda low: (np.full(len(low), TRANSLATOR, np.uint64), low))


def bots_over_a_64(trace: Trace, params: Params) -> None:
    """A new address out of one /64 for every connection; people come from networks of their own."""
    mark, flood = trace.mark(), staged_flood(trace, params, 400, 6, 300, 80)
    people = {parse(client)[1] for client in trace.truth.clients}
    bots.http_flood(trace, flood, bots.Script(path="/search", keep_alive=8))

    def place(low: Array) -> tuple[Array, Array]:
        own = low << np.uint64(16) | np.uint64(0x2A00 << 48)
        mine = np.isin(low, np.array(sorted(people), np.uint64))
        spread = low * np.uint64(0x9E3779B97F4A7C15)
        return np.where(mine, own, np.uint64(CUSTOMER)), np.where(mine, low, spread)

    _translate(trace, mark, place)
    (truth,) = trace.truth.floods
    truth.sources, truth.source_count = [str(ipaddress.IPv6Address(CUSTOMER << 64))], 1


def _translate(trace: Trace, mark: int, place: Place) -> None:
    """Write the TCP packets since then, and what is true of them, as IPv6 ones; others stay as they are."""
    server, truth = parse(SERVER6), trace.truth
    victim = parse(truth.floods[-1].victim_ip)[1]
    for part in trace.since(mark):
        for here, there in (("src", "dst"), ("dst", "src")):
            to = part[here] == victim
            part[f"{here}_hi"][to], part[here][to] = server
            part[f"{there}_hi"][to], part[there][to] = place(part[there][to])
        six = (part["src_hi"] > 0) | (part["dst_hi"] > 0)
        part["head"][six] = [HEADS6.get(head, Head.SYN6) for head in part["head"][six].tolist()]

    def told(texts: list[str]) -> list[str]:
        high, low = place(np.array([parse(text)[1] for text in texts], np.uint64))
        return [str(ipaddress.IPv6Address(int(h) << 64 | int(n))) for h, n in zip(high, low, strict=True)]

    for flood in truth.floods:
        flood.victim_ip, flood.sources = SERVER6, told(flood.sources or [])
    truth.clients, truth.known_clients = told(truth.clients), told(truth.known_clients)
