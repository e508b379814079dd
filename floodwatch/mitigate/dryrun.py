"""The table that would stand: takes the same calls as ``nft.table.Table``, and opens no netfilter socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from ..history.memory import Networks
from .guards import LIFETIME_S, Guard, Order, Standing
from .plan import MINE, Block, Network, Step
from .sockets import Connections
from .tally import Tally


class DryRun:
    """Blocks and guards that are only remembered; their time runs as it would in the kernel."""

    def __init__(self) -> None:
        self._until: dict[Network, tuple[Block, float]] = {}
        self._guards: dict[Guard, tuple[str, float]] = {}

    def ensure(self, never: Iterable[Network] = ()) -> bool:
        """Nothing has to be made."""
        del never
        return False

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """What would be blocked; nothing is ever dropped."""
        now = time.monotonic()
        self._until = {network: held for network, held in self._until.items() if held[1] > now}
        return {n: (replace(block, seconds=until - now), 0) for n, (block, until) in self._until.items()}

    def apply(self, steps: Sequence[Step]) -> None:
        """Remember the steps of a plan."""
        now = time.monotonic()
        for step in steps:
            if step.what == "remove":
                self._until.pop(step.block.network, None)
            else:
                self._until[step.block.network] = (step.block, now + step.block.seconds)

    def guards(self) -> dict[Guard, Standing]:
        """The guards that would stand; they always meet something, for nobody can tell."""
        now = time.monotonic()
        return {g: Standing(1, until - now, why) for g, (why, until) in self._guards.items() if until > now}

    def guard(self, up: Sequence[Order], down: Sequence[Guard], known: Networks) -> None:
        """Remember guards that would be put up, and forget those that would be taken down."""
        del known
        until = time.monotonic() + LIFETIME_S
        self._guards |= {order.guard: (f"{MINE}{order.event}", until) for order in up}
        for guard in down:
            self._guards.pop(guard, None)

    def sizes(self) -> dict[Network | Guard, int]:
        """Nothing is dropped."""
        return {}

    def track(self) -> None:
        """Nothing has to be known."""

    def spare(self, ask: Callable[[], Connections]) -> None:
        """Nothing is met that could be spared."""
        del ask

    def lift(self, networks: Sequence[Network], *, undo: bool = False) -> None:
        """Nothing stands in a kernel that could remember it."""

    def lifted(self) -> set[Network]:
        """Nobody lifts what only would be blocked."""
        return set()

    def remove(self) -> bool:
        """Forget everything."""
        return False

    def news(self) -> list[str]:
        """Nothing becomes of it."""
        return []

    def ahead(self) -> Tally:
        """Nothing is dropped."""
        return Tally()

    def close(self) -> None:
        """There is nothing to close."""
