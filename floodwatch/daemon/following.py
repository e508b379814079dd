"""Who follows what happens: a few clients at most, and of what waits to be read so much."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .orders import Code, Fault

if TYPE_CHECKING:
    from ..model.event import Change

FOLLOWERS_MOST = 8
"""Those who follow stay: other clients always find places that are soon free again."""
WAITING_MOST = 1000


class Refused(Exception):  # noqa: N818 (it is an answer)
    """There is no result; ``over``: nor is there any other, the client is let go."""

    def __init__(self, code: Code, says: str, *, over: bool = False) -> None:
        super().__init__(says)
        self.fault, self.over = Fault(code, says), over


class Follower:
    """What waits to be told to one who follows; too much of it, and it is let go."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Change] = asyncio.Queue(WAITING_MOST)
        self._lost = False

    def tell(self, change: Change) -> None:
        """Keep this, if there is room."""
        try:
            self._waiting.put_nowait(change)
        except asyncio.QueueFull:
            self._lost = True

    async def next(self, gone: asyncio.Future[bytes]) -> Change | None:
        """The next one; None when the client is gone before it comes.

        Raises:
            Refused: some were lost.
        """
        if self._lost:
            raise Refused("slow", f"you read too slowly: more than {WAITING_MOST} changes waited", over=True)
        fresh = asyncio.ensure_future(self._waiting.get())
        try:
            await asyncio.wait((gone, fresh), return_when=asyncio.FIRST_COMPLETED)
            return None if gone.done() else fresh.result()
        finally:
            fresh.cancel()


class Followers:
    """All of them."""

    def __init__(self) -> None:
        self._held: set[Follower] = set()

    def tell(self, change: Change) -> None:
        """This happened."""
        for follower in self._held:
            follower.tell(change)

    @contextmanager
    def one(self, *, follow: bool) -> Iterator[Follower | None]:
        """A place among them, taken before anything is told so that nothing is missed; None: it follows not.

        Raises:
            Refused: there is none left.
        """
        if not follow:
            yield None
            return
        if len(self._held) >= FOLLOWERS_MOST:
            raise Refused("busy", f"{FOLLOWERS_MOST} clients follow: end one, or ask without following")
        follower = Follower()
        self._held.add(follower)
        try:
            yield follower
        finally:
            self._held.discard(follower)
