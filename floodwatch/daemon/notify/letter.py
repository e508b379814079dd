"""What receivers are told, and how a receiver looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from ...config.settings import Receiver as Wanted
from ...mitigate import Act
from ...model.event import Event, Severity, What

May: TypeAlias = Callable[[], bool]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
PRIORITIES: Mapping[Severity, int] = {"low": 5, "medium": 4, "high": 3, "critical": 2}
"""Of syslog: notice, warning, error, critical."""
INFORMATION = 6
"""Of syslog: what needs nobody."""


class Letter(NamedTuple):
    """What became of an event, as this receiver is told of it: ``opened`` is the first that it hears."""

    what: What
    event: Event

    @property
    def priority(self) -> int:
        """Of syslog."""
        return INFORMATION if self.what == "ended" else PRIORITIES[self.event.severity]


class Undelivered(Exception):  # noqa: N818 (it says what happened, as the contract's names do)
    """A letter did not arrive; says why, without any secret.

    Attributes:
        again: it may be tried again.
    """

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Receiver:
    """Whoever is told. All of it is called in one thread, and may take its time.

    Args:
        wanted: what the configuration says of it.
        may: whether rules may be set now: the mode is to enforce, and there is no panic.

    Attributes:
        logs: it writes down what happens: crowds and surges as well. Others are told of floods alone.
        every_s: how often ``look`` is called while there is nothing to tell; None: never.

    Raises:
        ConfigError: it lacks something.
    """

    logs = False
    every_s: float | None = None

    def __init__(self, wanted: Wanted, may: May) -> None:
        self.wanted, self.may = wanted, may

    def send(self, letter: Letter) -> None:
        """Tell it of an event.

        Raises:
            Undelivered: it did not arrive.
        """
        raise NotImplementedError

    def log(self, act: Act) -> None:
        """Tell it what was done; for most that is nothing to be told of.

        Raises:
            Undelivered: it did not arrive.
        """

    def look(self) -> None:
        """See whether all is as it should be."""

    def reopen(self) -> None:
        """Open files anew: somebody moved them away."""

    def close(self) -> None:
        """Nothing more comes."""
