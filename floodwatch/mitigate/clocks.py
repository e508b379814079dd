"""How much time passed between two moments, whatever becomes of the clocks and of the host.

The clock that counts from the host's start (CLOCK_BOOTTIME) cannot be set, and means nothing after the next
start; wall-clock time goes on then, and can be set. So both are written down.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
Seconds = Annotated[float, Meta(ge=0, le=1e12)]


class Clocks(Struct, frozen=True, kw_only=True):
    """What the clocks showed at one moment.

    Attributes:
        boot: names this run of the host.
        up: seconds since it started.
        wall: Unix time.
    """

    boot: Annotated[str, Meta(max_length=64)]
    up: Seconds
    wall: Seconds

    def passed(self, since: Clocks) -> float:
        """Seconds since then; 0 where the clocks say that it is still to come."""
        same = self.boot == since.boot
        return max(self.up - since.up if same else self.wall - since.wall, 0.0)


@cache
def _boot() -> str:
    """This run of the host. It is looked up once: who gave up his rights may open no file."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:  # then wall-clock time it is
        return f"unknown at {time.time_ns()}"


def clocks() -> Clocks:
    """The clocks as they are now."""
    return Clocks(boot=_boot(), up=time.clock_gettime(time.CLOCK_BOOTTIME), wall=time.time())
