"""Blocks ahead of the kernel's own network code: an XDP program that mirrors the table's sets.

The table stays what counts: whatever it blocks is copied here with its time, so that a flood costs less. What
is blocked, lifted or listed by hand shows here within a moment. The program goes when this process ends.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from pyroute2 import IPRoute

from ...errors import EnforceError
from ..plan import Block, Network
from ..tally import Tally
from . import bpf
from .program import CPU_BYTES, HOSTS, NAME, NETWORKS, SAMPLED, SPARED, VALUE_BYTES, program

HOST_MOST, NETWORK_MOST, NEVER_MOST = 262_144, 65_536, 65_536
DRIFT_S = 1.0
"""A block's end is written anew if it differs by more."""
FORMS = {
    "never4": (bpf.PREFIXES, 8, 8, NEVER_MOST),
    "never6": (bpf.PREFIXES, 20, 8, NEVER_MOST),
    "block4": (bpf.HASH, 4, VALUE_BYTES, HOST_MOST),
    "block6": (bpf.HASH, 16, VALUE_BYTES, HOST_MOST),
    "wide4": (bpf.PREFIXES, 8, VALUE_BYTES, NETWORK_MOST),
    "wide6": (bpf.PREFIXES, 20, VALUE_BYTES, NETWORK_MOST),
    "tally": (bpf.PER_CPU_ARRAY, 4, CPU_BYTES, 1),
}
"""Map -> its kind, bytes of a key and of a value, most entries."""
BLOCKS = ("block4", "block6", "wide4", "wide6")


class Xdp:
    """The program on some interfaces, from now until ``close`` or the end of the process.

    Args:
        interfaces: their names.

    Raises:
        EnforceError: no right, another program is there, or the kernel lacks something; says what to do.
    """

    def __init__(self, interfaces: Sequence[str]) -> None:
        self._links: dict[str, int] = {}
        self._maps: dict[str, bpf.Map] = {}
        self._files: list[int] = []
        self._until: dict[Network, float] = {}
        self._never: set[Network] = set()
        self._modes: dict[str, str] = {}
        try:
            self._load()
            for interface in interfaces:
                self._attach(interface)
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        bpf.possible_cpus()  # remembered: a watch soon has no right to look
        try:
            for name, (kind, key_bytes, value_bytes, most) in FORMS.items():
                self._maps[name] = bpf.make_map(kind, name, key_bytes, value_bytes, most)
                self._files.append(self._maps[name].file)
            self._program = bpf.load(program({n: m.file for n, m in self._maps.items()}), NAME)
            self._files.append(self._program)
        except OSError as error:
            rights = "loading XDP programs needs root (CAP_BPF, CAP_NET_ADMIN)"
            why = rights if error.errno == errno.EPERM else str(error)
            raise EnforceError(f"no XDP here: {why}; --backend nft needs less", error.errno) from error

    def _attach(self, interface: str) -> None:
        """In the driver if it can, else in the kernel's generic place."""
        try:
            index = socket.if_nametoindex(interface)
        except OSError as error:
            raise EnforceError(f"there is no interface {interface}", error.errno) from error
        for mode, words in ((bpf.NATIVE, "in driver mode"), (bpf.GENERIC, "in generic mode")):
            try:
                self._links[interface] = bpf.attach(self._program, index, mode)
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.EEXIST) or _program_on(index):
                    raise EnforceError(_occupied(interface, index), error.errno) from error
                refused = error
            else:
                self._modes[interface] = words
                return
        raise EnforceError(f"no XDP on {interface}: {refused.strerror}; use --backend nft", refused.errno)

    def where(self) -> list[str]:
        """Where it stands and how, in words."""
        return [f"XDP is attached to {interface}, {mode}" for interface, mode in self._modes.items()]

    def follow(self) -> list[str]:
        """Attach anew where an interface was made again or the program was taken off; says so in words."""
        said = list[str]()
        for interface, link in list(self._links.items()):
            if bpf.interface_of(link):
                continue
            try:
                self._attach(interface)
            except EnforceError:
                continue  # not there yet, or somebody else's now: the table behind it drops
            os.close(link)
            said.append(f"XDP is attached to {interface} again, {self._modes[interface]}")
        return said

    def mirror(self, standing: Mapping[Network, Block], never: Iterable[Network]) -> None:
        """Hold whom the table drops, and nobody else; limits are left to it.

        Raises:
            EnforceError: a map is full.
        """
        now, wanted = time.monotonic(), set(never)
        until = {network: now + block.seconds for network, block in standing.items() if not block.rate}
        fresh = {n: t for n, t in until.items() if abs(t - self._until.get(n, -DRIFT_S)) > DRIFT_S}
        try:
            self._write_never(wanted)
            self._write(fresh, self.packets() if fresh.keys() & self._until.keys() else {})
            for network in self._until.keys() - until.keys():
                self._maps[_map_of(network)].delete(_key(network))
        except OSError as error:
            raise EnforceError(f"XDP holds only some of the blocks: {error.strerror}", error.errno) from error
        self._until = {n: fresh.get(n, self._until.get(n, t)) for n, t in until.items()}

    def _write_never(self, wanted: set[Network]) -> None:
        for network in wanted - self._never:
            key = np.frombuffer(_prefix(network), np.uint8)[None].copy()
            self._maps[f"never{network.version}"].update(key, np.zeros((1, 8), np.uint8))
        for network in self._never - wanted:
            self._maps[f"never{network.version}"].delete(_prefix(network))
        self._never = wanted

    def _write(self, until: Mapping[Network, float], packets: Mapping[Network, int]) -> None:
        """Set when blocks end. What they counted stays, but for packets in the very moment of writing."""
        by_map: dict[str, list[Network]] = {}
        for network in until:
            by_map.setdefault(_map_of(network), []).append(network)
        for name, networks in by_map.items():
            into = self._maps[name]
            keys = np.frombuffer(b"".join(map(_key, networks)), np.uint8)
            values = np.array([(int(until[n] * 1e9), packets.get(n, 0)) for n in networks], np.uint64)
            into.update(keys.reshape(-1, into.key_bytes).copy(), values.view(np.uint8))

    def packets(self) -> dict[Network, int]:
        """Packets that each block dropped here."""
        return _packets(self._maps)

    def tally(self) -> Tally:
        """What became of packets, over all CPUs and interfaces."""
        sums = self._maps["tally"].slots().view(np.uint64).sum(axis=0)
        hosts, networks, sampled, spared = (int(sums[at // 8]) for at in (HOSTS, NETWORKS, SAMPLED, SPARED))
        return Tally(hosts, networks, sampled, spared)

    def close(self) -> None:
        """Take the program off the interfaces."""
        for file in (*self._links.values(), *self._files):
            os.close(file)
        self._links, self._files = {}, []


def with_ahead(
    counted: Mapping[Network, tuple[Block, int]], ahead: Mapping[Network, int]
) -> dict[Network, tuple[Block, int]]:
    """Blocks with what the table dropped and what XDP dropped ahead of it."""
    return {n: (block, packets + ahead.get(n, 0)) for n, (block, packets) in counted.items()}


def dropped_ahead() -> dict[Network, int]:
    """Packets that the program of a running watch dropped, by block: read from the interfaces' programs.

    Empty where none runs, or without the right to look.
    """
    found: dict[Network, int] = {}
    with IPRoute() as route:
        ids = {_id(message) for message in route.get_links()} - {0}
    for program_id in ids:
        try:
            name, maps = bpf.maps_of(program_id)
        except (OSError, EnforceError):
            continue
        try:
            if name == NAME:
                found |= _packets(maps)
        finally:
            for held in maps.values():
                os.close(held.file)
    return found


def _packets(maps: Mapping[str, bpf.Map]) -> dict[Network, int]:
    found: dict[Network, int] = {}
    for name in BLOCKS:
        for keys, values in maps[name].items():
            counts = values.reshape(-1).view(np.uint64).reshape(-1, 2)[:, 1].tolist()
            found.update(zip(_networks(name, keys), counts, strict=True))
    return found


def _networks(name: str, keys: bpf.Bytes) -> Iterator[Network]:
    make = ipaddress.IPv4Network if name.endswith("4") else ipaddress.IPv6Network
    wide, bits = name.startswith("wide"), 8 * keys.shape[1]
    for row in keys:
        raw = row.tobytes()
        length = int(np.frombuffer(raw[:4], np.uint32)[0]) if wide else bits
        yield make((int.from_bytes(raw[4:] if wide else raw, "big"), length))


def _map_of(network: Network) -> str:
    return f"{'block' if network.prefixlen == network.max_prefixlen else 'wide'}{network.version}"


def _key(network: Network) -> bytes:
    whole = network.prefixlen == network.max_prefixlen
    return network.network_address.packed if whole else _prefix(network)


def _prefix(network: Network) -> bytes:
    """The key of an LPM trie: bits that count, in this machine's order, then the address."""
    return np.uint32(network.prefixlen).tobytes() + network.network_address.packed


def _id(message: object) -> int:
    """The number of the XDP program on an interface, of its rtnetlink message; 0: none."""
    xdp = message.get_attr("IFLA_XDP")  # type: ignore[attr-defined]
    return int((xdp and xdp.get_attr("IFLA_XDP_PROG_ID")) or 0)


def _program_on(index: int) -> int:
    with IPRoute() as route:
        return next((_id(message) for message in route.get_links(index)), 0)


def _occupied(interface: str, index: int) -> str:
    number = _program_on(index)
    which = f"another XDP program (number {number})" if number else "another XDP program"
    return (
        f"{interface} carries {which}, which stays as it is: take it off yourself "
        f"(ip link set dev {interface} xdp off), or use --backend nft"
    )
