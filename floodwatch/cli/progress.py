"""While a scan runs: a progress bar on standard error, and a clean stop when a signal comes.

rich is imported only when a bar is really shown; a pipe or ``--progress never`` does not pay for it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich import progress as rich_progress

    from floodwatch.config.options import Progress

Callback = Callable[["Progress"], None]


class Stop:
    """Turns the first SIGINT, SIGTERM or SIGHUP into an event; the second one ends the program at once.

    Attributes:
        event: set once a signal came.
        exit_code: 130, 143 or 129 then, None before.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.exit_code: int | None = None

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        """Note the signal (a handler for ``signal.signal``)."""
        if self.exit_code is not None:
            raise SystemExit(128 + signum)
        self.exit_code = 128 + signum
        self.event.set()


@contextmanager
def stopping() -> Iterator[Stop]:
    """Let SIGINT, SIGTERM and SIGHUP set ``Stop.event`` while the context is open (main thread only).

    SIGHUP stays ignored where it is: under nohup(1).
    """
    stop = Stop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def bar(mode: str) -> Iterator[Callback | None]:
    """Show a bar while the context is open; yields the callback to report progress to, or None without a bar.

    Args:
        mode: ``always``, ``never``, or ``auto`` for "if standard error is a terminal".
    """
    if mode == "never" or (mode == "auto" and not is_terminal()):
        yield None
        return
    display = _display(force=mode == "always")
    with display:
        yield _Follower(display)


def is_terminal() -> bool:
    """Is standard error a terminal on which a picture can be redrawn?"""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _display(*, force: bool) -> rich_progress.Progress:
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class PacketRate(progress.ProgressColumn):
        """Packets per second since the capture was opened."""

        def render(self, task: progress.Task) -> Text:
            elapsed = task.elapsed or 0.0
            rate = task.fields["packets"] / elapsed if elapsed > 0 else 0.0
            return Text(f"{rate:,.0f} packets/s", style="progress.data.speed")

    return progress.Progress(
        # File names are hostile text, not markup.
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),
        progress.DownloadColumn(),
        PacketRate(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True, force_terminal=True if force else None),
        transient=True,
        redirect_stdout=False,
        expand=True,
    )


class _Follower:
    """Turns progress reports, from any thread, into one bar for each open capture."""

    def __init__(self, display: rich_progress.Progress) -> None:
        self._display = display
        self._tasks: dict[str, rich_progress.TaskID] = {}
        self._lock = threading.Lock()

    def __call__(self, report: Progress) -> None:
        from floodwatch.report.escape import clip, printable

        with self._lock:
            if report.finished:
                # A directory may hold thousands of captures: only the open ones stay on screen.
                task = self._tasks.pop(report.path, None)
                if task is not None:
                    self._display.remove_task(task)
                return
            if report.path not in self._tasks:
                name = clip(printable(os.path.basename(report.path) or report.path), 32)
                # A total of None makes the bar pulse.
                self._tasks[report.path] = self._display.add_task(name, total=report.bytes_total, packets=0)
            self._display.update(
                self._tasks[report.path],
                completed=report.bytes_done,
                total=report.bytes_total,
                packets=report.packets,
            )
