"""THE loop of a scan: capture -> analysis, for each capture, and the answers in one report."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue

import numpy as np
from msgspec import Struct

from .._engine import Batch
from .._sketches import hll_blob
from ..capture import compile_filter, discover
from ..capture.file import Reading, open_reading
from ..capture.merge import merged
from ..capture.opening import Opening, read_log
from ..config.options import Progress, ScanOptions, hash_key
from ..decide.traffic import Measured
from ..history.memory import Memory, join, load, nothing
from ..model.event import Event
from ..model.report import Input, Near, Report, Traffic
from . import answer
from .analysis import Analysis, Change
from .answer import of_capture, seen_in
from .greeters import greeters
from .unread import unmatched

OnProgress = Callable[[Progress], None]
OnChange = Callable[[Change], None]
OnSources = Callable[[bytes], None]
OnMemory = Callable[[Memory], None]

BATCH = 8192
"""Packets decoded at a time: 1 MiB. With smaller ones the hand-overs between threads cost more."""
AHEAD = 3
"""Batches that the decoding thread may be ahead of the counting one."""
POLL_S = 0.2
"""How often a wait for packets looks whether it should stop."""


class _Part(Struct, frozen=True):
    """The answer about one capture, or about several on one clock."""

    inputs: list[Input]
    unwanted: list[tuple[int, int] | None]
    events: list[Event]
    sources: bytes
    memory: Memory | None
    complete: bool
    forgotten: int
    nearest: list[Near]
    traffic: Traffic | None


def scan(
    paths: Sequence[str],
    options: ScanOptions,
    *,
    on_progress: OnProgress | None = None,
    on_change: OnChange | None = None,
    on_sources: OnSources | None = None,
    on_memory: OnMemory | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Analyse captures, each on its own or all on one clock, and put the answers in one report.

    Args:
        paths: files, directories or ``-`` for standard input.
        options: see ScanOptions; ``jobs`` never changes the answer.
        on_progress: called now and then, possibly from another thread.
        on_change: called for every event that opens, lasts or ends, while the reading goes on.
        on_sources: gets the distinct sources of all captures, as a saved HyperLogLog.
        on_memory: gets what was learnt of clients and hosts.
        stop: set it to end early with ``complete`` false.

    Raises:
        ConfigError: the filter is wrong, the baseline or the key log cannot be read, or fingerprints are
            asked for of what cannot be read twice.
        EnvironmentFault: the filter needs libpcap, or a key log the package cryptography, and it is missing.
    """
    compiled = compile_filter(options.filter) if options.filter else None
    key = hash_key(options.seed)
    halt = stop or threading.Event()
    found = list(discover(paths, recursive=options.recursive))
    captures = [item.path for item in found if item.capture]
    together = min(options.jobs, len(captures))

    log = read_log(options.keylog) if options.keylog else None

    def opened(*paths: str) -> list[Reading]:
        readings = [open_reading(path, options, key, compiled, halt) for path in paths]
        for reading in readings:
            reading.opening = Opening(log, key, look_only=options.describe)
        if options.ja4:
            wanted = greeters(paths, options.ja4, key, halt)
            for reading in readings:
                reading.decoder.only(wanted)
        return readings

    memory = load(options.baseline) if options.baseline else nothing()
    run = partial(
        _analyse,
        options=options,
        memory=memory,
        keep=on_memory is not None,
        on_progress=on_progress,
        on_change=on_change,
        stop=halt,
    )
    if options.merge:
        analyses = [run("merged", opened(*captures))]
    elif together > 1:
        with ThreadPoolExecutor(together) as pool:
            analyses = list(pool.map(lambda path: run(path, opened(path)), captures))
    else:
        analyses = [run(path, opened(path)) for path in captures]
    registers = np.zeros(4096, np.uint8)
    for analysis in analyses:
        registers = np.maximum(registers, np.frombuffer(analysis.sources, np.uint8))
    if on_sources is not None:
        on_sources(hll_blob(registers.tobytes(), key))
    if on_memory is not None:
        on_memory(join([memory, *(answer.memory for answer in analyses if answer.memory is not None)]))
    return answer.report(
        unmatched(
            [item for analysis in analyses for item in analysis.inputs],
            [times for analysis in analyses for times in analysis.unwanted],
            options,
        ),
        (event for analysis in analyses for event in analysis.events),
        sources=registers,
        options=options,
        complete=all(analysis.complete for analysis in analyses),
        skipped=len(found) - len(captures),
        forgotten=sum(analysis.forgotten for analysis in analyses),
        nearest=[near for analysis in analyses for near in analysis.nearest],
        traffic=[analysis.traffic for analysis in analyses],
    )


def _analyse(
    name: str,
    readings: list[Reading],
    options: ScanOptions,
    memory: Memory,
    keep: bool,
    on_progress: OnProgress | None,
    on_change: OnChange | None,
    stop: threading.Event,
) -> _Part:
    """Read one capture, or several by time, to the end or to where it stops making sense."""
    analysis = Analysis(
        name, options.top, memory, options.limits, proxies=options.proxies, measured=Measured()
    )
    analysis.seen = partial(seen_in, readings)
    # a pipe may say nothing for long, and a signal can end a wait for a thread, but not one inside read()
    patient = options.follow or not all(os.path.isfile(reading.path) for reading in readings)
    threaded = options.jobs > 1 or patient
    free: SimpleQueue[Batch] = SimpleQueue()
    for _ in range(AHEAD if threaded else 1):
        free.put(Batch(BATCH))
    batches = merged(readings, free) if options.merge else readings[0].batches(free)
    for batch in _in_thread(batches, stop) if threaded else batches:
        closed = analysis.observe(batch)
        free.put(batch)
        if closed and on_change is not None:
            for change in analysis.changes():
                on_change(change)
        for reading in readings:
            _tell(on_progress, reading, finished=False)
    analysis.finish()
    for reading in readings:
        _tell(on_progress, reading, finished=True)
    events = analysis.events()
    sources = analysis.engine.total_sources()
    inputs = [of_capture(reading, analysis, describe=options.describe) for reading in readings]
    unwanted = [reading.decoder.unwanted for reading in readings]
    learnt = analysis.detection.learnt() if keep else None
    complete, forgotten = not stop.is_set(), analysis.forgotten
    nearest, traffic = analysis.nearest(), analysis.traffic()
    return _Part(inputs, unwanted, events, sources, learnt, complete, forgotten, nearest, traffic)


def _in_thread(batches: Iterator[Batch], stop: threading.Event) -> Iterator[Batch]:
    """Run an iterator in a thread of its own, so that decoding and counting overlap.

    A signal ends the wait for a pipe that says nothing; the thread then dies with the process.
    """
    ready: SimpleQueue[Batch | BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            for batch in batches:
                ready.put(batch)
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    while not stop.is_set():
        try:
            item = ready.get(timeout=POLL_S)
        except Empty:
            continue
        if item is None:
            break
        if isinstance(item, BaseException):
            raise item
        yield item


def _tell(on_progress: OnProgress | None, reading: Reading, *, finished: bool) -> None:
    blocks = reading.blocks
    if on_progress is not None and blocks is not None:
        on_progress(Progress(reading.path, blocks.done, blocks.total, reading.decoder.packets, finished))
