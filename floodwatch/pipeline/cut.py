"""The frames of one event, cut out of the captures that it was told from, as a pcapng file with comments."""

from __future__ import annotations

import heapq
import ipaddress
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from queue import SimpleQueue
from typing import Any, NamedTuple

from msgspec.structs import replace

from .._engine import Batch
from ..capture import compile_filter, pcapng
from ..capture.community import community_id
from ..capture.file import Reading, open_reading
from ..config.options import ScanOptions
from ..decide.showing import PORTS, Packet, Selection, lies_in, selection
from ..errors import InputError
from ..model.address import Network
from ..model.event import Event
from ..model.vector import TECHNIQUES
from ..report.escape import printable
from ..version import __version__

BEFORE_NS, AFTER_NS = 2_000_000_000, 1_000_000_000
"""So much more is cut: what the event grew out of, and how it ended."""
BYTES_MOST = 64 << 20
"""Of frames, whatever their number: the file is made in memory."""
FLOWS_TOLD = 5
"""Flows that are named by their Community ID."""


class Cut(NamedTuple):
    """A file, and what is in it.

    Attributes:
        data: the file.
        frames: in it.
        bounded: there were more.
        flows: Community IDs of some flows towards the victim, those of named sources where there are any.
    """

    data: bytes
    frames: int
    bounded: bool
    flows: tuple[str, ...]


class _Frame(NamedTuple):
    ts_ns: int
    data: bytes
    linktype: int
    length: int
    packet: Packet


def cut(event: Event, paths: Sequence[str], options: ScanOptions, most: int) -> Cut:
    """Read captures once more for the frames of an event, in the order of their times.

    Args:
        event: of a scan of them.
        paths: the captures; several where they were merged.
        options: those of the scan.
        most: frames at most.

    Raises:
        InputError: a capture cannot be opened any more.
    """
    wanted = selection(event)
    since, until = _ns(event.first) - BEFORE_NS, _ns(event.last) + AFTER_NS
    within = replace(
        options, since_ns=max(options.since_ns, since), until_ns=min(options.until_ns, until), describe=False
    )
    compiled = compile_filter(options.filter) if options.filter else None
    key, stop = os.urandom(16), threading.Event()
    readings = [open_reading(path, within, key, compiled, stop) for path in paths]
    frames = heapq.merge(*(_frames(reading, wanted) for reading in readings), key=lambda frame: frame.ts_ns)
    return _written(event, wanted, frames, most)


def _ns(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp).timestamp() * 1_000_000) * 1000


def _frames(reading: Reading, wanted: Selection) -> Iterator[_Frame]:
    """Decoded frame by frame, so that each one's bytes are at hand."""
    free: SimpleQueue[Batch] = SimpleQueue()
    free.put(Batch(1))
    for filled in reading.batches(free):
        if len(filled):
            record = filled.records()[0]
            packets = [_packet(record), _packet(filled.outermost()[0])]
            if any(map(wanted.matches, packets)):
                yield _Frame(int(record["ts_ns"]), *reading.decoder.frame(), packets[0])
        free.put(filled)
    if reading.error is not None and reading.blocks is None:
        raise InputError(reading.path, reading.error.code, str(reading.error))


def _packet(record: Any) -> Packet:
    src, dst = (int(pair[0]) << 64 | int(pair[1]) for pair in (record["src"], record["dst"]))
    return Packet(src, dst, *(int(record[name]) for name in ("sport", "dport", "proto", "kind", "bits")))


def _written(event: Event, wanted: Selection, frames: Iterable[_Frame], most: int) -> Cut:
    marks = _Marks(event, wanted)
    interfaces = dict[int, int]()
    body, size, count, bounded = list[bytes](), 0, 0, False
    for frame in frames:
        size += len(frame.data)
        if count == most or size > BYTES_MOST:
            bounded = True
            break
        if frame.linktype not in interfaces:
            interfaces[frame.linktype] = len(interfaces)
            captured = pcapng.comment(f"captured in {printable(event.input)}")
            body.append(pcapng.interface(frame.linktype, captured))
        options = b"".join(map(pcapng.comment, marks.of(frame)))
        number = interfaces[frame.linktype]
        body.append(pcapng.packet(number, frame.ts_ns, frame.data, frame.length, options))
        count += 1
    said = pcapng.comment(_says(event, count, bounded))
    program = pcapng.option(pcapng.USER_PROGRAM, f"floodwatch {__version__}".encode())
    head = pcapng.section(said + program + pcapng.END)
    return Cut(head + b"".join(body), count, bounded, tuple(marks.flows))


class _Marks:
    """What is said of single frames: where the event begins, and some of its flows, in ``flows``."""

    def __init__(self, event: Event, wanted: Selection) -> None:
        self.flows: dict[str, None] = {}
        self._event, self._wanted = event, wanted
        self._first, self._began = _ns(event.first), False
        sources = (*event.sources.top, *event.sources.seen)
        self._named = [ipaddress.ip_network(source.cidr) for source in sources]

    def of(self, frame: _Frame) -> Iterator[str]:
        """The comments of a frame; of each frame once, in order."""
        if frame.ts_ns < self._first:
            return
        if not self._began:
            self._began = True
            yield f"floodwatch: {self._event.id} begins"
        flow = None if len(self.flows) == FLOWS_TOLD else _flow(frame.packet, self._wanted, self._named)
        if flow and flow not in self.flows:
            self.flows[flow] = None
            yield f"floodwatch: a flow of {self._event.id}, Community ID {flow}"


def _flow(packet: Packet, wanted: Selection, named: Sequence[Network]) -> str | None:
    """The Community ID of what goes to the victim, from a named source where there are any."""
    if packet.proto not in PORTS or not lies_in(packet.dst, wanted.victim):
        return None
    if named and not any(lies_in(packet.src, network) for network in named):
        return None
    return community_id(packet.src, packet.dst, packet.sport, packet.dport, packet.proto)


def _says(event: Event, count: int, bounded: bool) -> str:
    """The comment of the whole file."""
    victim = event.victim
    port = "" if victim.port is None else f" port {victim.port}"
    technique = f", ATT&CK {event.technique} {TECHNIQUES[event.technique]}" if event.technique else ""
    first = "the first " if bounded else ""
    return (
        f"floodwatch {__version__}: {first}{count} frames of event {event.id} in {printable(event.input)}\n"
        f"{event.vector}, verdict {event.verdict}, confidence {event.confidence:.2f}{technique}\n"
        f"victim {victim.ip}{port} ({victim.protocol}), {event.first} to {event.last}\n"
        f"display filter: {event.display_filter}"
    )
