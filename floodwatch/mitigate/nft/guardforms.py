"""What the rules of each kind of guard match, and the chains that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ..guards import Guard, Kind
from ..vital import TCP, UDP
from .objects import FORWARD, PREROUTING, Chain, Rule
from .passes import AGAIN, MISSED, NO_SYN, SERVICES, known_heads, service, unknown_again
from .terms import (
    ACK,
    DROP,
    FIN,
    INVALID,
    NEW,
    NOTRACK,
    RST,
    SOURCE_PORT,
    SYN,
    SYNPROXY,
    TARGET_PORT,
    TRANSPORT_PROTOCOL,
    UNTRACKED,
    Key,
    Term,
    found_in,
    later_fragments,
    not_in,
    of_flows,
    of_protocol,
    of_states,
    of_tcp_flags,
)


class Place(NamedTuple):
    """A chain for rules of guards.

    Attributes:
        known: which packets of known clients pass it, by IP version; None: there is nothing to pass.
        iptables: the table and chain of iptables that are next to it; empty where none is.
        also: rules of its own that let more pass.
    """

    chain: Chain
    known: Callable[[int], tuple[Term, ...]] | None
    iptables: str = ""
    also: Callable[[str], Iterator[Rule]] = lambda chain: iter(())


class Line(NamedTuple):
    """One rule for a set of guards: in which place, the packets it is about, its end, and what that is.

    ``store`` begins the name of the set that it asks, where that is not the kind's own; ``then`` matters only
    for who is in it; ``wide`` and ``narrow`` say whether guards of all ports, and of one, have the rule.
    """

    place: Place
    match: tuple[Term, ...]
    end: Term
    words: str
    store: str = ""
    then: tuple[Term, ...] = ()
    wide: bool = True
    narrow: bool = True


class Form(NamedTuple):
    """How guards of one kind look in the kernel.

    Attributes:
        lines: their rules, by IP version.
        behind: what stands behind the victim in a set's key, if anything does.
        limited: every element has a limit.
    """

    lines: Callable[[int], list[Line]]
    behind: Key | None = None
    limited: bool = False


def _one(place: Place, match: tuple[Term, ...], words: str) -> Callable[[int], list[Line]]:
    return lambda version: [Line(place, match, DROP, words)]


SYNS = (of_protocol(TCP), of_tcp_flags(FIN | SYN | RST | ACK, SYN))
ANSWERS = (of_protocol(TCP), of_tcp_flags(SYN | ACK, SYN | ACK))
FIRST = of_states(NEW), of_flows(first=True)
SPREAD = "spread"
"""The set of hosts that are flooded at all ports: each of their services has its own limit."""
HALF_KNOWN = of_states(NEW | INVALID | UNTRACKED)

FRAGMENTS = Place(
    Chain("guard_fragments", PREROUTING, -450), lambda version: (later_fragments(version),), "", known_heads
)
UNTRACKING = Place(Chain("guard_untracked", PREROUTING, -300), lambda version: SYNS, "-t raw -I PREROUTING")
SIGNATURES = Place(Chain("guard_signatures", PREROUTING, -140), None, "-t mangle -I PREROUTING")
LIMITS = Place(
    Chain("guard_limits", PREROUTING, -139),
    lambda version: (of_states(NEW | INVALID),),
    "-t mangle -I PREROUTING",
    lambda chain: unknown_again(chain, AGAIN),
)
FORWARDED = Place(
    Chain("guard_forwarded", FORWARD, 0),
    lambda version: (HALF_KNOWN,),
    "-I FORWARD",
    lambda chain: unknown_again(chain, MISSED),
)


FORMS: Mapping[Kind, Form] = {
    "reflected": Form(
        _one(SIGNATURES, (of_protocol(UDP), of_states(NEW)), "new packets from a reflector's port"),
        SOURCE_PORT,
    ),
    # tracking calls a SYN-ACK invalid that answers nothing, not new
    "unasked": Form(
        _one(SIGNATURES, (*ANSWERS, of_states(NEW | INVALID)), "unsolicited SYN-ACKs")
    ),
    "strange": Form(
        _one(LIMITS, (*NO_SYN, of_states(NEW | INVALID)), "out-of-state packets"), limited=True
    ),
    "fragments": Form(
        lambda version: [Line(FRAGMENTS, (later_fragments(version),), DROP, "later fragments")],
        limited=True,
    ),
    "limited": Form(
        lambda version: [
            Line(LIMITS, FIRST, DROP, "new flows beyond a limit", wide=False),
            Line(LIMITS, (*FIRST, of_protocol(UDP, equal=False)), DROP, "new flows beyond a limit",
                 narrow=False),
            Line(LIMITS, (*FIRST, of_protocol(UDP), not_in(f"{SERVICES}{version}", *service(version))), DROP,
                 "new flows to no service beyond a limit", narrow=False),
            Line(LIMITS, (*FIRST, of_protocol(UDP)), DROP, "new flows to a service beyond its limit", SPREAD,
                 (found_in(f"{SERVICES}{version}", *service(version)),), narrow=False),
            Line(LIMITS, (of_states(NEW), of_flows(first=False)), DROP,
                 "packets of unanswered flows beyond a limit", "unanswered"),
        ],
        TRANSPORT_PROTOCOL, limited=True,
    ),
    "proxied": Form(
        lambda version: [
            Line(UNTRACKING, SYNS, NOTRACK, "SYNs that are answered here"),
            Line(FORWARDED, (of_protocol(TCP), HALF_KNOWN), SYNPROXY,
                 "handshakes that are finished here"),
            Line(FORWARDED, (of_protocol(TCP), of_states(INVALID)), DROP, "out-of-state packets"),
        ],
        TARGET_PORT,
    ),
    "capped": Form(
        _one(LIMITS, SYNS, "new connections beyond a limit"), TARGET_PORT, limited=True
    ),
}  # fmt: skip


def behind_of(guard: Guard) -> tuple[Key, ...]:
    """What a guard's set is asked for behind the victim: its number, and the port where it meets only one."""
    behind = FORMS[guard.kind].behind
    return *(() if behind is None else (behind,)), *(() if guard.port is None else (TARGET_PORT,))
