"""What should stand in the kernel, decided without one: verdicts + policy + what stands now -> steps.

A source can only be blocked with a ``Proven``, and only ``prove`` makes one, from an event whose sources
finished a handshake. An operator's own command is an ``Ordered`` and says so. Everything else is decided
here as well: how long, how many, how wide, and never those who must not be blocked. Sources come heaviest
first, so a limit keeps the heaviest.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from ..errors import BlockRefused
from ..model import Event

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
SOURCE_ACTIONS = ("drop_sources", "limit_per_source")
_SECRET: Final = object()


class Proven:
    """A source whose address is proven real, by the event that proves it. Made by ``prove`` alone."""

    __slots__ = ("event", "network")

    def __init__(self, network: Network, event: str, *, secret: object = None) -> None:
        if secret is not _SECRET:
            raise BlockRefused(f"{network} is not proven real: only finished handshakes of an event prove it")
        self.network, self.event = network, event


@dataclass(frozen=True, slots=True)
class Ordered:
    """A network that the operator ordered to be blocked, with the reason given."""

    network: Network
    reason: str


def prove(event: Event) -> list[Proven]:
    """The sources that an event proves real and recommends to block, heaviest first."""
    if event.verdict == "crowd" or event.sources.origin != "real":
        return []
    if event.action.recommended not in SOURCE_ACTIONS:
        return []
    return [
        Proven(ipaddress.ip_network(top.cidr, strict=False), event.id, secret=_SECRET)
        for top in event.sources.top
    ]


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits of what may be done.

    Attributes:
        ttl_s: lifetime of a block in the kernel; renewed while the flood lasts.
        ttl_max_s: longest lifetime; a repeater's doubles up to it.
        max_blocks: most networks that are blocked at once.
        widest4: shortest IPv4 prefix that may be blocked.
        widest6: the same for IPv6.
        never: tells why a network must not be blocked, or None.
    """

    ttl_s: int = 60
    ttl_max_s: int = 3600
    max_blocks: int = 4096
    widest4: int = 24
    widest6: int = 48
    never: Callable[[Network], str | None] = field(default=lambda network: None)


@dataclass(frozen=True, slots=True)
class Block:
    """One blocked network as it should stand, or stands, in the kernel."""

    network: Network
    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a plan."""

    what: Literal["add", "extend", "remove", "refuse"]
    block: Block
    why: str

    def __str__(self) -> str:
        seconds = f" for {self.block.seconds:.0f} s" if self.what in ("add", "extend") else ""
        return f"{self.what:7}{self.block.network}{seconds}: {self.why}"


def refusal(network: Network, policy: Policy) -> str | None:
    """Why a network must not be blocked, or None."""
    if (mapped := _mapped(network)) is not None:
        return f"{network} is written as IPv6 but means {mapped}: name that"
    if network.is_multicast or network.is_unspecified:
        return f"{network} is no source"
    widest = policy.widest4 if network.version == 4 else policy.widest6
    if network.prefixlen < widest:
        return f"a /{network.prefixlen} is wider than the /{widest} that the policy allows"
    reason = policy.never(network)
    return f"it must never be blocked: {reason}" if reason else None


def _mapped(network: Network) -> ipaddress.IPv4Address | None:
    return network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None


def plan(
    wanted: Sequence[Proven | Ordered],
    policy: Policy,
    standing: Mapping[Network, Block],
    offences: Mapping[Network, int] | None = None,
    *,
    quiet: Iterable[Network] = (),
) -> list[Step]:
    """The steps from what stands to what is wanted.

    Args:
        wanted: whom to block, heaviest first.
        policy: the limits.
        standing: what the kernel holds now, read back.
        offences: how often each network was blocked before; each time doubles the lifetime.
        quiet: blocked networks from which nothing came lately: their blocks go.
    """
    offences, steps = offences or {}, list[Step]()
    for network in quiet:
        if network in standing:
            steps.append(Step("remove", standing[network], "nothing comes from there any more"))
    held = len(standing) - len(steps)
    seen: set[Network] = set()
    for item in wanted:
        if item.network in seen:
            continue
        seen.add(item.network)
        step = _step(item, policy, standing, offences, room=held < policy.max_blocks)
        held += step is not None and step.what == "add"
        if step is not None:
            steps.append(step)
    return steps


def _step(
    item: Proven | Ordered,
    policy: Policy,
    standing: Mapping[Network, Block],
    offences: Mapping[Network, int],
    *,
    room: bool,
) -> Step | None:
    why = f"fw:{item.event}" if isinstance(item, Proven) else item.reason
    old = standing.get(item.network)
    before = max(offences.get(item.network, 0) - (old is not None), 0)  # a block that stands is no repetition
    seconds = float(min(policy.ttl_s * 2 ** min(before, 16), policy.ttl_max_s))
    block = Block(item.network, seconds, why)
    reason = refusal(item.network, policy)
    if reason is not None:
        return Step("refuse", block, reason)
    if old is not None:
        # half of the lifetime is left for the next renewal to come in time
        return Step("extend", block, "it goes on") if old.seconds < seconds / 2 else None
    if not room:
        return Step("refuse", block, f"{policy.max_blocks} networks are blocked already, which is the limit")
    proof = "it finished handshakes" if isinstance(item, Proven) else "you ordered it"
    return Step("add", block, proof)
