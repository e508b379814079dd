"""The connections that this host itself has, asked of the kernel's own socket tables (sock_diag(7)).

They stand there whether connection tracking ever saw a packet of them or not: a session that sleeps since
before a watch began is known by both its ends. Packed as the sets of ``nft.passes`` hold them: source, its
port, target, its port, protocol, as in a packet towards this host.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress

from .peers import ESTABLISHED, asking, dumped
from .vital import TCP, UDP

STATES = {TCP: 1 << ESTABLISHED | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11, UDP: 1 << ESTABLISHED}
"""Established, SYN sent, and those that close. Not SYN received, of which a flood makes what it likes."""
MAPPED = bytes(10) + b"\xff\xff"
Connections = dict[int, Sequence[bytes]]


def connections() -> Connections:
    """Connections of TCP, and connected sockets of UDP, by IP version; those within the host are left out.

    Sockets of UDP are missing where the kernel does not tell of them: tracking then has to know them.

    Raises:
        OSError: the kernel does not tell of TCP.
    """
    found: dict[int, list[bytes]] = {4: [], 6: []}
    for family in (socket.AF_INET, socket.AF_INET6):
        for protocol in (TCP, UDP):
            with suppress(OSError) if protocol == UDP else nullcontext():
                for version, key in _asked(family, protocol):
                    found[version].append(key)
    return {version: tuple(dict.fromkeys(keys)) for version, keys in found.items()}


def _asked(family: int, protocol: int) -> Iterator[tuple[int, bytes]]:
    end = struct.pack("!B3x", protocol)
    with asking() as kernel:
        for message in dumped(kernel, family, protocol, STATES[protocol]):
            if (told := _packed(message, family, end)) is not None:
                yield told


def _packed(message: bytes, family: int, protocol: bytes) -> tuple[int, bytes] | None:
    """The key of one socket. Of struct inet_diag_msg: four bytes, two ports, two addresses of 16 bytes."""
    if len(message) < 40:
        return None
    own_port, peer_port, own, peer = message[4:6], message[6:8], message[8:24], message[24:40]
    if family == socket.AF_INET or own.startswith(MAPPED):
        at = 0 if family == socket.AF_INET else 12
        own, peer = own[at : at + 4], peer[at : at + 4]
        if own[0] == 127:
            return None
    elif own == peer:
        return None
    key = b"".join((peer, peer_port, b"\0\0", own, own_port, b"\0\0", protocol))
    return (4 if len(own) == 4 else 6), key
