"""``floodwatch scan``: look for floods in captures."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import click

from floodwatch.cli.progress import bar, stopping
from floodwatch.report.escape import printable
from floodwatch.report.formats import FORMATS, Shown

from .explain import pick
from .filters import FILTER_WORDS, FilterCommand, one_filter, split_words
from .options import (
    AT_LEAST_1,
    BASELINE,
    FALSE_ALARMS,
    KEYLOG,
    NAT64,
    PROFILE,
    PROXY,
    SAVE_BASELINE,
    SET,
    WHEN,
    read_limits,
    read_seed,
    read_time,
)
from .output import (
    EXIT_CODES,
    EXIT_FLOOD,
    EXIT_INPUT,
    PROGRAM,
    check_output,
    complain,
    kept_file,
    say,
    write,
    write_kept,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floodwatch.config.options import ScanOptions
    from floodwatch.history.memory import Memory
    from floodwatch.model.event import Change
    from floodwatch.model.report import Report

EXAMPLES = (
    """\b
Examples:
  floodwatch scan capture.pcap
  floodwatch scan --report night.html edge.pcap.gz
  floodwatch scan --cut 1 -w evidence.pcapng edge.pcap.gz
  floodwatch scan --format json -o report.json edge.pcap.gz
  floodwatch scan -r edge.pcap -- tcp port 443
  floodwatch scan --merge inbound.pcap outbound.pcap
  floodwatch scan --keylog keys.log edge.pcap
  floodwatch scan --since 2025-01-27T02:13:00Z edge.pcap
  tcpdump -w - -c 100000 | floodwatch scan -

"""
    + EXIT_CODES
)


def exit_code(report: Report, *, strict: bool, exit_zero: bool) -> int:
    """Return what ``scan`` exits with after a complete run."""
    broken = any(item.error for item in report.inputs)
    if broken and (strict or not report.floods):
        return EXIT_INPUT
    return EXIT_FLOOD if report.floods and not exit_zero else 0


def _tell(change: Change) -> None:
    from floodwatch.report.events import line

    click.echo(line(change.what, change.event).decode(), err=True, nl=False)


def read_ja4(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Fingerprints as ``info`` lists them."""
    for value in values:
        if not re.fullmatch(r"[tdq]\w{2}[di]\d{4}\w{2}(_[0-9a-f]{12}){2}", value):
            raise click.BadParameter(
                f"{value} is no JA4 fingerprint; floodwatch info lists those of a capture"
            )
    return values


def _check_cut(event: str | None, file: str | None, paths: Sequence[str], options: ScanOptions) -> None:
    """Refuse what cannot be cut, before hours of reading."""
    if event is None or not file:
        raise click.UsageError("--cut EVENT and -w FILE.pcapng go together")
    if options.follow or options.ja4:
        raise click.UsageError("--cut goes with neither --follow nor --filter-ja4")
    once = [path for path in paths if path == "-" or (os.path.exists(path) and _read_once(path))]
    if once:
        name = "standard input" if once[0] == "-" else printable(once[0])
        raise click.UsageError(f"--cut reads a capture twice, {name} can be read once: save it to a file")


def _read_once(path: str) -> bool:
    return not (os.path.isfile(path) or os.path.isdir(path))


def _cut(report: Report, wanted: str, file: str, options: ScanOptions, most: int) -> None:
    """Write the frames of an event, and say how many they are."""
    from floodwatch.pipeline.cut import BYTES_MOST, cut

    event = pick(report, wanted, "the report")
    paths = [item.path for item in report.inputs if options.merge or item.path == event.input]
    made = cut(event, paths, options, most)
    write(file, made.data)
    bound = f", then --write-max or {BYTES_MOST >> 20} MiB were reached" if made.bounded else ""
    flows = f"; flows by Community ID: {', '.join(made.flows)}" if made.flows else ""
    say(f"wrote {made.frames:,} frames of {event.id} to {file}{bound}{flows}")


@click.command(cls=FilterCommand, epilog=EXAMPLES, options_metavar="[OPTIONS]")
@click.argument("words", nargs=-1, metavar="[FILE|DIR|-]... [-- FILTER WORDS]")
@click.option("-r", "--read", "reads", multiple=True, metavar="FILE", help="Capture to read; repeatable.")
@click.option("-f", "--filter", "bpf", metavar="BPF", help="Count only packets that match, as in tcpdump.")
@click.option("-F", "--filter-file", metavar="FILE", help="Read the filter from FILE.")
@click.option("--filter-ja4", "ja4", multiple=True, callback=read_ja4, metavar="JA4",
              help="Count only packets of hosts that greet with this fingerprint; repeatable.")  # fmt: skip
@click.option("--recursive", is_flag=True, help="Enter the directories below a directory.")
@KEYLOG
@click.option("--since", "since_ns", callback=read_time, metavar="T",
              help="Count packets from T on: 2025-01-27T02:13:07Z, or seconds since 1970.")  # fmt: skip
@click.option("--until", "until_ns", callback=read_time, metavar="T", help="Count packets before T.")
@click.option("--merge", is_flag=True, help="Merge all captures by time, as if one had seen all packets.")
@click.option("--follow", is_flag=True,
              help="Read the file as it grows and print events as they come, until Ctrl-C.")  # fmt: skip
@click.option("--jobs", type=AT_LEAST_1, default=lambda: len(os.sched_getaffinity(0)), metavar="N",
              show_default="all usable cores", help="Parallel workers; the result is the same.")  # fmt: skip
@click.option("--seed", callback=read_seed, metavar="HEX", help="Hash key, 32 hex digits [default: random].")
@click.option("--max-expand", type=AT_LEAST_1, default=100, metavar="N",
              help="Stop when a compressed capture grows to more than N times its size.")  # fmt: skip
@click.option("--format", "style", type=click.Choice(list(FORMATS)), default="text", help="Output format.")
@click.option("--brief", is_flag=True, help="The verdict in at most 2 kB: --format brief.")
@click.option("-o", "--output", metavar="FILE", help="Write the report to FILE, all of it or nothing.")
@click.option("--report", "page", metavar="FILE.html",
              help="Write the report as one page for a browser, too.")  # fmt: skip
@click.option("--asn-db", metavar="MMDB",
              help="Name the networks (AS) of sources, by this database; takes the extra geo.")  # fmt: skip
@click.option("--geo-db", metavar="MMDB", help="Name the countries of sources, the same way.")
@click.option("--cut", "event", metavar="EVENT",
              help="Write the frames of this event (its number, or its id) to the file of -w.")  # fmt: skip
@click.option("-w", "--write", "cut_file", metavar="FILE.pcapng", help="Where --cut writes.")
@click.option("--write-max", type=AT_LEAST_1, default=100_000, metavar="N",
              help="Frames that --cut writes at most, of at most 64 MiB.")  # fmt: skip
@BASELINE
@SAVE_BASELINE
@PROXY
@SET
@FALSE_ALARMS
@PROFILE
@NAT64
@click.option("--sketch-out", metavar="FILE",
              help="Save the distinct sources as a sketch; give a --seed to merge several.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=0), default=5, metavar="N",
              help="Sources to list for each flood; 0 lists all.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit 3 for a broken capture even if a flood was found.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 instead of 1 when a flood was found.")
@click.option("--color", type=WHEN, default="auto", help="Colour in the text report.")
@click.option("--progress", type=WHEN, default="auto", help="Progress bar on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar; errors are still printed.")
@click.pass_context
def scan(ctx: click.Context, /, words: tuple[str, ...], reads: tuple[str, ...], bpf: str | None,
         filter_file: str | None, style: str, brief: bool, output: str | None, page: str | None,
         sketch_out: str | None, save_baseline: str | None, floors: tuple[str, ...],
         false_alarms: str | None, profile: str, strict: bool, exit_zero: bool, color: str, progress: str,
         quiet: bool, asn_db: str | None, geo_db: str | None,
         event: str | None, cut_file: str | None, write_max: int,
         **settings: Any) -> None:  # fmt: skip
    """Look for floods in packet captures.

    Captures are pcap or pcapng files, also compressed, directories of them, or - for standard input. Words
    after -- are a filter in the syntax of tcpdump; so are, after -r FILE, words that name no file.
    """
    from floodwatch.config.options import ScanOptions
    from floodwatch.history.memory import encode as encode_memory
    from floodwatch.pipeline.privileges import drop_for_scan
    from floodwatch.pipeline.scan import scan as run_pipeline
    from floodwatch.report.located import Atlas

    after_dashes = ctx.meta[FILTER_WORDS]
    may_filter = bool(reads) and not (bpf or filter_file or after_dashes)
    captures, trailing = split_words(words, may_filter=may_filter)
    paths = (*reads, *captures)
    if not paths:
        raise click.UsageError("name a capture, a directory or - for standard input")
    expression = one_filter(bpf, filter_file, trailing or after_dashes)
    options = ScanOptions(filter=expression, limits=read_limits(floors, false_alarms, profile), **settings)
    output = None if output == "-" else output
    files = [file for file in (output, page, sketch_out, save_baseline, cut_file) if file]
    for file in files:
        check_output(file, paths)
    if cut_file or event is not None:
        _check_cut(event, cut_file, paths, options)
    sources: list[bytes] = []
    learnt: list[Memory] = []
    if options.follow and (len(paths) > 1 or os.path.isdir(paths[0])):
        raise click.UsageError("--follow takes one file")
    if options.since_ns >= options.until_ns:
        raise click.UsageError("--since must be earlier than --until")
    if options.follow and options.ja4:
        raise click.UsageError("--filter-ja4 reads a capture twice, --follow once")
    if options.follow and options.keylog:
        raise click.UsageError("--keylog is read once, at the beginning: scan the file when it is whole")
    progress = "never" if quiet or options.follow else progress
    if ctx.find_root().obj == PROGRAM:
        drop_for_scan([os.path.dirname(os.path.realpath(file)) for file in files])
    atlas = Atlas(asn_db, geo_db) if asn_db or geo_db else None
    with stopping() as stop, bar(progress) as on_progress:
        report = run_pipeline(
            paths, options, on_progress=on_progress, on_change=_tell if options.follow else None,
            on_sources=sources.append if sketch_out else None,
            on_memory=learnt.append if save_baseline else None, stop=stop.event,
        )  # fmt: skip
    report = atlas.on(report) if atlas else report
    complain(report)
    if sketch_out:
        write(sketch_out, sources[0])
    if save_baseline:
        write_kept(kept_file(save_baseline), encode_memory(learnt[0]))
    if page:
        write(page, FORMATS["html"].report(report, Shown()))
    shown = Shown(top=options.top, color=color, to_file=output is not None)
    write(output, FORMATS["brief" if brief else style].report(report, shown))
    if event is not None and cut_file and not stop.exit_code:
        _cut(report, event, cut_file, options, write_max)
    ctx.exit(stop.exit_code or exit_code(report, strict=strict, exit_zero=exit_zero))
