"""Blocks for programs and for the ``ctl`` command: plan, apply, read back. Dry run unless told
otherwise."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from ..errors import BlockRefused
from ..memory import Networks
from ..model import Action, Event
from .codec import COMMENT
from .guards import LIFETIME_S, TAKEN, Guard, Standing, Trials, orders
from .never import OWN, NeverBlock
from .nftables import Table
from .plan import Block, Network, Ordered, Policy, Proven, Step, plan, prove

SYN_COOKIES = "/proc/sys/net/ipv4/tcp_syncookies"
QUIET_S = 10.0
"""Seconds without a packet from a blocked source after which its block is lifted."""


class Blocker:
    """Blocks sources in the kernel, or only says what it would do.

    Args:
        dry_run: decide and tell, but never open a netfilter socket.
        never_block: networks that must not be blocked, on top of loopback, this host, its gateways,
            resolvers, time servers and live SSH peers.
        policy: the limits; its ``never`` is replaced.

    Raises:
        EnforceError: the kernel has no nf_tables, or this process no right to it.
        ValueError: a never-block entry is no network.

    Example:
        >>> from floodwatch import Blocker
        >>> with Blocker() as blocker:
        ...     str(blocker.block("203.0.113.9", ttl=600, reason="example"))
        'add    203.0.113.9/32 for 600 s: you ordered it'
    """

    def __init__(
        self, *, dry_run: bool = True, never_block: Iterable[str] = (), policy: Policy | None = None
    ) -> None:
        self.never = NeverBlock(never_block)
        self.policy = replace(policy or Policy(), never=self.never.why)
        self._offences: dict[Network, int] = {}
        self._planned: dict[Network, Block] = {}
        self._proven: dict[Network, Proven] = {}
        self._heard: dict[Network, tuple[int, float]] = {}
        self._trials = Trials()
        self._guarded: dict[Guard, Standing] = {}
        self._passing = np.zeros(0, np.uint64)
        self._table = None if dry_run else Table()
        if self._table is not None:
            self._table.ensure(self.never.reasons)

    @property
    def dry_run(self) -> bool:
        """True when nothing reaches the kernel."""
        return self._table is None

    def guard(self, events: Sequence[Event], known: Networks) -> list[str]:
        """Bring the guards in line with floods whose sources prove nothing; returns what was done, in words.

        Args:
            events: the floods that are going on.
            known: networks whose clients pass limits, see ``memory``.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        wanted, standing = orders(events), self.guards()
        up, down, said = self._trials.plan(wanted, standing, time.monotonic())
        if self._table is None:
            for order in up:
                self._guarded[order.guard] = Standing(1, LIFETIME_S, f"fw:{order.event}")
            for guard in down:
                self._guarded.pop(guard, None)
        elif up or down:
            fresh = known if not standing else np.setdiff1d(known, self._passing)
            self._table.guard(up, down, fresh)
            self._passing = known
        return said

    def guards(self) -> dict[Guard, Standing]:
        """What guards stand: read back from the kernel, or what a dry run would have put up."""
        return dict(self._guarded) if self._table is None else self._table.guards()

    def taken(self, events: Sequence[Event]) -> list[Action]:
        """What stands in the kernel against each event, read back once for all of them."""
        if not events:
            return []
        against: dict[str, Action] = {held.why: TAKEN[guard.kind] for guard, held in self.guards().items()}
        against |= dict.fromkeys({block.why for block in self.active().values()}, "drop_sources")
        return [against.get(f"fw:{event.id}"[:COMMENT]) or self._passive(event) for event in events]

    def _passive(self, event: Event) -> Action:
        cookies = event.action.recommended == "syn_cookies" and self._cookies_protect(event.victim.ip)
        return "syn_cookies" if cookies else "none"

    def _cookies_protect(self, victim: str) -> bool:
        """SYN cookies are on, and the victim is this host."""
        if "/" in victim or self.never.reasons.get(ipaddress.ip_network(victim)) != OWN:
            return False
        return Path(SYN_COOKIES).read_text().strip() != "0" if Path(SYN_COOKIES).exists() else False

    def active(self) -> dict[Network, Block]:
        """What is blocked: read back from the kernel, or what a dry run would have done."""
        return dict(self._planned) if self._table is None else self._table.blocks()

    def block(self, network: str, *, ttl: float, reason: str) -> Step:
        """Block one network because the caller orders it.

        Raises:
            BlockRefused: it must never be blocked, or is too wide.
            EnforceError: the kernel refused.
            ValueError: it is no network.
        """
        ordered = Ordered(ipaddress.ip_network(network, strict=False), reason)
        policy = replace(self.policy, ttl_s=max(int(ttl), 1), ttl_max_s=max(int(ttl), 1))
        standing = {n: b for n, b in self.active().items() if n != ordered.network}
        (step,) = plan([ordered], policy, standing)
        if step.what == "refuse":
            raise BlockRefused(f"{ordered.network} is not blocked: {step.why}")
        self._apply([replace(step, what="extend") if ordered.network in self.active() else step])
        return step

    def unblock(self, network: str) -> bool:
        """Lift the block of one network; returns whether there was one."""
        block = self.active().get(ipaddress.ip_network(network, strict=False))
        if block is None:
            return False
        self._apply([Step("remove", block, "you ordered it")])
        return True

    def enforce(self, events: Sequence[Event]) -> list[Step]:
        """Bring the blocks in line with what events prove; returns the steps, refusals included.

        A blocked flood looks as if it were over, so what a block drops counts as well: it is renewed while
        packets come, and lifted when none came for ``QUIET_S`` seconds.

        Raises:
            EnforceError: the kernel refused; nothing was changed.
        """
        self.refresh()
        proven = {item.network: item for event in events for item in prove(event)}
        counted = self._counted()
        busy, quiet = self._listen(counted)
        wanted = [*proven.values(), *(self._proven[n] for n in busy if n in self._proven and n not in proven)]
        self._proven = {n: item for n, item in (self._proven | proven).items() if n in counted or n in proven}
        standing = {network: block for network, (block, _) in counted.items()}
        lifted = [network for network in quiet if network not in proven]
        steps = plan(wanted, self.policy, standing, self._offences, quiet=lifted)
        self._apply([step for step in steps if step.what != "refuse"])
        return steps

    def _counted(self) -> dict[Network, tuple[Block, int]]:
        if self._table is None:
            return {network: (block, 0) for network, block in self._planned.items()}
        return self._table.counted()

    def _listen(self, counted: Mapping[Network, tuple[Block, int]]) -> tuple[list[Network], list[Network]]:
        """The networks of proven sources that still send into their blocks, and those that went quiet."""
        now, heard = time.monotonic(), {}
        for network, (_, packets) in counted.items():
            before, since = self._heard.get(network, (-1, now))
            heard[network] = (packets, now if packets != before else since)
        self._heard = heard
        mine = [n for n, (block, _) in counted.items() if block.why.startswith("fw:")]
        busy = [n for n in mine if now - heard[n][1] < QUIET_S]
        return busy, [n for n in mine if now - heard[n][1] >= QUIET_S]

    def refresh(self) -> None:
        """Look again for those who must not be blocked; the kernel follows, and a lost table comes back."""
        changed = self.never.refresh()
        if self._table is not None and (changed or not self._table.exists()):
            self._table.ensure(self.never.reasons)
        for network in [n for n in self.active() if self.never.why(n)]:
            self.unblock(str(network))

    def _apply(self, steps: Sequence[Step]) -> None:
        for step in steps:
            network = step.block.network
            if step.what == "add":
                self._offences[network] = self._offences.get(network, 0) + 1
            if step.what == "remove":
                self._planned.pop(network, None)
            else:
                self._planned[network] = step.block
        if self._table is not None:
            self._table.apply(steps)

    def close(self) -> None:
        """Let go of the kernel; what is blocked stays until its time is up."""
        if self._table is not None:
            self._table.close()

    def __enter__(self) -> Blocker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
