"""All that the enforcer tells outwards: metrics, and whoever is to be told of floods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..config.settings import MetricsSettings, Settings
from ..errors import FloodwatchError
from ..mitigate import Act
from ..model.event import Change
from .exporter import Exporter
from .metrics import count_act, count_change
from .notify.notifier import Notifier
from .picture import Picture, Tallies


class Listener(Protocol):
    """Who is told what happens: the journal, receivers."""

    def changed(self, change: Change) -> object:
        """An event opened, lasted or ended."""

    def acted(self, act: Act) -> object:
        """Something was done in the kernel, or would be."""


class Outward:
    """Tells others; no call waits for any of them.

    A fault of what is told never ends the daemon: without ears it still protects.

    Args:
        tallies: where it is counted what happens.
        newest: the newest picture; called from other threads.
    """

    def __init__(self, tallies: Tallies, newest: Callable[[], Picture]) -> None:
        self._tallies, self._newest = tallies, newest
        self._notifier = Notifier((), tallies, self._may)
        self._exporter: Exporter | None = None
        self._where = MetricsSettings()
        self._complaints = dict[str, str]()

    def _may(self) -> bool:
        """May rules be set now?"""
        picture = self._newest()
        return picture.mode == "enforce" and not picture.panic

    def use(self, settings: Settings) -> None:
        """Tell as these settings have it from now on; files are opened anew."""
        self._notifier.reopen()
        self._tried("notify", lambda: self._notifier.change(settings.notify))
        if settings.metrics != self._where or self._exporter is None:
            self._tried("metrics", lambda: self._export(settings.metrics))

    def _export(self, where: MetricsSettings) -> None:
        if self._exporter is not None:
            self._exporter.close()
            self._exporter = None
        self._where = where
        if where != MetricsSettings():
            self._exporter = Exporter(where, self._newest)

    def _tried(self, what: str, do: Callable[[], object]) -> None:
        self._complaints.pop(what, None)
        try:
            do()
        except FloodwatchError as error:
            self._complaints[what] = str(error)

    def changed(self, change: Change) -> None:
        """Something became of an event."""
        count_change(self._tallies, change)
        self._notifier.tell(change)

    def acted(self, act: Act) -> None:
        """Something was done, or would be."""
        count_act(self._tallies, act)
        self._notifier.acted(act)

    def complaints(self) -> tuple[str, ...]:
        """What cannot be told, and why."""
        exporter = self._exporter.complaint if self._exporter is not None else ""
        return (*self._complaints.values(), *([exporter] if exporter else []), *self._notifier.complaints())

    async def close(self) -> None:
        """Tell what waits, and no more."""
        if self._exporter is not None:
            self._exporter.close()
        await self._notifier.close()
