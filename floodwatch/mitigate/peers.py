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

from .vital import TCP

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
SOCK_DIAG, OF_TCP, BY_FAMILY, DUMP, DONE, ERROR = 4, 18, 20, 0x301, 3, 2
ESTABLISHED = 1
HEADER, RECEIVE_BYTES, TIMEOUT_S = 16, 1 << 17, 2.0
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
    with asking() as kernel:
        for port in ports:
            for message in dumped(kernel, socket.AF_UNSPEC, TCP, 1 << ESTABLISHED, port):
                raw = message[24:40]  # behind four bytes, two ports and our own address
                yield ipaddress.ip_address(raw[:4] if message[0] == socket.AF_INET else raw)


def asking() -> socket.socket:
    """A socket to ask the kernel of sockets with, to be closed."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, SOCK_DIAG)
    kernel.settimeout(TIMEOUT_S)
    return kernel


def dumped(kernel: socket.socket, family: int, protocol: int, states: int, port: int = 0) -> Iterator[bytes]:
    """Ask for sockets; yields of each its struct inet_diag_msg, as far as the addresses.

    Args:
        kernel: see ``asking``; one question at a time.
        family: AF_INET or AF_INET6; AF_UNSPEC: both, for which the kernel walks through its table once, of
            TCP only.
        protocol: IP protocol number.
        states: bits of the states that are wanted.
        port: of this host; 0 for any.

    Raises:
        OSError: the kernel does not tell.
    """
    which = struct.pack("!HH", port, 0) + bytes(36) + b"\xff" * 8  # no address, no cookie
    if family == socket.AF_UNSPEC:  # struct inet_diag_req; else struct inet_diag_req_v2
        kind, asks = OF_TCP, bytes(4) + which + struct.pack("=II", states, 0)
    else:
        kind, asks = BY_FAMILY, struct.pack("=BBBBI", family, protocol, 0, 0, states) + which
    kernel.send(struct.pack("=IHHII", HEADER + len(asks), kind, DUMP, 0, 0) + asks)
    while True:
        answer, at = kernel.recv(RECEIVE_BYTES), 0
        while at + HEADER <= len(answer):
            size, kind = struct.unpack_from("=IH", answer, at)
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError(-struct.unpack_from("=i", answer, at + HEADER)[0], "sock_diag")
            yield answer[at + HEADER : at + min(size, HEADER + 52)]
            at += max((size + 3) & ~3, HEADER)


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
