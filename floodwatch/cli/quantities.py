"""Options that take a time, a rate or a size: with its unit or as a plain number, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import click

from floodwatch.config import durations
from floodwatch.errors import ConfigError

N = TypeVar("N", int, float)
Read = Callable[[click.Context, click.Parameter, str | None], N | None]


def above_zero(read: Callable[[str], float]) -> Read[float]:
    """A callback that takes what ``read`` makes a number above zero of."""
    return _within(read, lambda number: number > 0, "more than 0")


def from_zero(read: Callable[[str], float]) -> Read[float]:
    """A callback that takes what ``read`` makes a number from zero on of."""
    return _within(read, lambda number: number >= 0, "0 or more")


def size(unit: str, low: str, high: str) -> Read[int]:
    """A callback for a size in whole ``unit`` from ``low`` to ``high``; a plain number is in that unit."""
    read = partial(durations.size, unit=unit)
    least, most = read(low), read(high)
    return _within(read, lambda number: least <= number <= most, f"from {low} to {high}")


def _within(read: Callable[[str], N], fits: Callable[[N], bool], bounds: str) -> Read[N]:
    def convert(ctx: click.Context, option: click.Parameter, value: str | None) -> N | None:
        if value is None:
            return None
        try:
            number = read(value)
        except ConfigError as error:
            raise click.BadParameter(f"{error}, not {value!r}") from None
        if not fits(number):
            raise click.BadParameter(f"it must be {bounds}, not {value}")
        return number

    return convert
