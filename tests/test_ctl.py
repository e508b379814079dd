"""``floodwatch ctl`` with a daemon in a network namespace: what it tells, and what becomes of orders."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from floodwatch import synth
from floodwatch.daemon.client import Client
from floodwatch.daemon.orders import Metrics, Status
from floodwatch.daemon.picture import Picture
from floodwatch.daemon.rules import Allow, Blocks

sys.path.insert(0, str(Path(__file__).parent))
from lab import CLIENT, Lab
from test_daemon import eventually, rules

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
CONFIGURATION = """schema = 1
mode = "{mode}"
interfaces = ["vb"]
never = ["203.0.113.0/24"]
state = "{home}/state"

[control]
socket = "{home}/run/ctl.sock"
group = "daemon"
"""


@pytest.fixture(autouse=True)
def nft(need: Any) -> None:
    need(shutil.which("nft"), "tests of rules read them back with nft")


class Daemon:
    """A daemon beside the server, and ``ctl`` beside it."""

    def __init__(self, wire: Lab, home: Path, mode: str = "observe") -> None:
        self.wire, self.home = wire, home
        self.configure(mode)
        self.process = self.start("run", "--config", f"{home}/floodwatch.toml")
        self.said = self.until(self.process, "watching vb")

    def configure(self, mode: str) -> None:
        """Write its file."""
        (self.home / "floodwatch.toml").write_text(CONFIGURATION.format(mode=mode, home=self.home))

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        command = (sys.executable, "-P", "-m", "floodwatch", *argv)
        return self.wire.start(
            self.wire.server, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )

    def until(self, process: subprocess.Popen[bytes], text: str, seconds: float = 20) -> str:
        """What a process says until a line with this text."""
        out, said = process.stdout, ""
        assert out is not None
        end = time.monotonic() + seconds
        while text not in said and select.select([out], [], [], max(end - time.monotonic(), 0))[0]:
            line = out.readline().decode()
            assert line, f"it ended without {text!r}: {said}"
            said += line
        assert text in said
        return said

    def ctl(self, *argv: str, code: int = 0, ask: bool = True) -> str:
        """A command of ``ctl``; ``ask``: of the daemon, whatever our rights are."""
        named = ("--socket", f"{self.home}/run/ctl.sock") if ask else ()
        process = self.start("ctl", *argv, *named)
        out = process.communicate(timeout=30)[0].decode()
        assert process.returncode == code, out
        return out

    def counted(self, metric: str) -> float:
        """What Prometheus would be told of a metric without labels."""
        found = re.search(rf"^floodwatch_{metric} (\S+)$", self.asked.ask(Metrics()), re.MULTILINE)
        assert found is not None
        return float(found[1])

    @property
    def asked(self) -> Client:
        """The daemon itself, without the start of a program: its socket has a name in all namespaces."""
        return Client(self.home / "run" / "ctl.sock", 5)

    @property
    def picture(self) -> Picture:
        return self.asked.ask(Status())


def requests(capture: Path) -> int:
    """How many requests of HTTP/1 a capture holds."""
    return len(re.findall(rb"(?:GET|POST|HEAD) \S+ HTTP/1", capture.read_bytes()))


def test_a_daemon_that_observes_is_asked(wire: Lab, tmp_path: Path) -> None:
    capture = tmp_path / "syn.pcap"
    synth.make("syn_flood", capture, synth.Params(duration=1.5))
    daemon = Daemon(wire, tmp_path)
    follower = daemon.start("ctl", "events", "-f", "--json", "--socket", f"{tmp_path}/run/ctl.sock")
    assert daemon.ctl("events", code=1) == ""
    begin = time.time()
    wire.send(capture)
    event = json.loads(daemon.until(follower, "syn_flood"))
    assert (event["schema"], event["vector"], event["state"]) == ("floodwatch.event/1", "syn_flood", "open")
    daemon.until(follower, '"ended"')
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 130
    told = daemon.ctl("events", "--since", f"{begin:.3f}")
    assert re.search("opened .*SYN flood.*\n.*ended .*SYN flood", told)
    assert daemon.ctl("events", "--since", "2099-01-01T00:00:00Z", code=1) == ""
    picture = daemon.picture
    assert (picture.mode, picture.pid, picture.degraded) == ("observe", daemon.process.pid, ())
    assert picture.links[0].packets > 5000
    status = daemon.ctl("status").splitlines()
    assert len(status) <= 15
    assert any(re.match(r"vb +observe +up .* packets/s", line) for line in status)
    report = daemon.ctl("report", "--since", "1h")
    assert re.search(r"198\.51\.100\.7 +syn_flood 1\n", report)
    assert "would have been: 0 sources, 1 guard" in report
    check = daemon.ctl("check")
    assert re.fullmatch(
        r"floodwatch OK: mode observe, 1 interface, .*\| floods=\d+;;;0 .*lost=0c restarts=0c\n", check
    )
    top = daemon.start("top", "--once", "--socket", f"{tmp_path}/run/ctl.sock").communicate(timeout=20)[0]
    assert all(word in top.decode() for word in ("packets/s", "mode observe", "no flood"))
    sent = requests(capture)
    synth.make("http_flood", capture, synth.Params(duration=1.0))
    sent += requests(capture)
    sender = wire.sender(capture)
    assert eventually(lambda: daemon.picture.hosts >= len(daemon.picture.victims) > 0)
    assert sender.wait(30) == 0
    assert eventually(lambda: daemon.counted("http_requests_total") >= 0.9 * sent > 100)
    assert daemon.counted("http_requests_total") <= sent
    assert daemon.counted("window_seconds_count") >= 8
    assert 1_000 < daemon.counted("distinct_sources") < 1e6
    assert "floodwatch" not in rules(wire)


@pytest.mark.slow
def test_p46_what_a_sensor_that_is_no_more_had_open_is_cut(wire: Lab, tmp_path: Path) -> None:
    """It is not left open for ever, nor told to have ended by itself; no metric has it as going on."""
    capture = tmp_path / "syn.pcap"
    synth.make("syn_flood", capture, synth.Params(duration=1.5))
    daemon = Daemon(wire, tmp_path)
    follower = daemon.start("ctl", "events", "-f", "--json", "--socket", f"{tmp_path}/run/ctl.sock")
    assert daemon.ctl("events", code=1) == ""
    wire.send(capture)
    opened = json.loads(daemon.until(follower, "syn_flood"))
    os.kill(daemon.picture.sensor, signal.SIGKILL)
    cut = json.loads(daemon.until(follower, '"cut"'))
    assert (cut["id"], cut["state"]) == (opened["id"], "cut")
    told = daemon.ctl("metrics")
    assert 'floodwatch_active_floods{vector="syn_flood"} 0.0\n' in told
    assert "floodwatch_sensor_restarts_total 1.0\n" in told
    follower.send_signal(signal.SIGINT)
    assert follower.wait(10) == 130


def test_p46_what_a_killed_daemon_had_open_is_cut_by_the_next_one_once(wire: Lab, tmp_path: Path) -> None:
    capture = tmp_path / "syn.pcap"
    synth.make("syn_flood", capture, synth.Params(duration=1.5))
    daemon = Daemon(wire, tmp_path, "enforce")

    def told() -> list[tuple[str, str, str, str]]:
        lines = [json.loads(line) for path in tmp_path.glob("state/events-*") for line in path.open()]
        events = [(one["what"], one["event"]) for one in lines]
        return [(what, event["state"], event["id"], event["action"]["taken"]) for what, event in events]

    wire.send(capture)
    assert eventually(lambda: told())
    daemon.process.kill()
    daemon.process.wait(5)
    ((opened, _, event, taken),) = told()
    assert (opened, taken) == ("opened", "cap_unknown")
    for _ in range(2):  # by the first one that comes, and by no other; it read back what stood for it
        daemon = Daemon(wire, tmp_path, "enforce")
        assert eventually(lambda: told()[1:] == [("ended", "cut", event, "cap_unknown")])
        time.sleep(1)
        daemon.process.kill()
        daemon.process.wait(5)
    assert len(told()) == 2


def test_p08_p67_orders_through_the_daemon_are_held_against_its_configuration(
    wire: Lab, tmp_path: Path
) -> None:
    daemon = Daemon(wire, tmp_path, "enforce")
    assert "must not be blocked" in daemon.ctl("block", "203.0.113.9", code=2)
    assert "does not appear to be" in daemon.ctl("block", "x", code=2)
    assert daemon.ctl("block", CLIENT, "--reason", "ticket 4711").startswith(f"add    {CLIENT}/32 for 600 s")
    assert CLIENT in rules(wire)
    (row,) = json.loads(daemon.ctl("blocks", "--json"))
    assert (row["network"], row["why"]) == (f"{CLIENT}/32", "ticket 4711")
    begin = time.monotonic()
    assert daemon.asked.ask(Allow(network=CLIENT, seconds=3600)).said.endswith(f"; lifted {CLIENT}/32")
    assert daemon.asked.ask(Blocks()).blocks == ()  # read back; it soon stands among those never to be met
    assert time.monotonic() - begin < 1.0
    assert "it must not be blocked" in daemon.ctl("block", CLIENT, ask=False, code=2)
    assert CLIENT in daemon.ctl("allowed")
    said = daemon.until(daemon.process, f"order  allow {CLIENT}/32")
    assert re.search(rf"order  block {CLIENT}/32 .*ticket 4711; by root \(uid 0\)", said)
    assert "no longer allowed" in daemon.ctl("disallow", CLIENT)
    assert "0 blocks lifted" in daemon.ctl("unblock", CLIENT, code=1)
    assert "no floodwatch" not in daemon.ctl("confirm")


def test_a_mode_that_nobody_confirms_falls_back_and_a_wrong_file_changes_nothing(
    wire: Lab, tmp_path: Path
) -> None:
    daemon = Daemon(wire, tmp_path)
    daemon.ctl("mode", "enforce", "--confirm", "4s")
    picture = daemon.picture
    assert (picture.mode, picture.mode_until - picture.at < 4) == ("enforce", True)
    assert eventually(lambda: daemon.picture.mode == "observe")
    daemon.ctl("mode", "enforce", "--confirm", "5s")
    assert "it goes on enforcing" in daemon.ctl("confirm")
    assert eventually(lambda: daemon.picture.mode_until is None)
    assert daemon.picture.mode == "enforce"
    daemon.configure("of course")
    assert re.search(r"floodwatch\.toml:2:8", daemon.ctl("reload", code=2))
    assert daemon.picture.mode == "enforce"
    assert "the configuration is wrong, an earlier one holds" in daemon.ctl("check", code=1)
    daemon.configure("suggest")
    assert "read again" in daemon.ctl("reload")
    assert (daemon.picture.degraded, daemon.picture.reloaded > 0) == ((), True)


def test_p18_panic_ends_a_hung_daemon_and_the_next_one_observes_until_it_is_resumed(
    wire: Lab, tmp_path: Path
) -> None:
    daemon = Daemon(wire, tmp_path, "enforce")
    sensor = daemon.picture.sensor
    daemon.ctl("block", CLIENT)
    assert CLIENT in rules(wire)
    for pid in (daemon.process.pid, sensor):
        os.kill(pid, signal.SIGSTOP)
    try:
        assert "no answer within 1 s" in daemon.ctl("status", "--timeout", "1s", code=5)
        assert "floodwatch CRITICAL" in daemon.ctl("check", "--timeout", "1s", code=2)
        said = daemon.ctl("panic", "--yes", ask=False)
    finally:
        os.kill(daemon.process.pid, signal.SIGCONT)
    assert f"ended the enforcing floodwatch (pid {daemon.process.pid})" in said
    took = re.search(r"the table is gone \((0\.\d+) s\)", said)
    assert took, said
    assert float(took[1]) < 1.0
    assert daemon.process.wait(5) == -signal.SIGKILL
    assert eventually(lambda: not Path(f"/proc/{sensor}").exists(), 5)
    assert "floodwatch" not in rules(wire)

    daemon = Daemon(wire, tmp_path, "enforce")
    picture = daemon.picture
    assert (picture.mode, picture.panic) == ("observe", True)
    assert "only observing after a panic" in daemon.ctl("check", code=1)
    assert "panic --resume" in daemon.ctl("status")
    assert "floodwatch" not in rules(wire)
    assert "enforces again" in daemon.ctl("panic", "--resume", ask=False)
    assert eventually(lambda: daemon.picture.mode == "enforce")
    assert "there was no panic" in daemon.ctl("panic", "--resume", code=1)

    assert "the table is gone" in daemon.ctl(
        "panic", "--yes"
    )  # asked of the daemon: it goes on, and observes
    picture = daemon.picture
    assert picture.pid == daemon.process.pid
    assert eventually(lambda: daemon.picture.mode == "observe")
    assert "floodwatch" not in rules(wire)
