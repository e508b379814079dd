"""A load balancer on a real wire, before a watch that enforces: it is never blocked nor limited."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.mark.parametrize("scenario", ["proxied_flood", "proxy_line_flood"])
def test_p61_a_proxy_is_never_blocked_nor_limited(scenario: str, wire: Lab, tmp_path: Path) -> None:
    capture = tmp_path / "x.pcap"
    truth = synth.make(scenario, capture, synth.Params(duration=3.0))
    watch = wire.floodwatch("watch", "-i", "vb", "--format", "ndjson", "--mode", "enforce", "--top", "0")
    sender = wire.sender(capture)
    tables = []
    while sender.poll() is None:
        done = subprocess.run(
            ["ip", "netns", "exec", wire.server, "nft", "list", "ruleset"], capture_output=True, check=False
        )
        tables.append(done.stdout.decode())
        try:
            sender.wait(0.5)
        except subprocess.TimeoutExpired:
            continue
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=20)
    (flood,) = json.loads(out.splitlines()[-1])["floods"]
    assert {top["cidr"] for top in flood["sources"]["top"]} == set(truth.floods[0].sources or ())
    assert {via["cidr"] for via in flood["sources"]["via"]} == set(truth.floods[0].via)
    assert flood["action"]["taken"] == "none"
    assert any("table inet floodwatch" in table for table in tables)
    assert not any("10.0.0.1" in table or "fw:2" in table for table in tables)
    assert "add " not in err.decode()
