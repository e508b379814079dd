"""What the rules of each kind of guard match, and the chains that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ..guards import UDP, Kind
from .expressions import (
    BEHIND,
    DROP,
    FORWARD,
    INVALID,
    META_PROTOCOL,
    NEW,
    PREROUTING,
    PROTOCOL,
    SERVICE,
    TRANSPORT,
    UNTRACKED,
    later_fragments,
    load,
    meta,
    of_protocol,
    of_states,
    of_tcp_flags,
    synproxy,
    untracked,
)

TCP = 6
FIN, SYN, RST, ACK = 1, 2, 4, 16


class Line(NamedTuple):
    """One rule for a set of guards: in which chain, the packets it is about, its end, and what that is."""

    chain: str
    match: list[bytes]
    end: bytes
    words: str


class Form(NamedTuple):
    """How guards of one kind look in the kernel.

    Attributes:
        lines: their rules.
        behind: the key type of what stands behind the victim in a set's key, if anything does.
        number: loads what stands behind the victim, by IP version.
        limited: every element has a limit.
    """

    lines: Callable[[int], list[Line]]
    behind: int | None = None
    number: Callable[[int], list[bytes]] = lambda version: []
    limited: bool = False


def _port(at: int) -> Callable[[int], list[bytes]]:
    return lambda version: [load(TRANSPORT, at, 2, BEHIND[version])]


def _one(chain: str, match: list[bytes], words: str) -> Callable[[int], list[Line]]:
    return lambda version: [Line(chain, match, DROP, words)]


SYNS = [*of_protocol(TCP), *of_tcp_flags(FIN | SYN | RST | ACK, SYN)]
NO_SYNS = [*of_protocol(TCP), *of_tcp_flags(FIN | SYN | RST | ACK, SYN, equal=False)]
ANSWERS = [*of_protocol(TCP), *of_tcp_flags(SYN | ACK, SYN | ACK)]


class Chain(NamedTuple):
    """Where rules of guards stand, and which packets of known clients pass them, by IP version."""

    hook: int
    priority: int
    known: Callable[[int], list[bytes]] | None


CHAINS: Mapping[str, Chain] = {
    "guard_fragments": Chain(PREROUTING, -450, later_fragments),
    "guard_untracked": Chain(PREROUTING, -300, lambda version: SYNS),
    "guard_signatures": Chain(PREROUTING, -140, None),
    "guard_limits": Chain(PREROUTING, -139, lambda version: of_states(NEW | INVALID)),
    "guard_forwarded": Chain(FORWARD, 0, lambda version: of_states(NEW | INVALID | UNTRACKED)),
}
FORMS: Mapping[Kind, Form] = {
    "reflected": Form(
        _one(
            "guard_signatures", [*of_protocol(UDP), *of_states(NEW)], "new packets from a reflector's port"
        ),
        SERVICE,
        _port(0),
    ),
    "unasked": Form(_one("guard_signatures", [*ANSWERS, *of_states(NEW)], "SYN-ACKs nobody asked for")),
    "strange": Form(
        _one("guard_limits", [*NO_SYNS, *of_states(NEW | INVALID)], "packets of no connection"), limited=True
    ),
    "fragments": Form(
        lambda version: [Line("guard_fragments", later_fragments(version), DROP, "later fragments")],
        limited=True,
    ),
    "limited": Form(
        _one("guard_limits", of_states(NEW), "new flows beyond a limit"),
        PROTOCOL,
        lambda version: [meta(META_PROTOCOL, BEHIND[version])],
        limited=True,
    ),
    "proxied": Form(
        lambda version: [
            Line("guard_untracked", SYNS, untracked(), "SYNs that are answered here"),
            Line(
                "guard_forwarded", [*of_protocol(TCP), *of_states(NEW | INVALID | UNTRACKED)], synproxy(),
                "handshakes that are finished here",
            ),
            Line("guard_forwarded", [*of_protocol(TCP), *of_states(INVALID)], DROP, "packets of none"),
        ],
        SERVICE,
        _port(2),
    ),
    "capped": Form(
        _one("guard_limits", SYNS, "new connections beyond a limit"), SERVICE, _port(2), limited=True
    ),
}  # fmt: skip
