"""TCP packets out of any connection: ACK, RST, FIN, SYN-ACK and odd-flag floods, and TCP reflection.

The handshake table tells a packet whose connection it saw open, or whose other side it heard, from one that
came out of nowhere. Seen one way only, every old connection comes out of nowhere, but only once: there the
flows that begin are counted and not their packets, and they must be most of what comes. Left out: a flood
that repeats few connections towards a host that never answers, seen one way, looks like an upload; HTTP
answers of middleboxes count into ``ack_flood``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .._sketches import hll_estimate
from ..history.evidence import Rows, SequentialTest
from ..history.ports import services
from ..history.sources import source_counts
from ..history.victims import SCAN_SOURCES, SCAN_TRIES, View, distinct_sources
from ..model.epoch import ACK, CLASS_TCP, DATA, FIN, RST, SYN, SYNACK, TCP_ODD
from ..model.event import Action, Evidence, Origin
from ..model.finding import Finding, Floor, SourceCount, Sum, Weight
from ..model.vector import TCP_NUMBER, Vector
from .family import Detector, Family, reflected
from .forging import FROM_NOWHERE, Bare, addresses, mostly
from .reflection import Answers, answering_port, unasked
from .shares import percent, share

SHARE = 0.3
"""Least share of the kind's packets that is out of any connection ..."""
SHARE_ONE_WAY = 0.5
"""... and where only the inbound direction is seen."""
FLOOR = Floor(250, f"at least {percent(SHARE)} of the packets of that kind")
"""Packets out of any connection in an epoch: 1,000 a second."""
FLOOR_ONE_WAY = Floor(
    250, f"seen one way: new flows, at least {percent(SHARE_ONE_WAY)} of the packets of that kind"
)
FLOOR_ODD = Floor(250)
REFLECTORS = 8
SERVICE_SHARE = 0.5
"""Share of the SYN-ACKs that comes from service ports (below 1,024, or one port alone) in a reflection."""
WELL_KNOWN = 1024

KINDS = (
    (Vector.ACK_FLOOD, (ACK, DATA)),
    (Vector.RST_FLOOD, (RST,)),
    (Vector.FIN_FLOOD, (FIN,)),
    (Vector.TCP_FLAG_FLOOD, (TCP_ODD,)),
)


def _strays(rows: Rows) -> NDArray[np.float64]:
    """Packets out of any connection beyond what the victim sends, which is seen to send; scans stay out."""
    kinds = rows["kinds"]
    sent = kinds["out"][:, SYN : TCP_ODD + 1].sum(axis=1).astype(np.float64)
    stray = kinds["strange"][:, RST:TCP_ODD].sum(axis=1) + kinds["packets"][:, TCP_ODD].astype(np.float64)
    came = kinds["packets"][:, RST : TCP_ODD + 1].sum(axis=1)
    left = np.where((sent > 0) & (stray >= SHARE * came), stray - sent, 0.0)
    for at in np.flatnonzero(left > 0):
        if _looks_for_services(rows[at]):
            left[at] = 0
    return left


def _looks_for_services(row: np.void) -> bool:
    """Few sources out of any connection try ever other ports: no port gets much."""
    sources, ports = (
        hll_estimate(np.ascontiguousarray(row[f"stray_{name}"])) for name in ("sources", "ports")
    )
    return round(sources) <= SCAN_SOURCES and int(row["strays"]) <= SCAN_TRIES * ports


STRAYS = SequentialTest(
    50.0,
    _strays,
    "packets out of any connection, beyond all that the victim sends, add up to a log-likelihood ratio of "
    "{floor}, held against 50 a second: backscatter and connections that went stale bring no more",
)


class OutOfState(Bare):
    """Packets of a kind, and those of them that belong to no connection.

    ``begun`` are flows that began with one of the ``heard`` packets, while nothing that the victim sent was
    seen;
    ``odd`` are packets whose flags belong to none.
    """

    packets: Sum = 0.0
    strange: Sum = 0.0
    heard: Sum = 0.0
    begun: Sum = 0.0
    odd: Sum = 0.0


class Refusals(Answers):
    """Of a TCP reflection also the resets, from others that refused the same."""

    resets: Sum = 0.0


def _evidence(facts: OutOfState) -> list[Evidence]:
    if facts.odd > 0:
        says = f"{facts.odd:,.0f} packets carried sets of flags that no stack sends"
        return [Evidence(name="out_of_state", value=1.0, usual=0.0, says=says)]
    out = list[Evidence]()
    if facts.strange > 0:
        says = "of these packets are out of state: no handshake and no answer was seen for them"
        out.append(share("out_of_state", facts.strange, facts.packets, 0.0, says, "about"))
    if facts.begun > 0:
        says = "as many flows began with such a packet: no handshake was seen for them"
        out.append(share("out_of_state", facts.begun, facts.heard, 0.0, says, "about"))
    return out


def _advice(facts: OutOfState, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "these packets belong to no connection: connection tracking drops them as invalid; the addresses "
        "may be forged, so no source is blocked"
    )


def _reflected_evidence(facts: Refusals) -> list[Evidence]:
    says = f"about {facts.resets:,.0f} out-of-state resets came too, as from hosts that refuse forged SYNs"
    return [
        unasked(facts, "SYN-ACKs", "SYNs"),
        Evidence(name="resets", value=facts.resets, usual=0.0, says=says),
    ]


def _reflected_advice(facts: Refusals, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_signature", (
        "the senders answer SYNs that were forged in the victim's name: connection tracking drops SYN-ACKs "
        "that nobody asked for; the senders are innocent"
    )


RULE = "{floor} out-of-state packets in a quarter of a second"
OUT_OF_STATE = Family(
    tuple(vector for vector, _ in KINDS),
    OutOfState,
    _evidence,
    _advice,
    technique="T1499.001",
    floors=(FLOOR, FLOOR_ONE_WAY, FLOOR_ODD),
    rule=RULE,
    persist=2,
    protection="strange",
)
UNASKED_SYN_ACKS = Family(
    (Vector.SYN_ACK_FLOOD,),
    OutOfState,
    _evidence,
    _advice,
    technique="T1499.001",
    floors=(FLOOR, FLOOR_ONE_WAY),
    rule=RULE,
    persist=2,
    protection="unasked",
    title=lambda vector: "SYN-ACK flood",
)
TCP_REFLECTION = Family(
    (Vector.TCP_REFLECTION,),
    Refusals,
    _reflected_evidence,
    _reflected_advice,
    technique="T1498.002",
    floors=(FLOOR, FLOOR_ONE_WAY),
    rule="{floor} SYN-ACKs in a quarter of a second that nobody asked for",
    origin=reflected,
    protection="unasked",
    reflectors=answering_port,
)


def detect(view: View) -> Iterator[Finding[OutOfState] | Finding[Refusals]]:
    """Judge one victim's TCP packets of an epoch that are no SYNs."""
    row = view.row
    weight = view.weight(FROM_NOWHERE[CLASS_TCP], STRAYS)
    came = 0 if row is None else int(row["kinds"]["packets"][SYNACK : TCP_ODD + 1].sum())
    if row is None or (came < FLOOR.part and weight is None):
        return
    one_way = _hears_only(view)
    tried = max(int(r["kinds"]["out"][[SYN, TCP_ODD]].sum()) for r in view.recent())
    answers = _strange(row, (SYNACK,), one_way)
    answers = answers if answers > tried else 0
    refused = _strange(row, (RST,), one_way)
    unasked_for = answers >= FLOOR.count // 2 or FLOOR.part <= answers > refused
    if unasked_for:
        yield _answered(view, row, answers, one_way)
    for vector, kinds in KINDS:
        if vector is Vector.RST_FLOOD and unasked_for:
            continue
        count = _strange(row, kinds, one_way)
        if kinds == (RST,) and count <= tried:
            continue  # who tries as many connections is refused, though not every SYN was captured first
        evident = weight if mostly(row, kinds, CLASS_TCP) else None
        if count < (FLOOR.part if evident is None else 1):
            continue
        if not (_looks_for_services(row) and view.sweeps(count)):
            yield _finding(view, row, OUT_OF_STATE, kinds, count, one_way, vector, evident)


def _hears_only(view: View) -> bool:
    """The victim's own TCP was not seen lately."""
    return not any(int(r["kinds"]["out"][SYN : TCP_ODD + 1].sum()) for r in view.recent())


def _strange(row: np.void, kinds: tuple[int, ...], one_way: bool) -> int:
    """Packets out of any connection, or 0 where they are too small a share to mean something."""
    if kinds == (TCP_ODD,):
        return int(row["kinds"]["packets"][TCP_ODD])  # no stack sends such flags
    packets = sum(int(row["kinds"]["packets"][kind]) for kind in kinds)
    strange = sum(int(row["kinds"]["strange_flows" if one_way else "strange"][kind]) for kind in kinds)
    if kinds == (SYNACK,) and one_way:  # the answers to a client's own SYNs, which data follows
        packets = int(row["kinds"]["packets"][SYNACK : TCP_ODD + 1].sum())
    count = min(strange, packets)
    return count if count >= (SHARE_ONE_WAY if one_way else SHARE) * packets else 0


def _answered(
    view: View, row: np.void, answers: int, one_way: bool
) -> Finding[OutOfState] | Finding[Refusals]:
    """SYN-ACKs that nobody asked for: reflected by servers, or forged like any other packet."""
    tcp = list(services(row, TCP_NUMBER))
    biggest = max(tcp, key=lambda held: (held.vote, held.port), default=None)
    served = sum(held.vote for held in tcp if held.port < WELL_KNOWN or held is biggest)
    servers = served >= SERVICE_SHARE * int(row["kinds"]["packets"][SYNACK])
    if biggest is None or not servers or distinct_sources(row, CLASS_TCP) < REFLECTORS:
        return _finding(view, row, UNASKED_SYN_ACKS, (SYNACK,), answers, one_way)
    resets = _strange(row, (RST,), one_way)
    facts = Refusals(
        answers=float(row["kinds"]["packets"][SYNACK]),
        ports={biggest.port: biggest.vote},
        asked={biggest.port: biggest.asked},
        unheard=float(one_way),
        resets=float(resets),
        service_port=biggest.port,
    )
    return TCP_REFLECTION.seen(
        view,
        facts,
        (SYNACK, RST),
        count=answers + resets,
        floor=FLOOR_ONE_WAY if one_way else FLOOR,
        ports=_ports(row, (SYNACK, RST)),
        sources=CLASS_TCP,
        top=_reflectors(view.heavy(), int(row["reference"])),
    )


def _reflectors(heavy: np.ndarray, victim: int) -> list[SourceCount]:
    """Bounds of what each heavy sender sent to the victim: advice, for the SYNs were forged."""
    rows = heavy[(heavy["victim"] == victim) & (heavy["udp"] == 0) & (heavy["proven"] == 0)]
    return source_counts(rows, "packets", "packets")


def _ports(row: np.void, kinds: tuple[int, ...]) -> list[tuple[int, int]]:
    counted = [row["kinds"][kind] for kind in kinds if int(row["kinds"]["packets"][kind])]
    return [(int(kind["port"]), int(kind["port_vote"])) for kind in counted]


def _finding(
    view: View,
    row: np.void,
    family: Family[OutOfState],
    kinds: tuple[int, ...],
    count: int,
    one_way: bool,
    vector: Vector | None = None,
    weight: Weight | None = None,
) -> Finding[OutOfState]:
    packets = float(sum(int(row["kinds"]["packets"][kind]) for kind in kinds))
    floor = FLOOR_ONE_WAY if one_way else FLOOR
    facts = OutOfState(**addresses(view, row, CLASS_TCP))
    if kinds == (TCP_ODD,):
        facts.odd = packets
    elif one_way:
        facts.heard, facts.begun = packets, float(count)
    else:
        facts.packets, facts.strange = packets, float(count)
    return family.seen(
        view,
        facts,
        kinds,
        vector=vector,
        count=count,
        floor=FLOOR_ODD if kinds == (TCP_ODD,) else floor,
        ports=_ports(row, kinds),
        sources=CLASS_TCP,
        weight=weight,
    )


DETECTOR = Detector(
    (OUT_OF_STATE, UNASKED_SYN_ACKS, TCP_REFLECTION), detect, tests=(STRAYS, FROM_NOWHERE[CLASS_TCP])
)
