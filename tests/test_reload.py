"""The daemon reads its configuration again: whole or not at all, and without losing what it sees."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from floodwatch import synth

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab
from test_daemon import Daemon, eventually, nft, rules

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.usefixtures(nft.__name__)]
GOOD = 'schema = 1\nmode = "{}"\ninterfaces = ["vb"]\n'
BAD = "schema = 1\nmode = 5\n"


def test_p52_a_bad_configuration_changes_nothing_and_says_so_and_storms_coalesce(
    wire: Lab, tmp_path: Path
) -> None:
    file, capture = tmp_path / "f.toml", tmp_path / "syn.pcap"

    def write(text: str) -> None:
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(file)

    truth = synth.make("syn_flood", capture, synth.Params(duration=3))
    write(GOOD.format("observe"))
    daemon = Daemon(wire, "--config", str(file))
    write(BAD)
    daemon.process.send_signal(signal.SIGHUP)
    assert f"{file}:2:8: mode = 5: this is a whole number" in daemon.until("was not taken over")
    assert "table" not in rules(wire)
    write(GOOD.format("enforce"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.until("the configuration was read again")
    assert eventually(lambda: "table inet floodwatch" in rules(wire))
    sender = wire.sender(capture)
    for number in range(1000):
        if number % 50 == 0:
            write(BAD if number % 100 else GOOD.format("enforce"))
        daemon.process.send_signal(signal.SIGHUP)
    write(GOOD.format("observe"))
    daemon.process.send_signal(signal.SIGHUP)
    assert eventually(lambda: "table" not in rules(wire), 60)
    assert sender.wait(30) == 0
    assert eventually(lambda: daemon.counted() >= truth.packets, 30)
    assert daemon.end() == 0
    assert "another one starts" not in daemon.said
    taken, refused = daemon.said.count("was read again"), daemon.said.count("was not taken over")
    assert 2 <= taken + refused < 900
