"""SYN floods: the attempts that nobody finishes, whoever else there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.forging import BOGON_SHARE, FORGED_SHARE
from floodwatch.detectors.syn import (
    FLOOR,
    MOST,
    PATIENCE,
    REFUSED,
    SHARE,
    SYN_FLOOD,
)
from floodwatch.history.victims import SCAN_PORTS, SCAN_SOURCES, SWEEP
from floodwatch.model.epoch import CLASS_SYN, DATA, SYNACK
from floodwatch.model.vector import TCP_NUMBER, Vector

LEAST = int(FLOOR.count)
LATE = 1
"""SYNs are judged an epoch late, with the ACKs that follow."""
HALF = LEAST // 2


def one_way(syns: int, sources: int = 64, **more: int) -> Host:
    """Those who finish, or go on, say something."""
    said = 3 * max(more.get("finished", 0), more.get("followed", 0))
    return host().syns(syns, sources=sources, **more).kind(DATA, said)


def flood(syns: int, sources: int = 64, **more: int) -> Host:
    """Seen both ways."""
    return one_way(syns, sources, **more).kind(SYNACK, 0, out=1)


def vectors(made: Host, epochs: int = 1) -> list[Vector]:
    watch = Watch()
    watch.last(lambda _: made, 0, epochs)
    watch.quiet(1)
    return watch.vectors


@pytest.mark.parametrize("make", [flood, one_way])
def test_half_open_connections_are_a_flood(make: object) -> None:
    keeps_floor(make, Vector.SYN_FLOOD, FLOOR, SYN_FLOOD.persist, LATE)
    keeps_event(make, FLOOR, SYN_FLOOD.persist, LATE, HALF)


def test_the_excess_is_the_flood_even_in_a_crowd() -> None:
    def make(unfinished: int) -> Host:  # half of the attempts are real
        return flood(unfinished + LEAST, finished=LEAST)

    watch = keeps_floor(make, Vector.SYN_FLOOD, FLOOR, PATIENCE, LATE)
    assert watch.case.count == PATIENCE * LEAST
    keeps_event(make, FLOOR, PATIENCE, LATE, HALF)


@pytest.mark.parametrize(("share", "named"), [(SHARE, True), (SHARE - 0.001, False)])
def test_below_a_share_it_is_loss_and_impatience(share: float, named: bool) -> None:
    attempts = 2000
    made = flood(attempts, finished=attempts - round(share * attempts))
    assert bool(vectors(made, PATIENCE)) is named
    assert vectors(made, PATIENCE - 1) == []


@pytest.mark.parametrize(("share", "epochs"), [(MOST, 1), (MOST - 0.001, PATIENCE)])
def test_a_full_backlog_gets_patience_and_a_plain_flood_none(share: float, epochs: int) -> None:
    made = flood(2000, finished=2000 - round(share * 2000))
    assert vectors(made, epochs) == [Vector.SYN_FLOOD]
    assert vectors(made, epochs - 1) == []


@pytest.mark.parametrize(("share", "named"), [(MOST, True), (MOST - 0.001, False)])
def test_the_last_epoch_of_a_capture_is_judged_at_once_where_most_is_unfinished(
    share: float, named: bool
) -> None:
    watch = Watch()
    watch.last(lambda n: flood(n, finished=n - round(share * n)), 2000, PATIENCE - 1)
    if named:
        watch = Watch()
    watch.see(flood(2000, finished=2000 - round(share * 2000)), final=True)
    assert bool(watch.vectors) is named


def test_real_clients_finish_now_or_in_the_next_epoch() -> None:
    assert vectors(flood(5000, finished=5000), 8) == []
    watch = Watch()
    watch.see(flood(5000))
    watch.see(flood(20, finished=5000))
    assert watch.vectors == []


def test_one_way_connections_that_go_on_are_finished() -> None:
    assert vectors(one_way(5000, followed=5000), 8) == []
    assert vectors(flood(5000, followed=5000)) == [Vector.SYN_FLOOD]


def test_syns_sent_again_by_real_clients_are_no_attempts() -> None:
    assert vectors(flood(2 * LEAST, syn_again=LEAST), 8) == []
    assert vectors(flood(2 * LEAST + 2, syn_again=0), 1) == [Vector.SYN_FLOOD]
    watch = Watch()  # those who come again in the next epoch are retries as well
    watch.see(flood(LEAST))
    watch.see(flood(LEAST, syn_again=LEAST))
    assert watch.vectors == []


def test_mirrored_frames_count_once() -> None:
    assert vectors(flood(2 * LEAST - 2, syn_copies=LEAST - 1), 8) == []
    assert vectors(flood(2 * LEAST, syn_copies=LEAST)) == [Vector.SYN_FLOOD]


@pytest.mark.parametrize("sources", [1, 200])
def test_syns_sent_over_and_over_count_each_time(sources: int) -> None:
    assert vectors(flood(LEAST, sources, syn_replayed=LEAST)) == [Vector.SYN_FLOOD]
    assert vectors(flood(2 * LEAST - 1, sources, syn_again=LEAST, syn_replayed=LEAST - 1), 8) == []


def test_copies_among_syns_sent_over_and_over_are_no_mirrors() -> None:
    assert vectors(flood(LEAST, syn_copies=10, syn_replayed=LEAST - 10)) == [Vector.SYN_FLOOD]
    assert vectors(flood(LEAST, syn_copies=LEAST // 2 + 1, syn_replayed=LEAST // 2), 8) == []


SCAN = {"sources": SCAN_SOURCES - 1, "ports": 200}


def test_a_scan_is_no_flood() -> None:
    assert vectors(flood(400, **SCAN), 8) == []


@pytest.mark.parametrize(
    ("syns", "more"),
    [
        (400, {"sources": SCAN_SOURCES + 1}),
        (130, {"ports": SCAN_PORTS - 10}),
        (6 * 220, {"sources": 1}),
        (8 * 6 * 220, {}),
    ],
)
def test_many_sources_few_ports_or_many_syns_are_no_scan(syns: int, more: dict[str, int]) -> None:
    assert vectors(flood(syns, **{**SCAN, **more})) == [Vector.SYN_FLOOD]


@pytest.mark.parametrize(
    ("syns", "more"),
    [
        (130, {"ports": SCAN_PORTS}),
        (6 * 200, {}),
        (20_000, {"ports": 16_000}),
        (400, {"sources": SCAN_SOURCES}),
    ],
)  # fmt: skip
def test_what_is_just_a_scan(syns: int, more: dict[str, int]) -> None:
    assert vectors(flood(syns, **{**SCAN, **more}), 4) == []


def test_what_goes_on_after_all_ports_were_tried_is_no_scan() -> None:
    watch = Watch()
    epochs = SWEEP // 20_000
    watch.last(lambda n: flood(n, **{**SCAN, "ports": 16_000}), 20_000, epochs)
    assert watch.vectors == []
    watch.last(lambda n: flood(n, **{**SCAN, "ports": 16_000}), 20_000, 2)
    assert watch.vectors == [Vector.SYN_FLOOD]


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    watch.see(flood(1000, finished=100, synack_flows=300, refused=200))
    watch.see(flood(3000, finished=100, synack_flows=500, refused=400))
    watch.quiet(1)
    says, event = watch.says(), watch.event()
    assert (
        says["handshake_completion"] == "about 5.0 % as many handshakes were finished as begun (200 of 4,000)"
    )
    assert says["answered"].startswith(f"about {100 * 800 / 4000:.1f} %")
    assert says["refused"].startswith(f"about {100 * 600 / 4000:.1f} %")
    assert "bogon_share" not in says
    assert (event.packets, event.bytes) == (3800, 60 * 3800)


@pytest.mark.parametrize(("refused", "told"), [(REFUSED, False), (REFUSED + 0.001, True)])
def test_few_closed_ports_are_not_worth_telling(refused: float, told: bool) -> None:
    watch = Watch()
    watch.see(flood(1000, refused=int(refused * 1000)))
    watch.quiet(1)
    assert ("refused" in watch.says()) is told


def test_those_who_finish_make_it_less_certain() -> None:
    sure, unsure = Watch(), Watch()
    sure.last(flood, 2000, 8)
    unsure.last(lambda n: flood(n + 900, finished=900), 2000, 8)
    assert unsure.event().confidence < sure.event().confidence


def silent(epochs: int, sources: int = 1000, **more: int) -> Watch:
    """So many epochs of 1,000 attempts each that nobody finishes."""
    watch = Watch()
    for _ in range(epochs):
        watch.see(flood(1000, sources, **more))
    watch.quiet(1)
    return watch


@pytest.mark.parametrize(("watch", "origin"), [
    (silent(1), "unknown"),  # nobody had the time to ask again
    (silent(1, synack_flows=1000), "forged"),  # nobody goes on with what was answered
    (silent(1, 64, synack_flows=1000), "unknown"),  # one host, or a few, that do not want it
    (silent(1, synack_flows=1000, finished=300), "unknown"),
    (silent(20, 12_000), "forged"),  # nobody asks again in five seconds
    (silent(20, 12_000, syn_again=200), "unknown"),  # real stacks do
    (silent(20, 12_000, refused=1000), "unknown"),  # clients of a service that is down are told so
    (silent(20, 64), "unknown"),
])  # fmt: skip
def test_forged_is_who_says_nothing_more_in_time(watch: Watch, origin: str) -> None:
    assert watch.decision().origin == origin
    assert (watch.event().sources.forged_share is not None) == (origin == "forged")


@pytest.mark.parametrize(("make", "refused"), [
    (flood, "were not finished, refused, or sent again as a real client does after a second"),
    (one_way, "whether they were refused was not seen"),
])  # fmt: skip
def test_nothing_is_said_of_refusals_that_cannot_be_seen(make: Callable[..., Host], refused: str) -> None:
    watch = Watch()
    watch.last(lambda _: make(1000, 1000), 0, 8)
    watch.quiet(1)
    assert refused in watch.says()["silent"]


def test_a_closed_port_is_said_to_be_closed() -> None:
    watch = silent(4, refused=1000)
    event = watch.event()
    assert event.evidence[0].says == (
        "about 100.0 % as many were refused with a RST as begun: the port is closed (4,000 of 4,000)"
    )
    assert event.action.recommended == "observe"
    assert watch.decision().protection is None


@pytest.mark.parametrize(("answered", "origin"), [(2000, "forged"), (0, "unknown")])
def test_the_decision_is_cookies_and_to_block_nobody(answered: int, origin: str) -> None:
    watch = Watch()
    watch.see(flood(2000, 2000, synack_flows=answered).source("203.0.113.9", packets=900, proven=3))
    watch.quiet(1)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == (origin, "syn_cookies", "cookies")
    assert (decision.protocol, decision.port, decision.sources) == (TCP_NUMBER, 443, ())
    assert watch.event().sources.top == ()


def test_scattered_ports_are_not_named() -> None:
    watch = Watch()
    watch.see(flood(2000, ports=2))
    watch.quiet(1)
    assert watch.decision().port is None


BOGONS = int(2 * FORGED_SHARE * BOGON_SHARE * 1000)


def test_reserved_addresses_are_told_and_show_forging() -> None:
    watch = Watch()
    for _ in range(3):
        made = host("9.9.9.9").syns(1000, sources=64).kind(SYNACK, 0, out=1)
        watch.see(made.nowhere(CLASS_SYN, bogons=BOGONS))
    assert watch.decision().origin == "forged"
    assert watch.says()["bogon_share"].startswith(
        f"{100 * BOGONS / 1000:.1f} % of the packets come from reserved"
    )


def test_reserved_addresses_are_those_of_the_judged_epoch() -> None:
    watch = Watch()
    watch.see(host("9.9.9.9").syns(1000, sources=64).nowhere(CLASS_SYN, bogons=BOGONS))
    watch.quiet(1)
    assert watch.says()["bogon_share"].startswith(
        f"{100 * BOGONS / 1000:.1f} % of the packets come from reserved"
    )
