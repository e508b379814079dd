"""What was learnt on one day is there on the next: usual rates, and the networks of known clients."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floodwatch as fw
from floodwatch import ConfigError, synth
from floodwatch._engine import HEAVY_DTYPE
from floodwatch.history.clients import KnownNetworks, networks
from floodwatch.history.memory import (
    METRICS,
    VERSION,
    Memory,
    code_of,
    codes,
    encode,
    join,
    load,
    nothing,
    singles,
)
from floodwatch.mitigate.nft.guardtable import known

PROGRAM = (sys.executable, "-P", "-m", "floodwatch")


def scan(*words: Any) -> dict[str, Any]:
    run = subprocess.run([*PROGRAM, "scan", "--format", "json", "--seed", "0" * 32, *map(str, words)],
                         capture_output=True, check=False, cwd="/")  # fmt: skip
    return dict(json.loads(run.stdout))


def evidence(event: dict[str, Any]) -> dict[str, float]:
    return {item["name"]: item["value"] for item in event["evidence"]}


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A launch day, and what the quiet time before its floods taught."""
    folder = tmp_path_factory.mktemp("days")
    paths = {name: folder / f"{name}.pcap" for name in ("whole",)}
    synth.make("launch_day", paths["whole"], synth.Params(duration=60.0, seed=11))
    paths["kept"] = folder / "kept.npz"
    scan("--until", "2025-01-27T02:13:35Z", "--save-baseline", paths["kept"], paths["whole"])
    return paths


def test_yesterdays_clients_are_known_in_the_attack_hour(days: dict[str, Path]) -> None:
    memory = load(str(days["kept"]))
    assert len(memory.networks) > 20
    assert len(memory.hosts) >= 1
    since = ("--since", "2025-01-27T02:13:38Z")
    report = scan(*since, "--baseline", days["kept"], days["whole"])
    floods = {flood["vector"]: flood for flood in report["floods"]}
    assert evidence(floods["http_flood"])["known_networks"] < 0.1  # bots come from elsewhere
    alone = scan(*since, days["whole"])
    assert all("known_networks" not in evidence(f) for f in alone["floods"] if f["vector"] == "http_flood")
    again = fw.scan(str(days["whole"]), baseline=days["kept"])
    assert {flood.vector.value for flood in again.floods} >= set(floods)
    usual = {flood["vector"]: flood["rate"]["baseline"] for flood in report["floods"]}
    assert usual["syn_flood"] is not None  # known from the first second on


def test_a_memory_survives_its_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    memory = Memory(np.unique(rng.integers(0, 1 << 60, 100).astype(np.uint64)),
                    rng.integers(0, 1 << 60, (5, 2)).astype(np.uint64),
                    rng.random((5, len(METRICS))))  # fmt: skip
    file = tmp_path / "x.npz"
    file.write_bytes(encode(memory))
    again = load(str(file))
    for name in ("networks", "hosts", "usual"):
        assert (getattr(again, name) == getattr(memory, name)).all()
    newer = Memory(memory.networks[:50] + np.uint64(1), memory.hosts[:1], np.full((1, len(METRICS)), 7.0))
    both = join([memory, newer])
    assert set(both.networks) == {*memory.networks, *newer.networks}
    assert len(both.hosts) == 5
    (row,) = both.usual[(both.hosts == memory.hosts[0]).all(axis=1)]
    assert (row == 7.0).all()
    assert len(join([]).networks) == len(nothing().hosts) == 0


def test_what_is_no_baseline_is_said_in_one_line(tmp_path: Path) -> None:
    good = encode(nothing())
    for number, data in enumerate([b"", b"text", good[:40], good[:-10], b"PK\x03\x04" + bytes(40)]):
        file = tmp_path / f"{number}.npz"
        file.write_bytes(data)
        with pytest.raises(ConfigError, match=r"baseline"):
            load(str(file))
    wrong = tmp_path / "wrong.npz"
    for version, kind in ((VERSION, np.float64), (VERSION - 1, np.uint64)):
        np.savez(wrong, version=np.array(version), networks=np.zeros(3, kind),
                 hosts=np.zeros((0, 2), np.uint64), usual=np.zeros((0, len(METRICS))))  # fmt: skip
        with pytest.raises(ConfigError, match="not a baseline that this version"):
            load(str(wrong))
    run = subprocess.run([*PROGRAM, "scan", "--baseline", str(tmp_path / "none.npz"), str(wrong)],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert run.returncode == 2
    assert "cannot read the baseline" in run.stderr


def rows(*sources: int, proven: int = 1) -> Any:
    table = np.zeros(len(sources), HEAVY_DTYPE)
    table["source"], table["proven"], table["requests"] = [0xFFFF << 32 | s for s in sources], proven, 3
    return table


def asked(known: KnownNetworks, table: np.ndarray, window: int) -> tuple[float, float]:
    """All requests in a table, and those from networks that are known in a window."""
    return known.asked(table, table["requests"].astype(np.int64), window)


def test_a_visit_right_before_does_not_make_a_network_known() -> None:
    known = KnownNetworks(np.zeros(0, np.uint64))
    known.learn(rows(0x01020304, 0x01020399), 0)
    known.learn(rows(0x05060708, proven=0), 0)  # no handshake: it may be forged
    known.learn(rows(0x090A0B0C), 1)
    assert asked(known, rows(0x01020304), 1) == (0.0, 0.0)
    asking = rows(0x010203FF, 0x05060708, 0x090A0B0C)  # another host of the first network
    assert asked(known, asking, 2) == (9.0, 3.0)
    assert asked(known, asking, 3) == (9.0, 6.0)
    assert known.learnt().tolist() == networks(rows(0x01020300, 0x090A0B00)).tolist()
    six = rows(0)
    six["source"], six["v6"] = 0x20010DB8_00010002, 1
    assert networks(six)[0] == 6 << 56 | 0x20010DB8_0001


def test_clients_of_a_translator_are_remembered_one_by_one() -> None:
    def behind(*lows: int) -> Any:
        table = rows(*lows)
        table["source"], table["v6"], table["low"] = 0x0064FF9B << 32, 2, lows
        return table

    known = KnownNetworks(np.zeros(0, np.uint64))
    known.learn(behind(0xCB00710A, 0xCB00710B), 0)
    known.learn(behind(0xCB00710C), 1)
    assert asked(known, behind(0xCB00710A, 0xCB00710C, 0xCB00710D), 2) == (9.0, 3.0)
    one, network = ipaddress.ip_network("64:ff9b::cb00:710a/128"), ipaddress.ip_network("64:ff9b::/64")
    assert code_of(one) in known.learnt().tolist()
    assert code_of(network) not in known.learnt().tolist()
    assert singles(known.learnt()).tolist() == [[0x0064FF9B << 32, 0xCB00710A + n] for n in range(3)]


def test_single_addresses_are_read_back_where_they_fit() -> None:
    local, own = 0x0064FF9B_0001_0000, 0x20010DB8_00000064
    there = [[local, 0xCB00710A], [local | 0xFFFE, 0xFFF << 32 | 0xCB00710A], [0x0064FF9B << 32, 1]]
    other = [[own, 0xCB00710A], [local, 1 << 44], [0x0064FF9B << 32, 1 << 32]]
    found = codes(np.array(there + other, np.uint64))
    assert len(set(found.tolist())) == 6
    assert not {code >> 56 for code in found.tolist()} & {4, 6}  # no network is taken for one
    assert singles(found).tolist() == there
    assert singles(networks(rows(1, 2))).tolist() == []


def test_what_is_learnt_stays_within_its_memory() -> None:
    known = KnownNetworks(np.arange(262_100, dtype=np.uint64))
    known.learn(rows(*range(0x01000000, 0x01100000, 256)), 5)
    assert len(known.learnt()) == 262_144
    assert (known.learnt()[:262_100] == np.arange(262_100)).all()


def test_the_kernel_gets_single_clients_whole() -> None:
    found = codes(np.array([[0x0064FF9B << 32, 0xCB00710A]], np.uint64))
    six = rows(0)
    six["source"], six["v6"] = 0x20010DB8_00010002, 1
    sent = b"".join(message.body for message in known(np.concatenate([found, networks(six)])))
    assert ipaddress.ip_address("64:ff9b::203.0.113.10").packed in sent
    assert ipaddress.ip_address("2001:db8:1::").packed in sent
