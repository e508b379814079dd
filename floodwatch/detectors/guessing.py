"""Guessing of logins by many sources that try once or twice each: only their victim sees it.

A login is posted, or stands in the header of any request (RFC 7617).

People mistype a password now and then, and a service that limits sign-ups answers with 429 or 503. Where
four of five posts of the last 20 s were denied (401 or 403) and nearly all went to one path, that is neither.
Sources that try often are told apart one by one in ``scripts``. Left out: logins that are refused with a
status of 200, and what TLS hides.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..history.servers import MEMORY, MEMORY_S, Lookback, Server
from ..model.event import Evidence
from ..model.finding import Finding, Floor, Sum
from ..model.summary import Summary
from ..model.vector import Vector
from .family import Detector, Family, Named, Scene, by_handshakes
from .shares import percent, share
from .slow import limit_each

REFUSED = 0.6
"""Share of one source's requests that was refused (400 or more), from which it guesses or probes."""
EACH = Floor(16, f"from one source in 8 s, at least {percent(REFUSED)} of the requests refused")
"""Requests of one source, in a window of the heavy-hitter table; ``scripts`` judges them."""
BLIND = Floor(
    80, "from one source in 8 s, nearly all of them answered with 401 or 403, whatever login they carry"
)
"""... and where it never changes its login, or shows none: programs do that whose password has expired."""
LEAST = 100
"""Posts, or requests with a login, in 20 s: five a second ..."""
DENIED = 0.8
"""... of which this share was denied ..."""
ONE_PATH = 0.8
"""... and this share went to one path."""


FLOOR = Floor(
    LEAST, f"from all clients in {MEMORY_S:.0f} s, at least {percent(DENIED)} answered with 401 or 403"
)


class Guesses(Named):
    """Tries of guessers, those that were refused, those that posted something, and those whose header carried
    a login.
    """

    tries: Sum = 0.0
    errors: Sum = 0.0
    posts: Sum = 0.0
    logins: Sum = 0.0


def refused(errors: float, tries: float) -> Evidence:
    """How many of the tries the server did not grant."""
    return share(
        "refused", errors, tries, 0.05, "as many refusals (a status of 400 or more) as tries", "about"
    )


def _evidence(facts: Guesses) -> list[Evidence]:
    out, tries = [refused(facts.errors, facts.tries)], max(facts.tries, 1)
    if facts.logins > 0:
        says = (
            f"{facts.logins:,.0f} tries carried a login in their header (Basic or Digest), ever another one"
        )
        out.append(Evidence(name="logins", value=round(facts.logins / tries, 4), usual=None, says=says))
    if facts.posts > 0 or not facts.logins:
        says = f"at least {facts.posts:,.0f} tries sent data (POST, PUT or PATCH), most of them to one path"
        out.append(Evidence(name="posts", value=round(facts.posts / tries, 4), usual=None, says=says))
    return out


LOGIN_BRUTEFORCE = Family(
    (Vector.LOGIN_BRUTEFORCE,),
    Guesses,
    _evidence,
    limit_each,
    technique="T1110",
    floors=(EACH, BLIND, FLOOR),
    severe=200.0,
    rule="{floor} requests to one path, most of them POST, PUT or PATCH, or with a login in their header",
    unit="req/s",
    hold=MEMORY,
    habitual=True,
    origin=by_handshakes,
    clients=None,
    promised_s=30.0,
    title=lambda vector: "Login brute force",
)
REFUSALS = {"posts": "denied", "logins": "turned_away"}
"""Refusals that answer tries of either kind: who shows no login yet is asked for it, which is none."""
EARLIER = (Vector.API_PROBING, Vector.LOGIN_BRUTEFORCE)
"""Where sources stand out one by one, they are not judged as a crowd of guessers as well."""


class GuessingDetector:
    """Judges servers once a second; remembers those that denied something lately."""

    def __init__(self) -> None:
        self._lately = Lookback(("posts", "logins", "denied", "turned_away"), ("denied",))

    def detect(self, scene: Scene) -> Iterator[Finding[Guesses]]:
        """The findings of the second that ends with this epoch, if one does."""
        if not self._lately.second(scene.summary):
            return
        for server in self._lately.servers.values():
            sums = server.sums()
            if any((vector, server.address) in scene.named for vector in EARLIER):
                server.told = scene.summary.epoch
                continue
            tries = "posts" if sums["posts"] >= sums["logins"] else "logins"
            if sums[tries] < LEAST or sums[REFUSALS[tries]] < DENIED * sums[tries]:
                continue
            ((path, votes),) = server.posted.most_common(1) or [("", 0)]
            if not server.lately(server.told)[tries]:
                continue
            if votes and votes >= ONE_PATH * server.posted.total():
                yield _finding(scene.summary, server, tries, sums[tries], path)


def _finding(summary: Summary, server: Server, tries: str, held: int, path: str) -> Finding[Guesses]:
    fresh = server.fresh(summary.epoch)
    whole, count = fresh.whole, fresh.last[tries]
    facts = Guesses(tries=float(whole[tries]), errors=float(whole[REFUSALS[tries]]))
    setattr(facts, tries, facts.tries)
    return LOGIN_BRUTEFORCE.told(
        summary,
        server.address,
        facts,
        count=count,
        quarters=fresh.quarters,
        earlier=fresh.earlier[tries],
        stretches=fresh.stretches,
        held=held,
        floor=FLOOR,
        over=count > 0,
        ports=[(server.port, count)],
        paths=[(path, count)],
        sources=fresh.sources,
    )


DETECTOR = Detector((LOGIN_BRUTEFORCE,), watcher=GuessingDetector)
