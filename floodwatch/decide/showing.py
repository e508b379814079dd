"""Which packets show an event: in Wireshark's words, and for packets that were decoded, from one record."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import NamedTuple

from .._engine import FRAGMENT
from ..model.address import Network
from ..model.event import Event
from ..model.vector import PROTOCOL_NUMBERS, TCP_NUMBER, UDP_NUMBER, Vector, protocol_number

PEERS_MOST = 16
"""Sources that a filter names one by one; where there are more it takes everybody's packets."""
MORE_FRAGMENTS = 2


class Packet(NamedTuple):
    """What is asked of a packet; addresses are numbers, IPv4 as in ``::ffff:a.b.c.d``."""

    src: int
    dst: int
    sport: int
    dport: int
    proto: int
    kind: int
    bits: int


class Kind(NamedTuple):
    """Packets of one kind.

    Attributes:
        words: for Wireshark; empty: all packets.
        matches: the same for a packet.
        ports: Wireshark's name of what has the ports; empty: there are none to ask for.
    """

    words: str
    matches: Callable[[Packet], bool]
    ports: str = ""


class Selection(NamedTuple):
    """The packets of a kind between a victim and others, both ways.

    Attributes:
        kind: of the packets.
        victim: an address, or the prefix under a carpet.
        port: the victim's, or None for all.
        peer_ports: of the others; empty for all.
        peers: the others; empty for all.
    """

    kind: Kind
    victim: Network
    port: int | None
    peer_ports: tuple[int, ...]
    peers: tuple[Network, ...]

    def words(self) -> str:
        """The display filter."""
        ways = f"(({self._way('dst', 'src')}) || ({self._way('src', 'dst')}))"
        return f"{self.kind.words} && {ways}" if self.kind.words else ways

    def matches(self, packet: Packet) -> bool:
        """Whether that filter shows a packet."""
        return self.kind.matches(packet) and (
            self._ends(packet.dst, packet.dport, packet.src, packet.sport)
            or self._ends(packet.src, packet.sport, packet.dst, packet.dport)
        )

    def _way(self, ours: str, theirs: str) -> str:
        parts = [_equal(self.victim, ours)]
        if self.port is not None:
            parts.append(f"{self.kind.ports}.{ours}port == {self.port}")
        if self.peer_ports:
            parts.append(_any([f"{self.kind.ports}.{theirs}port == {port}" for port in self.peer_ports]))
        if self.peers:
            parts.append(_any([_equal(peer, theirs) for peer in self.peers]))
        return " && ".join(parts)

    def _ends(self, ours: int, port: int, theirs: int, peer_port: int) -> bool:
        return (
            lies_in(ours, self.victim)
            and self.port in (None, port)
            and (not self.peer_ports or peer_port in self.peer_ports)
            and (not self.peers or any(lies_in(theirs, peer) for peer in self.peers))
        )


def lies_in(address: int, network: Network) -> bool:
    """Whether a packet's address lies in a network."""
    bits = network.max_prefixlen - network.prefixlen
    tag = 0xFFFF << 32 if network.version == 4 else 0
    return address >> bits == (tag | int(network.network_address)) >> bits


def _equal(network: Network, side: str) -> str:
    whole = network.prefixlen == network.max_prefixlen
    return f"ip{'v6' * (network.version == 6)}.{side} == {network.network_address if whole else network}"


def _any(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"


def _of_protocol(name: str) -> Kind:
    number = protocol_number(name)
    words = WORDS.get(number, f"(ip.proto == {number} || ipv6.nxt == {number})")
    return Kind(words, lambda packet: packet.proto == number, PORTS.get(number, ""))


WORDS = {PROTOCOL_NUMBERS["icmp"]: "icmp", PROTOCOL_NUMBERS["icmp6"]: "icmpv6"}
PORTS = {TCP_NUMBER: "tcp", UDP_NUMBER: "udp"}
WORDS |= PORTS
SPECIAL: dict[Vector, Kind] = {
    Vector.FRAGMENT_FLOOD: Kind(
        "(ip.flags.mf == 1 || ip.frag_offset > 0 || ipv6.fraghdr)",
        lambda packet: packet.kind == FRAGMENT or bool(packet.bits & MORE_FRAGMENTS),
    ),
    Vector.MALFORMED_FLOOD: Kind("", lambda packet: True),
}
"""Vectors that are not about the packets of a protocol. What contradicts itself has no words in Wireshark."""


def selection(event: Event) -> Selection:
    """The packets of an event, and what answers them. Sources are named where they are few and all proven.

    Reflectors' ports stand for the victim's, which their answers do not all go to.
    """
    kind = SPECIAL.get(event.vector) or _of_protocol(event.victim.protocol)
    sources = event.sources
    told = sources.origin == "real" and not sources.via and sources.distinct.est <= len(sources.top)
    few = told and len(sources.top) <= PEERS_MOST
    reflectors = sources.reflector_ports if kind.ports else ()
    return Selection(
        kind=kind,
        victim=ipaddress.ip_network(event.victim.ip),
        port=event.victim.port if kind.ports and not reflectors else None,
        peer_ports=reflectors,
        peers=tuple(ipaddress.ip_network(source.cidr) for source in sources.top) if few else (),
    )
