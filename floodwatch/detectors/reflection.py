"""Reflection and amplification: answers from service ports that the victim never asked (CISA TA14-017A).

A service port's packets are judged against what the victim sent to that port: whoever asked gets answers,
and from peers that the victim speaks to, however rarely, come media, not answers. Few senders of a port by
which no amplifier is known, whose flows last, are streams (``streams``). Where only packets to the victim
were captured, its questions cannot have been seen: small answers of few name servers are then unclear, for a
resolver gets the same; of the rest we are less certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import field
from msgspec.structs import replace

from ..history.ports import Service, port_shares, services, sources_from
from ..history.sources import source_counts
from ..history.victims import View, distinct_sources
from ..model.epoch import CLASS_UDP, EPOCHS_PER_SECOND, FRAGMENT, UDP
from ..model.event import Action, Evidence, Origin
from ..model.finding import PART, Facts, Finding, Floor, Majority, Mean, Own, SourceCount, Sum, Tally
from ..model.vector import AMPLIFIERS, UDP_NUMBER, Vector
from .family import Detector, Family, reflected
from .streams import BULK_BYTES, LASTING, SENDERS, TOLD_APART, lasts, lately, packets_a_flow, replayed

FLOOR_BYTES = 1_562_500
"""So many bytes in an epoch (50 Mbit/s), in at least ``FEW`` packets ..."""
FEW = 50
FLOOR = Floor(250, f"or {FLOOR_BYTES / 1e6:.2f} MB in at least {FEW} of them")
"""... or so many answers: 1,000 a second."""
ANSWERS_BYTES = 512
"""Bytes an answer of few name servers up to which it may have been asked for, where that cannot have been
seen (RFC 1035, 2.3.4)."""
DOUBT = 0.8
"""Factor of the confidence where it cannot have been seen what the victim asked for."""
SPOKEN_TO = 0.5
"""Share of the packets that comes from peers whom the victim speaks to, from which on all are its peers."""
ASKED_SHARE = 0.1
"""Packets to the port per packet from it, from which on the answers were asked for."""
REFLECTORS = 8
"""Fewer senders are servers that the victim talks to."""
UNKNOWN_REFLECTORS = 50
EPHEMERAL = 32_768
"""Ports from here on are those of clients."""
NAMES = 53
SHARED_PORT = 443
"""QUIC answers come from here too: reflectors then are many and say little each."""
SHARED_REFLECTORS = 200
SHARED_EACH = 20
TALKING = frozenset({
    "stun", "openvpn", "rdp", "dtls", "isakmp", "quake", "steam", "teamspeak", "fivem", "bittorrent", "kad",
})  # fmt: skip
"""Protocols of calls, tunnels, desktops, games and exchanges, whose peers talk for long."""
PEER_PORTS = frozenset({123, 500, 1194, 4500, 5353})
"""Protocols whose peers use the same port at both ends when all is well, as daemons do of which no amplifier
is known (syslog)."""
FULL_BYTES = 1_200
"""Bytes an answer from which on its datagrams reach us in fragments."""
SUFFIX = "_amplification"
SPELLINGS = {
    "bacnet": "BACnet", "bittorrent": "BitTorrent", "coap": "CoAP", "fivem": "FiveM", "jenkins": "Jenkins",
    "kad": "Kad", "mdns": "mDNS", "memcached": "memcached", "natpmp": "NAT-PMP", "netbios": "NetBIOS",
    "openvpn": "OpenVPN", "plex": "Plex", "portmap": "portmap", "quake": "Quake", "sentinel": "Sentinel",
    "steam": "Steam", "teamspeak": "TeamSpeak", "ubiquiti": "Ubiquiti", "unknown": "unknown",
}  # fmt: skip
"""Protocols that are not written in capitals."""

_NAMES = dict(AMPLIFIERS)


class Answers(Facts):
    """Answers, how many of them come from which service port, their bytes, and what the victim sent to such
    ports.

    ``unheard`` is the share of the epochs in which the victim was not seen to send.
    """

    answers: Sum = 0.0
    ports: Tally = field(default_factory=dict)
    asked: Tally = field(default_factory=dict)
    answer_bytes: Sum = 0.0
    unheard: Mean = 0.0
    service_port: Majority = 0


def _clear(facts: Answers) -> float:
    return 1 - (1 - DOUBT) * facts.unheard


def unasked(facts: Answers, what: str, how: str) -> Evidence:
    """How many of the answers were not asked for, and where they come from.

    Args:
        facts: the numbers; ports are counted in buckets, so that these are bounds.
        what: kind of packets that answer.
        how: kind of packets that ask.
    """
    port = max(facts.ports, key=lambda number: facts.ports[number], default=facts.service_port)
    served, asked = facts.ports.get(port, 0), facts.asked.get(port, 0)
    says = f"at least {served:,} of {facts.answers:,.0f} {what} come from port {port}"
    if facts.unheard < 1:
        says += f"; the victim sent {f'at most {asked:,}' if asked else 'no'} {how} to that port"
    value = round(1 - min(1.0, asked / max(served, 1)), 4)
    return Evidence(name="unasked_answers", value=value, usual=0.0, says=says)


def answering_port(vector: Vector, facts: Answers) -> tuple[int, ...]:
    """The port that most of the answers came from."""
    return (facts.service_port,)


def _ports(vector: Vector, facts: Answers) -> tuple[int, ...]:
    """All ports that reflectors of the protocol answer from; where it is unknown, the one that was seen."""
    protocol = vector.removesuffix(SUFFIX)
    return tuple(port for port, name in AMPLIFIERS if name == protocol) or (facts.service_port,)


def _evidence(facts: Answers) -> list[Evidence]:
    size = facts.answer_bytes / max(sum(facts.ports.values()), 1)
    says = f"about {size:,.0f} bytes per answer on average"
    return [
        unasked(facts, "UDP packets", "packets"),
        Evidence(name="answer_bytes", value=round(size, 1), usual=None, says=says),
    ]


def _advice(facts: Answers, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "drop_reflector_port", (
        "the senders are reflectors: they answer queries forged in the victim's name; let pass the servers "
        "that the victim itself queries"
    )


def _doubtful_advice(facts: Answers, origin: Origin, known_path: bool) -> tuple[Action, str]:
    return "observe", (
        "answers that were asked for, media of peers, or a small reflection: only packets to the victim were "
        "captured. What would tell: what it sends, and whether it speaks to these senders"
    )


def _title(vector: Vector) -> str:
    name = vector.removesuffix(SUFFIX)
    return f"{SPELLINGS.get(name, name.upper())} amplification (reflection)"


AMPLIFICATION = Family(
    tuple(vector for vector in Vector if vector.endswith(SUFFIX)),
    Answers,
    _evidence,
    _advice,
    technique="T1498.002",
    floors=(FLOOR,),
    rule="{floor} answers in a quarter of a second that nobody asked for",
    protocol="udp",
    usual="udp",
    origin=reflected,
    clear=_clear,
    reflectors=_ports,
    title=_title,
)


DOUBTFUL = replace(
    AMPLIFICATION,
    advice=_doubtful_advice,
    technique=None,
    verdict="unclear",
    persist=EPOCHS_PER_SECOND,
    title=lambda vector: "surge of packets",
)
"""What few senders answer or stream, where it cannot have been seen who asked."""


def amplification(port: int) -> Vector:
    """The vector of reflectors that answer from this port."""
    return Vector(f"{_NAMES.get(port, 'unknown')}{SUFFIX}")


def detect(view: View) -> Iterator[Finding[Answers]]:
    """Judge every UDP service port of one victim's epoch."""
    if view.row is None or int(view.row["kinds"]["packets"][UDP]) < FEW:
        return
    for held in reflecting(view):
        yield _finding(view, view.row, held)


def reflecting(view: View) -> list[Service]:
    """Service ports that reflect, from what may be part of a burst on."""
    row = view.row
    if row is None:
        return []
    busy = row["service"]["packets"] >= FEW
    return [
        held
        for held in services(row, UDP_NUMBER, busy)
        if _loud(held.packets, held.bytes, PART) and _reflects(view, row, held)
    ]


def others(row: np.void, reflectors: Iterable[Service]) -> Own:
    """A victim's UDP sources without the reflectors."""
    theirs = sources_from(row, [held.port for held in reflectors])
    return theirs._replace(mine=~theirs.mine)


def _loud(packets: int, size: int, share: float = 1.0) -> bool:
    """So many answers, or bytes of at least a few, are over that share of the floor."""
    return packets >= share * FLOOR.count or (size >= share * FLOOR_BYTES and packets >= FEW)


def _reflects(view: View, row: np.void, held: Service) -> bool:
    port, packets = held.port, held.packets
    if held.vote < 0.5 * packets:
        return False
    tables = [recent["service"][held.bucket] for recent in view.recent()]
    asked, answered = (sum(int(table[name]) for table in tables) for name in ("out", "packets"))
    if asked >= ASKED_SHARE * answered or held.known >= SPOKEN_TO * packets:
        return False
    if _resolves(view, held):
        return True
    senders = distinct_sources(row, CLASS_UDP)
    opened = port_shares(row["opened"], UDP_NUMBER)
    peers = port in PEER_PORTS or port not in _NAMES
    if peers and any(p == port and n > 0.5 * packets for p, n in opened):
        return False
    if port == SHARED_PORT:
        return senders >= SHARED_REFLECTORS and packets <= SHARED_EACH * senders
    if port in _NAMES:
        return senders >= REFLECTORS or replayed(view, UDP)
    return senders >= UNKNOWN_REFLECTORS and port < EPHEMERAL and not lasts(view, UDP, CLASS_UDP)


def _resolves(view: View, held: Service) -> bool:
    """So a resolver looks whose questions were not captured."""
    ordinary = held.bytes <= ANSWERS_BYTES * held.packets
    return held.port == NAMES and view.one_way and ordinary and lately(view, CLASS_UDP) <= SENDERS


def _is_doubtful(view: View, held: Service) -> bool:
    """A resolver, or media of few peers: their other half was not captured."""
    small = held.bytes < BULK_BYTES * held.packets
    media = view.one_way and small and _may_talk(held.port)
    return _resolves(view, held) or (media and lasts(view, UDP, CLASS_UDP))


def _may_talk(port: int) -> bool:
    """Its servers send one peer many packets for long; others answer a question with one, or a few."""
    return _NAMES.get(port, "") in TALKING or port not in _NAMES


def _patience(view: View, row: np.void, port: int) -> int:
    """Epochs over the floor: few senders whose flows last get the time in which they are spoken to."""
    if not _may_talk(port):
        return 1
    few = distinct_sources(row, CLASS_UDP) <= SENDERS and packets_a_flow(view) >= LASTING
    return TOLD_APART if few and not view.final else 1


def _finding(view: View, row: np.void, held: Service) -> Finding[Answers]:
    port, packets, size = held.port, held.packets, held.bytes
    fragments = row["kinds"][FRAGMENT]
    tails = int(fragments["packets"]) if size >= FULL_BYTES * packets else 0
    tail_bytes = int(fragments["bytes"]) if tails else 0
    facts = Answers(
        answers=float(row["kinds"]["packets"][UDP]),
        ports={port: held.vote},
        asked={port: held.asked},
        answer_bytes=size * held.vote / packets,
        unheard=float(view.one_way),
        service_port=port,
    )
    doubtful = _is_doubtful(view, held)
    family = DOUBTFUL if doubtful else AMPLIFICATION
    return family.seen(
        view,
        facts,
        (UDP,),
        vector=amplification(port),
        count=max(held.vote - held.known, 0) + tails,
        floor=FLOOR,
        persist=DOUBTFUL.persist if doubtful else _patience(view, row, port),
        over=_loud(packets, size),
        alone=size < FLOOR_BYTES / 2,
        size=int(size * held.vote / packets) + tail_bytes,
        ports=port_shares(row["opened"], UDP_NUMBER),
        sources=CLASS_UDP,
        top=_reflectors(view.heavy(), int(row["reference"]), port, split=tails > 0),
        own=sources_from(row, [port]),
    )


def _reflectors(rows: np.ndarray, victim: int, port: int, *, split: bool) -> list[SourceCount]:
    """Bounds of what each heavy UDP source of that port sent: advice, for queries to them were forged.

    Most of what it sends is UDP, but where answers are split: of these only the first pieces are.
    """
    mine = (rows["victim"] == victim) & (rows["udp"] > 0) & from_port(rows, port)
    chosen = rows[mine & (split | (rows["udp"] >= rows["packets"] // 2))]
    return source_counts(chosen, "udp", "udp")


def from_port(rows: np.ndarray, port: int) -> np.ndarray:
    """Which sources sent from that port, or from one of the 1,000 with the same bit (fw_port_bit)."""
    bit = np.uint64((port * 0x9E3779B1 & 0xFFFFFFFF) >> 26)
    sent: np.ndarray = (rows["paths"] >> bit & np.uint64(1)) > 0
    return sent


DETECTOR = Detector((AMPLIFICATION, DOUBTFUL), detect)
