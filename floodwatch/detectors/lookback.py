"""The last while of servers that something happened to, as sums of their counters."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..findings import Address, Summary

MAX_SERVERS = 1024


@dataclass(slots=True)
class Server:
    """One server's last epochs, with a row of counters for each; ``posted`` are votes for paths posted to."""

    address: Address
    port: int
    columns: tuple[str, ...]
    epochs: deque[int] = field(default_factory=deque)
    counts: deque[NDArray[np.int64]] = field(default_factory=deque)
    posted: Counter[str] = field(default_factory=Counter)

    def sums(self, since: int) -> dict[str, int]:
        """Sums of the counters over the epochs after ``since``."""
        rows = [row for epoch, row in zip(self.epochs, self.counts, strict=True) if epoch > since]
        total = np.sum(rows, axis=0) if rows else np.zeros(len(self.columns), np.int64)
        return dict(zip(self.columns, total.tolist(), strict=True))


class Lookback:
    """Remembers servers from the first epoch that is chosen until nothing of it is left.

    Args:
        columns: counters of a victim's row that are kept.
        marks: those of them of which one above 0 makes a server worth remembering.
        epochs: how many epochs are kept.
    """

    def __init__(self, columns: tuple[str, ...], marks: tuple[str, ...], epochs: int) -> None:
        self.servers: dict[int, Server] = {}
        self._newest = -1
        self._columns, self._marks, self._epochs = columns, marks, epochs

    def note(self, summary: Summary) -> None:
        """Take in an epoch, and forget the servers of which nothing is left."""
        if summary.epoch <= self._newest:  # the clock was set back
            self.servers.clear()
        self._newest = summary.epoch
        rows = summary.victims
        marked = np.zeros(len(rows), bool)
        for name in self._marks:
            marked |= rows[name] > 0
        if self.servers:
            marked |= np.isin(rows["reference"], list(self.servers))
        for row in rows[marked]:
            self._add(summary.epoch, row)
        for reference, server in list(self.servers.items()):
            while server.epochs and server.epochs[0] <= summary.epoch - self._epochs:
                server.epochs.popleft()
                server.counts.popleft()
            sums = server.sums(summary.epoch - self._epochs)
            if not any(sums[name] for name in self._marks):
                del self.servers[reference]

    def _add(self, epoch: int, row: np.void) -> None:
        reference = int(row["reference"])
        server = self.servers.get(reference)
        if server is None:
            if len(self.servers) >= MAX_SERVERS:
                return
            address = int(row["hi"]), int(row["lo"])
            server = self.servers[reference] = Server(address, int(row["http_port"]), self._columns)
        server.epochs.append(epoch)
        server.counts.append(np.array([row[name] for name in self._columns], np.int64))
        if int(row["posts"]):
            self._vote(server, row)

    @staticmethod
    def _vote(server: Server, row: np.void) -> None:
        for bucket in row["paths"]:
            if bucket["posts"] and int(bucket["vote"]) > 0:
                text = bytes(bucket["text"][: int(bucket["length"])]).decode("latin-1")
                server.posted[text] += int(bucket["vote"])
        if server.posted.total() > 4096:  # the newest weigh most, and there are never many
            server.posted = Counter({path: votes // 2 for path, votes in server.posted.items() if votes > 1})
