"""What crosses from the decision to mitigation: typed, complete, and of bounded size.

A decision says everything that a rule needs, as addresses, ports and networks; nobody reads it back out of a
text. Its sources may be blocked only with a proof that their addresses are real, and only the rooms that saw
the handshakes make one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from ..errors import BlockRefused
from .address import Network, mapped
from .event import SOURCE_RATE, Action, Origin
from .vector import Vector

SOURCES_MOST = 16_384
"""Sources that one decision names at most, the heaviest first."""
ID_MOST, PORT_MOST, PROTOCOL_MOST, USUAL_MOST = 200, 65_535, 255, 1e9
WIDEST = {4: 24, 6: 48}
"""Shortest prefixes of a victim: a network that is bombed as a whole."""
Protection: TypeAlias = Literal[
    "reflected", "unasked", "strange", "fragments", "limited", "cookies", "capped"
]
"""What may stand before a victim without naming a source; ``mitigate.guards`` says what each does."""
SOURCE_RATES: Mapping[Action, int] = {"drop_sources": 0, "limit_per_source": SOURCE_RATE}
"""Actions against sources, with the packets a second that each may still send."""
_SECRET: Final = object()


class Proof:
    """That the sources of one decision finished handshakes. Made by ``prove`` and ``reported`` alone.

    Attributes:
        of: the decision's id.
        witnessed: the handshakes were counted in this process. What only a report says may be printed as
            rules for somebody to read and load; it is never enforced.
    """

    __slots__ = ("of", "witnessed")

    def __init__(self, of: str, *, witnessed: bool, secret: object = None) -> None:
        if secret is not _SECRET:
            raise BlockRefused(f"{of}: only finished handshakes that were seen prove a source")
        self.of, self.witnessed = of, witnessed


def prove(decision_id: str) -> Proof:
    """The proof for one decision; to be called only where its handshakes were counted."""
    return Proof(decision_id, witnessed=True, secret=_SECRET)


def reported(decision_id: str) -> Proof:
    """The proof that a report claims for one decision."""
    return Proof(decision_id, witnessed=False, secret=_SECRET)


class Suspect(NamedTuple):
    """A source of a flood: what a rule would name, guaranteed bounds of what it sent, and whether several
    machines share it: then it is limited, never dropped.
    """

    network: Network
    lo: int
    hi: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about one flood while it lasts.

    Attributes:
        id: of the event that tells of it; minted once.
        vector: what it is.
        origin: whose addresses its sources are.
        action: what is recommended.
        victim: the host, or the network, under load.
        protocol: IP protocol number of its packets.
        port: the victim's port, where one holds most of it.
        reflector_ports: ports that reflectors answer from.
        protection: what may stand before the victim, or None.
        usual: packets (requests, connections) a second that are usual for the victim; 0 where unknown.
        sources: those that the action is about, heaviest first; empty unless they are proven real.
        proof: that they are real.

    Raises:
        BlockRefused: see ``check``.
    """

    id: str
    vector: Vector
    origin: Origin
    action: Action
    victim: Network
    protocol: int
    port: int | None = None
    reflector_ports: tuple[int, ...] = ()
    protection: Protection | None = None
    usual: float = 0.0
    sources: tuple[Suspect, ...] = ()
    proof: Proof | None = None

    def __post_init__(self) -> None:
        check(self)


def check(decision: Decision) -> None:
    """Look at a decision, once more wherever something is about to be done: programs make them as well.

    Raises:
        BlockRefused: it is no Decision, a field of it is not what it should be, or it names sources without a
            proof that was made for it.
    """
    if not isinstance(decision, Decision):
        raise BlockRefused(f"a decision is asked for, and not {type(decision).__name__}")
    wrong = [name for name, sound in _sound(decision) if not sound]
    if wrong:
        raise BlockRefused(f"{str(decision.id)[:80]} cannot be acted on: its {wrong[0]} is none")
    proof = decision.proof
    proven = isinstance(proof, Proof) and getattr(proof, "of", None) == decision.id
    if decision.sources and not (proven and decision.origin == "real"):
        raise BlockRefused(f"{decision.id[:80]} names sources without a proof that they are real")


def _sound(decision: Decision) -> Iterator[tuple[str, bool]]:
    """Each field that goes into rules, and whether it is of its kind and within its bounds."""
    victim, ports = decision.victim, decision.reflector_ports
    yield "id", isinstance(decision.id, str) and 0 < len(decision.id) <= ID_MOST
    yield "action", isinstance(decision.action, str)
    host = isinstance(victim, ipaddress.IPv4Network | ipaddress.IPv6Network)
    yield "victim", host and victim.prefixlen >= WIDEST[victim.version] and not mapped(victim)
    yield "protocol", _within(decision.protocol, 0, PROTOCOL_MOST)
    yield "port", decision.port is None or _within(decision.port, 0, PORT_MOST)
    yield "reflector ports", isinstance(ports, tuple) and all(_within(port, 1, PORT_MOST) for port in ports)
    usual = decision.usual
    yield "usual rate", isinstance(usual, int | float) and 0 <= usual <= USUAL_MOST
    named = isinstance(decision.sources, tuple) and len(decision.sources) <= SOURCES_MOST
    yield "list of sources", named and all(isinstance(source, Suspect) for source in decision.sources)


def _within(number: object, least: int, most: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most
