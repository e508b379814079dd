"""``floodwatch run``: the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from floodwatch.config.files import CONFIGURATION

from .output import EXIT_CODES, say, write_stdout

if TYPE_CHECKING:
    from collections.abc import Callable

    from floodwatch.config.settings import Mode, Settings
    from floodwatch.mitigate import Act
    from floodwatch.model.event import Change

EXAMPLES = (
    """\b
Examples:
  sudo floodwatch run                          what the configuration says
  sudo floodwatch run -i eth0                  only watch, as a fresh install does
  sudo floodwatch run -i eth0 --mode enforce

"""
    + EXIT_CODES
)


@click.command(epilog=EXAMPLES)
@click.option("--config", "path", metavar="FILE",
              help=f"Configuration, see \"config check\" [default: {CONFIGURATION}].")  # fmt: skip
@click.option("-i", "--interface", "interfaces", multiple=True, metavar="IF",
              help="Watch this without a configuration; repeatable. any is all of them.")  # fmt: skip
@click.option("--mode", type=click.Choice(["observe", "suggest", "enforce"]),
              help="With -i: only watch; say what would be blocked; or block it.")  # fmt: skip
@click.pass_context
def run(ctx: click.Context, path: str | None, interfaces: tuple[str, ...], mode: Mode | None) -> None:
    """Watch as a service: two processes, of which the one that parses packets holds no right.

    The sensor runs as user "floodwatch" (if there is none, 61017), reaches no file and no network, and only
    asks. What it asks for is held against the mode, the limits and who must never be blocked, and what stands
    is read back from the kernel.
    """
    import asyncio
    from contextlib import suppress

    if path is not None and interfaces:
        raise click.UsageError("give a configuration, or interfaces to watch without one")
    if mode is not None and not interfaces:
        raise click.UsageError("--mode is for -i; a configuration says its own")

    from floodwatch.daemon.process import spawn

    spawned = spawn()  # it imports its part while we import ours

    from floodwatch.daemon.enforcer import Enforcer
    from floodwatch.daemon.log import Log

    def load() -> Settings:
        return _given(interfaces, mode) if interfaces else _configured(path or CONFIGURATION)

    async def main() -> int:
        log, events = Log(say), Log(lambda text: write_stdout(text.encode() + b"\n"))
        keeping = asyncio.gather(log.keep(), events.keep())
        try:
            return await Enforcer(load, log, (_Printer(log, events),), answer=say, spawned=spawned).run()
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    ctx.exit(asyncio.run(main()))


def _given(interfaces: tuple[str, ...], mode: Mode | None) -> Settings:
    from floodwatch.config.settings import Interface, Settings

    named = tuple(Interface(name=name) for name in dict.fromkeys(interfaces))
    return Settings(interfaces=named, mode=mode or "observe")


def _configured(path: str) -> Settings:
    from floodwatch.daemon.configuration import load

    loaded = load(path)
    for note in loaded.notes:
        say(note)
    return loaded.settings


class _Printer:
    """Writes a line for each event and each act.

    Args:
        log: for people.
        events: takes lines about them.
    """

    def __init__(self, log: Callable[[str], object], events: Callable[[str], object]) -> None:
        self._log, self._events = log, events

    def changed(self, change: Change) -> None:
        from floodwatch.report.events import line

        self._events(line(change.what, change.event).decode().rstrip("\n"))

    def acted(self, act: Act) -> None:
        self._log(act.says)
