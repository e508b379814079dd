"""What a sensor can say to its enforcer: it may lie about everything, and can only ask."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from floodwatch.config.options import Counters
from floodwatch.config.settings import Interface, MetricsSettings, Receiver, RuleSettings, Settings
from floodwatch.daemon import records
from floodwatch.daemon.hands import Done, Hands, Modes
from floodwatch.daemon.hearing import Hearing
from floodwatch.daemon.line import HEAD, VERSION, BrokenLine, Line
from floodwatch.daemon.picture import Tallies
from floodwatch.daemon.records import Beat, Kind, Wrong
from floodwatch.errors import BlockRefused
from floodwatch.model.address import Network
from floodwatch.model.decision import Decision, Suspect, prove
from floodwatch.model.vector import Vector

NEVER, MOST = "198.51.100.0/28", 20
SETTINGS = Settings(
    mode="suggest", interfaces=(Interface(name="lo"),), never=(NEVER,), rules=RuleSettings(max_blocks=MOST)
)


EVENT = "20260101T000000Z-http_flood-192.0.2.7-80"


def decision(*sources: str, name: str = EVENT, **change: Any) -> Decision:
    fields: dict[str, Any] = {
        "id": name, "vector": Vector.HTTP_FLOOD, "origin": "real", "action": "drop_sources",
        "victim": ipaddress.ip_network("192.0.2.7"), "protocol": 6, "port": 80,
        "sources": tuple(Suspect(ipaddress.ip_network(one), 10, 20) for one in sources),
        "proof": prove(name) if sources else None,
    }  # fmt: skip
    return Decision(**(fields | change))


class Enforcing:
    """The enforcer's end of a line, and the hands that it asks; ``blocked`` is what they would block."""

    def __init__(self) -> None:
        mine, theirs = socket.socketpair()
        self.line, self.liar = Line(mine), theirs
        theirs.settimeout(5)
        self.hands, self.tallies = Hands(SETTINGS), Tallies()
        self.said = list[str]()
        self.blocked = set[Network]()
        self.take(self.hands.use(SETTINGS))

        async def told(change: object) -> None:
            del change

        def submit(what: Any, *arguments: Any) -> None:
            what(*arguments)

        self._hearing = Hearing(
            self.hands, submit, lambda uid: None, lambda: None, told, self.said.append, self.tallies
        )

    def take(self, done: Done) -> None:
        """Note what would stand."""
        for act in done.acts:
            if act.what == "add":
                self.blocked.add(ipaddress.ip_network(act.target.split()[0]))
            if act.what in ("remove", "over"):
                self.blocked.discard(ipaddress.ip_network(act.target.split()[0]))

    def hear(self, data: bytes) -> bool:
        """Send this, as a sensor would, and act on it; returns whether the line still makes sense."""

        async def heard() -> bool:
            sense = True
            for at in range(0, len(data), 1 << 16):
                self.liar.sendall(data[at : at + (1 << 16)])
                try:
                    for kind, body in self.line.read():
                        self._hearing.came(kind, body)
                except BrokenLine:
                    sense = False
            await asyncio.gather(*self._hearing.pending)
            return sense

        sense = asyncio.run(heard())
        self.take(self.hands.act())
        return sense

    def close(self) -> None:
        self.hands.end(keep=True)
        self.line.socket.close()
        self.liar.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[list[Enforcing]]:
    """One that goes on, whatever was said before; renewed by the test where its line broke."""
    held = [Enforcing()]
    yield held
    held[0].close()


def record(kind: int, body: bytes) -> bytes:
    return HEAD.pack(VERSION, kind, len(body)) + body


def test_decisions_come_as_they_were_made() -> None:
    made = [
        decision("203.0.113.9", "2001:db8:7::/64"),
        decision(name="b", action="limit_victim", protection="reflected", reflector_ports=(53, 123),
                 port=None, origin="reflected", usual=12.5, victim=ipaddress.ip_network("2001:db8::/64")),
    ]  # fmt: skip
    found, one_way = records.read_decisions(records.write_decisions(made, one_way=True))
    assert one_way
    for before, after in zip(made, found, strict=True):
        fields = (name for name in Decision.__slots__ if name != "proof")
        assert all(getattr(before, name) == getattr(after, name) for name in fields)
        assert (before.proof is None) == (after.proof is None)
    many = decision(*(str(ipaddress.ip_address(0x0B000000 + n)) for n in range(16_000)))
    body = records.write_decisions([many] * 8, one_way=False)
    assert len(body) < 1 << 22  # it fits into a record, whatever there is
    with pytest.raises(Wrong):  # the same flood twice
        records.read_decisions(body)


def test_p48_what_is_asked_is_held_against_never_block_and_limits() -> None:
    enforcing = Enforcing()
    wrong = ["198.51.100.3", "127.0.0.1", "0.0.0.0/0", "198.0.0.0/8", "224.0.0.1", "::/0", "::1"]
    crowd = [f"203.0.{n}.9" for n in range(1, 100)]
    asked = records.write_decisions([decision(*wrong, *crowd)], one_way=False)
    assert enforcing.hear(record(Kind.DECISIONS, asked))
    assert len(enforcing.blocked) == MOST
    assert all(str(network).startswith("203.0.") for network in enforcing.blocked)
    forged = decision(name="x", origin="forged", sources=(), proof=None)
    body = bytearray(records.write_decisions([forged], one_way=False))
    body += records.SUSPECT.pack(4, 32, ipaddress.ip_address("203.0.113.200").packed, 1, 1, False)
    struct.pack_into("=H?", body, records.GOING_ON.size + records.DECISION.size - 3, 1, True)
    before = set(enforcing.blocked)
    assert enforcing.hear(record(Kind.DECISIONS, bytes(body)))  # sources that it calls forged itself
    assert enforcing.blocked == before
    assert enforcing.tallies.counted()["records_refused"] == {(): 1}
    enforcing.close()


def test_p52_only_another_rule_set_makes_what_acts_anew_and_what_was_asked_stays() -> None:
    enforcing, again = Enforcing(), msgspec.structs.replace
    asked = records.write_decisions([decision("203.0.113.9")], one_way=False)
    assert enforcing.hear(record(Kind.DECISIONS, asked))
    assert {str(network) for network in enforcing.blocked} == {"203.0.113.9/32"}

    def anew(changed: Settings) -> bool:
        """Take over other settings; does what acts begin again with nothing that stands?"""
        enforcing.hands.use(changed)
        return [act.what for act in enforcing.hands.act().acts] == ["add"]

    receiver = Receiver(type="exec", argv=("true",))
    assert not anew(SETTINGS)
    assert not anew(again(SETTINGS, notify=(receiver,), metrics=MetricsSettings(textfile="x")))
    assert not anew(again(SETTINGS, rules=again(SETTINGS.rules, on_stop="keep")))
    assert anew(again(SETTINGS, rules=again(SETTINGS.rules, max_blocks=7)))
    assert anew(again(SETTINGS, never=(NEVER, "192.0.2.0/24")))
    enforcing.close()


def spoilt() -> st.SearchStrategy[bytes]:
    """Records that are right but for some bytes, records with anything in them, and anything."""
    two = records.write_decisions([decision("203.0.113.9"), decision(name="b")], one_way=False)
    counters = Counters(1.0, 1, 1, 0, 0, 0, 0, (("192.0.2.1", 2.0),), 0)
    right = [
        (Kind.DECISIONS, two),
        (Kind.KNOWN, records.write_networks(np.arange(50, dtype=np.uint64))),
        (Kind.ANSWERED, records.write_answered(7, np.ones((3, 5), np.uint64))),
        (Kind.BEAT, records.encode(Beat(counters, (), {}))),
        (Kind.CHANGE, b"\0" + msgspec.json.encode({"id": "x", "schema": "floodwatch.event/1"})),
        (Kind.READY, b'{"uid":1,"notes":[]}'),
    ]

    def spoil(of: tuple[int, bytes], seed: int, count: int) -> bytes:
        draw, body = random.Random(seed), bytearray(of[1])
        for _ in range(count):
            body[draw.randrange(len(body))] = draw.choice([0, 1, 4, 6, 32, 128, 255, draw.randrange(256)])
        if draw.random() < 0.2:
            del body[draw.randrange(len(body)) :]
        return record(of[0], bytes(body))

    return st.one_of(
        st.builds(spoil, st.sampled_from(right), st.integers(0, 1 << 32), st.integers(0, 8)),
        st.builds(record, st.sampled_from(list(Kind)), st.binary(max_size=600)),
        st.binary(min_size=1, max_size=64),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(spoilt(), min_size=1, max_size=4))
def test_p48_no_record_ends_the_enforcer_or_goes_past_its_policy(
    said: list[bytes], shared: list[Enforcing]
) -> None:
    enforcing = shared[0]
    never = ipaddress.ip_network(NEVER)
    for data in said:
        if not enforcing.hear(data):  # the sensor is ended, and its line with it
            enforcing.close()
            enforcing = shared[0] = Enforcing()
    assert len(enforcing.blocked) <= MOST
    for network in enforcing.blocked:
        assert network.prefixlen >= (24 if network.version == 4 else 48)
        assert not network.is_loopback
        assert network.version == 6 or not network.overlaps(never)


def test_a_record_may_come_in_pieces_and_its_length_is_bounded() -> None:
    mine, theirs = socket.socketpair()
    line, whole = Line(mine), record(Kind.NOTE, b"abc") + record(Kind.NOTE, b"")
    found = list[tuple[int, bytes]]()
    for byte in whole:
        theirs.send(bytes([byte]))
        found += line.read()
    assert found == [(Kind.NOTE, b"abc"), (Kind.NOTE, b"")]
    theirs.send(HEAD.pack(VERSION, Kind.NOTE, 1 << 30))
    with pytest.raises(BrokenLine):
        list(line.read())
    for _ in range(100):
        line.send(Kind.PULSE, bytes(1 << 20))  # nobody reads: the queue has an end, and nothing waits
    assert line.left_out > 70
    theirs.close()
    mine.close()


def test_p01_where_one_interface_only_observes_its_victims_are_only_observed() -> None:
    home = {"eth0": "192.0.2.0/24", "eth1": "198.51.100.0/24"}
    places: Any = SimpleNamespace(
        at=lambda name, victim: name in home and victim.subnet_of(ipaddress.ip_network(home[name]))
    )
    two = Settings(
        mode="enforce", interfaces=(Interface(name="eth0"), Interface(name="eth1", mode="observe"))
    )
    first, second, other = map(ipaddress.ip_network, ("192.0.2.7", "198.51.100.7", "203.0.113.7"))
    modes = Modes(two)
    assert [modes.of(one, places) for one in (first, second, other)] == ["enforce", "observe", "enforce"]
    calm = Modes(two, "observe")  # an operator's word makes no interface do more than is configured
    assert [calm.of(one, places) for one in (first, second, other)] == ["observe"] * 3
    bold = Modes(Settings(interfaces=(Interface(name="eth0", mode="suggest"),)), "enforce")
    assert bold.of(other, places) == "suggest"


def test_a_decision_that_may_not_be_is_none() -> None:
    with pytest.raises(BlockRefused):
        decision("203.0.113.9", origin="forged")
