"""All that outlives a run, in one folder, written beside the event loop.

A disk that is full, read-only or hangs is told as trouble and tried again; it delays and ends nothing. A
folder is one daemon's: another one that is pointed to it remembers nothing as long as the first runs.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from ..config.netns import RUN, beside_the_host, namespace
from ..config.settings import STATE
from ..mitigate import Remembered
from ..mitigate.clocks import clocks
from ..mitigate.remembered import NOTHING, aged
from . import state as states
from .journal import Journal
from .kept import Kept
from .picture import Tallies
from .state import State

SAVE_S, AGAIN_S, WRITE_S = 60.0, 5.0, 0.5
"""How often the state is saved, tried again where it could not be, and the journal written."""
SLOW_S, END_S = 5.0, 2.0
"""A disk that takes longer is told; so long it is waited for at the end."""
LEARNT_VERSION = 1, 0
Saved: TypeAlias = tuple[State, Remembered]
"""The state, and what a Blocker knows at the same moment."""
BESIDE, UNUSED_S = "state-", 86_400.0
"""How the names of folders begin that belong to other network namespaces than the host's."""


class Before(Struct, frozen=True, kw_only=True):
    """What an earlier run left.

    Attributes:
        state: of the enforcer, with the time to confirm that is left by now, or None.
        known: what its Blocker knew, with the time that is left by now.
        learnt: what the sensor had learnt, as it sent it, or None. Only a sensor looks into it.
        said: what could not be read, in words.
    """

    state: State | None
    known: Remembered
    learnt: bytes | None
    said: list[str]


class Store:
    """The folder of what is remembered.

    Args:
        folder: it is made if it is missing; nobody else should be able to write there.
        tallies: counts how saving went, as ``state_write``.
        say: tells a line when something cannot be written, and when it can again.

    Attributes:
        journal: what happened.
        learnt: what the sensor learnt, as it sent it last; saved with the state.
    """

    def __init__(self, folder: Path, tallies: Tallies, say: Callable[[str], object]) -> None:
        self._folder, self._tallies, self._say = folder, tallies, say
        self._told: tuple[str, ...] = ()
        self._lock: int | None = None
        self._failed = self._claim()
        self.journal = Journal(folder)
        self.learnt: bytes | None = None
        self._state = Kept(folder / "state", states.VERSION)
        self._learnt = Kept(folder / "learnt", LEARNT_VERSION)
        self._disk = ThreadPoolExecutor(1, "disk")
        self._soon = asyncio.Event()
        self._busy_since: float | None = None

    def _claim(self) -> str:
        """Make the folder ours as long as we run; why it is not, in words."""
        if self._lock is not None:
            return ""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            opened = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            return f"there is no folder {self._folder} to remember anything in: {error.strerror or error}"
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(opened)
            return f"another floodwatch uses {self._folder}, so nothing is remembered: name another folder"
        self._lock = opened
        return ""

    def load(self) -> Before:
        """What an earlier run left; called once, before anything else."""
        if self._lock is None:
            return Before(state=None, known=NOTHING, learnt=None, said=[self._failed])
        found, said = self._state.load(states.decode)
        self.learnt, more = self._learnt.load(bytes)
        state, known = found or (None, NOTHING)
        if state is not None:
            passed = clocks().passed(state.saved)
            confirm = None if state.confirm is None else max(state.confirm - passed, 0.0)
            state, known = replace(state, confirm=confirm), aged(known, passed)
        return Before(state=state, known=known, learnt=self.learnt, said=said + more)

    @property
    def trouble(self) -> tuple[str, ...]:
        """What does not work now, in words; empty: all is written."""
        since = self._busy_since
        slow = since is not None and time.monotonic() - since > SLOW_S
        words = self._failed, self.journal.trouble, "the disk of the state does not answer" if slow else ""
        return tuple(filter(None, words))

    def soon(self) -> None:
        """Save at once, for an operator ordered something."""
        self._soon.set()

    async def keep(self, ask: Callable[[], Awaitable[Saved]]) -> None:
        """Write what comes and save each minute, until it is cancelled.

        Args:
            ask: gives the state as it is, and what a Blocker knows.
        """
        due = time.monotonic() + SAVE_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._soon.wait(), WRITE_S)
            if self._lock is not None:
                await self._beside(self.journal.write)
            if self._soon.is_set() or time.monotonic() >= due:
                self._soon.clear()
                await self._save(await ask())
                due = time.monotonic() + (AGAIN_S if self._failed else SAVE_S)
            self._tell()

    def _tell(self) -> None:
        """Say what is new about trouble."""
        before, self._told = self._told, self.trouble
        for line in self._told:
            if line not in before:
                self._say(line)
        if before and not self._told:
            self._say("what is remembered can be written again")

    async def end(self, last: Saved | None) -> None:
        """Write what waits, and the state for the last time; a disk that hangs is not waited for."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self._beside(self.journal.write)
                if last is not None:
                    await self._save(last)
        self._disk.shutdown(wait=False, cancel_futures=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _save(self, saved: Saved) -> None:
        await self._beside(lambda: self._write(saved, self.learnt))

    def _write(self, saved: Saved, learnt: bytes | None) -> None:
        """On the thread of the disk: both files, each as far as it can be written."""
        trouble = self._claim()
        for kept, content in ((self._state, states.encode(*saved)), (self._learnt, learnt)):
            if content is not None and not trouble:
                try:
                    kept.save(content)
                except OSError as error:
                    trouble = f"what is to be remembered cannot be saved: {error.strerror or error}"
        self._failed = trouble
        self._tallies.add("state_write", "failed" if trouble else "ok")

    async def _beside(self, work: Callable[[], object]) -> None:
        self._busy_since = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(self._disk, work)
        self._busy_since = None


def place(state: str) -> Path:
    """The folder of a daemon that is configured with this one.

    Where nothing else is said, a daemon beside the host's network namespace has one of its own, as long as
    the host runs: it knows other clients and victims. Those that were not used for a day are removed.
    """
    if state != STATE or not beside_the_host():
        return Path(state)
    mine = RUN / f"{BESIDE}{namespace():x}"
    for other in RUN.glob(f"{BESIDE}*"):
        with suppress(OSError):
            if other != mine and time.time() - other.stat().st_mtime > UNUSED_S:
                shutil.rmtree(other)
    return mine
