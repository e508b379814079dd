"""Guessing of logins by many sources that try once or twice each: only their victim sees it.

People mistype a password now and then, and a service that limits sign-ups answers with 429 or 503. Where
four of five posts of the last 20 s were denied (401 or 403) and nearly all went to one path, that is neither.
Sources that try often are told apart one by one in ``scripts``. Left out: logins that are refused with a
status of 200, and what TLS hides.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..history.servers import Lookback, Server
from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.finding import Finding
from ..model.summary import Summary
from ..model.vector import Vector

LEAST = 100
"""Posts in 20 s: five a second ..."""
DENIED = 0.8
"""... of which this share was denied ..."""
ONE_PATH = 0.8
"""... and this share went to one path."""


class GuessingDetector:
    """Judges servers once a second; remembers those that denied something lately."""

    def __init__(self) -> None:
        self._lately = Lookback(("requests", "posts", "denied"), ("denied",))

    def detect(self, summary: Summary, told: set[Address]) -> Iterator[Finding]:
        """The findings of the second that ends with this epoch; ``told`` are the victims named already."""
        if not self._lately.second(summary):
            return
        for server in self._lately.servers.values():
            sums = server.sums()
            if server.address in told or sums["posts"] < LEAST or sums["denied"] < DENIED * sums["posts"]:
                continue
            ((path, votes),) = server.posted.most_common(1) or [("", 0)]
            if votes and votes >= ONE_PATH * server.posted.total():
                yield _finding(summary, server, sums, path)


def _finding(summary: Summary, server: Server, sums: dict[str, int], path: str) -> Finding:
    count = server.lately(summary.epoch - EPOCHS_PER_SECOND)["posts"]
    return Finding(
        vector=Vector.LOGIN_BRUTEFORCE,
        victim=server.address,
        protocol="tcp",
        epoch=summary.epoch,
        over=count > 0,
        persist=1,
        count=count,
        bytes=0,
        first_ns=summary.first_ns,
        last_ns=summary.last_ns,
        unit="req/s",
        keys=[(server.port, count)],
        paths=[(path, count)],
        facts={
            "requests": float(sums["posts"]),
            "errors": float(sums["denied"]),
            "posts": float(sums["posts"]),
            "paths": 1.0,
            "asked": 0.0,
            "proven_requests": 0.0,
        },
    )
