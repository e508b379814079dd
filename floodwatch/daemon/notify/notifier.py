"""Whoever is to be told of floods, each in its own time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from ...config.settings import Receiver as Wanted
from ...mitigate import Act
from ...model.event import Change
from ..picture import Tallies
from .channel import Channel
from .eve import Eve
from .exec import Exec
from .fastnetmon import FastNetMon
from .journald import Journald
from .letter import May, Receiver
from .syslog import Syslog
from .upstream import Upstream
from .webhook import Webhook

CLOSE_S = 1.5
"""So long the end waits for letters that are on their way."""
RECEIVERS: Mapping[str, type[Receiver]] = {
    "exec": Exec,
    "webhook": Webhook,
    "syslog": Syslog,
    "journald": Journald,
    "eve": Eve,
    "fastnetmon": FastNetMon,
    "exabgp": Upstream,
    "gobgp": Upstream,
}
RESULTS = ("sent", "failed", "dropped", "suppressed")
"""What becomes of a letter."""


class Notifier:
    """Tells receivers of floods. No call waits for any of them.

    Args:
        wanted: the receivers.
        tallies: where letters are counted.
        may: whether rules may be set now, here or upstream.

    Raises:
        ConfigError: a receiver lacks something.
    """

    def __init__(self, wanted: Sequence[Wanted], tallies: Tallies, may: May = lambda: False) -> None:
        self._tallies, self._may = tallies, may
        self._channels = list[Channel]()
        self.change(wanted)

    def change(self, wanted: Sequence[Wanted]) -> None:
        """Tell these receivers from now on. Those that stay the same go on knowing what they were told.

        Raises:
            ConfigError: a receiver lacks something; nothing was changed.
        """
        kept = [channel for channel in self._channels if channel.receiver.wanted in wanted]
        had = [channel.receiver.wanted for channel in kept]
        made = [
            RECEIVERS[one.type](one, self._may) for one in wanted if one not in had
        ]  # all, before the first begins
        for channel in self._channels:
            if channel not in kept:
                channel.end()
        self._channels = kept + [Channel(receiver, self._tallies) for receiver in made]

    def tell(self, change: Change) -> None:
        """Something became of an event."""
        for channel in self._channels:
            channel.tell(change)

    def acted(self, act: Act) -> None:
        """Something was done about a flood."""
        for channel in self._channels:
            channel.acted(act)

    def complaints(self) -> list[str]:
        """Receivers that did not get the last letter, and why."""
        return [channel.complaint for channel in self._channels if channel.complaint]

    def reopen(self) -> None:
        """Files were moved away: write to new ones."""
        for channel in self._channels:
            channel.reopen()

    async def close(self) -> None:
        """Tell what waits, as far as that is done soon, and end."""
        for channel in self._channels:
            channel.end()
        await asyncio.to_thread(self._join, time.monotonic() + CLOSE_S)

    def _join(self, until: float) -> None:
        for channel in self._channels:
            channel.join(until - time.monotonic())
