"""Blocks for programs and for the ``ctl`` command: plan, apply, read back. Dry run unless told
otherwise."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace as changed

from msgspec.structs import replace

from ..errors import EnforceError
from ..history.answers import Answers
from ..history.memory import Networks
from ..model.address import meet
from ..model.decision import Decision
from ..model.event import Action
from . import ordered
from .audit import Ledger
from .backend import DRY, XDP, Backend, make
from .byhand import UNGUARDED_S, ByHand, What
from .effects import QUIET_S, Effects
from .guards import Guard, Shield, Standing
from .keeper import Keeper, witnessed
from .never import NeverBlock
from .plan import MINE, NOBODY, Block, Network, Ordered, Policy, Proven, Step, adopted, gather, plan, prove
from .remembered import NOTHING, Remembered, regained
from .shields import shield
from .tally import Tally
from .upkeep import Upkeep
from .withdrawal import withdraw

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
        by: who gives orders through it; the user who runs this if not given.

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
        by: str | None = None,
    ) -> None:
        self.by_hand = ByHand(make=not dry_run, by=by)
        self.never = NeverBlock(never_block, never_file, self.by_hand.allowed)
        self.ledger = Ledger(enforced=not dry_run)
        self.policy = changed(policy or Policy(), never=self._never)
        self.dry_run = dry_run
        self._lifted: set[Network] = set()
        self._stood = False
        self._proven: dict[Network, Proven] = {}
        self.wanted: frozenset[Network] = frozenset()
        """Networks that are to be blocked, as of the last ``enforce``, without those that were refused."""
        self._effects = Effects(min(QUIET_S, self.policy.ttl_s))
        named = DRY if dry_run else XDP if xdp else backend
        self._backend: Backend = make(named, xdp) if isinstance(named, str) else named
        self._upkeep = Upkeep(self._backend, self._effects)
        self._keeper = Keeper(self._backend, self._shield, self._own)
        try:
            self._lost = self._backend.ensure(self.never.reasons)
        except BaseException:
            self._backend.close()
            raise

    def _never(self, network: Network) -> str | None:
        if any(meet(network, held) for held in self._lifted):
            return LIFTED
        return self.never.why(network)

    def remembered(self) -> Remembered:
        """What the next one should know; costs no look at the kernel."""
        return replace(self._upkeep.remembered(), avoided=self._keeper.avoided())

    def adopt(self, before: Remembered = NOTHING) -> list[Step]:
        """Go on from what an earlier run knew, at the beginning. Blocks that stand and that events called for
        are renewed while they meet packets: only this program puts them there, and with a proof. Where the
        kernel held no table, as after the host started, blocks come back for their time; these are returned.
        """
        held = self._upkeep.counted()
        self.ledger.saw_blocks(held)
        self._proven |= {n: adopted(block) for n, (block, _) in held.items() if block.why.startswith(MINE)}
        steps = regained(before, self.policy, self.by_hand.unblocked(before.at)) if self._lost else []
        self._keeper.avoid(before.avoided)
        self.ledger.did(steps, self._upkeep.resume(before, steps))
        return steps

    def news(self) -> list[str]:
        """What became of rules since this was last asked, in words: effects, repairs, what is missing."""
        return [*self._backend.news(), *self._upkeep.told()]

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
        unguarded, standing = self.by_hand.unguarded(), self.guards()
        self.ledger.saw_guards(standing)
        wanted = [one for one in decisions if not unguarded or one.victim not in unguarded]
        said = self._keeper.bring(wanted, standing, known, answers, one_way=one_way)
        if standing or said:
            self.ledger.guarded(self.guards(), said)
        return said

    def guards(self) -> dict[Guard, Standing]:
        """What guards stand: read back from the kernel, or what a dry run would have put up."""
        return self._backend.guards()

    def taken(self, decisions: Sequence[Decision]) -> list[Action]:
        """What was done in the kernel about each flood while it lasted, as it was read back."""
        if not decisions:
            return []
        self.ledger.saw_guards(self.guards())
        self.ledger.about(decisions, self._backend.counted())
        return [
            self._passive(one) if (done := self.ledger.taken(one.id)) == "none" else done for one in decisions
        ]

    def _passive(self, decision: Decision) -> Action:
        cookies = decision.protection == "cookies" and self._shield(decision.victim) == "cookies"
        return "syn_cookies" if cookies else "none"

    def _shield(self, victim: Network) -> Shield:
        return shield(victim, own=self._own(victim))

    def _own(self, victim: Network) -> bool:
        return victim in self.never.places.own

    def active(self) -> dict[Network, Block]:
        """What is blocked: read back from the kernel, or what a dry run would have done."""
        return {network: block for network, (block, _) in self.counted().items()}

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """The same, with the packets that each block met."""
        return self._backend.counted()

    def sizes(self) -> Mapping[Network | Guard, int]:
        """Bytes that each block and guard met, as of when they were last read."""
        return self._backend.sizes()

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

        def on_plan(step: Step) -> None:
            self._put_down("block", [step.block.network], why=reason, seconds=ttl)

        return ordered.block(self._backend, self.policy, network, ttl=ttl, reason=reason, on_plan=on_plan)

    def unblock(self, network: str) -> bool:
        """Lift the block of one network; returns whether there was one.

        A watch that enforces leaves it alone for the next ten minutes.
        """
        named = ipaddress.ip_network(network, strict=False)
        held = [block for network, block in self.active().items() if network == named]
        if held:
            self._put_down("unblock", [named], why="ordered by you")
        return ordered.unblock(self._backend, held) > 0

    def unblock_all(self) -> int:
        """Lift every block; returns how many there were."""
        self._put_down("unblock", why="all of them")
        return ordered.unblock(self._backend, list(self.active().values()))

    def unguard(self, victim: Network | None) -> list[Guard]:
        """Take down the guards of a victim, or all; a watch that enforces leaves it so for ten minutes."""
        victims = {guard.victim for guard in self.guards() if victim in (None, guard.victim)}
        if victims:
            self._put_down("unguard", victims, why="ordered by you", seconds=UNGUARDED_S)
        return ordered.unguard(self._backend, victim)

    def _put_down(
        self, what: What, networks: Iterable[Network] = (), *, why: str, seconds: float = 0
    ) -> None:
        """Put an order on record for a watch to see; it is carried out even where that cannot be written."""
        if not self.dry_run:
            with suppress(EnforceError):
                self.by_hand.write(what, networks, why=why, seconds=seconds)

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
        self._look_again(quiet=not (decisions or self._stood))
        now, counted = time.monotonic(), self._upkeep.counted()
        self._upkeep.tell(*self._effects.measured(counted, now))
        self.ledger.about(decisions, counted)
        self.ledger.saw_blocks(counted)
        proven: dict[Network, Proven] = {}
        for item in sorted((item for one in decisions for item in prove(one)), key=lambda item: item.rate):
            proven.setdefault(item.network, item)  # to drop is more than to limit
        busy, quiet = self._effects.listen(counted, now)
        wanted: Sequence[Proven | Ordered]
        kept = (n for n in (*busy, *self._upkeep.missing) if n in self._proven and n not in proven)
        wanted = [*proven.values(), *(self._proven[n] for n in kept)]
        standing = {network: block for network, (block, _) in counted.items()}
        wanted = gather(wanted, self.policy, standing, known)
        proven |= {item.network: item for item in wanted if isinstance(item, Proven)}
        self._proven = {n: item for n, item in (self._proven | proven).items() if n in counted or n in proven}
        self._stood = bool(standing)
        over = self._over(standing, quiet, proven) | self._upkeep.beyond(standing, self.policy, known)
        steps = plan(wanted, self.policy, standing, self._upkeep.offences, quiet=over,
                     lately=self._upkeep.lately(now), known=known)  # fmt: skip
        todo = [step for step in steps if step.what != "refuse"]
        refused = {step.block.network for step in steps if step.what == "refuse"}
        self.wanted = frozenset(item.network for item in wanted if item.network not in refused)
        self.ledger.did(steps, self._upkeep.apply(todo, now) if todo else counted)
        return steps

    def _look_again(self, *, quiet: bool) -> None:
        """Who must not be blocked by now; a table that somebody took away comes back."""
        self.by_hand.refresh()
        self.ledger.ordered(words := self.by_hand.fresh())
        self.never.refresh(rest=quiet and not words)
        complaint = self.never.complaint()
        self._upkeep.tell(*([complaint] if complaint else []))
        restored = self._upkeep.restore(self.never.reasons, self._keeper.again)
        self.ledger.did(restored, {step.block.network: (step.block, 0) for step in restored})
        self._lifted = self._backend.lifted()

    def _over(
        self, standing: Iterable[Network], quiet: Iterable[Network], proven: Mapping[Network, Proven]
    ) -> dict[Network, str]:
        """Blocks that go, and why."""
        over = {n: "no packets from there any more" for n in quiet if n not in proven}
        return over | {n: why for n in standing if (why := self.policy.never(n))}

    def stand_down(self, why: str) -> str:
        """Take away what events called for: from now on it is only observed."""
        said = self.withdraw(why)
        self.ledger.stood_down(why)
        return said

    def withdraw(self, why: str = "the watch ends") -> str:
        """Take away what events called for, and the table if nothing ordered by hand is left; says what."""
        said = withdraw(self._backend, self.ledger, why)
        self._upkeep.counted()  # what runs ahead of the table takes over that nothing is blocked
        return said

    def close(self) -> None:
        """Let go of the kernel; what is blocked stays until its time is up."""
        self._backend.close()
        self.never.close()
        self.by_hand.close()

    def __enter__(self) -> Blocker:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
