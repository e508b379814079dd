"""One spelling of addresses and networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
LOW = (1 << 64) - 1
Address: TypeAlias = tuple[int, int]
"""The upper and lower 64 bits of an address; IPv4 is mapped as in ``::ffff:a.b.c.d``."""


def address_text(address: Address) -> str:
    """The usual text of a victim's address."""
    hi, lo = address
    if hi == 0 and lo >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(lo & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(hi << 64 | lo))


UNIT = {4: 32, 6: 64}
"""Prefix length of what counts as one source: the /64 of IPv6 is a customer's, who has all of it."""
ONE_IPV6 = 128
"""Prefix length of a source that is one IPv6 address: behind each address of a translator is another host."""


def source_network(source: int, v6: bool, low: int = 0, length: int = 0) -> Network:
    """What a rule would name.

    Args:
        source: the IPv4 address, or the upper half of an IPv6 one.
        v6: which of them.
        low: the lower half of an IPv6 address.
        length: prefix length; 0: of the usual unit.
    """
    length = length or UNIT[6 if v6 else 4]
    if v6:
        return ipaddress.IPv6Network((source << 64 | low, length))
    return ipaddress.IPv4Network((source & 0xFFFFFFFF, length))


def source_cidr(network: Network) -> str:
    """The same as text: an IPv4 host is its address alone."""
    host = network.version == 4 and network.prefixlen == network.max_prefixlen
    return str(network.network_address if host else network)


def spans(networks: Iterable[Network]) -> NDArray[np.uint64]:
    """Upper and lower half of the first and of the last address of each, in order (n, 4): for the engine."""
    return np.array(sorted(map(_span, networks)), np.uint64).reshape(-1, 4)


def _span(network: Network) -> tuple[int, int, int, int]:
    tag = 0xFFFF << 32 if network.version == 4 else 0
    first, last = tag | int(network.network_address), tag | int(network.broadcast_address)
    return first >> 64, first & LOW, last >> 64, last & LOW


def meet(one: Network, other: Network) -> bool:
    """Have two networks an address in common?"""
    return one.version == other.version and one.overlaps(other)


def within(inner: Network, outer: Network) -> bool:
    """Does a network lie in another, or is it the same?"""
    return inner.prefixlen >= outer.prefixlen and meet(inner, outer)


def mapped(network: Network) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is written as an IPv6 one, or None."""
    return network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
