"""What crosses from the detectors to the decision: one detector, one victim, one epoch."""

from __future__ import annotations

from collections import Counter
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    get_type_hints,
)

from msgspec import Struct, field

from .address import UNIT, Address, Network, source_network
from .epoch import EPOCHS_PER_SECOND
from .event import Verdict
from .vector import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Sum: TypeAlias = Annotated[float, "sum"]
"""A fact of which all epochs are added up."""
Mean: TypeAlias = Annotated[float, "mean"]
"""A fact that is the mean of its epochs."""
Most: TypeAlias = Annotated[float, "most"]
"""A fact of which the largest of all epochs counts."""
Tally: TypeAlias = Annotated[dict[int, int], "tally"]
"""A fact of which each number, such as a port, is added up by itself; the largest are kept."""
SourceKey: TypeAlias = tuple[int, bool, int, int]
"""``source``, ``v6``, ``low`` and ``length`` of a ``SourceCount``."""
Majority: TypeAlias = Annotated[int, "majority"]
"""A fact that is what most epochs say, such as a port; of equals the first."""


TALLY_MOST = 64


class Facts(Struct):
    """The numbers behind a verdict: a subclass a family, each field declared as Sum, Mean, Most, Tally or
    Majority.
    """


F = TypeVar("F", bound=Facts)


_declared: dict[type[Facts], dict[str, str]] = {}


def _how(kind: type[Facts]) -> dict[str, str]:
    """How each field of a family's facts is merged."""
    if kind not in _declared:
        hints = get_type_hints(kind, include_extras=True)
        _declared[kind] = {name: hints[name].__metadata__[0] for name in kind.__struct_fields__}
    return _declared[kind]


class Gathered(Generic[F]):
    """The facts of one event so far, merged field by field as they are declared.

    Args:
        kind: the family's facts.
    """

    __slots__ = ("_epochs", "_how", "_kind", "_sums", "_tallies", "_votes")

    def __init__(self, kind: type[F]) -> None:
        self._kind = kind
        self._epochs = 0
        self._how = _how(kind)
        self._sums = dict.fromkeys((n for n, how in self._how.items() if how in ("sum", "mean", "most")), 0.0)
        self._tallies: dict[str, Counter[int]] = {
            name: Counter() for name, how in self._how.items() if how == "tally"
        }
        self._votes: dict[str, Counter[int]] = {
            name: Counter() for name, how in self._how.items() if how == "majority"
        }

    def add(self, facts: F) -> None:
        """Take in one epoch's facts."""
        self._epochs += 1
        for name, before in self._sums.items():
            fact = getattr(facts, name)
            self._sums[name] = max(before, fact) if self._how[name] == "most" else before + fact
        for name, tally in self._tallies.items():
            tally.update(getattr(facts, name))
            if len(tally) > 2 * TALLY_MOST:
                self._tallies[name] = Counter(dict(tally.most_common(TALLY_MOST)))
        for name, votes in self._votes.items():
            votes[getattr(facts, name)] += 1

    def merged(self) -> F:
        """The facts of all epochs together."""
        out: dict[str, Any] = {
            name: total / max(self._epochs, 1) if self._how[name] == "mean" else total
            for name, total in self._sums.items()
        }
        out |= {name: dict(tally) for name, tally in self._tallies.items()}
        for name, votes in self._votes.items():
            out[name] = votes.most_common(1)[0][0] if votes else 0
        return self._kind(**out)


LOUD = 4.0
"""An excess of so many floors in one epoch says as much as two epochs over the floor."""
PART = 0.25
"""Share of a floor that is told as the part of a burst; from half of it on it keeps an open event alive."""


class Floor(Struct, frozen=True):
    """The count that a finding was held against, and under which circumstances it is that one.

    ``rule`` is what it says where that is not the rule of the family.
    """

    count: float
    where: str = ""
    rule: str = ""

    @property
    def part(self) -> float:
        """The count from which a finding is told: what the edge of an epoch may split off a burst over it."""
        return PART * self.count

    @property
    def given(self) -> str:
        """The circumstances as they stand behind a rule."""
        return f" ({self.where})" if self.where else ""


class Weight(Struct, frozen=True):
    """Evidence that adds up over epochs (see ``history.evidence``): so much by now, and what it needs."""

    gathered: float
    floor: Floor

    @property
    def enough(self) -> bool:
        """It names something, though nothing was over any floor."""
        return self.gathered >= self.floor.count


Proof: TypeAlias = Literal["handshake", "forwarded"]


class SourceCount(Struct, frozen=True, gc=False):
    """Bounds of what one source sent in a window of the heavy-hitter table.

    Attributes:
        source: the IPv4 address, or the upper half of an IPv6 one.
        v6: which of them.
        lo: it sent so much at least ...
        hi: ... and at most.
        low: lower half of an IPv6 address that is a source by itself.
        length: prefix length of what it stands for; 0: a host of IPv4, a /64 of IPv6.
        before: what of ``lo`` it certainly sent before this epoch.
        windows: in so many windows it was listed.
        proof: how its address is known to be real; see ``event.TopSource``.
        shared: several machines are behind it.
        ja4: its newest fingerprint as ``history.greetings`` counts them; 0: none was seen.
    """

    source: int
    v6: bool
    lo: int
    hi: int
    low: int = 0
    length: int = 0
    before: int = 0
    windows: int = 1
    proof: Proof = "handshake"
    shared: bool = False
    ja4: int = 0

    @property
    def key(self) -> SourceKey:
        """Who it is, whatever it sent."""
        return self.source, self.v6, self.low, self.length

    @property
    def behind(self) -> int:
        """Bits of ``source`` behind the prefix that it stands for; 0: it is one host or /64."""
        return max(UNIT[6 if self.v6 else 4] - self.length, 0) if self.length else 0

    @property
    def network(self) -> Network:
        """What a rule would name."""
        return source_network(*self.key)


SEEN_SHARE = 0.05
"""Share of a flood that one source certainly sent, from which it is worth naming."""


class Via(NamedTuple):
    """A proxy that clients came through, and how it is known to be one."""

    cidr: str
    how: Literal["forwarded_header", "proxy_line", "named"]


class Own(NamedTuple):
    """Whom the registers of a set of sources stand for.

    Attributes:
        mine: a source of the excess, by register.
        order: of two sources of equal rank the register stands for the one with the larger number.
    """

    mine: NDArray[np.bool_]
    order: NDArray[np.uint8]


class Greeted(NamedTuple):
    """Who greeted a victim.

    Attributes:
        hellos: of the epoch, a weighted sample in the form of ``history.greetings.NOBODY`` ...
        earlier: ... and of the seconds before.
        usual: the share of each fingerprint on usual days; None where that is unknown.
    """

    hellos: NDArray[np.void]
    earlier: NDArray[np.void]
    usual: dict[int, float] | None


class Bounds(NamedTuple):
    """Bounds of what can only be estimated."""

    lo: float
    hi: float


class Finding(Struct, Generic[F], kw_only=True):
    """What one detector says about one victim and one epoch.

    Attributes:
        facts: the numbers behind the evidence.
        stretches: the epochs that the facts are of, from one up to before another; None: ``epoch`` alone.
        quarters: so many epochs that the count is of, the last of them ``epoch``.
        earlier: what was counted before these, in the rest of the stretches ...
        busiest: ... and the most of it in any one second, where that is known.
        floor: what ``held`` was held against.
        over: it is over the floor; otherwise it only keeps an open event alive.
        alone: the count alone decides that, so that parts of a burst in two epochs count together.
        persist: epochs in a row over the floor before it becomes a verdict.
        count: packets (or requests, connections) of the excess in this epoch ...
        estimated: ... and bounds of how many these are, in the family's unit, where they cannot be counted.
        held: what was held against the floor, where it is not the count.
        one_way: the victim was never seen to send.
        ports: candidates for the victim's port, with how much of the count each holds.
        paths: the same for its HTTP path, or the zone of DNS queries.
        prefix: length of the prefix that ``victim`` stands for, or None for one address.
        beats: packets of all kinds to the victim in this epoch by fine steps, see ``decide.course``.
        sources: HyperLogLog registers (p = 10) of the sources in this epoch.
        own: whom the registers stand for; None: all for sources of the excess.
        top: bounds per source, for origins that may be named.
        via: proxies that it came through, with how much of the count each carried.
        spared: senders left out of ``top``, because they are proxies.
        seen: bounds per source of what certainly belongs to the excess, proven or not; the largest only.
        limit: the rate a second that the user's limits ask for; 0: none.
        weight: weak evidence of it that adds up, or None.
        greeted: ClientHellos that came there; None where there are none, or it is not about requests.
    """

    vector: Vector
    verdict: Verdict
    victim: Address
    protocol: str
    epoch: int
    facts: F
    floor: Floor
    over: bool
    persist: int
    count: int
    bytes: int
    first_ns: int
    last_ns: int
    estimated: Bounds | None = None
    alone: bool = False
    one_way: bool = False
    baseline: float | None = None
    ports: list[tuple[int, int]] = field(default_factory=list)
    paths: list[tuple[str, int]] = field(default_factory=list)
    prefix: int | None = None
    beats: NDArray[np.uint32] | None = None
    sources: NDArray[np.uint8] | None = None
    own: Own | None = None
    top: list[SourceCount] = field(default_factory=list)
    via: list[tuple[Via, float]] = field(default_factory=list)
    spared: list[SourceKey] = field(default_factory=list)
    seen: list[SourceCount] = field(default_factory=list)
    limit: float = 0.0
    stretches: list[tuple[int, int]] | None = None
    quarters: int = 1
    earlier: int = 0
    busiest: int = 0
    held: float | None = None
    weight: Weight | None = None
    greeted: Greeted | None = None

    @property
    def part(self) -> bool:
        """It is less than half of what it is held against: by itself it is nothing."""
        least = max(self.floor.count, self.limit * self.quarters / EPOCHS_PER_SECOND)
        return self.alone and not self.over and self.weight is None and self.count < least // 2
