"""What stands in a backend, kept up: steps are carried out as far as they fit, what somebody took away comes
back, and who was blocked before is remembered."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from ..errors import EnforceError
from ..history.memory import Networks
from ..history.windows import trim
from .backend import Backend
from .effects import Effects
from .plan import ENOUGH_KNOWN, Block, Network, Policy, Step
from .remembered import Remembered, beyond_share

MINUTE_S = 60.0
LATE_S = 1.0
"""A block that is missed so long before its end did not end by itself."""
OFFENDERS_MOST = 65_536
"""Networks whose offences are remembered."""
RESTORED = "somebody removed it"
"""Why a block is added that had been there."""


class Upkeep:
    """Keeps the blocks of one backend up.

    Args:
        backend: where they stand.
        effects: follows what those that are put up do.

    Attributes:
        offences: how often each network was blocked.
        missing: networks whose blocks stood when this was last read, and are gone before their time.
    """

    def __init__(self, backend: Backend, effects: Effects) -> None:
        self.offences: dict[Network, int] = {}
        self._backend = backend
        self._effects = effects
        self.missing: set[Network] = set()
        self._last: dict[Network, tuple[Block, float]] = {}
        self._added: deque[float] = deque()
        self._short = 0
        self._regained = set[Network]()
        self._news: list[str] = []

    def tell(self, *news: str) -> None:
        """Keep something to be told."""
        self._news += news

    def told(self) -> list[str]:
        """What is to be told, once."""
        told, self._news = self._news, []
        return told

    def lately(self, now: float) -> int:
        """Networks that were blocked anew in the last minute."""
        while self._added and now - self._added[0] > MINUTE_S:
            self._added.popleft()
        return len(self._added)

    def remembered(self) -> Remembered:
        """What is known beyond what a backend holds."""
        now = time.monotonic()
        self.lately(now)
        blocks = (replace(block, seconds=until - now) for block, until in self._last.values() if until > now)
        lately = tuple(now - at for at in self._added)
        return Remembered(at=time.time(), blocks=tuple(blocks), offences=dict(self.offences), lately=lately)

    def resume(self, before: Remembered, back: Sequence[Step]) -> dict[Network, tuple[Block, int]]:
        """Go on from what an earlier one knew, and with the blocks that are to come back; returns what stands
        then.
        """
        now = time.monotonic()
        self.offences = dict(before.offences)
        trim(self.offences, OFFENDERS_MOST)
        self._added = deque(sorted(now - ago for ago in before.lately))
        self._regained = {step.block.network for step in back}
        if back:
            self._apply_what_fits(back)
            self.tell(f"the kernel had lost {len(back)} blocks whose time is not up: they are back")
        return self.counted()

    def beyond(
        self, standing: Mapping[Network, Block], policy: Policy, known: Networks
    ) -> dict[Network, str]:
        """Blocks that go again, for they came back before it was known who is served; and why."""
        found = beyond_share(standing, self._regained, policy, known) if self._regained else {}
        if not found and len(known) >= ENOUGH_KNOWN:
            self._regained = set()
        return found

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """What stands, with what it dropped; remembered, in case somebody takes it away."""
        found, now = self._backend.counted(), time.monotonic()
        self.missing = {n for n, (_, until) in self._last.items() if n not in found and until > now + LATE_S}
        self._last = {network: (block, now + block.seconds) for network, (block, _) in found.items()}
        return found

    def restore(self, never: Iterable[Network], on_made: Callable[[], object]) -> list[Step]:
        """Make the table if it is missing, with the networks to spare; returns the blocks that came back."""
        made = self._backend.ensure(never)
        if made:
            on_made()
        now = time.monotonic()
        lost = [replace(block, seconds=until - now) for block, until in self._last.values() if until > now]
        steps = [Step("add", block, RESTORED) for block in lost if made]
        if steps:
            self._backend.apply(steps)
            self.tell(f"the table was removed by somebody: {len(lost)} blocks restored")
        return steps

    def apply(self, steps: Sequence[Step], now: float) -> dict[Network, tuple[Block, int]]:
        """Carry the steps out, and read back whether the kernel holds what it took; returns what it holds."""
        self._apply_what_fits(steps)
        held = self.counted()
        added = [step for step in steps if step.what == "add" and step.block.network in held]
        for step in added:
            network = step.block.network
            self.offences[network] = self.offences.pop(network, 0) + 1  # the newest stand last
            self._added.append(now)
        trim(self.offences, OFFENDERS_MOST)
        self._effects.begin(added, now)
        wanted = [step.block.network for step in steps if step.what != "remove"]
        short = sum(network not in held for network in wanted)
        if short and short != self._short:
            self.tell(f"wanted {len(wanted)} more blocks, enforced {len(wanted) - short}, retrying")
        self._short = short
        return held

    def _apply_what_fits(self, steps: Sequence[Step]) -> None:
        """All in one transaction; when a set is full, as many of the first as it still takes."""
        try:
            self._backend.apply(steps)
        except EnforceError as error:
            if error.errno != errno.ENFILE:
                raise
            if len(steps) > 1:
                half = len(steps) // 2
                self._apply_what_fits(steps[:half])
                self._apply_what_fits(steps[half:])
