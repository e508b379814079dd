"""``floodwatch explain``: one event of a report in full, and rules against it for several systems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from floodwatch.errors import ConfigError, InputError

from .output import write_stdout

if TYPE_CHECKING:
    from floodwatch.model.event import Event
    from floodwatch.model.report import Report

EXAMPLES = """\b
Examples:
  floodwatch scan --format json --top 0 -o report.json edge.pcap
  floodwatch explain report.json 1
  floodwatch explain report.json 1 --as nft | sudo nft -f -
  floodwatch explain report.json 1 --as nft --router   for a host in front of the victim
  floodwatch explain report.json 1 --as nginx > deny.conf"""


@click.command(epilog=EXAMPLES)
@click.argument("report", metavar="REPORT")
@click.argument("event", metavar="EVENT")
@click.option("--as", "style", default="text", type=click.Choice(
              ["text", "nft", "iptables", "flowspec", "rtbh", "nginx", "haproxy", "cdn"]),
              help="What to print: everything about the event, rules or a deny list.")  # fmt: skip
@click.option("--router", is_flag=True,
              help="Rules for a router in front of the victim instead of its own host.")  # fmt: skip
def explain(report: str, event: str, style: str, router: bool) -> None:
    """Show one event of a JSON report: EVENT is its number in the report (1 is the first flood), or its id.

    The rules are those that a watch with --mode enforce would load. They never name a source that is not
    proven real. A flood that came through a proxy is told by its clients: nginx, haproxy and cdn print them
    for the proxy's own deny list. Read all of it before you load it.
    """
    from floodwatch.mitigate.ruletext import render

    found = _find(report, event)
    try:
        text = render(found, style, router=router)
    except InputError as error:  # which names the capture that the report is about
        raise InputError(report, error.code, str(error)) from None
    write_stdout(text.encode())


def _find(path: str, wanted: str) -> Event:
    from floodwatch.model.report import Report
    from floodwatch.report.json import load

    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise InputError(path, "unreadable", f"cannot be read: {error.strerror}") from error
    return pick(load(raw, path, Report), wanted, path)


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
