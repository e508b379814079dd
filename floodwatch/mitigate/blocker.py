"""Blocks for programs and for the ``ctl`` command: plan, apply, read back. Dry run unless told
otherwise."""

from __future__ import annotations

import errno
import ipaddress
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as changed
from types import TracebackType

from msgspec.structs import replace

from ..errors import BlockRefused, EnforceError
from ..history.answers import Answers
from ..history.memory import Networks
from ..model.decision import Decision
from ..model.event import Action
from .backend import DRY, XDP, Backend, make
from .effects import QUIET_S, Effects
from .guards import TAKEN, Guard, Shield, Standing
from .keeper import Keeper, witnessed
from .never import OWN, NeverBlock
from .nft.codec import COMMENT
from .plan import MINE, NOBODY, Block, Network, Ordered, Policy, Proven, Step, Tally, gather, plan, prove
from .shields import shield

MINUTE_S = 60.0
TTL_MOST = 31_536_000
OFFENDERS_MOST = 65_536
"""Networks whose offences are remembered."""
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
        self._offences: dict[Network, int] = {}
        self._proven: dict[Network, Proven] = {}
        self._last: dict[Network, tuple[Block, float]] = {}
        self._added: deque[float] = deque()
        self._effects = Effects(min(QUIET_S, self.policy.ttl_s))
        self._short = 0
        self._news: list[str] = []
        named = DRY if dry_run else XDP if xdp else backend
        self._backend: Backend = make(named, xdp) if isinstance(named, str) else named
        self._keeper = Keeper(self._backend, self._shield, self._own)
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
        told, self._news = [*self._backend.news(), *self._news], []
        return told

    def track(self) -> None:
        """Let the kernel's connection tracking learn who is served, before there is any guard."""
        self._keeper.track()

    def guard(
        self,
        decisions: Sequence[Decision],
        known: Networks,
        answers: Answers | None = None,
        *,
        one_way: bool = False,
    ) -> list[str]:
        """Bring the guards in line with floods whose sources prove nothing; returns what was done, in words.

        Args:
            decisions: about the floods that are going on.
            known: networks whose clients pass limits, see ``history.memory``.
            answers: what victims answer: a guard after which they fall is taken back.
            one_way: only what comes in is seen, so that nothing tells what is served.

        Raises:
            BlockRefused: a decision comes from a report.
            EnforceError: the kernel refused; nothing was changed.
        """
        return self._keeper.bring(decisions, known, answers, one_way=one_way)

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
        return shield(victim, own=self._own(victim))

    def _own(self, victim: Network) -> bool:
        return self.never.reasons.get(victim) == OWN

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
        witnessed(decisions)
        self._look_after_the_table()
        now, counted = time.monotonic(), self._counted()
        self._news += self._effects.measured(counted, now)
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
            wanted, self.policy, standing, self._offences, quiet=self._over(standing, quiet, proven),
            lately=self._lately(now), known=known,
        )  # fmt: skip
        self._apply([step for step in steps if step.what != "refuse"], now)
        return steps

    def _over(
        self, standing: Iterable[Network], quiet: Iterable[Network], proven: Mapping[Network, Proven]
    ) -> dict[Network, str]:
        """Blocks that go, and why."""
        over = {n: "no packets from there any more" for n in quiet if n not in proven}
        return over | {n: why for n in standing if (why := self.policy.never(n))}

    def _lately(self, now: float) -> int:
        while self._added and now - self._added[0] > MINUTE_S:
            self._added.popleft()
        return len(self._added)

    def _counted(self) -> dict[Network, tuple[Block, int]]:
        """What stands, with what it dropped; remembered, in case somebody takes it away."""
        found, now = self._backend.counted(), time.monotonic()
        self._last = {network: (block, now + block.seconds) for network, (block, _) in found.items()}
        return found

    def _look_after_the_table(self) -> None:
        """Look again for those who must not be blocked; a table that somebody took away comes back."""
        self.never.refresh()
        complaint = self.never.complaint()
        self._news += [complaint] if complaint else []
        made = self._backend.ensure(self.never.reasons)
        if made:
            self._keeper.again()
        self._lifted = self._backend.lifted()
        now = time.monotonic()
        lost = [replace(block, seconds=until - now) for block, until in self._last.values() if until > now]
        if made and lost:
            self._backend.apply([Step("add", block, "it was removed") for block in lost])
            self._news.append(f"the table was removed by somebody: {len(lost)} blocks restored")

    def _apply(self, steps: Sequence[Step], now: float) -> None:
        """Carry the steps out, and read back whether the kernel holds what it took."""
        if not steps:
            return
        self._apply_what_fits(steps)
        held = self._counted()
        added = [step for step in steps if step.what == "add" and step.block.network in held]
        for step in added:
            network = step.block.network
            self._offences[network] = self._offences.pop(network, 0) + 1  # the newest stand last
            self._added.append(now)
        for oldest in list(self._offences)[: max(len(self._offences) - OFFENDERS_MOST, 0)]:
            del self._offences[oldest]
        self._effects.begin(added, now)
        wanted = [step.block.network for step in steps if step.what != "remove"]
        short = sum(network not in held for network in wanted)
        if short and short != self._short:
            self._news.append(f"wanted {len(wanted)} more blocks, enforced {len(wanted) - short}, retrying")
        self._short = short

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
