"""Times and rates as people write them: ``90s``, ``10m``, ``4h``, ``1d``; ``900``, ``5k/s``, ``1.5M/s``."""

from __future__ import annotations

import re

from ..errors import ConfigError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
TIMES = {"": 1, "k": 1_000, "M": 1_000_000}


def seconds(text: str) -> int:
    """Seconds of ``90``, ``90s``, ``10m``, ``4h`` or ``1d``.

    Raises:
        ConfigError: it is none, or nothing.
    """
    match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip())
    if match is None or int(match[1]) == 0:
        raise ConfigError("give a time like 90s, 10m, 4h or 1d")
    return int(match[1]) * UNITS[match[2] or "s"]


def spelled(time: float) -> str:
    """Whole seconds as ``seconds`` reads them, in the largest unit that divides them."""
    unit = next(name for name, size in reversed(UNITS.items()) if time % size == 0)
    return f"{time / UNITS[unit]:.0f}{unit}"


def rate(text: str) -> float:
    """How many a second ``900``, ``900/s``, ``5k/s`` or ``1.5M/s`` are.

    Raises:
        ConfigError: it is no rate.
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([kM]?)(?:/s)?", text.strip())
    if match is None:
        raise ConfigError("give a rate like 900, 900/s or 5k/s")
    return float(match[1]) * TIMES[match[2]]
