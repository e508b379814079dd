"""What families promise: a ``Watch`` takes hosts epoch by epoch through all detectors and the decider.

``keeps_floor`` and ``keeps_event`` are what holds for every family with a floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from scenes import Host, summary

from floodwatch.config.limits import Limits
from floodwatch.decide.case import Case
from floodwatch.decide.cases import DORMANT, FEW, LULL, Decider
from floodwatch.decide.events import decide, tell
from floodwatch.detectors import Detection, family_of
from floodwatch.history.memory import Memory, nothing
from floodwatch.model.decision import Decision
from floodwatch.model.epoch import EPOCH_NS
from floodwatch.model.event import Event
from floodwatch.model.finding import Finding, Floor
from floodwatch.model.vector import Vector

START = 6_950_000_000
"""The epoch in which scenes begin."""
Make: TypeAlias = Callable[[int], Host | Iterable[Host]]
"""What a victim sees when the excess is so large."""


class Watch:
    """All detectors and a decider; ``epoch`` is the next one to be seen."""

    def __init__(self, memory: Memory | None = None, limits: Limits | None = None) -> None:
        self.detection = Detection(memory or nothing(), limits or Limits())
        self.decider = Decider()
        self.epoch = START
        self._gap = 0

    def see(self, *hosts: Host, window_ends: bool = False, final: bool = False) -> list[Finding[Any]]:
        """One epoch; returns its findings."""
        made = summary(self.epoch, hosts, gap=self._gap, window_ends=window_ends, final=final)
        found = list(self.detection.update(made))
        now = (self.epoch + 1) * EPOCH_NS
        self.decider.update(found, self.epoch, now, window_ends=window_ends)
        self.epoch, self._gap = self.epoch + 1, 0
        return found

    def last(self, make: Make, count: int, epochs: int) -> list[Finding[Any]]:
        """So many epochs in a row of the same; returns the findings of the last."""
        found = list[Finding[Any]]()
        for _ in range(epochs):
            made = make(count)
            found = self.see(*([made] if isinstance(made, Host) else made))
        return found

    def quiet(self, epochs: int) -> None:
        """Nothing comes to anybody whom we know."""
        for _ in range(epochs):
            self.see()

    def skip(self, epochs: int) -> None:
        """No packet at all is captured for so long."""
        self.epoch, self._gap = self.epoch + epochs, epochs

    @property
    def opened(self) -> list[Case]:
        """The verdicts so far, by onset."""
        return sorted(self.decider.current, key=lambda case: (case.first_ns, case.vector))

    @property
    def vectors(self) -> list[Vector]:
        """What was named."""
        return [case.vector for case in self.opened]

    @property
    def case(self) -> Case:
        """The only verdict."""
        (case,) = self.opened
        return case

    def ended(self) -> bool:
        """The only verdict is over by now."""
        return self.case.ended(self.epoch - 1)

    def decision(self) -> Decision:
        """What is to be done about the only verdict."""
        return decide(self.case.so_far())

    def event(self) -> Event:
        """What is told of the only verdict."""
        return tell(self.case.so_far(), (), "scene", self.epoch - 1, 0)

    def says(self) -> dict[str, str]:
        """Its evidence: the sentence by the name."""
        return {item.name: item.says for item in self.event().evidence}


def watching() -> Watch:
    """A watch that began before anything came: what comes now has an onset. No weak evidence counts."""
    watch = Watch(limits=Limits(needed=math.inf))
    watch.quiet(2)
    return watch


def keeps_floor(make: Make, vector: Vector, floor: Floor, persist: int, late: int = 0, *,
                lulls: bool = True) -> Watch:  # fmt: skip
    """Below the floor there is no verdict, at it there is one after ``persist`` epochs, and not before.

    Where few are needed they may be apart (but for those of which one is held against the other, not
    ``lulls``): a silence ends an epoch, it does not lose one.
    """
    least = int(floor.count)
    below = watching()
    below.last(make, least - 1, persist + late + 8)
    assert below.vectors == []
    broken = watching()
    for _ in range(3):
        broken.last(make, least, persist - 1)
        broken.quiet(late + 1 if persist > FEW else late + LULL + 1)
    assert broken.vectors == []
    if 1 < persist <= FEW and lulls:
        for _ in range(persist):
            broken.last(make, least, 1)
            broken.quiet(late + 2)
        assert broken.vectors == [vector]
    watch = watching()
    watch.last(make, least, persist + late - 1)
    assert watch.vectors == []
    watch.last(make, least, 1)
    assert watch.vectors == [vector]
    assert watch.case.floor == floor
    assert family_of(vector, watch.case.verdict).says(floor) in watch.says()["rule"]
    return watch


def keeps_event(make: Make, floor: Floor, persist: int, late: int = 0, half: int | None = None) -> None:
    """Half the floor keeps an event alive and begins none; below it ends; back soon it is a pulse of it."""
    least = int(floor.count)
    half = least // 2 if half is None else half
    watch = watching()
    watch.last(make, half, 3 * persist + late)
    assert watch.vectors == []
    watch.last(make, least, persist + late)
    case = watch.case
    hold, name = case.family.hold, case.id
    watch.last(make, half, 2 * hold)
    assert case.epoch == watch.epoch - 1 - late
    watch.last(make, half - 1, hold)
    assert not case.ended(watch.epoch - 1)
    watch.last(make, half - 1, 1)
    assert case.ended(watch.epoch - 1)
    watch.last(make, half, 3)
    assert case.ended(watch.epoch - 1)  # half the floor brings nothing back
    watch.epoch = case.epoch + DORMANT - 2 * (persist + late)
    watch.last(make, least, persist + late)
    assert not case.ended(watch.epoch - 1)
    assert (case.id, case.pulses) == (name, 2)
    watch.epoch = case.epoch + DORMANT + 1
    watch.quiet(1)
    watch.decider.current.clear()
    watch.last(make, least, persist + late)
    assert [new.id == name for new in watch.opened if new.vector is case.vector] == [False]
