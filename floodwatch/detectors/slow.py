"""Slow HTTP: clients that hold a server's places and give or take next to nothing.

Three ways, each judged over the last 20 s, and by the connections that are held, however silent (``held``).
Slow headers (slowloris): most requests lack their end, and most got no answer; browsers send a header in one
packet, or in two that follow each other at once. Slow bodies (RUDY): requests promise bodies, far less than
that arrives, and the answers wait for it. Slow readers: whole requests on many connections of one source, and
then packet after packet with a window of zero, while next to nothing is sent. A paused video stalls as well,
but one or two connections for each viewer; so does a transfer to a slow disk or client, which goes on. Left
out: headers behind the snap length, and few slow readers of a server that sends ten packets to others for
each stall.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..history.servers import MEMORY, MEMORY_S, Lookback, Server
from ..history.sources import explaining, source_counts
from ..model.address import Address, address_text
from ..model.epoch import EPOCH_NS, EPOCHS_PER_SECOND
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Majority, Most, Sum
from ..model.summary import Summary
from ..model.vector import Vector
from .family import Detector, Family, Named, Scene, by_handshakes
from .held import BODY, READER, SEALED, Held, Places
from .held import FLOOR as HELD
from .shares import share

LEAST = 50
"""Requests without their end or body, or stalled packets, from which a server feels it."""
SHARE = 0.5
"""Share of the requests that lack their end, of the missing answers, of the named sources' stalls."""
MISSING = 4.0
"""How many times more was promised in bodies than came."""
NAMED = 8
"""Requests without their end or body from which one source is named ..."""
NAMED_STALLS = 24
"""... and packets with a window of zero, if it also opened ``NAMED`` connections and asked on each."""
MOST_NAMED = 4096
"""Such sources of one server that are remembered."""
IDLE = 0.1
"""Stalls for each packet of data that the server sends, from which it is kept from sending."""
HOW = {
    BODY: "bodies that do not come",
    READER: "answers that are not read",
    SEALED: "handshakes of TLS after which nothing is asked, or what is asked goes on and has no answer (TLS "
    "hides which)",
}
COUNTED = ("requests", "responses", "unfinished", "owing", "owed", "loose", "stalled", "sent", "out")
FLOOR = Floor(LEAST)


class Strains(Named):
    """Requests and answers, and the ways in which clients held places: from 20 s before the first finding on.

    ``heard`` is what the victim was seen to send; the rest is of connections that are held, see ``held``.
    """

    requests: Sum = 0.0
    responses: Sum = 0.0
    unfinished: Sum = 0.0
    owing: Sum = 0.0
    stalled: Sum = 0.0
    heard: Sum = 0.0
    held: Most = 0.0
    lasted: Most = 0.0
    holders: Most = 0.0
    most_of_one: Most = 0.0
    holder: Majority = 0
    kind: Majority = 0


def _places(facts: Strains) -> Iterator[Evidence]:
    """How many places were held at the peak, by whom, and how long."""
    what = HOW.get(facts.kind, "requests without their end")
    whom = address_text(divmod(facts.holder, 1 << 64))
    if facts.holders > 1:
        whom = f"{facts.holders:,.0f} sources, {facts.most_of_one:,.0f} of them for {whom}"
    says = f"{facts.held:,.0f} connections were held at once by {what}, for {whom}"
    yield Evidence(name="held", value=facts.held, usual=0.0, says=says)
    says = f"the longest of them was held for {facts.lasted:,.0f} s"
    yield Evidence(name="held_s", value=round(facts.lasted, 1), usual=None, says=says)


def _evidence(facts: Strains) -> list[Evidence]:
    requests, out = facts.requests, list(_places(facts)) if facts.held > 0 else []
    if facts.unfinished > 0:
        says = "of the requests came without the end of their header"
        out.append(share("unfinished", facts.unfinished, requests, 0.02, says))
    if facts.owing > 0:
        says = "of the requests declared a body (Content-Length) that did not come with them"
        out.append(share("bodies_owed", facts.owing, requests, 0.02, says))
    if facts.stalled > 0:
        says = f"{facts.stalled:,.0f} packets announced a zero window: the client accepts no data"
        out.append(Evidence(name="stalls", value=facts.stalled, usual=0.0, says=says))
    if facts.heard > 0:
        says = "as many answers were begun as requests came"
        out.append(share("answered", facts.responses, requests, 0.99, says))
    return out


def limit_each(facts: Named, origin: Origin, known_path: bool) -> tuple[Action, str]:
    """Slow down whom handshakes prove."""
    if origin == "real":
        return "limit_per_source", (
            "the sources finished their handshakes, so a limit hits nobody else; check what they asked for"
        )
    return "observe", "no source is proven real: check what was asked for"


SLOW_HTTP = Family(
    (Vector.SLOW_HTTP,),
    Strains,
    _evidence,
    limit_each,
    technique="T1499.002",
    floors=(FLOOR, HELD),
    severe=FLOOR.count,
    rule=f"{{floor}} unfinished requests, missing bodies or zero-window packets in {MEMORY_S:.0f} s",
    unit="conn/s",
    hold=MEMORY,
    habitual=True,
    origin=by_handshakes,
    promised_s=30.0,
)


class SlowDetector:
    """Judges servers once a second; remembers those that were strained lately."""

    def __init__(self) -> None:
        self._lately = Lookback(COUNTED, ("unfinished", "owing", "stalled"))
        self._places = Places()

    def detect(self, scene: Scene) -> Iterator[Finding[Strains]]:
        """The findings of the second that ends with this epoch, if one does."""
        summary = scene.summary
        if self._lately.second(summary):
            held = self._places.now(summary)
            for reference, server in self._lately.servers.items():
                stalled = not self._places.are_read(server.address)
                for finding in _judge(summary, reference, server, server.sums(), stalled=stalled):
                    yield self._with_places(summary, finding, held.pop(server.address, None))
            servers = {server.address: server for server in self._lately.servers.values()}
            for address, places in held.items():
                if self._places.is_told(address) or places.slow >= HELD.count:
                    finding = _of_places(summary, address, places, servers.get(address))
                    yield self._with_places(summary, finding, places)
        if summary.window_ends:
            self._places.forget_window()

    def _with_places(
        self, summary: Summary, finding: Finding[Strains], held: Held | None
    ) -> Finding[Strains]:
        """A finding that counts what is held as well."""
        if held is None:
            return finding
        self._places.tell(finding.victim, held)
        facts = finding.facts
        facts.held, facts.lasted, facts.holders = float(held.most), held.lasted, float(held.holders)
        facts.holder, facts.most_of_one, facts.kind = held.holder, float(held.most_of_one), held.kind
        first, end = held.stretch
        finding.stretches = finding.stretches or [held.stretch]
        finding.busiest = held.busiest
        finding.first_ns = min(finding.first_ns, first * EPOCH_NS)
        finding.last_ns = min(summary.last_ns, end * EPOCH_NS - 1)
        if not finding.top:
            facts.asked, facts.proven = float(held.fresh + held.before), float(held.proven)
            finding.top, finding.seen = held.top, held.seen
        return finding


def _judge(
    summary: Summary, reference: int, server: Server, sums: dict[str, int], *, stalled: bool
) -> Iterator[Finding[Strains]]:
    requests, unanswered = sums["requests"], sums["requests"] - sums["responses"]
    headers = sums["unfinished"] >= max(LEAST, SHARE * requests) and unanswered > SHARE * requests
    bodies = (
        sums["owing"] >= LEAST
        and sums["owed"] >= MISSING * sums["loose"]
        and unanswered >= SHARE * sums["owing"]
    )
    if headers or bodies:
        rows = explaining(_strainers(summary, reference, NAMED), "strains", 2 * NAMED)
        yield _finding(summary, server, sums, rows)
    elif stalled and sums["stalled"] >= max(LEAST, IDLE * sums["sent"]):
        rows = _strainers(summary, reference, NAMED_STALLS)
        rows = rows[_opened_many(server, rows)]
        lately = server.lately(summary.epoch - EPOCHS_PER_SECOND * 8)["stalled"]
        if len(rows) and int(rows["strains"].sum()) >= SHARE * lately:
            yield _finding(summary, server, sums, rows)


def _of_places(summary: Summary, address: Address, held: Held, server: Server | None) -> Finding[Strains]:
    """A finding about what is held; ``server`` counts what is asked meanwhile, unless all is silent."""
    fresh = server.fresh(summary.epoch) if server else None
    return SLOW_HTTP.told(
        summary,
        address,
        _facts(fresh.whole) if fresh else Strains(),
        count=held.fresh,
        earlier=held.before,
        stretches=fresh.stretches if fresh else None,
        held=float(held.slow),
        floor=HELD,
        ports=[(held.port, held.fresh + held.before)],
    )


def _opened_many(server: Server, rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which of these sources hold many connections, opened in this window or before."""
    many = (rows["proven"] >= NAMED) & (rows["requests"] >= NAMED)
    if len(server.stalling) > MOST_NAMED:
        server.stalling.clear()
    server.stalling.update(rows["pair_hash"][many].tolist())
    held: NDArray[np.bool_] = np.isin(rows["pair_hash"], list(server.stalling))
    return held


def _strainers(summary: Summary, reference: int, least: int) -> NDArray[np.void]:
    rows = summary.heavy()
    chosen: NDArray[np.void] = rows[(rows["victim"] == reference) & (rows["strains"] >= least)]
    return chosen


def _strains(counted: dict[str, int]) -> int:
    return counted["unfinished"] + counted["owing"] + counted["stalled"]


def _facts(counted: dict[str, int]) -> Strains:
    return Strains(
        requests=float(counted["requests"]),
        responses=float(counted["responses"]),
        unfinished=float(counted["unfinished"]),
        owing=float(counted["owing"]),
        stalled=float(counted["stalled"]),
        heard=float(counted["out"]),
    )


def _finding(
    summary: Summary, server: Server, sums: dict[str, int], strainers: NDArray[np.void]
) -> Finding[Strains]:
    fresh = server.fresh(summary.epoch)
    strains, earlier = _strains(fresh.last), _strains(fresh.earlier)
    proven = strainers[strainers["proven"] > 0]
    facts = _facts(fresh.whole)
    facts.asked, facts.proven = float(strainers["strains"].sum()), float(proven["strains"].sum())
    return SLOW_HTTP.told(
        summary,
        server.address,
        facts,
        count=strains,
        quarters=fresh.quarters,
        earlier=earlier,
        stretches=fresh.stretches,
        held=max(sums["unfinished"], sums["owing"], sums["stalled"]),
        floor=FLOOR,
        one_way=sums["out"] == 0,
        ports=[(server.port, strains + earlier)],
        top=source_counts(proven, "strains", "packets"),
    )


DETECTOR = Detector((SLOW_HTTP,), watcher=SlowDetector)
