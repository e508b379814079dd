"""Who is listed: those that explain a flood, by the unit of their addresses, and nobody beside."""

from __future__ import annotations

import numpy as np
import pytest
from promises import Watch
from scenes import Host, host, summary

from floodwatch.history.cover import ALIKE, AT_PACE, ORDINARY, READING, REST, Onsets, explains, surely
from floodwatch.history.nearby import FILLED, MEMBERS, TOGETHER
from floodwatch.history.windows import Windows
from floodwatch.model.epoch import EPOCHS_PER_SECOND
from floodwatch.model.finding import SEEN_SHARE
from floodwatch.model.vector import Vector


def taken(*rates: float, usual: float = 0.0) -> list[float]:
    """Those of the rates that are listed."""
    each = np.array(rates)
    return each[explains(each, usual)].tolist()


def test_sources_are_taken_while_they_explain_the_excess() -> None:
    assert taken() == []
    assert taken(300.0, 0.5, 1.0, 0.4) == [300.0]  # one flooder, and three who look at the page
    assert taken(*[2.0] * 600, 0.4, 0.9) == [2.0] * 600
    assert taken(1.0, 1.0, AT_PACE, AT_PACE - 0.1) == [1.0, 1.0, 0.5]
    assert taken(90.0, 90.0, 90 * ALIKE, 90 * ALIKE - 0.1) == [90.0, 90.0, 9.0]
    rest = 100 * REST / (1 - REST)
    assert taken(100.0, rest + 0.1) == [100.0, rest + 0.1]
    assert taken(100.0, rest - 0.1) == [100.0]
    assert taken(*[200.0] * 10, 5.0) == [200.0] * 10
    assert taken(*[200.0] * 10, *[10.0] * 100) == [200.0] * 10 + [10.0] * 100


def test_at_a_readers_pace_more_may_stay_unexplained() -> None:
    slow = READING - 1
    few, many = int(100 * ORDINARY / slow), int(200 * ORDINARY / slow)
    assert taken(100.0, *[slow] * few) == [100.0]
    assert len(taken(100.0, *[slow] * many)) > 1
    assert taken(100.0, *[slow] * many, usual=slow * many) == [100.0]  # that is what ordinary clients make


def test_what_may_be_chance_is_taken_off() -> None:
    assert surely(np.array([0, 1, 4, 100])).tolist() == [0.0, 0.0, 2.0, 90.0]


def test_habits_outlast_a_window_in_whose_last_epoch_nobody_asked() -> None:
    windows = Windows()
    asked = summary(0, [host().source("203.0.113.1", requests=9)])
    windows.close_epoch(asked)
    windows.close_epoch(summary(1, [host()], window_ends=True))
    assert windows.earlier is not None
    assert windows.earlier["requests"].tolist() == [9]


def test_requests_count_from_the_onset_on() -> None:
    windows, onsets = Windows(), Onsets()

    def epoch(number: int, asked: int, window_ends: bool = False) -> tuple[float, float]:
        made = summary(number, [host().source("203.0.113.1", requests=asked)], window_ends=window_ends)
        rows = windows.now(made)
        paces, seconds = onsets.paces(7, number, windows, rows, np.zeros(1, np.int64))
        if number == 9:
            onsets.begin(7, number, windows)
        windows.close_epoch(made)
        return float(paces[0]), seconds

    for number in range(10):
        epoch(number, 100)
    assert epoch(10, 100) == (0.0, 5 / EPOCHS_PER_SECOND)  # a second before it was found is the onset
    assert epoch(13, 164) == ((64 - 8) / 2, 2.0)
    epoch(14, 164, window_ends=True)
    assert epoch(15, 36) == ((100 - 10) / 2.5, 2.5)
    onsets.end(set())
    assert not onsets.begun(7)


def flooder(asked: int, *, visitors: int) -> Host:
    """One source asks for the home page 600 times a second; a few people look at it now and then."""
    made = host().requests(152, sources=1 + visitors, held=152)
    made.row["paths"][0]["hash"] = 1
    made.source("203.0.113.66", bits=1, requests=asked, repeats=asked - 1, proven=9, packets=2 * asked)
    for number in range(visitors):
        made.source(f"192.0.2.{number + 1}", bits=1, requests=3 + asked // 600, proven=1, packets=9)
    return made


def test_visitors_of_the_page_that_is_flooded_are_not_listed() -> None:
    watch = Watch()
    for epoch in range(1, 25):
        watch.see(flooder(150 * epoch, visitors=3))
    assert [str(source.network) for source in watch.decision().sources] == ["203.0.113.66/32"]


def walkers(epoch: int, first: int, hosts: int, each: float, begins: int = 8, **other: int) -> Host:
    """Hosts of one network walk the pages, none of them fast; somebody else reads now and then."""
    asked = int(each * max(epoch - begins, 0) / EPOCHS_PER_SECOND)
    now = int(each * hosts / EPOCHS_PER_SECOND) if epoch > begins else 0
    made = host().requests(now + 4, sources=hosts + 2, held=now // 9, assets=3)
    for number in range(hosts if asked else 0):
        made.source(f"203.0.113.{first + number}", bits=60, requests=asked, proven=1, packets=2 * asked)
    for name, count in other.items():
        made.source(
            name.replace("_", ".")[1:], bits=3, requests=count, assets=count - 1, packets=40, proven=1
        )
    return made


def listed(
    *, first: int = 65, hosts: int = 14, each: float = 20.0, begins: int = 8, **other: int
) -> list[str]:
    """The sources of the only flood, if there is one."""
    watch = Watch()
    for epoch in range(24):
        watch.see(walkers(epoch, first, hosts, each, begins, **other))
    found = [case for case in watch.opened if case.verdict == "attack"]
    assert [case.vector for case in found] == [Vector.HTTP_FLOOD] * len(found)
    return [top.cidr for top in watch.event().sources.top] if found else []


def test_hosts_of_one_network_that_flood_together_are_named_by_the_narrowest_prefix() -> None:
    assert listed() == ["203.0.113.64/28"]
    assert listed(first=1, hosts=200, each=4.0) == ["203.0.113.0/24"]
    assert listed(hosts=MEMBERS - 1, each=24.0) == []


def test_what_asks_so_from_the_first_packet_on_is_no_flood() -> None:
    assert listed(begins=0) == []


def test_somebody_else_in_the_prefix_is_left_out() -> None:
    assert listed(_203_0_113_200=5) == ["203.0.113.64/28"]
    inside = listed(hosts=13, _203_0_113_78=5)
    assert sorted(inside) == [f"203.0.113.{number}" for number in range(65, 78)]


def test_few_hosts_of_a_wide_prefix_are_named_one_by_one() -> None:
    watch, members = Watch(), 256 // FILLED - 2
    for epoch in range(24):
        asked = 6 * max(epoch - 8, 0)
        made = host().requests(6 * members if asked else 4, sources=members, held=9, assets=3)
        for number in range(members if asked else 0):
            made.source(f"203.0.113.{18 * number}", bits=60, requests=asked, proven=1, packets=2 * asked)
        watch.see(made)
    assert 6 * members * EPOCHS_PER_SECOND >= 4 * TOGETHER
    assert len(watch.event().sources.top) == members


def seen(*shares: float, out: int = 0) -> dict[str, float]:
    """Who is told to be seen, after four epochs of one window."""
    watch, total = Watch(), np.zeros(len(shares))
    for _ in range(6):
        total = total + np.array([int(share * 2000) for share in shares])
        made = host().udp(2000, sources=max(len(shares), 9), out=out)
        for number, sent in enumerate(total.astype(int).tolist()):
            made.source(f"203.0.113.{number + 1}", udp=sent, packets=sent)
        watch.see(made)
    event = watch.event()
    assert event.sources.top == ()
    assert watch.decision().sources == ()
    return {source.cidr: source.share for source in event.sources.seen}


def test_few_sources_that_send_it_all_are_seen_and_never_acted_on() -> None:
    told = seen(0.5, 0.3, 1.05 * SEEN_SHARE, 0.95 * SEEN_SHARE)
    assert list(told) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
    assert told["203.0.113.1"] == pytest.approx(0.5, abs=0.01)
    assert len(seen(*[0.1] * 10)) == 5


def test_what_was_sent_beside_a_flood_is_not_taken_for_it() -> None:
    watch = Watch()
    for epoch in range(1, 7):
        made = host().udp(2000, sources=9).kind(4, 1000, out=900)
        made.source("203.0.113.1", udp=0, packets=1000 * epoch).source("203.0.113.2", udp=1200 * epoch,
                                                                      packets=1200 * epoch)  # fmt: skip
        watch.see(made)
    assert [source.cidr for source in watch.event().sources.seen] == ["203.0.113.2"]


def test_clients_of_a_translator_are_listed_one_by_one() -> None:
    watch = Watch()
    for epoch in range(1, 9):
        made = host("2001:db8::7").requests(400, sources=8, path="/login", held=300)
        made.kind(1, 0, out=1)
        for number in range(4):
            asked = 100 * epoch
            made.source(f"64:ff9b::203.0.113.{number}", bits=1, requests=asked, repeats=asked, proven=1)
        made.source("64:ff9b::203.0.113.99", bits=6, requests=epoch, assets=epoch // 2, proven=1)
        watch.see(made)
    assert [str(s.network) for s in watch.decision().sources] == [
        f"64:ff9b::cb00:710{n}/128" for n in range(4)
    ]
