"""Programs that are served: an API's frontend, a crawler of one's own, a registry's client, a test of load.

They ask as bots do, but the server answers what they ask, as it comes. What a handful of them always did is
no flood: it was there when the capture began, it did not grow, and they ask for ever other things. What began
while we looked is a surge (``unclear``) where nobody else is there to lose: one source alone asks a server of
which nothing usual is known, or all who ask were served before. Anything else is judged as a flood: many
sources, failures, silence, or people beside them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from .._sketches import hll_estimate
from ..history.clients import Visitors
from ..history.sources import VARIETY, Machines
from ..history.victims import View
from ..model.epoch import CLASS_HTTP, DATA, EPOCHS_PER_SECOND
from ..model.event import Action, Evidence, Origin
from ..model.finding import Facts, Finding, Floor, Mean, Sum
from ..model.vector import Vector
from .crowd import surging
from .family import Family, unknown
from .shares import share

FEW = 8
"""More sources are no handful of programs that an operator knows."""
ANSWERED = 0.9
"""Answers per request over the last second, from which a server keeps up ..."""
PARTS = 0.03
"""Share of the requests that fetches parts of pages, from which people are there as well."""
FAILED = 0.1
"""... if no more of them than this are failures: a server that refuses (401, 403) is at its ease."""
FLOOR = Floor(50)
"""Requests in an epoch from which programs are a surge: 200 a second, as many as would be a flood."""
Told: TypeAlias = Literal["flood", "steady", "unclear"]


class Served(Facts):
    """Requests of few sources, the answers to them, and how many of these are failures."""

    requests: Sum = 0.0
    responses: Sum = 0.0
    failures: Sum = 0.0
    sources: Mean = 0.0


def _evidence(facts: Served) -> list[Evidence]:
    ask = "one source asks" if facts.sources < 1.5 else f"about {facts.sources:.0f} sources ask"
    says = f"{ask} for everything that is asked"
    answered = "as many answers were begun as requests came"
    failed = "of the answers are errors (400 and above) other than 401 and 403"
    return [
        share("answered", facts.responses, facts.requests, 1.0, answered),
        share("failures", facts.failures, facts.responses, 0.0, failed),
        Evidence(name="sources", value=round(facts.sources, 1), usual=None, says=says),
    ]


def _advice(facts: Served, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "observe", (
        "a program asks as fast as it is answered, and nothing shows that anybody suffers: a client of the "
        "service, a test of load, or an attack. What would tell: whose address it is, and whether others are "
        "still served"
    )


PROGRAMS = Family(
    (Vector.HTTP_FLOOD,),
    Served,
    _evidence,
    _advice,
    floors=(FLOOR,),
    rule="{floor} automated requests in a quarter of a second, all of them answered, from few sources alone",
    unit="req/s",
    verdict="unclear",
    persist=EPOCHS_PER_SECOND,
    usual="requests",
    origin=unknown,
    title=lambda vector: "surge of requests",
)


def told_apart(view: View, row: np.void, found: Machines, visitors: Visitors) -> Told:
    """What the requests of machines are, where a server answers them: see above."""
    sources, requests, usual = _sources(view), int(row["requests"]), view.usual("requests")
    various = hll_estimate(np.ascontiguousarray(row["http_paths"])) > VARIETY * requests
    if len(found.rows) > FEW or not _keeps_up(view):
        return "flood"
    alone, risen = sources <= 1, surging(view, "requests", requests * EPOCHS_PER_SECOND)
    if various and (view.unchanged("requests") or (alone and not risen)):
        return "steady"
    if sources > FEW or _read(view):
        return "flood"
    if requests < FLOOR.count:
        return "steady"  # too little for a surge, and learnt: what they ask later is held against it
    surges: Told = "unclear" if risen else "steady"
    if not len(found.rows) or (alone and view.unchanged("requests")):
        return surges  # all of them keep to the pace that they had
    known = bool(visitors.paces.knows(found.rows).all())
    return "unclear" if known or (alone and usual is None) else "flood"


def surge(view: View, row: np.void) -> Finding[Served]:
    """What is told of programs that are served and did not always ask."""
    facts = Served(
        requests=float(row["requests"]),
        responses=float(row["responses"]),
        failures=float(int(row["errors"]) - int(row["denied"])),
        sources=_sources(view),
    )
    requests = int(row["requests"])
    return PROGRAMS.seen(
        view,
        facts,
        (DATA,),
        count=requests,
        floor=FLOOR,
        size=int(row["kinds"]["bytes"][DATA]),
        ports=[(int(row["http_port"]), requests)],
        sources=CLASS_HTTP,
    )


def _sources(view: View) -> float:
    """Sources of the requests of the last second."""
    return float(round(view.senders(CLASS_HTTP)))


def _keeps_up(view: View) -> bool:
    """The server answered what was asked in the last second."""
    asked, answered, errors, denied = map(view.lately, ("requests", "responses", "errors", "denied"))
    return answered >= ANSWERED * asked and errors - denied <= FAILED * answered


def _read(view: View) -> bool:
    """People are there as well: they fetch parts of pages."""
    return view.lately("assets") > PARTS * view.lately("requests")
