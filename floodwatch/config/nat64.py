"""Networks in which each IPv6 address stands for another IPv4 host: those of NAT64.

A translator writes the IPv4 address of each client into an address of its prefix (RFC 6052). Elsewhere a /64
is one customer's; here it is that of all who come through, and only the single address is somebody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

from .._engine import TRANSLATORS_MOST
from ..errors import ConfigError

Translator: TypeAlias = tuple[int, int, int]
"""Upper and lower half of the network's first address, and its prefix length."""
WIDEST, NARROWEST = 32, 96
"""Prefix lengths that a translator may have (RFC 6052, 2.2)."""


def translators(texts: Iterable[str]) -> tuple[Translator, ...]:
    """What ``--nat64`` names; 64:ff9b::/96 (RFC 6052) and 64:ff9b:1::/48 (RFC 8215) need no naming.

    Raises:
        ConfigError: one is no prefix of a translator, or they are too many.
    """
    found = tuple(dict.fromkeys(map(_read, texts)))
    if len(found) > TRANSLATORS_MOST:
        raise ConfigError(f"at most {TRANSLATORS_MOST} prefixes of translators can be named")
    return found


def _read(text: str) -> Translator:
    try:
        network = ipaddress.IPv6Network(text)
    except ValueError as error:
        raise ConfigError(f"write the prefix of a translator as 2001:db8:64::/96: {error}") from None
    if not WIDEST <= network.prefixlen <= NARROWEST:
        raise ConfigError(f"the prefix of a translator is a /{WIDEST} to a /{NARROWEST}, not {network}")
    first = int(network.network_address)
    return first >> 64, first & (1 << 64) - 1, network.prefixlen
