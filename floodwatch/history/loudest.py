"""Who sends most of a flood, as far as counts alone tell: seen, and not proven.

Of an epoch the heavy-hitter table tells how much each source sent, at least; of that no more than the packets
that are no part of the flood can be something else. What is left belongs to the flood for certain.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.epoch import UDP
from ..model.finding import SEEN_SHARE, Finding, SourceCount
from ..model.summary import Summary
from .sources import source_of
from .windows import positions

COLUMNS = ("packets", "udp", "requests")
LATE = 3
"""Tables that are kept: SYNs are judged an epoch late."""
SAMPLED = 8192
"""New flows in an epoch from which their number is estimated (``fw_flow.h``) ..."""
MARGIN = 0.05
"""... and may be this share off."""
SMALL = 1024
"""Rows of a table that is kept in a quiet epoch as well: the next one may be no more."""
UNITS = frozenset({"packet/s", "req/s", "query/s"})
"""Units of which one is one packet, or one request."""


class Loudest:
    """The heavy-hitter table at the end of the last epochs."""

    def __init__(self) -> None:
        self._tables: dict[int, NDArray[np.void]] = {}
        self._sorted: set[int] = set()
        # the last epochs, newest last, and whether the window ended with each, as it did before all others
        self._closed = [(-1, True)]

    def close_epoch(self, summary: Summary, *, quiet: bool) -> None:
        """Keep this epoch's table; call it after the epoch's findings were looked at."""
        if not quiet or len(summary.heavy()) <= SMALL:
            self._keep(summary)
        self._closed = [*self._closed[1 - LATE :], (summary.epoch, summary.window_ends)]
        held = {epoch for epoch, _ in self._closed}
        for old in [epoch for epoch in self._tables if epoch not in held]:
            del self._tables[old]
            self._sorted.discard(old)

    def of(self, finding: Finding[Any], row: np.void, unit: str, summary: Summary) -> list[SourceCount]:
        """The sources that certainly sent a share of what is found that is worth naming.

        Args:
            finding: of one victim and epoch.
            row: the victim's counters of that epoch.
            unit: what is counted.
            summary: the epoch that closes.
        """
        self._keep(summary)
        table = self._by_pair(finding.epoch)
        earlier = [closed for closed in self._closed if closed[0] < finding.epoch]
        if unit not in UNITS or table is None or not earlier:
            return []
        last, ended = earlier[-1]
        before = None if ended else self._by_pair(last)
        if before is None and not ended:
            return []  # nobody knows what came in this epoch
        mine = table[table["victim"] == row["reference"]]
        sent, new = _since(mine, before, _column(finding, unit))
        total = _total(finding, unit, row)
        rest = max(total - finding.count, 0) + (MARGIN * total if total > SAMPLED else 0)
        least = sent - rest
        return [
            source_of(mine[at], int(least[at]), max(int(least[at]), int(min(finding.count, new[at]))))
            for at in np.flatnonzero(least >= max(SEEN_SHARE * finding.count, 1))
        ]

    def _keep(self, summary: Summary) -> None:
        if summary.epoch not in self._tables:
            self._tables[summary.epoch] = summary.heavy().copy()  # without its room for more

    def _by_pair(self, epoch: int) -> NDArray[np.void] | None:
        """An epoch's table in order; sorted only now, for most epochs bring nothing to find."""
        table = self._tables.get(epoch)
        if table is not None and epoch not in self._sorted:
            table = self._tables[epoch] = table[np.argsort(table["pair_hash"])]
            self._sorted.add(epoch)
        return table


def _column(finding: Finding[Any], unit: str) -> str:
    if unit == "req/s":
        return "requests"
    return "udp" if finding.protocol == "udp" else "packets"


def _total(finding: Finding[Any], unit: str, row: np.void) -> int:
    """All of a victim's packets (or requests) among which those of the flood were counted."""
    packets = row["kinds"]["packets"]
    match _column(finding, unit):
        case "requests":
            return int(row["requests"])
        case "udp":
            return int(packets[UDP])
        case _:
            return int(packets.sum(dtype=np.int64) - packets[UDP])


def _since(
    rows: NDArray[np.void], before: NDArray[np.void] | None, column: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What each source sent since the table of before: at least, and at most."""
    now = _counts(rows, column)
    if before is None or not len(before):
        return now, now + rows["missed"]
    at, known = positions(before["pair_hash"], rows["pair_hash"])
    sent = now - np.where(known, _counts(before, column)[at], 0)
    return sent, sent + np.where(known, 0, rows["missed"].astype(np.int64))


def _counts(rows: NDArray[np.void], column: str) -> NDArray[np.int64]:
    counted = rows[column].astype(np.int64)
    return counted - rows["udp"] if column == "packets" else counted
