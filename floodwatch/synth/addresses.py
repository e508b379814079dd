"""Addresses as pairs of 64-bit integers (high, low); IPv4 lives in the low half."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# First octets of ordinary access networks; none of them holds a reserved, private or documentation range.
_ACCESS = (24, 31, 37, 46, 62, 71, 73, 77, 80, 82, 84, 86, 87, 90, 93, 95, 98, 101, 109, 113, 116, 121, 151,
           176, 178, 186, 189, 201, 213, 217)  # fmt: skip


def parse(text: str) -> tuple[int, int]:
    """Split an address into its (high, low) 64-bit halves."""
    value = int(ipaddress.ip_address(text))
    return value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF


def is_v6(text: str) -> bool:
    """Tell whether ``text`` is an IPv6 address."""
    return ipaddress.ip_address(text).version == 6


def texts(low: Array) -> list[str]:
    """The distinct IPv4 addresses in numerical order, as text."""
    return [str(ipaddress.IPv4Address(int(value))) for value in np.unique(low)]


def forged4(rng: np.random.Generator, count: int) -> Array:
    """Draw ``count`` addresses from the whole unicast space, loopback and 0/8 left out, private space not."""
    first = rng.integers(1, 223, count, dtype=np.uint64)
    first += first >= 127
    return (first << np.uint64(24)) | rng.integers(0, 1 << 24, count, dtype=np.uint64)


def forged6(rng: np.random.Generator, count: int, networks: int) -> tuple[Array, Array]:
    """Draw ``count`` global IPv6 addresses (high, low) spread over about ``networks`` /64s."""
    pool = (np.uint64(0x2A00) << np.uint64(48)) | rng.integers(0, 1 << 52, networks, dtype=np.uint64)
    return rng.choice(pool, count), rng.integers(1, 1 << 63, count, dtype=np.uint64)


def public4(rng: np.random.Generator, count: int, per_network: float = 1.5) -> Array:
    """Draw ``count`` distinct addresses of access networks, about ``per_network`` of them in each /24."""
    nets = max(1, int(count / per_network))
    networks = rng.choice(np.array(_ACCESS, np.uint64), nets) << np.uint64(24)
    networks |= rng.integers(0, 1 << 16, nets, dtype=np.uint64) << np.uint64(8)
    found = np.empty(0, np.uint64)
    while found.size < count:
        draw = rng.choice(networks, count) | rng.integers(1, 255, count, dtype=np.uint64)
        found = np.unique(np.concatenate([found, draw]))
    return rng.permutation(found)[:count]
