"""``read`` for programs: captures as batches of packets."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import numpy as np

from .._engine import PACKET_DTYPE, Batch
from ..capture import Filter, compile_filter
from ..capture.file import Reading, open_reading
from ..capture.hellos import Collector
from ..capture.keylog import Log
from ..capture.opening import Opening, read_log
from ..config.options import ScanOptions
from .greeted import Greeted, collecting
from .packets import PacketBatch

Capture = str | os.PathLike[str]
BATCH = 65536


def read(
    capture: Capture | Sequence[Capture],
    *,
    filter: str | None = None,  # noqa: A002 (the contract's name)
    batch: int = BATCH,
    strict: bool = False,
    keep_raw: bool = False,
    keylog: Capture | None = None,
) -> Iterator[PacketBatch]:
    """Read captures one after the other and yield their packets in batches.

    Frames that hold no whole IP packet are left out, and so are second copies where a mirror port shows every
    frame twice. Memory: 200 bytes for each packet of a batch.

    Args:
        capture: one path or several; pcap or pcapng, plain or compressed; ``-`` is standard input.
        filter: a BPF expression as of tcpdump.
        batch: packets in a batch at most.
        keep_raw: keep the frames themselves for ``to_scapy``: an object a packet, so much slower.
        keylog: a file of TLS secrets (SSLKEYLOGFILE): packets have plaintext where those, or secrets in the
            capture itself, open records.
        strict: raise where a capture is damaged. Else its packets up to there count, and a warning tells.

    Raises:
        InputError: a capture cannot be opened; with ``strict`` also: it cannot be read to its end.
        ConfigError: the filter is wrong, or the key log cannot be read.
        EnvironmentFault: the key log needs the package cryptography (extra ``decrypt``), which is missing.
        ValueError: ``batch`` is less than 1.
    """
    if batch < 1:
        raise ValueError(f"a batch holds at least one packet, not {batch}")
    several = [capture] if isinstance(capture, str | os.PathLike) else capture
    compiled = compile_filter(filter) if filter else None
    log = None if keylog is None else read_log(os.fspath(keylog))
    return _read([os.fspath(path) for path in several], compiled, batch, strict, keep_raw, log)


def _read(
    paths: Sequence[str], compiled: Filter | None, size: int, strict: bool, keep_raw: bool, log: Log | None
) -> Iterator[PacketBatch]:
    key = os.urandom(16)
    for path in paths:
        reading = open_reading(path, ScanOptions(), key, compiled, threading.Event())
        if log is not None:
            reading.opening = Opening(log, key, look_only=False)
        decoder, collector = reading.decoder, collecting(reading.decoder, key, size)
        how = _with_frames if keep_raw else _plain
        yield from how(reading, size, collector)
        if reading.error is not None:
            reading.error.packets_ok = decoder.packets
            if strict or reading.blocks is None:
                raise reading.error
            warnings.warn(f"{path}: {reading.error} (after {decoder.packets:,} packets)", stacklevel=2)


def _plain(reading: Reading, size: int, collector: Collector) -> Iterator[PacketBatch]:
    free: SimpleQueue[Batch] = SimpleQueue()
    free.put(Batch(size))
    for filled in reading.batches(free):
        if len(filled):
            greeted = Greeted(collector, [collector.found.drain()])
            yield PacketBatch(filled.records(), filled.messages(), greeted=greeted)
        free.put(filled)


def _with_frames(reading: Reading, size: int, collector: Collector) -> Iterator[PacketBatch]:
    """Decode packet by packet, so that each one's frame is at hand."""
    free: SimpleQueue[Batch] = SimpleQueue()
    free.put(Batch(1))
    records: list[Any] = []
    frames: list[Any] = []
    greeted: list[Any] = []
    messages, texts = bytearray(), bytearray()
    for filled in reading.batches(free):
        if len(filled):
            record = filled.records().copy()
            said, text = filled.messages()
            if said:
                shifted = np.frombuffer(said, np.uint64).copy()
                shifted[0] += len(texts)  # where the message's text begins
                messages += shifted.tobytes()
                texts += text
                record["message"] = len(messages) // len(said)
            if len(collector.found):
                hellos, said = collector.found.drain()
                hellos = hellos.copy()
                hellos["packet"] = len(records)
                greeted.append((hellos, said))
            records.append(record)
            frames.append((int(record["ts_ns"][0]), *reading.decoder.frame()))
        free.put(filled)
        if len(records) == size:
            yield _gathered(records, messages, texts, frames, Greeted(collector, greeted))
            records, frames, greeted = [], [], []
            messages, texts = bytearray(), bytearray()
    if records:
        yield _gathered(records, messages, texts, frames, Greeted(collector, greeted))


def _gathered(
    records: list[Any], messages: bytearray, texts: bytearray, frames: list[Any], greeted: Greeted
) -> PacketBatch:
    kept = np.empty(len(frames), dtype=object)
    kept[:] = frames
    packets = np.empty(len(records), PACKET_DTYPE)  # np.concatenate would take the padding out
    for number, record in enumerate(records):
        packets[number] = record[0]
    packets.flags.writeable = False
    return PacketBatch(packets, (bytes(messages), bytes(texts)), kept, greeted)
