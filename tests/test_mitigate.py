"""Blocks in a real kernel, in network namespaces; what stands is asked of ``nft``, which we did not write."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import floodwatch as fw
from floodwatch import synth
from floodwatch.cli import main

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, SERVER, Lab

pytestmark = pytest.mark.root
SERVE = Path(__file__).with_name("serve.py")


@pytest.fixture(autouse=True)
def nft(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")


def run(wire: Lab, *argv: str, code: int = 0) -> str:
    process = wire.start(wire.server, *argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out = process.communicate(timeout=30)[0].decode()
    assert process.returncode == code, out
    return out


def ctl(wire: Lab, *argv: str, code: int = 0) -> str:
    return run(wire, sys.executable, "-P", "-m", "floodwatch", "ctl", *argv, code=code)


def rules(wire: Lab) -> dict[str, dict[str, Any]]:
    """Set name -> the elements that nft lists in our table: {network: element}."""
    listed = json.loads(run(wire, "nft", "-j", "list", "ruleset"))["nftables"]
    found: dict[str, dict[str, Any]] = {}
    for item in listed:
        if "set" in item and item["set"]["table"] == "floodwatch":
            elements = [e["elem"] for e in item["set"].get("elem", []) if "elem" in e]
            found[item["set"]["name"]] = {str(e["val"]): e for e in elements}
    return found


def reaches(wire: Lab) -> bool:
    """Does a real TCP client reach the server? (Something must listen on its port 80.)"""
    script = f"import socket; socket.create_connection(('{SERVER}', 80), timeout=1)"
    return wire.start(wire.client, sys.executable, "-c", script, stderr=subprocess.DEVNULL).wait(10) == 0


def serve(wire: Lab) -> None:
    server = wire.start(wire.server, sys.executable, str(SERVE), stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()


def test_a_block_stands_drops_is_listed_and_goes(wire: Lab) -> None:
    serve(wire)
    assert reaches(wire)
    assert "add" in ctl(wire, "block", CLIENT, "--for", "10m", "--reason", "ticket 4711")
    element = rules(wire)["block4"][CLIENT]
    assert element["timeout"] == 600
    assert 590 <= element["expires"] <= 600
    assert element["comment"] == "ticket 4711"
    assert not reaches(wire)
    (row,) = json.loads(ctl(wire, "blocks", "--json"))
    assert row["network"] == f"{CLIENT}/32"
    assert row["packets"] >= 1
    assert "ticket 4711" in ctl(wire, "blocks", "--why")
    ctl(wire, "block", CLIENT, "--for", "1h")  # renews
    assert rules(wire)["block4"][CLIENT]["timeout"] == 3600
    ctl(wire, "unblock", CLIENT)
    assert reaches(wire)
    ctl(wire, "unblock", CLIENT, code=1)
    ctl(wire, "blocks", code=1)


SIZES = """
from floodwatch.mitigate import Table
table = Table()
print(*((packets, table.sizes()[network]) for network, (_, packets) in table.counted().items()))
table.remove()
table.counted()
assert not table.sizes()
"""


def test_what_a_block_meets_is_counted_in_packets_and_bytes(wire: Lab) -> None:
    ctl(wire, "block", CLIENT, "--for", "10m")
    say = f"[s.sendto(bytes(100), ('{SERVER}', 9)) for _ in range(3)]"
    send = f"import socket; s = socket.socket(type=socket.SOCK_DGRAM); {say}"
    assert wire.start(wire.client, sys.executable, "-c", send).wait(20) == 0
    counted = run(wire, sys.executable, "-P", "-c", SIZES)
    packets, size = map(int, re.findall(r"\d+", counted))
    assert (packets, size) == (3, 3 * 128)


def test_p05_p06_who_must_not_be_blocked_is_refused(wire: Lab) -> None:
    for network in ("127.0.0.1", SERVER, "::1"):
        assert "must not be blocked" in ctl(wire, "block", network, code=2)
    listen = (
        "import socket; s = socket.create_server(('', 22)); print('ready', flush=True)\n"
        "c = s.accept(); input()"
    )
    server = wire.start(
        wire.server, sys.executable, "-c", listen, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    server.stdout.readline()
    dial = (
        f"import socket; s = socket.create_connection(('{SERVER}', 22)); print('ready', flush=True); input()"
    )
    client = wire.start(
        wire.client, sys.executable, "-c", dial, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert client.stdout is not None
    client.stdout.readline()
    assert "live SSH session" in ctl(wire, "block", CLIENT, code=2)
    assert "must not be blocked" in ctl(wire, "block", "10.99.0.0/24", code=2)


def test_p12_p13_every_block_ends_by_itself(wire: Lab) -> None:
    ctl(wire, "block", "203.0.113.9", "--for", "2s")
    ctl(wire, "block", "2001:db8:7::/64", "--for", "2s")
    held = rules(wire)
    assert all(
        "timeout" in e for name, found in held.items() if name.startswith("block") for e in found.values()
    )
    time.sleep(2.5)  # nobody of ours is alive
    assert not any(found for name, found in rules(wire).items() if name.startswith("block"))


def test_p18_p21_panic_takes_all_of_ours_and_nothing_else(wire: Lab) -> None:
    foreign = "table inet other { set s { type ipv4_addr; elements = { 192.0.2.1 } }; chain c { } }"
    load = wire.start(wire.server, "nft", "-f", "-", stdin=subprocess.PIPE)
    load.communicate(foreign.encode(), timeout=10)
    before = run(wire, "nft", "list", "ruleset")
    ctl(wire, "block", "203.0.113.9")
    ctl(wire, "block", "198.51.100.0/24")
    assert "table inet floodwatch" in run(wire, "nft", "list", "ruleset")
    said = ctl(wire, "panic", "--yes")
    assert "the table is gone" in said
    assert max(map(float, re.findall(r"\((\S+) s\)", said))) < 2.0
    assert run(wire, "nft", "list", "ruleset") == before
    assert "there was no table" in ctl(wire, "panic", "--yes")


def test_panic_leaves_tables_of_others_alone_whatever_their_sets_are_called(wire: Lab) -> None:
    names = ("blocked_hosts", "blocklist4", "block4_p99", "throttle", "limited4_p99")
    sets = "".join(f"set {name} {{ type ipv4_addr; }}; " for name in names)
    load = wire.start(wire.server, "nft", "-f", "-", stdin=subprocess.PIPE)
    load.communicate(f"table inet fw_x {{ {sets}}}".encode(), timeout=10)
    before = run(wire, "nft", "list", "ruleset")
    assert names[0] in before
    assert "fw_x" in ctl(wire, "panic", "--yes")
    assert run(wire, "nft", "list", "ruleset") == before


def test_a_dry_run_needs_no_right_and_changes_nothing(wire: Lab) -> None:
    command = (sys.executable, "-P", "-m", "floodwatch", "ctl", "block", "203.0.113.9")
    said = run(wire, "setpriv", "--bounding-set", "-net_admin", *command, "--dry-run")
    assert "would add" in said
    assert run(wire, "nft", "list", "ruleset") == ""
    assert "CAP_NET_ADMIN" in run(wire, "setpriv", "--bounding-set", "-net_admin", *command, code=4)


ASK = """
import asyncio, sys, time
server, path, first, count, per_second, seconds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])
good = bad = 0
async def client(number):
    global good, bad
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(server, 80, local_addr=(f"10.99.0.{number}", 0)), 2)
            for _ in range(20):
                if time.monotonic() > end:
                    break
                writer.write(f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
                await asyncio.wait_for(reader.readuntil(b"ok"), 2)
                good += 1
                await asyncio.sleep(1 / per_second)
            writer.close()
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
            bad += 1
            await asyncio.sleep(0.2)
async def main():
    await asyncio.gather(*(client(first + i) for i in range(count)))
    print(good, bad, flush=True)
asyncio.run(main())
"""


def give_addresses(wire: Lab, first: int, count: int) -> None:
    from pyroute2 import NetNS

    with NetNS(wire.client) as inside:
        (index,) = inside.link_lookup(ifname="va")
        for number in range(first, first + count):
            inside.addr("add", index=index, address=f"10.99.0.{number}", prefixlen=24)


@pytest.mark.slow
def test_p10_p11_real_flooders_are_blocked_and_others_served(wire: Lab) -> None:
    give_addresses(wire, 100, 31)
    serve(wire)
    watch = wire.floodwatch(
        "watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce", "--seed", "1" * 32
    )
    ask = (sys.executable, "-c", ASK, SERVER)
    good = wire.start(wire.client, *ask, "/read", "130", "1", "4", "17", stdout=subprocess.PIPE)
    time.sleep(8)  # it is known by now
    begin = time.time()
    flood = wire.start(wire.client, *ask, "/login", "100", "30", "30", "6", stdout=subprocess.PIPE)
    blocked: dict[str, Any] = {}
    while time.time() - begin < 6 and len(blocked) < 30:
        blocked = rules(wire).get("block4", {})
        time.sleep(0.1)
    took = time.time() - begin
    assert sorted(blocked) == [f"10.99.0.{n}" for n in range(100, 130)]
    assert took < 4.0
    assert all(element["comment"].startswith("fw:") for element in blocked.values())
    served, failed = map(int, good.communicate(timeout=30)[0].split())
    assert served > 20
    assert failed == 0
    flood.wait(30)
    watch.send_signal(signal.SIGINT)
    lines = [json.loads(line) for line in watch.communicate(timeout=20)[0].splitlines()]
    (event,) = lines[-1]["floods"]
    assert event["vector"] == "http_flood"
    assert event["action"]["taken"] == "drop_sources"


@pytest.mark.slow
def test_p01_p09_a_forged_flood_blocks_nobody_and_observing_changes_nothing(
    wire: Lab, tmp_path: Path
) -> None:
    capture = tmp_path / "syn.pcap"
    synth.make("framed_clients", capture, synth.Params(duration=1.5))
    before = run(wire, "nft", "list", "ruleset")
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson")
    wire.send(capture)
    watch.send_signal(signal.SIGINT)
    lines = [json.loads(line) for line in watch.communicate(timeout=20)[0].splitlines()]
    assert lines[-1]["floods"][0]["vector"] == "syn_flood"
    assert run(wire, "nft", "list", "ruleset") == before
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce")
    wire.send(capture)
    held = rules(wire)
    assert not any(found for name, found in held.items() if name.startswith("block"))
    second = wire.floodwatch("watch", "-i", "vb", "--mode", "enforce")
    assert second.wait(10) == 4  # one writer at a time
    ctl(wire, "panic", "--yes")
    assert watch.wait(5) == -signal.SIGKILL
    assert run(wire, "nft", "list", "ruleset") == before


def test_explained_rules_load_with_nft(wire: Lab, tmp_path: Path) -> None:
    for number, scenario in enumerate(("http_flood", "dns_amplification", "login_bruteforce")):
        capture, report = tmp_path / f"{scenario}.pcap", tmp_path / f"{scenario}.json"
        synth.make(scenario, capture)
        report.write_text(fw.scan(str(capture), top=0).to_json())

        def explained(style: str, report: Path = report) -> str:
            called = CliRunner().invoke(main, ["explain", str(report), "1", "--as", style])
            assert called.exit_code == 0, called.output
            return called.stdout

        text = explained("nft")
        load = wire.start(wire.server, "nft", "-f", "-", stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        _, err = load.communicate(text.encode(), timeout=10)
        assert load.returncode == 0, err.decode() + text
        limited = scenario == "login_bruteforce"
        assert ("limit rate over 5/second" in text) == limited
        assert ("--hashlimit-above 5/sec" in explained("iptables")) == limited
        assert ("rate-limit 9600" in explained("flowspec")) == limited
        tables = run(wire, "nft", "list", "tables").splitlines()
        assert len(tables) == number + 1
        assert scenario.split("_")[0] in explained("text").lower()


BATCHES = """
import ipaddress, json, os, random, signal, sys, time
from floodwatch.mitigate import Block, Step, Table
steps = [Step("add", Block(ipaddress.ip_network(0x0B000000 + i), 600, "fw:e"), "") for i in range(3000)]
Table().ensure()
draw, outcomes, slowest = random.Random(25), [], 0.0
for moment in range(200):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        table = Table()
        table.ensure()
        os.write(writer, b"go")
        table.apply(steps)
        os._exit(0)
    os.read(reader, 2)
    time.sleep(draw.uniform(0, 0.03))  # the batch takes about 15 ms
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader); os.close(writer)
    begin = time.monotonic()
    table = Table()  # the next start: it finds what stands, and can go on
    outcomes.append(len(table.blocks()))
    table.remove()
    table.ensure()
    slowest = max(slowest, time.monotonic() - begin)
    table.close()
Table().apply(steps)
print(json.dumps([sorted(set(outcomes)), len(outcomes), slowest]))
"""


@pytest.mark.slow
def test_p25_a_batch_is_all_or_nothing_whenever_it_is_killed(wire: Lab) -> None:
    outcomes, kills, slowest = json.loads(run(wire, sys.executable, "-P", "-c", BATCHES))
    assert kills == 200
    assert outcomes == [0, 3000]
    assert slowest < 5.0
    assert len(rules(wire)["block4"]) == 3000  # nft reads what we read
