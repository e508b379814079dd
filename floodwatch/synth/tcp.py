"""TCP conversations for many clients at once: handshake, requests and replies with right numbers, close.

The tap sits beside the server: a client's answer is seen one round trip after what it answers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.packets import ACK, FIN, MSS, PSH, SECOND, SYN, Trace, hops
from floodwatch.synth.templates import Head

Array = NDArray[Any]

CONNECTION = np.dtype(
    [
        ("start", "i8"),  # ns: when the SYN that gets an answer is seen
        ("client", "u8"), ("server", "u8"), ("cport", "u2"), ("sport", "u2"),
        ("rtt", "i8"),  # ns
        ("head", "u1"),  # which SYN this client sends
        ("window", "i4"),  # full segments per round trip
        ("lost", "u1"),  # SYNs that got no answer before that one, 1 s and 3 s earlier as RFC 6298 has it
    ]
)  # fmt: skip
REQUEST = np.dtype(
    [
        ("conn", "i4"),  # row of CONNECTION; rows of one connection follow each other
        ("gap", "i8"),  # ns between the end of the previous reply and this request, at the client
        ("pay", "u4"), ("length", "u2"),  # request payload: pool row and bytes, at most one segment
        ("reply", "u4"), ("reply_length", "i8"),
        ("service", "i8"),  # ns the server takes
        ("t", "i8"),  # filled by schedule(): when the request is seen
    ]
)  # fmt: skip

_SPACING = 12_000
"""Nanoseconds between back-to-back full segments: 1 Gbit/s."""


def dial(trace: Trace, start: Array, client: Array, server: int, port: int, rtt_ms: float = 45.0) -> Array:
    """Connections with plausible ports, SYN shapes and round-trip times (median about ``rtt_ms``)."""
    rng, count = trace.rng, len(start)
    conns = np.zeros(count, CONNECTION)
    conns["start"], conns["client"], conns["server"], conns["sport"] = start, client, server, port
    conns["cport"] = rng.permutation(np.arange(count) % 28000) + 32768
    conns["rtt"] = np.clip(rng.gamma(2.5, rtt_ms / 2.2, count), 10, 200) * 1_000_000
    shapes = np.array([Head.SYN_WINDOWS, Head.SYN_PHONE, Head.SYN_LINUX], np.uint8)
    conns["head"] = rng.choice(shapes, count, p=[0.45, 0.4, 0.15])
    conns["window"] = 10
    return conns


def schedule(conns: Array, reqs: Array, until: int | None = None) -> Array:
    """Fill the request times; drop the requests that would come after ``until`` (ns)."""
    if not len(reqs):
        return reqs
    segments = segment_count(reqs["reply_length"])
    rtt, window = conns["rtt"][reqs["conn"]], conns["window"][reqs["conn"]]
    busy = reqs["service"] + segments * _SPACING + (segments - 1) // window * rtt
    first = first_of_group(reqs["conn"])
    step = rtt + reqs["gap"] + np.where(first, 0, np.roll(busy, 1))
    reqs["t"] = conns["start"][reqs["conn"]] + group_cumsum(step, first)
    return reqs if until is None else reqs[reqs["t"] <= until]


def converse(trace: Trace, conns: Array, reqs: Array, close: bool = True) -> Array:
    """Write the packets of ``conns`` with their scheduled ``reqs``. Returns all packets of the clients."""
    isn = trace.rng.integers(0, 1 << 32, (2, len(conns)), dtype=np.uint32)
    sent = [_handshake(trace, conns, isn)]
    end = conns["start"] + conns["rtt"]
    asked, answered = np.zeros(len(conns), np.int64), np.zeros(len(conns), np.int64)
    if len(reqs):
        last, parts = _exchange(trace, conns, reqs, isn)
        sent += parts
        np.maximum.at(end, reqs["conn"], last)
        np.add.at(asked, reqs["conn"], reqs["length"])
        np.add.at(answered, reqs["conn"], reqs["reply_length"])
    if close:
        sent.append(_farewell(trace, conns, end, isn[0] + 1 + asked, isn[1] + 1 + answered))
    return np.concatenate(sent)


def _client(conns: Array) -> dict[str, Any]:
    ttl = hops(conns["client"], np.where(conns["head"] == Head.SYN_WINDOWS, 128, 64))
    return {"src": conns["client"], "dst": conns["server"], "sport": conns["cport"], "dport": conns["sport"],
            "ttl": ttl, "win": 1026}  # fmt: skip


def _server(conns: Array) -> dict[str, Any]:
    return {"src": conns["server"], "dst": conns["client"], "sport": conns["sport"], "dport": conns["cport"],
            "win": 502, "out": True}  # fmt: skip


def _handshake(trace: Trace, conns: Array, isn: Array) -> Array:
    start, seq, sent = conns["start"], isn[0], []
    for tries, before in ((1, 1 * SECOND), (2, 3 * SECOND)):
        again = conns[conns["lost"] >= tries]
        part = trace.add(again["start"] - before, **_client(again))
        part["head"], part["flags"], part["seq"] = again["head"], SYN, seq[conns["lost"] >= tries]
        part["win"] = 64240
        sent.append(part)
    opening = _client(conns) | {"win": 64240}
    sent.append(trace.add(start, head=conns["head"], flags=SYN, seq=seq, **opening))
    answer = _server(conns) | {"win": 65160}
    trace.add(start + 60_000, head=Head.SYN_ACK, flags=SYN | ACK, seq=isn[1], ack=seq + 1, **answer)
    done = trace.add(start + conns["rtt"], head=Head.TCP_PADDED, flags=ACK, **_client(conns))
    done["seq"], done["ack"] = seq + 1, isn[1] + 1
    return np.concatenate([*sent, done])


def _exchange(trace: Trace, conns: Array, reqs: Array, isn: Array) -> tuple[Array, list[Array]]:
    """Requests, reply segments and ACKs; returns when each reply was acknowledged, and what clients sent."""
    mine, first = conns[reqs["conn"]], first_of_group(reqs["conn"])
    asked = group_cumsum(reqs["length"].astype(np.int64), first)
    answered = group_cumsum(reqs["reply_length"], first)
    seq = (isn[0][reqs["conn"]] + 1 + asked - reqs["length"]).astype(np.uint32)
    reply_seq = (isn[1][reqs["conn"]] + 1 + answered - reqs["reply_length"]).astype(np.uint32)
    question = trace.add(reqs["t"], pay=reqs["pay"], plen=reqs["length"], flags=PSH | ACK, **_client(mine))
    question["seq"], question["ack"] = seq, reply_seq

    count = segment_count(reqs["reply_length"])
    row = np.repeat(np.arange(len(reqs)), count)
    j = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    at = reqs["t"][row] + reqs["service"][row] + j * _SPACING + j // mine["window"][row] * mine["rtt"][row]
    left = reqs["reply_length"][row] - j * MSS
    part = trace.add(at, plen=np.minimum(left, MSS), **_server(mine[row]))
    part["pay"] = np.where(j == 0, reqs["reply"][row], 0)
    part["flags"] = np.where(left <= MSS, PSH | ACK, ACK)
    part["seq"], part["ack"] = reply_seq[row] + j * MSS, (seq + reqs["length"])[row]

    told = (j % 2 == 1) | (left <= MSS)
    acks = trace.add(
        (at + mine["rtt"][row])[told], head=Head.TCP_PADDED, flags=ACK, **_client(mine[row][told])
    )
    acks["seq"], acks["ack"] = part["ack"][told], (part["seq"] + part["plen"])[told]
    return acks["t"][np.cumsum(told)[np.cumsum(count) - 1] - 1], [question, acks]


def _farewell(trace: Trace, conns: Array, end: Array, seq: Array, ack: Array) -> Array:
    at = end + 500_000 + trace.rng.integers(0, 300_000_000, len(end))
    bye = trace.add(at, head=Head.TCP_PADDED, flags=FIN | ACK, **_client(conns))
    bye["seq"], bye["ack"] = seq.astype(np.uint32), ack.astype(np.uint32)
    reply = trace.add(at + 50_000, flags=FIN | ACK, **_server(conns))
    reply["seq"], reply["ack"] = bye["ack"], bye["seq"] + 1
    last = trace.add(at + conns["rtt"], head=Head.TCP_PADDED, flags=ACK, **_client(conns))
    last["seq"], last["ack"] = bye["seq"] + 1, bye["ack"] + 1
    return np.concatenate([bye, last])


def segment_count(length: Array) -> Array:
    """Full segments needed for ``length`` bytes, at least one."""
    count: Array = np.maximum(1, -(-length // MSS))
    return count


def first_of_group(group: Array) -> Array:
    """True where a row's group differs from the row before."""
    first = np.ones(len(group), bool)
    first[1:] = group[1:] != group[:-1]
    return first


def group_cumsum(values: Array, first: Array) -> Array:
    """Cumulative sum that starts anew where ``first`` is true."""
    total = np.cumsum(values)
    base = (total - values)[first]
    result: Array = total - base[np.cumsum(first) - 1]
    return result
