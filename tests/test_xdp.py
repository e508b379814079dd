"""The XDP program: against its twin in C, against exact rules, and on a wire with real clients."""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroute2 import NetNS

from floodwatch.errors import EnforceError
from floodwatch.mitigate import Block, Xdp
from floodwatch.mitigate.xdp import bpf
from floodwatch.mitigate.xdp.mirror import FORMS
from floodwatch.mitigate.xdp.program import CPU_BYTES, PASS, SAMPLE_MOST, program

sys.path.insert(0, str(Path(__file__).parent))
from evaluate import records
from lab import CLIENT, SERVER, Lab
from test_mitigate import ASK, ctl, give_addresses, reaches, rules, serve

pytestmark = pytest.mark.root
TWIN = Path(__file__).with_name("xdp_twin.c")
TEST_RUN = 10
FOREVER, LONG_AGO = 1 << 62, 1
NEVER = ("127.0.0.0/8", "203.0.113.64/26", "2001:db8:1::/48", "2001:db8:2::7/128")
STANDING = ("203.0.113.9/32", "203.0.113.70/32", "198.51.100.0/24", "2001:db8::9/128", "2001:db8:5::/64")
ENDED = ("203.0.113.10/32", "198.51.101.0/24", "2001:db8::a/128", "2001:db8:6::/64", "198.51.100.7/32")


@dataclass
class Loaded:
    """A program with its own tally, run on frames without any interface."""

    file: int
    tally: bpf.Map

    def run(self, frame: bytes, times: int = 1) -> tuple[int, dict[str, int]]:
        """The verdict, and what was counted: blocked (dropped or sampled), sampled, spared."""
        before = self.sums()
        data, out = ctypes.create_string_buffer(frame, len(frame)), ctypes.create_string_buffer(2048)
        form = struct.pack(
            "=IIIIQQII", self.file, 0, len(frame), len(out), ctypes.addressof(data), ctypes.addressof(out),
            times, 0,
        )  # fmt: skip
        _, told = bpf.call(TEST_RUN, form.ljust(80, b"\0"))
        assert out.raw[: len(frame)] == frame  # nothing is changed on the way
        hosts, networks, sampled, spared = (self.sums() - before).tolist()
        return struct.unpack_from("=I", told, 4)[0], {
            "blocked": hosts + networks + sampled, "sampled": sampled, "spared": spared,
        }  # fmt: skip

    def sums(self) -> Any:
        return self.tally.slots().view(np.uint64).sum(axis=0)[2:].astype(np.int64)


def key(network: Any, name: str) -> Any:
    raw = network.network_address.packed
    if not name.startswith("block"):
        raw = struct.pack("=I", network.prefixlen) + raw
    return np.frombuffer(raw, np.uint8)[None].copy()


def name_of(network: Any) -> str:
    return f"{'block' if network.prefixlen == network.max_prefixlen else 'wide'}{network.version}"


@pytest.fixture(scope="module")
def maps(request: pytest.FixtureRequest) -> Iterator[dict[str, bpf.Map]]:
    """Maps that hold NEVER, STANDING and ENDED."""
    need = request.getfixturevalue("need")
    need(os.geteuid() == 0, "BPF programs take root")
    made = {n: bpf.make_map(kind, n, *sizes) for n, (kind, *sizes) in FORMS.items()}
    for listed, until in ((STANDING, FOREVER), (ENDED, LONG_AGO)):
        for network in map(ipaddress.ip_network, listed):
            name = name_of(network)
            made[name].update(key(network, name), np.array([[until, 0]], np.uint64).view(np.uint8))
    for network in map(ipaddress.ip_network, NEVER):
        name = f"never{network.version}"
        made[name].update(key(network, name), np.zeros((1, 8), np.uint8))
    yield made
    for held in made.values():
        os.close(held.file)


@pytest.fixture(scope="module")
def ours(maps: dict[str, bpf.Map]) -> Iterator[Loaded]:
    file = bpf.load(program({name: held.file for name, held in maps.items()}), "ours")
    yield Loaded(file, maps["tally"])
    os.close(file)


@pytest.fixture(scope="module")
def twin(
    maps: dict[str, bpf.Map], request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    """The same in C, by clang."""
    clang = shutil.which("clang-14") or shutil.which("clang")
    request.getfixturevalue("need")(clang, "the twin of the XDP program takes clang")
    assert clang is not None
    tally = bpf.make_map(bpf.PER_CPU_ARRAY, "tally", 4, CPU_BYTES, 1)
    files = {name: held.file for name, held in maps.items()} | {"tally": tally.file}
    out = tmp_path_factory.mktemp("twin") / "twin.o"
    defined = [f"-D{name.upper()}={file}" for name, file in files.items()]
    command = (clang, "-O2", "-Wall", "-Werror", "-target", "bpf", *defined, "-c", str(TWIN), "-o", str(out))
    subprocess.run(command, check=True)
    file = bpf.load(section(out.read_bytes(), "xdp"), "twin")
    yield Loaded(file, tally)
    os.close(file)
    os.close(tally.file)


def section(elf: bytes, wanted: str) -> bytes:
    """The bytes of a section of an ELF file of 64 bits; it needs no relocation."""
    (table,), (size, count, names) = struct.unpack_from("<Q", elf, 40), struct.unpack_from("<HHH", elf, 58)
    heads = [struct.unpack_from("<IIQQQQ", elf, table + i * size) for i in range(count)]
    texts = heads[names][4]
    found = {}
    for name, _, _, _, at, length in heads:
        end = elf.index(b"\0", texts + name)
        found[elf[texts + name : end].decode()] = elf[at : at + length]
    assert ".relxdp" not in found
    return found[wanted]


def expected(source: str) -> str:
    """What must become of packets from this source; worked out without any trie."""
    address = ipaddress.ip_address(source)

    def held(listed: tuple[str, ...]) -> bool:
        return any(address in network for network in map(ipaddress.ip_network, listed))

    return "spared" if held(NEVER) else "blocked" if held(STANDING) else "passed"


def framed(source: str, tags: int) -> bytes:
    from scapy.layers.inet import IP, TCP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Dot1Q, Ether

    made = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    for tag in range(tags):
        made /= Dot1Q(vlan=100 + tag)
    if tags == 2:
        made.type = 0x88A8
    head = IPv6(src=source, dst="2001:db8:ff::1") if ":" in source else IP(src=source, dst="192.0.2.1")
    return bytes(made / head / TCP(sport=1234, dport=80, flags="S"))


SOURCES = st.one_of(
    st.sampled_from([str(ipaddress.ip_network(n).network_address) for n in (*NEVER, *STANDING, *ENDED)]),
    st.integers(0xCB007100, 0xCB0071FF).map(lambda n: str(ipaddress.IPv4Address(n))),
    st.integers(0xC6336400, 0xC63365FF).map(lambda n: str(ipaddress.IPv4Address(n))),
    st.integers(0, 7).map(lambda n: f"2001:db8:{n}::9"),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(source=SOURCES, tags=st.integers(0, 2))
def test_sources_are_dropped_spared_or_passed_as_the_lists_say(ours: Loaded, source: str, tags: int) -> None:
    verdict, counted = ours.run(framed(source, tags))
    wanted = expected(source)
    assert counted["blocked"] == (wanted == "blocked")
    assert counted["spared"] == (wanted == "spared")
    assert (verdict == PASS) == (wanted != "blocked" or counted["sampled"] == 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(
    source=SOURCES, tags=st.integers(0, 2), cut=st.integers(14, 120), at=st.integers(12, 60),
    change=st.binary(max_size=4),
)  # fmt: skip
def test_the_program_and_its_twin_agree_on_broken_frames(
    ours: Loaded, twin: Loaded, source: str, tags: int, cut: int, at: int, change: bytes
) -> None:
    frame = framed(source, tags)
    frame = (frame[:at] + change + frame[at + len(change) :])[:cut]
    (one, counted), (other, told) = ours.run(frame), twin.run(frame)
    assert (counted["blocked"], counted["spared"]) == (told["blocked"], told["spared"])
    if not counted["blocked"]:
        assert one == other == PASS


def holds_ethernet(path: Path) -> bool:
    """A classic capture of Ethernet frames."""
    with path.open("rb") as file:
        head = file.read(24)
    orders = {b"\xd4\xc3\xb2\xa1": "<I", b"\x4d\x3c\xb2\xa1": "<I", b"\xa1\xb2\xc3\xd4": ">I"}
    return head[:4] in orders and struct.unpack_from(orders[head[:4]], head, 20)[0] == 1


def test_the_program_and_its_twin_agree_on_real_captures(
    ours: Loaded, twin: Loaded, maps: dict[str, bpf.Map], captures: Path
) -> None:
    """Every third source of each capture is blocked for its frames."""
    frames = blocked = 0
    for path in filter(holds_ethernet, sorted(captures.rglob("*.pcap"))):
        for number, (_, _, frame) in enumerate(records(path)):
            if number == 300:
                break
            if number % 3 == 0 and frame[12:14] == b"\x08\0" and len(frame) >= 34:
                held = np.frombuffer(frame[26:30], np.uint8)[None].copy()
                maps["block4"].update(held, np.array([[FOREVER, 0]], np.uint64).view(np.uint8))
            if 14 <= len(frame) <= 1500:
                (_, counted), (_, told) = ours.run(frame), twin.run(frame)
                assert (counted["blocked"], counted["spared"]) == (told["blocked"], told["spared"]), path
                frames += 1
                blocked += counted["blocked"]
    assert frames > 10_000
    assert 1000 < blocked < frames


def test_a_sample_passes_to_the_sensor_and_no_more(ours: Loaded) -> None:
    frame, begin = framed("203.0.113.9", 0), time.monotonic()
    time.sleep(0.05)  # so that there is a sample to take
    _, counted = ours.run(frame, times=1_000_000)
    seconds = time.monotonic() - begin
    assert counted["blocked"] == 1_000_000
    assert SAMPLE_MOST <= counted["sampled"] <= 2 * SAMPLE_MOST + 7700 * seconds


WATCH = ("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce", "--backend", "xdp")


def program_on(name: str, interface: str) -> int:
    """The number of the XDP program on an interface, as rtnetlink tells it; 0: none."""
    with NetNS(name) as inside:
        (index,) = inside.link_lookup(ifname=interface)
        xdp = inside.get_links(index)[0].get_attr("IFLA_XDP")
        return int((xdp and xdp.get_attr("IFLA_XDP_PROG_ID")) or 0)


def wait_until(true: Callable[[], object], seconds: float = 5.0) -> float:
    """Wait for something to become true; returns how long it took."""
    begin = time.monotonic()
    while not true():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)
    return time.monotonic() - begin


@pytest.mark.slow
def test_real_flooders_are_dropped_by_xdp_and_others_served(wire: Lab) -> None:
    give_addresses(wire, 100, 31)
    serve(wire)
    watch = wire.floodwatch(*WATCH)
    ask = (sys.executable, "-c", ASK, SERVER)
    good = wire.start(wire.client, *ask, "/read", "130", "1", "4", "17", stdout=subprocess.PIPE)
    time.sleep(8)  # it is known by now
    flood = wire.start(wire.client, *ask, "/login", "100", "30", "30", "6", stdout=subprocess.PIPE)
    wait_until(lambda: len(rules(wire).get("block4", {})) == 30)
    served, failed = map(int, good.communicate(timeout=30)[0].split())
    assert served > 20
    assert failed == 0
    flood.wait(30)
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=20)
    (event,) = json.loads(out.splitlines()[-1])["floods"]
    assert (event["vector"], event["action"]["taken"]) == ("http_flood", "drop_sources")
    assert b"XDP is attached to vb, in driver mode" in err
    assert b"30 of 30 blocks dropped packets within 3 s" in err
    assert program_on(wire.server, "vb") == 0  # it went with the watch ...
    assert rules(wire) == {}  # ... and so did the table


@pytest.mark.slow
def test_what_ctl_blocks_stands_in_xdp_and_a_flood_is_dropped_before_the_taps(wire: Lab) -> None:
    serve(wire)
    watch = wire.floodwatch(*WATCH, "--exit-zero")
    assert program_on(wire.server, "vb")
    ctl(wire, "block", CLIENT, "--for", "10m")
    wait_until(lambda: program_holds(wire, f"{CLIENT}/32"))
    flood = wire.start(wire.client, sys.executable, "-c", BURST, SERVER)  # far more than is sampled
    assert flood.wait(20) == 0
    assert not reaches(wire)
    (row,) = (row for row in json.loads(ctl(wire, "blocks", "--json")) if "network" in row)
    assert 190_000 < row["packets"] < 210_000
    ctl(wire, "unblock", CLIENT)
    wait_until(lambda: reaches(wire))
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=20)
    told = next(line for line in err.decode().splitlines() if "dropped by XDP, before the rings" in line)
    ahead = int(told.split()[-5].replace(",", ""))
    assert 100_000 < ahead < 200_000  # and the sensor saw the rest


BURST = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(200_000):
    try:
        s.sendto(b"x" * 20, (sys.argv[1], 9))
    except ConnectionRefusedError:
        pass
"""


def program_holds(wire: Lab, network: str) -> bool:
    script = "import json; from floodwatch.mitigate import dropped_ahead; print(*dropped_ahead())"
    return network in wire.start(
        wire.server, sys.executable, "-P", "-c", script, stdout=subprocess.PIPE
    ).communicate(timeout=20)[0].decode().split()  # fmt: skip


@pytest.mark.slow
def test_the_program_goes_with_its_process_and_blocks_end_if_it_hangs(wire: Lab) -> None:
    serve(wire)
    watch = wire.floodwatch(*WATCH)
    ctl(wire, "block", CLIENT, "--for", "3s")
    wait_until(lambda: program_holds(wire, f"{CLIENT}/32"))
    watch.send_signal(signal.SIGSTOP)  # nobody is left to take the block away
    assert not reaches(wire)
    time.sleep(3.5)
    assert reaches(wire)
    assert program_on(wire.server, "vb")
    watch.send_signal(signal.SIGKILL)
    watch.wait(5)
    wait_until(lambda: program_on(wire.server, "vb") == 0)
    watch = wire.floodwatch(*WATCH)
    ctl(wire, "panic", "--yes")
    assert watch.wait(5) == -signal.SIGKILL
    wait_until(lambda: program_on(wire.server, "vb") == 0)
    assert rules(wire) == {}


@pytest.mark.slow
def test_beside_another_program_it_refuses_and_leaves_nothing(wire: Lab) -> None:
    code = bytes.fromhex("b7000000020000009500000000000000")  # let everything pass
    other = bpf.load(code, "other")
    with NetNS(wire.server) as inside:
        (index,) = inside.link_lookup(ifname="vb")
        inside.link("set", index=index, xdp_fd=other)
    number = program_on(wire.server, "vb")
    watch = wire.start(wire.server, sys.executable, "-P", "-m", "floodwatch", *WATCH, stderr=subprocess.PIPE)
    _, err = watch.communicate(timeout=10)
    assert watch.returncode == 4
    assert f"vb carries another XDP program (number {number})" in err.decode()
    assert program_on(wire.server, "vb") == number  # as it was
    assert rules(wire) == {}
    os.close(other)


@pytest.mark.slow
def test_an_interface_that_is_made_again_gets_the_program_again(wire: Lab) -> None:
    serve(wire)
    watch = wire.floodwatch(*WATCH)
    ctl(wire, "block", CLIENT, "--for", "10m")
    wire.link(wire.client, "va", "del")
    time.sleep(1)
    wire.connect()
    wait_until(lambda: program_on(wire.server, "vb"))
    assert not reaches(wire)
    watch.send_signal(signal.SIGINT)
    _, err = watch.communicate(timeout=20)
    assert "XDP is attached to vb again, in driver mode" in err.decode()
    assert "1 manual blocks stay" in err.decode()


def test_xdp_without_a_right_or_an_interface_says_what_to_do(need: Any) -> None:
    need(os.geteuid() == 0, "BPF programs take root")
    with pytest.raises(EnforceError, match="there is no interface nowhere"):
        Xdp(["nowhere"])
    for argv, told in (
        (("-i", "any", "--mode", "enforce"), "needs the names of interfaces"),
        (("-i", "lo"), "needs --mode enforce"),
        (("-i", "lo", "--backend", "dry"), "nft drops in nftables; xdp drops sources in XDP"),
    ):
        command = (sys.executable, "-P", "-m", "floodwatch", "watch", "--backend", "xdp", *argv)
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        assert told in ran.stderr


def test_a_mirror_keeps_counts_when_a_block_is_renewed(need: Any) -> None:
    need(os.geteuid() == 0, "BPF programs take root")
    xdp, network = Xdp([]), ipaddress.ip_network("203.0.113.9")
    try:
        wide = ipaddress.ip_network("2001:db8:5::/64")
        xdp.mirror({network: Block(network, 60, "a"), wide: Block(wide, 60, "b")}, [])
        held = Loaded(xdp._program, xdp._maps["tally"])
        _, counted = held.run(framed("203.0.113.9", 1), times=50_000)
        dropped = counted["blocked"] - counted["sampled"]
        assert dropped > 10_000
        assert xdp.packets() == {network: dropped, wide: 0}
        assert xdp.tally().dropped == dropped
        xdp.mirror({network: Block(network, 120, "a")}, [ipaddress.ip_network("2001:db8::/32")])
        assert xdp.packets() == {network: dropped}
        assert held.run(framed("2001:db8:5::9", 0))[1]["spared"] == 1
    finally:
        xdp.close()
