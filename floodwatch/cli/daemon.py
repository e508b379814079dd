"""The commands of ``floodwatch ctl`` that need a daemon: where it stands, what happened, what it shall do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from floodwatch.errors import DaemonUnreachable, FloodwatchError

from .asking import Asked, asking
from .options import duration, moment
from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.daemon.picture import Picture

RATE_S = 1.0
"""Time between two looks, for what happens in a second."""
SINCE = click.option("--since", metavar="T", callback=moment,
                     help="From then on: 2025-01-27T02:13:07Z, or so long ago, as 15m or 7d.")  # fmt: skip


def _twice(asked: Asked) -> tuple[Picture, Picture]:
    """Two looks at the daemon, a second apart."""
    from floodwatch.daemon.orders import Status

    before = asked.ask(Status())
    time.sleep(RATE_S)
    return before, asked.ask(Status())


@click.command()
@asking
def status(asked: Asked) -> None:
    """Tell where the daemon stands: mode, interfaces and losses, floods, blocks, what does not work.

    Looks twice, a second apart, to tell rates.
    """
    from floodwatch.daemon.orders import Status

    from .standing import lines

    if asked.as_json:
        asked.print_json(asked.ask(Status()))
    else:
        write_stdout("".join(f"{line}\n" for line in lines(*_twice(asked))).encode())


@click.command()
@asking
def check(asked: Asked) -> None:
    """Say in one line whether all is well, as plugins of monitoring systems do, with numbers behind a bar.

    \b
    Exit codes:
      0    OK
      1    WARNING: something does not work as it should, packets are lost, or a panic holds
      2    CRITICAL: no daemon answers, nothing is watched, or blocks are missing in the kernel
      3    UNKNOWN: no right to ask
    """
    from .standing import CRITICAL, UNKNOWN, verdict

    try:
        found = verdict(*_twice(asked))
    except DaemonUnreachable as error:
        found = CRITICAL, f"floodwatch CRITICAL: {error}"
    except FloodwatchError as error:
        found = UNKNOWN, f"floodwatch UNKNOWN: {error}"
    code, line = found
    if asked.as_json:
        asked.print_json({"code": code, "says": line})
    else:
        write_stdout(f"{line}\n".encode())
    click.get_current_context().exit(code)


@click.command()
@SINCE
@click.option("-f", "--follow", is_flag=True, help="Go on telling what happens, until Ctrl-C.")
@click.option("--limit", type=click.IntRange(0, 10_000), default=100, metavar="N",
              help="The newest N of those before now.")  # fmt: skip
@asking
def events(asked: Asked, **which: Any) -> None:
    """List what became of floods, crowds and surges: the newest, oldest of them first.

    With --json one event a line (floodwatch.event/1).
    """
    from floodwatch.daemon.orders import Events
    from floodwatch.report.formats import FORMATS

    write = FORMATS["ndjson" if asked.as_json else "text"].change
    assert write is not None
    found = False
    for told in asked.client.events(Events(**which)):
        found = True
        write_stdout(write(told.what, told.event))
    asked.exit(found=found)


@click.command()
@asking
def hosts(asked: Asked) -> None:
    """List the hosts that get most packets now."""
    from floodwatch.daemon.orders import Status

    now = asked.ask(Status())
    rows = now.victims
    if asked.as_json:
        asked.print_json([{"host": host, "packets_per_second": rate} for host, rate in rows])
    else:
        write_stdout("".join(f"{host:43} {rate:12,.0f} packets/s\n" for host, rate in rows).encode())
    if len(rows) < now.hosts:
        say(f"these are {len(rows)} of {now.hosts} hosts that get enough to be looked at")
    asked.exit(found=bool(rows))


@click.command()
@asking
def metrics(asked: Asked) -> None:
    """Print what Prometheus would be told now, whether or not it is: the text of its format."""
    from floodwatch.daemon.orders import Metrics

    text = asked.ask(Metrics())
    if asked.as_json:
        asked.print_json(text.splitlines())
    else:
        write_stdout(text.encode())


@click.command()
@click.argument("mode", type=click.Choice(["observe", "suggest", "enforce"]))
@click.option("--confirm", callback=duration, metavar="TIME",
              help="Go back after this time, unless \"ctl confirm\" is given, as 10m.")  # fmt: skip
@asking
def mode(asked: Asked, **order: Any) -> None:
    """Only observe from now on, say what would be blocked, or block it; until the daemon is stopped.

    Write it into the configuration to make it stay longer. An interface that the configuration treats with
    more care keeps its own mode. With --confirm you cannot lock yourself out for long: it goes back by
    itself.
    """
    from floodwatch.daemon.orders import Mode

    if order["confirm"] and order["mode"] != "enforce":
        raise click.UsageError("--confirm is for mode enforce")
    asked.tell(asked.ask(Mode(**order)), aloud=True)


@click.command()
@asking
def reload(asked: Asked) -> None:
    """Let the daemon read its configuration again, as SIGHUP does; a wrong one changes nothing.

    No packet is lost and nothing is forgotten. "floodwatch config check" looks at the files beforehand.
    """
    from floodwatch.daemon.orders import Reload

    asked.tell(asked.ask(Reload()), aloud=True)


@click.command()
@click.option("--since", metavar="T", default="7d", callback=moment,
              help="From then on: 2025-01-27T02:13:07Z, or so long ago, as 15m or 7d.")  # fmt: skip
@asking
def report(asked: Asked, since: float) -> None:
    """Sum up by victim what was blocked, or would have been where the daemon only observes or suggests.

    Read it before you enforce: sources in networks of clients that were known before are named, for these may
    be your users.
    """
    from floodwatch.daemon.orders import Report

    from .standing import told

    found = asked.ask(Report(since=since))
    if asked.as_json:
        asked.print_json(found)
    else:
        write_stdout("".join(f"{line}\n" for line in told(found)).encode())
    asked.exit(found=bool(found.victims))


COMMANDS = (status, check, events, hosts, metrics, mode, reload, report)
