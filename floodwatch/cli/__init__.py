"""The command line: thin, and quick to answer ``--help``.

Nothing heavy is imported before a command really runs; at the top stand only click and light modules.
"""

from __future__ import annotations

import contextlib
import os

import click

from floodwatch.version import __version__

from .group import LazyGroup
from .output import EXIT_CODES, PROGRAM

COMMANDS = {
    "completion": "Print a script that completes commands and options in your shell.",
    "config": "Write, check and show the daemon's configuration; JSON Schemas.",
    "ctl": "Ask the daemon, give orders, list what stands, take all back.",
    "doctor": "Check this host: what is missing, what could lock you out.",
    "explain": "Show one event of a report, and rules against it.",
    "gen": "Write captures with known floods in them.",
    "install": "Make a systemd service of the program.",
    "info": "Describe a capture: format, times, packets, what cannot be decoded.",
    "run": "Watch as a service, in two processes.",
    "scan": "Look for floods in packet captures.",
    "sketch": "Inspect, merge and query saved sketches.",
    "top": "Watch a running daemon on a terminal.",
    "tune": "Propose limits from clean traffic.",
    "watch": "Look for floods on live interfaces.",
}
"""Each is a function of a module of the same name; the texts are shown without importing it."""

# NumPy's linear algebra would start a thread a core, which nothing here uses and start-up pays for.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
EPILOG = (
    """\b
Examples:
  floodwatch scan capture.pcap      what floods are in this capture?
  floodwatch scan --help            its options, with more examples
  sudo floodwatch watch -i eth0     what is happening right now?

"""
    + EXIT_CODES
)


@click.group(cls=LazyGroup, parts=COMMANDS, context_settings=SETTINGS, epilog=EPILOG)
@click.version_option(__version__, "-V", "--version", prog_name="floodwatch", message="%(prog)s %(version)s")
def main() -> None:
    """Find floods in packet captures, tell a crowd from an attack, and show the evidence."""


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"floodwatch {__version__}")


def run() -> None:
    """Run as a program of its own, under its own name (comm in proc(5)), whatever Python is called."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as name:
        name.write("floodwatch")
    main(prog_name="floodwatch", obj=PROGRAM)
