"""Options of a scan and of a watch, and the progress they report."""

from __future__ import annotations

import os

from msgspec import Struct

from ..model.address import Network
from .limits import Limits
from .nat64 import Translator
from .roles import Service


def hash_key(seed: bytes | None) -> bytes:
    """The key of the hashes of one run: the seed, or a random one.

    Raises:
        ValueError: the seed is not of 16 bytes.
    """
    if seed is None:
        return os.urandom(16)
    if len(seed) != 16:
        raise ValueError(f"a seed is 16 bytes, not {len(seed)}")
    return seed


ALL_TIME = (1 << 64) - 1
"""After every packet."""


class ScanOptions(Struct, frozen=True, kw_only=True):
    """What a user may choose about one scan.

    Attributes:
        filter: a BPF expression; packets that do not match are not counted. None takes all.
        recursive: enter the directories below a given directory.
        jobs: worker processes or threads; never changes the answer.
        seed: 16 bytes for the hash key, or None for a random one.
        max_expand: how many times larger than its file a decompressed capture may grow.
        top: length of the ``sources.top`` lists; 0 is all.
        since_ns: packets before this time, in nanoseconds since 1970, are not counted ...
        until_ns: ... nor are those at this time or later.
        merge: put all captures on one clock, as one capture.
        follow: wait for a file to grow, until told to stop.
        describe: name the captures' interfaces too, which differ between containers of the same packets, and
            count the ClientHellos by fingerprint.
        baseline: a file of what was learnt before (see ``memory``), or None.
        limits: floors and the budget of false alarms.
        proxies: networks of proxies, see ``config.proxies``.
        nat64: networks of translators beside the well-known ones.
        ja4: fingerprints; only packets from and to hosts that sent a ClientHello with one of them count.
        keylog: a file of TLS secrets (SSLKEYLOGFILE), or None. What they open is read as clear text.
    """

    filter: str | None = None
    recursive: bool = False
    jobs: int = 1
    seed: bytes | None = None
    max_expand: int = 100
    top: int = 5
    since_ns: int = 0
    until_ns: int = ALL_TIME
    merge: bool = False
    follow: bool = False
    describe: bool = False
    baseline: str | None = None
    limits: Limits = Limits()
    proxies: tuple[Network, ...] = ()
    nat64: tuple[Translator, ...] = ()
    ja4: tuple[str, ...] = ()
    keylog: str | None = None


class Progress(Struct, frozen=True):
    """How far the reading of one capture has come.

    Attributes:
        path: the capture's name as the user gave it.
        bytes_done: bytes of the file (compressed, if it is) that were read.
        bytes_total: its size, or None where it is unknown (standard input).
        packets: packets read so far.
        finished: True in the last report about this capture.
    """

    path: str
    bytes_done: int
    bytes_total: int | None
    packets: int
    finished: bool


class WatchOptions(Struct, frozen=True, kw_only=True):
    """What a user may choose about one live watch.

    Attributes:
        filter: a BPF expression; packets that do not match are not counted. None takes all.
        ring_mb: size of each interface's ring in MiB.
        snaplen: bytes of each frame that are looked at.
        promiscuous: also see frames that are not for this host.
        duration: seconds after which to stop, or None.
        count: packets after which to stop, or None.
        seed: 16 bytes for the hash key, or None for a random one.
        top: length of the ``sources.top`` lists; 0 is all.
        workers: rings of each interface, read and decoded at the same time.
        baseline: a file of what was learnt before (see ``memory``), or None.
        limits: floors and the budget of false alarms.
        services: what the operator says of services, see ``roles``.
        confirm: seconds within which an operator has to confirm that it goes on enforcing, or None.
        nat64: networks of translators beside the well-known ones.
        write: a file for the flight recorder, or None.
        write_max: frames that it holds at most.
        proxies: networks of proxies, see ``config.proxies``.
    """

    filter: str | None = None
    ring_mb: int = 64
    snaplen: int = 256
    promiscuous: bool = True
    duration: float | None = None
    count: int | None = None
    seed: bytes | None = None
    top: int = 5
    workers: int = 1
    baseline: str | None = None
    limits: Limits = Limits()
    services: tuple[Service, ...] = ()
    confirm: float | None = None
    nat64: tuple[Translator, ...] = ()
    write: str | None = None
    write_max: int = 100_000
    proxies: tuple[Network, ...] = ()


class Counters(Struct, frozen=True):
    """Where a watch stands.

    Attributes:
        seconds: since it began.
        packets: seen so far, after the filter.
        bytes: their length on the wire.
        lost: by the rings and the interfaces.
        ahead: dropped by XDP, because their sources are blocked, before any tap could see them.
        backlog: dropped by this host before any tap could see them, over all its interfaces.
        rejected: frames that could not be decoded.
        victims: addresses that got most packets in the last epoch, as (text, packets a second).
        open_floods: how many are open.
        loaded: how many addresses got enough to be looked at; ``victims`` are the first of them.
    """

    seconds: float
    packets: int
    bytes: int
    lost: int
    ahead: int
    backlog: int
    rejected: int
    victims: tuple[tuple[str, float], ...]
    open_floods: int
    loaded: int = 0

    @property
    def lost_share(self) -> float:
        """Share of the packets that were lost on the way."""
        return self.lost / max(self.packets + self.lost + self.ahead, 1)
