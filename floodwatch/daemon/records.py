"""What crosses between the two processes: every kind of record, written and read.

What the sensor sends is read as if an attacker had written it: sizes are bounded, every field is looked at,
and a decision is made anew, with all the checks that making one has. That its sources are proven is the
sensor's word; what may be done about them is the enforcer's.
"""

from __future__ import annotations

import ipaddress
import pickle
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import TypeVar, get_args

import msgspec
import numpy as np
from msgspec import Struct

from ..config.options import Counters, WatchOptions
from ..config.settings import Settings
from ..errors import BlockRefused, FloodwatchError
from ..history.answers import HOSTS_MOST, Sent
from ..history.memory import Networks
from ..model.address import Network
from ..model.decision import Decision, Protection, Suspect, prove
from ..model.event import Action, Change, Event, Origin, What
from ..model.vector import Vector
from .picture import Counted, Link

T = TypeVar("T")
NETWORKS_MOST, SUSPECTS_MOST, DECISIONS_MOST = 1 << 18, 1 << 16, 1 << 10
CHANGE_MOST, BEAT_MOST, TEXT_MOST = 1 << 18, 1 << 16, 1 << 12
PORTS_MOST = 64
EPOCH_MOST = PACKETS_MOST = 1 << 40


class Kind(IntEnum):
    """Kinds of records; below 32 the sensor sends them, from there on the enforcer."""

    READY, BEAT, DECISIONS, KNOWN, SERVED, ANSWERED, CHANGE, NOTE, WANT, LEARNT = range(10)
    START, SOCKETS, PULSE, SAVE, STOP, FOLLOW = range(32, 38)


class Wrong(FloodwatchError):  # noqa: N818 (no error of a user)
    """A record that does not say what its kind says."""


class Ready(Struct, frozen=True):
    """The sensor watches: its user, and what could not be taken away from it, in words."""

    uid: int
    notes: tuple[str, ...]


class Beat(Struct, frozen=True):
    """A sign of life of the sensor, and where it stands."""

    counters: Counters
    links: tuple[Link, ...]
    floods: dict[Vector, int]
    rejected: dict[str, int] = {}
    counted: Counted = Counted()


class Start(Struct, frozen=True):
    """What a sensor begins with: interfaces, options, and what was learnt before, as a file of it."""

    interfaces: tuple[str, ...]
    options: WatchOptions
    learnt: bytes | None = None

    @classmethod
    def of(cls, settings: Settings, learnt: bytes | None = None) -> Start:
        """What is configured, as a watch takes it."""
        capture = settings.capture
        options = WatchOptions(
            filter=capture.filter, ring_mb=capture.ring_mb, snaplen=capture.snaplen,
            promiscuous=capture.promiscuous, workers=capture.workers, limits=settings.limits,
            services=settings.services, nat64=settings.nat64, proxies=settings.proxies,
        )  # fmt: skip
        return cls(tuple(one.name for one in settings.interfaces), options, learnt)

    @property
    def rings(self) -> tuple[object, ...]:
        """What cannot change while a sensor runs."""
        one = self.options
        return (self.interfaces, one.filter, one.ring_mb, one.snaplen, one.promiscuous, one.workers,
                one.proxies, one.nat64)  # fmt: skip


_events = msgspec.json.Decoder(Event)
_beats = msgspec.json.Decoder(Beat)
_readies = msgspec.json.Decoder(Ready)
_json = msgspec.json.Encoder()
VECTORS, WHATS = tuple(Vector), get_args(What)
ORIGINS, ACTIONS = get_args(Origin), get_args(Action)
PROTECTIONS = (None, *get_args(Protection))
NO_PORT = -1
GOING_ON = struct.Struct("=?H")
"""Whether only one way is seen, and how many decisions follow."""
DECISION = struct.Struct("=200sBBBBBB16sBidHH?")
"""Id; vector, origin, action and protection by number; victim (version, length, address), protocol, port,
usual rate; reflector ports and sources that follow; whether they are proven."""
SUSPECT = struct.Struct("=BB16sQQ?")
"""Network (version, length, address), bounds of what it sent, whether it is shared."""


def encode(value: Struct) -> bytes:
    """A record that is JSON."""
    return _json.encode(value)


def start_of(value: Start) -> bytes:
    """What a sensor begins with; only ever read by the sensor, which believes the enforcer."""
    return pickle.dumps(value)


def read_start(body: bytes) -> Start:
    """The same, read."""
    value = pickle.loads(body)
    assert isinstance(value, Start)
    return value


def write_decisions(decisions: Sequence[Decision], *, one_way: bool) -> bytes:
    """Decisions about the floods that are going on; of very many sources the heaviest of each flood."""
    decisions = decisions[:DECISIONS_MOST]
    each = SUSPECTS_MOST // max(len(decisions), 1)
    parts = [GOING_ON.pack(one_way, len(decisions))]
    for one in decisions:
        sources, ports = one.sources[:each], one.reflector_ports[:PORTS_MOST]
        parts.append(
            DECISION.pack(
                one.id.encode(), VECTORS.index(one.vector), ORIGINS.index(one.origin),
                ACTIONS.index(one.action), PROTECTIONS.index(one.protection), *_written(one.victim),
                one.protocol, NO_PORT if one.port is None else one.port, one.usual, len(ports), len(sources),
                one.proof is not None,
            )
        )  # fmt: skip
        parts.append(struct.pack(f"={len(ports)}H", *ports))
        parts += [SUSPECT.pack(*_written(s.network), s.lo, s.hi, s.shared) for s in sources]
    return b"".join(parts)


def read_decisions(body: bytes) -> tuple[list[Decision], bool]:
    """The decisions, made anew, and whether only one way is seen.

    Raises:
        Wrong: it is no such record, or one of the decisions may not be.
    """
    try:
        one_way, count = GOING_ON.unpack_from(body)
        at, found = GOING_ON.size, list[Decision]()
        for _ in range(count):
            one, at = _read_decision(body, at)
            found.append(one)
    except (struct.error, ValueError, IndexError, BlockRefused) as error:
        raise Wrong(f"decisions: {error}") from error
    if at != len(body) or len(found) > DECISIONS_MOST or len({one.id for one in found}) < len(found):
        raise Wrong("decisions: too many, or not the length that was said")
    return found, one_way


def _read_decision(body: bytes, at: int) -> tuple[Decision, int]:
    (name, vector, origin, action, protection, version, length, address, protocol, port, usual, ports,
     sources, proven) = DECISION.unpack_from(body, at)  # fmt: skip
    at += DECISION.size
    named = name.rstrip(b"\0").decode("ascii")
    if not named.isprintable():
        raise ValueError("its id is none")
    reflectors = struct.unpack_from(f"={ports}H", body, at)
    at += 2 * ports
    end = at + sources * SUSPECT.size
    if end > len(body) or ports > PORTS_MOST:
        raise ValueError("cut short")
    one = Decision(
        id=named, vector=VECTORS[vector], origin=ORIGINS[origin], action=ACTIONS[action],
        victim=_network(version, length, address), protocol=protocol, port=None if port == NO_PORT else port,
        reflector_ports=reflectors, protection=PROTECTIONS[protection], usual=usual,
        sources=tuple(
            Suspect(_network(v, n, a), lo, hi, shared)
            for v, n, a, lo, hi, shared in SUSPECT.iter_unpack(body[at:end])
        ),
        proof=prove(named) if proven else None,
    )  # fmt: skip
    return one, end


def _written(network: Network) -> tuple[int, int, bytes]:
    return network.version, network.prefixlen, network.network_address.packed


def _network(version: int, length: int, address: bytes) -> Network:
    if version == 4:
        return ipaddress.IPv4Network((address[:4], length))
    if version == 6:
        return ipaddress.IPv6Network((address, length))
    raise ValueError(f"version {version}")


def write_networks(networks: Networks) -> bytes:
    """Networks of clients, see ``history.memory``."""
    return networks[:NETWORKS_MOST].astype(np.uint64).tobytes()


def read_networks(body: bytes) -> Networks:
    """The same, read.

    Raises:
        Wrong: it is no such record.
    """
    if len(body) % 8 or len(body) > 8 * NETWORKS_MOST:
        raise Wrong("networks: not of such a length")
    return np.unique(np.frombuffer(body, np.uint64))


def write_answered(epoch: int, sent: Sent) -> bytes:
    """What hosts sent in an epoch."""
    return struct.pack("=Q", epoch) + sent.tobytes()


def read_answered(body: bytes) -> tuple[int, Sent]:
    """The same, read.

    Raises:
        Wrong: it is no such record.
    """
    rows, rest = divmod(len(body) - 8, 40)
    if rest or not 0 <= rows <= HOSTS_MOST:
        raise Wrong("answers: not of such a length")
    (epoch,) = struct.unpack_from("=Q", body)
    sent = np.frombuffer(body, np.uint64, offset=8).reshape(rows, 5)
    if epoch > EPOCH_MOST or (sent[:, 2:] > PACKETS_MOST).any():
        raise Wrong("answers: more than can be")
    return epoch, sent


def write_change(change: Change) -> bytes:
    """An event that opened, lasted or ended."""
    return bytes([WHATS.index(change.what)]) + _json.encode(change.event)


def read_change(body: bytes) -> Change:
    """The same, read.

    Raises:
        Wrong: it is no such record.
    """
    if not 1 < len(body) <= CHANGE_MOST or body[0] >= len(WHATS):
        raise Wrong("an event: not of such a length")
    try:
        return Change(WHATS[body[0]], _events.decode(body[1:]))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # bytes that are no text, too
        raise Wrong(f"an event: {error}") from error


def read_beat(body: bytes) -> Beat:
    """A sign of life.

    Raises:
        Wrong: it is no such record.
    """
    return _small(_beats, body)


def read_ready(body: bytes) -> Ready:
    """The word that the sensor watches.

    Raises:
        Wrong: it is no such record.
    """
    return _small(_readies, body)


def _small(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    if len(body) > BEAT_MOST:
        raise Wrong("too long")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # bytes that are no text, too
        raise Wrong(str(error)) from error


def read_text(body: bytes) -> str:
    """A line in words."""
    return body[:TEXT_MOST].decode(errors="replace")
