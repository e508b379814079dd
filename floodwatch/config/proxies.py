"""The proxies that an operator names: networks, or files of them, one a line."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

from .._engine import RANGES_MOST
from ..errors import ConfigError
from ..model.address import Network
from .files import entries

WIDEST = {4: 8, 6: 16}
"""Shortest prefixes that are taken: whoever named the whole world would believe everybody."""


def read_proxies(named: Iterable[str], *, of: str = "--proxy ") -> tuple[Network, ...]:
    """The networks that ``--proxy CIDR|FILE`` names, in order and without those inside others.

    In a file ``#`` begins a comment. ``of`` stands before an entry in messages.

    Raises:
        ConfigError: an entry is neither a network nor a file that can be read, a line of a file is none, one
            is too wide, or they are too many; names file and line.
    """
    found: list[Network] = []
    for entry in named:
        network = _network(entry)
        where = f"{of}{entry}"
        found += _listed(entry, where) if network is None else [_bounded(network, where)]
    four = ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in found if isinstance(n, ipaddress.IPv6Network))
    networks: tuple[Network, ...] = (*four, *six)
    if len(networks) > RANGES_MOST:
        raise ConfigError(
            f"{len(networks):,} networks of proxies are named: at most {RANGES_MOST:,} are taken"
        )
    return networks


def _network(text: str) -> Network | None:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return None if "%" in text else network


def _bounded(network: Network, where: str) -> Network:
    if network.prefixlen < WIDEST[network.version]:
        raise ConfigError(
            f"{where}: a /{network.prefixlen} is wider than the /{WIDEST[network.version]} allowed"
        )
    return network


def _listed(path: str, where: str) -> list[Network]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{where}: neither a network nor a list that can be read ({why})") from error
    out: list[Network] = []
    for number, entry in entries(text):
        network = _network(entry)
        if network is None:
            raise ConfigError(f"{path}, line {number}: {entry[:80]!r} is no network")
        out.append(_bounded(network, f"{path}, line {number}"))
    return out
