"""All traffic of an analysis: its course by class, and the hosts that got the most, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..model.address import Address, address_text
from ..model.epoch import (
    EPOCH_NS,
    EPOCHS_PER_SECOND,
    FRAGMENT,
    ICMP,
    MALFORMED,
    OTHER,
    SYN,
    SYNACK,
    TCP_ODD,
    UDP,
    rfc3339,
)
from ..model.report import Host, Traffic
from .pace import Steps

CLASSES = {
    "syn": (SYN,),
    "tcp": tuple(range(SYNACK, TCP_ODD + 1)),
    "udp": (UDP,),
    "icmp": (ICMP,),
    "other": (FRAGMENT, OTHER, MALFORMED),
}
"""Kinds of packets by the name of their class; not CARRIER, for the frame counts once."""
BINS = 120
"""Steps of the course that are told."""
LOOKED_AT = 16
"""Hosts that got the most in an epoch: what the others got is not added up."""
KEPT = 256
"""Hosts that are kept; of twice as many those that got least are dropped."""
TOLD = 10


class Measured:
    """What came in all, epoch by epoch."""

    def __init__(self) -> None:
        self._course = Steps[NDArray[np.uint64]]()
        self._hosts: dict[Address, tuple[int, int]] = {}

    def add(self, epoch: int, kinds: Sequence[int], size: int, victims: NDArray[np.void]) -> None:
        """Take in an epoch.

        Args:
            epoch: its number.
            kinds: packets by kind.
            size: bytes of all.
            victims: rows of the hosts that got some, as in ``Summary``.
        """
        if size:
            counted = [sum(kinds[kind] for kind in of) for of in CLASSES.values()]
            self._course.add(epoch, np.array([*counted, size], np.uint64))
        if len(victims):
            self._note(victims, victims["kinds"]["packets"].sum(axis=1))

    def _note(self, victims: NDArray[np.void], packets: NDArray[np.uint64]) -> None:
        most_first = np.argpartition(-packets.astype(np.int64), min(LOOKED_AT, len(packets) - 1))
        for index in most_first[:LOOKED_AT].tolist():
            host, count = (int(victims["hi"][index]), int(victims["lo"][index])), int(packets[index])
            total, most = self._hosts.get(host, (0, 0))
            self._hosts[host] = total + count, max(most, count)
        if len(self._hosts) > 2 * KEPT:
            self._hosts = dict(sorted(self._hosts.items(), key=_rank)[:KEPT])

    def told(self, path: str) -> Traffic | None:
        """The course and the busiest hosts; None where nothing came.

        Args:
            path: what events name as their input.
        """
        steps, first, seconds = self._course.even(BINS, np.zeros(len(CLASSES) + 1, np.uint64))
        if not np.any(steps):
            return None
        rates = np.round(np.array(steps).T / seconds, 1).tolist()
        return Traffic(
            input=path,
            first=rfc3339(first * EPOCH_NS),
            step_s=seconds,
            packets={name: tuple(rate) for name, rate in zip(CLASSES, rates, strict=False)},
            bits=tuple(round(8 * rate, 1) for rate in rates[-1]),
            hosts=tuple(
                Host(address=address_text(host), packets=total, peak=float(most * EPOCHS_PER_SECOND))
                for host, (total, most) in sorted(self._hosts.items(), key=_rank)[:TOLD]
            ),
        )


def _rank(item: tuple[Address, tuple[int, int]]) -> tuple[int, Address]:
    host, (total, _) = item
    return -total, host
