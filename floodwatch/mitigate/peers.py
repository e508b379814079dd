"""Remote ends of established connections to some of our ports, asked of the kernel by port.

sock_diag(7) answers with those connections alone, however many others there are. Where it is missing, all
connections are read from proc(5).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
SOCK_DIAG, BY_FAMILY, DUMP, DONE, ERROR = 4, 20, 0x301, 3, 2
TCP, ESTABLISHED = 6, 1
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def peers(ports: Iterable[int]) -> set[Address]:
    """Addresses of the other ends; an IPv4 address that is written as IPv6 comes as IPv4."""
    listed = set(ports)
    try:
        found = set(_asked(listed))
    except OSError:
        found = set(read_tables(listed))
    return {getattr(address, "ipv4_mapped", None) or address for address in found}


def _asked(ports: set[int]) -> Iterator[Address]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, SOCK_DIAG) as kernel:
        kernel.settimeout(2.0)
        for family in (socket.AF_INET, socket.AF_INET6):
            for port in ports:
                asks = struct.pack("=BBBBI", family, TCP, 0, 0, 1 << ESTABLISHED)
                asks += struct.pack("!HH", port, 0) + bytes(36) + b"\xff" * 8  # no address, no cookie
                kernel.send(struct.pack("=IHHII", 16 + len(asks), BY_FAMILY, DUMP, 0, 0) + asks)
                yield from _answers(kernel)


def _answers(kernel: socket.socket) -> Iterator[Address]:
    while True:
        answer, at = kernel.recv(1 << 16), 0
        while at + 16 <= len(answer):
            size, kind = struct.unpack_from("=IH", answer, at)
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError(-struct.unpack_from("=i", answer, at + 16)[0], "sock_diag")
            end = at + 16 + 24  # behind the header, four bytes, two ports and our own address
            raw = answer[end : end + 16]
            yield ipaddress.ip_address(raw[:4] if answer[at + 16] == socket.AF_INET else raw)
            at += max((size + 3) & ~3, 16)


def read_tables(ports: set[int]) -> Iterator[Address]:
    """The same from proc(5)."""
    for path in TABLES:
        try:
            rows = Path(path).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            _, local, remote, state, *_ = row.split()
            if int(state, 16) == ESTABLISHED and int(local.rpartition(":")[2], 16) in ports:
                yield _address(remote.partition(":")[0])


def _address(raw: str) -> Address:
    """The kernel prints addresses as words in host order."""
    return ipaddress.ip_address(
        b"".join(bytes.fromhex(raw[at : at + 8])[::-1] for at in range(0, len(raw), 8))
    )
