"""Times, rates and sizes as people write them: ``90s``, ``10m``, ``500ms``; ``900``, ``5k/s``; ``64MiB``."""

from __future__ import annotations

import re
from decimal import Decimal

from ..errors import ConfigError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
TIMES = {"": 1, "k": 1_000, "M": 1_000_000}
PARTS = {"ms": 0.001, **UNITS}
SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
NUMBER = r"(?:[0-9]{1,9}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})"


def seconds(text: str) -> int:
    """Seconds of ``90``, ``90s``, ``10m``, ``4h`` or ``1d``.

    Raises:
        ConfigError: it is none, or nothing.
    """
    like = "a time like 90s, 10m, 4h or 1d"
    match = _read(r"([0-9]{1,9})([smhd]?)", text, like)
    if int(match[1]) == 0:
        raise ConfigError(f"give {like}")
    return int(match[1]) * UNITS[match[2] or "s"]


def length(text: str) -> float:
    """Seconds of ``14``, ``0.5``, ``14s``, ``1.5h`` or ``500ms``.

    Raises:
        ConfigError: it is no time.
    """
    match = _read(f"({NUMBER})(ms|[smhd]?)", text, "a time like 14s, 0.5s, 500ms, 10m or 1h")
    return float(match[1]) * PARTS[match[2] or "s"]


def size(text: str, unit: str) -> int:
    """How many times ``unit`` a size like ``64MiB``, ``2GB`` or ``512`` is; a plain number is in that unit.

    Raises:
        ConfigError: it is no size, or no whole number of the unit.
    """
    match = _read(f"(?i:({NUMBER})({'|'.join(SIZES)})?)", text, "a size like 512KiB, 64MiB or 2GB")
    named = {name.lower(): count for name, count in SIZES.items()}
    count = Decimal(match[1]) * named[(match[2] or unit).lower()] / SIZES[unit]
    if count != int(count):
        raise ConfigError(f"give a whole number of {unit}")
    return int(count)


def spelled(time: float) -> str:
    """Whole seconds as ``seconds`` reads them, in the largest unit that divides them."""
    unit = next(name for name, size in reversed(UNITS.items()) if time % size == 0)
    return f"{time / UNITS[unit]:.0f}{unit}"


def rate(text: str) -> float:
    """How many a second ``900``, ``900/s``, ``5k/s`` or ``1.5M/s`` are.

    Raises:
        ConfigError: it is no rate.
    """
    match = _read(f"({NUMBER})([kM]?)(?:/s)?", text, "a rate like 900, 900/s or 5k/s")
    return float(match[1]) * TIMES[match[2]]


def _read(pattern: str, text: str, like: str) -> re.Match[str]:
    match = re.fullmatch(pattern, text.strip())
    if match is None:
        raise ConfigError(f"give {like}")
    return match
