"""What outlives a run: files that are old or new and never torn, ends that no clock moves, the journal."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab
from test_mitigate import run

import floodwatch as fw
from floodwatch.daemon import journal as journals
from floodwatch.daemon import state as states
from floodwatch.daemon.journal import Journal
from floodwatch.daemon.kept import Kept, Unreadable
from floodwatch.daemon.log import Log
from floodwatch.daemon.pages import PAGES_MOST, Pages
from floodwatch.daemon.picture import Tallies
from floodwatch.daemon.state import State
from floodwatch.daemon.store import Saved, Store
from floodwatch.history.memory import METRICS, code_of, decode
from floodwatch.mitigate import Act, Block, Blocker, ByHand, Guard, Policy, Remembered
from floodwatch.mitigate.clocks import Clocks
from floodwatch.mitigate.dryrun import DryRun
from floodwatch.mitigate.plan import refusal
from floodwatch.mitigate.remembered import aged, regained
from floodwatch.model.event import Change, Event

GOLDEN = Path(__file__).parent / "golden"
PCAPS = Path(__file__).parents[1] / "pcaps"
THEN = Clocks(boot="one", up=1000.0, wall=1.7e9)
YEAR = 366 * 86_400.0
NET = ipaddress.ip_network


def block(text: str, seconds: float = 40.0, why: str = "fw:flood") -> Block:
    return Block(NET(text), seconds, why)


def known(*blocks: Block) -> Remembered:
    return Remembered(
        at=THEN.wall,
        blocks=blocks,
        offences={NET("203.0.113.9/32"): 3},
        lately=(1.0, 59.0),
        avoided={Guard("limited", NET("192.0.2.7/32"), 17, 53): 300.0},
    )


def kept(*blocks: Block, mode: Any = None) -> Saved:
    return State(saved=THEN, mode=mode), known(*blocks)


def full(saved: Saved) -> tuple[State, Remembered]:
    """What is read of it."""
    return states.decode(states.encode(*saved))


# -- files --


def test_p28_a_file_with_any_byte_flipped_or_cut_anywhere_gives_the_one_before(tmp_path: Path) -> None:
    file = Kept(tmp_path / "state", states.VERSION)
    before, after = kept(block("203.0.113.9/32")), kept(block("203.0.113.10/32"), mode="observe")
    file.save(states.encode(*before))
    whole_before = (tmp_path / "state").read_bytes()
    file.save(states.encode(*after))
    whole = (tmp_path / "state").read_bytes()
    assert file.load(states.decode) == (full(after), [])
    flipped = [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(len(whole))]
    for damaged in (*flipped, *(whole[:end] for end in range(0, len(whole), 7)), whole + b"\n"):
        (tmp_path / "state").write_bytes(damaged)
        (tmp_path / "state.last").write_bytes(whole_before)
        found, said = file.load(states.decode)
        assert found == full(before)
        assert len(said) == 1
        assert str(tmp_path / "state") in said[0]
        assert (tmp_path / "state.bad").read_bytes() == damaged
    (tmp_path / "state.last").write_bytes(whole_before[:-1])
    assert file.load(states.decode)[0] is None  # neither is good: it starts with nothing, and says so
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.bad"]


class PowerCut(BaseException):
    """Nothing that comes after it is done."""


def test_p28_a_power_cut_at_any_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, seen = 0, set[str]()

    def cutting(name: str, left: list[int]) -> None:
        real: Callable[..., Any] = getattr(os, name)

        def step(*words: Any, **more: Any) -> Any:
            if left[0] == 0:
                raise PowerCut
            left[0] -= 1
            return real(*words, **more)

        monkeypatch.setattr(os, name, step)

    for last in range(40):
        folder = tmp_path / str(last)
        file = Kept(folder / "x", (1, 0))
        file.save(b"older")
        file.save(b"old")
        left = [last]
        for name in ("open", "fsync", "replace", "unlink"):
            cutting(name, left)
        try:
            file.save(b"new")
        except PowerCut:
            steps += 1
        finally:
            monkeypatch.undo()
        content, said = file.load(lambda content: content.decode())
        assert content in ("old", "new")
        assert said == []
        seen.add(content)
        if left[0]:
            break
    assert steps >= 5
    assert seen == {"old", "new"}


def test_a_file_that_others_can_write_is_not_read(tmp_path: Path) -> None:
    file = Kept(tmp_path / "x", (1, 0))
    file.save(b"mine")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600
    (tmp_path / "x").chmod(0o666)
    assert file.load(bytes)[0] is None
    (tmp_path / "elsewhere").write_bytes((tmp_path / "x.bad").read_bytes())
    (tmp_path / "x").symlink_to(tmp_path / "elsewhere")
    content, (said,) = file.load(bytes)
    assert content is None
    assert "cannot be read" in said


def test_p53_the_versions_before_and_after_are_read_and_another_major_one_is_refused(tmp_path: Path) -> None:
    for version, blocks in (("1.0", 2), ("1.1", 2)):  # 1.1 has fields that this version does not know
        (tmp_path / "state").write_bytes((GOLDEN / f"state-{version}").read_bytes())
        loaded, said = Kept(tmp_path / "state", states.VERSION).load(states.decode)
        assert said == []
        assert loaded is not None
        found = loaded[1]
        assert len(found.blocks) == blocks
        assert found.blocks[0] == block("203.0.113.9/32")
        assert found.offences == {NET("203.0.113.9/32"): 3}
        assert found.avoided == {Guard("limited", NET("192.0.2.7/32"), 17, 53): 300.0}
    (tmp_path / "state").write_bytes((GOLDEN / "state-2.0").read_bytes())
    loaded, (line,) = Kept(tmp_path / "state", states.VERSION).load(states.decode)
    assert loaded is None
    assert "has the format 2.0, and this floodwatch reads 1.x" in line


def test_p53_what_was_learnt_and_the_journal_of_every_version_are_read(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "learnt-1.0", tmp_path / "learnt")
    for kind in ("events", "acts"):
        shutil.copy(GOLDEN / f"{kind}-1.ndjson", tmp_path / f"{kind}-000000000001.ndjson")
    learnt, said = Kept(tmp_path / "learnt", (1, 0)).load(bytes)
    assert said == []
    assert learnt is not None
    memory = decode(learnt)
    assert memory.networks.tolist() == [code_of(NET("203.0.113.0/24"))]
    assert memory.usual.tolist() == [[1.0] * len(METRICS)]
    journal = Journal(tmp_path)
    assert [(one.what, one.event.vector.value) for one in journal.changes()] == [("opened", "syn_flood")]
    assert list(journal.acts()) == [act(9)]
    assert journal.skipped == 0


# -- what is read is not trusted --

NETWORKS = [
    "0.0.0.0/0", "127.0.0.1/32", "192.0.2.1/32", "::/0", "2001:db8::/48", "198.51.100.0/24", "203.0.113.9/32",
    "::ffff:192.0.2.1/128", "224.0.0.1/32", "203.0.113.9/24", "2001:db8:1::/32", "198.51.100.7/32",
]  # fmt: skip
HOST_BITS = ("203.0.113.9/24", "2001:db8:1::/32")
anything = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 1 << 40), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(NETWORKS),
)  # fmt: skip
rows = st.lists(st.lists(anything, max_size=5), max_size=4)
right_rows = st.lists(
    st.tuples(
        st.sampled_from(NETWORKS),
        st.floats(0, 1e12),
        st.sampled_from(["fw:x", "ticket"]),
        st.sampled_from([0, 5]),
    ),
    max_size=6,
)
SOUND = [[network, 1e6, "fw:x", 0] for network in NETWORKS if network not in HOST_BITS]


@example(SOUND, [], [])
@given(st.one_of(rows, right_rows), rows, st.lists(anything, max_size=3))
def test_p28_nothing_that_a_state_can_say_goes_beyond_policy(
    blocks: list[Any], offences: list[Any], lately: list[Any]
) -> None:
    says = {"saved": msgspec.to_builtins(THEN), "blocks": blocks, "offences": offences, "lately": lately}
    try:
        _, found = states.decode(msgspec.json.encode(says))
    except Unreadable:
        return
    spared = NET("192.0.2.0/24")
    policy = Policy(
        never=lambda n: "spared" if n.version == 4 and n.subnet_of(spared) else None,
        max_blocks=2,
        ttl_max_s=600,
    )
    steps = regained(found, policy, ())
    assert len(steps) <= 2
    for step in steps:
        network = step.block.network
        assert network.prefixlen >= (24 if network.version == 4 else 48)
        assert not network.overlaps(spared)  # type: ignore[arg-type]
        assert not network.is_loopback | network.is_multicast
        assert step.block.seconds <= (600 if step.block.why.startswith("fw:") else 1e12)


@pytest.mark.slow
def test_p28_a_fuzzed_state_with_a_right_checksum_gives_nothing_beyond_policy() -> None:
    """Twenty seconds, or as many as FLOODWATCH_FUZZ_S says."""
    chance = random.Random(28)
    whole = states.encode(*kept(*(block(network, 1e6) for network in NETWORKS if network not in HOST_BITS)))
    policy = Policy(max_blocks=3, ttl_max_s=600, never=lambda n: "spared" if n.is_private else None)
    end, read = time.monotonic() + float(os.environ.get("FLOODWATCH_FUZZ_S", "20")), 0
    while time.monotonic() < end:
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            at, length = chance.randrange(len(content)), chance.randrange(8)
            other = chance.randrange(len(whole))
            content[at : at + length] = chance.choice(
                [bytes([chance.randrange(256)]), b"9" * length, whole[other : other + length], b""]
            )
        try:
            _, found = states.decode(bytes(content))
        except Unreadable:
            continue
        read += 1
        steps = regained(found, policy, ())
        assert len(steps) <= 3
        assert all(refusal(step.block.network, policy) is None for step in steps)
        assert all(step.block.seconds <= 600 for step in steps if step.block.why.startswith("fw:"))
    assert read > 100  # most of them say something


def test_p41_no_clock_moves_the_end_of_a_block() -> None:
    before = known(block("203.0.113.9/32", 40.0))

    def left(now: Clocks) -> list[float]:
        return [round(one.seconds, 3) for one in aged(before, now.passed(THEN)).blocks]

    for wall in (THEN.wall + 10, THEN.wall + YEAR, THEN.wall - YEAR, THEN.wall - 3600):
        assert left(Clocks(boot="one", up=1010.0, wall=wall)) == [30.0]
        assert left(Clocks(boot="one", up=1040.0, wall=wall)) == []
    assert left(Clocks(boot="two", up=5.0, wall=THEN.wall + 10)) == [30.0]  # the host started anew
    assert left(Clocks(boot="two", up=5.0, wall=THEN.wall + 40)) == []
    assert left(Clocks(boot="two", up=5.0, wall=THEN.wall - YEAR)) == [40.0]  # never more than was left
    again = aged(before, Clocks(boot="one", up=1010.0, wall=0.0).passed(THEN))
    assert again.lately == (11.0, 69.0)
    assert list(again.avoided.values()) == [290.0]


def test_what_was_lifted_by_hand_since_does_not_come_back() -> None:
    before = known(block("203.0.113.9/32"), block("203.0.113.10/32", why="ticket 4711"))
    assert len(regained(before, Policy(), ())) == 2
    assert [s.block.why for s in regained(before, Policy(), {"203.0.113.9/32"})] == ["ticket 4711"]
    assert regained(before, Policy(), {""}) == []


def test_p17_blocks_that_came_back_are_held_against_the_share_of_those_who_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = iter([True])  # the kernel had lost the table
    monkeypatch.setattr(DryRun, "ensure", lambda self, never: next(made, False))
    before = known(
        *(block(f"203.0.{n}.9/32") for n in range(40)), block("203.0.41.9/32", why="ticket 4711"),
        block("198.51.100.9/32"),
    )  # fmt: skip
    first = 4 << 56 | 0xCB0000  # 203.0.0.0/24
    served = np.arange(first, first + 50, dtype=np.uint64)
    share = "more than 50 % of the networks of known clients: decide by hand"
    with Blocker() as blocker:
        blocker.by_hand = ByHand(tmp_path / "orders", make=False)
        assert len(blocker.adopt(before)) == 42
        assert blocker.enforce([]) == []  # nothing is known yet
        gone = blocker.enforce([], served)
        assert {(s.what, s.why) for s in gone} == {("remove", f"blocks that came back hit {share}")}
        held = {str(network) for network in blocker.active()}
        assert len(held) == 26  # half of those who are served, what was ordered among them, and a stranger
        assert {"203.0.41.9/32", "198.51.100.9/32"} <= held
        assert blocker.enforce([], served) == []


def test_too_many_of_anything_is_left_out_and_the_newest_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "ROWS_MOST", 2)
    many = Remembered(offences={NET(f"203.0.113.{n}/32"): n + 1 for n in range(5)})
    offences = full((State(saved=THEN), many))[1].offences
    assert offences == {NET("203.0.113.3/32"): 4, NET("203.0.113.4/32"): 5}


RESUME = """
import ipaddress, sys, time
from floodwatch.mitigate import Block, Blocker, Policy, Remembered
begin = time.process_time()
first = int(ipaddress.ip_address("203.0.0.0"))
blocks = [Block(ipaddress.ip_network((first + n, 32)), 30.0, "fw:flood") for n in range(50_000)]
made = time.process_time() - begin
never = ipaddress.ip_network("192.0.2.0/24")
blocks += [Block(never, 30.0, "fw:flood"), Block(ipaddress.ip_network("198.51.100.9/32"), 900.0, "ticket")]
blocks += [Block(ipaddress.ip_network("198.51.100.0/24"), 9000.0, "fw:flood")]
before = Remembered(at=time.time(), blocks=tuple(blocks), offences={blocks[0].network: 3})
begin = time.process_time()  # of ours alone: others may be at work
policy = Policy(max_blocks=60_000, ttl_max_s=600)
with Blocker(dry_run=False, never_block=[str(never)], policy=policy) as blocker:
    steps = blocker.adopt(before)
    held = blocker.active()
    print(len(steps), (time.process_time() - begin) / made, blocker.remembered().offences == before.offences)
    print(max(block.seconds for block in held.values() if block.why == "fw:flood"), never in held, len(held))
"""


@pytest.mark.slow
@pytest.mark.root
def test_p26_fifty_thousand_lost_blocks_are_back_in_seconds_as_policy_allows(wire: Lab, need: Any) -> None:
    """Some 4 s of processor time where making the blocks in Python takes 0.4: the ratio is of any machine."""
    need(shutil.which("nft"), "tests of rules read them back with nft")
    script = (sys.executable, "-c", RESUME)
    steps, times, same, longest, never, held = run(wire, *script).split()
    assert (steps, same, never, held) == ("50002", "True", "False", "50002")
    assert float(longest) <= 600
    assert float(times) < 20, times
    steps, times, *_, held = run(wire, *script).split()  # they stand: nothing is put up, all is taken over
    assert (steps, held) == ("0", "50002")
    assert float(times) < 20, times


# -- the journal --


def act(number: int, what: Any = "add") -> Act:
    return Act(time="2025-01-27T02:00:00Z", what=what, target=f"203.0.113.{number}/32", why="test")


@pytest.fixture(scope="module")
def event() -> Event:
    return fw.scan(str(PCAPS / "syn_flood.pcap.gz")).floods[0]


def test_the_journal_gives_back_what_it_took_over_restarts_and_torn_lines(
    tmp_path: Path, event: Event
) -> None:
    first = Journal(tmp_path)
    first.changed(Change("opened", event))
    for number in range(3):
        first.acted(act(number))
    first.acted(act(0, "extend"))
    first.write()
    (page,) = tmp_path.glob("acts-*.ndjson")
    page.write_bytes(page.read_bytes()[:-9])  # a crash tore the last line
    again = Journal(tmp_path)
    again.acted(act(7))
    again.changed(Change("ended", event))
    assert [one.what for one in again.changes()] == ["opened", "ended"]  # from disk and from memory
    again.write()
    for journal in (again, Journal(tmp_path)):
        assert [one.target for one in journal.acts()] == [act(n).target for n in (0, 1, 7)]
        assert journal.changes() == [Change("opened", event), Change("ended", event)]
        assert journal.changes(limit=1) == [Change("ended", event)]
        assert journal.changes(since=4e9) == []
        assert journal.skipped > 0
        assert (journal.lost, journal.trouble) == (0, "")
    numbers = [json.loads(line)["number"] for line in (tmp_path / page.name).read_bytes().splitlines()[:2]]
    assert numbers == [2, 3]


def test_the_journal_knows_what_a_run_that_was_killed_left_open(
    tmp_path: Path, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = Journal(tmp_path), msgspec.structs.replace(event, id="another")
    for change in (Change("opened", event), Change("opened", other), Change("updated", other)):
        first.changed(change)
    first.changed(Change("ended", event))
    first.write()
    again = Journal(tmp_path)
    again.changed(Change("opened", event))  # its own is not meant
    assert again.left_open() == {"another": other}
    again.changed(Change("ended", other))
    again.write()
    assert set(Journal(tmp_path).left_open()) == {event.id}
    monkeypatch.setattr(journals, "LEFT_MOST", 2)
    for number in range(4):
        again.changed(Change("opened", msgspec.structs.replace(event, id=f"event {number}")))
    again.write()
    assert set(Journal(tmp_path).left_open()) == {"event 2", "event 3"}


def test_the_journal_is_bounded_in_memory_and_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = Pages(tmp_path, "acts", page_bytes=1000)
    monkeypatch.setattr(journals, "Pages", lambda folder, kind: Pages(folder, kind, page_bytes=1000))
    journal = Journal(tmp_path)
    for number in range(6000):
        journal.acted(act(number % 200))
        if number % 50 == 49:
            journal.write()
    files = pages.files()
    assert len(files) == PAGES_MOST
    assert sum(path.stat().st_size for path in files) < PAGES_MOST * 1300
    assert len(list(journal.acts())) == journals.KEPT["acts"]  # memory holds more than these files
    assert journal.lost == 0
    monkeypatch.setattr(journals, "WAITING_MOST", 100_000)
    for number in range(1000):
        journal.acted(act(number % 200))
    assert 200 < journal.lost < 800  # a disk that is far behind: the newest wait


def test_the_journal_keeps_its_order_when_the_clock_is_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    for number, now in enumerate((2e18, 1e18, 2e18 + 5e9)):
        monkeypatch.setattr(journals.time, "time_ns", lambda now=now: int(now))
        journal.acted(act(number))
    journal.write()
    assert [one.target for one in Journal(tmp_path).acts()] == [act(n).target for n in range(3)]


def test_p29_a_disk_that_takes_nothing_is_trouble_and_no_more(tmp_path: Path, event: Event) -> None:
    async def run() -> None:
        folder, tallies, told = tmp_path / "state", Tallies(), list[str]()
        folder.write_bytes(b"")  # nothing can be made in what is no folder
        store = Store(folder, tallies, told.append)
        assert store.load().state is None
        state = kept(mode="suggest")

        async def ask() -> Saved:
            return state

        keeping = asyncio.create_task(store.keep(ask))
        store.learnt = b"learnt"
        store.journal.changed(Change("opened", event))
        store.soon()
        await until(lambda: tallies.counted().get("state_write") == {("failed",): 1.0})
        assert len(store.trouble) == 1
        assert "there is no folder" in store.trouble[0]
        assert len(store.journal.changes()) == 1  # memory has it
        folder.unlink()
        store.journal.changed(Change("ended", event))
        store.soon()
        await until(lambda: not store.trouble and len(told) == 2)
        assert "there is no folder" in told[0]
        assert "can be written again" in told[1]
        keeping.cancel()
        await store.end(state)
        counted = tallies.counted()["state_write"]
        assert counted == {("failed",): 1.0, ("ok",): 2.0}
        again = Store(folder, Tallies(), print)
        before = again.load()
        assert before.state is not None
        assert (before.state.mode, before.learnt, before.said) == ("suggest", b"learnt", [])
        assert before.known.offences == state[1].offences
        assert [one.what for one in again.journal.changes()] == ["opened", "ended"]
        assert store.journal.lost == 0

    asyncio.run(run())


def test_two_daemons_do_not_write_one_folder(tmp_path: Path) -> None:
    async def run() -> None:
        first, second = Store(tmp_path, Tallies(), print), Store(tmp_path, Tallies(), print)
        assert first.trouble == ()
        (line,) = second.load().said
        assert "another floodwatch uses" in line
        assert second.trouble == (line,)
        await second.end(kept(mode="observe"))
        await first.end(kept(mode="enforce"))
        before = Store(tmp_path, Tallies(), print).load()
        assert before.state is not None
        assert before.state.mode == "enforce"

    asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def test_p50_a_flood_of_lines_is_ten_a_second_of_a_kind_and_the_rest_is_counted() -> None:
    now, written = [100.0], list[str]()
    log = Log(written.append, lambda: now[0])
    for number in range(100_000):  # in five seconds
        now[0] = 100.0 + number / 20_000
        log(f"add    203.0.113.{number % 200}/32 until 2025-01-27T02:00:{number % 60}Z: proven real")
        log("something rare happened" if number == 77_777 else f"{number} new floods")
    rare = [line for line in written if "rare" in line]
    assert len(rare) == 1
    assert len(written) == 1 + 2 * 5 * 10
    now[0] = 161.0
    log.look()
    assert written[101:] == [
        "suppressed 99950 more lines as: add    # until # proven real",
        "suppressed 99949 more lines as: # new floods",
    ]
    for number in range(10_000):  # whoever can choose the words gets no more lines for it
        log("word " * (number % 50) + chr(97 + number % 26) * (number // 26 % 50))
    assert len(written) < 103 + 2600 + 10
    assert log.suppressed > 199_000
