"""Detection for programs that bring their own packets: ``Detector``, and ``detect`` over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .._engine import Batch
from ..config import limits
from ..config.options import hash_key
from ..detectors import least_floor
from ..history.memory import encode, load, nothing
from ..model.decision import Decision
from ..model.event import Event
from ..pipeline.analysis import Analysis
from .batches import Capture, read
from .packets import PacketBatch
from .watching import Live


class Detector:
    """Finds floods in batches of packets, with the engine and the judgement of ``scan``.

    Batches come in the order of time, from ``read``, ``PacketBatch.from_scapy`` or a filter over them. Events
    are returned when they open, last another minute, or end. Fixed memory, some 16 MB. Not for use by two
    threads at once. Batches hold what tunnels carry: a flood made of tunnels is found by ``scan`` only.

    Args:
        top: sources to list for each flood; 0 lists all.
        seed: 16 bytes for the hash key; None takes a random key.
        on_event: also called with every event that is returned.
        baseline: a file of what ``learnt`` returned, or of ``floodwatch scan --save-baseline``: clients and
            usual rates to begin with.
        floors: rates a second, in its unit, below which a vector is not named; not below the built-in ones.
        false_alarms: a budget as ``1/30d``, for limits above what is usual (see ``config.limits``).
        profile: a budget by its name, ``default``, ``sensitive`` or ``strict``.

    Raises:
        ConfigError: a limit is wrong, or the baseline cannot be read.
        ValueError: the seed is not of 16 bytes, or ``top`` is negative.

    >>> import floodwatch as fw
    >>> detector = fw.Detector()
    >>> for batch in fw.read("pcaps/real_nginx_synflood.pcap.gz"):
    ...     for event in detector.feed(batch):
    ...         print(event.state, event.vector.value, event.victim.port)
    open syn_flood 80
    ended syn_flood 80
    """

    def __init__(
        self,
        *,
        top: int = 0,
        seed: bytes | None = None,
        on_event: Callable[[Event], object] | None = None,
        baseline: Capture | None = None,
        floors: Mapping[str, float] | None = None,
        false_alarms: str | None = None,
        profile: str = "default",
    ) -> None:
        if top < 0:
            raise ValueError("top is at least 0")
        self._key = hash_key(seed)
        self._top = top
        self._on_event = on_event or (lambda event: None)
        self._memory = nothing() if baseline is None else load(os.fspath(baseline))
        self._limits = limits.ask(floors or {}, false_alarms, least_floor, profile)
        self._analysis = self._anew()

    def _anew(self) -> Analysis:
        return Analysis("packets", self._top, self._memory, self._limits)

    def feed(self, packets: PacketBatch) -> list[Event]:
        """Count packets; returns the events that opened, lasted another minute or ended with them."""
        self._observe(packets)
        return self._told([change.event for change in self._analysis.changes()])

    def decisions(self) -> list[Decision]:
        """What is to be done about the floods that are going on: for ``Blocker.enforce``."""
        return self._analysis.decisions()

    def flush(self) -> list[Event]:
        """The packets end here: judge what is held back; all floods, crowds and surges since the last call.

        The detector then begins anew, with its baseline and without what it learnt since.
        """
        self._analysis.finish()
        events = self._analysis.events()
        self._analysis = self._anew()
        return self._told(events)

    def fit(self, batches: Iterable[PacketBatch]) -> Detector:
        """Learn what is usual from clean traffic; no event comes of it. Returns the detector.

        What follows may be of another day: a gap in time does not forget what was learnt.
        """
        for packets in batches:
            self._observe(packets)
        self._analysis.finish()
        self._analysis.forget_events()
        return self

    def learnt(self) -> bytes:
        """What is known of clients and usual rates so far, as a file: the ``baseline`` of another day."""
        return encode(self._analysis.detection.learnt())

    def _observe(self, packets: PacketBatch) -> None:
        if len(packets):
            self._analysis.observe(Batch.load(*packets.parts(), self._key))

    def _told(self, events: list[Event]) -> list[Event]:
        for event in events:
            self._on_event(event)
        return events

    @staticmethod
    def explain(event: Event) -> str:
        """One event in plain words: what was seen, the evidence, what to do."""
        from ..report.explained import event_text

        return event_text(event)


def detect(
    packets: Capture | Sequence[Capture] | Iterable[PacketBatch] | Live,
    *,
    top: int = 0,
    seed: bytes | None = None,
) -> Iterator[Event]:
    """Yield the events of captures, of batches or of a live watch as they open, last and end.

    What is still open when captures or batches end comes once more, as it stood then.

    Args:
        packets: one path or several, batches in the order of time, or what ``live`` returned.
        top: sources to list for each flood; 0 lists all. A live watch has its own.
        seed: 16 bytes for the hash key; None takes a random key. A live watch has its own.

    Raises:
        InputError: a capture cannot be opened.
        ValueError: the seed is not of 16 bytes, or ``top`` is negative.
    """
    if isinstance(packets, Live):
        yield from packets
        return
    detector = Detector(top=top, seed=seed)
    over: set[str] = set()
    for batch in _batches(packets):
        for event in detector.feed(batch):
            (over.add if event.state == "ended" else over.discard)(event.id)
            yield event
    yield from (event for event in detector.flush() if event.id not in over)


def _batches(packets: Capture | Sequence[Capture] | Iterable[PacketBatch]) -> Iterator[PacketBatch]:
    if isinstance(packets, str | os.PathLike):
        yield from read(packets)
        return
    for item in packets:
        if isinstance(item, PacketBatch):
            yield item
        else:
            yield from read(item)
