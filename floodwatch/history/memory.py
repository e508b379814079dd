"""What was learnt of a network's usual days, kept from one analysis to the next in a file.

The file is an npz of NumPy, without pickles: ``version`` (2), ``networks`` (n,) uint64, ``hosts`` (m, 2)
uint64 (the halves of the address; IPv4 as ::ffff:a.b.c.d) and ``usual`` (m, 8) float64: SYNs, UDP and ICMP
packets, requests and finished handshakes a second; and of TLS and QUIC turns, handshakes begun, and requests
as far as lengths tell. Version 1 knew nothing of the last three: read as "never", each turn would be a surge,
so it is not read.
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
from ..model.address import ONE_IPV6, Network

VERSION = 2
BYTES_MOST = 1 << 26
"""What is unpacked at most of bytes that another process made."""
METRICS = ("syn", "udp", "icmp", "requests", "finished", "turns", "hellos", "asked")
"""Columns of ``usual``."""
Networks: TypeAlias = NDArray[np.uint64]
Addresses: TypeAlias = NDArray[np.uint64]
"""Shape (n, 2): upper and lower halves."""
SINGLE, HASHED = np.uint64(1 << 63), np.uint64(1 << 62)
"""Set in the code of a single address; the second where that is a hash, which cannot be read back."""
READ_MOST = 64 << 20
"""Bytes that a file may unpack to: what is kept is a tenth of it."""
WELL_KNOWN = np.uint64(0x0064FF9B << 32)
LOCAL = np.uint64(0x0064FF9B_0001_0000)
"""Upper halves of 64:ff9b::/96 (RFC 6052), and of 64:ff9b:1::/48 (RFC 8215) before its last 16 bits."""
LOCAL_CODE = np.uint64(1 << 61)


def codes(addresses: Addresses) -> Networks:
    """What stands for single IPv6 addresses among the networks of clients.

    Those of the prefixes of NAT64 are written out, as far as they fit: the IPv4 address, and of the local
    prefix 16 bits and 12 bits before it, by which translators are numbered. Of others it is 62 bits of a
    hash, Stafford's variant 13 of MurmurHash3's finaliser over both halves. Whoever is taken for another by
    chance or by intent counts as known, which decides nothing alone.
    """
    high, low = addresses[:, 0], addresses[:, 1]
    numbered = high & np.uint64(0xFFFF)
    hashed = (_mix(_mix(high) + low) & HASHED - np.uint64(1)) | HASHED
    found = np.where((high - numbered == LOCAL) & (low >> np.uint64(44) == 0),
                     LOCAL_CODE | numbered << np.uint64(44) | low, hashed)  # fmt: skip
    well = (high == WELL_KNOWN) & (low >> np.uint64(32) == 0)
    return np.where(well, low, found) | SINGLE


def singles(networks: Networks) -> Addresses:
    """The single addresses among networks of clients, of those that are written out."""
    mine = networks[networks & (SINGLE | HASHED) == SINGLE] & ~SINGLE
    local = mine & LOCAL_CODE > 0
    high = np.where(local, LOCAL | mine >> np.uint64(44) & np.uint64(0xFFFF), WELL_KNOWN)
    return np.column_stack([high, np.where(local, mine & np.uint64((1 << 44) - 1), mine)])


def code_of(network: Network) -> int:
    """What stands for the network of a client, given a network of its own among them."""
    first = int(network.network_address)
    if network.version == 6 and network.prefixlen == ONE_IPV6:
        return int(codes(np.array([[first >> 64, first & (1 << 64) - 1]], np.uint64))[0])
    return network.version << 56 | first >> (8 if network.version == 4 else 80)


def number(source: int, v6: bool) -> int:
    """What stands for the network of a source, as the heavy-hitter table has it."""
    return source >> 16 | 6 << 56 if v6 else (source & 0xFFFFFFFF) >> 8 | 4 << 56


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        words = (words ^ words >> np.uint64(shift)) * np.uint64(factor)
    return words ^ words >> np.uint64(31)


class Memory(Struct, frozen=True):
    """What is known before an analysis begins.

    Attributes:
        networks: networks of known clients, sorted; see ``history.clients.networks``.
        hosts: addresses, shape (m, 2): upper and lower half.
        usual: what is usual for each a second, shape (m, 8): ``METRICS``.
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
    out, arrays = io.BytesIO(), {name: getattr(memory, name) for name in memory.__struct_fields__}
    np.savez_compressed(out, version=np.array(VERSION), **arrays)
    return out.getvalue()


def load(path: str) -> Memory:
    """Read a memory from a file.

    Raises:
        ConfigError: it cannot be read, or is no such file.
    """
    return _read(path, path)


def decode(data: bytes) -> Memory:
    """The memory of such bytes as ``encode`` makes.

    Raises:
        ConfigError: they are none, or would be too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except zipfile.BadZipFile as error:
        raise ConfigError(f"what was saved is not readable: {error}") from error
    if size > BYTES_MOST:
        raise ConfigError(f"what was saved would be {size} bytes: more than can be")
    return _read(io.BytesIO(data), "what was saved")


def _read(file: str | io.BytesIO, path: str) -> Memory:
    try:
        with np.load(file, allow_pickle=False) as data:
            if sum(part.file_size for part in data.zip.infolist()) > READ_MOST:
                raise ValueError(f"it unpacks to more than {READ_MOST >> 20} MiB")
            found = {name: data[name] for name in ("version", "networks", "hosts", "usual")}
    except OSError as error:
        raise ConfigError(f"cannot read the baseline {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError, zlib.error, MemoryError) as error:
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
