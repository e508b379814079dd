"""What blocks do: each is an experiment, looked at one and three seconds after it was put up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .plan import MINE, Block, Network, Step

LOOKS_S = (1.0, 3.0)
QUIET_S = 10.0
"""Seconds without a packet from a blocked source after which its block is lifted."""


@dataclass(slots=True)
class _Trial:
    """The blocks of one event: since when, whom, and how often they were looked at."""

    began: float
    networks: list[Network] = field(default_factory=list)
    looked: int = 0


class Effects:
    """Follows what each block drops. All times are seconds of a clock that only goes forward.

    Args:
        quiet_s: seconds without a packet after which a blocked source has gone quiet.
    """

    def __init__(self, quiet_s: float = QUIET_S) -> None:
        self._quiet_s = quiet_s
        self._heard: dict[Network, tuple[int, float]] = {}
        self._trials: dict[str, _Trial] = {}

    def begin(self, steps: Iterable[Step], now: float) -> None:
        """Blocks are put up: each is predicted to meet packets of its source."""
        for step in steps:
            why = step.block.why
            if step.what == "add" and why.startswith(MINE):
                self._trials.setdefault(why, _Trial(now)).networks.append(step.block.network)

    def listen(
        self, counted: Mapping[Network, tuple[Block, int]], now: float
    ) -> tuple[list[Network], list[Network]]:
        """The blocked networks that still send, and those that have gone quiet."""
        heard = {}
        for network, (block, packets) in counted.items():
            if block.why.startswith(MINE):
                before, since = self._heard.get(network, (0, now))
                # a renewal may begin the count anew: that is no packet
                heard[network] = (packets, now if packets not in (0, before) else since)
        self._heard = heard
        busy, quiet = list[Network](), list[Network]()
        for network, (_, since) in heard.items():
            (busy if now - since < self._quiet_s else quiet).append(network)
        return busy, quiet

    def measured(self, counted: Mapping[Network, tuple[Block, int]], now: float) -> list[str]:
        """What the blocks of each event did one and three seconds after the first of them, in words."""
        said = list[str]()
        for why, trial in self._trials.items():
            after = LOOKS_S[trial.looked]
            if now - trial.began < after:
                continue
            packets = [counted[network][1] for network in trial.networks if network in counted]
            met = sum(count > 0 for count in packets)
            said.append(
                f"{why.removeprefix(MINE)}: {met} of {len(trial.networks)} blocks dropped packets within "
                f"{after:.0f} s, {sum(packets):,} in all"
            )
            trial.looked += 1
        self._trials = {why: t for why, t in self._trials.items() if t.looked < len(LOOKS_S)}
        return said
