"""``floodwatch explain``: one event of a report in full, and rules against it for several systems."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from floodwatch.errors import ConfigError, InputError

from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.model.address import Network
    from floodwatch.model.event import Event
    from floodwatch.model.report import Report

DENY_LISTS = ("nginx", "haproxy", "cdn")
EXAMPLES = """\b
Examples:
  floodwatch scan --format json --top 0 -o report.json edge.pcap
  floodwatch explain report.json 1
  floodwatch explain report.json 198.51.100.7
  floodwatch explain report.json 1 --as nft | sudo nft -f -
  floodwatch explain report.json 1 --as nft --router   for a host in front of the victim
  floodwatch explain report.json 1 --as nginx > deny.conf"""


@click.command(epilog=EXAMPLES)
@click.argument("report", metavar="REPORT")
@click.argument("event", metavar="EVENT|ADDRESS")
@click.option("--as", "style", default="text", type=click.Choice(
              ["text", "nft", "iptables", "flowspec", "rtbh", *DENY_LISTS]),
              help="What to print: everything about the event, rules or a deny list.")  # fmt: skip
@click.option("--router", is_flag=True,
              help="Rules for a router in front of the victim instead of its own host.")  # fmt: skip
def explain(report: str, event: str, style: str, router: bool) -> None:
    """Show one event of a JSON report: EVENT is its number in the report (1 is the first flood), or its id.

    Of an ADDRESS, or a network, all is shown that the report tells: as a victim, as a source, as one that
    came near a flood, or that it was normal.

    The rules are those that a watch with --mode enforce would load. They never name a source that is not
    proven real. A flood that came through a proxy is told by its clients: nginx, haproxy and cdn print them
    for the proxy's own deny list. Read all of it before you load it.
    """
    from floodwatch.report.escape import look
    from floodwatch.report.explained import address_text, event_text, fewer

    held, screen = _read(report), look("never", to_file=False)
    network = _network(event)
    if network is not None:
        if style != "text":
            raise ConfigError("rules are against an event, not an address: give its number, or its id")
        text = address_text(held, network, report, width=screen.width, unicode=screen.unicode)
        return write_stdout(text.encode())
    found = pick(held, event, report)
    if style == "text":
        text = event_text(found, width=screen.width, unicode=screen.unicode)
    else:
        text = _rules(found, style, report, router=router)
    names_sources = style in ("text", *DENY_LISTS) or found.sources.origin == "real"
    if names_sources and fewer(found):
        say(f"{report}: {fewer(found)}")
    return write_stdout(text.encode())


def _rules(found: Event, style: str, path: str, *, router: bool) -> str:
    from floodwatch.mitigate.ruletext import render

    try:
        return render(found, style, router=router)
    except InputError as error:  # which names the capture that the report is about
        raise InputError(path, error.code, str(error)) from None


def _network(text: str) -> Network | None:
    """The address that was asked for; None where it is none."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    inner = network.network_address.ipv4_mapped if network.version == 6 else None
    return ipaddress.ip_network(inner) if inner and network.prefixlen == network.max_prefixlen else network


def _read(path: str) -> Report:
    from floodwatch.model.report import Report
    from floodwatch.report.json import load

    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise InputError(path, "unreadable", f"cannot be read: {error.strerror}") from error
    return load(raw, path, Report)


def pick(report: Report, wanted: str, path: str) -> Event:
    """The event of that number or id.

    Raises:
        ConfigError: there is none; the message names ``path``.
    """
    events = report.events()
    for number, event in enumerate(events, 1):
        if wanted in (str(number), event.id):
            return event
    raise ConfigError(
        f"{path} has no event {wanted}: it holds 1 to {len(events)}" if events else f"{path} has no event"
    )
