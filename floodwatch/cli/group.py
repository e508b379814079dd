"""The group of all commands: imports one when it is called, and keeps the meaning of the exit codes."""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import click

from floodwatch.config.spelling import meant
from floodwatch.errors import ConfigErrors, FloodwatchError, InputError

from .output import EXIT_ENVIRONMENT, EXIT_SIGNAL, discard_stdout, say


class LazyGroup(click.Group):
    """A group that imports heavy commands when they are called and keeps the meaning of the exit codes."""

    def __init__(self, *args: Any, parts: Mapping[str, str] | None = None, **extra: Any) -> None:
        """Take ``parts``: name of a command (module and function of the same name) -> its short help."""
        super().__init__(*args, **extra)
        self.parts = dict(parts or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, imported or not."""
        return sorted([*super().list_commands(ctx), *self.parts])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, importing its module if need be."""
        if cmd_name not in self.parts:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(f"floodwatch.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; who misspelt it is told what is near."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = meant(args[0], self.list_commands(ctx))
            raise click.UsageError(error.message.rstrip(".") + (near or "."), ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their short help, without importing anything."""
        rows = [(name, command.get_short_help_str(60)) for name, command in self.commands.items()]
        rows += self.parts.items()
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse; ``--help`` prints here."""
        with _quiet_when_nobody_reads():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command."""
        with _quiet_when_nobody_reads():
            return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run and exit; click alone would answer 1, "flood found", to Ctrl-C and to a crash."""
        run = partial(super().main, *args, **{**extra, "standalone_mode": False})
        return sys.exit(_guarded(run)) if extra.get("standalone_mode", True) else run()


@contextlib.contextmanager
def _quiet_when_nobody_reads() -> Iterator[None]:
    """End like other tools when standard output is closed; click would exit with 1, "flood found"."""
    try:
        yield
    except BrokenPipeError:
        discard_stdout()
        raise click.exceptions.Exit(EXIT_SIGNAL + signal.SIGPIPE) from None


def _guarded(run: Callable[[], object]) -> int:
    """Call ``run`` and turn whatever it raises into one line on standard error and an exit code."""
    try:
        code = run()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return EXIT_SIGNAL + signal.SIGINT
    except ConfigErrors as error:
        for line in error.lines:
            say(line)
        return error.exit_code
    except FloodwatchError as error:
        say(f"{error.path}: {error}" if isinstance(error, InputError) else str(error))
        return error.exit_code
    except (OSError, MemoryError) as error:
        say(str(error) or type(error).__name__)
    except Exception:
        traceback.print_exc()
        say("this is a bug, please report it with the lines above")
    return EXIT_ENVIRONMENT
