"""``floodwatch tune``: limits for a network, from traffic of it that is clean."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from floodwatch.cli.progress import bar, stopping

from .options import BASELINE, FALSE_ALARMS, NAT64, SAVE_BASELINE, SET, WHEN, read_limits
from .output import EXIT_INPUT, check_output, complain, kept_file, write_kept, write_stdout

if TYPE_CHECKING:
    from floodwatch.config.nat64 import Translator
    from floodwatch.decide.tuning import Proposal
    from floodwatch.history.memory import Memory

EXAMPLES = """\b
Examples:
  floodwatch tune monday.pcap.gz
  floodwatch tune --save-baseline site.npz captures/
  floodwatch tune --set http_flood=900 monday.pcap.gz     and now?

\b
Exit codes:
  0    the proposal was made
  2    usage error
  3    a capture is missing, broken or not understood; what was read of it counts
  130  interrupted (143: terminated), after reporting what was read"""


@click.command(epilog=EXAMPLES)
@click.argument("captures", nargs=-1, required=True, metavar="FILE|DIR|-...")
@click.option("--recursive", is_flag=True, help="Enter the directories below a directory.")
@BASELINE
@SAVE_BASELINE
@SET
@FALSE_ALARMS
@NAT64
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", help="Output format.")
@click.option("--progress", type=WHEN, default="auto", help="Progress bar on stderr.")
@click.pass_context
def tune(ctx: click.Context, captures: tuple[str, ...], recursive: bool, baseline: str | None,
         save_baseline: str | None, floors: tuple[str, ...], false_alarms: str | None,
         nat64: tuple[Translator, ...], style: str, progress: str) -> None:  # fmt: skip
    """Propose limits from traffic that you know to be clean, and list what would have been named in it.

    Whatever is named in clean traffic is a false alarm. The answer is a threshold for each such vector, and
    an upper bound of how often such traffic may still raise an alarm. Nothing is changed: pass the printed
    options to scan or watch.
    """
    from floodwatch.config.options import ScanOptions
    from floodwatch.decide.tuning import propose
    from floodwatch.history.memory import encode as encode_memory
    from floodwatch.pipeline.scan import scan
    from floodwatch.report.json import dump

    if save_baseline:
        check_output(save_baseline, captures)
    options = ScanOptions(
        recursive=recursive, jobs=len(os.sched_getaffinity(0)), top=0, baseline=baseline,
        limits=read_limits(floors, false_alarms), nat64=nat64,
    )  # fmt: skip
    learnt: list[Memory] = []
    with stopping() as stop, bar(progress) as on_progress:
        report = scan(captures, options, on_progress=on_progress,
                      on_memory=learnt.append if save_baseline else None, stop=stop.event)  # fmt: skip
    complain(report)
    proposal = propose(report)
    if save_baseline:
        write_kept(kept_file(save_baseline), encode_memory(learnt[0]))
    if style == "json":
        write_stdout(dump(proposal))
    else:
        write_stdout(_text(proposal, save_baseline).encode())
    ctx.exit(stop.exit_code or (EXIT_INPUT if any(item.error for item in report.inputs) else 0))


def _text(proposal: Proposal, saved: str | None) -> str:
    from floodwatch.decide.tuning import arguments
    from floodwatch.report.units import duration, plural

    lines = [f"{duration(proposal.hours * 3600)} of traffic taken to be clean"]
    lines.append(f"{plural(len(proposal.named), 'flood')} would have been named" + ":" * bool(proposal.named))
    for named in proposal.named:
        blocked = f", with {plural(len(named.sources), 'source')} listed" if named.sources else ""
        lines.append(f"  {named.vector} at {named.victim}, peak {named.peak:,.0f} {named.unit}{blocked}")
        lines += [f"    {source}" for source in named.sources[:5]]
    if proposal.habits:
        told = ", ".join(proposal.habits)
        lines.append(f"No threshold silences {told}, recognised by behaviour: see who does that, and why.")
    if proposal.most_per_hour is not None:
        most = proposal.most_per_hour
        shown = f"{most:,.0f}" if most >= 10 else f"{most:.2g}"
        lines.append(f"With 95 % probability such traffic gives at most {shown} false alarms an hour;")
        lines.append("more of it gives a tighter figure.")
    options = [*(("--baseline", saved) if saved else ()), *arguments(proposal.floors)]
    if options:
        lines.append(f"To set it: floodwatch watch -i IF {' '.join(options)}")
    elif not proposal.named:
        lines.append("Nothing has to be set.")
    return "\n".join(lines) + "\n"
