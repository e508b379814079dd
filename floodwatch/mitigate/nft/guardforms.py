"""What the rules of each kind of guard match, and the chains that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..guards import Kind
from .objects import FORWARD, PREROUTING, Chain
from .terms import (
    ACK,
    DROP,
    FIN,
    INVALID,
    NEW,
    NOTRACK,
    RST,
    SYN,
    SYNPROXY,
    TCP,
    UDP,
    UNTRACKED,
    Key,
    Term,
    later_fragments,
    of_protocol,
    of_states,
    of_tcp_flags,
    source_port,
    target_port,
    transport,
)


class Place(NamedTuple):
    """A chain for rules of guards.

    Attributes:
        known: which packets of known clients pass it, by IP version; None: there is nothing to pass.
        iptables: the table and chain of iptables that are next to it; empty where none is.
    """

    chain: Chain
    known: Callable[[int], tuple[Term, ...]] | None
    iptables: str = ""


class Line(NamedTuple):
    """One rule for a set of guards: in which place, the packets it is about, its end, and what that is."""

    place: Place
    match: tuple[Term, ...]
    end: Term
    words: str


class Form(NamedTuple):
    """How guards of one kind look in the kernel.

    Attributes:
        lines: their rules, by IP version.
        behind: what stands behind the victim in a set's key, by IP version, if anything does.
        limited: every element has a limit.
    """

    lines: Callable[[int], list[Line]]
    behind: Callable[[int], Key] | None = None
    limited: bool = False


def _one(place: Place, match: tuple[Term, ...], words: str) -> Callable[[int], list[Line]]:
    return lambda version: [Line(place, match, DROP, words)]


SYNS = (of_protocol(TCP), of_tcp_flags(FIN | SYN | RST | ACK, SYN))
NO_SYNS = (of_protocol(TCP), of_tcp_flags(FIN | SYN | RST | ACK, SYN, equal=False))
ANSWERS = (of_protocol(TCP), of_tcp_flags(SYN | ACK, SYN | ACK))
HALF_KNOWN = of_states(NEW | INVALID | UNTRACKED)

FRAGMENTS = Place(Chain("guard_fragments", PREROUTING, -450), lambda version: (later_fragments(version),))
UNTRACKING = Place(Chain("guard_untracked", PREROUTING, -300), lambda version: SYNS, "-t raw -I PREROUTING")
SIGNATURES = Place(Chain("guard_signatures", PREROUTING, -140), None, "-t mangle -I PREROUTING")
LIMITS = Place(
    Chain("guard_limits", PREROUTING, -139),
    lambda version: (of_states(NEW | INVALID),),
    "-t mangle -I PREROUTING",
)
FORWARDED = Place(Chain("guard_forwarded", FORWARD, 0), lambda version: (HALF_KNOWN,), "-I FORWARD")


FORMS: Mapping[Kind, Form] = {
    "reflected": Form(
        _one(SIGNATURES, (of_protocol(UDP), of_states(NEW)), "new packets from a reflector's port"),
        source_port,
    ),
    "unasked": Form(_one(SIGNATURES, (*ANSWERS, of_states(NEW)), "unsolicited SYN-ACKs")),
    "strange": Form(
        _one(LIMITS, (*NO_SYNS, of_states(NEW | INVALID)), "out-of-state packets"), limited=True
    ),
    "fragments": Form(
        lambda version: [Line(FRAGMENTS, (later_fragments(version),), DROP, "later fragments")],
        limited=True,
    ),
    "limited": Form(
        _one(LIMITS, (of_states(NEW),), "new flows beyond a limit"), transport, limited=True
    ),
    "proxied": Form(
        lambda version: [
            Line(UNTRACKING, SYNS, NOTRACK, "SYNs that are answered here"),
            Line(FORWARDED, (of_protocol(TCP), HALF_KNOWN), SYNPROXY,
                 "handshakes that are finished here"),
            Line(FORWARDED, (of_protocol(TCP), of_states(INVALID)), DROP, "out-of-state packets"),
        ],
        target_port,
    ),
    "capped": Form(
        _one(LIMITS, SYNS, "new connections beyond a limit"), target_port, limited=True
    ),
}  # fmt: skip
