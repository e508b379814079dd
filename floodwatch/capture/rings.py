"""All rings of a watch with their decoders: batches out, counters summed.

With several workers each interface has as many rings, among which the kernel shares the connections
(PACKET_FANOUT by a hash that is the same in both directions). They are read and decoded at the same time;
counting stays with one writer, so the verdicts are those of one worker.
"""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from .._engine import Batch, Decoder
from ..config.options import WatchOptions, hash_key
from ..model.address import spans
from . import LiveRing, compile_filter
from .recorder import Recorder
from .ring import Opener

BATCH = 8192


class Link(NamedTuple):
    """How one interface is captured: whether frames come, how many did and their bytes, what was lost, and
    what of that the interface itself had no room for; how full the fullest of its rings was lately.
    """

    name: str
    up: bool
    packets: int
    bytes: int
    lost: int
    missed: int
    full: float


class _Tap:
    """One ring, what decodes it, and the batch that is filled from it."""

    def __init__(self, ring: LiveRing, decoder: Decoder) -> None:
        self.ring = ring
        self.decoder = decoder
        self.batch = Batch(BATCH)


class Taps:
    """The open rings of some interfaces.

    Args:
        interfaces: names, or ``any``.
        options: see WatchOptions.
        opener: where packet sockets come from; None: they are made here.

    Raises:
        ConfigError: the filter is wrong.
        EnvironmentFault: an interface cannot be opened.
    """

    def __init__(
        self, interfaces: Sequence[str], options: WatchOptions, opener: Opener | None = None
    ) -> None:
        self._options = options
        self._opener = opener
        self._compiled = compile_filter(options.filter) if options.filter else None
        self._key = hash_key(options.seed)
        self._taps: list[_Tap] = []
        self._pool = ThreadPoolExecutor(options.workers, "decode") if options.workers > 1 else None
        self._shares: list[list[_Tap]] = [[] for _ in range(options.workers)]
        names = dict.fromkeys(interfaces)
        self._several = len(names) > 1 or "any" in names
        self.drained = True
        """All was taken that the rings held when ``batches`` was asked for it."""
        try:
            for number, interface in enumerate(names):
                for share in self._shares:
                    share.append(self._open(interface, number, share, leads=share is self._shares[0]))
                    self._taps.append(share[-1])
        except BaseException:
            self.close()
            raise

    def _open(self, interface: str, number: int, share: list[_Tap], *, leads: bool) -> _Tap:
        """One more ring for a worker, whose rings hold the same connections and know what was counted."""
        options, decoder = self._options, Decoder(self._key)
        decoder.set_translators(options.nat64)
        if self._several:
            decoder.count_once(share[0].decoder if share else None)
        if self._compiled is not None:
            decoder.set_filter(self._compiled.function, self._compiled.programs, self._compiled)
        if options.proxies:
            decoder.trust(spans(options.proxies))
        group = (os.getpid() << 4 | number & 15) & 0xFFFF if options.workers > 1 else None
        ring = LiveRing(
            interface,
            ring_mb=max(2, options.ring_mb // options.workers),
            snaplen=options.snaplen,
            promiscuous=options.promiscuous,
            compiled=self._compiled,
            group=group,
            leads=leads,
            opener=self._opener,
        )
        return _Tap(ring, decoder)

    @property
    def sockets(self) -> list[socket.socket]:
        """What to wait on for packets."""
        return [tap.ring.socket for tap in self._taps]

    def attach(self, recorder: Recorder) -> None:
        """Let every ring keep frames for a flight recorder."""
        for tap in self._taps:
            recorder.attach(tap.ring)

    def batches(self, shift_ns: int) -> Iterator[Batch]:
        """What the rings hold now; ``shift_ns`` is taken off the time stamps.

        Each batch is good until the next is asked for. No more than one ring full is taken, and of every
        ring alike, so that a flood on one interface cannot starve the others.
        """

        def fill(share: list[_Tap]) -> list[_Tap]:
            return [tap for tap in share if tap.ring.fill(tap.decoder, tap.batch, shift_ns)]

        together: Callable[[Callable[[list[_Tap]], list[_Tap]], list[list[_Tap]]], Iterable[list[_Tap]]]
        together = map if self._pool is None else self._pool.map
        for tap in self._taps:
            tap.ring.look()
        for _ in range(self._options.ring_mb):
            ready = [tap for filled in together(fill, self._shares) for tap in filled]
            self.drained = not ready
            if self.drained:
                return
            yield from (tap.batch for tap in ready)

    def follow(self) -> list[str]:
        """Look after the interfaces; returns what changed, in words."""
        return list(dict.fromkeys(note for tap in self._taps if (note := tap.ring.follow()) is not None))

    def links(self) -> list[Link]:
        """Where each interface stands; what its rings lost is as of the last ``count_lost``."""
        found = dict[str, Link]()
        for tap in self._taps:
            name, decoder = tap.ring.interface, tap.decoder
            before = found.get(name, Link(name, True, 0, 0, 0, 0, 0.0))
            found[name] = Link(
                name,
                before.up and tap.ring.up,
                before.packets + decoder.packets,
                before.bytes + decoder.bytes,
                before.lost + tap.ring.lost,
                before.missed + tap.ring.missed,
                max(before.full, tap.ring.fullest.most),
            )
        return list(found.values())

    @property
    def packets(self) -> int:
        """Packets seen, after the filter."""
        return sum(tap.decoder.packets for tap in self._taps)

    @property
    def bytes(self) -> int:
        """Their length on the wire."""
        return sum(tap.decoder.bytes for tap in self._taps)

    @property
    def rejected(self) -> dict[str, int]:
        """Frames that could not be decoded, by reason."""
        return dict(sum((Counter(tap.decoder.rejected) for tap in self._taps), Counter[str]()))

    @property
    def elsewhere(self) -> int:
        """Packets left out because they were counted at another interface, or in the other direction."""
        return sum(tap.decoder.elsewhere for tap in self._taps)

    @property
    def linktypes(self) -> tuple[int, ...]:
        """Link types of the frames seen."""
        return tuple(dict.fromkeys(number for tap in self._taps for number in tap.decoder.linktypes))

    @property
    def first_ns(self) -> int | None:
        """Time of the first packet."""
        return min((t for tap in self._taps if (t := tap.decoder.first_ns) is not None), default=None)

    @property
    def last_ns(self) -> int | None:
        """Time of the newest packet."""
        return max((t for tap in self._taps if (t := tap.decoder.last_ns) is not None), default=None)

    def count_lost(self) -> int:
        """Packets that rings and interfaces lost so far."""
        return sum(tap.ring.count_lost() for tap in self._taps)

    def close(self) -> None:
        """Leave the interfaces."""
        if self._pool is not None:
            self._pool.shutdown()
        for tap in self._taps:
            tap.ring.close()
