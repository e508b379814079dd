"""What the rules of each kind of guard match, and the chains that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..guards import Kind
from .objects import FORWARD, PREROUTING
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


class Line(NamedTuple):
    """One rule for a set of guards: in which chain, the packets it is about, its end, and what that is."""

    chain: str
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


def _one(chain: str, match: tuple[Term, ...], words: str) -> Callable[[int], list[Line]]:
    return lambda version: [Line(chain, match, DROP, words)]


SYNS = (of_protocol(TCP), of_tcp_flags(FIN | SYN | RST | ACK, SYN))
NO_SYNS = (of_protocol(TCP), of_tcp_flags(FIN | SYN | RST | ACK, SYN, equal=False))
ANSWERS = (of_protocol(TCP), of_tcp_flags(SYN | ACK, SYN | ACK))
HALF_KNOWN = of_states(NEW | INVALID | UNTRACKED)


class Chain(NamedTuple):
    """Where rules of guards stand, and which packets of known clients pass them, by IP version.

    ``iptables`` is the table and chain of iptables that is next to it, or empty.
    """

    hook: int
    priority: int
    known: Callable[[int], tuple[Term, ...]] | None
    iptables: str


CHAINS: Mapping[str, Chain] = {
    "guard_fragments": Chain(PREROUTING, -450, lambda version: (later_fragments(version),), ""),
    "guard_untracked": Chain(PREROUTING, -300, lambda version: SYNS, "-t raw -I PREROUTING"),
    "guard_signatures": Chain(PREROUTING, -140, None, "-t mangle -I PREROUTING"),
    "guard_limits": Chain(
        PREROUTING, -139, lambda version: (of_states(NEW | INVALID),), "-t mangle -I PREROUTING"
    ),
    "guard_forwarded": Chain(FORWARD, 0, lambda version: (HALF_KNOWN,), "-I FORWARD"),
}
FORMS: Mapping[Kind, Form] = {
    "reflected": Form(
        _one("guard_signatures", (of_protocol(UDP), of_states(NEW)), "new packets from a reflector's port"),
        source_port,
    ),
    "unasked": Form(_one("guard_signatures", (*ANSWERS, of_states(NEW)), "SYN-ACKs nobody asked for")),
    "strange": Form(
        _one("guard_limits", (*NO_SYNS, of_states(NEW | INVALID)), "packets of no connection"), limited=True
    ),
    "fragments": Form(
        lambda version: [Line("guard_fragments", (later_fragments(version),), DROP, "later fragments")],
        limited=True,
    ),
    "limited": Form(
        _one("guard_limits", (of_states(NEW),), "new flows beyond a limit"), transport, limited=True
    ),
    "proxied": Form(
        lambda version: [
            Line("guard_untracked", SYNS, NOTRACK, "SYNs that are answered here"),
            Line("guard_forwarded", (of_protocol(TCP), HALF_KNOWN), SYNPROXY,
                 "handshakes that are finished here"),
            Line("guard_forwarded", (of_protocol(TCP), of_states(INVALID)), DROP, "packets of none"),
        ],
        target_port,
    ),
    "capped": Form(
        _one("guard_limits", SYNS, "new connections beyond a limit"), target_port, limited=True
    ),
}  # fmt: skip
