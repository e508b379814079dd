"""Deterministic captures with ground truth: scapy builds the templates, NumPy stamps the copies.

Files only: nothing here opens a socket.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from floodwatch.synth.addresses import is_v6
from floodwatch.synth.bench import bench_hellos, bench_syn, bench_web
from floodwatch.synth.packets import Trace
from floodwatch.synth.pcapfile import SNAPLEN, open_pcap, truth_path
from floodwatch.synth.render import Renderer
from floodwatch.synth.scenarios import SCENARIOS
from floodwatch.synth.stage import Params
from floodwatch.synth.truth import Truth

__all__ = [
    "SCENARIOS",
    "Params",
    "Trace",
    "Truth",
    "bench_hellos",
    "bench_syn",
    "bench_web",
    "describe",
    "generate",
    "make",
    "write",
]


V6_SCENARIOS = ("syn_flood", "syn_flood_random_ports", "syn_flood_one_source", "pulse")
"""Scenarios that take an IPv6 victim, flooded from many /64s."""
LEAST_SECONDS = {"crowd": 6.0, "launch_day": 20.0}
"""Scenarios that tell a story take their time."""


def describe() -> dict[str, str]:
    """Scenario names with one line each."""
    return {name: (function.__doc__ or "").partition("\n")[0] for name, function in SCENARIOS.items()}


def generate(scenario: str, params: Params | None = None) -> Trace:
    """Build the packets and the truth of ``scenario`` in memory; equal parameters give equal packets."""
    params = params or Params()
    if is_v6(params.victim) and scenario not in V6_SCENARIOS:
        raise ValueError(f"{scenario} is IPv4 only; an IPv6 victim works with {', '.join(V6_SCENARIOS)}")
    least = LEAST_SECONDS.get(scenario, 0.0)
    if params.duration is not None and params.duration < least:
        raise ValueError(f"{scenario} takes at least {least:.0f} s, not {params.duration:g}")
    # the name is part of the seed, so that no two scenarios share their forged addresses
    rng = np.random.default_rng([params.seed, *scenario.encode()])
    trace = Trace(scenario, params.seed, rng)
    SCENARIOS[scenario](trace, params)
    return trace


def write(trace: Trace, path: str | Path, snaplen: int = SNAPLEN) -> Truth:
    """Write the capture to ``path`` (gzip by its name) and its truth to ``NAME.truth.json`` beside it."""
    path, packets = Path(path), trace.packets()
    with open_pcap(path, snaplen) as file:
        for block in Renderer(trace.pool, snaplen).blocks(packets):
            file.write(block)
    truth = trace.truth
    truth.packets = len(packets)
    truth.first_ns, truth.last_ns = int(packets["t"][0]), int(packets["t"][-1])
    truth_path(path).write_bytes(truth.encode())
    return truth


def make(scenario: str, path: str | Path, params: Params | None = None, snaplen: int = SNAPLEN) -> Truth:
    """Generate ``scenario`` and write it; see ``generate`` and ``write``."""
    return write(generate(scenario, params), path, snaplen)
