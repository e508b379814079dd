"""What happened, to be asked for later: events and acts, numbered, bounded in memory and on disk.

They are added by the event loop and written by another thread, so that a slow disk delays nobody. Each kind
has files of its own: thousands of blocks do not push out the floods of last week. Their order is that of
their numbers, for a clock may be set.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from ..history.windows import trim
from ..mitigate import Act
from ..model.epoch import rfc3339
from ..model.event import Change, Event, Time, What
from ..report.json import dump
from .pages import Line, Pages

WAITING_MOST = 4 << 20
"""Bytes of a kind that may wait for the disk."""
Kind: TypeAlias = Literal["events", "acts", "renewals"]
KEPT: dict[Kind, int] = {"events": 1024, "acts": 4096, "renewals": 256}
"""How many of each are held in memory. Renewals are the acts that extend what stands: they are the most by
far, and tell the least."""
LEFT_MOST = 1 << 12
"""Events that earlier runs left open and that are told to have ended: the newest."""
MILLISECOND = 1_000_000


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the journal.

    Attributes:
        number: larger than that of the entry before.
        time: when it was added.
        what: became of the event; None: it is an act.
        event: as it was then.
        act: what was done, or would have been.
    """

    number: int
    time: Time
    what: What | None = None
    event: Event | None = None
    act: Act | None = None


_decoder = msgspec.json.Decoder(Entry)


class _Shelf:
    """The entries of one kind: the newest in memory, more on disk, and what waits to be written there."""

    def __init__(self, pages: Pages, most: int) -> None:
        self.pages = pages
        self.kept: deque[Line] = deque(maxlen=most)
        self.lost = 0
        self._waiting: deque[Line] = deque()
        self._bytes = 0

    def put(self, line: Line) -> None:
        """Take one in."""
        self.kept.append(line)
        self._wait([line])

    def take(self) -> list[Line]:
        """What waits for the disk."""
        taken = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return taken

    def give_back(self, lines: Sequence[Line]) -> None:
        """The disk did not take these: they wait on, the oldest no longer than there is room."""
        later = self.take()
        self._wait([*lines, *later])

    def _wait(self, lines: Sequence[Line]) -> None:
        self._waiting.extend(lines)
        self._bytes += sum(len(line) for _, line in lines)
        while self._bytes > WAITING_MOST:
            self._bytes -= len(self._waiting.popleft()[1])
            self.lost += 1


class Journal:
    """Takes events and acts, and gives them back.

    Args:
        folder: where they are written, as ``events-N.ndjson`` and so on; an ``Entry`` a line.

    Attributes:
        skipped: lines that could not be read: torn by a crash, or of another version.
        trouble: why entries cannot be written now, in words; empty: they are.
    """

    def __init__(self, folder: Path) -> None:
        self._shelves = {kind: _Shelf(Pages(folder, kind), most) for kind, most in KEPT.items()}
        self._lock = threading.Lock()
        self.skipped = 0
        self.trouble = ""
        newest = (map(self._decoded, shelf.pages.latest()) for shelf in self._shelves.values())
        self._number = max(next((entry.number for entry in found if entry), 0) for found in newest)
        self._before = self._number

    def changed(self, change: Change) -> None:
        """An event opened, lasted or ended."""
        self._add("events", what=change.what, event=change.event)

    def acted(self, act: Act) -> None:
        """Something was done, or would have been."""
        self._add("renewals" if act.what == "extend" else "acts", act=act)

    def _add(
        self, kind: Kind, *, what: What | None = None, event: Event | None = None, act: Act | None = None
    ) -> None:
        self._number += 1
        now = rfc3339(time.time_ns() // MILLISECOND * MILLISECOND)
        line = dump(Entry(number=self._number, time=now, what=what, event=event, act=act))
        with self._lock:
            self._shelves[kind].put((self._number, line))

    @property
    def lost(self) -> int:
        """Entries that were never written, because the disk took none for too long."""
        return sum(shelf.lost for shelf in self._shelves.values())

    def write(self) -> None:
        """Write what waits for the disk. What a full one does not take waits on, as far as there is room."""
        trouble = ""
        for shelf in self._shelves.values():
            with self._lock:
                lines = shelf.take()
            done, error = shelf.pages.append(lines)
            if error is not None:
                with self._lock:
                    shelf.give_back(lines[done:])
                trouble = f"the journal cannot be written: {error.strerror or error}"
        self.trouble = trouble

    def changes(self, since: float = 0.0, limit: int | None = None) -> list[Change]:
        """What became of events since a moment (Unix time), in order; with a limit the newest.

        Reads files, unless memory holds enough: to be called beside the event loop.
        """
        found = self._entries("events", since, limit)
        changes = (Change(one.what, one.event) for one in found if one.what and one.event)
        return list(deque(changes, maxlen=limit))

    def left_open(self) -> dict[str, Event]:
        """Events of earlier runs by their ids, as they were last told, whose end was never told: the run was
        killed. Reads files, as ``changes``.
        """
        found = dict[str, Event]()
        for one in self._entries("events", 0.0):
            if one.number > self._before or one.event is None:
                continue
            found.pop(one.event.id, None)
            if one.what != "ended":
                found[one.event.id] = one.event
                trim(found, LEFT_MOST)
        return found

    def acts(self, since: float = 0.0) -> Iterator[Act]:
        """What was done since a moment, or would have been, in order, but renewals: there may be 100,000, so
        one is read after the other. Reads files, as ``changes``.
        """
        return (one.act for one in self._entries("acts", since) if one.act)

    def _entries(self, kind: Kind, since: float, enough: int | None = None) -> Iterator[Entry]:
        """Those since then; where memory holds enough, only what it holds."""
        shelf, begin = self._shelves[kind], rfc3339(round(since * 1e9))[:-1]
        with self._lock:
            kept = list(shelf.kept)
        if enough is None or len(kept) < enough:
            first = kept[0][0] if kept else self._number + 1
            for entry in map(self._decoded, shelf.pages.read(since)):
                if entry is not None and entry.number >= first:
                    break  # memory holds the rest
                if entry is not None and entry.time[:-1] >= begin:
                    yield entry
        for _, line in kept:
            if (entry := self._decoded(line)) is not None and entry.time[:-1] >= begin:
                yield entry

    def _decoded(self, line: bytes) -> Entry | None:
        with suppress(msgspec.DecodeError, ValueError):
            return _decoder.decode(line)
        self.skipped += 1
        return None
