"""A plan for those who have no nftables: lines of iptables, and routes as of ExaBGP: FlowSpec (RFC 8955), or
the one that has all packets to a victim dropped upstream (RFC 7999).

What a language cannot say is left out, and a comment says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .guards import Order, describe, name_of
from .nft.guardforms import FORMS, Line
from .nft.terms import TARGET_PORT, source, target
from .plan import MINE, Block, Network
from .vital import UDP

HASHLIMIT_MOST = 1_000_000
"""Packets a second, and at once, that hashlimit counts to."""
OF_ONE_PORT = ("proxied", "capped")
"""Kinds of guards whose number is the victim's port."""
BLACKHOLE = "65535:666"
"""The community that asks for it."""
SLOW_BYTES = 9600
"""What FlowSpec leaves a source that is slowed down, in bytes a second: the least that speakers take."""


def iptables(blocks: Sequence[Block], orders: Sequence[Order]) -> Iterator[str]:
    """Each rule as a command."""
    if any(line.place.known for order in orders for line in _lines(order)):
        yield "# limits meet everybody: iptables has no list of clients who were served before"
    if any(order.guard.port is None for order in orders if order.guard.kind not in OF_ONE_PORT):
        yield "# routers' protocols, DHCP, BGP and neighbour discovery meet these too: accept them before"
    for block in blocks:
        network = block.network
        limit = _above(block.rate, "src", network.prefixlen, "fw_source") if block.rate else ""
        match = _own(source(network.version, network.prefixlen).iptables, network) + limit
        yield f"{_program(network)} -t raw -I PREROUTING{match}{_because(block.why)} -j DROP"
    for order in orders:
        # each goes in front of those before it
        yield from (_iptables_rule(order, line) for line in reversed(_lines(order)))


def _lines(order: Order) -> list[Line]:
    """The rules of a guard of one port; others ask which services a host has, and nothing here knows that."""
    return [line for line in FORMS[order.guard.kind].lines(order.guard.victim.version) if line.narrow]


def _iptables_rule(order: Order, line: Line) -> str:
    guard, chain = order.guard, line.place.iptables
    victim, behind = guard.victim, FORMS[guard.kind].behind
    words = [term.iptables for term in line.match]
    if not chain or None in words or order.rate > HASHLIMIT_MOST:
        return f"# left out, for iptables cannot say it: {describe(guard, order.rate)}"
    match = _own(target(victim.version, victim.prefixlen).iptables, victim)
    match += "".join(f" {word}" for word in words)
    match += "" if behind is None else _own(behind.iptables, guard.number)
    match += "" if guard.port is None else _own(TARGET_PORT.iptables, guard.port)
    if order.rate:
        name = f"fw_{line.store or guard.kind}_{guard.number}_{guard.port or 0}"
        match += _above(order.rate, "dst", victim.prefixlen, name)
    return f"{_program(victim)} {chain}{match}{_because(f'{MINE}{order.event}')} {line.end.iptables}"


def _own(words: str, value: object) -> str:
    return f" {words.format(value)}"


def _above(rate: int, end: str, length: int, name: str) -> str:
    limit = f"--hashlimit-above {rate}/sec --hashlimit-burst {rate} --hashlimit-mode {end}ip"
    return f" -m hashlimit {limit} --hashlimit-{end}mask {length} --hashlimit-name {name}"


def _program(network: Network) -> str:
    return "iptables" if network.version == 4 else "ip6tables"


def _because(why: str) -> str:
    return f" -m comment --comment {why}"


def flowspec(victim: Network, blocks: Sequence[Block], orders: Sequence[Order]) -> Iterator[str]:
    """Each rule as a route: what it matches, and what then becomes of it."""
    for block in blocks:
        if block.network.version != victim.version:
            yield f"# left out, for the victim has no address of its kind: {block.network}"
            continue
        then = f"rate-limit {SLOW_BYTES}" if block.rate else "discard"
        yield flow(f"source {block.network}", f"destination {victim}", then=then)
    for order in orders:
        guard = order.guard
        if guard.kind == "reflected":
            yield "# FlowSpec knows no connections: what the victim itself asked for on that port goes too"
            match = [f"destination {victim}", f"protocol ={UDP}", f"source-port ={guard.number}"]
            match += [] if guard.port is None else [f"destination-port ={guard.port}"]
            yield flow(*match, then="discard")
        else:
            yield f"# left out, for FlowSpec knows no connections and no flows: {describe(guard, order.rate)}"


def blackhole(victim: Network) -> Iterator[str]:
    """The route that has everything to a host dropped."""
    if victim.prefixlen < victim.max_prefixlen:
        yield f"# left out: {victim} is a whole network"
        return
    yield f"# nobody reaches {name_of(victim)} any more then, neither the flood nor its clients"
    yield f"route {victim} next-hop self community [{BLACKHOLE}]"


def flow(*match: str, then: str) -> str:
    """A route of FlowSpec: what it matches, and what then becomes of it."""
    return f"match {{ {' '.join(f'{one};' for one in match)} }} then {{ {then}; }}"
