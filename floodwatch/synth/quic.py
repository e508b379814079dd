"""QUIC conversations for many clients at once: handshakes that name connection ids, turns in short packets.

RFC 9000, 17.2 and 17.3. Requests and answers are as long as HTTP/3 makes them; what they hold is filler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.packets import Trace, hops
from floodwatch.synth.records import schedule_turns
from floodwatch.synth.templates import Head, quic_initial, quic_long, quic_short

Array = NDArray[Any]

DATAGRAM = 1250
"""Bytes of a full datagram."""
OVER = 1 + 8 + 2 + 16 + 4
"""Bytes of a short packet beside its content: flags, connection id, number, seal, a frame's header."""
ACK_ALONE, HANDSHAKE = 35, 1100
"""Bytes of a client's packet that only acknowledges, and that ends its handshake; requests lie between."""
_SPACING = 12_000


def exchange(trace: Trace, conns: Array, turns: Array, until: int = 0) -> Array:
    """Write the packets of connections over UDP: handshake, then turns; none later than ``until`` (ns).

    Args:
        trace: gets the packets.
        conns: ``tcp.CONNECTION`` rows; what is said of TCP in them does not matter.
        turns: ``records.TURN`` rows, those of one connection in their order.
        until: 0: all of it.

    Returns:
        The packets that the clients send.
    """
    number = np.arange(len(conns))
    names = trace.rng.integers(1, 1 << 62, len(conns))
    initial = trace.pool.add_all([quic_initial(int(name)) for name in names])
    long = trace.pool.add_all([quic_long(int(name), int(name) + 1) for name in names])
    ends = trace.pool.add_all([quic_long(int(name) + 1, int(name)) for name in names])
    asks = trace.pool.add_all([quic_short(int(name) + 1) for name in names])
    tells = trace.pool.add_all([quic_short(int(name)) for name in names])
    begun = conns["start"] + conns["rtt"]
    sent = [_client(trace, conns, number, conns["start"], initial, 1200)]
    for place in range(2):
        _server(trace, conns, number, conns["start"] + 800_000 + place * _SPACING, long, 1200)
    sent.append(_client(trace, conns, number, begun + 1_000_000, ends, HANDSHAKE))
    turns = turns[np.argsort(turns["conn"], kind="stable")]
    t = schedule_turns(conns, turns, begun + 1_200_000)
    conn = turns["conn"]
    sent.append(_client(trace, conns, conn, t, asks, OVER + turns["size"].astype(np.int64) * turns["count"]))
    pieces = np.maximum(1, -(-turns["answer"] // DATAGRAM))
    row = np.repeat(np.arange(len(turns)), pieces)
    j = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    window, rtt = conns["window"][conn[row]], conns["rtt"][conn[row]]
    at = t[row] + turns["service"][row] + j * _SPACING + j // window * rtt
    left = turns["answer"][row] - j * DATAGRAM
    _server(trace, conns, conn[row], at, tells, np.minimum(left, DATAGRAM) + OVER)
    told = (j % 2 == 1) | (left <= DATAGRAM)
    sent.append(_client(trace, conns, conn[row][told], (at + rtt)[told], asks, ACK_ALONE))
    every = np.concatenate(sent)
    return every if not until else every[every["t"] <= until]


def _client(trace: Trace, conns: Array, which: Array, t: Array, rows: Array, size: Array | int) -> Array:
    mine = conns[which]
    return trace.add(t, head=Head.UDP, frag=0, src=mine["client"], dst=mine["server"], sport=mine["cport"],
                     dport=mine["sport"], ttl=hops(mine["client"]), pay=rows[which], plen=size)  # fmt: skip


def _server(trace: Trace, conns: Array, which: Array, t: Array, rows: Array, size: Array | int) -> Array:
    mine = conns[which]
    return trace.add(t, head=Head.UDP, frag=0, src=mine["server"], dst=mine["client"], sport=mine["sport"],
                     dport=mine["cport"], out=True, pay=rows[which], plen=size)  # fmt: skip
