"""What a family of vectors is: all that is known about it, in one record, beside its detection.

A detector makes findings with ``Family.seen`` (one victim's epoch) or ``Family.told`` (a look back over
seconds); the decision asks the same record what they mean; reports, limits, guards and tests ask it the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol

from msgspec import Struct

from ..history.clients import Visitors
from ..history.evidence import SequentialTest
from ..history.victims import View, source_registers
from ..model.address import Address
from ..model.decision import Protection
from ..model.epoch import EPOCH_NS, EPOCHS_PER_SECOND
from ..model.event import FLOODS, Action, Evidence, Origin, Unit, Verdict
from ..model.finding import Bounds, F, Facts, Finding, Floor, Own, SourceCount, Sum, Weight
from ..model.summary import Summary
from ..model.vector import Technique, Vector, spelled
from .forging import forged_or_unknown, random_share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOLD = 12
"""Epochs (3 s) below half the floor after which an event counts as ended."""
PROVEN_SHARE = 0.5
"""Share of what named sources sent that comes from proven ones, from which the origin is real."""
LIMIT: tuple[Action, str] = ("limit_victim", "the addresses may be forged, so block no source")
BLOCK: tuple[Action, str] = (
    "drop_sources",
    "the sources finished their handshakes: their addresses are real and may be blocked",
)


class Named(Facts):
    """What listed sources sent, and what of it came from who finished a handshake, with us or a proxy."""

    asked: Sum = 0.0
    proven: Sum = 0.0
    vouched: Sum = 0.0


def by_handshakes(facts: Named, count: float, distinct: float) -> Origin:
    """Real where most of what is listed comes from those who finished a handshake, with us or a proxy."""
    real = facts.proven + facts.vouched
    return "real" if facts.asked > 0 and real >= PROVEN_SHARE * facts.asked else "unknown"


def reflected(facts: Facts, count: float, distinct: float) -> Origin:
    """Servers answer what somebody forged in the victim's name."""
    return "reflected"


def unknown(facts: Facts, count: float, distinct: float) -> Origin:
    """Nothing is said of the addresses."""
    return "unknown"


class Finished(Protocol):
    """Facts with the handshakes that were finished."""

    finished: float


def by_finished(facts: Finished, count: float, distinct: float) -> Origin:
    """The origin is real where handshakes were finished: connections are what is counted."""
    return "real" if facts.finished > 0 else "unknown"


def by_whom(rows: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """The facts of ``Named``: counts of rows of the heavy-hitter table, by what proves their sources."""
    vouched = rows["via"] > 0
    return {
        "asked": float(counts.sum()),
        "proven": float(counts[(rows["proven"] > 0) & ~vouched].sum()),
        "vouched": float(counts[vouched].sum()),
    }


def no_doubt(facts: Facts) -> float:
    """Nothing but size and length bears on the confidence."""
    return 1.0


class Family(Struct, Generic[F], frozen=True):
    """All that is known about vectors that are judged alike.

    Attributes:
        vectors: what it names.
        facts: the numbers behind its evidence.
        evidence: those numbers in the order of their weight.
        advice: what to do and why, given the origin and whether one path is the target.
        floors: what its findings may be held against, the usual one first.
        technique: what attackers do by it, as ATT&CK numbers it; None: no attack.
        rule: from what such a vector is named, with ``{floor}`` for the count that it was held against.
        severe: the rate a second from which severity counts; None: from the first floor.
        unit: of its rates.
        verdict: what its findings say.
        protocol: of its packets.
        persist: epochs in a row over the floor before it becomes a verdict.
        usual: the usual rate that it is measured against (``history.memory.METRICS``), or None.
        hold: epochs without a finding after which an event has ended.
        habitual: told by what sources do, at any rate: no floor can be set.
        origin: whose addresses these are, given the facts, the packets and the distinct sources.
        forged: share of the packets that forging explains, given the same.
        clear: factor of the confidence, at most 1.
        protection: what may stand before the victim where the advice is to drop by signature or to limit.
        people: of a crowd: its facts show people; else it is told as a surge of which that is not clear.
        clients: so many of the distinct sources are clients beside the excess; None: nobody knows.
        sent: of what is counted for each source, what all of them sent; None: whoever sends much is listed.
        reflectors: the ports that its reflectors answer from, given the vector and the facts.
        title: the vector as people write it.
        promised_s: seconds from a flood's onset within which its verdict stands; tests hold us to it.
    """

    vectors: tuple[Vector, ...]
    facts: type[F]
    evidence: Callable[[F], list[Evidence]]
    advice: Callable[[F, Origin, bool], tuple[Action, str]]
    floors: tuple[Floor, ...]
    rule: str
    technique: Technique | None = None
    severe: float | None = None
    unit: Unit = "packet/s"
    verdict: Verdict = "attack"
    protocol: str = "tcp"
    persist: int = 1
    usual: str | None = None
    hold: int = HOLD
    habitual: bool = False
    origin: Callable[[F, float, float], Origin] = forged_or_unknown
    forged: Callable[[F, float, float], float] = lambda facts, count, distinct: random_share(facts)
    clear: Callable[[F], float] = no_doubt
    protection: Protection | None = None
    people: Callable[[F], bool] = lambda facts: True
    clients: Callable[[F], float] | None = lambda facts: 0.0
    sent: Callable[[F], float] | None = None
    reflectors: Callable[[Vector, F], tuple[int, ...]] = lambda vector, facts: ()
    title: Callable[[Vector], str] = spelled
    promised_s: float = 1.0

    @property
    def floor(self) -> float:
        """The least rate, in ``unit`` per second, that is ever named; severity counts from it."""
        return EPOCHS_PER_SECOND * self.floors[0].count if self.severe is None else self.severe

    def says(self, floor: Floor) -> str:
        """The rule that fired, made from the very floor that the finding was held against."""
        return (floor.rule or self.rule).format(floor=f"{floor.count:,.10g}") + floor.given

    def seen(
        self,
        view: View,
        facts: F,
        kinds: Sequence[int],
        *,
        count: int,
        floor: Floor,
        over: bool | None = None,
        alone: bool | None = None,
        row: np.void | None = None,
        epoch: int | None = None,
        vector: Vector | None = None,
        protocol: str | None = None,
        persist: int | None = None,
        size: int | None = None,
        ports: list[tuple[int, int]] | None = None,
        paths: list[tuple[str, int]] | None = None,
        sources: int | None = None,
        own: Own | None = None,
        top: list[SourceCount] | None = None,
        weight: Weight | None = None,
        estimated: Bounds | None = None,
    ) -> Finding[F]:
        """What one victim's epoch shows.

        Args:
            view: the victim.
            facts: the numbers behind it.
            kinds: kinds of packets that it is about; their share of ``count`` gives the bytes.
            count: packets (or requests, connections) of the excess.
            floor: what the count is held against.
            over: it is over the floor; None: the count alone decides.
            alone: that it does all the same, see ``Finding``; None: where nothing is said of ``over``.
            row, epoch: the epoch's counters and its number, where they are not the view's.
            vector: which of the family's vectors, where there are several.
            protocol, persist: of the packets, and epochs in a row over the floor, where not the family's.
            size: bytes of the excess, where the share does not say it.
            sources: the source set that the packets belong to, or None.
            ports, paths, own, top, weight, estimated: see ``Finding``.
        """
        row = view.row if row is None else row
        assert row is not None
        held = [row["kinds"][kind] for kind in kinds if int(row["kinds"]["packets"][kind])]
        held = held or [row["kinds"][kinds[0]]]
        packets, total = (sum(int(kind[name]) for kind in held) for name in ("packets", "bytes"))
        return Finding(
            vector=vector or self.vectors[0],
            verdict=self.verdict,
            victim=view.track.address,
            protocol=protocol or self.protocol,
            epoch=view.epoch if epoch is None else epoch,
            facts=facts,
            floor=floor,
            over=count >= floor.count if over is None else over,
            alone=over is None if alone is None else alone,
            persist=self.persist if persist is None else persist,
            count=count,
            bytes=int(total * count / max(packets, 1)) if size is None else size,
            first_ns=min(int(kind["first_ns"]) for kind in held),
            last_ns=max(int(kind["last_ns"]) for kind in held),
            one_way=view.one_way,
            baseline=view.usual(self.usual, 0 if epoch is None else view.epoch - epoch)
            if self.usual
            else None,
            ports=ports or [],
            paths=paths or [],
            beats=row["beats"],
            sources=None if sources is None else source_registers(row, sources),
            own=own,
            top=top or [],
            weight=weight,
            estimated=estimated,
            limit=view.limit(self.usual) if self.usual and self.verdict in FLOODS else 0.0,
        )

    def told(
        self,
        summary: Summary,
        victim: Address,
        facts: F,
        *,
        count: int,
        floor: Floor,
        over: bool = True,
        vector: Vector | None = None,
        size: int = 0,
        one_way: bool = False,
        stretches: list[tuple[int, int]] | None = None,
        quarters: int = EPOCHS_PER_SECOND,
        earlier: int = 0,
        held: float | None = None,
        ports: list[tuple[int, int]] | None = None,
        paths: list[tuple[str, int]] | None = None,
        sources: NDArray[np.uint8] | None = None,
        top: list[SourceCount] | None = None,
    ) -> Finding[F]:
        """What the last seconds of one victim show; see ``seen`` and ``Finding``."""
        return Finding(
            vector=vector or self.vectors[0],
            verdict=self.verdict,
            victim=victim,
            protocol=self.protocol,
            epoch=summary.epoch,
            facts=facts,
            floor=floor,
            over=over,
            persist=1 if floor.rule else self.persist,
            count=count,
            bytes=size,
            first_ns=min([summary.first_ns, *(first * EPOCH_NS for first, _ in stretches or ())]),
            last_ns=summary.last_ns if stretches is None else min([summary.last_ns, _end_ns(stretches)]),
            one_way=one_way,
            stretches=stretches,
            quarters=quarters,
            earlier=earlier,
            held=held,
            ports=ports or [],
            paths=paths or [],
            sources=sources,
            top=top or [],
        )


def _end_ns(stretches: list[tuple[int, int]]) -> int:
    """The last nanosecond of these epochs; 0 where there are none, which ends nothing later."""
    return max((end * EPOCH_NS - 1 for _, end in stretches), default=0)


class Scene(NamedTuple):
    """One epoch, the victims that are loaded in it or were just before, and who visits them."""

    summary: Summary
    views: list[View]
    visitors: Visitors
    named: Container[tuple[Vector, Address]]  # in the last second, in this epoch too
    by_rate: Container[tuple[Vector, Address]]  # of that, what was over its floor long enough


class Watcher(Protocol):
    """A detector that remembers something from epoch to epoch."""

    def detect(self, scene: Scene) -> Iterator[Finding[Any]]:
        """The findings of one epoch."""


class Detector(NamedTuple):
    """One line of ``DETECTORS``: what it may name, and how it is found (one of the three).

    Attributes:
        families: what it may name.
        of_victim: findings from one victim's last second.
        of_epoch: findings from a whole epoch.
        watcher: makes what looks at whole epochs and remembers something.
        tests: weak evidence that adds up for it.
    """

    families: tuple[Family[Any], ...]
    of_victim: Callable[[View], Iterator[Finding[Any]]] | None = None
    of_epoch: Callable[[Scene], Iterator[Finding[Any]]] | None = None
    watcher: Callable[[], Watcher] | None = None
    tests: tuple[SequentialTest, ...] = ()
