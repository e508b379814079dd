"""Scripts that stay below a flood's rate: API probing, and guessing of logins.

Both ask a server for what it refuses. A prober walks paths that nobody links to and parameters that do not
exist; a guesser posts to one path again and again. People meet a refusal now and then; for these it is the
rule, so a source is judged by the share of its requests that was refused, over the window of the heavy-hitter
table. Left out: answers that nobody saw (one direction, IPv6 clients but those of NAT64). Guessing by many
sources that try once or twice each is judged in ``guessing``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..history.servers import MEMORY, Asked
from ..history.sources import distinct_paths, source_counts
from ..history.windows import Since, asking, requests_in, with_earlier
from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.event import Evidence
from ..model.finding import F, Finding, Floor, Most, SourceCount, Sum
from ..model.summary import Summary
from ..model.vector import Vector
from .family import Detector, Family, Named, Scene, by_handshakes, by_whom
from .guessing import BLIND, DENIED, EACH, LOGIN_BRUTEFORCE, REFUSED, Guesses, refused
from .shares import percent
from .slow import limit_each

FLOOR = Floor(EACH.count)
WALK = 10
"""Different paths of a prober ..."""
FRESH = 0.2
"""... and their share of its requests."""
POSTED = 0.8
"""Share of a guesser's requests that carry a body ..."""
SAME = 0.8
"""... and that go to the same path as the one before."""
CHANGED = 0.5
"""Share of its requests whose header carries another login than the last one did; between two of them a
guesser may ask without, to be asked for it."""
PARTS = 0.1
"""Share of parts of pages from which a browser is at work."""


class Walks(Named):
    """Requests of probers, those that were refused, and the different paths that they tried."""

    requests: Sum = 0.0
    errors: Sum = 0.0
    paths: Most = 0.0


def _evidence(facts: Walks) -> list[Evidence]:
    says = f"about {facts.paths:,.0f} different paths were tried within 16 s, and hardly any page assets"
    return [
        refused(facts.errors, facts.requests),
        Evidence(name="distinct_paths", value=round(facts.paths, 1), usual=None, says=says),
    ]


API_PROBING = Family(
    (Vector.API_PROBING,),
    Walks,
    _evidence,
    limit_each,
    technique="T1595",
    floors=(FLOOR,),
    severe=200.0,
    rule=f"{{floor}} requests from one source in 8 s, at least {percent(REFUSED)} of them refused, for "
    f"{WALK} or more paths",
    unit="req/s",
    hold=MEMORY,
    habitual=True,
    origin=by_handshakes,
    promised_s=30.0,
)


class Habit(NamedTuple):
    """Rows of a victim's sources with one habit: all that is known of them, and what no finding counted yet;
    their requests of the last epochs (``quarters``), the epochs that are told, and bounds of what each
    sent."""

    whole: NDArray[np.void]
    fresh: NDArray[np.void]
    lately: int
    quarters: int
    stretch: tuple[int, int]
    top: list[SourceCount]


class ScriptDetector:
    """Judges the heavy-hitter table once a second; remembers a second and the window before, and whom it
    named.
    """

    def __init__(self) -> None:
        self._age = 0
        self._before: NDArray[np.void] | None = None
        self._named = self._older = np.zeros(0, np.uint64)
        self._told: dict[tuple[Vector, int], int] = {}
        self._earlier: NDArray[np.void] | None = None
        self._since = Since()
        self._asked = Asked()

    def detect(self, scene: Scene) -> Iterator[Finding[Walks] | Finding[Guesses]]:
        """The findings of the second that ends with this epoch, if one does."""
        summary = scene.summary
        self._age += 1
        ends = self._age % EPOCHS_PER_SECOND == 0 or summary.window_ends or summary.final
        if not ends:
            return
        rows = asking(summary.heavy())
        self._asked.note(summary)
        since = self._since.note(rows, self._earlier, summary.epoch + 1 - self._quarters)
        if len(rows):
            lately = rows["requests"].astype(np.int64) - requests_in(self._before, rows)
            whole = with_earlier(rows, self._earlier)
            yield from self._judge(summary, rows, whole, lately, since)
        self._forget(summary.epoch, rows)
        self._before = None if summary.window_ends else rows
        if summary.window_ends:
            self._earlier, self._age, self._older = rows, 0, self._named

    @property
    def _quarters(self) -> int:
        """Epochs since the last look."""
        return (self._age - 1) % EPOCHS_PER_SECOND + 1

    def _forget(self, epoch: int, rows: NDArray[np.void]) -> None:
        """Sources that neither window holds any more, and victims without a finding for so long, begin
        anew.
        """
        held = np.isin(self._named, rows["pair_hash"])
        if self._earlier is not None:
            held |= np.isin(self._named, self._earlier["pair_hash"])
        self._named = self._named[held]
        self._told = {key: told for key, told in self._told.items() if 0 <= epoch - told <= MEMORY}

    def _fresh(self, rows: NDArray[np.void], whole: NDArray[np.void]) -> NDArray[np.void]:
        """What no finding counted yet: of sources that were named before the last second, of others all."""
        fresh, known = whole.copy(), np.isin(whole["pair_hash"], self._named)
        for name in ("requests", "errors", "posts", "logins"):
            new = rows[name].astype(np.int64) - requests_in(self._before, rows, name)
            fresh[name][known] = np.maximum(new[known], 0)
        return fresh

    def _stretch(self, vector: Vector, victim: int, epoch: int, since: int) -> tuple[int, int]:
        """The epochs that a finding counts: the last ones, and after the last finding as far back as
        ``since``.
        """
        told, self._told[vector, victim] = self._told.get((vector, victim), -1), epoch
        return max(told + 1, since), epoch + 1

    def _judge(
        self,
        summary: Summary,
        rows: NDArray[np.void],
        whole: NDArray[np.void],
        lately: NDArray[np.int64],
        since: NDArray[np.int64],
    ) -> Iterator[Finding[Walks] | Finding[Guesses]]:
        requests = whole["requests"].astype(np.float64)
        denied = (whole["errors"] >= REFUSED * requests) & (whole["assets"] <= PARTS * requests)
        active = (requests >= FLOOR.count) & denied & (lately > 0)
        if not active.any():
            return
        walked = distinct_paths(whole["paths"])
        guessing = _guesses_logins(whole, requests)
        probing = (walked >= WALK) & (walked >= FRESH * requests) & ~guessing
        fresh = self._fresh(rows, whole)
        # a source is counted from the window before on, in the window in which it is named first
        counted = np.where(np.isin(whole["pair_hash"], self._older), rows, whole)
        before = self._named
        self._named = np.union1d(before, whole["pair_hash"][active & (probing | guessing)])
        for picked, vector, found in (
            (active & probing, Vector.API_PROBING, _walks),
            (active & guessing, Vector.LOGIN_BRUTEFORCE, _guesses),
        ):
            for victim in np.unique(whole["victim"][picked]).tolist():
                mine = picked & (whole["victim"] == victim)
                known = self._asked.known.get(victim)
                if known is not None:
                    top = source_counts(counted[mine & (whole["proven"] > 0)], "requests", "requests")
                    new = mine & ~np.isin(whole["pair_hash"], before)
                    begin = min(since[new], default=summary.epoch + 1 - self._quarters)
                    stretch = self._stretch(vector, victim, summary.epoch, int(begin))
                    asked = int(lately[mine].sum())
                    what = Habit(whole[mine], fresh[mine], asked, self._quarters, stretch, top)
                    yield found(summary, known, what)


def _guesses_logins(whole: NDArray[np.void], requests: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Who posts to one path, or asks for one path with ever other logins, or ever again with a wrong one."""
    same = whole["repeats"] >= SAME * (requests - 1)
    posts = whole["posts"] >= POSTED * requests
    denied = whole["denied"] >= DENIED * requests
    guessing: NDArray[np.bool_] = same & (
        posts | (denied & ((whole["logins"] >= CHANGED * requests) | (requests >= BLIND.count)))
    )
    return guessing


def _walks(summary: Summary, victim: tuple[Address, int], what: Habit) -> Finding[Walks]:
    fresh = what.fresh
    facts = Walks(
        requests=float(fresh["requests"].sum()),
        errors=float(fresh["errors"].sum()),
        paths=float(distinct_paths(what.whole["paths"]).sum()),
        **by_whom(fresh, fresh["requests"]),
    )
    return _told(API_PROBING, FLOOR, summary, victim, what, facts)


def _guesses(summary: Summary, victim: tuple[Address, int], what: Habit) -> Finding[Guesses]:
    fresh = what.fresh
    facts = Guesses(
        tries=float(fresh["requests"].sum()),
        errors=float(fresh["errors"].sum()),
        posts=float(fresh["posts"].sum()),
        logins=float(fresh["logins"].sum()),
        **by_whom(fresh, fresh["requests"]),
    )
    floor = EACH if max(facts.posts, facts.logins) >= CHANGED * facts.tries else BLIND
    return _told(LOGIN_BRUTEFORCE, floor, summary, victim, what, facts)


def _told(
    family: Family[F], floor: Floor, summary: Summary, victim: tuple[Address, int], what: Habit, facts: F
) -> Finding[F]:
    total = int(what.whole["requests"].sum())
    return family.told(
        summary,
        victim[0],
        facts,
        count=what.lately,
        quarters=what.quarters,
        earlier=max(int(what.fresh["requests"].sum()) - what.lately, 0),
        stretches=[what.stretch],
        held=int(what.whole["requests"].max()),
        floor=floor,
        size=int(what.whole["bytes"].sum() * what.lately / max(total, 1)),
        ports=[(victim[1], what.lately)],
        top=what.top,
    )


DETECTOR = Detector((API_PROBING,), watcher=ScriptDetector)
