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


def source_cidr(source: int, v6: bool) -> str:
    """What a rule would name: the IPv4 address, or the /64 of an IPv6 source."""
    if v6:
        return f"{ipaddress.IPv6Address(source << 64)}/64"
    return str(ipaddress.IPv4Address(source & 0xFFFFFFFF))


def spans(networks: Iterable[Network]) -> NDArray[np.uint64]:
    """Upper and lower half of the first and of the last address of each, in order (n, 4): for the engine."""
    return np.array(sorted(map(_span, networks)), np.uint64).reshape(-1, 4)


def _span(network: Network) -> tuple[int, int, int, int]:
    tag = 0xFFFF << 32 if network.version == 4 else 0
    first, last = tag | int(network.network_address), tag | int(network.broadcast_address)
    return first >> 64, first & LOW, last >> 64, last & LOW


def mapped(network: Network) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is written as an IPv6 one, or None."""
    return network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
