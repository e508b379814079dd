"""The one thread that may wait for the kernel, so that signs of life and answers never do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


class Worker:
    """Does one thing after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "hands")
        self._waiting: list[float] = []
        self.submit = self._thread.submit
        """Let something be done, and do not wait for it."""

    async def do(self, work: Callable[[], R]) -> R:
        """Let something be done, and wait for it."""
        begin = time.monotonic()
        self._waiting.append(begin)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting.remove(begin)

    def waits(self) -> float:
        """Seconds for which somebody has waited for longest."""
        return time.monotonic() - self._waiting[0] if self._waiting else 0.0

    def close(self) -> None:
        """Finish what was begun."""
        self._thread.shutdown()
