"""Connections that are finished and not used, TLS handshakes that do not go on."""

from __future__ import annotations

import pytest
from promises import Watch, keeps_event, keeps_floor, watching
from scenes import Host, host

from floodwatch.detectors.connect import CHECKERS, CHECKS, CONNECTION_FLOOD, FLOOR, NAMED, SMALL, UNUSED
from floodwatch.detectors.family import PROVEN_SHARE
from floodwatch.detectors.tls import FLOOR as BEGUN
from floodwatch.detectors.tls import TLS_FLOOD
from floodwatch.model.epoch import CLASS_TCP, DATA, EPOCHS_PER_SECOND, SYN, SYNACK
from floodwatch.model.vector import TCP_NUMBER, Vector

MANY = {CLASS_TCP: 64}


def both(made: int, data: int = 0) -> Host:
    out = host().syns(made, sources=64, finished=made).kind(SYNACK, 0, out=made)
    return out.kind(DATA, data, sources=MANY, port=443, port_vote=made)


def one_way(made: int) -> Host:
    return host().syns(made, sources=64, followed=made)


@pytest.mark.parametrize(("sources", "made", "named"), [
    (CHECKERS, 2 * FLOOR.count - 1, []),
    (CHECKERS, CHECKS.count, [Vector.CONNECTION_FLOOD]),
    (5 * CHECKERS, FLOOR.count, [Vector.CONNECTION_FLOOD]),
])  # fmt: skip
def test_few_who_always_connected_check_the_service(sources: int, made: float, named: list[Vector]) -> None:
    def checks(number: int) -> Host:
        out = host().syns(number, sources=sources, finished=number)
        return out.kind(SYNACK, 0, out=number).kind(DATA, 0, sources=MANY)

    watch = Watch()
    watch.last(checks, int(made), 4 * EPOCHS_PER_SECOND)
    assert watch.vectors == named
    began = watching()
    began.last(checks, int(FLOOR.count), EPOCHS_PER_SECOND)
    assert began.vectors == [Vector.CONNECTION_FLOOD]


def hellos(begun: int, records: int = 0, finished: int = 0) -> Host:
    made = host().kind(DATA, begun + records, sources=MANY, port=443, port_vote=begun)
    made.kind(SYN, 20).kind(SYNACK, 0, out=1)  # some connections are new
    return made.set(tls_hellos=begun, tls_records=records, finished=finished, requests=0)


@pytest.mark.parametrize("make", [both, one_way])
def test_connections_that_nobody_uses(make: object) -> None:
    keeps_floor(make, Vector.CONNECTION_FLOOD, FLOOR, CONNECTION_FLOOD.persist)
    keeps_event(make, FLOOR, CONNECTION_FLOOD.persist)


def test_tls_handshakes_that_nobody_goes_on_with() -> None:
    keeps_floor(hellos, Vector.TLS_FLOOD, BEGUN, TLS_FLOOD.persist)
    keeps_event(hellos, BEGUN, TLS_FLOOD.persist)


@pytest.mark.parametrize(("make", "vector"), [(both, Vector.CONNECTION_FLOOD), (hellos, Vector.TLS_FLOOD)])
def test_real_clients_use_what_they_open(make: object, vector: Vector) -> None:
    for used, named in ((UNUSED, []), (UNUSED - 0.001, [vector])):
        watch = Watch()
        watch.last(lambda n, used=used: make(n, int(used * n)), 1000, CONNECTION_FLOOD.persist)
        assert watch.vectors == named


@pytest.mark.parametrize(("make", "vector"), [(both, Vector.CONNECTION_FLOOD), (hellos, Vector.TLS_FLOOD)])
def test_a_second_is_looked_back_on(make: object, vector: Vector) -> None:
    watch = watching()
    watch.see(make(200, 1000))
    watch.last(make, 200, EPOCHS_PER_SECOND - 1)
    assert watch.vectors == []
    watch.last(make, 200, CONNECTION_FLOOD.persist)
    assert watch.vectors == [vector]


def test_the_evidence_of_connections_is_what_was_counted() -> None:
    watch = Watch()
    for made, data in ((1000, 100), (2000, 200), (1000, 0)):
        watch.see(both(made, data).set(syn_flows=made + 100))
    says = watch.says()
    assert says["handshake_completion"].startswith(f"about {100 * 4000 / 4300:.1f} % as many handshakes")
    assert says["data_per_connection"].startswith(
        "300 data packets came to about 4,000 new connections, 0.07"
    )
    assert watch.event().rate.unit == "conn/s"


def test_the_evidence_of_hellos_is_what_was_counted() -> None:
    watch = Watch()
    watch.last(lambda n: hellos(n, 250), 1000, TLS_FLOOD.persist)
    assert watch.says()["records_per_hello"].startswith("750 further TLS packets came for 3,000 handshakes")
    assert watch.event().rate.unit == "hello/s"


def test_one_way_nothing_is_proven() -> None:
    watch = Watch()
    watch.last(lambda n: one_way(n).source("203.0.113.9", proven=0, packets=40, bytes=2000), 1000, 3)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == ("unknown", "limit_victim", None)
    assert (decision.sources, watch.case.one_way) == ((), True)


@pytest.mark.parametrize(("finished", "origin"), [(PROVEN_SHARE, "real"), (PROVEN_SHARE - 0.001, "unknown")])
def test_tls_clients_are_real_where_most_finished_their_handshake(finished: float, origin: str) -> None:
    watch = Watch()
    watch.last(lambda n: hellos(n, finished=int(finished * n), records=300), 1000, TLS_FLOOD.persist)
    assert watch.decision().origin == origin


@pytest.mark.parametrize("make", [both, hellos])
def test_real_sources_that_say_next_to_nothing_are_named(make: object) -> None:
    def made(_: int) -> Host:
        out = make(1000).set(finished=1000)
        out.source("203.0.113.1", proven=NAMED, packets=40, bytes=40 * SMALL)
        out.source("203.0.113.2", proven=NAMED - 1, packets=40, bytes=40 * SMALL)
        out.source("203.0.113.3", proven=NAMED, packets=40, bytes=40 * SMALL + 1)
        out.source("203.0.113.4", proven=NAMED, packets=40, bytes=2000, requests=1)
        return out.source("2001:db8:9::1", proven=7, packets=40, bytes=2000)

    watch = Watch()
    watch.last(made, 0, 3)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == ("real", "drop_sources", None)
    assert decision.proof is not None
    assert decision.proof.witnessed
    assert [(str(s.network), s.lo, s.hi) for s in decision.sources] == [
        ("2001:db8:9::/64", 7, 20), ("203.0.113.1/32", NAMED, 20)]  # fmt: skip
    assert (decision.protocol, decision.port) == (TCP_NUMBER, 443)


def test_a_browser_that_opens_a_few_beside_a_flood_is_not_named() -> None:
    def made(_: int) -> Host:
        out = both(1000).set(finished=1000).source("203.0.113.9", proven=NAMED + 2, packets=18, bytes=1800)
        for number in range(20):
            out.source(f"192.0.2.{number}", proven=112, packets=336, bytes=20_000)
        return out

    watch = Watch()
    watch.last(made, 0, 3)
    named = {str(source.network.network_address) for source in watch.decision().sources}
    assert named == {f"192.0.2.{number}" for number in range(20)}


def test_where_no_source_stands_out_unknown_clients_are_capped() -> None:
    watch = Watch()
    watch.last(both, 1000, 3)
    decision = watch.decision()
    assert (decision.origin, decision.action, decision.protection) == ("real", "cap_unknown", "capped")
    assert (decision.sources, decision.proof) == ((), None)
