"""What crosses from the decision to mitigation: typed, complete, and of bounded size.

A decision says everything that a rule needs, as addresses, ports and networks; nobody reads it back out of a
text. Its sources may be blocked only with a proof that their addresses are real, and only the rooms that saw
the handshakes make one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from ..errors import BlockRefused
from .address import Network
from .event import SOURCE_RATE, Action, Origin
from .vector import Vector

SOURCES_MOST = 16_384
"""Sources that one decision names at most, the heaviest first."""
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
    """A source of a flood: what a rule would name, and guaranteed bounds of what it sent."""

    network: Network
    lo: int
    hi: int


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
        BlockRefused: sources are named without a proof that was made for this decision.
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
    """Look at the proof of a decision, once more wherever sources are about to be named.

    Raises:
        BlockRefused: it names sources without a proof that was made for it, or is no Decision.
    """
    proof = decision.proof if isinstance(decision, Decision) else None
    proven = isinstance(proof, Proof) and proof.of == decision.id and decision.origin == "real"
    if decision.sources and not proven:
        raise BlockRefused(f"{decision.id} names sources without a proof that they are real")
