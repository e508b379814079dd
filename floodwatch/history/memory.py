"""What was learnt of a network's usual days, kept from one analysis to the next in a file.

The file is an npz of NumPy, without pickles: ``version`` (1), ``networks`` (n,) uint64, ``hosts`` (m, 2)
uint64 (the halves of the address; IPv4 as ::ffff:a.b.c.d) and ``usual`` (m, 5) float64: SYNs, UDP and ICMP
packets, requests and finished handshakes a second.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ..errors import ConfigError

VERSION = 1
METRICS = ("syn", "udp", "icmp", "requests", "finished")
"""Columns of ``usual``."""
Networks: TypeAlias = NDArray[np.uint64]


class Memory(Struct, frozen=True):
    """What is known before an analysis begins.

    Attributes:
        networks: networks of known clients, sorted; see ``history.clients.networks``.
        hosts: addresses, shape (m, 2): upper and lower half.
        usual: what is usual for each a second, shape (m, 5): ``METRICS``.
    """

    networks: Networks
    hosts: NDArray[np.uint64]
    usual: NDArray[np.float64]


def nothing() -> Memory:
    """A memory of nothing."""
    return Memory(np.zeros(0, np.uint64), np.zeros((0, 2), np.uint64), np.zeros((0, len(METRICS))))


def join(memories: list[Memory]) -> Memory:
    """All networks of several memories; of a host in several the last word counts."""
    if not memories:
        return nothing()
    hosts = np.concatenate([memory.hosts for memory in memories])[::-1]
    usual = np.concatenate([memory.usual for memory in memories])[::-1]
    _, first = np.unique(hosts, axis=0, return_index=True)
    known = np.unique(np.concatenate([memory.networks for memory in memories]))
    return Memory(known, hosts[first], usual[first])


def encode(memory: Memory) -> bytes:
    """The memory as bytes of a file."""
    out = io.BytesIO()
    np.savez_compressed(
        out, version=np.array(VERSION), networks=memory.networks, hosts=memory.hosts, usual=memory.usual
    )
    return out.getvalue()


def load(path: str) -> Memory:
    """Read a memory from a file.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            found = {name: data[name] for name in ("version", "networks", "hosts", "usual")}
    except OSError as error:
        raise ConfigError(f"cannot read the baseline {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} is not a baseline that floodwatch saved: {error}") from error
    hosts, usual = found["hosts"], found["usual"]
    sound = (
        found["version"] == VERSION
        and found["networks"].dtype == hosts.dtype == np.uint64
        and found["networks"].ndim == 1
        and usual.dtype == np.float64
        and hosts.shape == (len(hosts), 2)
        and usual.shape == (len(hosts), len(METRICS))
        and bool(np.isfinite(usual).all())
        and not (usual < 0).any()
    )
    if not sound:
        raise ConfigError(f"{path} is not a baseline that this version of floodwatch can read")
    return Memory(np.unique(found["networks"]), hosts, usual)
