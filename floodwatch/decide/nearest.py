"""What came nearest to a flood and became none: an answer of "nothing" that says how far off it was."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

from ..detectors import family_of
from ..model.address import Address, Network, address_text, within
from ..model.epoch import EPOCHS_PER_SECOND, rfc3339
from ..model.event import FLOODS, Victim
from ..model.finding import Finding, Floor
from ..model.report import NEAREST_MOST, Near
from ..model.vector import Vector

KEPT = 64
"""Candidates that are kept while packets come; of twice as many those that came least near are dropped."""
Named: TypeAlias = tuple[Vector, Address, int | None]


class _Met(NamedTuple):
    """A finding that named nothing, and what it was held against; the rest of it is not kept alive."""

    measured: float
    floor: Floor
    least: float
    persist: int
    streak: int
    over: bool
    protocol: str
    port: int | None
    usual: float | None
    limit: float
    first_ns: int

    @property
    def share(self) -> float:
        return self.measured / self.least


class Nearest:
    """The candidates of one analysis that came nearest, one per vector and victim; memory is bounded.

    It costs something for each finding, and a detector tells of none below a quarter of its floor.
    """

    def __init__(self) -> None:
        self._met: dict[Named, _Met] = {}

    def note(self, finding: Finding[Any], streak: int) -> None:
        """A finding that opened no event.

        Args:
            finding: it; crowds and surges are told by themselves.
            streak: epochs in a row, with this one, that were over the floor.
        """
        if finding.verdict not in FLOODS:
            return
        met = _met(finding, streak)
        key = finding.vector, finding.victim, finding.prefix
        before = self._met.get(key)
        if before is not None and met.share <= before.share:
            return
        self._met[key] = met
        if len(self._met) > 2 * KEPT:
            self._met = dict(sorted(self._met.items(), key=_rank)[:KEPT])

    def drop(self, finding: Finding[Any]) -> None:
        """It became an event."""
        self._met.pop((finding.vector, finding.victim, finding.prefix), None)

    def told(self, path: str, events: Iterable[Named]) -> list[Near]:
        """The nearest, those first that came nearest.

        Args:
            path: what events name as their input.
            events: what became an event of any verdict, which tells more than this.
        """
        wide = {(vector, ipaddress.ip_network(_where(victim, prefix))) for vector, victim, prefix in events}
        left = [item for item in self._met.items() if not _told_there(item[0], wide)]
        return [_near(path, key, met) for key, met in sorted(left, key=_rank)[:NEAREST_MOST]]


def _met(finding: Finding[Any], streak: int) -> _Met:
    floor, measured = finding.floor, float(finding.count if finding.held is None else finding.held)
    least = max(floor.count, finding.limit * finding.quarters / EPOCHS_PER_SECOND)
    limit = finding.limit if least > floor.count else 0.0
    weight = finding.weight
    if weight is not None and weight.gathered / weight.floor.count > measured / least:
        floor, measured, least, limit = weight.floor, weight.gathered, weight.floor.count, 0.0
    port = max(finding.ports, key=lambda held: held[1], default=None)
    return _Met(
        measured=measured,
        floor=floor,
        least=least,
        persist=finding.persist,
        streak=streak,
        over=finding.over,
        protocol=finding.protocol,
        port=port[0] if port is not None and 5 * port[1] >= 4 * finding.count else None,
        usual=finding.baseline,
        limit=limit,
        first_ns=finding.first_ns,
    )


def _rank(item: tuple[Named, _Met]) -> tuple[float, int, Vector, Address]:
    (vector, victim, _), met = item
    return -met.share, met.first_ns, vector, victim


def _where(victim: Address, prefix: int | None) -> str:
    return address_text(victim) + ("" if prefix is None else f"/{prefix}")


def _told_there(key: Named, wide: Iterable[tuple[Vector, Network]]) -> bool:
    """An event of the vector is told of the victim, or of a network that holds it."""
    vector, victim, prefix = key
    place = ipaddress.ip_network(_where(victim, prefix))
    return any(vector == named and within(place, network) for named, network in wide)


def _near(path: str, key: Named, met: _Met) -> Near:
    vector, victim, prefix = key
    family = family_of(vector, "attack")
    return Near(
        input=path,
        vector=vector,
        victim=Victim(
            ip=_where(victim, prefix),
            port=met.port,
            protocol=met.protocol,
            path=None,
        ),
        what=family.says(met.floor),
        measured=round(float(met.measured), 1),
        floor=round(float(met.least), 1),
        share=round(met.share, 4),
        usual=None if met.usual is None else round(met.usual, 1),
        at=rfc3339(met.first_ns),
        why=_why(met),
    )


def _why(met: _Met) -> str:
    if met.measured < met.least:
        own = f", your own limit of {met.limit:,.10g} per second" if met.limit else ""
        return f"it met {_number(met.measured)} of {_number(met.least)}{own}"
    if met.over and met.streak < met.persist:
        return (
            f"it met {_number(met.measured)}, over the floor of {_number(met.least)}, but for "
            f"{met.streak} of the {met.persist} quarters of a second in a row that are asked for"
        )
    return f"it met {_number(met.measured)}, enough by number, but not what else the rule asks for"


def _number(value: float) -> str:
    """``1,250`` or ``24.7``: counts are whole, evidence that adds up is not."""
    return f"{round(value, 1):,.12g}"
