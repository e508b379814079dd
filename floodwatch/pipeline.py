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

from . import __version__
from ._native import ERRORS, NEED_MORE, Batch, Decoder
from .analysis import Analysis
from .capture import Blocks, Filter, compile_filter, discover, linktype_name, open_blocks
from .config import Progress, ScanOptions
from .errors import InputError
from .events import estimate, rfc3339, sort_key
from .model import EPOCH_NS, Event, Input, InputFault, Report, Settings, Tool, Totals

OnProgress = Callable[[Progress], None]

BATCH = 8192
"""Packets decoded at a time: 1 MiB. With smaller ones the hand-overs between threads cost more."""
AHEAD = 3
"""Batches that the decoding thread may be ahead of the counting one."""
POLL_S = 0.2
"""How often a wait for packets looks whether it should stop."""


class _Answer(Struct, frozen=True):
    """The answer about one capture."""

    input: Input
    floods: list[Event]
    crowds: list[Event]
    sources: bytes
    complete: bool


class Reading:
    """One capture being read: batches out, counters and the reason of an early end kept."""

    def __init__(self, path: str, decoder: Decoder, options: ScanOptions, stop: threading.Event) -> None:
        self.path = path
        self.decoder = decoder
        self.error: InputError | None = None
        self.blocks: Blocks | None = None
        self._options = options
        self._stop = stop

    def batches(self, free: SimpleQueue[Batch]) -> Iterator[Batch]:
        """Yield filled batches; the consumer gives each back to ``free``."""
        try:
            self.blocks = open_blocks(self.path, max_expand=self._options.max_expand)
            yield from self._decode(self.blocks, free)
        except InputError as error:
            self.error = error
        except MemoryError:
            self.error = InputError(self.path, "memory", "out of memory while reading")
        finally:
            if self.blocks is not None:
                self.blocks.close()

    def _decode(self, blocks: Blocks, free: SimpleQueue[Batch]) -> Iterator[Batch]:
        position, need = 0, 0
        block = blocks.following(0, 0)
        while block is not None and not self._stop.is_set():
            position = block.start
            code = 0
            while code == 0 and not self._stop.is_set():
                batch = free.get()
                code, position = self.decoder.fill(block.data, position, batch)
                yield batch
            if code not in (0, NEED_MORE):
                raise InputError(self.path, ERRORS[code], self.decoder.why, offset=self.decoder.offset)
            need = self.decoder.need
            rest = len(block.data) - position
            block = blocks.following(position, need)
            if block is None and rest and not self._stop.is_set():
                raise self._truncated(rest, need)

    def _truncated(self, rest: int, need: int) -> InputError:
        what = "record" if self.decoder.format else "file header"
        return InputError(
            self.path,
            f"truncated_{what.replace(' ', '_')}",
            f"the capture ends inside a {what}: {rest} of {need} bytes are there",
            offset=self.decoder.offset,
        )


def scan(
    paths: Sequence[str],
    options: ScanOptions,
    *,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Analyse captures, each on its own, and put the answers in one report.

    Args:
        paths: files, directories or ``-`` for standard input.
        options: see ScanOptions; ``jobs`` never changes the answer.
        on_progress: called now and then, possibly from another thread.
        stop: set it to end early with ``complete`` false.

    Raises:
        ConfigError: the filter is wrong.
        EnvironmentFault: the filter needs libpcap, which is missing.
    """
    compiled = compile_filter(options.filter) if options.filter else None
    key = options.seed if options.seed is not None else os.urandom(16)
    halt = stop or threading.Event()
    found = list(discover(paths, recursive=options.recursive))
    captures = [item.path for item in found if item.capture]
    together = min(options.jobs, len(captures))
    run = partial(_analyse, options=options, key=key, compiled=compiled, on_progress=on_progress, stop=halt)
    if together > 1:
        with ThreadPoolExecutor(together) as pool:
            analyses = list(pool.map(run, captures))
    else:
        analyses = [run(path) for path in captures]
    return _report(analyses, options, len(found) - len(captures))


def _analyse(
    path: str,
    options: ScanOptions,
    key: bytes,
    compiled: Filter | None,
    on_progress: OnProgress | None,
    stop: threading.Event,
) -> _Answer:
    """Read one capture to its end, or to where it stops making sense."""
    decoder, analysis = Decoder(key), Analysis(path, options.top)
    if compiled is not None:
        decoder.set_filter(compiled.function, compiled.programs, compiled)
    reading = Reading(path, decoder, options, stop)
    # a pipe may say nothing for long, and a signal can end a wait for a thread, but not one inside read()
    threaded = options.jobs > 1 or not os.path.isfile(path)
    free: SimpleQueue[Batch] = SimpleQueue()
    for _ in range(AHEAD if threaded else 1):
        free.put(Batch(BATCH))
    batches = reading.batches(free)
    for batch in _in_thread(batches, stop) if threaded else batches:
        analysis.observe(batch)
        free.put(batch)
        _tell(on_progress, reading, finished=False)
    analysis.finish()
    _tell(on_progress, reading, finished=True)
    floods, crowds = analysis.events()
    sources = analysis.engine.total_sources()
    return _Answer(_input(reading, analysis), floods, crowds, sources, not stop.is_set())


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


def _input(reading: Reading, analysis: Analysis) -> Input:
    decoder, error = reading.decoder, reading.error
    fault = None
    if error is not None:
        fault = InputFault(code=error.code, offset=error.offset, message=str(error))
    names = dict.fromkeys(linktype_name(number) for number in decoder.linktypes)
    return Input(
        path=reading.path,
        format=decoder.format,
        linktypes=tuple(names),
        packets=decoder.packets,
        bytes=decoder.bytes,
        first=None if decoder.first_ns is None else rfc3339(decoder.first_ns),
        last=None if decoder.last_ns is None else rfc3339(decoder.last_ns),
        rejected=decoder.rejected,
        one_way=analysis.one_way,
        unslotted=analysis.engine.unslotted,
        error=fault,
        duration_s=((decoder.last_ns or 0) - (decoder.first_ns or 0)) / 1e9,
    )


def _report(analyses: list[_Answer], options: ScanOptions, skipped: int) -> Report:
    registers = np.zeros(4096, np.uint8)
    for analysis in analyses:
        registers = np.maximum(registers, np.frombuffer(analysis.sources, np.uint8))
    return Report(
        tool=Tool(name="floodwatch", version=__version__),
        complete=all(analysis.complete for analysis in analyses),
        inputs=tuple(analysis.input for analysis in analyses),
        settings=Settings(
            profile="default", epoch_s=EPOCH_NS / 1e9, seeded=options.seed is not None, filter=options.filter
        ),
        totals=Totals(
            packets=sum(a.input.packets for a in analyses),
            bytes=sum(a.input.bytes for a in analyses),
            duration_s=round(sum(a.input.duration_s for a in analyses), 6),
            sources=estimate(registers, 12),
            skipped=skipped,
        ),
        floods=tuple(sorted((e for a in analyses for e in a.floods), key=sort_key)),
        crowds=tuple(sorted((e for a in analyses for e in a.crowds), key=sort_key)),
    )
