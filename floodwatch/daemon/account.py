"""What was done since a moment, or would have been, by victim: from the journal's events and acts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct

from ..model.event import FLOODS

if TYPE_CHECKING:
    from ..mitigate import Act
    from ..model.event import Change

UNKNOWN = "unknown"
SHOWN, VICTIMS_MOST = 20, 1000
"""Known clients that are named of each victim, and victims that are."""


class Charge(Struct, kw_only=True):
    """What befell one victim.

    Attributes:
        victim: its address.
        floods: how many of each vector.
        sources: networks that were blocked or limited; each counts once.
        guards: guards that were put up.
        would_sources, would_guards: those that only would have been, because of the mode.
        refused: networks that were not, because policy forbids it.
        packets: that blocks and guards met until they ended.
        known: sources in networks of clients that were known before: look at these first.
        clients: the first of them.
    """

    victim: str
    floods: dict[str, int] = {}
    sources: int = 0
    guards: int = 0
    would_sources: int = 0
    would_guards: int = 0
    refused: int = 0
    packets: int = 0
    known: int = 0
    clients: tuple[str, ...] = ()


class Account(Struct, frozen=True, kw_only=True):
    """What was done from ``since`` until ``until`` (Unix times): worst victims first.

    Attributes:
        done, would: how many acts were done, and how many were only said to be what would be done.
        victims: by address.
    """

    since: float
    until: float
    done: int = 0
    would: int = 0
    victims: tuple[Charge, ...] = ()


class _Tally:
    """One victim's charge while it is counted."""

    def __init__(self, victim: str) -> None:
        self.charge = Charge(victim=victim, floods={})
        self._seen: set[tuple[str, str]] = set()
        self._known: dict[str, None] = {}

    def first(self, what: str, target: str) -> int:
        """1 when this is seen for the first time."""
        fresh = (what, target) not in self._seen
        self._seen.add((what, target))
        return int(fresh)

    def take(self, act: Act) -> None:
        """Count one act."""
        charge = self.charge
        if act.what in ("add", "extend"):
            fresh = self.first(f"source {act.enforced}", act.target)
            charge.sources += fresh * act.enforced
            charge.would_sources += fresh * (not act.enforced)
            if act.known:
                self._known.setdefault(act.target)
        elif act.what == "guard":
            charge.guards += act.enforced
            charge.would_guards += not act.enforced
        elif act.what == "refuse":
            charge.refused += self.first("refuse", act.target)
        charge.packets += act.packets or 0

    def told(self) -> Charge:
        """The charge."""
        self.charge.known, self.charge.clients = len(self._known), tuple(islice(self._known, SHOWN))
        return self.charge


def account(changes: Iterable[Change], acts: Iterable[Act], since: float) -> Account:
    """Sum up a journal.

    Args:
        changes: of events since then.
        acts: since then.
        since: Unix time.
    """
    tallies: dict[str, _Tally] = {}

    def of(victim: str) -> _Tally:
        return tallies.setdefault(victim, _Tally(victim))

    for change in changes:
        event = change.event
        if event.verdict in FLOODS and of(event.victim.ip).first("flood", event.id):
            floods = of(event.victim.ip).charge.floods
            floods[event.vector] = floods.get(event.vector, 0) + 1
    done = would = 0
    for act in acts:
        if act.event is not None:
            of((act.victim or UNKNOWN).split(" ")[0]).take(act)
            done += act.enforced
            would += not act.enforced
    charges = sorted(
        (tally.told() for tally in tallies.values()),
        key=lambda one: (-_weight(one), -sum(one.floods.values()), one.victim),
    )
    return Account(
        since=since, until=time.time(), done=done, would=would, victims=tuple(charges[:VICTIMS_MOST])
    )


def _weight(charge: Charge) -> int:
    return charge.sources + charge.guards + charge.would_sources + charge.would_guards
