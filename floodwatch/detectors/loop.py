"""UDP loops: two services that answer each other's errors for ever (CVE-2024-2169; CERT VU#417980).

One forged packet is enough: each service takes the other's answer for a question. It shows as many packets
from a service port to a service port, as many back, between few hosts, for long. Left out: what is seen
one way, and clients that ask from the service's own port. A time server has many of them, each asking rarely,
and a forwarder of DNS gets an answer for each question.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..history.ports import port_shares, services, sources_from
from ..history.sources import source_counts
from ..history.victims import View
from ..model.epoch import CLASS_UDP, EPOCHS_PER_SECOND, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import Facts, Finding, Floor, Majority, Mean, Sum
from ..model.vector import UDP_NUMBER, Vector
from .family import Detector, Family, reflected
from .reflection import from_port
from .shares import percent

PORTS = frozenset({7, 13, 17, 19, 37, 53, 69, 123})
"""Services that answer what they do not understand, or anything at all."""
DNS = 53
FLOOR = Floor(25)
"""Packets of each peer in an epoch: 100 a second ..."""
BOTH = 0.5
"""... of which this share at least goes back, and which hold this share of their port's packets."""
PERSIST = 37
"""Epochs that the last second stays over the floor, 10 s in all: a burst of questions ends."""
LASTS_S = (PERSIST + EPOCHS_PER_SECOND - 1) / EPOCHS_PER_SECOND


class Echoes(Facts):
    """Packets from the peers' service port, and to the victim's; what went back, and how many peers there
    are.
    """

    packets: Sum = 0.0
    back: Sum = 0.0
    peers: Mean = 0.0
    port: Majority = 0
    peer_port: Majority = 0


def _evidence(facts: Echoes) -> list[Evidence]:
    says = (
        f"at least {facts.packets:,.0f} packets came from UDP port {facts.peer_port}, and as many to port "
        f"{facts.port}; about {facts.back:,.0f} went to port {facts.peer_port}: two services answer each "
        "other"
    )
    peers = "one host sends" if facts.peers < 1.5 else f"about {facts.peers:.0f} hosts send"
    return [
        Evidence(name="echoes", value=facts.back, usual=0.0, says=says),
        Evidence(name="peers", value=round(facts.peers, 1), usual=None, says=f"{peers} most of them"),
    ]


def _advice(facts: Echoes, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "clients rarely send from such a port: drop packets between the two ports, at either end, and update "
        "the services; the peer answers packets in the victim's name and is no attacker"
    )


UDP_LOOP = Family(
    (Vector.UDP_LOOP,),
    Echoes,
    _evidence,
    _advice,
    technique="T1499.002",
    floors=(FLOOR,),
    rule=f"{{floor}} packets from each peer in a quarter of a second between two service ports, at least "
    f"{percent(BOTH)} of them answered, for {LASTS_S:.0f} s",
    protocol="udp",
    persist=PERSIST,
    usual="udp",
    origin=reflected,
    promised_s=12.0,
)


def detect(view: View) -> Iterator[Finding[Echoes]]:
    """Judge what one victim's service ports got from service ports in an epoch."""
    row = view.row
    if row is None or int(row["kinds"]["packets"][UDP]) < FLOOR.count // 2:
        return
    mine = [(port, votes) for port, votes in port_shares(row["opened"], UDP_NUMBER) if port in PORTS]
    for held in services(row, UDP_NUMBER) if mine else ():
        votes, back = held.vote, held.asked
        if held.port not in PORTS or votes < BOTH * held.packets:
            continue
        # packets are counted by either port, so the port that gets about as many is taken for theirs
        port, opened = min(mine, key=lambda found: abs(found[1] - votes))
        count = min(votes, opened)
        if (
            count >= BOTH * max(votes, opened)
            and back >= BOTH * count
            and not _is_asked(row, (port, held.port), count)
        ):
            lately = sum(
                service.vote
                for recent in view.recent()
                for service in services(recent, UDP_NUMBER)
                if service.port == held.port
            )
            yield from _judge(view, row, count, lately, (back, port, held.port))


def _judge(
    view: View, row: np.void, count: int, lately: int, found: tuple[int, int, int]
) -> Iterator[Finding[Echoes]]:
    """Hold the last second against the floor for each peer; clients that ask rarely are none."""
    heavy = view.heavy()
    senders = heavy[
        (heavy["victim"] == int(row["reference"])) & (heavy["udp"] > 0) & from_port(heavy, found[2])
    ]
    peers = senders[senders["udp"] >= FLOOR.count / 2]
    least = FLOOR.count * len(peers)
    if count < least / 2 or peers["udp"].sum() <= BOTH * senders["udp"].sum():
        return
    back, port, peer_port = found
    facts = Echoes(
        packets=float(count), back=float(back), peers=float(len(peers)), port=port, peer_port=peer_port
    )
    yield UDP_LOOP.seen(
        view,
        facts,
        (UDP,),
        count=count,
        floor=FLOOR,
        over=lately >= EPOCHS_PER_SECOND * least,
        ports=[(port, count)],
        sources=CLASS_UDP,
        top=source_counts(peers, "udp", "udp"),
        own=sources_from(row, [peer_port]),
    )


def _is_asked(row: np.void, ports: tuple[int, int], count: int) -> bool:
    """DNS between two ports 53 is questions and answers, unless nobody asks and both answer."""
    queries, answers = int(row["dns_queries"]), int(row["dns_answers"])
    return ports == (DNS, DNS) and (queries >= BOTH * count or answers < BOTH * count)


DETECTOR = Detector((UDP_LOOP,), detect)
