"""One capture being read: batches out, with all that is counted on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING

from .._engine import ERRORS, NEED_MORE, Batch, Decoder, frame_hashes
from ..config.options import ScanOptions
from ..errors import InputError
from ..model.address import spans
from . import CERTAIN, Block, Blocks, Filter, open_blocks, share_of_twins

if TYPE_CHECKING:
    from .hellos import Tally
    from .opening import Opening

PROBED = 16_384
"""Frames at the beginning of a capture that are looked at for twins."""


class Reading:
    """One capture being read: batches out, counters and the reason of an early end kept.

    Attributes:
        opening: what decrypts TLS, or None: all stays as it was captured.
    """

    def __init__(self, path: str, decoder: Decoder, options: ScanOptions, stop: threading.Event) -> None:
        self.path = path
        self.decoder = decoder
        self.twins = 0.0
        self.error: InputError | None = None
        self.blocks: Blocks | None = None
        self.tally: Tally | None = None
        self.opening: Opening | None = None
        self._options = options
        self._stop = stop

    def batches(self, free: SimpleQueue[Batch]) -> Iterator[Batch]:
        """Yield filled batches; the consumer gives each back to ``free``."""
        try:
            follow = self._stop if self._options.follow else None
            self.blocks = open_blocks(self.path, max_expand=self._options.max_expand, follow=follow)
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
        if block is not None and self.opening is not None:
            blocks, block = self.opening.begin(blocks, block)
        if block is not None:
            self._look_for_twins(block)
        while block is not None and not self._stop.is_set():
            position = block.start
            code = 0
            while code == 0 and not self._stop.is_set():
                batch = free.get()
                code, position = self.decoder.fill(block.data, position, batch)
                if self.tally is not None:
                    self.tally.take()
                yield batch
            if code not in (0, NEED_MORE):
                raise InputError(self.path, ERRORS[code], self.decoder.why, offset=self._offset())
            need = self.decoder.need
            rest = len(block.data) - position
            block = blocks.following(position, need)
            if block is None and rest and not self._stop.is_set():
                raise self._truncated(rest, need)

    def first_ns(self) -> int:
        """Time of the capture's first frame; 0 where it cannot be told before reading (standard input)."""
        if not os.path.isfile(self.path):
            return 0
        blocks = None
        try:
            blocks = open_blocks(self.path, max_expand=self._options.max_expand)
            block = blocks.following(0, 0)
            if block is None:
                return 0
            _, times = frame_hashes(block.data, block.start, 1)
            return int(times[0]) if len(times) else 0
        except InputError:
            return 0
        finally:
            if blocks is not None:
                blocks.close()

    def _look_for_twins(self, block: Block) -> None:
        """A mirror port may show every frame twice, or thrice; then the copies are left out."""
        self.twins, copies = share_of_twins(*frame_hashes(block.data, block.start, PROBED))
        if self.twins >= CERTAIN:
            self.decoder.drop_twins(copies)

    def _truncated(self, rest: int, need: int) -> InputError:
        what = "record" if self.decoder.format else "file header"
        return InputError(
            self.path,
            f"truncated_{what.replace(' ', '_')}",
            f"the capture ends inside a {what}: {rest} of {need} bytes are there",
            offset=self._offset(),
        )

    def _offset(self) -> int:
        """Where the decoder stands in the capture."""
        return self.decoder.offset - (self.opening.grown if self.opening else 0)


def open_reading(
    path: str, options: ScanOptions, key: bytes, compiled: Filter | None, stop: threading.Event
) -> Reading:
    """A reading with its decoder set up; the capture itself is opened by the first batch."""
    decoder = Decoder(key)
    if compiled is not None:
        decoder.set_filter(compiled.function, compiled.programs, compiled)
    decoder.set_translators(options.nat64)
    decoder.set_span(options.since_ns, options.until_ns)
    if options.proxies:
        decoder.trust(spans(options.proxies))
    decoder.count_once()
    reading = Reading(path, decoder, options, stop)
    if options.describe:
        from .hellos import Tally

        reading.tally = Tally(key)
        decoder.collect(reading.tally.collector.found)
    return reading
