"""HTTP/2 in clear text: rapid reset, and headers that never end."""

from __future__ import annotations

import pytest
from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.http2 import (
    BLAMED,
    CONTINUATION_FLOOD,
    CONTINUATIONS,
    MADEYOURESET,
    NAMED,
    PER_HEADER,
    RAPID_RESET,
    RESET_SHARE,
    RESETS,
    VIOLATIONS,
)
from floodwatch.model.epoch import CLASS_TCP, DATA, EPOCHS_PER_SECOND, SYN, SYNACK
from floodwatch.model.vector import TCP_NUMBER, Vector


def frames(streams: int, *, resets: int = 0, continuations: int = 0) -> Host:
    made = host().kind(DATA, 200, size=500, port=8080, port_vote=200, sources={CLASS_TCP: 8})
    made.kind(SYN, 20).kind(SYNACK, 0, out=1)
    return made.set(h2_streams=streams, h2_resets=resets, h2_continuations=continuations)


def rapid(resets: int) -> Host:
    return frames(resets, resets=resets)


def endless(continuations: int) -> Host:
    return frames(1, continuations=continuations)


@pytest.mark.parametrize(("make", "vector", "floor", "family"), [
    (rapid, Vector.HTTP2_RAPID_RESET, RESETS, RAPID_RESET),
    (endless, Vector.HTTP2_CONTINUATION_FLOOD, CONTINUATIONS, CONTINUATION_FLOOD)])  # fmt: skip
def test_frames_that_break_streams_are_a_flood(
    make: object, vector: Vector, floor: object, family: object
) -> None:
    keeps_floor(make, vector, floor, family.persist)
    keeps_event(make, floor, family.persist)


def vectors(*epochs: Host) -> list[Vector]:
    watch = Watch()
    for each in epochs:
        watch.see(each)
    return watch.vectors


def test_clients_change_their_mind_now_and_then() -> None:
    streams = 1000
    assert vectors(*[frames(streams, resets=round(RESET_SHARE * streams))] * 2) == [Vector.HTTP2_RAPID_RESET]
    assert vectors(*[frames(streams, resets=round(RESET_SHARE * streams) - 1)] * 4) == []


def test_browsers_need_hardly_a_continuation() -> None:
    count = int(PER_HEADER * 200)
    assert vectors(*[frames(200, continuations=count)] * 2) == [Vector.HTTP2_CONTINUATION_FLOOD]
    assert vectors(*[frames(200, continuations=count - 1)] * 4) == []


def test_the_shares_are_those_of_a_second() -> None:
    honest = frames(10_000)
    assert vectors(honest, *[rapid(1000)] * (EPOCHS_PER_SECOND - 1)) == []
    assert vectors(honest, *[rapid(1000)] * (EPOCHS_PER_SECOND + 1)) == [Vector.HTTP2_RAPID_RESET]


@pytest.mark.parametrize(
    ("made", "what"),
    [(frames(400, resets=300), "RST_STREAM frames"), (frames(100, continuations=300), "CONTINUATION frames")],
)
def test_the_evidence_is_what_was_counted(made: Host, what: str) -> None:
    watch = Watch()
    watch.last(lambda _: made, 0, 3)
    streams = int(made.row["h2_streams"])
    assert watch.says()["frames_per_stream"].startswith(
        f"900 {what} came for {3 * streams:,} streams that were opened, {300 / streams:.2f}"
    )
    event = watch.event()
    assert (event.packets, event.bytes, event.rate.unit) == (900, 3 * 100_000, "record/s")


@pytest.mark.parametrize(("proven", "origin"), [(NAMED, "real"), (NAMED - 2, "unknown")])
@pytest.mark.parametrize("make", [rapid, endless])
def test_sources_are_named_by_their_frames(make: object, proven: int, origin: str) -> None:
    """Of the frames of listed sources half or more come from proven ones."""

    def made(_: int) -> Host:
        each = make(500).source("203.0.113.1", strains=NAMED, proven=1, packets=20, missed=3)
        each.source("203.0.113.2", strains=2 * NAMED - proven, proven=0, packets=20)
        return each.source("203.0.113.3", strains=NAMED - 1, proven=1, packets=20)

    watch = Watch()
    watch.last(made, 0, 2)
    decision = watch.decision()
    assert (decision.origin, decision.protocol) == (origin, TCP_NUMBER)
    assert watch.says()["proven_share"].startswith("50.0 % of the sources")
    if origin == "real":
        assert [(str(s.network), s.lo, s.hi) for s in decision.sources] == [("203.0.113.1/32", NAMED, 23)]
        assert (decision.action, decision.protection) == ("drop_sources", None)
    else:
        assert (decision.action, decision.protection, decision.sources) == ("cap_unknown", "capped", ())


def made_to_reset(violations: int, blamed: int = 0) -> Host:
    return frames(max(violations, blamed)).set(h2_violations=violations, h2_provoked=blamed)


def test_a_server_that_is_made_to_reset_streams() -> None:
    keeps_floor(made_to_reset, Vector.MADEYOURESET, VIOLATIONS, MADEYOURESET.persist)
    keeps_event(made_to_reset, VIOLATIONS, MADEYOURESET.persist)


def test_resets_that_blame_the_client_say_so_alone_only_where_they_are_many() -> None:
    most = int(BLAMED.count)
    assert vectors(*[made_to_reset(0, most)] * 2) == [Vector.MADEYOURESET]
    assert vectors(*[made_to_reset(0, most - 1)] * 4) == []
    mixed = frames(4 * most).set(h2_provoked=2 * most)
    assert vectors(*[mixed] * 2) == [Vector.MADEYOURESET]
    assert vectors(*[frames(4 * most + 2).set(h2_provoked=2 * most)] * 4) == []


def test_streams_that_are_broken_off_are_no_requests_as_well() -> None:
    asked = made_to_reset(400, 400).set(requests=400, h2_requests=400)
    assert vectors(*[asked] * 8) == [Vector.MADEYOURESET]


@pytest.mark.parametrize(
    "frames_in_all",
    [
        200,
        2000,
    ],
)
def test_the_port_is_named_however_many_frames_a_packet_holds(frames_in_all: int) -> None:
    watch = Watch()
    watch.last(lambda n: endless(n), frames_in_all, 2)
    assert watch.decision().port == 8080
