"""Orders to a daemon and its answers: what crosses the control socket, each spelled once for both ends.

A request is one line of JSON, ``{"v":1,"id":1,"cmd":"block","args":{"network":"203.0.113.9"}}``: the name of
an order in small letters, and its fields. The answer is a line as well; an order that tells many things is
answered with a line for each, which has ``more``, before the last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ..model.event import Event
from .account import Account
from .picture import Mode as ModeName
from .picture import Picture

if TYPE_CHECKING:
    from ..mitigate import Act
    from ..model.event import Change

VERSION = 1
REQUEST_MOST = 1 << 16
"""Bytes of a request at most, its end of line included."""
YEAR_S = 366 * 86_400
A = TypeVar("A")
R = TypeVar("R")

Code = Literal[
    "bad_request", "too_long", "version", "unknown", "forbidden", "busy", "slow", "refused", "failed", "bug"
]
"""Why there is no result: the request is wrong (the first four), its sender must not ask this, too many ask,
too little is read of what is told; then what the order itself met: it was refused, or the host failed it."""
Since = Annotated[float, Meta(ge=0, le=1e11)]
"""Unix time."""
NetworkText = Annotated[str, Meta(min_length=1, max_length=64)]
Why = Annotated[str, Meta(max_length=200)]
Lasts = Annotated[float, Meta(ge=1, le=YEAR_S)]


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """One order on its way; ``id`` comes back with the answer."""

    cmd: Annotated[str, Meta(max_length=32)]
    v: int = VERSION
    id: int = 0
    args: Raw = Raw(b"{}")


class Fault(Struct, frozen=True):
    """Why there is no result: a word for programs, and a sentence that says what to do."""

    code: Code
    says: str


class Answer(Struct, frozen=True, omit_defaults=True):
    """An answer, or with ``more`` a part of it."""

    v: int
    id: int
    ok: bool
    more: bool = False
    result: Raw | UnsetType = UNSET
    error: Fault | None = None


class Order(Struct, Generic[A], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all orders; ``A`` is what it is answered with."""

    changes: ClassVar[bool] = False
    """It needs the right to give orders; without, the right to read is enough."""

    @classmethod
    def name(cls) -> str:
        """How a request names it."""
        return cls.__name__.lower()

    @classmethod
    def answered(cls) -> Any:
        """The type that it is answered with: what stands in the brackets of its base."""
        (base,) = cls.__orig_bases__  # type: ignore[attr-defined]
        return get_args(base)[0]


class Told(Struct, frozen=True):
    """A change of an event."""

    what: Literal["opened", "updated", "ended"]
    event: Event


class Done(Struct, frozen=True):
    """What an order did, in words, and to how many: none, where nothing matched."""

    said: str
    count: int = 1


class Status(Order[Picture], frozen=True):
    """Where the daemon stands; without its tallies, which the metrics tell."""


class Metrics(Order[str], frozen=True):
    """What Prometheus would be told now, in its text format."""


class Events(Order[Told], frozen=True, kw_only=True):
    """What became of floods and crowds since a moment, the newest; then, with ``follow``, as it happens."""

    since: Since = 0.0
    limit: Annotated[int, Meta(ge=0, le=10_000)] = 100
    follow: bool = False


class Report(Order[Account], frozen=True, kw_only=True):
    """What was blocked since a moment, or would have been."""

    since: Since = 0.0


class Mode(Order[Done], frozen=True, kw_only=True):
    """Observe, suggest or enforce from now on, until the daemon is stopped.

    With ``confirm`` it falls back after so many seconds to what it did before, unless ``Confirm`` is given.
    """

    changes = True
    mode: ModeName
    confirm: Annotated[float, Meta(ge=1, le=86_400)] | None = None


class Reload(Order[Done], frozen=True):
    """Read the configuration again."""

    changes = True


class Past(Protocol):
    """What happened: the journal. It may read files, so it is asked beside the event loop."""

    def changes(self, since: float, limit: int | None) -> Sequence[Change]:
        """What became of events since a moment (Unix time), in order; with a limit the newest."""

    def acts(self, since: float) -> Iterable[Act]:
        """What was done in the kernel since a moment, or would have been, in order."""


class Orders(Protocol):
    """What carries orders out: the enforcer."""

    def picture(self) -> Picture:
        """Where it stands now."""

    @property
    def never(self) -> Sequence[str]:
        """The networks that the configuration says are never to be blocked."""

    def on_hands(self, work: Callable[[], R]) -> Awaitable[R]:
        """Let something that waits for the kernel be done where everything of that kind is."""

    async def mode(self, mode: ModeName, confirm_s: float | None, by: str) -> str:
        """Change the mode; returns what to tell.

        Raises:
            FloodwatchError: it cannot be.
        """

    async def reload(self, by: str) -> str:
        """Read the configuration again; returns what to tell.

        Raises:
            ConfigError: it is wrong; the one that runs stays.
        """
