"""A small daemon for tests: the real control socket over orders that hold still.

    python tests/steady.py SOCKET GROUP [USER ...]

Prints "ready" when it listens; tells an event to those who follow for every line of standard input.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from floodwatch.config.settings import ControlSettings
from floodwatch.daemon.control import Control
from floodwatch.daemon.picture import Link, Mode, Picture
from floodwatch.errors import ConfigError, EnforceError
from floodwatch.mitigate import Act
from floodwatch.model.event import Change, Event

R = TypeVar("R")
EVENT = msgspec.convert(
    {
        "id": "20250127T021740Z-syn_flood-198.51.100.7-443", "input": "eth0", "seq": 0, "vector": "syn_flood",
        "verdict": "attack", "severity": "high", "confidence": 0.97, "state": "open", "pattern": [],
        "linked": [], "capture": {"interface": "eth0", "unseen_share": 0.0},
        "victim": {"ip": "198.51.100.7", "port": 443, "protocol": "tcp", "path": None},
        "first": "2025-01-27T02:17:40Z", "detected": "2025-01-27T02:17:41Z", "last": "2025-01-27T02:24:10Z",
        "rate": {"peak": 1300.0, "unit": "packet/s", "baseline": None}, "packets": 1, "bytes": 60,
        "sources": {"origin": "forged", "distinct": {"est": 1, "lo": 1, "hi": 1}, "forged_share": None,
                    "top": []},
        "evidence": [], "action": {"recommended": "syn_cookies", "why": "x", "taken": "none"}, "timeline": [],
    },
    Event,
)  # fmt: skip


class Steady:
    """Orders that are carried out by saying so."""

    def __init__(self) -> None:
        self.never = ("192.0.2.0/24",)
        self.asked: list[str] = []

    def picture(self) -> Picture:
        """One of two interfaces, of which one has lost its link."""
        now = time.time()
        links = (Link(name="eth0", up=True, packets=1000, bytes=64_000, lost={"ring": 3}), Link(name="eth1"))
        return Picture(
            version="0", pid=1, sensor=2, started=now - 60, at=now, links=links, wanted=3, enforced=2,
            victims=(("198.51.100.7", 1300.0),), hosts=12, floods={"syn_flood": 1},
            degraded=("eth1 is down",),
        )  # fmt: skip

    def changes(self, since: float, limit: int | None) -> Sequence[Change]:
        """The same one thrice."""
        return [Change("opened", EVENT)] * 3 if limit is None else ([Change("opened", EVENT)] * 3)[:limit]

    def acts(self, since: float) -> Sequence[Act]:
        """One block of each kind."""
        about = {"time": EVENT.first, "event": EVENT.id, "victim": "198.51.100.7 port 443", "why": "x"}
        rows = [
            {"what": "add", "target": "203.0.113.9/32", "known": True},
            {"what": "extend", "target": "203.0.113.9/32"}, {"what": "guard", "target": "a guard"},
            {"what": "refuse", "target": "192.0.2.1/32"},
            {"what": "remove", "target": "203.0.113.9/32", "packets": 7, "enforced": False},
        ]  # fmt: skip
        return [msgspec.convert({**about, **row}, Act) for row in rows]

    async def on_hands(self, work: Callable[[], R]) -> R:
        """Nothing reaches the kernel of whoever runs tests."""
        raise EnforceError("nothing is carried out here")

    async def mode(self, mode: Mode, confirm_s: float | None, by: str) -> str:
        """Say so."""
        return f"{mode} for {confirm_s}, ordered by {by}"

    async def reload(self, by: str) -> str:
        """Find that the file is wrong."""
        raise ConfigError("floodwatch.toml:3:1: there is no key treshold, did you mean threshold?")


async def serve(socket: str, group: str, users: tuple[str, ...]) -> None:
    """Serve until standard input ends."""
    settings = ControlSettings(socket=socket, group=group, users=users)
    held = Steady()
    control = Control(held, held, settings, lambda line: print(line, file=sys.stderr, flush=True))
    async with control:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            for _ in range(int(line)):
                control.changed(Change("opened", EVENT))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], tuple(sys.argv[3:])))
