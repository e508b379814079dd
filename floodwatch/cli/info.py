"""``floodwatch info``: what is in a capture, before anybody asks about floods."""

from __future__ import annotations

import click

from floodwatch.cli.progress import bar, stopping

from .options import KEYLOG, WHEN
from .output import EXIT_INPUT, write_stdout

EXAMPLES = """\b
Examples:
  floodwatch info capture.pcap
  floodwatch info --keylog keys.log capture.pcap
  floodwatch info --format json captures/ | jq .inputs[].rejected

\b
Exit codes:
  0    all captures were read to their end
  2    usage error
  3    a capture is missing, broken or not understood; what was read of it is reported
  130  interrupted (143: terminated), after reporting what was read"""


@click.command(epilog=EXAMPLES)
@click.argument("captures", nargs=-1, required=True, metavar="FILE|DIR|-...")
@KEYLOG
@click.option("--recursive", is_flag=True, help="Enter the directories below a directory.")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="Output format.")
@click.option("--progress", type=WHEN, default="auto", help="Progress bar on stderr.")
@click.pass_context
def info(ctx: click.Context, captures: tuple[str, ...], keylog: str | None, recursive: bool, style: str,
         progress: str) -> None:  # fmt: skip
    """Tell what is in captures: format, interfaces, times, packets, what could not be read and why,
    tunnels, one direction or both, duplicated frames, and what the capture itself lost.

    Every packet is read; nothing is judged.
    """
    from floodwatch.config.options import ScanOptions
    from floodwatch.model.report import Info
    from floodwatch.pipeline.scan import scan
    from floodwatch.report.escape import look
    from floodwatch.report.info import render_info
    from floodwatch.report.json import dump

    with stopping() as stop, bar(progress) as on_progress:
        report = scan(
            captures,
            ScanOptions(recursive=recursive, describe=True, keylog=keylog),
            on_progress=on_progress,
            stop=stop.event,
        )
    told = Info(tool=report.tool, complete=report.complete, inputs=report.inputs)
    if style == "json":
        write_stdout(dump(told))
    else:
        screen = look("never", to_file=False)
        write_stdout(render_info(told, unicode=screen.unicode, width=screen.width).encode())
    ctx.exit(stop.exit_code or (EXIT_INPUT if any(item.error for item in told.inputs) else 0))
