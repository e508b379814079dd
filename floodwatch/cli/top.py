"""``floodwatch top``: the daemon on a terminal, drawn again every second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from .asking import Asked, asking
from .options import duration
from .output import write_stdout
from .progress import stopping

if TYPE_CHECKING:
    from rich.console import Group

    from floodwatch.daemon.picture import Picture
    from floodwatch.model.event import Event

    from .picture import Rates

LATELY = 1000
"""So many changes tell which floods go on."""
EXAMPLES = """\b
Examples:
  floodwatch top
  floodwatch top --once        one look, for a script or a ticket
  floodwatch top --interval 5s

\b
Exit codes:
  0    done
  4    no right to ask
  5    no daemon answers"""


@click.command(epilog=EXAMPLES)
@click.option("--once", is_flag=True, help="Print one look on standard output and exit.")
@click.option("--interval", default="1s", callback=duration, metavar="TIME", help="Time between two looks.")
@asking
def top(asked: Asked, once: bool, interval: int) -> None:
    """Watch a running daemon: rates, losses, open floods, blocks, and what does not work.

    Shows what "ctl status" and "ctl events" tell, again and again, until Ctrl-C. Needs the right to ask:
    root, or membership of the group that control.group names.
    """
    from floodwatch.daemon.orders import Status

    if asked.as_json:
        asked.print_json(asked.ask(Status()))
        return
    from .picture import Rates
    from .screen import Screen

    before, screen = asked.ask(Status()), Screen()
    rates = Rates(*_counted(before))
    with stopping() as stop:
        if once:
            time.sleep(interval)
            lines = screen.lines(_drawing(asked, rates, before, asked.ask(Status())))
            write_stdout("".join(f"{click.unstyle(line).rstrip()}\n" for line in lines).encode())
            return
        with screen:
            while not stop.event.wait(interval):
                now = asked.ask(Status())
                screen.show(_drawing(asked, rates, before, now))
                before = now


def _counted(picture: Picture) -> tuple[int, int]:
    return sum(link.packets for link in picture.links), sum(link.bytes for link in picture.links)


def _drawing(asked: Asked, rates: Rates, before: Picture, now: Picture) -> Group:
    """Two looks and the floods that go on, as something to draw."""
    from rich.console import Group
    from rich.text import Text

    from .picture import floods
    from .standing import lines

    head = Text(rates.line(*_counted(now), max(now.at - before.at, 0.001)))
    head.append("\n".join(lines(before, now)) + "\n")
    return Group(head, floods(_open(asked)))


def _open(asked: Asked) -> list[Event]:
    """The floods, crowds and surges that go on."""
    from floodwatch.daemon.orders import Events

    held: dict[str, Event] = {}
    for told in asked.client.events(Events(limit=LATELY)):
        held.pop(told.event.id, None)
        if told.what != "ended":
            held[told.event.id] = told.event
    return list(held.values())
