"""What a daemon tells outwards while a flood comes: metrics, a real Prometheus, programs, servers, files."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pyroute2 import netns
from test_notify import hook

import floodwatch
from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.alone]
Need = Callable[[object, str], None]
R = TypeVar("R")
METRICS = "http://127.0.0.1:9733/metrics"
KEY = "a key that nobody guesses"
CONFIGURATION = """
schema = 1
{mode}
interfaces = ["vb"]
state = "{home}/state"
control = {{ socket = "{home}/ctl.sock" }}
metrics = {{ listen = "127.0.0.1:9733", textfile = "{home}/floodwatch.prom" }}

[[notify]]
type = "exec"
argv = ["{home}/on-flood"]

[[notify]]
type = "webhook"
url = "{url}"
secret_file = "{home}/key"

[[notify]]
type = "eve"
path = "{home}/eve.json"
{more}
"""


def inside(name: str, do: Callable[[], R]) -> R:
    """Do something in a network namespace: what it opens stays there.

    Raises:
        IndexError: it failed.
    """
    done: list[R] = []

    def run() -> None:
        netns.setns(name)
        with suppress(OSError):
            done.append(do())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return done[0]


def asked(wire: Lab, url: str) -> str:
    """What a server beside the daemon answers."""
    return inside(wire.server, lambda: str(urlopen(url, timeout=10).read().decode()))


def metrics(wire: Lab) -> dict[str, float]:
    """Every series, by its name and labels."""
    families = text_string_to_metric_families(asked(wire, METRICS))
    return {
        f"{sample.name}{','.join(sorted(sample.labels.values()))}": sample.value
        for family in families
        for sample in family.samples
    }


def until(true: Callable[[], object], seconds: float = 20) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def answers(wire: Lab, url: str) -> bool:
    """Does a server listen there?"""
    try:
        return bool(asked(wire, url))
    except IndexError:
        return False


class Daemon:
    """A daemon with a configuration, beside the server."""

    def __init__(
        self, wire: Lab, home: Path, url: str, mode: str = 'mode = "suggest"', more: str = ""
    ) -> None:
        self.home = home
        (home / "key").write_text(KEY)
        (home / "key").chmod(0o600)
        (home / "on-flood").write_text(f'#!/bin/sh\ncat >> "{home}/told.$FLOODWATCH_WHAT"\n')
        (home / "on-flood").chmod(0o755)
        (home / "floodwatch.toml").write_text(CONFIGURATION.format(home=home, url=url, mode=mode, more=more))
        command = (sys.executable, "-P", "-m", "floodwatch", "run", "--config", f"{home}/floodwatch.toml")
        self.process = wire.start(wire.server, *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self.process.stdout is not None
        self.said = ""
        while "watching vb" not in self.said:
            line = self.process.stdout.readline().decode()
            assert line, self.said
            self.said += line
        until(lambda: answers(wire, METRICS))

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.said += self.process.communicate(timeout=20)[0].decode()
        assert self.process.returncode == 0, self.said


@pytest.mark.slow
def test_a_flood_is_told_to_everybody(wire: Lab, tmp_path: Path) -> None:
    capture = tmp_path / "syn.pcap"
    truth = synth.make("syn_flood", capture, synth.Params(duration=2.0))
    home = tmp_path / "home"
    home.mkdir()
    with ExitStack() as stack:
        server = inside(wire.server, lambda: stack.enter_context(hook(500)))
        daemon = Daemon(wire, home, f"http://127.0.0.1:{server.server_port}/flood?x=1")
        until(lambda: metrics(wire).get("floodwatch_capture_upvb") == 1)
        assert metrics(wire)["floodwatch_active_floodssyn_flood"] == 0
        sending = wire.sender(capture)
        until(lambda: metrics(wire)["floodwatch_active_floodssyn_flood"] == 1)
        assert sending.wait(60) == 0
        until(lambda: metrics(wire)["floodwatch_packets_totalvb"] >= truth.packets)
        until(lambda: len(server.posts) >= 2)
        until((home / "told.opened").exists)
        first = json.loads((home / "told.opened").read_text().splitlines()[0])
        assert (first["vector"], first["state"]) == ("syn_flood", "open")
        path, headers, body = server.posts[1]
        signed = headers["X-Floodwatch-Timestamp"].encode() + b"." + body
        mac = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["X-Floodwatch-Signature"] == f"sha256={mac}"
        assert (path, json.loads(body)["id"]) == ("/flood?x=1", first["id"])
        last = metrics(wire)
        assert last["floodwatch_alerts_totalexec,sent"] == 1
        assert last["floodwatch_detection_delay_seconds_count"] == 1
        assert last["floodwatch_syn_total"] >= truth.floods[0].packets
        assert sum(count for name, count in last.items() if name.startswith("floodwatch_events_total")) == 1
        (home / "eve.json").rename(home / "eve.json.1")
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: metrics(wire)["floodwatch_reload_totaldone"] == 1)
        until((home / "floodwatch.prom").exists)
        daemon.end()
    line = json.loads((home / "eve.json.1").read_text().splitlines()[0])
    assert line["dest_ip"] == first["victim"]["ip"]
    assert not (home / "floodwatch.prom").exists(), "nobody renews it any more"


PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: floodwatch
    static_configs: [{{targets: ["127.0.0.1:9733"]}}]
"""


@pytest.mark.slow
def test_a_real_prometheus_scrapes_it_and_runs_the_rules(wire: Lab, tmp_path: Path, need: Need) -> None:
    need(shutil.which("prometheus"), "prometheus is not installed")
    rules = Path(floodwatch.__file__).parent / "daemon" / "files" / "floodwatch.rules.yml"
    (tmp_path / "prometheus.yml").write_text(PROMETHEUS.format(rules=rules))
    capture = tmp_path / "syn.pcap"
    synth.make("syn_flood", capture, synth.Params(duration=4.0))
    daemon = Daemon(wire, tmp_path, "http://127.0.0.1:9/")
    log = (tmp_path / "log").open("wb")
    wire.start(
        wire.server, "prometheus", f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data", "--web.listen-address=127.0.0.1:9090", stdout=log, stderr=log,
    )  # fmt: skip

    def query(expression: str) -> list[Any]:
        answer = asked(wire, f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}")
        found: list[Any] = json.loads(answer)["data"]["result"]
        return found

    until(lambda: answers(wire, "http://127.0.0.1:9090/-/ready"), 30)
    until(lambda: [one["value"][1] for one in query("up")] == ["1"], 30)
    sending = wire.sender(capture)
    until(lambda: query('floodwatch_active_floods{vector="syn_flood"} == 1'), 30)
    until(lambda: query('ALERTS{alertname="FloodwatchFlood", alertstate="firing", vector="syn_flood"}'), 30)
    assert sending.wait(60) == 0
    for name in ("floodwatch_blocks_missing == 0", "rate(floodwatch_packets_total[10s]) > 100"):
        until(lambda name=name: query(name))
    until(lambda: query('floodwatch_active_floods{vector="syn_flood"} == 0'), 30)
    until((tmp_path / "told.ended").exists)
    groups = json.loads(asked(wire, "http://127.0.0.1:9090/api/v1/rules"))["data"]["groups"]
    states = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert set(states.values()) == {"ok"}, states
    assert set(states) == set(re.findall(r"alert: (\w+)", rules.read_text()))
    assert query('floodwatch_alerts_total{type="webhook", result="failed"} > 0')
    command = ("-P", "-m", "floodwatch", "ctl", "check", "--socket", str(tmp_path / "ctl.sock"))
    check = wire.start(wire.server, sys.executable, *command, stdout=subprocess.PIPE)
    said = check.communicate(timeout=20)[0].decode()
    assert "webhook: the server cannot be reached: Connection refused" in said
    assert check.returncode == 1, "whoever monitors it hears that others do not"
    daemon.end()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed", "panic"])
def test_p57_the_daemon_asks_upstream_and_takes_it_back(wire: Lab, tmp_path: Path, how: str) -> None:
    capture, asks = tmp_path / "syn.pcap", tmp_path / "asks"
    synth.make("syn_flood", capture, synth.Params(duration=4.0))
    (tmp_path / "gobgp").write_text(f'#!/bin/sh\necho "$@" >> "{asks}"\n')
    (tmp_path / "gobgp").chmod(0o755)
    asks.touch()
    upstream = f'\n[[notify]]\ntype = "gobgp"\nargv = ["{tmp_path}/gobgp"]\nhome = ["198.51.100.0/24"]\n'
    daemon = Daemon(wire, tmp_path, "http://127.0.0.1:9/", 'mode = "enforce"', upstream)
    sending = wire.sender(capture)
    until(lambda: " add match destination 198.51.100.7/32 protocol ==6 " in asks.read_text(), 30)
    assert " del " not in asks.read_text()
    if how == "killed":
        daemon.process.kill()
    else:
        order = wire.start(wire.server, sys.executable, "-P", "-m", "floodwatch", "ctl", "panic")
        assert order.wait(30) == 0
    daemon.process.wait(20)
    until(lambda: " del match destination 198.51.100.7/32 protocol ==6 " in asks.read_text())
    assert sending.wait(60) == 0
