"""``live`` for programs: floods on interfaces as events to iterate over."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from types import TracebackType

from ..config.nat64 import translators
from ..config.options import Counters, WatchOptions
from ..config.proxies import read_proxies
from ..model.decision import Decision
from ..model.event import Event
from ..model.report import Report
from ..pipeline.watch import Watch


class Live:
    """An open watch: iterate over its events, ask for ``stats()``; made by ``live``.

    The interfaces are opened by ``live`` itself and left at the end of the ``with`` block. One thread
    iterates, and any may call ``stop()``.
    """

    def __init__(self, watch: Watch, stop: threading.Event) -> None:
        self._watch = watch
        self._stop = stop

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.close()

    def __iter__(self) -> Iterator[Event]:
        """Events as they open, last another minute, and end, until the watch stops."""
        for moment in self._watch.moments():
            for change in moment.changes:
                yield change.event

    def decisions(self) -> list[Decision]:
        """What is to be done about the floods that are going on: for ``Blocker.enforce``."""
        return self._watch.analysis.decisions()

    def stats(self) -> Counters:
        """Packets seen and lost so far, the busiest victims, the floods that are open."""
        return self._watch.counters()

    def report(self) -> Report:
        """The report of the whole watch, once the iteration has ended."""
        return self._watch.report()

    def stop(self) -> None:
        """End the iteration within a tenth of a second."""
        self._stop.set()


def live(
    *interfaces: str,
    filter: str | None = None,  # noqa: A002 (the contract's name)
    snaplen: int = 256,
    ring_mb: int = 64,
    promiscuous: bool = True,
    duration: float | None = None,
    seed: bytes | None = None,
    top: int = 0,
    proxies: Sequence[str] = (),
    nat64: Sequence[str] = (),
) -> Live:
    """Watch live interfaces; needs CAP_NET_RAW to open them, and changes nothing.

    Args:
        interfaces: names of interfaces, or ``any``.
        filter: a BPF expression as of tcpdump; other packets are not counted.
        snaplen: bytes of each frame that are looked at.
        ring_mb: size of each interface's ring in MiB.
        promiscuous: also see frames that are not for this host.
        duration: seconds after which the iteration ends, or None for no end.
        seed: 16 bytes for the hash key; None takes a random key.
        top: sources to list for each flood; 0 lists all.
        proxies: networks of proxies, or files of them: they are looked past (see ``config.proxies``).
        nat64: prefixes of NAT64 beside the well-known ones, as ``2001:db8:64::/96``.

    Raises:
        ConfigError: the filter, a proxy or a prefix is wrong.
        EnvironmentFault: an interface cannot be opened; the message says what to do.
        ValueError: no interface is named, or the seed is not of 16 bytes.
    """
    if not interfaces:
        raise ValueError("name an interface, or any for all")
    stop = threading.Event()
    options = WatchOptions(
        filter=filter, snaplen=snaplen, ring_mb=ring_mb, promiscuous=promiscuous, duration=duration,
        seed=seed, top=top, nat64=translators(nat64), proxies=read_proxies(proxies),
    )  # fmt: skip
    return Live(Watch(interfaces, options, stop), stop)
