"""SYN floods: half-open connections that nobody finishes (RFC 4987).

The excess is judged, not the victim: attempts minus the handshakes that real clients finished, minus the SYNs
that real clients sent again because the server was slow. What is left is the flood, even in a crowd.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._native import hll_estimate
from ..history.victims import View, distinct_sources, port_shares, source_registers
from ..model.epoch import CLASS_SYN, RST, SYN
from ..model.finding import Finding
from ..model.vector import Vector

FLOOR = 125
"""Unfinished attempts in an epoch: 500 a second."""
SHARE = 0.15
"""Least share of the attempts that is unfinished; below it is loss and impatience."""
MOST = 0.6
"""Where less than this is unfinished, it takes ``PATIENCE``; and the capture's last epoch is not judged."""
PATIENCE = 5
"""Epochs that a full backlog gets: the clients whom it turned away try again after one second (RFC 6298)."""
SCAN_SOURCES = 8
SCAN_PORTS = 40
SCAN_MAX = 5_000
"""SYNs in an epoch (20,000 a second) beyond which a sweep of ports is a load by itself."""


def detect_syn(view: View) -> Iterator[Finding]:
    """Judge the epoch before this one, and the last epoch of a capture at once."""
    if view.before is not None and view.track.judged < view.epoch - 1:
        finding = _judge(view, view.before, view.row, view.epoch - 1, SHARE)
        if finding:
            yield finding
        view.track.judged = view.epoch - 1
    if view.final and view.row is not None:
        finding = _judge(view, view.row, None, view.epoch, MOST)
        if finding:
            yield finding


def _judge(view: View, row: np.void, after: np.void | None, epoch: int, share: float) -> Finding | None:
    raw = int(row["kinds"]["packets"][SYN])
    if raw < FLOOR // 2:
        return None
    attempts = _attempts(row, raw)
    finished = max(_finished(view, row), _finished(view, after))
    retried = max(_retried(row, raw), _retried(after, raw) if after is not None else 0)
    unfinished = attempts - finished - retried
    if unfinished < FLOOR / 2 or unfinished < share / 2 * attempts or _is_scan(row, raw):
        return None
    over = unfinished >= FLOOR and unfinished >= share * attempts
    persist = 1 if unfinished >= MOST * attempts else PATIENCE
    facts = {"attempts": attempts, "finished": float(finished)}
    return _finding(view, row, epoch, over, unfinished, facts, persist)


def _is_repetition(row: np.void, raw: int) -> bool:
    """One SYN sent over and over, which no stack does: neither a mirrored frame nor a retransmission."""
    repeated = int(row["syn_again"]) + int(row["syn_copies"])
    return repeated > 3 * int(row["syn_flows"]) and raw > 50 * distinct_sources(row, CLASS_SYN)


def _attempts(row: np.void, raw: int) -> float:
    """Connections asked for: frames that were captured twice and retransmissions count once."""
    flows = int(row["syn_flows"])
    seen = flows + int(row["syn_again"]) + int(row["syn_copies"])
    return float(raw) if not seen or _is_repetition(row, raw) else raw * flows / seen


def _retried(row: np.void, raw: int) -> int:
    return 0 if _is_repetition(row, raw) else int(row["syn_again"])


def _finished(view: View, row: np.void | None) -> int:
    """Handshakes that were finished; with one direction only, connections that went on (a hint)."""
    if row is None:
        return 0
    return int(row["finished"]) + (int(row["followed"]) if view.one_way else 0)


def _is_scan(row: np.void, raw: int) -> bool:
    """Few sources that touch many ports a few times each look for services, they do not load one."""
    ports = hll_estimate(np.ascontiguousarray(row["syn_ports"]))
    return (
        ports >= SCAN_PORTS
        and distinct_sources(row, CLASS_SYN) <= SCAN_SOURCES
        and raw <= 6 * ports
        and raw <= SCAN_MAX
    )


def _finding(
    view: View, row: np.void, epoch: int, over: bool, flood: float, facts: dict[str, float], persist: int
) -> Finding:
    kind = row["kinds"][SYN]
    registers = source_registers(row, CLASS_SYN)
    facts |= {
        "syn": float(kind["packets"]),
        "distinct_flows": float(row["syn_flows"]),
        "answered": float(row["synack_flows"]),
        "refused": float(row["refused"]),
        "resets": float(row["kinds"]["packets"][RST]),
        "bogons": view.bogons("syn_bogons"),
        "sent": float(view.track.sent),
    }
    return Finding(
        vector=Vector.SYN_FLOOD,
        victim=view.track.address,
        protocol="tcp",
        epoch=epoch,
        over=over,
        persist=persist,
        count=int(flood),
        bytes=int(float(kind["bytes"]) * flood / max(int(kind["packets"]), 1)),
        first_ns=int(kind["first_ns"]),
        last_ns=int(kind["last_ns"]),
        baseline=view.usual("syn"),
        facts=facts,
        keys=port_shares(row["opened"], 6),
        sources=registers,
    )
