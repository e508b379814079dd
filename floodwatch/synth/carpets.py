"""Floods over a whole /24: no host of it gets enough to look flooded by itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from floodwatch.synth import floods
from floodwatch.synth.addresses import parse
from floodwatch.synth.floods import Flood, record
from floodwatch.synth.packets import Array, Trace
from floodwatch.synth.stage import Params, staged_flood

PREFIX = "198.51.100.0/24"


def _carpet(
    trace: Trace, params: Params, fill: Callable[[Trace, Flood], Array], vector: str, origin: str
) -> None:
    flood = staged_flood(trace, params, 6000, 5, None, None)
    sent = fill(trace, flood)
    trace.truth.floods.clear()  # the same packets as a flood at one host, which they are not
    network = parse(PREFIX.partition("/")[0])[1]
    sent["dst"] = network + trace.rng.integers(0, 256, len(sent)).astype(np.uint64)
    record(trace, Flood(PREFIX, None, flood.start, flood.seconds, flood.pps), vector, sent, origin=origin,
           pattern="carpet")  # fmt: skip


def carpet_udp(trace: Trace, params: Params) -> None:
    """Random UDP from forged sources, spread evenly over a /24."""
    _carpet(trace, params, floods.udp_flood, "udp_flood", "forged")


def carpet_ntp(trace: Trace, params: Params) -> None:
    """Reflected NTP answers, spread evenly over a /24."""
    _carpet(trace, params, floods.ntp_amplification, "ntp_amplification", "reflected")


def carpet_syn(trace: Trace, params: Params) -> None:
    """Forged SYNs to port 443, spread evenly over a /24."""
    _carpet(trace, params, lambda t, f: floods.syn_packets(t, f, 443, answered=0.0), "syn_flood", "forged")
