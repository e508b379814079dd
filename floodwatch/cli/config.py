"""``floodwatch config``: write, check and show the configuration of the daemon, and print JSON Schemas."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from floodwatch.config.files import CONFIGURATION
from floodwatch.errors import ConfigError, EnvironmentFault

from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.config.settings import Settings


@click.group()
def config() -> None:
    """Write, check and show the configuration of the daemon; print JSON Schemas."""


@config.command()
@click.option("--root", default="/", metavar="DIR", help="Write below DIR, as for an image.")
def init(root: str) -> None:
    """Write a configuration that observes every interface with a default route.

    Nothing is overwritten: with a file there already it fails.
    """
    from floodwatch.config.written import fresh
    from floodwatch.mitigate.places import ways_out

    path = os.path.join(root, CONFIGURATION.lstrip("/"))
    try:
        os.makedirs(os.path.join(os.path.dirname(path), "conf.d"), mode=0o755, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "w") as file:
            file.write(fresh(ways_out() or ["any"]))
    except FileExistsError:
        raise ConfigError(f"{path} is there already, and stays as it is") from None
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"wrote {path}: it observes, and blocks nothing\nnext: floodwatch config check {path}")


@config.command()
@click.argument("file", default=CONFIGURATION)
def check(file: str) -> None:
    """Read FILE and conf.d beside it, and tell what would run; every error with its line and column.

    Exit code 0: all is well, 2: there are errors.
    """
    from floodwatch.daemon.configuration import load

    loaded = load(file)
    click.echo(f"{file}: good")
    for name, words in _told(loaded.settings):
        click.echo(f"  {name:<10}{words}")
    for note in loaded.notes:
        say(note)


@config.command()
@click.argument("file", default=CONFIGURATION)
@click.option("--origin", is_flag=True, help="Add where each value was written.")
def show(file: str, origin: bool) -> None:
    """Print all settings that hold, as one file."""
    from floodwatch.config.written import effective
    from floodwatch.daemon.configuration import load

    write_stdout(effective(load(file).whole, origin=origin).encode())


@config.command()
@click.argument("name", type=click.Choice(["report", "config"]), default="report", metavar="[report|config]")
def schema(name: str) -> None:
    """Print the JSON Schema of the JSON report, or of the configuration file."""
    from floodwatch.report import json

    if name == "report":
        write_stdout(json.schema())
        return
    from floodwatch.config.schema import schema as config_schema

    write_stdout(json.pretty(config_schema()))


def _told(settings: Settings) -> list[tuple[str, str]]:
    """What would run, in a few lines."""
    from floodwatch.config.durations import spelled

    rules = settings.rules
    watched = ", ".join(f"{one.name} ({one.mode or settings.mode})" for one in settings.interfaces)
    time = f"{spelled(rules.ttl_s)} to {spelled(rules.ttl_max_s)}"
    metrics = settings.metrics.listen or settings.metrics.textfile or "not told"
    lines = [
        ("watches", watched),
        (
            "rules",
            f"{rules.backend}, {rules.max_blocks:,} blocks at most, {time} each; at stop: {rules.on_stop}",
        ),
        ("services", ", ".join(f"{one} ({one.role})" for one in settings.services)),
        ("never", ", ".join([*settings.never, *filter(None, [settings.never_file])])),
        ("notifies", ", ".join(one.type for one in settings.notify)),
        ("metrics", metrics),
        ("control", settings.control.socket),
        ("state", settings.state),
    ]
    return [(name, words) for name, words in lines if words]
