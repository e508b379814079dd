"""Crowds: a surge over the usual rate that no machine explains. What machines ask is taken off before.

People are told by what they fetch: the parts of pages, as browsers do. Where few do, or where requests cannot
be read and only handshakes are counted, nothing tells people from machines: that is a surge (``unclear``),
which says what would tell.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.victims import View
from ..model.epoch import CLASS_HTTP, CLASS_SYN, DATA, EPOCHS_PER_SECOND
from ..model.event import Action, Evidence, Origin
from ..model.finding import Facts, Finding, Floor, Mean, Sum
from ..model.vector import Vector
from .family import Family, by_finished, unknown
from .shares import share
from .syn import FINISHED

FLOOR = 40.0
"""Requests (or connections) a second from which a surge is worth telling."""
SURGE = Floor(FLOOR / EPOCHS_PER_SECOND)
RATIO = 2.5
"""How many times the usual rate a surge is."""
PERSIST = 4
"""Epochs that a surge (of a second's sum) lasts before it is a crowd."""
READERS = 0.3
"""Share of the requests that fetch parts of pages, from which the visitors are people."""


class Visits(Facts):
    """What the visitors did.

    ``listed`` and ``known`` are requests of the busiest sources, and those of them from networks that were
    served before; ``pace`` is requests of one client a second.
    """

    requests: Sum = 0.0
    assets: Sum = 0.0
    pace: Mean = 0.0
    listed: Sum = 0.0
    known: Sum = 0.0
    attempts: Sum = 0.0
    finished: Sum = 0.0


def parts_of_pages(assets: float, requests: float) -> Evidence:
    """How many of the requests fetch what pages pull in."""
    says = "of the requests fetch page assets (images, styles, scripts), as browsers do"
    return share("asset_share", assets, requests, 0.5, says)


def known_networks(listed: float, known: float) -> list[Evidence]:
    """How much comes from where clients were served before; nothing where nobody was."""
    if listed <= 0:
        return []
    says = "of the busiest sources' requests come from networks that were served before"
    return [share("known_networks", known, listed, None, says)]


def _evidence(facts: Visits) -> list[Evidence]:
    out = [parts_of_pages(facts.assets, facts.requests)] if facts.requests > 0 else []
    if facts.pace > 0:
        says = (
            f"a client that asks in a second does so about {facts.pace:.1f} times, on average of all seconds"
        )
        out.append(Evidence(name="pace", value=round(facts.pace, 2), usual=None, says=says))
    return [*out, *known_networks(facts.listed, facts.known)]


def _connections_evidence(facts: Visits) -> list[Evidence]:
    if facts.attempts <= 0:
        return []
    return [share("handshake_completion", facts.finished, facts.attempts, 0.97, FINISHED, "about")]


def _people(facts: Visits) -> bool:
    """Requests were read, and enough of them fetch parts of pages; programs that call an API fetch none."""
    return facts.requests > 0 and facts.attempts <= 0 and facts.assets >= READERS * facts.requests


def _advice(facts: Visits, origin: Origin, known_path: bool) -> tuple[Action, str]:
    if _people(facts):
        why = "these look like people: they fetch page assets as browsers do; blocking would hit users"
        return "scale_out", why
    if facts.attempts > 0:
        unseen, tells = "their requests could not be read", "the server's log, or a capture where TLS ends"
    else:
        unseen = "few of the requests fetch page assets, and no client stands out as automated"
        tells = "what they ask for, and whether they came before: a capture that begins earlier"
    return "observe", (
        f"people or machines, nothing that was captured tells: {unseen}. What would tell: {tells}"
    )


RULE = f"a surge of {{floor}} or more in a quarter of a second, {RATIO:g} times the usual"
HTTP_CROWD = Family(
    (Vector.HTTP_FLOOD,),
    Visits,
    _evidence,
    _advice,
    floors=(SURGE,),
    severe=200.0,
    rule=RULE,
    unit="req/s",
    verdict="crowd",
    persist=PERSIST,
    usual="requests",
    origin=unknown,
    people=_people,
    title=lambda vector: "crowd of HTTP clients",
)
CONNECTION_CROWD = Family(
    (Vector.CONNECTION_FLOOD,),
    Visits,
    _connections_evidence,
    _advice,
    floors=(SURGE,),
    severe=500.0,
    rule=RULE,
    unit="conn/s",
    verdict="crowd",
    persist=PERSIST,
    usual="finished",
    origin=by_finished,
    people=_people,
    title=lambda vector: "crowd of new connections",
)


def surge(view: View, row: np.void, requests: int, finished: int, flood: int) -> Iterator[Finding[Visits]]:
    """A surge over the usual rate of requests, or of finished handshakes where requests cannot be seen.

    Args:
        view: the victim.
        row: its counters.
        requests: those that no machine sent.
        finished: handshakes, or 0 where a flood of requests explains them.
        flood: requests of machines.
    """
    family, metric, count = HTTP_CROWD, "requests", requests
    if finished > requests:
        family, metric, count = CONNECTION_CROWD, "finished", finished
    usual, rate = view.usual(metric), view.rate(metric) - EPOCHS_PER_SECOND * flood
    if usual is None or rate < FLOOR / 2 or rate < RATIO / 2 * usual:
        return
    visible = family is HTTP_CROWD
    facts = Visits(
        requests=float(row["requests"]),
        assets=float(row["assets"]),
        pace=pace(view),
        attempts=0.0 if visible else float(row["syn_flows"]),
        finished=float(row["finished"]),
    )
    yield family.seen(
        view,
        facts,
        (DATA,),
        count=count,
        floor=SURGE,
        over=rate >= FLOOR and rate >= RATIO * usual,
        size=int(row["kinds"]["bytes"][DATA]),
        ports=[(int(row["http_port"]), count)] if visible else [],
        sources=CLASS_HTTP if visible else CLASS_SYN,
    )


def pace(view: View) -> float:
    """Requests a second for each source of the last second."""
    return view.lately("requests") / max(view.senders(CLASS_HTTP), 1.0)


def surging(view: View, metric: str, rate: float) -> bool:
    """So much a second is a surge over what is usual, or what is usual is not known."""
    usual = view.usual(metric)
    return usual is None or rate >= RATIO * usual
