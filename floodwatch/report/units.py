"""Numbers, shares and times as people read them."""

from __future__ import annotations

from datetime import datetime


def largest_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    """Names with their counts, the largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def plural(count: int, noun: str, several: str = "") -> str:
    """``1 packet``, ``2 packets``."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"


def compact(value: float, gap: str = "") -> str:
    """Two or three digits and a decimal prefix: 412k, 1.1k, 140."""
    prefix = ""
    for larger in "kMGT":
        if value < 999.5:
            break
        value, prefix = value / 1000, larger
    digits = f"{value:.1f}".removesuffix(".0") if value < 9.95 else f"{value:.0f}"
    return f"{digits}{gap}{prefix}"


def percent(share: float) -> str:
    """A share with two digits: ``5.1 %``, ``<0.01 %``."""
    value = share * 100
    if 0 < value < 0.01:
        return "<0.01 %"
    if value < 9.95:
        return f"{value:.2g} %"
    return f"{value:.0f} %"


def span(first: str, last: str, day: str, ending: str) -> str:
    """Two RFC 3339 times as clock times; the date only where it is not ``day``."""
    seconds = max(0.0, (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())
    shown = [clock(stamp, with_ms=seconds < 10) for stamp in (first, last)]
    if first[:10] != day:
        shown[0] = f"{first[:10]} {shown[0]}"
    if last[:10] != first[:10]:
        shown[1] = f"{last[:10]} {shown[1]}"
    if ending == " UTC":
        return f"{shown[0]} to {shown[1]} UTC ({duration(seconds)})"
    return f"{shown[0]} to {shown[1]} ({duration(seconds)}{ending})"


def clock(stamp: str, *, with_ms: bool) -> str:
    """The time of day of an RFC 3339 time."""
    return stamp[11:19] + ((stamp[19:-1] or ".")[:4].ljust(4, "0") if with_ms else "")


def duration(seconds: float) -> str:
    """``9.927s``, ``6m30s``."""
    if seconds < 10:
        return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24}d{hours % 24:02d}h"
    if hours:
        return f"{hours}h{minute:02d}m"
    return f"{minute}m{second:02d}s" if minute else f"{second}s"
