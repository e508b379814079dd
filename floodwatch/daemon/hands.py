"""The hands of the enforcer: all that touches the kernel's rules. One thread calls all of it.

What the sensor asks is split by what may be done where its victim lies: at some interfaces it is done, at
some it is said what would be, and where floods are only observed that is worked out for the journal alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..config.settings import Mode, Settings
from ..errors import EnforceError
from ..history.answers import Sent
from ..history.memory import Networks
from ..mitigate import Act, Blocker, Places, Policy, Remembered
from ..mitigate.remembered import NOTHING
from ..model.address import Network
from ..model.decision import Decision
from ..model.event import Action
from ..pipeline.acting import Blocking, Situation

MODES: tuple[Mode, ...] = ("observe", "suggest", "enforce")
"""From the least that may be done to the most."""


class Done(Struct, frozen=True):
    """What a look at the kernel brought.

    Attributes:
        notes: what is to be told, in words.
        acts: what was done, or would be.
        silent: what would be where floods are only observed: nobody is told until he asks.
        wanted: sources that are to be blocked; ``enforced``: those of them that stand, read back.
        guards: guards that stand, read back.
        packets, bytes: that blocks and guards met, all that stood since the daemon started.
        capacity: share of the blocks that may stand that do.
        ahead: packets dropped before any tap could see them.
        at: when, Unix time; 0: nothing stands anywhere.
        trouble: the kernel takes no rules now; ``errors``: how often it took none, by the error's name.
        until: when enforcing ends unless it is confirmed, monotonic, or None; ``over``: nobody confirmed in
            time.
    """

    notes: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()
    silent: tuple[Act, ...] = ()
    wanted: int = 0
    enforced: int = 0
    guards: int = 0
    packets: int = 0
    bytes: int = 0
    capacity: float = 0.0
    ahead: int = 0
    at: float = 0.0
    trouble: bool = False
    errors: Mapping[str, int] = {}
    until: float | None = None
    over: bool = False


class Modes:
    """What may be done about floods, by where their victims lie.

    Args:
        settings: what is configured.
        order: the operator's word, which goes before it, or None.
    """

    def __init__(self, settings: Settings, order: Mode | None = None) -> None:
        self.mode = order or settings.mode
        self.by_name: dict[str, Mode] = {}
        for one in settings.interfaces:
            own = one.mode or self.mode
            self.by_name[one.name] = own if order is None else min(own, order, key=MODES.index)
        self.used = set(self.by_name.values())

    def of(self, victim: Network, places: Places) -> Mode:
        """The mode at the interface that a victim lies at; of several the most careful. Where none is known
        that of all interfaces, if they have the same, or the daemon's.
        """
        found = [mode for name, mode in self.by_name.items() if places.at(name, victim)]
        found = found or (list(self.used) if len(self.used) == 1 else [self.mode])
        return min(found, key=MODES.index)


class Met:
    """What rules met in all: of one that is renewed from 0 again, and of those that are gone."""

    def __init__(self) -> None:
        self.total = 0
        self._last: Mapping[Any, int] = {}

    def saw(self, counted: Mapping[Any, int]) -> int:
        """What each rule that stands has met; returns what all of them did so far."""
        last = self._last
        for rule, now in counted.items():
            before = last.get(rule, 0)
            self.total += now - before if now >= before else now
        self._last = counted
        return self.total


class Hands:
    """What acts for the daemon.

    Args:
        settings: what is configured.

    Attributes:
        before: what an earlier run knew; the first that acts begins with it.
    """

    def __init__(self, settings: Settings) -> None:
        self.before = NOTHING
        self._settings = settings
        self.modes = Modes(settings)
        self._blockers: dict[Mode, tuple[Blocker, Blocking]] = {}
        self._known: Networks = np.zeros(0, np.uint64)
        self._served: Networks = self._known
        self._decisions: list[Decision] = []
        self._one_way = False
        self._packets, self._bytes = Met(), Met()

    def use(self, settings: Settings, order: Mode | None = None, confirm: float | None = None) -> Done:
        """Act by these settings from now on; tells what became of rules that are no longer wanted.

        Raises:
            EnforceError: the kernel has no nf_tables, or this process no right to it; as before then.
        """
        modes, fresh = Modes(settings, order), dict[Mode, tuple[Blocker, Blocking]]()
        same = _concerning(settings) == _concerning(self._settings) and confirm is None
        known = self.remembered()
        try:
            for mode in sorted(modes.used):
                if same and mode in self._blockers:
                    fresh[mode] = self._blockers[mode]
                else:
                    fresh[mode] = _made(settings, mode, confirm, known)
        except BaseException:
            for mode, (blocker, _) in fresh.items():
                if self._blockers.get(mode, (None,))[0] is not blocker:
                    blocker.close()
            raise
        self.before = Remembered(offences=known.offences)  # the rest is soon out of date
        before, self._blockers = self._blockers, fresh
        self._settings, self.modes = settings, modes
        said, acts = list[str](), list[Act]()
        for mode, (blocker, acting) in before.items():
            if fresh.get(mode, (None,))[0] is not blocker:
                if mode == "enforce" and mode not in fresh and not acting.over:
                    said.append(blocker.stand_down("it is only observed from now on"))
                acts += blocker.ledger.acts() if mode != "observe" else []
                blocker.close()
        return self._look(said, acts, over=False)

    def remembered(self) -> Remembered:
        """What the next one that acts should know."""
        held = self._blockers.get("enforce")
        return self.before if held is None else held[0].remembered()

    def decided(self, decisions: list[Decision], one_way: bool) -> None:
        """The sensor tells what it decided; where it is gone, nothing: blocks that meet packets stay."""
        self._decisions, self._one_way = decisions, one_way

    def know(self, networks: Networks) -> None:
        """Networks of known clients."""
        self._known = networks

    def serve(self, networks: Networks) -> None:
        """Networks of clients whom limits let pass."""
        self._served = networks

    def answered(self, epoch: int, sent: Sent) -> None:
        """What victims answered."""
        for _, acting in self._blockers.values():
            if acting.answers is not None:
                acting.answers.take(epoch, sent)

    def act(self) -> Done:
        """Bring the kernel in line with what was decided, and read back what stands."""
        notes, acts, silent, over = list[str](), list[Act](), list[Act](), False
        for mode, (blocker, acting) in self._blockers.items():
            situation = Situation(self._of(mode, blocker), self._known, self._served, self._one_way)
            said = acting.act(situation)
            notes += said if mode != "observe" else []
            (acts if mode != "observe" else silent).extend(blocker.ledger.acts())
            over |= acting.over
        return replace(self._look(notes, acts, over=over), silent=tuple(silent))

    def _of(self, mode: Mode, blocker: Blocker) -> list[Decision]:
        """The decisions about floods at victims for which this mode holds."""
        places = blocker.never.places
        return [one for one in self._decisions if self.modes.of(one.victim, places) == mode]

    def _look(self, notes: Iterable[str], acts: Iterable[Act], *, over: bool) -> Done:
        """Read back what stands."""
        told, done, held = tuple(notes), tuple(acts), self._blockers.get("enforce")
        if held is None:
            return Done(told, done, packets=self._packets.total, bytes=self._bytes.total, over=over)
        blocker, acting = held
        try:
            counted, guards = blocker.counted(), blocker.guards()
        except EnforceError as error:
            said = f"the kernel does not tell what stands ({error})"
            return Done(
                (*told, said), done, packets=self._packets.total, bytes=self._bytes.total, trouble=True,
                errors=dict(acting.errors),
            )  # fmt: skip
        return Done(
            told, done,
            wanted=len(blocker.wanted), enforced=len(blocker.wanted & counted.keys()), guards=len(guards),
            bytes=self._bytes.saw(blocker.sizes()),
            packets=self._packets.saw(
                {rule: packets for rule, (_, packets) in counted.items()}
                | {rule: one.packets for rule, one in guards.items()}
            ),
            capacity=len(counted) / max(blocker.policy.max_blocks, 1),
            ahead=blocker.dropped_ahead().dropped, at=time.time(), over=over,
            trouble=acting.in_trouble, errors=dict(acting.errors),
            until=None if acting.left is None else time.monotonic() + acting.left,
        )  # fmt: skip

    def taken(self, event: str) -> Action:
        """What was done about an event, as it was read back; of one that nobody decides about any more, what
        stood for it.
        """
        found: dict[str, Action] = {}
        for mode, (blocker, acting) in self._blockers.items():
            found |= acting.taken([one for one in self._of(mode, blocker) if one.id == event])
        held = self._blockers.get("enforce")
        return found.get(event) or ("none" if held is None else held[0].ledger.taken(event))

    def end(self, *, keep: bool) -> Done:
        """Let go of the kernel; what is not kept is removed, and what cannot be removed expires."""
        said, acts = list[str](), list[Act]()
        for mode, (blocker, _) in self._blockers.items():
            if mode == "enforce" and not keep:
                try:
                    said.append(f"the daemon ends: {blocker.withdraw('the daemon ends')}")
                except EnforceError as error:
                    said.append(f"rules could not be removed ({error}); they expire within an hour")
            acts += blocker.ledger.acts() if mode != "observe" else []
            with suppress(EnforceError):
                blocker.close()
        self._blockers = {}
        return Done(tuple(said), tuple(acts))


def _concerning(settings: Settings) -> tuple[object, ...]:
    """Of the settings those that what acts is made with, see ``_made``: no other makes it anew."""
    rules = replace(settings.rules, on_stop="remove")  # that is looked at when the daemon ends
    return rules, settings.never, settings.never_file, settings.proxies, _xdp(settings)


def _xdp(settings: Settings) -> tuple[str, ...]:
    """The interfaces at which packets are dropped by XDP."""
    return tuple(one.name for one in settings.interfaces) if settings.rules.backend == "xdp" else ()


def _made(
    settings: Settings, mode: Mode, confirm: float | None, before: Remembered
) -> tuple[Blocker, Blocking]:
    """What acts in a mode, and goes on from what was known before."""
    rules, usual = settings.rules, Policy()
    policy = Policy(
        max_blocks=usual.max_blocks if rules.max_blocks is None else rules.max_blocks,
        per_minute=usual.per_minute if rules.per_minute is None else rules.per_minute,
        ttl_s=usual.ttl_s if rules.ttl_s is None else int(rules.ttl_s),
        ttl_max_s=usual.ttl_max_s if rules.ttl_max_s is None else int(rules.ttl_max_s),
    )
    xdp = _xdp(settings)
    blocker = Blocker(
        dry_run=mode != "enforce", backend=rules.backend, xdp=xdp if mode == "enforce" else (),
        never_block=(*settings.never, *map(str, settings.proxies)), never_file=settings.never_file,
        policy=policy,
    )  # fmt: skip
    try:
        if mode == "enforce":
            blocker.adopt(before)
        return blocker, Blocking(blocker, confirm if mode == "enforce" else None)
    except BaseException:
        blocker.close()
        raise
