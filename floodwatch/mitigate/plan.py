"""What should stand in the kernel, decided without one: decisions + policy + what stands now -> steps.

A source can only be blocked with a ``Proven``, and only ``prove`` makes one, from a decision that carries the
proof that its sources finished a handshake. An operator's own command is an ``Ordered`` and says so.
Everything else is decided here as well: how long, how many, how wide, and never those who must not be
blocked. Sources come heaviest first, so a limit keeps the heaviest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct

from ..errors import BlockRefused
from ..history.memory import Networks, code_of
from ..model.address import ONE_IPV6, mapped
from ..model.address import Network as Network
from ..model.decision import SOURCE_RATES, Decision, check
from ..model.event import SHARED_RATE

NOBODY: Final = np.zeros(0, np.uint64)
GATHERED = {4: 24, 6: 56}
"""Prefix lengths that hosts are gathered into."""
CROWDED = 16
"""Proven hosts that make a network worth blocking as a whole: a sixteenth of a /24."""
ENOUGH_KNOWN = 20
"""Networks of known clients from which on a share of them means something."""
MINE = "fw:"
"""How the reasons of blocks begin that an event called for; behind it stands the event's id."""
Because: TypeAlias = Literal["never_block", "no_source", "too_wide", "limit", "known_clients"]
_SECRET: Final = object()


class Proven:
    """A source whose address is proven real, and the event that tells of it. Made by ``prove`` alone.

    ``rate`` is how many packets a second it may still send.
    """

    __slots__ = ("event", "network", "rate")

    def __init__(self, network: Network, event: str, rate: int = 0, *, secret: object = None) -> None:
        if secret is not _SECRET:
            raise BlockRefused(
                f"{network} is not proven real: only an event with finished handshakes proves it"
            )
        self.network, self.event, self.rate = network, event, rate


@dataclass(frozen=True, slots=True)
class Ordered:
    """A network that the operator ordered to be blocked, with the reason given."""

    network: Network
    reason: str
    rate: int = 0


def prove(decision: Decision) -> list[Proven]:
    """The sources that a decision blocks or limits, heaviest first.

    Raises:
        BlockRefused: it carries no proof that they are real.
    """
    check(decision)
    rate = SOURCE_RATES.get(decision.action)
    if rate is None:
        return []
    rates = (rate, SHARED_RATE)
    return [Proven(s.network, decision.id, rates[s.shared], secret=_SECRET) for s in decision.sources]


def adopted(block: Block) -> Proven:
    """What a block that stands was made from: an earlier run of this program had the proof."""
    return Proven(block.network, block.why.removeprefix(MINE), block.rate, secret=_SECRET)


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of what may be done.

    Attributes:
        ttl_s: lifetime of a block in the kernel; renewed while the flood lasts.
        ttl_max_s: longest lifetime; a repeater's doubles up to it.
        max_blocks: most networks that are blocked at once.
        widest4: shortest IPv4 prefix that may be blocked.
        widest6: the same for IPv6.
        per_minute: most networks that are blocked anew within a minute.
        most_share: largest share of the networks of known clients that blocks may touch.
        never: tells why a network must not be blocked, or None.
    """

    ttl_s: int = 60
    ttl_max_s: int = 3600
    max_blocks: int = 4096
    widest4: int = 24
    widest6: int = 48
    per_minute: int = 4096
    most_share: float = 0.5
    never: Callable[[Network], str | None] = field(default=lambda network: None)


class Block(Struct, frozen=True, gc=False):
    """One blocked network as it should stand, or stands, in the kernel.

    ``rate`` is how many packets a second pass; 0 drops all.
    """

    network: Network
    seconds: float
    why: str
    rate: int = 0


class Step(Struct, frozen=True, gc=False):
    """One line of a plan. ``known``: it blocks anew among known clients; ``because``: why it is refused."""

    what: Literal["add", "extend", "remove", "refuse"]
    block: Block
    why: str
    known: bool = False
    because: Because | None = None

    def __str__(self) -> str:
        seconds = f" for {self.block.seconds:.0f} s" if self.what in ("add", "extend") else ""
        rate = f" to {self.block.rate} packets a second" if self.block.rate else ""
        return f"{self.what:7}{self.block.network}{rate}{seconds}: {self.why}"


class Refusal(NamedTuple):
    """Why something must not be blocked, in a word and in a sentence."""

    because: Because
    says: str


def refusal(network: Network, policy: Policy) -> Refusal | None:
    """Why a network must not be blocked, or None."""
    if (address := mapped(network)) is not None:
        return Refusal("no_source", f"{network} is IPv4-mapped: write {address}")
    if network.is_multicast or network.is_unspecified or _is_nobodys(network):
        return Refusal("no_source", f"{network} cannot be a source address")
    widest = policy.widest4 if network.version == 4 else policy.widest6
    if network.prefixlen < widest:
        return Refusal(
            "too_wide", f"a /{network.prefixlen} is wider than the /{widest} that the policy allows"
        )
    reason = policy.never(network) or ("loopback" if network.is_loopback else None)
    return Refusal("never_block", f"it must not be blocked: {reason}") if reason else None


def _is_nobodys(network: Network) -> bool:
    """Addresses of IPv4 that no host has: 0.0.0.0/8, and 240.0.0.0/4 with the broadcast (RFC 6890)."""
    return network.version == 4 and (network.is_reserved or int(network.network_address) >> 24 == 0)


def gather(
    wanted: Sequence[Proven | Ordered],
    policy: Policy,
    standing: Mapping[Network, Block],
    known: Networks = NOBODY,
) -> Sequence[Proven | Ordered]:
    """Hosts as the wider networks that they crowd, where there are more than may be blocked.

    Those with most hosts first, and no more than it takes. A network of known clients is never gathered, and
    none with fewer than ``CROWDED`` proven hosts.
    """
    fresh = [item for item in wanted if isinstance(item, Proven) and item.network not in standing]
    surplus = len(standing) + len(fresh) - policy.max_blocks
    if surplus <= 0:
        return wanted
    groups: dict[Network, list[Proven]] = {}
    for item in wanted:
        if isinstance(item, Proven) and not item.rate:
            groups.setdefault(_around(item.network), []).append(item)
    served, gathered = frozenset(known.tolist()), dict[Network, Proven]()
    for network, members in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        if surplus <= 0 or len(members) < CROWDED:
            break
        if code_of(network) not in served and refusal(network, policy) is None:
            gathered[network] = Proven(network, members[0].event, secret=_SECRET)
            surplus -= len(members) - 1
    return list(
        dict.fromkeys(item if item.rate else gathered.get(_around(item.network), item) for item in wanted)
    )


def _around(network: Network) -> Network:
    """The wider network that a host is gathered into: a /24, or of IPv6 a /56.

    One IPv6 address is a client of a translator: what lies around it is everybody else who comes through.
    """
    if network.version == 6 and network.prefixlen == ONE_IPV6:
        return network
    return network.supernet(new_prefix=min(GATHERED[network.version], network.prefixlen))


def plan(
    wanted: Sequence[Proven | Ordered],
    policy: Policy,
    standing: Mapping[Network, Block],
    offences: Mapping[Network, int] | None = None,
    *,
    quiet: Mapping[Network, str] | None = None,
    lately: int = 0,
    known: Networks = NOBODY,
) -> list[Step]:
    """The steps from what stands to what is wanted.

    Args:
        wanted: whom to block, heaviest first.
        policy: the limits.
        standing: what the kernel holds now, read back.
        offences: how often each network was blocked before; each time doubles the lifetime.
        quiet: blocked networks whose blocks go, and why.
        lately: networks that were blocked anew in the last minute.
        known: networks of known clients, see ``history.memory``.
    """
    gone = {network: why for network, why in (quiet or {}).items() if network in standing}
    # whole networks come first: each makes room for itself, and its hosts may only go when it is sure to come
    fresh = [item for item in wanted if isinstance(item, Proven) and _is_new_network(item.network, standing)]
    surely = fresh[: max(policy.per_minute - lately, 0)]
    wanted = [*surely, *(item for item in wanted if item not in fresh)]
    wide = {item.network for item in surely}
    wide |= {network for network in standing if _is_gathered(network) and network not in gone}
    for network, block in standing.items() if wide else ():
        if block.why.startswith(MINE) and network not in wide and _around(network) in wide:
            gone[network] = "its network is blocked"
    room = _Room(policy, [network for network in standing if network not in gone], lately, known)
    steps, seen = [Step("remove", standing[network], why) for network, why in gone.items()], set(gone)
    for item in wanted:
        network = item.network
        covered = isinstance(item, Proven) and bool(wide) and network not in wide and _around(network) in wide
        if network in seen or covered:
            continue
        seen.add(network)
        steps += _steps(item, policy, standing.get(network), offences or {}, room)
    return steps


def _is_gathered(network: Network) -> bool:
    return network.prefixlen == GATHERED[network.version]


def _is_new_network(network: Network, standing: Mapping[Network, Block]) -> bool:
    return _is_gathered(network) and network not in standing


class _Room:
    """What the limits still allow."""

    def __init__(self, policy: Policy, standing: Iterable[Network], lately: int, known: Networks) -> None:
        held = list(standing)
        self._policy, self._held, self._lately = policy, len(held), lately
        self.known: frozenset[int] = frozenset(known.tolist())
        self._served = self.known if len(known) >= ENOUGH_KNOWN else frozenset()
        self._hit = {code for n in held if (code := code_of(n)) in self._served}

    def refusal(self, network: Network) -> Refusal | None:
        """Why there is no room for one more, or None."""
        policy, code = self._policy, code_of(network)
        if self._held >= policy.max_blocks:
            return Refusal("limit", f"{policy.max_blocks} networks are blocked already: that is the limit")
        if self._lately >= policy.per_minute:
            said = f"{policy.per_minute} networks were blocked within a minute: that is the limit"
            return Refusal("limit", said)
        if code in self._served and len(self._hit | {code}) > policy.most_share * len(self._served):
            share = f"{100 * policy.most_share:.0f} %"
            said = f"blocks would hit more than {share} of the networks of known clients: decide by hand"
            return Refusal("known_clients", said)
        return None

    def take(self, network: Network) -> None:
        """One more is blocked."""
        self._held += 1
        self._lately += 1
        self._hit |= {code_of(network)} & self._served


def _steps(
    item: Proven | Ordered,
    policy: Policy,
    old: Block | None,
    offences: Mapping[Network, int],
    room: _Room,
) -> list[Step]:
    """The step for one network, or two: where a limit is not enough, it goes when the block comes."""
    if old is not None and old.rate and not item.rate:
        step = _step(item, policy, None, offences, room)
        if step is not None and step.what == "add":
            return [Step("remove", old, "a rate limit was not enough"), step]
    step = _step(item, policy, old, offences, room)
    return [] if step is None else [step]


def _step(
    item: Proven | Ordered,
    policy: Policy,
    old: Block | None,
    offences: Mapping[Network, int],
    room: _Room,
) -> Step | None:
    why = f"{MINE}{item.event}" if isinstance(item, Proven) else item.reason
    before = max(offences.get(item.network, 0) - (old is not None), 0)  # a block that stands is no repetition
    seconds = float(min(policy.ttl_s * 2 ** min(before, 16), policy.ttl_max_s))
    block = Block(item.network, seconds, why, item.rate if old is None else old.rate)
    if (reason := refusal(item.network, policy)) is not None:
        return Step("refuse", block, reason.says, because=reason.because)
    if old is not None:
        # half of the lifetime is left for the next renewal to come in time
        return Step("extend", block, "still needed") if old.seconds < seconds / 2 else None
    if (full := room.refusal(item.network)) is not None:
        return Step("refuse", block, full.says, because=full.because)
    room.take(item.network)
    proof = "proven real by finished handshakes" if isinstance(item, Proven) else "ordered by you"
    return Step("add", block, proof, code_of(item.network) in room.known)
