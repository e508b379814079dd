"""``floodwatch completion``: the script with which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

EPILOG = """\b
Examples:
  floodwatch completion bash > /etc/bash_completion.d/floodwatch
  floodwatch completion zsh > ~/.zfunc/_floodwatch
  floodwatch completion fish > ~/.config/fish/completions/floodwatch.fish
"""


@click.command(epilog=EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes commands and options in SHELL; it asks floodwatch itself."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "floodwatch", "_FLOODWATCH_COMPLETE").source())
