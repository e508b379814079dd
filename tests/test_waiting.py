"""Real programs that hold a real server's places inside TLS, or make it reset what they ask for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import Need

import floodwatch as fw

if TYPE_CHECKING:
    from lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.slow]
CLIENTS, BROWSERS, APART = 4, 12, 20


def recorded(wire: Lab, need: Need, folder: Path, *clients: tuple[str, ...]) -> fw.Report:
    """The report on what these clients of ``encrypted.py`` do at once."""
    for tool in ("nginx", "openssl"):
        need(shutil.which(tool) or Path(f"/usr/sbin/{tool}").exists(), f"{tool} is not installed")
    import encrypted

    capture = folder / "tls.pcap"
    with encrypted.nginx(wire, folder), encrypted.recording(wire, capture):
        running = [wire.start(wire.client, sys.executable, encrypted.__file__, *who) for who in clients]
        assert [one.wait(60) for one in running] == [0] * len(clients)
    return fw.scan(capture)


def named(event: fw.Event) -> set[str]:
    import encrypted

    numbers = {encrypted.address(number): number for number in range(encrypted.MOST)}
    return {source.cidr for source in event.sources.top if numbers[source.cidr] < CLIENTS}


@pytest.mark.parametrize(("kind", "seconds", "rate"), [("mute", "22", "1"), ("endless", "22", "0.5")])
def test_who_waits_is_named_and_browsers_that_keep_connections_are_not(
    kind: str, seconds: str, rate: str, wire: Lab, need: Need, tmp_path: Path
) -> None:
    report = recorded(
        wire, need, tmp_path,
        (kind, seconds, str(CLIENTS), rate), ("keeping", seconds, str(BROWSERS), "0.7", str(APART)),
    )  # fmt: skip
    (event,) = [flood for flood in report.floods if flood.vector is fw.Vector.SLOW_HTTP]
    assert event.sources.origin == "real"
    assert len(named(event)) == len(event.sources.top) == CLIENTS
    assert "TLS hides which" in event.evidence[0].says
    assert event.fingerprints[0].ja4 == event.sources.top[0].ja4
    for flood in report.floods:  # and no browser is in any
        assert len(named(flood)) == len(flood.sources.top)


def test_a_server_that_is_made_to_reset_is_told_from_one_that_is_asked_much(
    wire: Lab, need: Need, tmp_path: Path
) -> None:
    report = recorded(
        wire, need, tmp_path, ("provoking", "4", "2", "200"), ("http2", "4", "2", "3", str(APART))
    )
    (event,) = report.floods
    assert event.vector is fw.Vector.MADEYOURESET
    assert len(named(event)) == len(event.sources.top) == 2
    assert event.rate.estimated
    assert event.rate.lo is not None
    assert event.rate.hi is not None
    assert event.rate.lo <= 400 <= event.rate.hi
