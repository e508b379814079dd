"""Proxies: who is believed to speak for others; what its clients do is told of them, and it never pays."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from scenes import Host, address_of, host, summary

from floodwatch import synth
from floodwatch._engine import RANGES_MOST, Batch, Decoder
from floodwatch.config.options import ScanOptions
from floodwatch.config.proxies import WIDEST, read_proxies
from floodwatch.decide.recall import decision_of
from floodwatch.errors import ConfigError
from floodwatch.history.proxies import (
    AGED,
    DIRECT,
    ENOUGH,
    HELD,
    MOST_OF_IT,
    SEVERAL,
    SHARE,
    STACKS,
    TRIED,
    VALUES,
    VARIOUS,
    Proxies,
)
from floodwatch.mitigate.plan import prove as proven_of
from floodwatch.model.decision import Decision, Suspect, prove
from floodwatch.model.event import SHARED_RATE
from floodwatch.model.report import Report
from floodwatch.model.vector import Vector
from floodwatch.pipeline.analysis import Analysis
from floodwatch.pipeline.scan import scan
from floodwatch.synth.stage import Params

KEY = bytes(range(16))
VICTIM = address_of("198.51.100.7")
BALANCERS = {"10.0.0.11", "10.0.0.12"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A scenario's capture, made once."""
    folder = tmp_path_factory.mktemp("proxied")

    def make(name: str, **params: Any) -> Path:
        path = folder / f"{name}.pcap"
        if not path.exists():
            synth.make(name, path, Params(**params))
        return path

    return make


def looked(path: Path, **options: Any) -> Report:
    return scan([str(path)], ScanOptions(seed=KEY, top=0, **options))


def decided(path: Path) -> list[Decision]:
    """What a watch would have been told to do, over all of the capture."""
    analysis, batch, decoder = Analysis("x", 0), Batch(4096), Decoder(KEY)
    block, position, code, out = path.read_bytes(), 0, 0, []
    while code == 0:
        code, position = decoder.fill(block, position, batch)
        if analysis.observe(batch):
            out += analysis.decisions()
    return out


@pytest.mark.parametrize(
    ("name", "how"), [("proxied_flood", "forwarded_header"), ("proxy_line_flood", "proxy_line")]
)
def test_a_flood_behind_proxies_is_told_by_its_clients(name: str, how: str, made: Any) -> None:
    path = made(name)
    (flood,) = looked(path).floods
    truth = synth.generate(name).truth
    top = {source.cidr: source.proof for source in flood.sources.top}
    assert top == dict.fromkeys(truth.floods[0].sources or (), "forwarded")
    assert {via.cidr for via in flood.sources.via} == BALANCERS
    assert {via.how for via in flood.sources.via} == {how}
    assert 0.95 < sum(via.share for via in flood.sources.via) <= 1.001
    assert flood.sources.origin == "real"
    assert flood.action.recommended == "drop_sources"
    decisions = decided(path)
    assert decisions
    assert not any(decision.sources or decision.protection for decision in decisions)


def test_named_proxies_are_told_as_named(made: Any) -> None:
    (flood,) = looked(made("proxied_flood"), proxies=read_proxies(["10.0.0.0/28"])).floods
    assert {(via.cidr, via.how) for via in flood.sources.via} == {(b, "named") for b in BALANCERS}
    assert len(flood.sources.top) == 5


def test_people_behind_proxies_are_people(made: Any) -> None:
    report = looked(made("proxied_people"))
    assert not report.floods
    assert not [event for event in report.crowds if event.sources.top]


def test_invented_clients_save_no_bot(made: Any) -> None:
    (flood,) = looked(made("invented_clients")).floods
    truth = synth.generate("invented_clients").truth
    assert {source.cidr for source in flood.sources.top} == set(truth.floods[0].sources or ())
    assert {source.proof for source in flood.sources.top} == {"handshake"}
    assert not flood.sources.via
    assert any(len(decision.sources) == 20 for decision in decided(made("invented_clients")))


def test_forwarded_clients_stand_in_no_rule_made_from_a_report(made: Any) -> None:
    (flood,) = looked(made("proxied_flood")).floods
    assert decision_of(flood).sources == ()


class Site:
    """A victim with direct visitors, and senders that name clients: the same in every epoch."""

    def __init__(self, *, direct: int = 0, packets: int = 20) -> None:
        self.direct, self.packets = direct, packets
        self.epoch, self.proxies = 0, Proxies()
        self.flooded: dict[int, int] = {}

    def epochs(self, count: int, *carriers: Callable[[Host], object]) -> Proxies:
        for _ in range(count):
            made = host().requests(200, sources=20)
            for visitor in range(self.direct):
                made.source(f"192.0.2.{visitor + 1}", requests=4, packets=self.packets, proven=1)
            for carrier in carriers:
                carrier(made)
            self.epoch += 1
            self.proxies.update(summary(self.epoch, [made]), self.flooded)
        return self.proxies

    def known(self, address: str = "203.0.113.1") -> str | None:
        return self.proxies.known(VICTIM, _number(address), False)


def _number(address: str) -> int:
    return address_of(address)[1] & 0xFFFFFFFF


def carrier(
    address: str = "203.0.113.1", *, clients: int = 40, requests: int = 50, packets: int = 400, how: int = 1,
    bits: int = 1,
) -> Callable[[Host], object]:  # fmt: skip
    """A sender that names so many different clients."""

    def add(made: Host) -> None:
        made.source(address, requests=requests, packets=packets, proven=1, bits=bits)
        row = made.heavy[-1]
        row["clients"], row["forwards"], row["how"] = (1 << min(clients, 64)) - 1, requests if how else 0, how

    return add


PATIENCE = AGED + TRIED + 8
"""Epochs until trust that is earned from the first epoch on is there."""


def test_trust_is_earned_by_a_share_of_calm_traffic() -> None:
    site = Site(direct=DIRECT)
    site.epochs(TRIED, carrier())
    assert site.known() is None
    assert not len(site.proxies.believed())
    site.epochs(PATIENCE - TRIED, carrier())
    assert site.known() == "forwarded_header"
    assert len(site.proxies.believed()) == 1
    assert site.proxies.networks().tolist() == [4 << 56 | _number("203.0.113.1") >> 8]
    site.flooded[host().reference] = site.epoch
    site.epochs(1, carrier())  # and keeps it in a flood
    assert site.known() == "forwarded_header"


@pytest.mark.parametrize("what", ["few clients", "small share", "in a flood"])
def test_who_comes_with_a_flood_earns_nothing_beside_direct_clients(what: str) -> None:
    site = Site(direct=DIRECT, packets=3000 if what == "small share" else 20)
    if what == "in a flood":
        site.epochs(HELD)
        site.flooded[host().reference] = site.epoch + 1
    bot = carrier(clients=VALUES - 1 if what == "few clients" else 64)
    assert 400 / (DIRECT * 3000 + 400) < SHARE
    for _ in range(PATIENCE):
        if what == "in a flood":
            site.flooded[host().reference] = site.epoch + 1
        site.epochs(1, bot)
    assert site.known() is None
    assert not len(site.proxies.believed())


def test_where_nobody_comes_directly_carriers_are_believed_at_once() -> None:
    site = Site(direct=DIRECT - 1)
    site.epochs(1, carrier(clients=SEVERAL - 1))
    assert site.known() is None
    site.epochs(1, carrier(clients=SEVERAL, how=2))
    assert site.known() == "proxy_line"
    site.direct = DIRECT  # and no longer, once somebody does
    site.epochs(1, carrier(clients=SEVERAL, how=2))
    assert site.known() is None


def test_a_site_behind_proxies_believes_their_neighbours_only() -> None:
    site = Site()
    site.epochs(PATIENCE, carrier())
    late, stranger = carrier("203.0.113.9"), carrier("203.0.114.9")
    site.epochs(1, carrier(), late, stranger)
    assert site.known("203.0.113.9") == "forwarded_header"
    assert site.known("203.0.114.9") is None
    elsewhere = site.proxies.known(address_of("198.51.100.8"), _number("203.0.113.1"), False)
    assert elsewhere is None


def test_most_of_what_was_served_is_spared_and_not_believed() -> None:
    various = carrier(how=0, clients=0, requests=ENOUGH, bits=VARIOUS)
    site = Site(direct=DIRECT)
    site.epochs(PATIENCE, various)
    assert site.known() == "carried"
    assert not len(site.proxies.believed())
    for other in (
        carrier(how=0, clients=0, requests=ENOUGH, bits=VARIOUS - 1),
        carrier(how=0, clients=0, requests=ENOUGH - 1, bits=VARIOUS),
        carrier(how=0, clients=0, requests=ENOUGH, bits=VARIOUS, packets=int(20 * DIRECT * MOST_OF_IT)),
    ):
        site = Site(direct=DIRECT)
        site.epochs(PATIENCE, other)
        assert site.known() is None


def test_an_address_of_several_machines_is_shared() -> None:
    def office(stacks: int, requests: int, assets: int) -> Callable[[Host], object]:
        def add(made: Host) -> None:
            made.source("203.0.113.1", requests=requests, packets=40, proven=1, bits=4, assets=assets)
            made.heavy[-1]["stacks"] = (1 << stacks) - 1

        return add

    for stacks, requests, assets, known in (
        (STACKS, 10, 4, "shared"),
        (STACKS - 1, 10, 4, None),
        (STACKS, 10, 1, None),
        (1, ENOUGH, ENOUGH // 2, "shared"),
        (1, ENOUGH - 1, ENOUGH // 2, None),
    ):
        site = Site(direct=9)
        site.epochs(PATIENCE, office(stacks, requests, assets))
        assert site.known() == known
    shared = Suspect(ip_network("203.0.113.1"), 5, 5, shared=True)
    decision = Decision(
        "x", Vector.HTTP_FLOOD, "real", "drop_sources", ip_network("198.51.100.7"), 6,
        sources=(shared, Suspect(ip_network("203.0.113.2"), 5, 5)), proof=prove("x"),
    )  # fmt: skip
    assert [proven.rate for proven in proven_of(decision)] == [SHARED_RATE, 0]


def test_proxies_are_read_from_arguments_and_files(tmp_path: Path) -> None:
    listed = tmp_path / "cdn.txt"
    listed.write_text("# a CDN\n192.0.2.0/25\n\n192.0.2.128/25 # the other half\n2001:db8::/32\n")
    found = read_proxies([str(listed), "10.0.0.1"])
    assert [str(network) for network in found] == ["10.0.0.1/32", "192.0.2.0/24", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.0/8\nnonsense\n", "line 2: 'nonsense' is no network"),
        ("0.0.0.0/0\n", f"line 1: a /0 is wider than the /{WIDEST[4]}"),
        ("fe80::1%eth0\n", "line 1: 'fe80::1%eth0' is no network"),
        ("\n".join(f"10.{i >> 8}.{i & 255}.1" for i in range(RANGES_MOST + 1)), f"at most {RANGES_MOST:,}"),
        (None, "neither a network nor a list that can be read"),
    ],
)
def test_a_list_of_proxies_with_errors_is_refused(text: str | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "list"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_proxies([str(path)])
    assert says in str(refused.value)
    assert str(path) in str(refused.value) or "at most" in says


def test_programs_name_proxies_as_well(made: Any) -> None:
    import floodwatch as fw

    (flood,) = fw.scan(made("proxy_line_flood"), proxies=["10.0.0.0/28"]).floods
    assert {via.how for via in flood.sources.via} == {"named"}
