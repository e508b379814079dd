"""The last while of servers that something happened to, as sums of their counters."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model.address import Address
from ..model.epoch import CLASS_HTTP, DATA, EPOCHS_PER_SECOND
from ..model.summary import Summary
from .victims import source_registers
from .windows import trim

MEMORY = 80
"""Epochs (20 s) that are looked back on."""
MEMORY_S = MEMORY / EPOCHS_PER_SECOND
MAX_SERVERS = 1024
MAX_ASKED = 4096


class Fresh(NamedTuple):
    """Counters that no finding counted yet, and the epochs in which there were any (see ``Finding``): all of
    them, and of these the last second's, ``quarters`` long, and those before; who asked in them."""

    stretches: list[tuple[int, int]]
    whole: dict[str, int]
    last: dict[str, int]
    earlier: dict[str, int]
    quarters: int
    sources: NDArray[np.uint8]


@dataclass(slots=True)
class Server:
    """One server's last epochs, with a row of counters for each; ``posted`` are votes for paths posted to,
    or asked for with a login."""

    address: Address
    port: int
    columns: tuple[str, ...]
    total: NDArray[np.int64]
    """Sums over all the epochs that are kept."""
    rows: deque[tuple[int, NDArray[np.int64]]] = field(default_factory=deque)
    posted: Counter[str] = field(default_factory=Counter)
    told: int = -1
    """The last epoch that a finding counted."""
    sources: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1 << 10, np.uint8))
    """Who asked since then."""
    stalling: set[int] = field(default_factory=set)
    """Pairs that opened many connections and stalled them."""

    def sums(self) -> dict[str, int]:
        """Sums of the counters over all the epochs that are kept."""
        return dict(zip(self.columns, self.total.tolist(), strict=True))

    def lately(self, since: int) -> dict[str, int]:
        """Sums of the counters over the epochs after ``since``, of which there are few."""
        total = np.zeros(len(self.columns), np.int64)
        for epoch, row in reversed(self.rows):
            if epoch <= since:
                break
            total = total + row
        return dict(zip(self.columns, total.tolist(), strict=True))

    def fresh(self, epoch: int) -> Fresh:
        """What no finding counted yet; it is told with this epoch."""
        second = max(epoch - EPOCHS_PER_SECOND, self.told)
        new, stretches = [at for at, _ in self.rows if at > self.told], list[tuple[int, int]]()
        for at in new:
            if stretches and stretches[-1][1] == at:
                stretches[-1] = stretches[-1][0], at + 1
            else:
                stretches.append((at, at + 1))
        whole, last = self.lately(self.told), self.lately(second)
        self.told = epoch
        earlier = {name: count - last[name] for name, count in whole.items()}
        asked, self.sources = self.sources, np.zeros_like(self.sources)
        return Fresh(stretches, whole, last, earlier, max(epoch - second, 1), asked)

    def add(self, epoch: int, row: NDArray[np.int64]) -> None:
        """Take in one epoch's counters."""
        self.rows.append((epoch, row))
        self.total += row

    def forget(self, until: int) -> None:
        """Drop the epochs up to ``until``."""
        while self.rows and self.rows[0][0] <= until:
            self.total -= self.rows.popleft()[1]


class Asked:
    """Addresses and HTTP ports of the hosts that were asked something, by the reference that tables have."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Address, int]] = {}

    def note(self, summary: Summary) -> None:
        """Take in an epoch."""
        if not len(summary.victims):
            return
        for row in summary.victims[summary.victims["requests"] > 0]:
            address = int(row["hi"]), int(row["lo"])
            self.known[int(row["reference"])] = address, int(row["http_port"])
        trim(self.known, MAX_ASKED)


class Lookback:
    """Remembers servers from the first epoch that is chosen until nothing of it is left.

    Args:
        columns: counters of a victim's row that are kept; ``sent`` are its packets of TCP data, and ``out``
            all that it sent.
        marks: those of them of which one above 0 makes a server worth remembering.
    """

    def __init__(self, columns: tuple[str, ...], marks: tuple[str, ...]) -> None:
        self.servers: dict[int, Server] = {}
        self._newest = -1
        self._told = -EPOCHS_PER_SECOND
        self._columns, self._marks = columns, marks
        self._marked = [columns.index(name) for name in marks]

    def second(self, summary: Summary) -> bool:
        """Take in an epoch; returns whether a second ends with it, so that it is time to judge."""
        self._note(summary)
        if self._told <= summary.epoch < self._told + EPOCHS_PER_SECOND and not summary.final:
            return False
        self._told = summary.epoch
        return True

    def _note(self, summary: Summary) -> None:
        """Take in an epoch, and forget the servers of which nothing is left."""
        if summary.epoch <= self._newest:  # the clock was set back
            self.servers.clear()
        self._newest = summary.epoch
        if len(summary.victims):
            self._take(summary.victims, summary.epoch)
        for reference, server in list(self.servers.items()):
            server.forget(summary.epoch - MEMORY)
            if not server.total[self._marked].any():
                del self.servers[reference]

    def _take(self, rows: NDArray[np.void], epoch: int) -> None:
        marked = np.zeros(len(rows), bool)
        for name in self._marks:
            marked |= rows[name] > 0
        if self.servers:
            marked |= np.isin(rows["reference"], list(self.servers))
        for row in rows[marked]:
            self._add(epoch, row)

    def _add(self, epoch: int, row: np.void) -> None:
        reference = int(row["reference"])
        server = self.servers.get(reference)
        if server is None:
            if len(self.servers) >= MAX_SERVERS:
                return
            address = int(row["hi"]), int(row["lo"])
            nothing = np.zeros(len(self._columns), np.int64)
            server = self.servers[reference] = Server(address, int(row["http_port"]), self._columns, nothing)
        np.maximum(server.sources, source_registers(row, CLASS_HTTP), out=server.sources)
        server.add(epoch, np.array([_counter(row, name) for name in self._columns], np.int64))
        if int(row["posts"]) or int(row["logins"]):
            self._vote(server, row)

    @staticmethod
    def _vote(server: Server, row: np.void) -> None:
        for bucket in row["paths"]:
            if (bucket["posts"] or row["logins"]) and int(bucket["vote"]) > 0:
                text = bytes(bucket["text"][: int(bucket["length"])]).decode("latin-1")
                server.posted[text] += int(bucket["vote"])
        if server.posted.total() > 4096:  # the newest weigh most, and there are never many
            server.posted = Counter({path: votes // 2 for path, votes in server.posted.items() if votes > 1})


def _counter(row: np.void, name: str) -> int:
    if name == "out":
        return int(row["kinds"]["out"].sum())
    return int(row["kinds"]["out"][DATA] if name == "sent" else row[name])
