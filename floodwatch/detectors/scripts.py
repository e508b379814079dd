"""Scripts that stay below a flood's rate: API probing, and guessing of logins.

Both ask a server for what it refuses. A prober walks paths that nobody links to and parameters that do not
exist; a guesser posts to one path again and again. People meet a refusal now and then; for these it is the
rule, so a source is judged by the share of its requests that was refused, over the window of the heavy-hitter
table. Left out: answers that nobody saw (one direction, IPv6 clients). Guessing by many sources that try
once or twice each is judged in ``guessing``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..history.servers import MEMORY
from ..history.sources import distinct_paths, source_counts
from ..history.windows import asking, requests_in, with_earlier
from ..model.address import Address
from ..model.epoch import EPOCHS_PER_SECOND
from ..model.event import Evidence
from ..model.finding import Finding, Floor, Mean, SourceCount, Sum
from ..model.summary import Summary
from ..model.vector import Vector
from .family import Detector, Family, Named, Scene, by_handshakes, percent
from .guessing import EACH, LOGIN_BRUTEFORCE, REFUSED, Guesses, refused
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
PARTS = 0.1
"""Share of parts of pages from which a browser is at work."""
MAX_ADDRESSES = 4096


class Walks(Named):
    """Requests of probers, those that were refused, and the different paths that they tried."""

    requests: Sum = 0.0
    errors: Sum = 0.0
    paths: Mean = 0.0


def _evidence(facts: Walks) -> list[Evidence]:
    says = f"about {facts.paths:.0f} different paths were tried, and hardly any page assets"
    return [
        refused(facts.errors, facts.requests),
        Evidence(name="distinct_paths", value=round(facts.paths, 1), usual=None, says=says),
    ]


API_PROBING = Family(
    (Vector.API_PROBING,),
    Walks,
    _evidence,
    limit_each,
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


class ScriptDetector:
    """Judges the heavy-hitter table once a second; remembers a second and the window before."""

    def __init__(self) -> None:
        self._age = 0
        self._before: NDArray[np.void] | None = None
        self._earlier: NDArray[np.void] | None = None
        self._addresses: dict[int, tuple[Address, int]] = {}

    def detect(self, scene: Scene) -> Iterator[Finding[Walks] | Finding[Guesses]]:
        """The findings of the second that ends with this epoch, if one does."""
        summary = scene.summary
        self._age += 1
        ends = self._age % EPOCHS_PER_SECOND == 0 or summary.window_ends or summary.final
        if not ends:
            return
        rows = asking(summary.heavy())
        self._name(summary)
        if len(rows):
            lately = rows["requests"].astype(np.int64) - requests_in(self._before, rows)
            whole = with_earlier(rows, self._earlier)
            yield from self._judge(summary, rows, whole, lately)
        self._before = None if summary.window_ends else rows
        if summary.window_ends:
            self._earlier, self._age = rows, 0

    def _name(self, summary: Summary) -> None:
        for row in summary.victims[summary.victims["requests"] > 0]:
            address = int(row["hi"]), int(row["lo"])
            self._addresses[int(row["reference"])] = address, int(row["http_port"])
        while len(self._addresses) > MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]

    def _judge(
        self, summary: Summary, rows: NDArray[np.void], whole: NDArray[np.void], lately: NDArray[np.int64]
    ) -> Iterator[Finding[Walks] | Finding[Guesses]]:
        requests = whole["requests"].astype(np.float64)
        denied = (whole["errors"] >= REFUSED * requests) & (whole["assets"] <= PARTS * requests)
        active = (requests >= FLOOR.count) & denied & (lately > 0)
        if not active.any():
            return
        walked = distinct_paths(whole["paths"])
        guessing = (whole["posts"] >= POSTED * requests) & (whole["repeats"] >= SAME * (requests - 1))
        probing = (walked >= WALK) & (walked >= FRESH * requests) & ~guessing
        for picked, found in ((active & probing, _walks), (active & guessing, _guesses)):
            for victim in np.unique(whole["victim"][picked]):
                mine = picked & (whole["victim"] == victim)
                known = self._addresses.get(int(victim))
                if known is not None:
                    top = source_counts(rows[mine & (whole["proven"] > 0)], "requests", "requests")
                    yield found(summary, known, whole[mine], int(lately[mine].sum()), top)


def _walks(
    summary: Summary, victim: tuple[Address, int], rows: NDArray[np.void], lately: int, top: list[SourceCount]
) -> Finding[Walks]:
    total, proven = float(rows["requests"].sum()), rows[rows["proven"] > 0]
    facts = Walks(
        requests=total,
        errors=float(rows["errors"].sum()),
        paths=float(distinct_paths(rows["paths"]).sum()),
        asked=total,
        proven=float(proven["requests"].sum()),
    )
    return API_PROBING.told(
        summary,
        victim[0],
        facts,
        count=lately,
        floor=FLOOR,
        size=int(rows["bytes"].sum() * lately / max(total, 1)),
        ports=[(victim[1], lately)],
        top=top,
    )


def _guesses(
    summary: Summary, victim: tuple[Address, int], rows: NDArray[np.void], lately: int, top: list[SourceCount]
) -> Finding[Guesses]:
    total, proven = float(rows["requests"].sum()), rows[rows["proven"] > 0]
    facts = Guesses(
        requests=total,
        errors=float(rows["errors"].sum()),
        posts=float(rows["posts"].sum()),
        asked=total,
        proven=float(proven["requests"].sum()),
    )
    return LOGIN_BRUTEFORCE.told(
        summary,
        victim[0],
        facts,
        count=lately,
        floor=EACH,
        size=int(rows["bytes"].sum() * lately / max(total, 1)),
        ports=[(victim[1], lately)],
        top=top,
    )


DETECTOR = Detector((API_PROBING,), watcher=ScriptDetector)
