"""The picture of a daemon, and its counters in a line, drawn from what its parts hold."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable

from msgspec.structs import replace

from ..version import __version__
from .child import Sensor
from .hands import Done, Modes
from .picture import Counted, Picture, Tallies
from .records import Beat


def drawn(
    sensor: Sensor | None,
    beat: Beat | None,
    done: Done,
    modes: Modes,
    tallies: Tallies,
    trouble: Iterable[str],
    *,
    panic: bool,
) -> Picture:
    """The picture.

    Args:
        sensor: the process that is listened to, if there is one.
        beat: its last sign of life.
        done: what the last look at the kernel brought.
        modes: what may be done.
        tallies: what was counted.
        trouble: what else does not work, in words.
        panic: only observing is left.
    """
    # the sensor is not to be believed: it may not make up interfaces, which become labels of metrics
    names = {*modes.by_name, *(name for _, name in socket.if_nameindex())}
    links = tuple(
        replace(link, mode=modes.by_name.get(link.name, modes.mode))
        for link in (beat.links if beat else ())
        if link.name in names
    )
    degraded = [] if sensor is not None and sensor.ready else ["no sensor watches"]
    degraded += ["the kernel takes no rules"] if done.trouble else []
    degraded += [f"{link.name} is down or gone" for link in links if not link.up]
    degraded += trouble
    until = None if done.until is None else time.time() + done.until - time.monotonic()
    told = tallies.counted()
    return Picture(
        version=__version__, pid=os.getpid(), sensor=sensor.process.pid if sensor else 0,
        started=tallies.started, at=time.time(), mode=modes.mode, mode_until=until, links=links,
        victims=beat.counters.victims if beat else (), hosts=beat.counters.loaded if beat else 0,
        floods={str(vector): number for vector, number in beat.floods.items()} if beat else {},
        wanted=done.wanted, enforced=done.enforced, guards=done.guards, blocked_packets=done.packets,
        blocked_bytes=done.bytes,
        reconciled=done.at, capacity={"blocks": done.capacity}, degraded=tuple(degraded),
        tallies=told, restarts=int(told.get("sensor_restarts", {}).get((), 0)),
        panic=panic, errors=done.errors, rejected=beat.rejected if beat else {},
        counted=beat.counted if beat else Counted(),
    )  # fmt: skip


def counters(beat: Beat, done: Done) -> str:
    """What was counted so far, in a line."""
    seen = beat.counters
    return (
        f"{seen.seconds:.0f} s: {seen.packets:,} packets, {seen.bytes:,} bytes, {seen.lost:,} lost, "
        f"{done.ahead:,} dropped by XDP, {seen.backlog:,} by the backlog, {seen.rejected:,} rejected, "
        f"{seen.open_floods} floods open; {done.enforced} of {done.wanted} blocks and {done.guards} guards "
        "stand"
    )
