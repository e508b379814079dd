"""Small captures of kinds that people reported, each with its truth: FLOODWATCH_CASES names their folder."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import floodwatch as fw
from floodwatch.model.event import Event

GIVEN = os.environ.get("FLOODWATCH_CASES")
Scan: TypeAlias = Callable[[str], fw.Report]
SILENT = (
    "video_calls_3478",
    "syslog_src_port_514",
    "syslog_other_ports",
    "each_asks_once_220",
    "frontend_to_api_steady",
)
NAMED = {
    "control": "syn_flood",
    "syn_burst_then_quiet": "syn_flood",
    "control_syn_0.2_of_0.5s": "syn_flood",
    "same_200_syns_over_and_over": "syn_flood",
    "ttag_8988": "syn_flood",
    "erspan_with_ttag": "syn_flood",
    "pflog_117": "syn_flood",
    "closed_port_refuses_all": "syn_flood",
    "control_GET": "http_flood",
    "nat64_four_bots": "http_flood",
    "udp_length_4": "malformed_flood",
    "tcp_offset_0": "malformed_flood",
    "ipv6_11_extension_headers": "malformed_flood",
}
PULSES = {
    "syn_pulses_quiet_link": "syn_flood",
    "ack_pulses_0.2_of_0.5s": "ack_flood",
    "fin_pulses_0.2_of_0.5s": "fin_flood",
}


@pytest.fixture
def scan(need: Any) -> Scan:
    """Scans a case by its name."""
    need(GIVEN is not None, "FLOODWATCH_CASES names the folder of the cases")
    return lambda name: fw.scan(Path(GIVEN or ".") / f"{name}.pcap.gz", seed=bytes(16))


def only(report: fw.Report) -> Event:
    (flood,) = report.floods
    return flood


@pytest.mark.parametrize("name", SILENT)
def test_who_is_served_is_no_flood(scan: Scan, name: str) -> None:
    assert scan(name).floods == ()


@pytest.mark.parametrize(("name", "vector"), NAMED.items())
def test_the_flood_is_named_and_nothing_else(scan: Scan, name: str, vector: str) -> None:
    assert only(scan(name)).vector == vector


@pytest.mark.parametrize(("name", "vector"), PULSES.items())
def test_pulses_are_one_flood_that_comes_in_pulses(scan: Scan, name: str, vector: str) -> None:
    flood = only(scan(name))
    assert (flood.vector, "pulse" in flood.pattern) == (vector, True)


def test_bots_behind_a_translator_are_listed_one_by_one(scan: Scan) -> None:
    flood = only(scan("nat64_four_bots"))
    listed = {ipaddress.ip_network(source.cidr) for source in flood.sources.top}
    assert listed == {ipaddress.ip_network(f"64:ff9b::cb00:71{n:02x}") for n in range(10, 14)}


def test_a_closed_port_is_told_and_cookies_are_not_advised(scan: Scan) -> None:
    flood = only(scan("closed_port_refuses_all"))
    assert "the port is closed" in flood.evidence[0].says
    assert flood.action.recommended == "observe"
    assert flood.sources.origin == "unknown"
