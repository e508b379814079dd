"""Slow HTTP: requests that are begun and never finished, so that they hold the server's places (slowloris).

Browsers send a request's header in one packet, or in two that follow each other at once. A slow client
sends a piece and then next to nothing, and the server waits. What tells is that most requests of the last
while lack their end and most got no answer. Left out: slow bodies and slow readers, whose requests look
whole, and answers that nobody saw (one direction).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..findings import Address, Finding, SourceCount, Summary
from ..model import Vector
from .sources import asking
from .track import EPOCHS_PER_SECOND

MEMORY = 80
"""Epochs (20 s) that are looked back on."""
LEAST = 50
"""Unfinished requests in them from which a server feels it ..."""
SHARE = 0.5
"""... if they are this share of all requests, and answers are fewer than this share."""
NAMED = 8
"""Unfinished requests (connections held) from which one source is named."""
PARTS = 0.1
MAX_VICTIMS = 1024


@dataclass(slots=True)
class _Server:
    """What one server was asked and answered lately: (epoch, requests, unfinished, responses)."""

    address: Address
    port: int
    counts: deque[tuple[int, int, int, int]] = field(default_factory=lambda: deque(maxlen=MEMORY))


class SlowDetector:
    """Judges servers once a second; remembers those that got unfinished requests lately."""

    def __init__(self) -> None:
        self._servers: dict[int, _Server] = {}
        self._age = 0

    def detect(self, summary: Summary) -> Iterator[Finding]:
        """The findings of the second that ends with this epoch, if one does."""
        self._note(summary)
        self._age += 1
        if self._age % EPOCHS_PER_SECOND and not summary.final:
            return
        for reference, server in list(self._servers.items()):
            lately = [row for row in server.counts if row[0] > summary.epoch - MEMORY]
            requests, unfinished, responses = (sum(row[i] for row in lately) for i in (1, 2, 3))
            if not unfinished:
                del self._servers[reference]
            elif unfinished >= LEAST and unfinished >= SHARE * requests and responses < SHARE * requests:
                yield _finding(summary, reference, server, (requests, unfinished, responses))

    def _note(self, summary: Summary) -> None:
        rows = summary.victims
        known = (
            np.isin(rows["reference"], list(self._servers)) if self._servers else np.zeros(len(rows), bool)
        )
        for row in rows[(rows["unfinished"] > 0) | known]:
            reference = int(row["reference"])
            if reference not in self._servers and len(self._servers) >= MAX_VICTIMS:
                continue
            address = int(row["hi"]), int(row["lo"])
            server = self._servers.setdefault(reference, _Server(address, int(row["http_port"])))
            server.counts.append(
                (summary.epoch, int(row["requests"]), int(row["unfinished"]), int(row["responses"]))
            )


def _finding(summary: Summary, reference: int, server: _Server, sums: tuple[int, int, int]) -> Finding:
    requests, unfinished, responses = sums
    fresh = sum(row[2] for row in server.counts if row[0] > summary.epoch - EPOCHS_PER_SECOND)
    rows = asking(summary.heavy())
    rows = rows[
        (rows["victim"] == reference)
        & (rows["proven"] >= NAMED)
        & (rows["assets"] <= PARTS * rows["requests"])
    ]
    proven = float(rows["requests"].sum())
    return Finding(
        vector=Vector.SLOW_HTTP,
        victim=server.address,
        protocol="tcp",
        epoch=summary.epoch,
        over=True,
        persist=1,
        count=fresh,
        bytes=0,
        first_ns=summary.first_ns,
        last_ns=summary.last_ns,
        unit="conn/s",
        facts={
            "requests": float(requests),
            "unfinished": float(unfinished),
            "responses": float(responses),
            "asked": proven,
            "proven_requests": proven,
        },
        keys=[(server.port, fresh)],
        top=[
            SourceCount(
                int(r["source"]), bool(r["v6"]), int(r["proven"]), int(r["packets"]) + int(r["missed"])
            )
            for r in rows
        ],
    )
