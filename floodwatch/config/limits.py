"""What the user asks of the limits: absolute floors for vectors, and a budget of false alarms.

A floor raises the rate from which a vector is named. It cannot lower it: below the built-in floors the shares
that detectors judge by mean nothing. The budget adds a limit above what is usual for each victim. Let an
epoch's count have mean m and variance D m, as learnt, and let D be 1 or more. Bernstein's inequality for D
times a Poisson count says

    P(count >= m + t)  <=  exp(-t^2 / (2 D (m + t / 3)))

so t is chosen such that all victims, metrics and epochs of the budget's period together exceed their limits
no more often than the budget says. It holds for traffic whose epochs are no burstier than those learnt,
at victims that were watched for a minute or more; before, the built-in floors stand alone.

Weak evidence that adds up below the floors (``history.evidence``) is held against a budget as well. A profile
is a budget by its name; only ``strict`` asks for limits above the usual, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from ..errors import ConfigError
from ..model.vector import Vector
from .spelling import meant

EPOCHS = {"h": 14_400, "d": 345_600, "w": 2_419_200}
"""Epochs in an hour, a day, a week."""
JUDGED = 1024 * 5
"""Victim slots times metrics: as many limits may be exceeded in an epoch."""
Profile: TypeAlias = Literal["default", "sensitive", "strict"]
BUDGETS: dict[Profile, str] = {"default": "1/30d", "sensitive": "1/d", "strict": "1/365d"}
"""False alarms that each profile allows."""


def budget(text: str) -> float:
    """``surprise`` of a budget as ``1/30d``: at most so many false alarms in so many hours, days or weeks.

    Raises:
        ConfigError: it is written in another way.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/(\d*)([hdw])", text)
    if not found or float(found[1]) == 0 or found[2] == "0":
        raise ConfigError(f"write a budget of false alarms as 1/30d (h, d or w), not {text!r}")
    epochs = EPOCHS[found[3]] * int(found[2] or 1)
    return max(math.log(epochs * JUDGED / float(found[1])), 1.0)


DEFAULT = budget(BUDGETS["default"])


class Limits(Struct, frozen=True):
    """See above.

    Attributes:
        floors: least rates a second, in each vector's unit.
        surprise: -ln of the probability with which one count may exceed its limit by chance, or None for no
            budget.
        needed: the log-likelihood ratio that weak evidence needs.
        profile: whose budget that is.
    """

    floors: dict[Vector, float] = {}
    surprise: float | None = None
    needed: float = DEFAULT
    profile: Profile = "default"

    def beyond(self, mean: float, spread: float) -> float:
        """The count that is exceeded with no more than the probability asked for.

        Args:
            mean: of an epoch's counts.
            spread: their variance over their mean; less than 1 counts as 1.
        """
        if self.surprise is None:
            return 0.0
        step = max(spread, 1.0) * self.surprise
        return mean + step / 3 + math.sqrt(step * step / 9 + 2 * step * mean)


def ask(
    wanted: Mapping[str, float],
    false_alarms: str | None,
    least: Callable[[Vector], float | None],
    profile: str = "default",
) -> Limits:
    """The limits that a user asks for; see ``floors`` and ``budget``.

    A budget of the user's own is that of weak evidence, too, whatever the profile.

    Raises:
        ConfigError: they cannot be understood, or not be kept.
    """
    named = next((name for name in BUDGETS if name == profile), None)
    if named is None:
        raise ConfigError(f"there is no profile {profile!r}; one of {', '.join(BUDGETS)}")
    asked = false_alarms or (BUDGETS[named] if named == "strict" else None)
    return Limits(
        floors=floors(wanted, least),
        surprise=None if asked is None else budget(asked),
        needed=budget(false_alarms or BUDGETS[named]),
        profile=named,
    )


def floors(wanted: Mapping[str, float], least: Callable[[Vector], float | None]) -> dict[Vector, float]:
    """The floors by vector.

    Args:
        wanted: rates a second by the name of a vector.
        least: the built-in floor of a vector; None: it is told by habits and not by a rate.

    Raises:
        ConfigError: there is no such vector, or its floor cannot be so low.
    """
    out: dict[Vector, float] = {}
    for name, rate in wanted.items():
        if name not in set(Vector):
            raise ConfigError(
                f"there is no vector {name!r}{meant(name, Vector) or '; one of ' + ', '.join(sorted(Vector))}"
            )
        vector = Vector(name)
        lowest = least(vector)
        if lowest is None:
            raise ConfigError(
                f"{name} is recognised by behaviour and not by a rate, so it has no threshold to set"
            )
        if not lowest <= rate < math.inf:
            raise ConfigError(
                f"the threshold of {name} is {lowest:.0f} per second; it can be raised, not lowered"
            )
        out[vector] = rate
    return out
