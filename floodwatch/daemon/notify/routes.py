"""What may be announced upstream: routes of FlowSpec (RFC 8955, RFC 8956) in one narrow shape, and no other.

A route names one host of ours, a protocol and a port, and slows down what comes there: nothing is discarded,
and no network, range or length is named. What a network lives by is never met.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from msgspec import Struct

from ...decide.recall import decision_of
from ...mitigate.foreign import SLOW_BYTES, flow
from ...mitigate.guards import LEAST_FLOWS, SPARE
from ...mitigate.vital import TCP, UDP, is_vital
from ...model.address import Network, mapped, within
from ...model.event import Event

PORT_MOST = 65_535
RATE_MOST = 1_000_000_000_000
"""Bytes a second."""
PACKET_BYTES = 64
"""Of a packet, where nothing is known."""


class Route(Struct, frozen=True, forbid_unknown_fields=True):
    """One route: packets of a protocol to a port of a host are slowed down to a rate.

    Attributes:
        victim: the host, as a network of one address.
        protocol: of IP: TCP or UDP.
        port: of the victim.
        rate: bytes a second that still come.
        source_port: only packets from there.
        syn: only packets that begin connections.

    Raises:
        ValueError: it may not be announced.
    """

    victim: str
    protocol: int
    port: int
    rate: int
    source_port: int | None = None
    syn: bool = False

    def __post_init__(self) -> None:
        network = ipaddress.ip_network(self.victim)
        if str(network) != self.victim or network.prefixlen != network.max_prefixlen or "%" in self.victim:
            raise ValueError("a route names one host")
        if mapped(network) or network.is_multicast or network.is_loopback or network.is_unspecified:
            raise ValueError("a route names a host that others can reach")
        ports = (self.port,) if self.source_port is None else (self.port, self.source_port)
        if not all(1 <= port <= PORT_MOST for port in ports):
            raise ValueError("a route names ports")
        if self.protocol not in (TCP, UDP) or any(is_vital(self.protocol, port) for port in ports):
            raise ValueError("a route never meets what a network lives by")
        if self.syn and self.protocol != TCP:
            raise ValueError("only TCP has connections")
        if not SLOW_BYTES <= self.rate <= RATE_MOST:
            raise ValueError("a route leaves something")

    @property
    def v6(self) -> bool:
        """It is about IPv6."""
        return ":" in self.victim


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to stand about one event, and for how long; nothing: its routes go."""

    event: str
    routes: tuple[Route, ...] = ()
    seconds: float = 0.0


def exabgp(route: Route, *, announce: bool) -> str:
    """A command of ExaBGP's text interface."""
    match = [f"destination {route.victim}", f"{'next-header' if route.v6 else 'protocol'} ={route.protocol}"]
    match += [f"destination-port ={route.port}"]
    match += [] if route.source_port is None else [f"source-port ={route.source_port}"]
    match += ["tcp-flags =syn"] if route.syn else []
    then = f"rate-limit {route.rate}"
    return f"{'announce' if announce else 'withdraw'} flow route {{ {flow(*match, then=then)} }}"


def gobgp(route: Route, *, announce: bool) -> list[str]:
    """Arguments of GoBGP's command."""
    match = [
        "destination",
        route.victim,
        "protocol",
        f"=={route.protocol}",
        "destination-port",
        f"=={route.port}",
    ]
    match += [] if route.source_port is None else ["source-port", f"=={route.source_port}"]
    match += ["tcp-flags", "=S"] if route.syn else []
    family = "ipv6-flowspec" if route.v6 else "ipv4-flowspec"
    what = "add" if announce else "del"
    return ["global", "rib", "-a", family, what, "match", *match, "then", "rate-limit", str(route.rate)]


def routes_of(event: Event, home: Sequence[Network]) -> Iterator[Route]:
    """What may be announced about a flood: against SYN floods, floods of UDP at a port, and reflection.

    What is left is twice what is usual, as of guards, in bytes of the flood's own packets; of reflectors the
    least that speakers take.

    Raises:
        InputError: the event holds what is no address, port or protocol.
    """
    one = decision_of(event)
    host = one.victim.prefixlen == one.victim.max_prefixlen
    if one.port is None or not host or not any(within(one.victim, ours) for ours in home):
        return
    size = event.bytes / event.packets if event.packets else PACKET_BYTES
    left = min(max(round(max(SPARE * one.usual, LEAST_FLOWS) * size), SLOW_BYTES), RATE_MOST)
    victim, found = str(one.victim), list[tuple[int, int | None, bool]]()
    match one.protection:
        case "cookies":
            found = [(left, None, True)]
        case "limited" if one.protocol == UDP:
            found = [(left, None, False)]
        case "reflected":
            found = [(SLOW_BYTES, port, False) for port in one.reflector_ports]
    for rate, source_port, syn in found:
        try:
            yield Route(victim, one.protocol, one.port, rate, source_port, syn)
        except ValueError:
            continue
