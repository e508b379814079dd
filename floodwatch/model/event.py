"""Records without logic, and every name that leaves the program.

The JSON names of a report are the attribute names here; ``SCHEMA_REPORT`` is generated from these types.
Times are nanoseconds of packet time since the Unix epoch inside the program and RFC 3339 UTC in every output.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from .vector import AMPLIFIERS as AMPLIFIERS
from .vector import PROTOCOL_NUMBERS as PROTOCOL_NUMBERS
from .vector import Technique as Technique
from .vector import Vector as Vector
from .vector import protocol_number as protocol_number

SOURCE_RATE = 5
"""Packets a second that a source may still send when it is limited: a request or so."""

SHARED_RATE = 5000
"""Packets a second that an address may still send behind which many machines are: a flood of some bots leaves
the people beside them room."""

SCHEMA_EVENT = "floodwatch.event/1"

Verdict = Literal["attack", "mixed", "crowd", "unclear"]
FLOODS: Final = frozenset({"attack", "mixed"})
"""Verdicts of floods; a crowd is people, and of what is unclear nothing tells people from machines."""
Origin = Literal["forged", "real", "reflected", "mixed", "unknown"]
Severity = Literal["low", "medium", "high", "critical"]
State = Literal["open", "ended", "cut"]
Stamps = Literal["exact", "seconds", "one"]
Pattern = Literal["steady", "pulse", "carpet", "ramp"]
Unit = Literal["packet/s", "req/s", "conn/s", "hello/s", "query/s", "record/s", "frame/s"]
Action = Literal[
    "none",
    "observe",
    "scale_out",
    "syn_cookies",
    "limit_victim",
    "drop_signature",
    "drop_reflector_port",
    "limit_per_source",
    "drop_sources",
    "cap_unknown",
]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=0)]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")]


class Record(Struct, frozen=True):
    """Base of every record: immutable; each subclass takes keywords only."""


class Estimate(Record, frozen=True, kw_only=True):
    """A count with the bounds that hold with 95 % probability."""

    est: Count
    lo: Count
    hi: Count


class ShareEstimate(Record, frozen=True, kw_only=True):
    """A share between 0 and 1 with its bounds."""

    est: Share
    lo: Share
    hi: Share


class CountBounds(Record, frozen=True, kw_only=True):
    """Guaranteed bounds of a count: never less than ``lo``, never more than ``hi``."""

    lo: Count
    hi: Count


class Located(Record, frozen=True, kw_only=True):
    """Where an address belongs, as databases that the user brought say; null where they do not.

    ``asn`` and ``org`` are the number and the name of its autonomous system, ``country`` is an ISO 3166 code.
    """

    asn: Count | None = None
    org: str | None = None
    country: str | None = None


class TopSource(Record, frozen=True, kw_only=True):
    """One source of a flood; ``cidr`` is what a rule would name: an IPv4 address, an IPv6 /64,
    a single address behind NAT64 (/128), or the prefix of hosts that flood together.

    ``proof`` tells how its address was proven: by a handshake on one of our own interfaces, or only by what a
    trusted proxy wrote (``forwarded``), which is for the proxy's own deny list; null where it is not proven.
    ``shared``: several machines are behind the address, so it is limited and not blocked.
    ``ja4``: the fingerprint of its newest ClientHello that was looked at, or null.
    ``located``: where it belongs, or null: only ``--asn-db`` and ``--geo-db`` tell it.
    """

    cidr: str
    share: Share
    count: CountBounds
    proof: Literal["handshake", "forwarded"] | None = None
    shared: bool = False
    ja4: str | None = None
    located: Located | None = None


class Via(Record, frozen=True, kw_only=True):
    """A proxy that a flood came through, its share of the flood, and how it is known to be one."""

    cidr: str
    share: Share
    how: Literal["forwarded_header", "proxy_line", "named"]


class Sources(Record, frozen=True, kw_only=True):
    """Who sent the flood, as far as packets can prove it. ``top`` is filled for real and reflected only.

    ``reflector_ports`` are the ports that reflectors answer from. ``seen`` are at most five that send most
    and are not proven: they are never blocked. ``via`` are the proxies that it came through.
    """

    origin: Origin
    distinct: Estimate
    forged_share: ShareEstimate | None
    top: tuple[TopSource, ...]
    reflector_ports: tuple[int, ...] = ()
    seen: tuple[TopSource, ...] = ()
    via: tuple[Via, ...] = ()

    def proven(self) -> tuple[TopSource, ...]:
        """Those whose handshakes prove their address; whom only a proxy names is not among them."""
        top = self.top if self.origin == "real" else ()
        return tuple(source for source in top if source.proof != "forwarded")


class Victim(Record, frozen=True, kw_only=True):
    """The address (and port, and path) under load. ``port`` is null when no port holds most of it.

    ``sni`` is the server name that 80 % or more of the ClientHellos ask for, else null. ``sni_outer``: it is
    that of the outer hello: another may be encrypted behind it (RFC 9849), or browsers pretend so.
    """

    ip: str
    port: int | None
    protocol: str
    path: str | None
    sni: str | None = None
    sni_outer: bool = False


class FingerprintShare(Record, frozen=True, kw_only=True):
    """A JA4 fingerprint among the ClientHellos that came to a victim while an event lasted, and 10 s before.

    ``share`` of them have it, ``usual`` is its share on usual days (null where that is unknown), ``sources``
    sent such a hello, about. Of many hellos a bounded sample is looked at.
    """

    ja4: str
    share: Share
    usual: Share | None
    sources: Count


class Rate(Record, frozen=True, kw_only=True):
    """``peak`` is the largest count in any one second of packet time, ``baseline`` the usual rate or null.

    ``estimated``: requests that cannot be read are told from the lengths of what hides them; ``peak`` is then
    in the middle of ``lo`` and ``hi``, which bound it.
    """

    peak: float
    unit: Unit
    baseline: float | None
    estimated: bool = False
    lo: float | None = None
    hi: float | None = None


class Evidence(Record, frozen=True, kw_only=True):
    """One measured fact behind the verdict, with the value that is usual and a sentence."""

    name: str
    value: float
    usual: float | None
    says: str

    def __post_init__(self) -> None:
        # Detectors hand over counts: whoever reads them back, or types a column by a row, wants one type.
        force_setattr(self, "value", float(self.value))


class Advice(Record, frozen=True, kw_only=True):
    """What to do, why, and what was done (``none`` unless the kernel confirmed it)."""

    recommended: Action
    why: str
    taken: Action


class CaptureInfo(Record, frozen=True, kw_only=True):
    """Where the packets were seen, and what of them may be missing, doubled or without a time.

    ``copied_share`` is the share of frames that were captured again, as mirror ports do. ``stamps`` tells
    whether the time stamps are ``exact``, whole ``seconds``, or all the same (``one``).
    """

    interface: str | None
    unseen_share: Share
    copied_share: Share = 0.0
    stamps: Stamps = "exact"


class Stretch(Record, frozen=True, kw_only=True):
    """A stretch of packet time, from ``first`` on until before ``until``: whole quarters of a second."""

    first: Time
    until: Time


class Counted(Record, frozen=True, kw_only=True):
    """When an event was counted: a flood in pulses is not counted in between.

    ``packets``, ``bytes``, ``sources.distinct`` and the numbers of the evidence are of these stretches, and
    of nothing else. ``seconds`` is their whole length; it is less where there were so many that neighbours
    had to be told as one.
    """

    seconds: float
    stretches: tuple[Stretch, ...]


class Event(Record, frozen=True, kw_only=True):
    """One flood, crowd or surge: one record per victim and vector while it lasts."""

    schema: Literal["floodwatch.event/1"] = "floodwatch.event/1"
    id: str
    input: str
    seq: Count
    vector: Vector
    verdict: Verdict
    severity: Severity
    confidence: Share
    state: State
    pattern: tuple[Pattern, ...]
    linked: tuple[str, ...]
    capture: CaptureInfo
    victim: Victim
    first: Time
    detected: Time
    last: Time
    rate: Rate
    packets: Count
    bytes: Count
    sources: Sources
    evidence: tuple[Evidence, ...]
    action: Advice
    fingerprints: tuple[FingerprintShare, ...] = ()
    """Of encrypted requests: at most five, those first whose share grew most."""
    counted: Counted = Counted(seconds=0.0, stretches=())
    timeline: tuple[float, ...]
    """The event's rate from ``first`` to ``last`` in at most 60 equal steps, in ``rate.unit``."""
    timeline_lo: tuple[float, ...] = ()
    """Where the rate is estimated: bounds of each step of the timeline, at least ..."""
    timeline_hi: tuple[float, ...] = ()
    """... and at most."""
    technique: Technique | None = None
    """Of MITRE ATT&CK; null for what is no attack."""
    display_filter: str = ""
    """What shows its packets and the answers to them in Wireshark, at any time."""


What = Literal["opened", "updated", "ended"]


class Change(Record, frozen=True):
    """What became of an event since the last look; ``updated`` also says that a flood came back."""

    what: What
    event: Event
