"""One line for every action: what was done about whom, when, why, until when, what it met, and by whom.

A ledger compares what stands in the kernel with what stood before, so that rules which end by themselves, or
which somebody else puts up or takes away, leave a line as well.
"""

from __future__ import annotations

import ipaddress
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from ..history.windows import trim
from ..model.address import meet
from ..model.decision import SOURCE_RATES, Decision
from ..model.epoch import rfc3339
from ..model.event import Action, Time
from .byhand import Word
from .guards import TAKEN, Guard, Standing, describe, name_of
from .nft.codec import COMMENT
from .plan import MINE, Because, Block, Network, Step

Done: TypeAlias = Literal[
    "add", "extend", "remove", "refuse", "guard", "lift", "over", "gone", "order", "stop"
]
"""Blocks are added, extended, removed and refused; guards put up, extended and lifted; both may be ``over``
when their time is up, or ``gone`` when somebody else took them away. ``order``: a word of the operator.
``stop``: from then on nothing is done."""
SELF, SOMEBODY = "floodwatch", "somebody else"
EXPLAINS_S = 2.0
"""For so long an order explains what is seen in the kernel: it is written down before it is carried out."""
EVENTS_MOST, REFUSED_MOST, ACTS_MOST = 4096, 65_536, 131_072
LATE_S = 1.0
"""A rule that is missed so long before its end ended by itself: it is looked for twice a second."""
SOURCES: tuple[Action, ...] = tuple(SOURCE_RATES)


class Act(Struct, frozen=True, kw_only=True):
    """One line of the audit.

    Attributes:
        time: when.
        what: see above.
        target: the network, or the guard in words.
        event: the event that called for it, or None.
        victim: the event's victim, or None.
        until: when the kernel ends it by itself, or None.
        packets: how many it had met when it ended, or None: it stands.
        by: who ordered it.
        why: the reason.
        enforced: it was done, and not only said to be what would be done.
        known: it is a new block in a network of known clients.
        because: why it was refused, in a word, or None: it was not.
    """

    schema: Literal["floodwatch.audit/1"] = "floodwatch.audit/1"
    time: Time
    what: Done
    target: str
    event: str | None = None
    victim: str | None = None
    until: Time | None = None
    packets: int | None = None
    by: str = SELF
    why: str
    enforced: bool = True
    known: bool = False
    because: Because | None = None

    def __str__(self) -> str:
        return f"{self.time}  {self.says}"

    @property
    def says(self) -> str:
        """The line without its time."""
        until = f" until {self.until}" if self.until else ""
        met = "" if self.packets is None else f", {self.packets} packets met"
        event = f"; {self.event} at {self.victim or 'an unknown victim'}" if self.event else ""
        would = "" if self.enforced else " (not done)"
        return f"{self.what:7}{self.target}{until}{met}: {self.why}{event}; by {self.by}{would}"


class _Rule(NamedTuple):
    """What stood: until when (monotonic), what it had met, the event or reason, and what it was."""

    until: float
    packets: int
    why: str
    of: Block | Guard

    @property
    def name(self) -> str:
        """The network, or the guard in words; made when it is asked for, for there may be 65,536."""
        return _named(self.of) if isinstance(self.of, Block) else describe(self.of)


class Ledger:
    """Writes down what is done.

    Args:
        enforced: things are done, and not only said.
    """

    def __init__(self, *, enforced: bool) -> None:
        self._enforced = enforced
        self._acts: deque[Act] = deque(maxlen=ACTS_MOST)
        self._blocks: dict[Network, _Rule] | None = None
        self._guards: dict[Guard, _Rule] | None = None
        self._refused: set[tuple[Network, str]] = set()
        self._victims: dict[str, str] = {}
        self._taken: dict[str, Action] = {}
        self._words: list[Word] = []

    def acts(self) -> list[Act]:
        """What was done since this was last asked; of those that nobody asks for the newest are kept."""
        told = list(self._acts)
        self._acts.clear()
        return told

    def ordered(self, words: Iterable[Word]) -> None:
        """Operators gave these orders since the last look; what they explain may be seen at the next one."""
        fresh, since = list(words), time.time() - EXPLAINS_S
        self._words = [*fresh, *(word for word in self._words if word.at >= since)]
        for word in fresh:
            target = f"{word.what} {word.network}".strip()
            lasts = word.what in ("allow", "unguard", "block")
            self._write(
                "order", target, why=word.why, by=word.by, at=word.at, until=word.until if lasts else None
            )

    def about(self, decisions: Iterable[Decision], blocked: Mapping[Network, tuple[Block, int]]) -> None:
        """These floods are going on; what meets their sources is what is done about them."""
        for one in decisions:
            port = "" if one.port is None else f" port {one.port}"
            self._victims[_key(one.id)] = f"{name_of(one.victim)}{port}"
            met = (blocked[s.network][0].rate for s in one.sources if s.network in blocked)
            if one.action in SOURCE_RATES and (rates := set(met)):
                self._note(one.id, "drop_sources" if 0 in rates else "limit_per_source")
        trim(self._victims, EVENTS_MOST)

    def saw_blocks(self, counted: Mapping[Network, tuple[Block, int]]) -> None:
        """What is blocked now, read back: what ended or came without us is written down."""
        now, before = time.monotonic(), self._blocks
        self._blocks = {
            network: _Rule(now + block.seconds, packets, block.why, block)
            for network, (block, packets) in counted.items()
        }
        for why, rate in {(block.why, block.rate) for block, _ in counted.values()}:
            if why.startswith(MINE):
                self._note(why.removeprefix(MINE), SOURCES[1 if rate else 0])
        if before is None:
            return
        for network in before.keys() - counted.keys():
            self._ended(before[network], now, self._word("unblock", str(network)) or self._allowed(network))
        for network in self._blocks.keys() - before.keys():
            rule = self._blocks[network]
            word = self._word("block", str(network))
            by = word.by if word else SOMEBODY
            self._write("add", rule.name, why=rule.why, by=by, left=rule.until - now)

    def did(self, steps: Iterable[Step], held: Mapping[Network, tuple[Block, int]]) -> None:
        """These steps were carried out; ``held`` is what was read back then."""
        standing, now = self._blocks or {}, time.monotonic()
        for step in steps:
            block, what = step.block, step.what
            network, before = block.network, standing.get(block.network)
            if what == "refuse":
                if (network, step.why) not in self._refused:
                    self._refused = self._refused if len(self._refused) < REFUSED_MOST else set()
                    self._refused.add((network, step.why))
                    self._write(what, _named(block), event=block.why, why=step.why, because=step.because)
            elif what == "remove":
                packets = before.packets if before else 0
                self._write(what, _named(block), event=block.why, why=step.why, packets=packets)
                if network not in held:
                    standing.pop(network, None)
            elif network in held:
                self._write(
                    what, _named(block), event=block.why, why=step.why, left=block.seconds, known=step.known
                )
                packets = held[network][1]
                standing[network] = _Rule(now + block.seconds, packets, block.why, block)
        self._blocks = standing

    def saw_guards(self, standing: Mapping[Guard, Standing]) -> None:
        """The guards that stand now, read back."""
        now, before = time.monotonic(), self._guards
        self._keep(standing, now)
        for guard in (before or {}).keys() - standing.keys():
            self._ended((before or {})[guard], now, self._word("unguard", str(guard.victim)))

    def guarded(self, standing: Mapping[Guard, Standing], said: Sequence[str]) -> None:
        """Guards were brought in line, and these were read back then; the reasons stand in what was said."""
        now, before = time.monotonic(), self._guards or {}
        for guard in before.keys() - standing.keys():
            rule, line = before[guard], _line_of(guard, said)
            why = line.partition(": ")[2] or "no longer wanted"
            self._write("lift", rule.name, event=rule.why, why=why, packets=rule.packets)
        for guard, held in standing.items():
            if guard not in before:
                name = _line_of(guard, said).removeprefix("guard").partition(": ")[0].strip()
                why = "its sources prove nothing"
                self._write("guard", name or describe(guard), event=held.why, why=why, left=held.seconds)
            elif now + held.seconds > before[guard].until + LATE_S:
                self._write("extend", describe(guard), event=held.why, why="still needed", left=held.seconds)
        self._keep(standing, now)

    def untold(self, said: Iterable[str]) -> list[str]:
        """What was said of guards and stands in no line of these acts."""
        told = {(act.what, act.target) for act in self._acts}
        return [
            line for line in said if not any(line.startswith(what) and name in line for what, name in told)
        ]

    def _keep(self, standing: Mapping[Guard, Standing], now: float) -> None:
        self._guards = {
            guard: _Rule(now + held.seconds, held.packets, held.why, guard)
            for guard, held in standing.items()
        }
        for guard, held in standing.items():
            self._note(held.why.removeprefix(MINE), TAKEN[guard.kind])

    def stood_down(self, why: str) -> None:
        """From now on nothing is done; every rule of ours was removed."""
        self._write("stop", "enforcing", why=why)

    def taken(self, event: str) -> Action:
        """What was done about an event while it lasted, as it was read back."""
        return self._taken.get(_key(event), "none")

    def _note(self, event: str, action: Action) -> None:
        key = _key(event)
        before = self._taken.get(key, "none")
        if before in SOURCES and (action not in SOURCES or before == SOURCES[0]):
            return
        self._taken[key] = action
        trim(self._taken, EVENTS_MOST)

    def _ended(self, rule: _Rule, now: float, word: Word | None) -> None:
        """A rule is not there any more, and this process did not take it away."""
        by_itself = rule.until - now <= LATE_S and word is None
        what: Done = "over" if by_itself else "gone"
        why = (
            "its time was up" if by_itself else f"taken away: {word.why}" if word else "somebody took it away"
        )
        by = SELF if by_itself else word.by if word else SOMEBODY
        self._write(what, rule.name, event=rule.why, why=why, packets=rule.packets, by=by)

    def _allowed(self, network: Network) -> Word | None:
        """The order to let pass that a block of this network stood against."""
        allowed = (w for w in self._words if w.what == "allow" and w.network)
        return next((w for w in allowed if meet(ipaddress.ip_network(w.network), network)), None)

    def _word(self, what: str, network: str) -> Word | None:
        """The operator's order that explains it, where there is one."""
        return next((w for w in self._words if w.what == what and w.network in (network, "")), None)

    def _write(
        self,
        what: Done,
        target: str,
        *,
        why: str,
        event: str = "",
        by: str = SELF,
        packets: int | None = None,
        left: float | None = None,
        at: float | None = None,
        until: float | None = None,
        known: bool = False,
        because: Because | None = None,
    ) -> None:
        now = time.time()
        until = until if left is None else now + left
        named = event.removeprefix(MINE) if event.startswith(MINE) else None
        act = Act(
            time=_clock(now if at is None else at),
            what=what,
            target=target,
            event=named,
            victim=self._victims.get(_key(named)) if named else None,
            until=None if until is None else _clock(until),
            packets=packets,
            by=by,
            why=why,
            enforced=self._enforced or what == "order",  # an order was given, whatever comes of it
            known=known,
            because=because,
        )
        self._acts.append(act)


def _line_of(guard: Guard, said: Sequence[str]) -> str:
    """What was said about a guard."""
    return min((line for line in said if describe(guard) in line), key=len, default="")


def _key(event: str) -> str:
    """An event's id as far as the kernel keeps it."""
    return f"{MINE}{event}"[:COMMENT].removeprefix(MINE)


def _named(block: Block) -> str:
    return f"{block.network}{f' to {block.rate} packets a second' if block.rate else ''}"


def _clock(seconds: float) -> str:
    """Wall-clock time of a Unix time, to the millisecond."""
    return rfc3339(round(seconds * 1000) * 1_000_000)
