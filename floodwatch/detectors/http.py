"""HTTP floods: who asks, how fast, and for what.

Volume only says that there is something to judge. What decides is how each source behaves: people fetch a
page with its parts and then read; machines repeat a few paths and fetch nothing else. An office behind one
address asks as often as a machine, but as variously as many people. The excess is split: what machines ask
is the flood, what is left over the usual rate is the crowd.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..history.clients import Visitors
from ..history.nearby import TOGETHER
from ..history.sources import Asked, Machines, machines
from ..history.victims import View
from ..model.epoch import CLASS_HTTP, DATA, EPOCHS_PER_SECOND
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import Vector
from .crowd import CONNECTION_CROWD, HTTP_CROWD, RATIO, known_networks, pace, parts_of_pages, surge, surging
from .family import BLOCK, Detector, Family, Named, Scene, by_handshakes, by_whom
from .served import PROGRAMS, told_apart
from .served import surge as programs
from .shares import percent, share
from .slow import MISSING

FLOOR = Floor(50)
"""Requests of machines in an epoch: 200 a second ..."""
ALONE = Floor(75, "all from one source, which may be a health check or a script")
"""... and 300 where one single source sends them."""
NEW = 0.75
"""Share of the names of parameters, or of the queries, of a source that were never there before ..."""
DISGUISED = 200
"""... and so many of the latter under changing agents, where the names are no others ..."""
STEADY = 40
"""... so many names under one agent ..."""
INVENTED = Floor(
    16,
    rule=f"{{floor}} or more names of parameters from one source under changing agents within a minute, "
    f"{STEADY} under one, {percent(NEW)} of them new, or {DISGUISED} different queries to one path under "
    "changing agents",
)
"""... from which it invents what it asks; ``inventing`` judges that."""
UNFINISHED = 0.5
ONE_PATH = 0.8
FOLLOWED = 0.5
"""Share of the new connections that begin a handshake of TLS, from which they are judged as such."""
FEW_ASSETS = 0.05
LOUD = 1.3
"""Requests per source in one second, from which one path without its parts is not reading: all come back."""


BROKEN = (Vector.HTTP2_RAPID_RESET, Vector.HTTP2_CONTINUATION_FLOOD, Vector.MADEYOURESET)
"""Floods of streams that are broken off: what they ask for is not told as requests as well."""


class Requests(Named):
    """Requests, those of machines among them, and those for parts of pages; see ``crowd.Visits``.

    ``machine`` are those of sources that stand out one by one, ``together`` those of hosts that are machines
    only together, with the others of their network, ``whole`` those of epochs in which all that asked are,
    ``invented`` those of sources that invent their queries (see ``inventing``).
    """

    requests: Sum = 0.0
    machine: Sum = 0.0
    whole: Sum = 0.0
    together: Sum = 0.0
    invented: Sum = 0.0
    assets: Sum = 0.0
    listed: Sum = 0.0
    known: Sum = 0.0


def proof(facts: Named, what: str) -> list[Evidence]:
    """How much of what is listed is proven; nothing where nobody is."""
    if facts.asked <= 0:
        return []
    says = f"{what} come from sources that finished a handshake"
    out = (
        [share("proven_share", facts.proven, facts.asked, 1.0, says)]
        if facts.proven or not facts.vouched
        else []
    )
    if facts.vouched:
        says = f"{what} came by way of a proxy, which names their client"
        out.append(share("forwarded_share", facts.vouched, facts.asked, None, says))
    return out


def _machines(facts: Requests) -> Iterator[Evidence]:
    by_rate = facts.machine + facts.together + facts.whole
    if facts.invented > by_rate:  # the rest is of moments, and these are of all the time
        says = (
            f"{facts.invented:,.0f} requests come from sources that make up a query for each, with names of "
            "parameters or of programs that hardly come again, and fetch hardly any page assets"
        )
        yield Evidence(name="invented", value=facts.invented, usual=0.0, says=says)
        return
    if facts.machine > 0:
        says = (
            "of the requests come from sources that ask again and again, faster or more alike than people do"
        )
        yield share("machine_share", facts.machine, facts.requests, 0.0, says)
    if facts.together > 0:
        says = (
            "of the requests come from hosts of one network, or of a few, that fetch hardly any page assets "
            f"and together ask {TOGETHER:.0f} times a second or more"
        )
        yield share("network_share", facts.together, facts.requests, 0.0, says)
    if facts.whole > 0:
        says = (
            f"of the requests came while at least {percent(ONE_PATH)} of them were for one path, at most "
            f"{percent(FEW_ASSETS)} for parts of pages, and each source sent about {LOUD:g} a second or more"
        )
        yield share("hammered", facts.whole, facts.requests, 0.0, says)


def _evidence(facts: Requests) -> list[Evidence]:
    return [
        *sorted(_machines(facts), key=lambda told: -told.value),
        *proof(facts, "of what such sources sent"),
        *([parts_of_pages(facts.assets, facts.requests)] if facts.invented <= facts.requests else []),
        *known_networks(facts.listed, facts.known),
    ]


def block_or_cap(facts: Named, origin: Origin, known_path: bool) -> tuple[Action, str]:
    """Block whom handshakes prove; else cap what is asked for, but for known clients."""
    if origin == "real":
        return BLOCK
    where = "the path" if known_path else "the service"
    return "cap_unknown", f"no source is proven real: cap {where} for unknown clients, let known ones pass"


HTTP_FLOOD = Family(
    (Vector.HTTP_FLOOD,),
    Requests,
    _evidence,
    block_or_cap,
    technique="T1499.002",
    floors=(FLOOR, ALONE, INVENTED),
    rule="{floor} automated requests in a quarter of a second",
    unit="req/s",
    persist=2,
    usual="requests",
    sent=lambda facts: facts.requests,
    origin=by_handshakes,
    promised_s=3.0,
)


def detect(scene: Scene) -> Iterator[Finding[Any]]:
    """Judge every victim's requests and connections of the epoch."""
    for view in scene.views:
        if view.row is not None:
            yield from _judge(view, view.row, scene)


def _judge(view: View, row: np.void, scene: Scene) -> Iterator[Finding[Any]]:
    requests, visitors = int(row["requests"]), scene.visitors
    if any((vector, view.track.address) in scene.named for vector in BROKEN):
        requests -= int(row["h2_requests"])
        if requests < FLOOR.count // 2:
            return
    finished = 0 if _sealed(view) else int(row["finished"])
    if requests < FLOOR.count // 2:
        yield from surge(view, row, requests, finished, 0)
        return
    if min(int(row["unfinished"]) + _bodiless(row), _unanswered(view, row)) >= UNFINISHED * requests:
        return  # requests that never end ask for nothing: they hold places, which is another vector
    reference, hammered = int(row["reference"]), _hammered(view, row)
    only = _winner(row) if hammered else None
    found = machines(reference, scene.summary, visitors, _asked(view, only))
    told = told_apart(view, row, found, visitors)
    if told == "unclear":
        yield programs(view, row)
        return
    if told == "steady":
        yield from surge(view, row, requests, finished, 0)
        return
    alone = len(found.rows) == 1
    floor = ALONE if alone else FLOOR
    whole = hammered and not alone
    flood = requests if whole else min(found.requests, requests)
    if flood >= floor.count / 2:
        visitors.flooded(reference, view.epoch)
        yield _flood(view, row, found, flood, floor, visitors, whole=whole)
    if whole or visitors.flood_ended(reference, view.epoch):
        return
    for visit in surge(view, row, requests - flood, 0 if flood else finished, flood):
        table = visitors.windows.now(scene.summary)
        visit.facts.listed, visit.facts.known = visitors.asked(table[table["victim"] == reference])
        yield visit


def _flood(
    view: View, row: np.void, found: Machines, count: int, floor: Floor, visitors: Visitors, *, whole: bool
) -> Finding[Requests]:
    requests = int(row["requests"])
    listed, known = visitors.asked(found.window)
    together = 0 if whole else min(found.together, count)
    facts = Requests(
        requests=float(requests),
        machine=0.0 if whole else float(count - together),
        together=float(together),
        whole=float(count) if whole else 0.0,
        assets=float(row["assets"]),
        **by_whom(found.rows, found.last),
        listed=listed,
        known=known,
    )
    return HTTP_FLOOD.seen(
        view,
        facts,
        (DATA,),
        count=count,
        floor=floor,
        size=int(int(row["kinds"]["bytes"][DATA]) * count / max(requests, 1)),
        ports=[(int(row["http_port"]), count)],
        paths=_paths(row, count),
        sources=CLASS_HTTP,
        top=found.named(),
    )


def _asked(view: View, only: int | None) -> Asked:
    """What is known of a victim's requests; growth counts where it is a surge over the usual."""
    usual, rate = view.usual("requests"), view.rate("requests")
    grown = usual is not None and rate >= RATIO * usual
    return Asked(only, rate, usual or 0.0, rate - (usual or 0.0) if grown else 0.0)


def _bodiless(row: np.void) -> int:
    """Requests whose bodies do not come; clients that send header and body apart send the body at once."""
    return int(row["owing"]) if int(row["owed"]) >= MISSING * int(row["loose"]) else 0


def _unanswered(view: View, row: np.void) -> int:
    """Requests without an answer; one that is answered did end, in however many packets it came."""
    return int(row["requests"]) - (0 if view.one_way else int(row["responses"]))


def _hammered(view: View, row: np.void) -> bool:
    """A flood by sources too slow to stand out one by one: one path, no parts, beyond reading pace."""
    requests = int(row["requests"])
    votes = int(row["paths"]["vote"].max())
    return (
        requests >= FLOOR.count
        and votes >= ONE_PATH * requests
        and int(row["assets"]) <= FEW_ASSETS * requests
        and surging(view, "requests", requests * EPOCHS_PER_SECOND)
        and pace(view) >= LOUD
    )


def _sealed(view: View) -> bool:
    """Most connections go on with TLS, and are judged by what is seen of that."""
    return view.sealed("hellos") >= FOLLOWED * view.lately("finished")


def _winner(row: np.void) -> int:
    """Keyed hash of the path that nearly everybody asks for."""
    return int(row["paths"][int(row["paths"]["vote"].argmax())]["hash"])


def _paths(row: np.void, requests: int) -> list[tuple[str, int]]:
    """(path, requests) of the paths that win their bucket and hold a tenth of the requests."""
    return [
        (bytes(held["text"][: int(held["length"])]).decode("latin-1"), int(held["vote"]))
        for held in row["paths"]
        if int(held["vote"]) >= max(requests // 10, 1)
    ]


DETECTOR = Detector((HTTP_FLOOD, HTTP_CROWD, CONNECTION_CROWD, PROGRAMS), of_epoch=detect)
