"""The plan of blocks, without a kernel: limits, proof, lifetimes, and who is never touched."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace as changed
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from floodwatch import scan, synth
from floodwatch.cli.audit import summed
from floodwatch.decide.recall import decision_of
from floodwatch.errors import BlockRefused
from floodwatch.mitigate import Blocker, never
from floodwatch.mitigate.effects import Effects
from floodwatch.mitigate.guards import Guard, Order, Shield, Standing, Trials, orders
from floodwatch.mitigate.nft.guardforms import FORMS
from floodwatch.mitigate.nft.guardtable import guard_of, key_bytes, key_of, sets_of
from floodwatch.mitigate.nft.layout import set_name
from floodwatch.mitigate.peers import peers, read_tables
from floodwatch.mitigate.plan import NOBODY, Block, Ordered, Policy, Proven, gather, plan, prove, refusal
from floodwatch.model.address import Network
from floodwatch.model.decision import Decision, Proof, Suspect, reported
from floodwatch.model.decision import prove as vouch

NETWORKS = st.builds(
    lambda address, length: ipaddress.ip_network((address, length), strict=False),
    st.integers(0x01000000, 0xDFFFFFFF),
    st.sampled_from([24, 28, 32]),
)
VICTIM = ipaddress.ip_network("198.51.100.7")
AROUND = ipaddress.ip_network("198.51.100.0/24")
NEVER = ipaddress.ip_network("198.51.100.0/25")


def avoid(network: Any) -> str | None:
    return "the list" if network.version == 4 and network.overlaps(NEVER) else None


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Decision:
    """About an HTTP flood of real sources, as a scan finds it."""
    path = tmp_path_factory.mktemp("plan") / "http.pcap"
    synth.make("http_flood", path)
    (flood,) = scan([str(path)], top=0).floods
    return decision_of(flood, vouch)


def test_only_a_decision_with_proof_makes_a_blockable_source(real: Decision) -> None:
    assert len(prove(real)) == 40
    assert prove(changed(real, action="observe")) == []
    with pytest.raises(BlockRefused, match="not proven real"):
        Proven(ipaddress.ip_network("203.0.113.9"), "an event")


def test_a_forged_proof_makes_no_decision(real: Decision) -> None:
    for forged in ({"proof": "x"}, {"proof": None}, {"proof": vouch("another")}, {"id": "another"},
                   {"origin": "unknown"}, {"origin": "forged"}):  # fmt: skip
        with pytest.raises(BlockRefused, match="names sources without a proof"):
            changed(real, **forged)
    smuggled = changed(real, sources=(), proof=None)
    object.__setattr__(smuggled, "sources", real.sources)
    posing = SimpleNamespace(**{name: getattr(real, name) for name in real.__slots__})
    none = "a decision is asked for"
    wrong = ((smuggled, "names sources without a proof"), (posing, none), (None, none), ("hello", none))
    for decision, why in wrong:
        with Blocker() as blocker:
            for act in (blocker.enforce, blocker.guard):
                with pytest.raises(BlockRefused, match=why):
                    act([decision], NOBODY)
            assert blocker.active() == {}
            assert blocker.guards() == {}
    for secret in (None, object()):
        with pytest.raises(BlockRefused, match="only finished handshakes"):
            Proof(real.id, witnessed=True, secret=secret)


@pytest.mark.parametrize(("field", "told"), [
    ("victim", "198.51.100.7"), ("victim", None), ("victim", ipaddress.ip_network("0.0.0.0/0")),
    ("victim", ipaddress.ip_network("::/0")), ("victim", ipaddress.ip_network("::ffff:1.2.3.4")),
    ("port", -1), ("port", 70_000), ("port", "80"), ("protocol", 256), ("protocol", "udp"),
    ("reflector_ports", (0,)), ("reflector_ports", (70_000,)), ("reflector_ports", ("123",)),
    ("reflector_ports", [123]), ("usual", 1e300), ("usual", float("nan")), ("usual", -1.0), ("id", ""),
    ("id", "x" * 201), ("sources", ("203.0.113.9",)), ("sources", None),
])  # fmt: skip
def test_a_field_that_is_none_makes_no_decision(real: Decision, field: str, told: Any) -> None:
    with pytest.raises(BlockRefused, match=f"its .*{field.split('_')[0].rstrip('s')}"):
        changed(real, **{field: told})


@pytest.mark.parametrize("network", ["fe80::1%lo", "240.0.0.1", "255.255.255.255", "0.0.0.5", "127.0.0.1"])
def test_what_is_no_source_is_not_blocked(network: str) -> None:
    with Blocker() as blocker, pytest.raises((BlockRefused, ValueError)):
        blocker.block(network, ttl=60, reason="test")
    assert blocker.active() == {}


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e30])
def test_a_time_that_is_none_is_refused(ttl: float) -> None:
    with Blocker() as blocker, pytest.raises(ValueError, match="to a year"):
        blocker.block("203.0.113.9", ttl=ttl, reason="test")


def test_what_only_a_report_claims_is_not_enforced(real: Decision) -> None:
    claimed = changed(real, proof=reported(real.id))
    assert len(prove(claimed)) == 40  # it may be printed
    with Blocker() as blocker:
        for act in (blocker.enforce, blocker.guard):
            with pytest.raises(BlockRefused, match="were not counted here"):
                act([claimed], NOBODY)
        assert blocker.active() == {}
        assert len(blocker.enforce([real])) == 40


@given(st.lists(NETWORKS, max_size=30), st.integers(1, 20))
def test_p04_no_plan_touches_the_never_block_list(networks: list[Any], room: int) -> None:
    policy = Policy(max_blocks=room, never=avoid)
    steps = plan([Ordered(network, "test") for network in networks], policy, {})
    added = [step.block.network for step in steps if step.what == "add"]
    assert not [network for network in added if network.overlaps(NEVER)]
    assert len(added) == len(set(added)) <= room
    allowed = list(dict.fromkeys(n for n in networks if refusal(n, policy) is None))
    assert not [network for network in allowed if network.overlaps(NEVER)]
    assert added == allowed[:room]  # a limit keeps the first, which are the heaviest


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ("10.0.0.0/23", "wider than the /24"),
        ("2001:db8::/32", "wider than the /48"),
        ("::ffff:203.0.113.9/128", "write 203.0.113.9"),
        ("224.0.0.1/32", "cannot be a source"),
        ("0.0.0.0/32", "cannot be a source"),
        ("198.51.100.9/32", "not be blocked: the list"),
    ],
)
def test_what_is_refused_is_refused_with_the_reason(network: str, why: str) -> None:
    ordered = Ordered(ipaddress.ip_network(network), "test")
    (step,) = plan([ordered], Policy(never=avoid), {})
    assert step.what == "refuse"
    assert why in step.why
    words = {"not be": "never_block", "wider": "too_wide", "cannot": "no_source", "write": "no_source"}
    assert step.because in {word for part, word in words.items() if part in step.why}


def test_p14_p15_blocks_are_renewed_in_time_doubled_for_repeaters_and_end_with_the_flood() -> None:
    network = ipaddress.ip_network("203.0.113.9")
    wanted = [Ordered(network, "test")]
    (step,) = plan(wanted, Policy(), {}, {network: 3})
    assert (step.what, step.block.seconds) == ("add", 480)
    (step,) = plan(wanted, Policy(), {}, {network: 99})
    assert step.block.seconds == 3600
    fresh, stale = Block(network, 45, "fw:e1"), Block(network, 20, "fw:e1")
    assert plan(wanted, Policy(), {network: fresh}) == []
    (step,) = plan(wanted, Policy(), {network: stale})
    assert step.what == "extend"
    (step,) = plan([], Policy(), {network: fresh}, quiet={network: "over"})
    assert step.what == "remove"


def test_p16_a_hundred_thousand_wanted_keep_the_heaviest(real: Decision) -> None:
    wanted = [Ordered(ipaddress.ip_network(0x01000000 + i), "test") for i in range(100_000)]
    steps = plan(wanted, Policy(max_blocks=4096), {})
    added = [step.block.network for step in steps if step.what == "add"]
    assert added == [item.network for item in wanted[:4096]]
    assert sum(step.what == "refuse" for step in steps) == 100_000 - 4096


def proven_by(real: Decision, addresses: list[str]) -> list[Proven]:
    """Proven sources with these addresses, as a decision about a flood of theirs would give them."""
    return prove(changed(real, sources=tuple(Suspect(ipaddress.ip_network(a), 9, 9) for a in addresses)))


def test_p16_no_more_than_so_many_networks_are_blocked_within_a_minute(real: Decision) -> None:
    wanted, policy = prove(real), Policy(per_minute=12)
    steps = plan(wanted, policy, {}, lately=2)
    assert [step.what for step in steps] == ["add"] * 10 + ["refuse"] * 30
    assert "within a minute" in steps[-1].why
    assert {step.because for step in steps} == {None, "limit"}


def known(*networks: str) -> Any:
    """The networks of known clients, as ``memory`` numbers them."""
    found = map(ipaddress.ip_network, networks)
    shift = {4: 8, 6: 80}
    return np.array([n.version << 56 | int(n.network_address) >> shift[n.version] for n in found], np.uint64)


def test_p17_blocks_that_would_touch_most_of_those_who_are_served_are_refused(real: Decision) -> None:
    served = known(*(f"10.1.{n}.0/24" for n in range(40)))
    wanted = proven_by(real, [f"10.1.{n}.7" for n in range(40)] + ["203.0.113.9"])
    steps = plan(wanted, Policy(), {}, known=served)
    added = [str(step.block.network) for step in steps if step.what == "add"]
    assert added == [f"10.1.{n}.7/32" for n in range(20)] + ["203.0.113.9/32"]
    share = "more than 50 % of the networks of known clients"
    assert all(share in step.why for step in steps if step.what == "refuse")
    assert {step.because for step in steps if step.what == "refuse"} == {"known_clients"}
    standing = {step.block.network: step.block for step in steps if step.what == "add"}
    assert not [s for s in plan(wanted, Policy(), standing, known=served) if s.what == "add"]
    few = known(*(f"10.1.{n}.0/24" for n in range(10)))  # too few to mean anything
    assert len(plan(wanted, Policy(), {}, known=few)) == 41


def test_hosts_are_gathered_into_networks_only_where_they_are_too_many(real: Decision) -> None:
    crowded = [f"10.0.{net}.{host}" for net in range(10) for host in range(1, 33)]
    single = [f"10.9.{net}.1" for net in range(50)]
    wanted = proven_by(real, crowded + single)
    assert gather(wanted, Policy(max_blocks=400), {}) is wanted
    policy = Policy(max_blocks=100, never=avoid)
    gathered = gather(wanted, policy, {}, known("10.0.3.0/24"))
    wide = [str(item.network) for item in gathered if item.network.prefixlen == 24]
    assert wide == [f"10.0.{net}.0/24" for net in range(10) if net != 3]  # no network of known clients
    steps = plan(gathered, policy, {}, known=known("10.0.3.0/24"))
    added = [str(step.block.network) for step in steps if step.what == "add"]
    assert added[:10] == [*wide, "10.0.3.1/32"]  # whole networks come first
    assert len(added) == 91
    barely = gather(wanted, Policy(max_blocks=340), {})
    assert [i.network.prefixlen for i in barely].count(24) == 1  # no more than it takes
    spread = proven_by(real, [f"10.0.{net}.{host}" for net in range(99) for host in range(1, 16)])
    assert gather(spread, policy, {}) == spread  # fifteen hosts are no crowd


def test_clients_of_a_translator_are_blocked_one_by_one(real: Decision) -> None:
    bots = [f"64:ff9b::cb00:71{n:02x}/128" for n in range(64)]
    wanted = proven_by(real, bots)
    assert gather(wanted, Policy(max_blocks=20), {}) == wanted  # what is around them is everybody else
    steps = plan(wanted, Policy(), {})
    assert [str(step.block.network) for step in steps] == bots
    assert [set_name(s.block.network.version, s.block.network.prefixlen, 0) for s in steps] == ["block6"] * 64


def test_sources_are_limited_where_that_is_advised_and_dropped_when_it_is_not_enough(real: Decision) -> None:
    (gentle, *_) = prove(changed(real, action="limit_per_source"))
    (step,) = plan([gentle], Policy(), {})
    assert (step.what, step.block.rate) == ("add", 5)
    assert "to 5 packets a second for 60 s" in str(step)
    standing = {gentle.network: step.block}
    assert plan([gentle], Policy(), standing) == []
    (harsh, *_) = prove(real)
    assert harsh.network == gentle.network
    steps = plan([harsh], Policy(), standing)
    assert [(step.what, step.block.rate) for step in steps] == [("remove", 5), ("add", 0)]
    (full,) = plan([harsh], Policy(max_blocks=1), {harsh.network: replace(step.block, seconds=20.0)})
    assert (full.what, full.block.rate) == ("extend", 5)  # better a limit than nothing
    dropped = {harsh.network: replace(steps[1].block, seconds=20.0)}
    (step,) = plan([gentle], Policy(), dropped)
    assert (step.what, step.block.rate) == ("extend", 0)  # it goes on as it is


def test_a_network_that_is_blocked_covers_its_hosts(real: Decision) -> None:
    hosts = [f"10.0.1.{host}" for host in range(1, 33)]
    wanted = proven_by(real, hosts)
    (network, ordered) = map(ipaddress.ip_network, ("10.0.1.0/24", "10.0.1.200"))
    standing = {item.network: Block(item.network, 50, "fw:e") for item in wanted[:5]}
    standing[ordered] = Block(ordered, 500, "by hand")
    gathered = gather(wanted, Policy(max_blocks=20), standing)
    steps = plan(gathered, Policy(max_blocks=20), standing)
    assert [(s.what, str(s.block.network)) for s in steps if s.what == "add"] == [("add", str(network))]
    removed = {str(step.block.network) for step in steps if step.what == "remove"}
    assert removed == {f"10.0.1.{host}/32" for host in range(1, 6)}  # what was ordered by hand stays
    late = plan(gathered, Policy(max_blocks=20, per_minute=9), standing, lately=9)
    assert not [
        step for step in late if step.what in ("add", "remove")
    ]  # no host goes for a network that waits
    standing = {network: Block(network, 50, "fw:e")}
    assert plan(wanted, Policy(), standing) == []


def test_what_blocks_do_is_looked_at_after_one_and_three_seconds(real: Decision) -> None:
    effects, steps = Effects(), plan(prove(real), Policy(), {})
    effects.begin(steps, 100.0)
    counted = {step.block.network: (step.block, 7) for step in steps[:30]}
    assert effects.measured(counted, 100.5) == []
    (said,) = effects.measured(counted, 101.0)
    assert said.endswith("30 of 40 blocks dropped packets within 1 s, 210 in all")
    assert effects.measured(counted, 102.0) == []
    assert len(effects.measured(counted, 103.5)) == 1
    assert effects.measured(counted, 110.0) == []


def test_of_many_steps_the_first_are_told_and_the_others_counted(real: Decision) -> None:
    with Blocker(policy=Policy(max_blocks=25)) as blocker:
        blocker.enforce([real])
        told = list(summed(blocker.ledger.acts()))
    assert len(told) == 22
    assert "add    15 more: proven real by finished handshakes" in told[10]
    assert "refuse 5 more: 25 networks are blocked already: that is the limit" in told[-1]


def test_a_renewal_is_no_packet(real: Decision) -> None:
    effects, block = Effects(quiet_s=10), Block(ipaddress.ip_network("203.0.113.9"), 60, "fw:e")
    for now, packets, busy in ((0, 5, True), (5, 5, True), (9, 0, True), (10.5, 0, False), (11, 1, True)):
        listened = effects.listen({block.network: (block, packets)}, float(now))
        assert listened == ([block.network], []) if busy else ([], [block.network])


def test_ports_of_sshd_are_read_from_its_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.conf").write_text("# Port 9\nPort 2222\n  port 2022\nPermitRootLogin no\n")
    monkeypatch.setattr(never, "SSHD_FILES", (str(tmp_path / "*.conf"), str(tmp_path / "missing")))
    assert never.ssh_ports() == {22, 2222, 2022}


def test_who_is_connected_to_a_port_is_told_as_proc_tells_it() -> None:
    listeners, clients = [], []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")):
        listener = socket.socket(family)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, 0))
        listener.listen(5)
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1" if host == "::" else host, port))
        listeners.append(listener)
        clients += [client, listener.accept()[0]]
        (peer,) = peers([port])
        assert str(peer) == ("::1" if host == "::1" else "127.0.0.1")
        (told,) = read_tables({port})
        assert (getattr(told, "ipv4_mapped", None) or told) == peer
    ports = [listener.getsockname()[1] for listener in listeners]
    assert {str(peer) for peer in peers(ports)} == {"127.0.0.1", "::1"}
    for open_socket in (*clients, *listeners):
        open_socket.close()
    assert peers(ports) == set()


def test_reports_of_real_scans_plan_nothing_against_forged_sources(tmp_path: Path) -> None:
    for scenario in ("syn_flood", "udp_flood", "framed_clients", "framed_gateway", "dns_amplification"):
        path = tmp_path / f"{scenario}.pcap"
        synth.make(scenario, path)
        for flood in scan([str(path)], top=0).floods:
            assert prove(decision_of(flood)) == [], scenario


def nothing(victim: Network) -> Shield:
    """SYN cookies can do nothing for anybody."""
    return "none"


def floods(tmp_path: Path, scenario: str) -> list[Decision]:
    path = tmp_path / f"{scenario}.pcap"
    synth.make(scenario, path)
    return [decision_of(flood) for flood in scan([str(path)], top=0).floods]


@pytest.mark.parametrize(("scenario", "wanted"), [
    ("dns_amplification", Guard("reflected", VICTIM, 53)),
    ("ntp_amplification", Guard("reflected", VICTIM, 123, 80)),
    ("tcp_reflection", Guard("unasked", VICTIM)), ("udp_one_port", Guard("limited", VICTIM, 17, 27015)),
    ("icmp_flood", Guard("limited", VICTIM, 1)), ("blind_requests", Guard("capped", VICTIM, 80)),
    ("ack_flood", Guard("strange", VICTIM, port=80)), ("fragment_flood", Guard("fragments", VICTIM)),
    ("carpet_udp", Guard("limited", AROUND, 17)), ("gre_flood", Guard("limited", VICTIM, 47)),
    ("quic_flood", Guard("limited", VICTIM, 17, 443)), ("http_flood", None), ("syn_flood", None),
])  # fmt: skip
def test_each_flood_without_proof_has_its_guard(tmp_path: Path, scenario: str, wanted: Guard | None) -> None:
    found = [order.guard for order in orders(floods(tmp_path, scenario), lambda victim: "cookies")]
    assert found == ([] if wanted is None else [wanted])


def test_both_ports_of_a_protocol_are_guarded_and_ports_where_no_cookies_protect(tmp_path: Path) -> None:
    (flood,) = floods(tmp_path, "dns_amplification")
    both = orders([changed(flood, reflector_ports=(500, 4500))], nothing)
    assert [order.guard.number for order in both] == [500, 4500]
    (order,) = orders(floods(tmp_path, "syn_flood"), lambda victim: "proxy")
    assert (order.guard, order.rate) == (Guard("proxied", VICTIM, 80), 0)
    (order,) = orders(floods(tmp_path, "syn_flood"), nothing)
    assert order.guard == Guard("capped", VICTIM, 80)
    assert order.rate >= 50  # twice what is usual, and no less than this


def test_limits_leave_room_for_what_is_usual(tmp_path: Path) -> None:
    (flood,) = floods(tmp_path, "udp_one_port")
    (order,) = orders([changed(flood, usual=4000.0)], nothing)
    assert order.rate == 8000
    (order,) = orders([changed(flood, usual=0.0)], nothing)
    assert order.rate == 500
    assert orders([changed(flood, protection=None)], nothing) == []


def test_a_guard_that_meets_nothing_is_lifted_and_not_tried_again_for_ten_minutes() -> None:
    guard, trials = Guard("reflected", VICTIM, 53), Trials()
    wanted = [Order(guard, 0, "event")]
    assert trials.plan(wanted, {}, 100.0)[0] == wanted
    idle = {guard: Standing(0, 58.0, "fw:event")}
    assert trials.plan(wanted, idle, 102.0)[:2] == ([], [])
    up, down, said = trials.plan(wanted, idle, 103.1)
    assert (up, down) == ([], [guard])
    assert "it had no effect" in said[0]
    assert trials.plan(wanted, {}, 400.0)[0] == []
    assert trials.plan(wanted, {}, 800.0)[0] == wanted


def test_a_guard_that_works_is_renewed_before_it_ends() -> None:
    guard, trials = Guard("limited", VICTIM, 17), Trials()
    wanted = [Order(guard, 500, "event")]
    trials.plan(wanted, {}, 0.0)
    assert trials.plan(wanted, {guard: Standing(9000, 56.0, "fw:event")}, 4.0)[:2] == ([], [])
    assert trials.plan(wanted, {guard: Standing(90_000, 29.0, "fw:event")}, 31.0)[:2] == (wanted, [])
    assert trials.plan([], {guard: Standing(90_000, 50.0, "fw:event")}, 40.0)[:2] == (
        [],
        [],
    )  # its time ends it


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1), st.integers(0, 65_535))
def test_the_key_of_a_guard_in_the_kernel_leads_back_to_it(four: int, six: int, number: int) -> None:
    hosts = (ipaddress.IPv4Network(four), ipaddress.IPv6Network(six))
    victims = [*hosts, hosts[0].supernet(new_prefix=24), hosts[1].supernet(new_prefix=64)]
    for victim in victims:
        for kind, form in FORMS.items():
            own = 0 if form.behind is None else number if kind in ("reflected", "capped") else number % 256
            for port in (None, number):
                guard = Guard(kind, victim, own, port)
                key = key_of(guard)
                for name in sets_of(guard):
                    assert len(key) == key_bytes(name)
                    assert guard_of(name, int.from_bytes(key, "big")) == guard
    others = (
        "never4",
        "block4",
        "block4_p24",
        "known6",
        "lifted4",
        "live4",
        "again6",
        "headed4",
        "vital_kinds",
    )
    for other in others:
        assert guard_of(other, four) is None
        assert key_bytes(other) == 0
