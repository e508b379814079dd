"""The ports of a victim's epoch, as the buckets of its tables tell them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model.finding import Own

TWO_PORTS = (("key", "vote"), ("second", "second_vote"))
"""The two ports that a bucket tells, with their votes."""
COLUMNS = ("key", "vote", "second", "second_vote", "packets", "bytes", "known", "out")


def port_shares(opened: np.ndarray, protocol: int) -> list[tuple[int, int]]:
    """(port, packets) of the ports that are told by vote; packets is a lower bound."""
    keys, votes = (
        np.concatenate([opened[name] for name in names]).astype(np.int64)
        for names in zip(*TWO_PORTS, strict=True)
    )
    told = (votes > 0) & (keys >> 16 == protocol)
    return list(zip((keys[told] & 0xFFFF).tolist(), votes[told].tolist(), strict=True))


class Service(NamedTuple):
    """What a victim got from one service port in an epoch. Of a bucket that it shares with another port, its
    part is as its part of the votes; what the victim sent to the two ports is not told apart.

    Attributes:
        bucket: in ``service``.
        port: of the senders.
        vote: packets from it, at least.
        packets: as many, with those of rare ports of the bucket.
        bytes: of these.
        known: of these, packets from peers that the victim spoke to.
        asked: packets that the victim sent to ports of the bucket.
    """

    bucket: int
    port: int
    vote: int
    packets: int
    bytes: int
    known: int
    asked: int


def sources_from(row: np.void, ports: Iterable[int]) -> Own:
    """Which of a victim's UDP sources sent from one of these ports, as far as 256 marks tell ports apart."""
    marks = [(port * 0x1027C4D1 & 0xFFFFFFFF) >> 24 for port in ports]  # fw_port_mark
    return Own(np.isin(row["udp_marks"] & 0xFF, marks), (row["udp_marks"] >> 8).astype(np.uint8))


def services(row: np.void, protocol: int, least: NDArray[np.bool_] | None = None) -> Iterator[Service]:
    """The service ports that a victim got packets from, in buckets for which ``least`` holds."""
    table = row["service"]
    voted = np.maximum(table["vote"], table["second_vote"]) > 0
    buckets = np.flatnonzero(voted if least is None else voted & least)
    columns = (table[name][buckets].tolist() for name in COLUMNS)  # some hundred victims an epoch ask
    for bucket, first, first_vote, second, second_vote, *totals, out in zip(
        buckets.tolist(), *columns, strict=True
    ):
        votes = first_vote + second_vote
        for key, vote in ((first, first_vote), (second, second_vote)):
            if vote > 0 and key >> 16 == protocol:
                packets, size, known = (total * vote // votes for total in totals)
                yield Service(bucket, key & 0xFFFF, vote, packets, size, known, out)
