"""SYN floods: half-open connections that nobody finishes (RFC 4987).

The excess is judged, not the victim: attempts minus the handshakes that real clients finished, minus the SYNs
that real clients sent again because the server was slow. What is left is the flood, even in a crowd.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._sketches import hll_estimate
from ..history.victims import View, distinct_sources, port_shares
from ..model.epoch import CLASS_SYN, SYN
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import TCP_NUMBER, Vector
from .family import Bare, Detector, Family, percent, share

FLOOR = Floor(125)
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
REFUSED = 0.1
"""Share of the attempts that met a closed port, from which it is worth telling."""


FINISHED = "as many handshakes were finished as begun"
WENT_ON = "as many connections went on as were begun; whether they were answered was not seen"


class Attempts(Bare):
    """Connections asked for, and what became of them in the same epochs; ``syn`` counts packets.

    ``followed`` are connections that went on though no answer was seen, ``heard`` the packets of epochs in which
    the victim was seen to send, ``sampled`` those of epochs in which a sample of the flows was looked at.
    """

    attempts: Sum = 0.0
    finished: Sum = 0.0
    followed: Sum = 0.0
    answered: Sum = 0.0
    refused: Sum = 0.0
    syn: Sum = 0.0
    heard: Sum = 0.0
    sampled: Sum = 0.0


def _clear(facts: Attempts) -> float:
    return 1 - 0.3 * min(1.0, (facts.finished + facts.followed) / max(facts.attempts, 1))


def _evidence(facts: Attempts) -> list[Evidence]:
    attempts, about = facts.attempts, "about" if facts.sampled > 0 else ""
    if facts.heard > 0:
        out = [
            share("handshake_completion", facts.finished, attempts, 0.97, FINISHED, about),
            share("answered", facts.answered, attempts, 0.99, "as many were answered with a SYN-ACK", about),
        ]
    else:
        out = [share("handshake_completion", facts.followed, attempts, 0.97, WENT_ON, about)]
    if facts.refused > REFUSED * attempts:
        out.append(share("refused", facts.refused, attempts, 0.0, "as many were refused with a RST", about))
    if facts.bogons > 0:
        says = "of the SYNs come from reserved addresses (RFC 6890, multicast)"
        out.append(share("bogon_share", facts.bogons, facts.syn, 0.0, says))
    return out


def _advice(facts: Attempts, origin: Origin, known_path: bool) -> tuple[Action, str]:
    if origin == "forged":
        return "syn_cookies", "the addresses are forged: blocking them would hit bystanders"
    return "syn_cookies", "no source finished a handshake, so none is proven real"


SYN_FLOOD = Family(
    (Vector.SYN_FLOOD,),
    Attempts,
    _evidence,
    _advice,
    floors=(FLOOR,),
    rule=f"{{floor}} unfinished handshakes in a quarter of a second, at least {percent(SHARE)} of all begun",
    usual="syn",
    clear=_clear,
)


def detect(view: View) -> Iterator[Finding[Attempts]]:
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


def _judge(
    view: View, row: np.void, after: np.void | None, epoch: int, least: float
) -> Finding[Attempts] | None:
    raw = int(row["kinds"]["packets"][SYN])
    if raw < FLOOR.count // 2:
        return None
    attempts = _attempts(row, raw)
    finished = max(_finished(view, row), _finished(view, after))
    retried = max(_retried(row, raw), _retried(after, raw) if after is not None else 0)
    unfinished = attempts - finished - retried
    if unfinished < FLOOR.count / 2 or unfinished < least / 2 * attempts or _is_scan(row, raw):
        return None
    facts = Attempts(
        attempts=attempts,
        finished=float(row["finished"]),
        followed=float(row["followed"]),
        heard=0.0 if view.one_way else float(raw),
        sampled=float(raw) if _is_sampled(row, raw) else 0.0,
        answered=float(row["synack_flows"]),
        refused=float(row["refused"]),
        syn=float(raw),
        bogons=view.bogons(row, "syn_bogons"),
    )
    return SYN_FLOOD.seen(
        view,
        facts,
        (SYN,),
        row=row,
        epoch=epoch,
        count=int(unfinished),
        floor=FLOOR,
        over=unfinished >= FLOOR.count and unfinished >= least * attempts,
        persist=1 if unfinished >= MOST * attempts else PATIENCE,
        ports=port_shares(row["opened"], TCP_NUMBER),
        sources=CLASS_SYN,
    )


def _is_repetition(row: np.void, raw: int) -> bool:
    """One SYN sent over and over, which no stack does: neither a mirrored frame nor a retransmission."""
    repeated = int(row["syn_again"]) + int(row["syn_copies"])
    return repeated > 3 * int(row["syn_flows"]) and raw > 50 * distinct_sources(row, CLASS_SYN)


def _attempts(row: np.void, raw: int) -> float:
    """Connections asked for: frames that were captured twice and retransmissions count once."""
    flows = int(row["syn_flows"])
    seen = flows + int(row["syn_again"]) + int(row["syn_copies"])
    return float(raw) if not seen or _is_repetition(row, raw) else raw * flows / seen


def _is_sampled(row: np.void, raw: int) -> bool:
    """There were more flows than the handshake table looks at."""
    return int(row["syn_flows"]) + int(row["syn_again"]) + int(row["syn_copies"]) != raw


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


DETECTOR = Detector((SYN_FLOOD,), detect)
