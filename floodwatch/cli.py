"""The command line: thin, and quick to answer ``--help``.

Nothing heavy is imported before a command really runs; at the top stand only click and light modules.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import click

from floodwatch import __version__
from floodwatch.errors import ConfigError, EnvironmentFault, FloodwatchError, InputError
from floodwatch.progress import bar, stopping
from floodwatch.report import encode
from floodwatch.report.escape import printable

if TYPE_CHECKING:
    from floodwatch.model import Report

EXIT_FLOOD, EXIT_INPUT, EXIT_ENVIRONMENT, EXIT_SIGNAL = 1, 3, 4, 128
FILTER_WORDS = "floodwatch.filter_words"
"""Key under which the words after ``--`` travel from the parser to the command."""

EXAMPLES = """\b
Examples:
  floodwatch scan capture.pcap
  floodwatch scan --format json -o report.json edge.pcap.gz
  floodwatch scan -r edge.pcap -- tcp port 443
  tcpdump -w - -c 100000 | floodwatch scan -

\b
Exit codes:
  0    no flood (a crowd alone is no flood)
  1    at least one flood
  2    usage, filter or configuration error
  3    a capture is missing or broken, and nothing was found
       (with --strict also when something was found)
  4    environment: permission, disk, missing library
  130  interrupted (143: terminated), after writing a report
       with "complete": false"""


class LazyGroup(click.Group):
    """A group that imports heavy commands when they are called and keeps the meaning of the exit codes."""

    parts: ClassVar = {"gen": ("floodwatch.gen", "gen", "Write captures with known floods in them.")}
    """Name -> module, attribute and the short help that ``--help`` shows without importing the module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name all commands, imported or not."""
        return sorted([*super().list_commands(ctx), *self.parts])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command, importing its module if need be."""
        if cmd_name not in self.parts:
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = self.parts[cmd_name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their short help, without importing anything."""
        rows = [(name, command.get_short_help_str(60)) for name, command in self.commands.items()]
        rows += [(name, short) for name, (_, _, short) in self.parts.items()]
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
        _discard_stdout()
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
    except FloodwatchError as error:
        _say(f"{error.path}: {error}" if isinstance(error, InputError) else str(error))
        return error.exit_code
    except (OSError, MemoryError) as error:
        _say(str(error) or type(error).__name__)
    except Exception:
        traceback.print_exc()
        _say("this is a bug, please report it with the lines above")
    return EXIT_ENVIRONMENT


def _say(message: str) -> None:
    click.echo(f"floodwatch: {printable(message)}", err=True)


class FilterCommand(click.Command):
    """A command that takes the words after ``--`` as a filter; click would mix them with the file names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the filter words aside before click sees the rest."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[FILTER_WORDS] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


def split_words(words: Sequence[str], *, may_filter: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell captures from filter words among the plain arguments.

    Without ``-r`` (``may_filter``) all are captures: a misspelt name must not turn into a filter. With it the
    leading files are captures and the rest is a filter, as in tcpdump, unless all of it exists;
    ``src host 10.0.0.1`` is a filter even where a directory ``src`` exists.
    """
    if not may_filter:
        return tuple(words), ()
    start = 0
    while start < len(words) and _is_capture(words[start]):
        start += 1
    if all(_is_capture(word) or os.path.isdir(word) for word in words[start:]):
        start = len(words)
    return tuple(words[:start]), tuple(words[start:])


def _is_capture(word: str) -> bool:
    return word == "-" or (os.path.exists(word) and not os.path.isdir(word))


def _one_filter(option: str | None, file: str | None, words: Sequence[str]) -> str | None:
    """Return the filter, wherever it was given; two of them would leave open which one counts."""
    given = [text for text in (option, file, " ".join(words)) if text]
    if len(given) > 1:
        raise click.UsageError("more than one filter: give it as -f, as -F or as words, not twice")
    if not file:
        return given[0] if given else None
    try:
        with open(file, encoding="utf-8") as stream:
            return " ".join(" ".join(line.partition("#")[0] for line in stream).split()) or None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the filter file {file}: {error}") from error


def _seed(ctx: click.Context, option: click.Parameter, value: str | None) -> bytes | None:
    if value is not None and not re.fullmatch("[0-9a-fA-F]{32}", value):
        # The message leaves the value out: a seed is a key.
        raise click.BadParameter("give 32 hexadecimal digits")
    return None if value is None else bytes.fromhex(value)


def _check_output(output: str, paths: Sequence[str]) -> None:
    """Refuse a bad ``-o`` before hours of reading, and never overwrite the evidence."""
    if os.path.exists(output) and any(os.path.exists(p) and os.path.samefile(p, output) for p in paths):
        raise click.UsageError(f"-o {printable(output)} would overwrite a capture")
    folder = os.path.dirname(os.path.realpath(output))
    if os.path.isdir(output) or not os.access(folder, os.W_OK | os.X_OK):
        raise EnvironmentFault(f"cannot write {output}: not a file in a writable directory")


def _write(output: str | None, data: bytes) -> None:
    if output is None:
        return _write_stdout(data)
    target = os.path.realpath(output)
    # Renaming over a device or a pipe would replace it, so those are written to.
    special = os.path.exists(target) and not os.path.isfile(target)
    temporary = target if special else f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb" if special else "xb") as stream:
            stream.write(data)
        if not special:
            os.replace(temporary, target)
    except OSError as error:
        if not special and os.path.exists(temporary):
            os.unlink(temporary)
        raise EnvironmentFault(f"cannot write {output}: {error.strerror}") from error


def _write_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):
            raise EnvironmentFault(f"cannot write to standard output: {error.strerror}") from error


def _discard_stdout() -> None:
    # The interpreter flushes once more when it exits; give it something that accepts the rest.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def exit_code(report: Report, *, strict: bool, exit_zero: bool) -> int:
    """Return what ``scan`` exits with after a complete run."""
    broken = any(item.error for item in report.inputs)
    if broken and (strict or not report.floods):
        return EXIT_INPUT
    return EXIT_FLOOD if report.floods and not exit_zero else 0


def _complain(report: Report) -> None:
    for item in report.inputs:
        if item.error:
            where = "" if item.error.offset is None else f"byte {item.error.offset}: "
            _say(f"{item.path}: {where}{item.error.message} ({item.error.code})")


AT_LEAST_1 = click.IntRange(min=1)
WHEN = click.Choice(["auto", "always", "never"])
SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.group(cls=LazyGroup, context_settings=SETTINGS, epilog=EXAMPLES)
@click.version_option(__version__, "-V", "--version", prog_name="floodwatch", message="%(prog)s %(version)s")
def main() -> None:
    """Find floods in packet captures, tell a crowd from an attack, and show the evidence."""


@main.command(cls=FilterCommand, epilog=EXAMPLES, options_metavar="[OPTIONS]")
@click.argument("words", nargs=-1, metavar="[FILE|DIR|-]... [-- FILTER WORDS]")
@click.option("-r", "--read", "reads", multiple=True, metavar="FILE", help="Capture to read; repeatable.")
@click.option("-f", "--filter", "bpf", metavar="BPF", help="Count only packets that match, as in tcpdump.")
@click.option("-F", "--filter-file", metavar="FILE", help="Read the filter from FILE.")
@click.option("--recursive", is_flag=True, help="Enter the directories below a directory.")
@click.option("--jobs", type=AT_LEAST_1, default=lambda: len(os.sched_getaffinity(0)), metavar="N",
              show_default="all usable cores", help="Workers; the answer stays the same.")  # fmt: skip
@click.option("--seed", callback=_seed, metavar="HEX", help="Hash key, 32 hex digits [default: random].")
@click.option("--max-expand", type=AT_LEAST_1, default=100, metavar="N",
              help="Stop when a compressed capture grows to more than N times its size.")  # fmt: skip
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", help="Kind of report."
)
@click.option("-o", "--output", metavar="FILE", help="Write the report to FILE, all of it or nothing.")
@click.option("--top", type=click.IntRange(min=0), default=5, metavar="N",
              help="Sources to list for each flood; 0 lists all.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Exit 3 for a broken capture even if a flood was found.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 instead of 1 when a flood was found.")
@click.option("--color", type=WHEN, default="auto", help="Colour in the text report.")
@click.option("--progress", type=WHEN, default="auto", help="Progress bar on stderr.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar; errors are still printed.")
@click.pass_context
def scan(ctx: click.Context, /, words: tuple[str, ...], reads: tuple[str, ...], bpf: str | None,
         filter_file: str | None, style: str, output: str | None, strict: bool, exit_zero: bool, color: str,
         progress: str, quiet: bool, **limits: Any) -> None:  # fmt: skip
    """Look for floods in packet captures.

    Captures are pcap or pcapng files, also compressed, directories of them, or - for standard input. Words
    after -- are a filter in the syntax of tcpdump; so are, after -r FILE, words that name no file.
    """
    from floodwatch.config import ScanOptions
    from floodwatch.pipeline import scan as run_pipeline

    after_dashes = ctx.meta[FILTER_WORDS]
    may_filter = bool(reads) and not (bpf or filter_file or after_dashes)
    captures, trailing = split_words(words, may_filter=may_filter)
    paths = (*reads, *captures)
    if not paths:
        raise click.UsageError("name a capture, a directory or - for standard input")
    expression = _one_filter(bpf, filter_file, trailing or after_dashes)
    options = ScanOptions(filter=expression, **limits)
    output = None if output == "-" else output
    if output:
        _check_output(output, paths)
    with stopping() as stop, bar("never" if quiet else progress) as on_progress:
        report = run_pipeline(paths, options, on_progress=on_progress, stop=stop.event)
    _complain(report)
    _write(output, encode(report, style, top=options.top, color=color, to_file=output is not None))
    ctx.exit(stop.exit_code or exit_code(report, strict=strict, exit_zero=exit_zero))


@main.group()
def config() -> None:
    """Show what floodwatch is set to and what it promises."""


@config.command()
@click.argument("name", type=click.Choice(["report"]), default="report", metavar="[report]")
def schema(name: str) -> None:
    """Print the JSON Schema of the JSON report."""
    from floodwatch.report.json import schema as report_schema

    _write_stdout(report_schema())


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"floodwatch {__version__}")
