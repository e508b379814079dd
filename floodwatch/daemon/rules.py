"""Orders about rules: carried out in the kernel by whoever may, with a daemon or without one.

What an operator orders goes on record (``mitigate.byhand``), and a daemon or watch that enforces follows it:
so it is done in the same way in the process of ``ctl``, where that has the right, and by a daemon for those
who have not. What it takes is loaded when it is carried out: who only asks needs none of it.
"""

from __future__ import annotations

import ipaddress
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Generic

from msgspec import Struct

from .orders import A, Done, Lasts, NetworkText, Order, Why

if TYPE_CHECKING:
    from ..mitigate import Network

BY_YOU = "ordered by you"


class Terms(Struct, frozen=True):
    """On whose word an order is carried out (None: of who runs this), and who must not be blocked by it."""

    by: str | None = None
    never: tuple[str, ...] = ()


class RuleOrder(Order[A], Generic[A], frozen=True):
    """An order that the kernel carries out."""

    def carry_out(self, terms: Terms) -> A:
        """Do it, and read back.

        Raises:
            ValueError: a network is none.
            BlockRefused: it must not be.
            EnforceError: there is no right to it, or the kernel refused.
        """
        raise NotImplementedError


class Blocked(Struct, frozen=True):
    """A block that stands. ``rate``: packets a second that pass; 0 drops all."""

    network: str
    seconds: float
    packets: int
    rate: int
    why: str


class Guarded(Struct, frozen=True):
    """A guard that stands: its kind, the victim, and what it is about."""

    guard: str
    victim: str
    number: int
    port: int | None
    seconds: float
    packets: int
    why: str
    says: str


class Stands(Struct, frozen=True):
    """What stands in the kernel."""

    blocks: tuple[Blocked, ...]
    guards: tuple[Guarded, ...]


class Spared(Struct, frozen=True):
    """A network that is allowed by hand, for so many seconds more, by whom and why."""

    network: str
    seconds: float
    by: str
    why: str


class Blocks(RuleOrder[Stands], frozen=True):
    """The blocks and guards that stand, read back."""

    def carry_out(self, terms: Terms) -> Stands:
        """Read them; see ``RuleOrder``."""
        from ..mitigate import describe, name_of, standing

        held, guards = standing()
        ordered = sorted(held.items(), key=lambda item: (item[0].version, -item[1][1], item[0]))
        return Stands(
            tuple(
                Blocked(str(network), round(block.seconds, 1), packets, block.rate, block.why)
                for network, (block, packets) in ordered
            ),
            tuple(
                Guarded(g.kind, name_of(g.victim), g.number, g.port, round(found.seconds, 1), found.packets,
                        found.why, describe(g))
                for g, found in guards.items()
            ),
        )  # fmt: skip


class Allowed(RuleOrder[tuple[Spared, ...]], frozen=True):
    """What is allowed by hand."""

    def carry_out(self, terms: Terms) -> tuple[Spared, ...]:
        """Read the record; see ``RuleOrder``."""
        from ..mitigate import ByHand
        from ..mitigate.clocks import clocks

        with closing(ByHand(make=False)) as by_hand:
            held, now = by_hand.allowed(), clocks()
        rows = (Spared(str(network), word.left(now), word.by, word.why) for network, word in held.items())
        return tuple(sorted(rows, key=lambda row: row.network))


class Block(RuleOrder[Done], frozen=True, kw_only=True):
    """Block one network for a time; again: renew it. ``never``: networks that it must not meet."""

    changes = True
    network: NetworkText
    seconds: Lasts = 600.0
    reason: Why = "manual"
    never: tuple[NetworkText, ...] = ()
    dry_run: bool = False

    def carry_out(self, terms: Terms) -> Done:
        """Block it; see ``RuleOrder``."""
        from ..mitigate import Blocker

        with Blocker(dry_run=self.dry_run, never_block=(*terms.never, *self.never), by=terms.by) as blocker:
            step = blocker.block(self.network, ttl=self.seconds, reason=self.reason)
        return Done(f"{'would ' if self.dry_run else ''}{step}")


class Unblock(RuleOrder[Done], frozen=True, kw_only=True):
    """Lift one block, or all of them."""

    changes = True
    network: NetworkText | None

    def carry_out(self, terms: Terms) -> Done:
        """Lift it; see ``RuleOrder``."""
        from ..mitigate import Blocker

        with Blocker(dry_run=False, by=terms.by) as blocker:
            lifted = blocker.unblock_all() if self.network is None else int(blocker.unblock(self.network))
        return Done(f"{lifted} blocks lifted", lifted)


class Unguard(RuleOrder[Done], frozen=True, kw_only=True):
    """Lift the guards of one victim, or all of them."""

    changes = True
    victim: NetworkText | None

    def carry_out(self, terms: Terms) -> Done:
        """Lift them; see ``RuleOrder``."""
        from ..mitigate import Blocker

        victim = None if self.victim is None else _network(self.victim)
        with Blocker(dry_run=False, by=terms.by) as blocker:
            lifted = len(blocker.unguard(victim))
        return Done(f"{lifted} guards lifted", lifted)


class Allow(RuleOrder[Done], frozen=True, kw_only=True):
    """Never block a network for a time; blocks that meet it go at once."""

    changes = True
    network: NetworkText
    seconds: Lasts = 7 * 86_400.0
    reason: Why = "manual"

    def carry_out(self, terms: Terms) -> Done:
        """Put it on record, and lift what meets it; see ``RuleOrder``."""
        from ..mitigate import ByHand, spare

        wanted = _network(self.network)
        with closing(ByHand(by=terms.by)) as by_hand:
            word = by_hand.allow(wanted, seconds=self.seconds, why=self.reason)
        gone = spare(wanted)
        lifted = f"; lifted {', '.join(map(str, gone))}" if gone else ""
        return Done(f"allowed {wanted} for {word.until - word.at:.0f} s{lifted}")


class Disallow(RuleOrder[Done], frozen=True, kw_only=True):
    """Take back what was allowed."""

    changes = True
    network: NetworkText

    def carry_out(self, terms: Terms) -> Done:
        """Put it on record; see ``RuleOrder``."""
        from ..mitigate import ByHand

        wanted = _network(self.network)
        with closing(ByHand(by=terms.by)) as by_hand:
            held = wanted in by_hand.allowed()
            if held:
                by_hand.write("disallow", [wanted], why=BY_YOU)
        return Done(f"{wanted} is {'no longer' if held else 'not'} allowed by hand", int(held))


class Confirm(RuleOrder[Done], frozen=True):
    """Let what enforces on probation go on."""

    changes = True

    def carry_out(self, terms: Terms) -> Done:
        """Put it on record; see ``RuleOrder``."""
        from ..mitigate import ByHand, Lock

        if Lock().holder() is None:
            return Done("no floodwatch is enforcing here", 0)
        with closing(ByHand(by=terms.by)) as by_hand:
            by_hand.write("confirm", why=BY_YOU)
        return Done("confirmed: it goes on enforcing")


class Panic(RuleOrder[Done], frozen=True):
    """Take every rule away, and let a daemon only observe until ``Resume``, over restarts."""

    changes = True

    def carry_out(self, terms: Terms) -> Done:
        """First see to it that nobody puts back what is taken away; see ``RuleOrder``.

        Whoever enforces is ended, hung or not; a daemon that does this itself goes on and observes.
        """
        from ..errors import EnforceError
        from ..mitigate import ByHand, Lock, take_away

        said = []
        try:
            with closing(ByHand(by=terms.by)) as by_hand:
                by_hand.panic(BY_YOU)
        except EnforceError as error:  # then the rules go all the same
            said.append(f"{error}: a daemon that starts now may enforce")
        lock = Lock()
        holder = lock.holder()
        if (holder is None or holder.pid != os.getpid()) and (ended := lock.end_holder()) is not None:
            said.append(f"ended the enforcing floodwatch (pid {ended.pid})")
        begin = time.monotonic()
        said += [f"{line} ({time.monotonic() - begin:.3f} s)" for line in take_away()]
        return Done("\n".join(said))


class Resume(RuleOrder[Done], frozen=True):
    """Let a daemon do again what its configuration says, after a panic."""

    changes = True

    def carry_out(self, terms: Terms) -> Done:
        """Put it on record; see ``RuleOrder``."""
        from ..mitigate import ByHand

        with closing(ByHand(by=terms.by)) as by_hand:
            held = by_hand.panicked() is not None
            if held:
                by_hand.write("resume", why=BY_YOU)
        return Done("a daemon enforces again what its configuration says" if held else "there was no panic",
                    int(held))  # fmt: skip


RULE_ORDERS: tuple[type[Order[Any]], ...] = (
    Blocks, Allowed, Block, Unblock, Unguard, Allow, Disallow, Confirm, Panic, Resume,
)  # fmt: skip


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)
