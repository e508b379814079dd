"""Keeps the guards in line with the floods, and away from what is served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from ..config.files import number
from ..errors import BlockRefused, EnforceError
from ..history.answers import Answers
from ..history.memory import Networks
from ..model.decision import Decision, check
from .backend import Backend
from .guards import Guard, Kind, Order, Shield, Standing, Trials, describe, orders
from .harm import Harm
from .plan import NOBODY, Network
from .sockets import connections

SPARED_S = 30.0
"""How often what is spared is looked up again while guards stand: it costs a look at all connections."""
BY_STATE: frozenset[Kind] = frozenset({"unasked", "strange", "proxied"})
"""Guards that take both directions: where answers go another way, all that is served looks strange."""


LOOSE, COUNT = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "/proc/sys/net/netfilter/nf_conntrack_count"
STRICT = "nf_conntrack_tcp_loose is 0 and tracking began with this watch"


def begins_strict() -> bool:
    """Tracking begins now, and will never learn of connections behind this host that stand already."""
    return number(LOOSE) == 0 and number(COUNT) == 0


def outgrown(standing: Iterable[Guard], wanted: Sequence[Order]) -> list[Guard]:
    """Guards of all ports in whose place one of a single port is wanted: floods look wide at first."""
    narrow = {replace(order.guard, port=None) for order in wanted if order.guard.port is not None}
    asked = {order.guard for order in wanted}
    return [guard for guard in standing if guard in narrow and guard not in asked]


class Keeper:
    """The guards of one backend: what is put up, refreshed, taken down, and why.

    Args:
        backend: where they stand.
        shield: what SYN cookies can do for a victim.
        own: is a victim this host itself, whose sockets tell who is connected?
    """

    def __init__(
        self, backend: Backend, shield: Callable[[Network], Shield], own: Callable[[Network], bool]
    ) -> None:
        self._backend = backend
        self._shield = shield
        self._own = own
        self._trials, self._harm = Trials(), Harm()
        self._passing: Networks = NOBODY
        self._spared_at = 0.0
        self._tracks = self._strict = self._told_blind = False
        self._untracked: str | None = None

    def avoided(self) -> dict[Guard, float]:
        """Guards that did nothing or did harm, with the seconds for which they are not tried again."""
        return self._trials.avoided(time.monotonic()) | self._harm.blamed()

    def avoid(self, guards: Mapping[Guard, float]) -> None:
        """Do not try these for so many seconds, as an earlier keeper found out."""
        self._trials.avoid(guards, time.monotonic())

    def track(self) -> None:
        """Let connection tracking begin, and let what is connected now pass every guard that will come.

        A kernel that cannot takes no guards either; sources are blocked nevertheless, and it is said once.
        """
        if not self._tracks:
            self._strict = begins_strict()
        self._tracks = True
        try:
            self._backend.track()
            self._spare()
        except EnforceError as error:
            if self._untracked is None:
                self._untracked = f"the kernel tracks no connections ({error}): there will be no guards"

    def again(self) -> None:
        """The table was made anew: what tracks goes into it."""
        if self._tracks:
            self.track()

    def _spare(self) -> None:
        with suppress(OSError):  # what was known before stays, and its time ends it
            self._backend.spare(connections)
        self._spared_at = time.monotonic()

    def bring(
        self,
        decisions: Sequence[Decision],
        standing: Mapping[Guard, Standing],
        known: Networks,
        answers: Answers | None,
        *,
        one_way: bool,
    ) -> list[str]:
        """Bring the guards in line with the floods; returns what was done, in words.

        Args:
            decisions: about the floods that are going on.
            standing: the guards that the backend holds now.
            known: networks whose clients pass limits, see ``history.memory``.
            answers: what victims answer; None: nobody looks.
            one_way: only what comes in is seen here.

        Raises:
            BlockRefused: a decision comes from a report.
            EnforceError: the kernel refused; nothing was changed.
        """
        witnessed(decisions)
        now = time.monotonic()
        wanted, said = self._seen(orders(decisions, self._shield), one_way=one_way)
        wanted = [order for order in wanted if not self._harm.spared(order.guard)]
        up, down, told = self._trials.plan(wanted, standing, now)
        said += told
        if self._untracked:
            said, self._untracked = [self._untracked, *said], ""
        for guard in outgrown(standing, wanted):
            down.append(guard)
            said.append(f"lift   {describe(guard)}: one port holds most of the flood by now")
        if answers is not None:
            back, told = self._harm.judge(standing, answers)
            up, down, said = (
                [order for order in up if order.guard not in back],
                [*down, *back],
                [*said, *told],
            )
            self._harm.came((order.guard for order in up), answers)
        self._carry_out(up, down, known, standing, now)
        return said

    def _carry_out(
        self,
        up: Sequence[Order],
        down: Sequence[Guard],
        known: Networks,
        standing: Mapping[Guard, Standing],
        now: float,
    ) -> None:
        fresh = any(order.guard not in standing for order in up)
        if fresh or (standing and now - self._spared_at >= SPARED_S):
            self._spare()
        if up or down:
            self._backend.guard(up, down, np.setdiff1d(known, self._passing) if standing else known)
            self._passing = known

    def _seen(self, wanted: list[Order], *, one_way: bool) -> tuple[list[Order], list[str]]:
        """The orders that can be carried out with what is seen here, and once why others cannot."""
        blind = [
            order
            for order in wanted
            if order.guard.kind in BY_STATE
            and (one_way or (self._strict and not self._own(order.guard.victim)))
        ]
        seen = [order for order in wanted if order not in blind]
        if not blind or self._told_blind:
            return seen, []
        self._told_blind = True
        why = "only what comes in is seen here" if one_way else STRICT
        return seen, [f"no guard {describe(blind[0].guard)}: {why}, so nothing tells it from what is served"]


def witnessed(decisions: Iterable[Decision]) -> None:
    """What only a report claims is for somebody to read and load, never for this process to do.

    Raises:
        BlockRefused: a decision comes from a report.
    """
    for decision in decisions:
        check(decision)
        if decision.proof is not None and not getattr(decision.proof, "witnessed", False):
            raise BlockRefused(
                f"{decision.id}: its handshakes stand in a report and were not counted here: "
                "read and load what floodwatch explain prints"
            )
