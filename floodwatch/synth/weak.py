"""Floods far below every floor, of which each is what cannot be normal."""

from __future__ import annotations

import numpy as np

from floodwatch.synth import floods, strays
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import ACK, RST, Trace, arrivals
from floodwatch.synth.stage import Params, staged_flood
from floodwatch.synth.templates import Head

LATE_S = 12.0
"""Weak evidence takes longer."""


def syn_flood_weak(trace: Trace, params: Params) -> None:
    """111 SYNs a second from ever other forged addresses, of which nobody says any more."""
    flood = staged_flood(trace, params, 111, 12, None, 80)
    floods.record(
        trace, flood, "syn_flood", floods.syn_packets(trace, flood, 80), origin="forged", late_s=LATE_S
    )


def syn_flood_refused(trace: Trace, params: Params) -> None:
    """381 SYNs a second of one source at a closed port, which refuses every one."""
    flood = staged_flood(trace, params, 381, 12, 1, 81)
    syns = floods.syn_packets(trace, flood, 81, answered=0.0)
    reply = trace.add(syns["t"] + 40_000, head=Head.TCP, flags=RST | ACK, out=True, src=syns["dst"])
    reply["dst"], reply["sport"], reply["dport"] = syns["src"], syns["dport"], syns["sport"]
    reply["ack"] = syns["seq"] + 1
    floods.record(trace, flood, "syn_flood", syns, origin="unknown", late_s=LATE_S)


def udp_flood_weak(trace: Trace, params: Params) -> None:
    """250 datagrams a second from forged addresses to one port that never answers."""
    flood = staged_flood(trace, params, 250, 15, None, 9955)
    _empty(trace, flood, "forged")


def udp_flood_drawn_ports(trace: Trace, params: Params) -> None:
    """250 empty datagrams a second of one source, each from another port."""
    _empty(trace, staged_flood(trace, params, 250, 12, 1, 9955), "unknown")


def ack_flood_weak(trace: Trace, params: Params) -> None:
    """250 bare ACKs a second of no connection, from forged addresses."""
    flood = staged_flood(trace, params, 250, 15, None, 80)
    sent = strays.stray(trace, flood, ACK)
    floods.record(trace, flood, "ack_flood", sent, origin="forged", late_s=LATE_S)


def _empty(trace: Trace, flood: Flood, origin: str) -> None:
    t = arrivals(trace.rng, flood.start, flood.seconds, flood.pps)
    sent = trace.add(t, head=Head.UDP, **floods.forge(trace, flood, len(t)))
    sent["sport"], sent["dport"] = trace.rng.permutation(np.arange(1024, 65536))[: len(t)], flood.port or 9955
    floods.record(trace, flood, "udp_flood", sent, origin=origin, late_s=LATE_S)
