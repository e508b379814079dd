"""``floodwatch config``: the JSON Schema of the report."""

from __future__ import annotations

import click

from .output import write_stdout


@click.group()
def config() -> None:
    """Print the JSON Schema of the report."""


@config.command()
@click.argument("name", type=click.Choice(["report"]), default="report", metavar="[report]")
def schema(name: str) -> None:
    """Print the JSON Schema of the JSON report."""
    from floodwatch.report.json import schema as report_schema

    write_stdout(report_schema())
