"""TLS conversations for many clients at once: handshakes, and turns in records of true length.

A record of TLS 1.3 is 17 bytes longer than what it holds (RFC 8446, 5.2), one of TLS 1.2 with AES-GCM 24
(RFC 5288, 3); five bytes of header stand before it. What it holds is filler: nobody could read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch.synth.packets import Trace
from floodwatch.synth.tcp import REQUEST, converse, first_of_group, group_cumsum, segment_count
from floodwatch.synth.templates import tls_client_hello, tls_record

Array = NDArray[Any]

TURN = np.dtype(
    [
        ("conn", "i4"),  # row of the connections
        ("at", "i8"),  # ns: not sent before, nor before the answer to the turn ahead of it has come
        ("size", "u2"), ("count", "u1"),  # bytes that each of its records holds; records, in one segment
        ("answer", "i8"),  # bytes that the server sends
        ("service", "i8"),  # ns the server takes
    ]
)  # fmt: skip
HEADER, OVER_13, OVER_12 = 5, 17, 24
RECORD = 16_384
"""Bytes that a full record holds."""
SEGMENT = 1440
"""Bytes of records in one turn, at most."""
FULL, RESUMED, TICKETS = 3600, 260, 510
"""Bytes of the server's part of a handshake with certificates, of one without, of session tickets."""
SETTINGS, ACKNOWLEDGED = 64, 9
"""Bytes of the preface of HTTP/2, its settings and its window, which go ahead of the first request, and of
the frame that acknowledges the settings of the server.
"""
RESET = 13
"""Bytes of a frame RST_STREAM or WINDOW_UPDATE of HTTP/2 ..."""
RESET_RECORD = HEADER + OVER_13 + RESET
"""... and of the record of TLS 1.3 that holds it."""
CLOSE = 2 + OVER_13
"""Bytes of an alert."""
HOST = "www.shop.example"
_NEXT = 200_000
"""Nanoseconds from the client's Finished to its first request."""
_FAR = 10**13
"""Nanoseconds between the clocks of two connections, so that one running maximum serves all."""


@dataclass(frozen=True, slots=True)
class Session:
    """How connections speak TLS; each field is one value for all of them, or an array of one each.

    Attributes:
        old: TLS 1.2 in place of 1.3.
        resumed: without certificates.
        http2: HTTP/2 in place of HTTP/1.1.
        bye: an alert at the end.
    """

    old: Array | bool = False
    resumed: Array | bool = False
    http2: Array | bool = False
    bye: Array | bool = True


def speak(trace: Trace, conns: Array, turns: Array, session: Session | None = None, until: int = 0) -> Array:
    """Write the packets of connections with their handshakes and turns; none later than ``until`` (ns).

    Args:
        trace: gets the packets.
        conns: ``tcp.CONNECTION`` rows.
        turns: ``TURN`` rows, those of one connection in their order.
        session: how they speak.
        until: 0: all of it.

    Returns:
        The packets that the clients send.
    """
    session = session or Session()
    every = [np.broadcast_to(np.asarray(value), (len(conns),)) for value in _fields(session)]
    old, resumed, http2, bye = every
    turns = turns[np.argsort(turns["conn"], kind="stable")]
    number = np.arange(len(conns))
    rows = [_greeting(trace, number, old, resumed, 0), _greeting(trace, number, old, resumed, 1)]
    asks = _asks(trace, turns, old, http2)
    rows += [asks, _goodbye(trace, number[bye], old[bye])]
    order = np.concatenate([np.full(len(part), place) for place, part in enumerate(rows)])
    both = np.concatenate(rows)
    earliest = np.concatenate(
        [np.zeros(2 * len(conns), np.int64), turns["at"], np.zeros(int(bye.sum()), "i8")]
    )
    place = np.lexsort((order, both["conn"]))
    reqs = _schedule(conns, both[place], earliest[place], order[place] == 2)
    if until:
        reqs = reqs[reqs["t"] <= until]
    return converse(trace, conns, reqs, close=not until)


def requests_of(payload: bytes) -> int:
    """Requests in the payload of a client: records of data, but for an alert and the settings of HTTP/2."""
    idle = {CLOSE, *(frame + over for frame in (SETTINGS, ACKNOWLEDGED) for over in (OVER_13, OVER_12))}
    found, at = 0, 0
    while payload[at : at + 1] == b"\x17":
        size = int.from_bytes(payload[at + 3 : at + 5], "big")
        found += size not in idle
        at += HEADER + size
    return found


def _fields(session: Session) -> tuple[Array | bool, ...]:
    return session.old, session.resumed, session.http2, session.bye


def _greeting(trace: Trace, number: Array, old: Array, resumed: Array, step: int) -> Array:
    """The ClientHello of each connection, or what ends its handshake."""
    reqs = np.zeros(len(number), REQUEST)
    reqs["conn"], reqs["service"] = number, 800_000
    if step == 0:
        reqs["pay"] = trace.pool.add(tls_client_hello(HOST))
        reqs["reply"] = trace.pool.add(tls_record(22, 1200))
        reqs["reply_length"] = np.where(resumed, RESUMED, FULL)
    else:
        change = b"\x14\3\3\0\1\1"
        keys = trace.pool.add(tls_record(22, 70) + change + tls_record(22, 40))
        again = trace.pool.add(change + tls_record(22, 40))
        done = trace.pool.add(change + tls_record(23, 53))
        reqs["pay"] = np.where(old, np.where(resumed, again, keys), done)
        reqs["reply"] = trace.pool.add(tls_record(22, 200))
        reqs["reply_length"] = np.where(old & ~resumed, 250, 0)
        reqs["service"] = np.where(old, 400_000, 20_000)
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    return reqs


def _asks(trace: Trace, turns: Array, old: Array, http2: Array) -> Array:
    over = np.where(old[turns["conn"]], OVER_12, OVER_13)
    first = first_of_group(turns["conn"]) if len(turns) else np.zeros(0, bool)
    ahead = first & http2[turns["conn"]]
    reqs = np.zeros(len(turns), REQUEST)
    reqs["conn"], reqs["service"] = turns["conn"], turns["service"]
    kinds = np.stack([turns["size"], turns["count"], over, ahead], axis=1).astype(np.int64)
    distinct, which = np.unique(kinds, axis=0, return_inverse=True)
    rows = [_segment(*kind) for kind in distinct.tolist()]
    reqs["pay"] = trace.pool.add_all(rows)[which.reshape(-1)] if rows else 0
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    answer = turns["answer"] + (HEADER + over) * -(-turns["answer"] // RECORD)
    reqs["reply_length"] = answer + np.where(first & ~old[turns["conn"]], TICKETS, 0)
    reset = trace.pool.add(tls_record(23, RESET + OVER_13))
    reqs["reply"] = np.where(turns["answer"] == RESET, reset, trace.pool.add(tls_record(23, 1400)))
    return reqs


def _segment(size: int, count: int, over: int, ahead: int) -> bytes:
    settings, acknowledged = (
        tls_record(23, frame + over) if ahead else b"" for frame in (SETTINGS, ACKNOWLEDGED)
    )
    return (settings + tls_record(23, size + over) * count + acknowledged)[:SEGMENT]


def _goodbye(trace: Trace, number: Array, old: Array) -> Array:
    """An alert: close_notify."""
    reqs = np.zeros(len(number), REQUEST)
    new, before = trace.pool.add(tls_record(23, CLOSE)), trace.pool.add(tls_record(21, 26))
    reqs["conn"], reqs["pay"], reqs["service"] = number, np.where(old, before, new), 20_000
    reqs["length"] = trace.pool.lengths()[reqs["pay"]]
    return reqs


def _schedule(conns: Array, reqs: Array, earliest: Array, asks: Array) -> Array:
    """Fill the times: each as early as it may be, when the answer to the one before has come."""
    segments = segment_count(reqs["reply_length"])
    first = first_of_group(reqs["conn"])
    step = conns["rtt"][reqs["conn"]] + np.where(first, 0, np.roll(_busy(conns, reqs, segments), 1))
    step[asks & ~np.roll(asks, 1)] = _NEXT  # the first request does not wait for an answer to Finished
    reqs["t"] = _as_early(reqs["conn"], conns["start"][reqs["conn"]] + group_cumsum(step, first), earliest)
    return reqs


def schedule_turns(conns: Array, turns: Array, begin: Array) -> Array:
    """When each turn is seen, the first of a connection at ``begin`` (ns) or later."""
    if not len(turns):
        return np.zeros(0, np.int64)
    conn, first = turns["conn"], first_of_group(turns["conn"])
    busy = np.roll(_busy(conns, turns, segment_count(turns["answer"])), 1)
    step = np.where(first, 0, conns["rtt"][conn] + busy)
    return _as_early(conn, begin[conn] + group_cumsum(step, first), turns["at"])


def _busy(conns: Array, rows: Array, segments: Array) -> Array:
    """From a request until its answer has left."""
    rtt, window = conns["rtt"][rows["conn"]], conns["window"][rows["conn"]]
    busy: Array = rows["service"] + segments * 12_000 + (segments - 1) // window * rtt
    return busy


def _as_early(conn: Array, least: Array, earliest: Array) -> Array:
    """``least`` counts without a wait; a wait moves all that follows on the same connection."""
    clock = conn.astype(np.int64) * _FAR
    t: Array = least + np.maximum.accumulate(np.maximum(earliest - least, 0) + clock) - clock
    return t
