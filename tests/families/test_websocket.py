"""WebSockets: clients that send frame after frame, far over what people and their programs do."""

from __future__ import annotations

from promises import Watch, keeps_event, keeps_floor
from scenes import Host, host

from floodwatch.detectors.websocket import FLOOR, WEBSOCKET_FLOOD
from floodwatch.model.epoch import CLASS_TCP, DATA
from floodwatch.model.vector import Vector


def frames(fast: int, *, others: int = 0) -> Host:
    made = host().kind(DATA, 200, size=500, port=8080, port_vote=200, sources={CLASS_TCP: 8})
    return made.set(ws_frames=fast + others, ws_fast=fast, ws_port=8080, ws_port_vote=fast)


def test_frames_of_fast_connections_are_a_flood() -> None:
    keeps_floor(frames, Vector.WEBSOCKET_FLOOD, FLOOR, WEBSOCKET_FLOOD.persist)
    keeps_event(frames, FLOOR, WEBSOCKET_FLOOD.persist)


def test_any_number_of_slow_connections_is_none() -> None:
    watch = Watch()
    for _ in range(8):
        watch.see(frames(0, others=100_000))
    assert watch.vectors == []


def test_the_evidence_is_what_was_counted() -> None:
    watch = Watch()
    watch.last(lambda _: frames(300, others=100), 0, 3)
    assert watch.says()["fast_share"].startswith("75.0 % of the frames")
    event = watch.event()
    assert (event.packets, event.rate.unit, event.victim.port) == (900, "frame/s", 8080)


def test_whom_the_frames_come_from() -> None:
    watch = Watch()
    watch.last(lambda _: frames(500).source("203.0.113.1", frames=400, proven=1, packets=20, missed=3), 0, 2)
    decision = watch.decision()
    assert [(str(s.network), s.lo, s.hi) for s in decision.sources] == [("203.0.113.1/32", 400, 403)]
    assert (decision.origin, decision.action) == ("real", "drop_sources")
