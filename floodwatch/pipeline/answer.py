"""The answer in one shape, for a scan and for a watch: what was read, what was found, with which settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..capture import linktype_name
from ..config.options import ScanOptions, WatchOptions
from ..decide.distinct import estimate
from ..decide.events import sort_key
from ..decide.seeing import Seen
from ..model.epoch import EPOCH_NS, rfc3339
from ..model.event import FLOODS, Event
from ..model.report import (
    NEAREST_MOST,
    Input,
    InputFault,
    Interface,
    Near,
    Report,
    Settings,
    Tool,
    Totals,
    Traffic,
)
from ..version import __version__
from .unread import fault_of

if TYPE_CHECKING:  # a scan opens no rings
    from ..capture.file import Reading
    from ..capture.rings import Taps
    from .analysis import Analysis


def of_capture(reading: Reading, analysis: Analysis, *, describe: bool) -> Input:
    """What was read of one capture; with its interfaces, where they are to be described."""
    decoder, error = reading.decoder, reading.error
    fault = fault_of(decoder)
    if error is not None:
        fault = InputFault(code=error.code, offset=error.offset, message=str(error))
    return Input(
        path=reading.path,
        format=decoder.format,
        linktypes=_linktypes(decoder.linktypes),
        packets=decoder.packets,
        bytes=decoder.bytes,
        first=_time(decoder.first_ns),
        last=_time(decoder.last_ns),
        rejected=decoder.rejected,
        one_way=analysis.one_way,
        unslotted=analysis.engine.unslotted,
        lost=decoder.lost,
        filtered=decoder.filtered,
        duplicates=decoder.duplicates,
        doubled=round(reading.twins, 4),
        elsewhere=decoder.elsewhere,
        tunnels=decoder.tunnelled,
        interfaces=tuple(
            Interface(name=name, linktype=linktype_name(number), snaplen=snaplen)
            for name, number, snaplen in (decoder.interfaces if describe else ())
        ),
        hellos=None if reading.tally is None else reading.tally.told(),
        decrypted=None if reading.opening is None else reading.opening.told(),
        error=fault,
        duration_s=((decoder.last_ns or 0) - (decoder.first_ns or 0)) / 1e9,
    )


def seen_in(readings: Sequence[Reading]) -> Seen:
    """How the packets of some captures, on one clock, were captured."""
    decoders = [reading.decoder for reading in readings]
    return Seen(
        packets=sum(decoder.packets for decoder in decoders),
        lost=sum(decoder.lost for decoder in decoders),
        copies=sum(decoder.duplicates for decoder in decoders),
        doubled=max((reading.twins for reading in readings), default=0.0),
    )


def of_watch(name: str, taps: Taps, analysis: Analysis, *, seconds: float, lost: int) -> Input:
    """What a watch saw on its interfaces."""
    return Input(
        path=name,
        format="live",
        linktypes=_linktypes(taps.linktypes),
        packets=taps.packets,
        bytes=taps.bytes,
        first=_time(taps.first_ns),
        last=_time(taps.last_ns),
        rejected=taps.rejected,
        one_way=analysis.one_way,
        error=None,
        duration_s=round(seconds, 6),
        lost=lost,
        elsewhere=taps.elsewhere,
        unslotted=analysis.engine.unslotted,
    )


def report(
    inputs: Sequence[Input],
    events: Iterable[Event],
    *,
    sources: object,
    options: ScanOptions | WatchOptions,
    complete: bool = True,
    skipped: int = 0,
    forgotten: int = 0,
    nearest: Iterable[Near] = (),
    traffic: Iterable[Traffic | None] = (),
) -> Report:
    """The report over these inputs.

    Args:
        inputs: what was read.
        events: what was found, in any order.
        sources: HyperLogLog registers (p = 12) of all their sources.
        options: what the user chose.
        complete: everything was read that was asked for.
        skipped: files that are no captures.
        forgotten: events that were too many to keep.
        nearest: what came nearest to a flood and was none, of each analysis.
        traffic: all that came, of each.
    """
    told = sorted(events, key=sort_key)
    return Report(
        tool=Tool(name="floodwatch", version=__version__),
        complete=complete,
        inputs=tuple(inputs),
        settings=Settings(
            profile=options.limits.profile,
            epoch_s=EPOCH_NS / 1e9,
            seeded=options.seed is not None,
            filter=options.filter,
            ja4=options.ja4 if isinstance(options, ScanOptions) else (),
        ),
        totals=Totals(
            packets=sum(item.packets for item in inputs),
            bytes=sum(item.bytes for item in inputs),
            duration_s=round(sum(item.duration_s for item in inputs), 6),
            sources=estimate(sources, 12),
            skipped=skipped,
            forgotten=forgotten,
        ),
        floods=tuple(event for event in told if event.verdict in FLOODS),
        crowds=tuple(event for event in told if event.verdict == "crowd"),
        surges=tuple(event for event in told if event.verdict == "unclear"),
        nearest=tuple(sorted(nearest, key=lambda near: (-near.share, near.at, near.input))[:NEAREST_MOST]),
        traffic=tuple(measured for measured in traffic if measured is not None),
    )


def _linktypes(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(linktype_name(number) for number in numbers))


def _time(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
