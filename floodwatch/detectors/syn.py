"""SYN floods: half-open connections that nobody finishes (RFC 4987).

The excess is judged, not the victim: attempts minus the handshakes that real clients finished, minus the SYNs
that real clients sent again because the server was slow. What is left is the flood, even in a crowd.

Far below the floor tests add up what cannot be normal (``history.evidence``): SYNs of ever other sources of
which nobody says any more, and SYNs of anybody at few ports; of refused ones it takes more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..history.evidence import Rows, SequentialTest
from ..history.ports import port_shares
from ..history.strangers import strangers
from ..history.victims import SCAN_PORTS, SCAN_SOURCES, SCAN_TRIES, View, distinct_sources
from ..model.epoch import ACK, CLASS_SYN, DATA, FIN, SYN
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, Sum
from ..model.vector import TCP_NUMBER, Vector
from .family import Detector, Family
from .forging import Bare, addresses, forged_or_unknown, random_share
from .shares import percent, share

FLOOR = Floor(125)
"""Unfinished attempts in an epoch: 500 a second."""
SHARE = 0.15
"""Least share of the attempts that is unfinished; below it is loss and impatience."""
MOST = 0.6
"""Where less than this is unfinished, it takes ``PATIENCE``; and the capture's last epoch is not judged."""
PATIENCE = 5
"""Epochs that a full backlog gets: the clients whom it turned away try again after one second (RFC 6298)."""
ANNOUNCED = 5
"""Epochs after which a client whom nobody answered has sent its SYN again (RFC 6298: after one second)."""
SILENT = 0.8
"""Share of the attempts of which neither side says any more, from which the addresses are forged ..."""
AGAIN = 0.1
"""... unless so large a share of them was sent again, which only a real stack does."""
MANY, EACH_ONCE = 400, 0.5
"""So many attempts, and so many distinct sources for each, are asked for beside it: one host that does not
finish its handshakes forges no addresses."""
REFUSED = 0.1
"""Share of the attempts that met a closed port, from which it is worth telling ..."""
CLOSED = 0.5
"""... and from which the port is closed for all."""


LOSS = 0.5
"""For each handshake that was finished so many that were not count as loss and impatience beside it."""
EVER_OTHER = 0.8
"""Share of the attempts that distinct sources make, from which none of them asks twice."""


def _beyond_loss(rows: Rows) -> NDArray[np.float64]:
    """Attempts beyond those that were finished, with loss beside them, and those that were sent again.

    Flows of which only what follows a handshake was seen show that handshakes are missing in the capture.
    """
    finished = rows["finished"].astype(np.float64) + rows["followed"]
    unseen: NDArray[np.float64] = rows["kinds"]["strange_flows"][:, [DATA, ACK, FIN]].sum(axis=1)
    asked = _attempts(rows, rows["kinds"]["packets"][:, SYN])
    left: NDArray[np.float64] = asked - (1 + LOSS) * finished - rows["syn_again"] - unseen
    return left


def _silent_sources(rows: Rows) -> NDArray[np.float64]:
    """Attempts of ever other sources of which nobody says any more; a refusal is an answer."""
    left: NDArray[np.float64] = _beyond_loss(rows) - rows["refused"]
    for at in np.flatnonzero(left > 0):
        attempts = max(float(rows["syn_flows"][at]), left[at])  # replays are attempts, too
        if distinct_sources(rows[at], CLASS_SYN) < EVER_OTHER * attempts:
            left[at] = 0
    return left


def _few_ports(rows: Rows) -> NDArray[np.float64]:
    """Attempts of anybody that are not refused, unless they look for services."""
    return _at_few_ports(rows, _beyond_loss(rows) - rows["refused"])


def _refused(rows: Rows) -> NDArray[np.float64]:
    """Attempts of anybody that a closed port refuses, unless they look for services."""
    return _at_few_ports(rows, np.minimum(_beyond_loss(rows), rows["refused"]))


def _at_few_ports(rows: Rows, left: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of attempts where those who look for services stay out: few packets for each port."""
    for at in np.flatnonzero(left > 0):
        if left[at] <= SCAN_TRIES * hll_estimate(np.ascontiguousarray(rows["syn_ports"][at])):
            left[at] = 0
    return left


SILENT_SOURCES = SequentialTest(
    20.0,
    _silent_sources,
    "SYNs of ever other sources that nobody goes on with, refuses or repeats add up to a log-likelihood "
    "ratio of {floor}, held against 20 a second: scans, backscatter and retries bring no more",
)
FEW_PORTS = SequentialTest(
    80.0,
    _few_ports,
    "unfinished handshakes at few ports add up to a log-likelihood ratio of {floor}, held against 80 a "
    "second: retries and health checks bring no more",
)
REFUSED_THERE = SequentialTest(
    140.0,
    _refused,
    "refused handshakes at few ports add up to a log-likelihood ratio of {floor}, held against 140 a second: "
    "a client whose service is down brings no more",
)
TESTS = (SILENT_SOURCES, FEW_PORTS, REFUSED_THERE)


FINISHED = "as many handshakes were finished as begun"
UNSAID = "of those begun were not finished, refused, or sent again as a real client does after a second"
UNSEEN = (
    "of those begun did not go on, and were not sent again as a real client does after a second; whether "
    "they were refused was not seen"
)
WENT_ON = "as many connections went on as were begun; whether they were answered was not seen"


class Attempts(Bare):
    """Connections asked for, in how many epochs, and what became of them in these.

    ``again`` were retransmitted, ``followed`` went on though no answer was seen; ``heard`` is above 0 where
    the victim was seen to send.
    """

    attempts: Sum = 0.0
    epochs: Sum = 0.0
    finished: Sum = 0.0
    followed: Sum = 0.0
    answered: Sum = 0.0
    refused: Sum = 0.0
    heard: Sum = 0.0
    again: Sum = 0.0


def _clear(facts: Attempts) -> float:
    return 1 - 0.3 * min(1.0, (facts.finished + facts.followed) / max(facts.attempts, 1))


def _closed(facts: Attempts) -> bool:
    return 0 < facts.attempts <= facts.refused / CLOSED


def _silent(facts: Attempts) -> float:
    """Attempts that were neither finished nor refused nor tried again."""
    return max(0.0, facts.attempts - facts.finished - facts.followed - facts.refused - facts.again)


def _silence_tells(facts: Attempts, count: float, distinct: float) -> bool:
    """Nobody goes on: not with the handshakes that the victim answered, nor, in time, by asking again."""
    if count < MANY or distinct < EACH_ONCE * count or _silent(facts) < SILENT * facts.attempts:
        return False
    answered = facts.answered - facts.finished >= SILENT * facts.attempts
    late = max(0.0, 1 - ANNOUNCED / max(facts.epochs, 1)) * facts.attempts
    return answered or (late >= MANY / 2 and facts.again <= AGAIN * late)


def _origin(facts: Attempts, count: float, distinct: float) -> Origin:
    return "forged" if _silence_tells(facts, count, distinct) else forged_or_unknown(facts, count, distinct)


def _forged_share(facts: Attempts, count: float, distinct: float) -> float:
    silent = _silent(facts) / max(facts.attempts, 1) if _silence_tells(facts, count, distinct) else 0.0
    return max(silent, random_share(facts))


def _evidence(facts: Attempts) -> list[Evidence]:
    attempts = facts.attempts
    if facts.heard > 0:
        out = [
            share("handshake_completion", facts.finished, attempts, 0.97, FINISHED, "about"),
            share(
                "answered", facts.answered, attempts, 0.99, "as many were answered with a SYN-ACK", "about"
            ),
        ]
    else:
        out = [share("handshake_completion", facts.followed, attempts, 0.97, WENT_ON, "about")]
    closed = ": the port is closed" if _closed(facts) else ""
    if facts.refused > REFUSED * attempts:
        says = f"as many were refused with a RST as begun{closed}"
        out.insert(0 if closed else len(out), share("refused", facts.refused, attempts, 0.0, says, "about"))
    if facts.epochs > ANNOUNCED and _silent(facts) >= SILENT * attempts:
        says = UNSAID if facts.heard > 0 else UNSEEN
        out.append(share("silent", _silent(facts), attempts, 0.02, says, "about"))
    return out


def _advice(facts: Attempts, origin: Origin, known_path: bool) -> tuple[Action, str]:
    if _closed(facts):
        return "observe", (
            "nothing listens on this port, and a refused SYN takes no place in the server, only bandwidth; "
            "clients who were served there before may ask for a service that is down"
        )
    if origin == "forged":
        return "syn_cookies", "the addresses are forged: blocking them would hit bystanders"
    return "syn_cookies", "no source finished a handshake, so none is proven real"


SYN_FLOOD = Family(
    (Vector.SYN_FLOOD,),
    Attempts,
    _evidence,
    _advice,
    technique="T1499.001",
    floors=(FLOOR,),
    rule=f"{{floor}} unfinished handshakes in a quarter of a second, at least {percent(SHARE)} of all begun",
    usual="syn",
    origin=_origin,
    forged=_forged_share,
    clear=_clear,
    clients=lambda facts: facts.finished + facts.followed,
)


def detect(view: View) -> Iterator[Finding[Attempts]]:
    """Judge the epoch before this one, and the last epoch of a capture at once."""
    if view.before is not None and view.track.judged < view.epoch - 1:
        finding = _judge(view, view.before, view.row, view.epoch - 1, SHARE)
        if finding:
            yield finding
        view.track.judged = view.epoch - 1
    if view.final and view.row is not None:
        finding = _judge(view, view.row, None, view.epoch, MOST)
        if finding:
            yield finding


def _judge(
    view: View, row: np.void, after: np.void | None, epoch: int, least: float
) -> Finding[Attempts] | None:
    raw, weight = int(row["kinds"]["packets"][SYN]), view.weight(*TESTS)
    if raw < FLOOR.part and weight is None:
        return None
    attempts = float(_attempts(row, raw))
    finished = max(_finished(view, row), _finished(view, after))
    retried = max(int(row["syn_again"]), 0 if after is None else int(after["syn_again"]))
    unfinished = attempts - finished - retried
    few = unfinished < FLOOR.part or unfinished < least / 2 * attempts
    if few and unfinished < SILENT_SOURCES.per_epoch / 2:
        weight = None
    left = max(0, round(unfinished))
    if (few and weight is None) or _looks_for_services(view, row, after, left):
        return None
    facts = Attempts(
        attempts=attempts,
        epochs=1.0,
        finished=float(row["finished"]),
        followed=float(row["followed"]),
        heard=0.0 if view.one_way else 1.0,
        answered=float(row["synack_flows"]),
        refused=float(row["refused"]),
        again=float(row["syn_again"]),
        **addresses(view, row, CLASS_SYN),
    )
    return SYN_FLOOD.seen(
        view,
        facts,
        (SYN,),
        row=row,
        epoch=epoch,
        count=int(unfinished),
        floor=FLOOR,
        over=unfinished >= FLOOR.count and unfinished >= least * attempts,
        alone=unfinished >= least * attempts,
        persist=1 if unfinished >= MOST * attempts else PATIENCE,
        ports=port_shares(row["opened"], TCP_NUMBER),
        sources=CLASS_SYN,
        weight=weight,
    )


def _looks_for_services(view: View, row: np.void, after: np.void | None, left: int) -> bool:
    """Few strangers try ever other ports, and come back to none as if they drew them.

    Each may try every port so often, as decoys do, and a scan may go on slower.
    """
    touched, tries = hll_estimate(np.ascontiguousarray(row["syn_ports"])), view.track.tries
    if touched < (SCAN_PORTS / 2 if tries.syns else SCAN_PORTS):
        return False
    sources = strangers(row, after, one_way=view.one_way)
    few = sources <= SCAN_SOURCES and left <= SCAN_TRIES * touched * max(sources, 1.0)
    if not (few and view.sweeps(left)):
        return False
    tries.add(row, left)
    return not tries.drawn(sources)


def _attempts(rows: Rows | np.void, raw: NDArray[np.uint32] | int) -> NDArray[np.float64]:
    """Connections asked for: frames that were captured twice and retransmissions count once, but what is sent
    over and over counts each time; the first that come again are taken for copies then.
    """
    flows, again, copies, replayed = (
        np.asarray(rows[f"syn_{n}"], np.float64) for n in ("flows", "again", "copies", "replayed")
    )
    seen = flows + again + copies + replayed
    asked = flows + replayed + np.where(replayed > copies, copies, 0)
    return np.where(seen > 0, raw * asked / np.maximum(seen, 1), raw)


def _finished(view: View, row: np.void | None) -> int:
    """Handshakes that were finished; with one direction only, connections that went on (a hint)."""
    if row is None:
        return 0
    return int(row["finished"]) + (int(row["followed"]) if view.one_way else 0)


DETECTOR = Detector((SYN_FLOOD,), detect, tests=TESTS)
