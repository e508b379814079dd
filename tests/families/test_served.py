"""Programs that are served: what they always did is no flood, what they begin is a surge."""

from __future__ import annotations

import pytest
from promises import Watch, watching
from scenes import Host
from test_http import Bots

from floodwatch.detectors.http import FLOOR as FLOOD
from floodwatch.detectors.served import ANSWERED, FAILED, FEW, FLOOR, PARTS, PROGRAMS
from floodwatch.history.clients import TRIED
from floodwatch.history.sources import VARIETY
from floodwatch.model.epoch import EPOCHS_PER_SECOND


class Programs(Bots):
    """As bots ask, but a server answers them; ``paths`` are the distinct ones of an epoch."""

    def __init__(
        self, programs: int = 1, *, paths: int = 1, answered: float = 1.0, **counters: float
    ) -> None:
        super().__init__(programs)
        self.paths, self.answered, self.counters = paths, answered, counters

    def __call__(self, requests: int) -> Host:
        made = super().__call__(requests).sketch("http_paths", self.paths)
        made.set(responses=round(self.answered * requests))
        return made.set(**{name: round(share * requests) for name, share in self.counters.items()})


def verdicts(watch: Watch) -> list[str]:
    return [case.verdict for case in watch.opened]


@pytest.mark.parametrize("programs", [1, FEW])
def test_who_always_asked_for_ever_other_things_is_a_frontend(programs: int) -> None:
    watch, frontend = Watch(), Programs(programs, paths=60)
    watch.last(frontend, 150, 40)
    assert verdicts(watch) == []
    watch.last(frontend, 1500, EPOCHS_PER_SECOND)
    assert verdicts(watch) == ["unclear"]


def test_a_frontend_that_began_while_we_looked_is_what_is_usual_in_the_end() -> None:
    """A surge while nothing is usual; then it is, and was never a flood."""
    watch = watching()
    watch.last(Programs(1, paths=60), 150, 60)
    assert verdicts(watch) == ["unclear"]


def test_of_one_path_only_a_single_one_is_none() -> None:
    """The one is a surge for as long as nothing is usual; several are bots."""
    one, several = Watch(), Watch()
    one.last(Programs(1, paths=int(VARIETY * 150) - 10), 150, 8)
    several.last(Programs(4), 150, 8)
    assert (verdicts(one), verdicts(several)) == (["unclear"], ["attack"])


@pytest.mark.parametrize(("counters", "verdict"), [
    ({}, "unclear"),
    ({"answered": ANSWERED - 0.02}, "attack"),
    ({"errors": FAILED + 0.02}, "attack"),
    ({"errors": 1.0, "denied": 1.0}, "unclear"),
    ({"assets": PARTS + 0.02}, "attack"),
])  # fmt: skip
def test_a_test_of_load_is_answered_and_alone(counters: dict[str, float], verdict: str) -> None:
    watch = watching()
    watch.last(Programs(**counters), 400, PROGRAMS.persist)
    assert verdicts(watch) == [verdict]
    if verdict == "unclear":
        says = watch.says()
        assert says["answered"] == "100.0 % as many answers were begun as requests came (1,600 of 1,600)"
        assert says["sources"] == "one source asks for everything that is asked"
        assert watch.event().action.recommended == "observe"


def test_a_surge_of_those_who_were_served_before_is_unclear_and_of_others_a_flood() -> None:
    known, new = watching(), watching()
    programs = Programs(2)
    known.last(programs, 30, TRIED + 2 * EPOCHS_PER_SECOND)
    known.last(programs, 600, 8)
    assert verdicts(known) == ["unclear"]
    new.last(Programs(2), 600, 8)
    assert verdicts(new) == ["attack"]


def test_what_is_too_little_for_a_surge_is_learnt() -> None:
    watch = watching()
    watch.last(Programs(2), int(FLOOR.count) - 1, 4 * TRIED)
    assert verdicts(watch) == []
    assert FLOOR.count == FLOOD.count


def test_more_sources_are_no_handful() -> None:
    watch = Watch()
    watch.last(Programs(FEW + 3, paths=60), 400, 8)
    assert verdicts(watch) == ["attack"]
