"""Floods that are made to mislead: sources that are somebody, waves shorter than an epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from floodwatch.synth import floods
from floodwatch.synth.addresses import parse
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import SECOND, Trace
from floodwatch.synth.stage import Params, staged_flood
from floodwatch.synth.truth import Array


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


def _clients(trace: Trace) -> Array:
    return np.array([parse(client)[1] for client in trace.truth.clients], np.uint64)


def _in_the_name_of(trace: Trace, flood: Flood, names: Array) -> None:
    syns = floods.syn_packets(trace, flood, flood.port or 80, answered=0.0)
    syns["src"] = trace.rng.choice(names, len(syns))
    floods.record(trace, flood, "syn_flood", syns, origin="forged")
