"""What acts for a watch on the floods that it finds: a Blocker of this process, or another that is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from errno import errorcode
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..errors import EnforceError
from ..history.answers import Answers, sent_in
from ..history.memory import Networks
from ..model.decision import Decision
from ..model.event import Action
from ..model.summary import Summary
from .confirm import Confirmation

if TYPE_CHECKING:
    from ..mitigate import Act, Blocker


class Situation(NamedTuple):
    """What there is to act on.

    Attributes:
        decisions: about the floods that are going on.
        known: networks of known clients, see ``history.memory``.
        served: networks of clients whom limits let pass.
        one_way: only what comes in is seen.
    """

    decisions: Sequence[Decision]
    known: Networks
    served: Networks
    one_way: bool


class Acting(Protocol):
    """What a watch hands its floods to."""

    def heard(self, summary: Summary) -> object:
        """Take in what hosts sent in an epoch, before it is closed."""

    def act(self, situation: Situation) -> list[str]:
        """Bring the kernel in line with the floods; returns what is to be told beside the acts."""

    def acts(self) -> list[Act]:
        """What was done, or would be in a dry run, since this was last asked."""

    def taken(self, decisions: Sequence[Decision]) -> Mapping[str, Action]:
        """What was done about each flood, by its id, as far as it is known to stand."""

    def ahead(self) -> int:
        """Packets of blocked sources that XDP dropped before any tap could see them."""


class Blocking:
    """Acts through a Blocker of this process.

    Args:
        blocker: what holds the rules.
        confirm: seconds within which an operator has to confirm that it goes on enforcing, or None.
    """

    def __init__(self, blocker: Blocker, confirm: float | None = None) -> None:
        self._blocker = blocker
        self._confirmation = Confirmation(blocker, confirm)
        self._trouble = ""
        self.errors = Counter[str]()
        """How often the kernel took no rules, by the name of its error."""
        self.answers: Answers | None = None
        if not blocker.dry_run:
            self.answers = Answers()
            blocker.track()

    @property
    def over(self) -> bool:
        """Nobody confirmed in time: nothing is done any more."""
        return self._confirmation.over

    @property
    def left(self) -> float | None:
        """Seconds in which it has to be confirmed, or None."""
        return self._confirmation.left

    @property
    def in_trouble(self) -> bool:
        """The kernel took no rules the last time."""
        return bool(self._trouble)

    def heard(self, summary: Summary) -> None:
        """Remember what victims answer."""
        if self.answers is not None:
            self.answers.take(summary.epoch, sent_in(summary))

    def act(self, situation: Situation) -> list[str]:
        """When the kernel takes no rules, say so once; the next call tries again."""
        try:
            told = self._confirmation.look()
            if not self._confirmation.over:
                self._blocker.enforce(situation.decisions, situation.known)
                said = self._blocker.guard(
                    situation.decisions, situation.served, self.answers, one_way=situation.one_way
                )
                told += [*self._blocker.ledger.untold(said), *self._blocker.news()]
        except EnforceError as error:
            said_now = f"no rule could be set ({error}); trying again"
            new = said_now != self._trouble
            self._trouble = said_now
            self.errors[errorcode.get(error.errno or 0, "none")] += 1
            return [said_now] if new else []
        if self._trouble:
            told = ["rules can be set again", *told]
            self._trouble = ""
        return told

    def acts(self) -> list[Act]:
        """The lines of the audit."""
        return self._blocker.ledger.acts()

    def taken(self, decisions: Sequence[Decision]) -> Mapping[str, Action]:
        """Only what the kernel holds counts."""
        if not decisions or self._blocker.dry_run:
            return {}
        with suppress(EnforceError):  # then nothing is known to stand
            stands = self._blocker.taken(decisions)
            return {one.id: action for one, action in zip(decisions, stands, strict=True)}
        return {}

    def ahead(self) -> int:
        """As the backend counts it."""
        return self._blocker.dropped_ahead().dropped
