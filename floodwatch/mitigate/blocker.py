"""Blocks for programs and for the ``ctl`` command: plan, apply, read back. Dry run unless told
otherwise."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as changed
from types import TracebackType

import numpy as np
from msgspec.structs import replace

from ..errors import BlockRefused, EnforceError
from ..history.memory import Networks
from ..model.decision import Decision, check
from ..model.event import Action
from .backend import DRY, XDP, Backend, make
from .effects import QUIET_S, Effects
from .guards import TAKEN, Guard, Shield, Standing, Trials, orders
from .never import NeverBlock
from .nft.codec import COMMENT
from .plan import MINE, NOBODY, Block, Network, Ordered, Policy, Proven, Step, Tally, gather, plan, prove
from .shields import shield
from .upkeep import Upkeep

TTL_MOST = 31_536_000
LIFTED = "you lifted its block"


class Blocker:
    """Blocks sources in the kernel, or only says what it would do.

    Args:
        dry_run: decide and tell, but never open a netfilter socket.
        backend: what holds the rules: a name of ``BACKENDS``, or one that is open and is closed with this.
        never_block: networks that must not be blocked, on top of loopback, this host, its gateways,
            resolvers, time servers and live SSH peers.
        never_file: a file with more of them, followed as it changes; or None.
        policy: the limits; its ``never`` is replaced.
        xdp: interfaces on which an XDP program drops what the table blocks, ahead of it: the backend xdp.

    Raises:
        EnforceError: the kernel has no nf_tables or XDP, or this process no right to it.
        ConfigError: the file cannot be read, or there is no such backend.
        ValueError: a never-block entry is no network.

    Example:
        >>> from floodwatch import Blocker
        >>> with Blocker() as blocker:
        ...     str(blocker.block("203.0.113.9", ttl=600, reason="example"))
        'add    203.0.113.9/32 for 600 s: ordered by you'
    """

    def __init__(
        self,
        *,
        dry_run: bool = True,
        backend: str | Backend = "nft",
        never_block: Iterable[str] = (),
        never_file: str | None = None,
        policy: Policy | None = None,
        xdp: Sequence[str] = (),
    ) -> None:
        self.never = NeverBlock(never_block, never_file)
        self.policy = changed(policy or Policy(), never=self._never)
        self.dry_run = dry_run
        self._lifted: set[Network] = set()
        self._proven: dict[Network, Proven] = {}
        self._effects = Effects(min(QUIET_S, self.policy.ttl_s))
        self._trials = Trials()
        self._passing = np.zeros(0, np.uint64)
        named = DRY if dry_run else XDP if xdp else backend
        self._backend: Backend = make(named, xdp) if isinstance(named, str) else named
        self._upkeep = Upkeep(self._backend, self._effects)
        try:
            self._backend.ensure(self.never.reasons)
        except BaseException:
            self._backend.close()
            raise

    def _never(self, network: Network) -> str | None:
        if any(network.version == held.version and network.overlaps(held) for held in self._lifted):
            return LIFTED
        return self.never.why(network)

    def news(self) -> list[str]:
        """What became of rules since this was last asked, in words: effects, repairs, what is missing."""
        return [*self._backend.news(), *self._upkeep.told()]

    def guard(self, decisions: Sequence[Decision], known: Networks) -> list[str]:
        """Bring the guards in line with floods whose sources prove nothing; returns what was done, in words.

        Args:
            decisions: about the floods that are going on.
            known: networks whose clients pass limits, see ``history.memory``.

        Raises:
            BlockRefused: a decision comes from a report.
            EnforceError: the kernel refused; nothing was changed.
        """
        _witnessed(decisions)
        wanted, standing = orders(decisions, self._shield), self.guards()
        up, down, said = self._trials.plan(wanted, standing, time.monotonic())
        if up or down:
            fresh = known if not standing else np.setdiff1d(known, self._passing)
            self._backend.guard(up, down, fresh)
            self._passing = known
        return said

    def guards(self) -> dict[Guard, Standing]:
        """What guards stand: read back from the kernel, or what a dry run would have put up."""
        return self._backend.guards()

    def taken(self, decisions: Sequence[Decision]) -> list[Action]:
        """What stands in the kernel against each flood, read back once for all of them."""
        if not decisions:
            return []
        against: dict[str, Action] = {held.why: TAKEN[guard.kind] for guard, held in self.guards().items()}
        for block in sorted(self.active().values(), key=lambda block: -block.rate):
            against[block.why] = "limit_per_source" if block.rate else "drop_sources"
        return [against.get(f"{MINE}{one.id}"[:COMMENT]) or self._passive(one) for one in decisions]

    def _passive(self, decision: Decision) -> Action:
        cookies = decision.protection == "cookies" and self._shield(decision.victim) == "cookies"
        return "syn_cookies" if cookies else "none"

    def _shield(self, victim: Network) -> Shield:
        return shield(victim, own=victim in self.never.places.own)

    def active(self) -> dict[Network, Block]:
        """What is blocked: read back from the kernel, or what a dry run would have done."""
        return {network: block for network, (block, _) in self._backend.counted().items()}

    def dropped_ahead(self) -> Tally:
        """What XDP did with packets before any tap could see them."""
        return self._backend.ahead()

    def block(self, network: str, *, ttl: float, reason: str) -> Step:
        """Block one network because the caller orders it.

        Raises:
            BlockRefused: it must never be blocked, or is too wide.
            EnforceError: the kernel refused.
            ValueError: it is no network, or the time is none.
        """
        if "%" in str(network) or not 1 <= ttl <= TTL_MOST:
            raise ValueError(f"{network} for {ttl} s: give a network without a zone, and 1 s to a year")
        ordered = Ordered(ipaddress.ip_network(network, strict=False), reason)
        policy = changed(self.policy, ttl_s=int(ttl), ttl_max_s=int(ttl))
        active = self.active()
        others = {n: b for n, b in active.items() if n != ordered.network}
        step = next(s for s in plan([ordered], policy, others) if s.block.network == ordered.network)
        if step.what == "refuse":
            raise BlockRefused(f"{ordered.network} is not blocked: {step.why}")
        self._backend.apply([replace(step, what="extend") if ordered.network in active else step])
        self._backend.lift([ordered.network], undo=True)
        if ordered.network not in self.active():
            raise EnforceError(f"the kernel accepted {ordered.network} but does not hold it: try again")
        return step

    def unblock(self, network: str) -> bool:
        """Lift the block of one network; returns whether there was one.

        A watch that enforces leaves it alone for the next ten minutes.
        """
        named = ipaddress.ip_network(network, strict=False)
        return self._unblock([block for network, block in self.active().items() if network == named]) > 0

    def unblock_all(self) -> int:
        """Lift every block; returns how many there were."""
        return self._unblock(list(self.active().values()))

    def _unblock(self, blocks: Sequence[Block]) -> int:
        self._backend.apply([Step("remove", block, "ordered by you") for block in blocks])
        self._backend.lift([block.network for block in blocks])
        return len(blocks)

    def enforce(self, decisions: Sequence[Decision], known: Networks = NOBODY) -> list[Step]:
        """Bring the blocks in line with what decisions prove; returns the steps, refusals included.

        A blocked flood looks as if it were over, so what a block drops counts as well: it is renewed while
        packets come, and lifted when none came for ten seconds.

        Args:
            decisions: about the floods that are going on.
            known: networks of known clients, see ``history.memory``.

        Raises:
            BlockRefused: a decision comes from a report, which is no witness of handshakes.
            EnforceError: the kernel refused; nothing was changed.
        """
        _witnessed(decisions)
        self._look_again()
        now, counted = time.monotonic(), self._upkeep.counted()
        self._upkeep.tell(*self._effects.measured(counted, now))
        proven: dict[Network, Proven] = {}
        for item in sorted((item for one in decisions for item in prove(one)), key=lambda item: item.rate):
            proven.setdefault(item.network, item)  # to drop is more than to limit
        busy, quiet = self._effects.listen(counted, now)
        wanted: Sequence[Proven | Ordered]
        wanted = [*proven.values(), *(self._proven[n] for n in busy if n in self._proven and n not in proven)]
        standing = {network: block for network, (block, _) in counted.items()}
        wanted = gather(wanted, self.policy, standing, known)
        proven |= {item.network: item for item in wanted if isinstance(item, Proven)}
        self._proven = {n: item for n, item in (self._proven | proven).items() if n in counted or n in proven}
        steps = plan(
            wanted, self.policy, standing, self._upkeep.offences, quiet=self._over(standing, quiet, proven),
            lately=self._upkeep.lately(now), known=known,
        )  # fmt: skip
        self._upkeep.apply([step for step in steps if step.what != "refuse"], now)
        return steps

    def _look_again(self) -> None:
        """Who must not be blocked by now; a table that somebody took away comes back."""
        self.never.refresh()
        complaint = self.never.complaint()
        self._upkeep.tell(*([complaint] if complaint else []))
        self._upkeep.restore(self.never.reasons)
        self._lifted = self._backend.lifted()

    def _over(
        self, standing: Iterable[Network], quiet: Iterable[Network], proven: Mapping[Network, Proven]
    ) -> dict[Network, str]:
        """Blocks that go, and why."""
        over = {n: "no packets from there any more" for n in quiet if n not in proven}
        return over | {n: why for n in standing if (why := self.policy.never(n))}

    def withdraw(self) -> str:
        """Take away what events called for, and the table if nothing ordered by hand is left; says what."""
        active = self.active()
        mine = [block for block in active.values() if block.why.startswith(MINE)]
        ordered = len(active) - len(mine)
        if not ordered:
            return "its table is removed" if self._backend.remove() else "it had no table"
        self._backend.apply([Step("remove", block, "the watch ends") for block in mine])
        self._backend.guard([], list(self.guards()), NOBODY)
        return f"its rules are removed; {ordered} manual blocks stay"

    def close(self) -> None:
        """Let go of the kernel; what is blocked stays until its time is up."""
        self._backend.close()
        self.never.close()

    def __enter__(self) -> Blocker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _witnessed(decisions: Iterable[Decision]) -> None:
    """What only a report claims is for somebody to read and load, never for this process to do."""
    for decision in decisions:
        check(decision)
        if decision.proof is not None and not getattr(decision.proof, "witnessed", False):
            raise BlockRefused(
                f"{decision.id}: its handshakes stand in a report and were not counted here: "
                "read and load what floodwatch explain prints"
            )
