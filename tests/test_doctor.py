"""What `doctor` says of a host, in a namespace of its own where that takes root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab

DOCTOR = (sys.executable, "-P", "-m", "floodwatch", "doctor")


def checks(*before: str, **environment: str) -> tuple[int, dict[str, dict[str, str]]]:
    run = subprocess.run([*before, *DOCTOR, "--json"], capture_output=True, check=False, cwd="/",
                         env={**os.environ, **environment})  # fmt: skip
    told = json.loads(run.stdout)
    assert told["schema"] == "floodwatch.doctor/1"
    return run.returncode, {check["name"]: check for check in told["checks"]}


def test_it_says_what_is_missing_without_rights_and_how_to_get_it(need: Any) -> None:
    need(os.geteuid() == 0, "rights can be taken away by root only")
    code, found = checks("setpriv", "--bounding-set", "-net_raw,-net_admin")
    assert code == 4
    assert (found["capture"]["state"], found["rules"]["state"]) == ("missing", "missing")
    assert "setcap cap_net_raw+ep" in found["capture"]["do"]
    assert found["never blocked"]["state"] == "ok"
    text = subprocess.run([*DOCTOR], capture_output=True, text=True, check=False, cwd="/").stdout
    assert "SYN cookies" in text


def test_your_own_session_is_looked_at() -> None:
    _, found = checks(SSH_CONNECTION="203.0.113.77 50000 198.51.100.7 2222")
    assert found["your session"]["state"] == "missing"
    assert found["your session"]["do"] == "give --never 203.0.113.77 whenever you enforce"
    _, found = checks(SSH_CONNECTION="127.0.0.1 50000 127.0.0.1 2222")
    assert found["your session"]["state"] == "ok"


def test_a_host_without_zstandard_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "zstandard.py").write_text("raise ImportError")
    (tmp_path / "compression.py").write_text("")
    _, found = checks(PYTHONPATH=str(tmp_path))
    assert found["packed captures"]["state"] == "note"
    assert found["packed captures"]["do"] == "pip install 'floodwatch[zstd]'"


@pytest.mark.root
def test_it_sees_the_kernel_as_it_is(wire: Lab) -> None:
    def inside(*words: str) -> dict[str, dict[str, str]]:
        run = wire.start(
            wire.server, sys.executable, "-P", "-m", "floodwatch", *words, stdout=subprocess.PIPE
        )
        out, _ = run.communicate(timeout=30)
        return {c["name"]: c for c in json.loads(out)["checks"]} if words[0] == "doctor" else {}

    before = inside("doctor", "--json")
    assert before["capture"]["state"] == "ok"
    assert "0 blocks" in before["rules"]["says"]
    inside("ctl", "block", "203.0.113.9", "--for", "1m")
    assert "1 blocks" in inside("doctor", "--json")["rules"]["says"]
    script = "open('/proc/sys/net/ipv4/tcp_syncookies', 'w').write('0')"
    assert wire.start(wire.server, sys.executable, "-c", script).wait(10) == 0
    cookies = inside("doctor", "--json")["SYN cookies"]
    assert (cookies["state"], cookies["do"]) == ("missing", "sysctl -w net.ipv4.tcp_syncookies=1")
