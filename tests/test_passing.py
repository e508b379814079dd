"""Whom limits let pass: from the handshake on, but not whom a flood brings with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from floodwatch._engine import HEAVY_DTYPE, VICTIM_DTYPE
from floodwatch.history.clients import networks
from floodwatch.history.memory import nothing
from floodwatch.history.served import Flood, Served
from floodwatch.model.address import Address
from floodwatch.model.summary import Summary

SITE, OTHER = 7, 9
"""Slot references of two victims."""
ADDRESSES: dict[int, Address] = {SITE: (0, 0xFFFF_C6336407), OTHER: (0, 0xFFFF_C6336409)}
PEOPLE, BOTS = (0x01020304, 0x05060708), (0x0B000001, 0x0C000001)


def row(source: int, victim: int, proven: int = 1) -> Any:
    (made,) = made_of = np.zeros(1, HEAVY_DTYPE)
    made["source"], made["victim"], made["proven"] = 0xFFFF << 32 | source, victim, proven
    return made_of


def summary(epoch: int, victims: Any, rows: Any, *, ends: bool) -> Summary:
    return Summary(
        epoch=epoch, gap=0, first_ns=0, last_ns=0, victims=victims, heavy=lambda: rows, hosts=lambda: rows,
        held=lambda: rows[:0], sources_of=lambda *_: np.zeros(0, np.uint8), window_ends=ends, final=False,
    )  # fmt: skip


class Days:
    """Feeds epochs; ``rows`` is the table as it is, ``floods`` what was found."""

    def __init__(self) -> None:
        self.served, self.epoch, self.rows = Served(nothing().networks), 400, np.zeros(0, HEAVY_DTYPE)
        self.victims = np.zeros(2, VICTIM_DTYPE)
        for at, (reference, (hi, lo)) in enumerate(ADDRESSES.items()):
            self.victims[at]["reference"], self.victims[at]["hi"], self.victims[at]["lo"] = reference, hi, lo

    def come(self, *sources: int, to: int = SITE, proven: int = 1) -> None:
        self.rows = np.concatenate([self.rows, *(row(source, to, proven) for source in sources)])

    def go_on(self, epochs: int, *floods: Flood) -> None:
        for _ in range(epochs):
            ends = self.epoch % 32 == 31
            self.served.close_epoch(summary(self.epoch, self.victims, self.rows, ends=ends), floods)
            self.epoch += 1
            if ends:
                self.rows = self.rows[:0]

    def known(self) -> set[int]:
        return {int(code & 0xFFFFFF) for code in self.served.networks()}


def flood(
    victim: int = SITE, *, asks: bool, sources: tuple[int, ...] = (), prefix: int | None = None
) -> Flood:
    listed = np.array([0xFFFF << 32 | source for source in sources], np.uint64)
    return Flood(ADDRESSES[victim], prefix, asks, listed)


def nets(*sources: int) -> set[int]:
    return {source >> 8 for source in sources}


def test_a_client_counts_from_its_handshake_on_whatever_it_asks_for() -> None:
    days = Days()
    days.go_on(2)
    days.come(PEOPLE[0])
    days.come(PEOPLE[1], proven=0)  # it may be forged
    days.go_on(4)
    assert days.known() == nets(PEOPLE[0])
    assert networks(days.rows)[0] in days.served.networks()
    days.go_on(100)
    assert days.known() == nets(PEOPLE[0])


def test_a_forged_flood_takes_nothing_from_who_came_before_it_and_brings_nobody() -> None:
    for prefix in (None, 24):
        days = Days()
        days.go_on(2)
        days.come(PEOPLE[0])  # in the very epoch in which the flood is found
        days.go_on(1, flood(asks=False, prefix=prefix))
        assert days.known() == nets(PEOPLE[0])
        days.come(PEOPLE[1])
        days.go_on(20, flood(asks=False, prefix=prefix))
        assert days.known() == nets(PEOPLE[0])
        days.go_on(60)
        days.come(PEOPLE[1])
        days.go_on(4)
        assert days.known() == nets(*PEOPLE)


def test_bots_that_connect_and_begin_are_not_known() -> None:
    days = Days()
    days.come(PEOPLE[0])
    days.go_on(16)  # four seconds: it is believed
    days.come(*BOTS)
    days.come(PEOPLE[1], to=OTHER)
    days.go_on(8)
    assert days.known() == nets(*PEOPLE, *BOTS)
    days.go_on(1, flood(asks=True))  # now they ask
    assert days.known() == nets(*PEOPLE)
    days.go_on(40, flood(asks=True))
    assert days.known() == nets(*PEOPLE)


def test_whom_a_flood_lists_is_learnt_nowhere() -> None:
    days = Days()
    days.go_on(2, flood(asks=True, sources=BOTS[:1]))
    days.come(*BOTS, to=OTHER)
    days.go_on(20, flood(asks=True, sources=BOTS[:1]))
    assert days.known() == nets(BOTS[1])
