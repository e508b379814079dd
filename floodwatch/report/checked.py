"""What a report that comes back from a file must hold beyond its types, so that any format can be made of it.

Anybody may have written the file: texts that stand where addresses and times belong are refused here, once,
and not found out by whoever draws or maps them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address, ip_network

from floodwatch.model.report import Report
from floodwatch.model.vector import protocol_number

YEARS = range(1970, 2555)
"""Of packet time: what 64 bits of nanoseconds hold."""


def check(report: Report) -> None:
    """Go through a report.

    Raises:
        ValueError: something is no address, protocol, time or course; the message says what.
    """
    for stamp in _stamps(report):
        if datetime.fromisoformat(stamp).year not in YEARS:
            raise ValueError(f"{stamp} is no time of a packet")
    for event in report.events():
        ip_network(event.victim.ip)
        for source in (*event.sources.top, *event.sources.seen):
            ip_network(source.cidr)
        for via in event.sources.via:
            ip_network(via.cidr)
        protocol_number(event.victim.protocol)
    for near in report.nearest:
        ip_network(near.victim.ip)
    for measured in report.traffic:
        for host in measured.hosts:
            ip_address(host.address)
        if len({len(rates) for rates in measured.packets.values()}) > 1:
            raise ValueError("the rates of its traffic are of different lengths")


def _stamps(report: Report) -> Iterator[str]:
    for item in report.inputs:
        yield from (stamp for stamp in (item.first, item.last) if stamp)
    for event in report.events():
        yield from (event.first, event.detected, event.last)
    yield from (measured.first for measured in report.traffic)
    yield from (near.at for near in report.nearest)
