"""How a command of ``ctl`` reaches whom it is for: the kernel by our own right, or a daemon at its socket."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from floodwatch.config.netns import control_socket
from floodwatch.config.settings import SOCKET

from .options import duration
from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.daemon.client import Client
    from floodwatch.daemon.orders import A, Done, Order
    from floodwatch.daemon.rules import RuleOrder

NOTHING = 1
NET_ADMIN = 1 << 12
"""The capability that changing rules takes (capabilities(7))."""


class Asked:
    """The daemon that a command asks, and how it prints what it is told.

    Args:
        socket: where the daemon listens, or None: where it usually does.
        timeout_s: how long an answer may take.
        as_json: print for programs.
    """

    def __init__(self, socket: str | None, timeout_s: int, as_json: bool) -> None:
        self._named = socket is not None
        self._path = Path(socket) if socket is not None else control_socket(SOCKET)
        self._timeout_s, self.as_json = timeout_s, as_json

    @property
    def client(self) -> Client:
        """The daemon."""
        from floodwatch.daemon.client import Client

        return Client(self._path, self._timeout_s)

    def ask(self, order: Order[A]) -> A:
        """What the daemon answers."""
        return self.client.ask(order)

    def give(self, order: RuleOrder[A]) -> A:
        """Carry an order out in the kernel; or, without the right to, or where a socket is named, let the
        daemon do it.

        Raises:
            UsageError: it names no network.
        """
        from floodwatch.daemon.rules import Terms

        if self._named or (not _may_change_rules() and os.path.exists(self._path)):
            return self.ask(order)
        try:
            return order.carry_out(Terms())
        except ValueError as error:
            raise click.UsageError(str(error)) from None

    def tell(self, done: Done, *, aloud: bool = False) -> NoReturn:
        """Print what was done and exit; ``aloud`` on standard error, as talk about it."""
        if self.as_json:
            self.print_json(done)
        elif aloud:
            for line in done.said.splitlines():
                say(line)
        else:
            write_stdout(f"{done.said}\n".encode())
        self.exit(found=done.count > 0)

    def print_json(self, what: object) -> None:
        """Print one JSON value."""
        import msgspec

        write_stdout(msgspec.json.encode(what) + b"\n")

    def exit(self, *, found: bool = True) -> NoReturn:
        """End the command; 1 where nothing matched."""
        click.get_current_context().exit(0 if found else NOTHING)


def asking(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that reach a daemon; it is called with an ``Asked`` first."""

    @click.option("--socket", metavar="PATH", help="Ask the daemon that listens there.")
    @click.option("--timeout", "timeout_s", default="5s", callback=duration, metavar="TIME",
                  help="How long the daemon may take to answer.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="One JSON value for programs.")
    @functools.wraps(command)
    def asked(socket: str | None, timeout_s: int, as_json: bool, **given: Any) -> object:
        return command(Asked(socket, timeout_s, as_json), **given)

    return asked


def sure(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; a script has decided already."""
    return yes or sys.stdin is None or not sys.stdin.isatty() or click.confirm(question)


def _may_change_rules() -> bool:
    with open("/proc/self/status") as file:
        held = next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    return bool(held & NET_ADMIN)
