"""What operators say, without a kernel: services, places, what is on record, and the lines of the audit."""

from __future__ import annotations

import ipaddress
import json
import os
import time
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from floodwatch import ConfigError, scan, synth
from floodwatch.cli import main
from floodwatch.cli.audit import Audit
from floodwatch.config.roles import ROLES, parse, service, services
from floodwatch.decide.recall import decision_of
from floodwatch.errors import BlockRefused, EnforceError, EnvironmentFault
from floodwatch.mitigate import Block, Blocker, ByHand, NeverBlock, Step
from floodwatch.mitigate.audit import Ledger
from floodwatch.mitigate.byhand import ALLOWED_MOST, Word, sweep
from floodwatch.mitigate.guards import Guard, Standing
from floodwatch.mitigate.places import SITE_MOST, Places, Route, survey
from floodwatch.model.decision import Decision, Suspect
from floodwatch.model.decision import prove as vouch
from floodwatch.model.event import Event
from floodwatch.model.finding import Finding, Floor
from floodwatch.model.vector import Vector
from floodwatch.pipeline.confirm import Confirmation
from floodwatch.pipeline.posture import Posture

VICTIM = ipaddress.ip_network("198.51.100.7")
OTHER = ipaddress.ip_network("203.0.113.9")


# services


def test_a_service_is_read() -> None:
    one = parse("tcp/80,8000-8010 role=api limit=500 network=198.51.100.0/24,2001:db8::/48 interface=eth1 "
                "mode=observe")  # fmt: skip
    assert (str(one), one.role, one.mode, one.limit) == ("tcp/80,8000-8010", "api", "observe", 500)
    assert one.interfaces == ("eth1",)
    for port, victim, covered in ((80, VICTIM, True), (8005, VICTIM, True), (81, VICTIM, False),
                                  (None, VICTIM, False), (80, OTHER, False)):  # fmt: skip
        assert one.covers(6, port, victim) == covered
    assert not one.covers(17, 80, VICTIM)
    settings = {"role": ["collector"], "network": ["198.51.100.0/24"]}  # as a file has them
    assert service("udp/2055", settings, where="services.netflow") == parse(
        "udp/2055 role=collector network=198.51.100.0/24"
    )
    assert parse("udp/53").role == next(iter(ROLES)) == "public"


@pytest.mark.parametrize(("text", "told"), [
    ("", "name the service as udp/2055"), ("2055", "name the service as"), ("icmp/1", "one of tcp, udp"),
    ("udp/", "is no port"), ("udp/0", "is no port"), ("udp/65536", "is no port"), ("udp/9-3", "is no port"),
    ("udp/5,", "is no port"), ("udp/5 role", "write settings as role=collector"),
    ("udp/5 rolle=x", "did you mean role?"), ("udp/5 role=colector", "take one of public, api"),
    ("udp/5 mode=off", "take one of enforce, observe"), ("udp/5 limit=0", "is no limit"),
    ("udp/5 limit=-1", "is no limit"), ("udp/5 limit=1e3", "is no limit"),
    ("udp/5 limit=1 limit=2", "limit is given more than once"), ("udp/5 network=1.2.3.4/24", "has host bits"),
    ("udp/5 network=", "does not appear to be"), ("udp/5 interface=a/b", "is no name of an interface"),
    ("udp/5 'x", "No closing quotation"), ("udp/" + ",".join(map(str, range(1, 100))), "write a range"),
])  # fmt: skip
def test_what_is_no_service_is_told(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"--service .*") as error:
        parse(text)
    assert told in str(error.value)


def test_services_are_bounded() -> None:
    assert len(services(["udp/1"] * 256)) == 256
    with pytest.raises(ConfigError, match="256 are the most"):
        services(["udp/1"] * 257)


# places


def test_what_lies_behind_is_what_is_routed_elsewhere_than_the_default() -> None:
    way_out = Route("0.0.0.0/0", "eth0", "192.0.2.1")
    routes = [
        way_out, Route("192.0.2.0/24", "eth0", None), Route("172.18.0.0/16", "dk0", None),
        Route("10.8.0.0/24", "wg0", None), Route("198.51.100.0/24", "dk0", "172.18.0.9"),
        Route("fe80::/64", "dk0", None), Route("2001:db8:5::/64", "dk0", None),
        *(Route(f"{0x0B000000 + n}", "peer", None) for n in range(SITE_MOST + 1)),
    ]  # fmt: skip
    gateways, behind = survey(routes)
    assert sorted(map(str, gateways)) == ["172.18.0.9/32", "192.0.2.1/32"]
    assert {name: sorted(map(str, held)) for name, held in behind.items()} == {
        "dk0": ["172.18.0.0/16", "198.51.100.0/24", "2001:db8:5::/64"], "wg0": ["10.8.0.0/24"],
    }  # fmt: skip
    assert survey(routes[1:])[1] == {}  # nothing tells which side is outside
    both = [way_out, Route("::/0", "dk0", "fe80::1"), *routes[1:4]]
    assert set(survey(both)[1]) == {"wg0"}


class Here(Places):
    """A host with a bridge of containers."""

    def refresh(self) -> None:
        self.own = {ipaddress.ip_network("192.0.2.2"): "eth0", ipaddress.ip_network("172.18.0.1"): "dk0"}
        self.by_interface = {"dk0": (ipaddress.ip_network("172.18.0.0/16"),)}
        self.behind = {n: name for name, held in self.by_interface.items() for n in held}


def test_who_belongs_here_is_told_and_never_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Here()
    assert here.inside(ipaddress.ip_network("172.18.3.4")) == "172.18.0.0/16, behind dk0"
    assert here.inside(ipaddress.ip_network("192.0.2.2")) == "this host"
    assert here.inside(OTHER) is None
    assert here.at("dk0", ipaddress.ip_network("172.18.3.4"))
    assert here.at("eth0", ipaddress.ip_network("192.0.2.2"))
    assert not here.at("eth0", ipaddress.ip_network("172.18.3.4"))
    monkeypatch.setattr("floodwatch.mitigate.never.Places", Here)
    never = NeverBlock()
    assert never.why(ipaddress.ip_network("172.18.3.4")) == "network behind dk0 172.18.0.0/16"
    assert never.why(ipaddress.ip_network("192.0.2.77")) is None  # the way out's own network holds attackers


# floods held against both


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Event:
    """An HTTP flood as a scan finds it."""
    path = tmp_path_factory.mktemp("orders") / "http.pcap"
    synth.make("http_flood", path)
    return scan([str(path)], top=0).floods[0]


def test_a_flood_is_held_against_the_role_of_its_service(flood: Event) -> None:
    decision = decision_of(flood, vouch)
    assert (decision.action, flood.action.recommended) == ("drop_sources", "drop_sources")
    for said, action, sources, recommended in (
        ("tcp/443 role=collector", "drop_sources", True, "drop_sources"),
        ("tcp/80 role=api", "limit_per_source", True, "limit_per_source"),
        ("tcp/80 role=collector", "observe", False, "observe"),
        ("tcp/80 mode=observe", "observe", False, "observe"),
        ("tcp/80 role=api network=192.0.2.0/24", "drop_sources", True, "drop_sources"),
        ("tcp/80 role=api interface=eth1", "drop_sources", True, "drop_sources"),
    ):
        posture = Posture([parse(said)])
        decided, told = posture.decided(decision), posture.told(flood)
        assert (decided.action, bool(decided.sources)) == (action, sources), said
        assert told.action.recommended == recommended
        mentions = [proof.says for proof in told.evidence if proof.name == "service"]
        assert (action == "drop_sources") == (mentions == [])
    first = Posture([parse("tcp/80 role=api"), parse("tcp/1-1000 role=collector")])
    assert first.decided(decision).action == "limit_per_source"


def test_a_limit_raises_what_guards_let_through_and_what_is_named() -> None:
    decision = Decision("an event", Vector.UDP_FLOOD, "unknown", "limit_victim", VICTIM, 17, port=53,
                        protection="limited", usual=10.0)  # fmt: skip
    assert Posture([parse("udp/53 role=dns")]).decided(decision).protection is None
    served = Posture([parse("udp/53 role=dns limit=3000")])
    assert served.decided(decision).protection == "limited"
    assert 2 * served.decided(decision).usual == 3000

    def found(count: int, port: int) -> Finding[Any]:
        return Finding(
            vector=Vector.UDP_FLOOD, verdict="attack", victim=(0, 0xFFFF_C6336407), protocol="udp", epoch=1,
            facts=None, floor=Floor(250), over=True, persist=1, count=count, bytes=0, first_ns=0, last_ns=0,
            ports=[(port, count)],
        )  # fmt: skip

    assert not served.weighed(found(700, 53)).over  # 2,800 a second
    assert served.weighed(found(800, 53)).over
    assert served.weighed(found(700, 54)).over


def test_a_flood_from_here_is_outgoing_and_left_alone(flood: Event) -> None:
    decision = decision_of(flood, vouch)
    inside = ipaddress.ip_network("172.18.0.12")
    mine = changed(decision, sources=(Suspect(inside, 1, 1),))
    top = (msgspec.structs.replace(flood.sources.top[0], cidr="172.18.0.12"),)
    for names in ({"top": top}, {"top": (), "seen": top}):
        posture = Posture((), Here())
        told = posture.told(
            msgspec.structs.replace(flood, sources=msgspec.structs.replace(flood.sources, **names))
        )
        (says,) = [proof.says for proof in told.evidence if proof.name == "outgoing"]
        assert says.endswith(
            "1 of the 1 sources named are here, first 172.18.0.12 (172.18.0.0/16, behind dk0)"
        )
        assert told.action.recommended == "observe"
        assert posture.decided(decision).action == "observe"  # the event says so, whatever can be proven
    assert Posture((), Here()).decided(mine).sources == ()
    assert Posture((), Here()).decided(decision) == decision
    assert Posture((), Here()).told(flood) == flood


# what is on record


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orders"


def test_what_is_ordered_is_followed_by_whoever_has_it_open(record: Path) -> None:
    watching, ctl = ByHand(record), ByHand(record)
    assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    word = ctl.allow(OTHER, seconds=7 * 86_400, why="partner")
    assert word.until - word.at == pytest.approx(604_800)
    watching.refresh()
    assert watching.allowed()[OTHER].why == "partner"
    assert [one.what for one in watching.fresh()] == ["allow"]
    assert watching.fresh() == []
    ctl.write("disallow", [OTHER], why="over")
    ctl.write("confirm", why="yes")
    watching.refresh()
    assert watching.allowed() == {}
    assert watching.confirmation() is not None
    late = ByHand(record)
    assert (late.fresh(), late.allowed()) == ([], {})
    ctl.write("unguard", [VICTIM], why="x", seconds=0.05)
    watching.refresh()
    assert VICTIM in watching.unguarded()
    time.sleep(0.1)
    assert watching.unguarded() == {}


def test_a_record_that_was_torn_keeps_its_whole_lines(record: Path) -> None:
    ctl = ByHand(record)
    ctl.allow(OTHER, seconds=60, why="one")
    good = record.read_bytes()
    for broken in (b"nonsense\n", b'{"what":"allow"}\n', good.replace(b"203.0.113.9/32", b"203.0.113.999"),
                   good[:-20]):  # fmt: skip
        record.write_bytes(good + broken)
        assert list(ByHand(record).allowed()) == [OTHER]


def test_a_record_stays_small_and_forgets_nothing_that_counts(record: Path) -> None:
    watching, ctl = ByHand(record), ByHand(record)
    for n in range(8):
        networks = [ipaddress.ip_network(0x0B000000 + i) for i in range(1000)]
        ctl.write("allow", networks, why=f"round {n}", seconds=3600)
    ctl.write("disallow", networks[:1], why="x")
    assert record.stat().st_size < 1 << 19
    watching.refresh()
    for reader in (watching, ByHand(record)):
        assert len(reader.allowed()) == 999
        assert {word.why for word in reader.allowed().values()} == {"round 7"}


def test_a_record_of_a_namespace_is_swept_when_nobody_needs_it_any_more(tmp_path: Path) -> None:
    paths = {name: tmp_path / "state" / f"orders-{name}" for name in ("over", "empty", "counts", "followed")}
    for name, path in paths.items():
        ctl = ByHand(path)
        if name != "empty":
            ctl.allow(OTHER, seconds=60 if name == "counts" else 0.01, why="x")
        ctl.close()
    paths["linked"] = paths["over"].with_name("orders-linked")
    paths["linked"].symlink_to(paths["empty"])
    followed = ByHand(paths["followed"])
    time.sleep(0.02)
    sweep(tmp_path / "state")
    left = {name for name, path in paths.items() if path.is_symlink() or path.exists()}
    assert left == {"counts", "followed", "linked"}
    ByHand(paths["followed"]).allow(OTHER, seconds=60, why="later")
    followed.refresh()
    assert followed.allowed()[OTHER].why == "later"


def test_what_may_not_be_allowed_is_refused(record: Path) -> None:
    ctl = ByHand(record)
    for wide in ("0.0.0.0/0", "10.0.0.0/7", "2001::/16", "::ffff:1.2.3.4"):
        with pytest.raises(BlockRefused):
            ctl.allow(ipaddress.ip_network(wide), seconds=60, why="x")
    for at in range(0, ALLOWED_MOST, 512):
        ctl.write(
            "allow", [ipaddress.ip_network(0x0B000000 + at + i) for i in range(512)], why="", seconds=60
        )
    with pytest.raises(BlockRefused, match="--never-file"):
        ctl.allow(OTHER, seconds=60, why="x")


def test_a_record_that_others_could_write_is_not_believed(record: Path, tmp_path: Path) -> None:
    ByHand(record).allow(OTHER, seconds=60, why="x")
    record.chmod(0o666)
    with pytest.raises(EnforceError, match="not ours alone"):
        ByHand(record)
    record.chmod(0o600)
    os.link(record, tmp_path / "second")
    with pytest.raises(EnforceError, match="not ours alone"):
        ByHand(record)
    (tmp_path / "second").unlink()
    moved = tmp_path / "moved"
    record.rename(moved)
    record.symlink_to(moved)
    assert ByHand(record).allowed() == {}
    with pytest.raises(EnforceError, match="cannot write"):
        ByHand(record).allow(OTHER, seconds=60, why="x")
    assert not (tmp_path / "none").exists()
    assert ByHand(tmp_path / "none" / "orders", make=False).allowed() == {}
    assert not (tmp_path / "none").exists()


def test_p41_enforcing_waits_for_its_confirmation_whatever_the_clock(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Blocker() as blocker:
        blocker.by_hand = ByHand(record)
        ByHand(record).write("confirm", why="too early")
        kept, lost = Confirmation(blocker, 0.2), Confirmation(blocker, 0.2)
        assert kept.look() == lost.look() == []
        time.sleep(0.25)
        (said,) = lost.look()
        assert said.startswith("nobody confirmed within 0 s: it only observes from now on")
        assert (lost.over, lost.look()) == (True, [])
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 3600)  # somebody sets it back
        ByHand(record).write("confirm", why="in time")
        (said,) = kept.look()
        assert "it goes on enforcing" in said
        assert (kept.over, kept.look()) == (False, [])
        assert [act.what for act in blocker.ledger.acts()] == ["stop"]


def test_p41_no_clock_that_is_set_ends_what_is_allowed_or_lets_it_stay(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    year, real, other = 366 * 86_400.0, time.time, ipaddress.ip_network("203.0.113.77")
    followed = ByHand(record)
    followed.allow(OTHER, seconds=60, why="x")
    followed.allow(other, seconds=0.05, why="x")
    followed.panic("x")
    time.sleep(0.06)
    for jump in (-year, -3600, 3600, year):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        for by_hand in (followed, ByHand(record)):
            assert set(by_hand.allowed()) == {OTHER}
            assert by_hand.panicked()
    # after another start of the host only the clock on the wall goes on
    words = [msgspec.json.decode(line, type=Word) for line in record.read_bytes().splitlines()]
    before = [msgspec.structs.replace(word, boot="before", up=1e9) for word in words]
    record.write_bytes(msgspec.json.Encoder().encode_lines(before))
    for jump, held in ((0, {OTHER}), (30, {OTHER}), (90, set()), (-year, {OTHER, other})):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        assert set(ByHand(record).allowed()) == held


# the audit


def test_every_action_leaves_one_line_that_says_all_of_it() -> None:
    ledger = Ledger(enforced=True)
    gone, held = (Block(n, 60.0, "fw:an event") for n in (OTHER, ipaddress.ip_network("203.0.113.10")))
    manual = Block(ipaddress.ip_network("203.0.113.11"), 0.5, "ticket")
    decision = Decision("an event", Vector.UDP_FLOOD, "unknown", "observe", VICTIM, 17, port=53)
    ledger.about([decision], {})
    ledger.saw_blocks({})
    refused = Step("refuse", Block(VICTIM, 60.0, "fw:an event"), "it is this host", because="never_block")
    steps = [Step("add", block, "proven") for block in (gone, held)]
    for _ in range(2):  # a refusal is told once
        ledger.did([*steps, refused], {block.network: (block, 0) for block in (gone, held)})
        steps = []
    ledger.saw_blocks({block.network: (block, 5) for block in (gone, held, manual)})
    word = Word(what="unblock", network=str(OTHER), at=1.0, until=2.0, why="by you", by="alice (uid 7)")
    ledger.ordered([word])
    ledger.saw_blocks({held.network: (held, 7)})
    ledger.did([Step("remove", held, "quiet")], {})
    acts = ledger.acts()
    said = [(act.what, act.target, act.packets, act.by, act.event) for act in acts]
    assert sorted(said, key=str) == sorted([
        ("add", "203.0.113.9/32", None, "floodwatch", "an event"),
        ("add", "203.0.113.10/32", None, "floodwatch", "an event"),
        ("refuse", "198.51.100.7/32", None, "floodwatch", "an event"),
        ("add", "203.0.113.11/32", None, "somebody else", None),
        ("order", "unblock 203.0.113.9/32", None, "alice (uid 7)", None),
        ("gone", "203.0.113.9/32", 5, "alice (uid 7)", "an event"),
        ("over", "203.0.113.11/32", 5, "floodwatch", None),
        ("remove", "203.0.113.10/32", 7, "floodwatch", "an event"),
    ], key=str)  # fmt: skip
    assert all(act.victim == "198.51.100.7 port 53" for act in acts if act.event)
    assert all(act.until for act in acts if act.what == "add")
    assert [act.because for act in acts if act.because] == ["never_block"]
    assert ledger.acts() == []
    assert ledger.taken("an event") == "drop_sources"  # though nothing stands any more
    assert str(acts[-1]).endswith(
        "remove 203.0.113.10/32, 7 packets met: quiet; an event at 198.51.100.7 port 53; by floodwatch"
    )


def test_guards_leave_their_lines_too() -> None:
    ledger, guard = Ledger(enforced=True), Guard("limited", VICTIM, 17)
    name = "198.51.100.7 by limiting new UDP flows"
    held, up = {guard: Standing(40, 25.0, "fw:an event")}, [f"guard  {name} to 500 a second: an event"]
    anew = {guard: Standing(40, 60.0, "fw:an event")}
    for before, after, said in (
        ({}, held, up), (held, held, []), (held, anew, []), (anew, {}, [f"lift   {name}: no effect"]),
        ({}, anew, up), ({}, {}, []),
    ):  # fmt: skip
        ledger.saw_guards(before)
        ledger.guarded(after, said)
        assert ledger.untold([*said, "lift   another"]) == ["lift   another"]
    acts = ledger.acts()
    assert [act.what for act in acts] == ["guard", "extend", "lift", "guard", "gone"]
    assert (acts[2].why, acts[2].packets) == ("no effect", 40)
    assert acts[0].target == f"{name} to 500 a second"
    assert ledger.taken("an event") == "limit_victim"


def test_the_audit_file_is_appended_to_and_is_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, ledger = tmp_path / "audit", Ledger(enforced=True)
    for style in ("ndjson", "text"):
        ledger.stood_down("a reason\x1b[31m")
        audit = Audit(str(path), style)
        audit.write(ledger.acts())
        audit.close()
    first, second = path.read_text().splitlines()
    assert json.loads(first)["schema"] == "floodwatch.audit/1"
    assert "stop   enforcing" in second
    assert "\x1b" not in first + second + capsys.readouterr().err
    assert path.stat().st_mode & 0o777 == 0o600
    link = tmp_path / "link"
    link.symlink_to(path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for wrong in (link, pipe, tmp_path, tmp_path / "no" / "audit"):
        with pytest.raises(EnvironmentFault, match="cannot write the audit"):
            Audit(str(wrong), "text")


@pytest.mark.parametrize(("words", "told"), [
    (("watch", "-i", "lo", "--confirm", "10m"), "--confirm is for --mode enforce"),
    (("watch", "-i", "lo", "--service", "udp/1 role=x"), "take one of public"),
    (("ctl", "block", "203.0.113.9", "--for", "25h", "--dry-run"), "--force makes it longer"),
    (("ctl", "allow", "203.0.113.300"), "does not appear to be"),
    (("ctl", "unguard"), "name one victim"),
])  # fmt: skip
def test_what_cannot_be_meant_is_a_usage_error(words: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, told in f"{done.output}{done.exception}") == (2, True)
