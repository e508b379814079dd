"""What a card or its driver had no room for, asked by rtnetlink(7): it takes no right to open files."""

from __future__ import annotations

import socket
import struct

GET_LINK, REQUEST, ERROR = 18, 1, 2
STATISTICS = 23
"""IFLA_STATS64: a row of 64-bit counters, struct rtnl_link_stats64."""
FIFO_ERRORS, MISSED_ERRORS = 14, 15
ANSWER_BYTES = 1 << 16


def interface_drops(index: int) -> int:
    """Packets that an interface had no room for; 0 where nobody counts them, or there is no such one."""
    if not index:
        return 0
    asks = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    head = struct.pack("=IHHII", 16 + len(asks), GET_LINK, REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.settimeout(1.0)
            kernel.send(head + asks)
            return _counted(kernel.recv(ANSWER_BYTES))
    except OSError:
        return 0


def _counted(answer: bytes) -> int:
    at = 32  # behind both headers
    while at + 4 <= len(answer) and answer[4] != ERROR:
        size, number = struct.unpack_from("=HH", answer, at)
        if number == STATISTICS and size >= 4 + 8 * (MISSED_ERRORS + 1):
            return int(sum(struct.unpack_from("=2Q", answer, at + 4 + 8 * FIFO_ERRORS)))
        at += max((size + 3) & ~3, 4)
    return 0
