"""The answer of a scan or a watch, and of ``info``: the contract ``floodwatch.report/1``."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from .event import Count, Estimate, Event, Record, Share, Time, Victim
from .vector import Vector

SCHEMA_REPORT = "floodwatch.report/1"


class InputFault(Record, frozen=True, kw_only=True):
    """Why a capture could not be read to its end; ``offset`` counts decompressed bytes."""

    code: str
    offset: int | None
    message: str


class Interface(Record, frozen=True, kw_only=True):
    """An interface as a capture describes it; ``name`` may be empty, and ``snaplen`` 0 is no limit."""

    name: str
    linktype: str
    snaplen: Count


class Fingerprint(Record, frozen=True, kw_only=True):
    """A JA4 fingerprint and how many ClientHellos have it."""

    ja4: str
    hellos: Count


class ServerName(Record, frozen=True, kw_only=True):
    """A server name (SNI) and how many ClientHellos ask for it.

    Of ``outer`` ones the name is that of the outer hello: another may be encrypted behind it (RFC 9849), or a
    browser pretends so, which looks the same.
    """

    sni: str
    hellos: Count
    outer: Count


class Greetings(Record, frozen=True, kw_only=True):
    """The ClientHellos of a capture (RFC 8446, RFC 9000), with the 50 most frequent fingerprints and names.

    ``tls``, ``dtls`` and ``quic`` count those that were whole and read; what was not is counted beside them.
    """

    tls: Count
    dtls: Count
    quic: Count
    versions: dict[str, Count]
    """Highest version that a hello offers."""
    fingerprints: tuple[Fingerprint, ...]
    names: tuple[ServerName, ...]
    forgotten: Count
    """Hellos of rare fingerprints that were too many to keep: counts are lower bounds then."""
    broken: Count
    """What begins like a hello and contradicts itself."""
    unfinished: Count
    """Hellos of which the end never came."""
    cut: Count
    """Hellos and Initials that the snap length cut."""
    initials: Count
    """Initial packets of QUIC, several a hello perhaps."""
    refused: Count
    """Initials that no key opens: forged, or their connection began before the capture."""
    missed: Count
    """Hellos and Initials that were not looked at: beyond the bounded sample, or no library opens them."""
    opener: bool
    """The library that opens Initials (extra ``decrypt``) is installed."""


class Decrypted(Record, frozen=True, kw_only=True):
    """What was decrypted of TLS over TCP, with the keys of a log or of the capture itself.

    ``gave_up`` counts directions of connections of which the rest stayed encrypted, by reason: ``cut`` by the
    snap length, ``lost`` (bytes are missing in the capture), ``cipher`` (a suite that is not read), ``tag``
    (the keys do not fit), ``keys`` (some are missing), ``renegotiated``, ``other`` (what the
    client asks is no HTTP), ``broken`` (no records of TLS).
    """

    connections: Count = 0
    """Connections of which keys are known, and the ClientHello was captured."""
    without: Count = 0
    """ClientHellos of connections of which no keys are known."""
    records: Count = 0
    """Protected records that were opened."""
    failed: Count = 0
    """Protected records that nothing opened."""
    gave_up: dict[str, Count] = field(default_factory=dict)
    secrets: Count = 0
    """Secrets in the key log and in the capture."""
    nonsense: Count = 0
    """Lines there that are none of a key log."""
    first_nonsense: str | None = None
    """Where the first of them stands, as ``keys.log:17``."""
    opener: bool = True
    """The library that decrypts (extra ``decrypt``) is installed."""


class Input(Record, frozen=True, kw_only=True):
    """One capture: what was read from it, what could not be decoded, and where reading stopped."""

    path: str
    format: str | None
    linktypes: tuple[str, ...]
    packets: Count
    bytes: Count
    first: Time | None
    last: Time | None
    rejected: dict[str, Count]
    duration_s: float
    one_way: bool
    """True when for most loaded hosts only one direction was seen, so that no source can be proven real."""
    unslotted: Count = 0
    """Packets to addresses that found no room in the victim table, because busier ones held it."""
    lost: Count = 0
    """Packets that the capture itself lost: a live ring or its interface, or what the file says about it."""
    filtered: Count = 0
    """Packets that the filter, or the time that was asked for, left out."""
    duplicates: Count = 0
    """Second copies of frames, left out because every frame of the capture stands there twice."""
    doubled: Share = 0.0
    """Share of the first frames that stand there exactly twice; from 0.9 on the copies are left out."""
    elsewhere: Count = 0
    """Packets left out because they were counted at another interface or in the other direction."""
    tunnels: dict[str, Count] = field(default_factory=dict)
    """Frames that carried another packet, by the kind of the outermost tunnel."""
    interfaces: tuple[Interface, ...] = ()
    """Interfaces that the capture describes; only ``info`` tells them."""
    hellos: Greetings | None = None
    """ClientHellos; only ``info`` tells them."""
    decrypted: Decrypted | None = None
    """What was decrypted; null where no keys were given and the capture holds none."""
    error: InputFault | None


class Tool(Record, frozen=True, kw_only=True):
    """The program that made the report."""

    name: Literal["floodwatch"]
    version: str


class Settings(Record, frozen=True, kw_only=True):
    """The settings that change an answer. ``seeded`` tells that the hash key was given, never the key."""

    profile: str
    epoch_s: float
    seeded: bool
    filter: str | None
    ja4: tuple[str, ...] = ()
    """Fingerprints: only packets from and to who greeted with one of them were counted."""


class Totals(Record, frozen=True, kw_only=True):
    """Sums over all inputs; ``skipped`` counts files in directories that are not captures.

    ``forgotten`` counts floods, crowds and surges that were too many to keep: the smallest are left out.
    """

    packets: Count
    bytes: Count
    duration_s: float
    sources: Estimate
    skipped: Count
    forgotten: Count = 0


class Info(Record, frozen=True, kw_only=True):
    """What is in some captures (``floodwatch.info/1``)."""

    schema: Literal["floodwatch.info/1"] = "floodwatch.info/1"
    tool: Tool
    complete: bool
    inputs: tuple[Input, ...]


NEAREST_MOST = 5


class Near(Record, frozen=True, kw_only=True):
    """What came near a flood at one victim and was none.

    ``measured`` was held against ``floor`` by the rule that ``what`` tells; ``share`` is the one divided by
    the other: from 1 on the number was reached and something else was missing, which ``why`` says. ``at`` is
    the packet time at which that was met, ``usual`` the usual rate there a second, or null.
    """

    input: str
    vector: Vector
    victim: Victim
    what: str
    measured: float
    floor: float
    share: float
    usual: float | None
    at: Time
    why: str


class Host(Record, frozen=True, kw_only=True):
    """A host that got much: at least so many ``packets``, and the most in a quarter of a second, a second."""

    address: str
    packets: Count
    peak: float


class Traffic(Record, frozen=True, kw_only=True):
    """All that came, whatever it was: rates a second in equal steps of ``step_s`` seconds from ``first`` on.

    ``packets`` has them by class: ``syn``, other ``tcp``, ``udp``, ``icmp`` and ``other`` (fragments, other
    protocols, malformed); ``bits`` of all classes. ``hosts`` are the ten that got most, the busiest first,
    whether something is told of them or not. ``input`` is what events name so.
    """

    input: str
    first: Time
    step_s: float
    packets: dict[str, tuple[float, ...]]
    bits: tuple[float, ...]
    hosts: tuple[Host, ...]


class Report(Record, frozen=True, kw_only=True):
    """The answer of one scan (contract: ``floodwatch.report/1``)."""

    schema: Literal["floodwatch.report/1"] = "floodwatch.report/1"
    tool: Tool
    complete: bool
    inputs: tuple[Input, ...]
    settings: Settings
    totals: Totals
    floods: tuple[Event, ...]
    crowds: tuple[Event, ...]
    surges: tuple[Event, ...] = ()
    """Surges of which nothing that was captured tells people from machines (verdict ``unclear``)."""
    nearest: tuple[Near, ...] = ()
    """At most five that came nearest to a flood and became no event, those first that came nearest."""
    traffic: tuple[Traffic, ...] = ()
    """All that came, of each capture, or of those together that were put on one clock."""

    def events(self) -> tuple[Event, ...]:
        """Floods, crowds and surges, in this order."""
        return *self.floods, *self.crowds, *self.surges
