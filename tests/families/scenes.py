"""Summaries put together by hand: what the engine would have counted in an epoch, said in a line.

``host("198.51.100.7").syns(200, sources=150, finished=3)`` is one victim's epoch; ``summary`` is one epoch of
several hosts. Of an address that a test does not name nothing was ever heard.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floodwatch._engine import HEAVY_DTYPE, HELD_DTYPE, HOST_DTYPE, VICTIM_DTYPE
from floodwatch._sketches import HyperLogLog, hll_estimate
from floodwatch.detectors.held import HEADER
from floodwatch.history.sources import ADDRESS
from floodwatch.model.address import Address
from floodwatch.model.epoch import (
    CLASS_HTTP,
    CLASS_SEALED,
    CLASS_SYN,
    CLASS_UDP,
    CLASSES,
    DATA,
    EPOCH_NS,
    SYN,
    UDP,
)
from floodwatch.model.summary import Summary
from floodwatch.model.vector import TCP_NUMBER, UDP_NUMBER
from floodwatch.pipeline.analysis import LEAST

TRANSLATORS = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "64:ff9b:1::/48")))


@cache
def registers(number: int, precision: int = 10) -> NDArray[np.uint8]:
    """Registers of a real sketch whose estimate is ``number``, or hardly above it."""
    step = 1.1 * math.exp(min(number / (1 << precision), 3.0))  # between the estimates that there are
    for seed in range(10_000):
        sketch = HyperLogLog(p=precision, seed=seed.to_bytes(16, "little"))
        sketch.update(np.arange(number, dtype=np.uint64))
        if number <= hll_estimate(sketch.as_array()) < number + step:
            return np.array(sketch.as_array())
    raise ValueError(f"no sketch of {number}")


DRAWN = count(1)


@cache
def rough(number: int, which: int = 0) -> NDArray[np.uint8]:
    """Registers (p = 8) of a sketch whose estimate is about that; others share nothing with it."""
    sketch = HyperLogLog(p=8, seed=bytes(16))
    sketch.update(np.arange(number, dtype=np.uint64) + np.uint64(which << 32))
    return np.array(sketch.as_array())


def address_of(text: str) -> Address:
    """A victim's address; IPv4 is mapped."""
    ip = ipaddress.ip_address(text)
    value = int(ip) | (0xFFFF << 32 if ip.version == 4 else 0)
    return value >> 64, value & (1 << 64) - 1


class Host:
    """One address's counters of one epoch, and the heavy hitters that are known of it."""

    def __init__(self, address: str, reference: int) -> None:
        self.rows = np.zeros(1, VICTIM_DTYPE)
        self.row: Any = self.rows[0]
        self.row["hi"], self.row["lo"] = address_of(address)
        self.row["reference"] = self.reference = reference
        self.heavy: list[NDArray[np.void]] = []
        self.held: list[NDArray[np.void]] = []

    def set(self, **fields: int) -> Host:
        """Counters by their names."""
        for name, value in fields.items():
            self.row[name] = value
        return self

    def kind(self, kind: int, packets: int, *, size: int = 60, sources: dict[int, int] | None = None,
             **fields: int) -> Host:  # fmt: skip
        """Packets of one kind, of ``size`` bytes each; ``fields`` are the kind's other counters."""
        held = self.row["kinds"][kind]
        held["packets"], held["bytes"] = packets, packets * size
        for name, value in fields.items():
            held[name] = value
        for source_class, number in (sources or {}).items():
            self.row["sources"].reshape(len(CLASSES), -1)[source_class] = registers(number)
        return self

    def nowhere(self, source_class: int, *, bogons: int = 0, dark: int = 0, blocks: int = 11) -> Host:
        """Packets from reserved addresses, and from so many blocks that hold no Internet clients."""
        self.row["bogons"][source_class], self.row["dark"][source_class] = bogons, dark
        self.row["dark_blocks"][source_class] = (1 << blocks) - 1
        return self

    def bucket(self, table: str, index: int, **fields: int) -> Host:
        """One bucket of ``opened``, ``service`` or ``paths``."""
        for name, value in fields.items():
            self.row[table][index][name] = value
        return self

    def sketch(self, name: str, number: int) -> Host:
        """So many distinct ports or names."""
        self.row[name] = registers(number, {64: 6, 256: 8}[len(self.row[name])])
        return self

    def syns(self, packets: int, *, sources: int, port: int = 443, ports: int = 1, size: int = 60,
             **fields: int) -> Host:  # fmt: skip
        """SYNs; those that the handshake table knows nothing else of begin a connection each."""
        flows = packets - sum(fields.get(name, 0) for name in ("syn_again", "syn_copies", "syn_replayed"))
        self.kind(SYN, packets, size=size, sources={CLASS_SYN: sources}).sketch("syn_ports", ports)
        self.bucket("opened", 0, key=TCP_NUMBER << 16 | port, vote=packets // ports, packets=packets)
        return self.set(**{"syn_flows": flows, **fields})

    def udp(self, packets: int, *, sources: int, port: int = 7777, source_port: int = 40_000,
            size: int = 100, asked: int = 0, out: int = 0, held: int | None = None,
            flows: int | None = None, known: int = 0) -> Host:  # fmt: skip
        """UDP packets from one port to one port, and what was sent to the former.

        ``flows`` is how many there are, roughly, and the same in each epoch; else each packet is a new one.
        ``known`` packets are from peers.
        """
        self.row["udp_flows"] = rough(packets, next(DRAWN) % 8) if flows is None else rough(flows)
        self.kind(UDP, packets, size=size, out=out, port=source_port, port_vote=packets)
        self.kind(UDP, packets, size=size, sources={CLASS_UDP: sources})
        self.bucket("opened", 1, key=UDP_NUMBER << 16 | port, vote=packets if held is None else held)
        key = UDP_NUMBER << 16 | source_port
        return self.bucket("service", 1, key=key, vote=packets, packets=packets, out=asked,
                           bytes=packets * size, known=known)  # fmt: skip

    def requests(self, number: int, *, sources: int, path: str = "/", held: int | None = None,
                 size: int = 200, **fields: int) -> Host:  # fmt: skip
        """HTTP requests, ``held`` of them (else all) for one path."""
        self.kind(DATA, number, size=size, sources={CLASS_HTTP: sources})
        self.bucket("paths", 0, hash=1, vote=number if held is None else held, requests=number)
        self.bucket("paths", 0, length=len(path), posts=int(fields.get("posts", 0) > 0))
        self.row["paths"][0]["text"][: len(path)] = np.frombuffer(path.encode(), np.uint8)
        return self.set(**{"requests": number, "http_port": 80, **fields})

    def sealed(self, over: int = 0, *, shapes: Mapping[int, int] | None = None, sources: int = 1,
               **fields: int) -> Host:  # fmt: skip
        """What is told of TLS (0) or QUIC (1); ``shapes`` are exchanges by the bucket of their shape."""
        self.kind(UDP if over else DATA, max(fields.get("turns", 0), 20), sources={CLASS_SEALED: sources})
        held = self.row["sealed"][over]
        for bucket, exchanges in (shapes or {}).items():
            shape = held["shapes"][bucket]
            shape["hash"], shape["vote"], shape["exchanges"] = (
                bucket << 26 | bucket << 1 | 1,
                exchanges,
                exchanges,
            )
        for name, value in {"port": 443, "exchanges": sum((shapes or {}).values()), **fields}.items():
            held[name] = value
        return self

    def source(self, name: str, *, bits: int = 0, **fields: int) -> Host:
        """A heavy hitter; ``bits`` is how many of the 64 bits of its paths are set."""
        ip = ipaddress.ip_address(name)
        row = np.zeros(1, HEAVY_DTYPE)
        row["source"] = int(ip) if ip.version == 4 else int(ip) >> 64
        row["v6"], row["victim"], row["paths"] = ip.version == 6, self.reference, (1 << bits) - 1
        if any(ip in network for network in TRANSLATORS if ip.version == 6):
            row["v6"], row["low"] = ADDRESS, int(ip) & (1 << 64) - 1
        row["pair_hash"] = (int(row["source"][0] + row["low"][0]) << 16 | self.reference) & (1 << 64) - 1
        for key, value in fields.items():
            row[key] = value
        self.heavy.append(row)
        return self

    def holds(self, source: str, places: int, **fields: int) -> Host:
        """So many of its places are held by a source; ``fields`` are those of ``HELD_DTYPE``."""
        rows, ip = np.zeros(places, HELD_DTYPE), ipaddress.IPv4Address(source)
        rows["hi"], rows["lo"] = self.row["hi"], self.row["lo"]
        rows["flow"], rows["weight"], rows["port"] = np.arange(places) + 1, 1, 80
        rows["source"], rows["heard"], rows["kind"] = int(ip) | 0xFFFF << 32, 1, HEADER
        for key, value in fields.items():
            rows[key] = value
        self.held.append(rows)
        return self


def host(address: str = "198.51.100.7", reference: int = 7) -> Host:
    """An address to which nothing came yet."""
    return Host(address, reference)


def summary(epoch: int, hosts: Iterable[Host], *, gap: int = 0, window_ends: bool = False,
            final: bool = False) -> Summary:  # fmt: skip
    """One epoch; as in the engine, who got next to nothing is told in ``hosts`` only."""
    hosts, first = list(hosts), epoch * EPOCH_NS
    rows = np.concatenate([h.rows for h in hosts]) if hosts else np.zeros(0, VICTIM_DTYPE)
    rows["kinds"]["first_ns"], rows["kinds"]["last_ns"] = first, first + EPOCH_NS - 1
    heavy = [row for h in hosts for row in h.heavy]
    held = [rows for h in hosts for rows in h.held]
    short = np.zeros(len(hosts), HOST_DTYPE)
    for name in ("hi", "lo", "reference", "finished"):
        short[name] = rows[name]
    for name in ("packets", "out", "bytes"):
        short[name] = rows["kinds"][name]
    short["udp_from"], short["udp_vote"] = rows["kinds"]["port"][:, UDP], rows["kinds"]["port_vote"][:, UDP]

    def sources_of(references: NDArray[np.uint32], which: int) -> NDArray[np.uint8]:
        mine = rows[np.isin(rows["reference"], references)]
        union: NDArray[np.uint8] = mine["sources"].reshape(len(mine), len(CLASSES), -1)[:, which].max(axis=0)
        return union

    return Summary(
        epoch, gap, first, first + EPOCH_NS - 1, rows[rows["kinds"]["packets"].sum(axis=1) >= LEAST],
        lambda: np.concatenate(heavy) if heavy else np.zeros(0, HEAVY_DTYPE),
        lambda: short, lambda: np.concatenate(held) if held else np.zeros(0, HELD_DTYPE),
        sources_of, window_ends, final,
    )  # fmt: skip
