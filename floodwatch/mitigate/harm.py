"""Does a guard hurt whom it protects? It is taken back where the victim's answers fall when it comes.

Compared are the victim's answers of the second behind the guard with the lesser of what was usual before the
flood and what was left while it stood alone: what the flood itself took is not the guard's fault. Taking it
back is an experiment as well. If answers come back, the guard was to blame and is not tried again for long;
if they do not, it was not, and stands from then on unjudged. Either is told once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..history.answers import Answered, Answers
from ..model.epoch import EPOCHS_PER_SECOND
from .guards import FORGIVEN_S, Guard, describe
from .vital import TCP, UDP

BEFORE = (40, 16)
"""What is usual is taken from so many epochs to so many epochs before the guard: 10 s to 4 s ..."""
USUAL_QUANTILE = 0.2
"""... from its slower seconds, for work comes in bursts."""
FALLEN, BACK = 0.5, 0.75
"""Shares of the answers that were expected: below the one they fell, from the other on they are back."""
DEVIATIONS = 3.0
"""Standard deviations (of a Poisson process) that a fall must be beyond."""
JUDGED = 40
"""Epochs (10 s) for which a new guard is judged."""
SETTLES = 2
"""Epochs after a change before its effect counts: the one that is open, and one for packets on their way."""
RETURNS = 12
"""Epochs (3 s) within which answers come back when a guard was to blame."""
FORGIVEN = int(FORGIVEN_S) * EPOCHS_PER_SECOND


@dataclass(slots=True)
class _Trial:
    """Since which epoch a guard, or its absence, is judged, and the answers a second that are expected."""

    since: int
    expected: float


def answered_by(guard: Guard) -> Answered:
    """Answers of which kind a guard could cost."""
    match guard.kind:
        case "reflected":
            return "udp"
        case "limited":
            number = guard.number
            return (
                "udp" if number == UDP else "tcp" if number == TCP else "icmp" if number in (1, 58) else "any"
            )
        case "fragments":
            return "any"
    return "tcp"


def expected(answers: Answers, guard: Guard) -> float:
    """Answers a second that the victim should go on to send: no more than while the flood stood alone."""
    now, kind = answers.epoch + 1, answered_by(guard)
    first, last = (now - back for back in BEFORE)
    seconds = _seconds(answers.sent(guard.victim, kind, first, last))
    usual = float(np.quantile(seconds, USUAL_QUANTILE))
    alone = float(answers.sent(guard.victim, kind, now - EPOCHS_PER_SECOND, now).sum())
    return min(usual, alone)


def _seconds(epochs: np.ndarray) -> np.ndarray:
    """Sums over every run of epochs that makes a second."""
    return np.convolve(epochs, np.ones(EPOCHS_PER_SECOND, np.int64), "valid")


class Harm:
    """Which guards are judged, which are taken back, and what is to become of those."""

    def __init__(self) -> None:
        self._judged: dict[Guard, _Trial] = {}
        self._away: dict[Guard, _Trial] = {}
        self._to_blame: dict[Guard, int] = {}
        self._cleared: dict[Guard, int] = {}
        self._newest = 0

    def spared(self, guard: Guard) -> bool:
        """It is not to be put up: it did harm, or it is looked at whether it did."""
        return guard in self._away or guard in self._to_blame

    def blamed(self) -> dict[Guard, float]:
        """The guards that did harm, with the seconds for which they stay away."""
        left = {
            guard: (at + FORGIVEN - self._newest) / EPOCHS_PER_SECOND for guard, at in self._to_blame.items()
        }
        return {guard: seconds for guard, seconds in left.items() if seconds > 0}

    def came(self, guards: Iterable[Guard], answers: Answers) -> None:
        """These are put up now; one that stands already is judged as before."""
        for guard in guards:
            if guard not in self._judged and guard not in self._cleared:
                self._judged[guard] = _Trial(answers.epoch + SETTLES, expected(answers, guard))

    def judge(self, standing: Iterable[Guard], answers: Answers) -> tuple[list[Guard], list[str]]:
        """The guards that are to be taken back now, and what to say of them and of those before."""
        newest, back, said = answers.epoch, list[Guard](), self._looked_after(answers)
        stands = set(standing)
        self._judged = {guard: trial for guard, trial in self._judged.items() if guard in stands}
        for guard, trial in list(self._judged.items()):
            age = newest + 1 - trial.since
            if age < EPOCHS_PER_SECOND or age > JUDGED:
                continue
            now = self._now(guard, answers)
            fall = trial.expected - now
            if now < FALLEN * trial.expected and fall >= DEVIATIONS * trial.expected**0.5:
                del self._judged[guard]
                self._away[guard] = _Trial(newest + SETTLES, trial.expected)
                back.append(guard)
                said.append(
                    f"lift   {describe(guard)}: answers of the victim fell from {trial.expected:.0f} to "
                    f"{now:.0f} a second when it came"
                )
        return back, said

    def _looked_after(self, answers: Answers) -> list[str]:
        """Whether answers came back without those that were taken away."""
        said, newest = list[str](), answers.epoch
        self._newest = newest
        for kept in (self._to_blame, self._cleared):
            for guard in [guard for guard, at in kept.items() if not 0 <= newest - at < FORGIVEN]:
                del kept[guard]
        for guard, trial in list(self._away.items()):
            age = newest + 1 - trial.since
            if age >= EPOCHS_PER_SECOND and self._now(guard, answers) >= BACK * trial.expected:
                self._to_blame[guard] = newest
                said.append(f"lift   {describe(guard)}: answers are back without it, so it stays away")
            elif age >= RETURNS:
                self._cleared[guard] = newest
            else:
                continue
            del self._away[guard]
        return said

    def _now(self, guard: Guard, answers: Answers) -> float:
        newest = answers.epoch + 1
        sent = answers.sent(guard.victim, answered_by(guard), newest - EPOCHS_PER_SECOND, newest)
        return float(sent.sum())
