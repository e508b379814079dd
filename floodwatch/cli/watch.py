"""``floodwatch watch``: look for floods on live interfaces."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from floodwatch.cli.progress import is_terminal, stopping
from floodwatch.config import durations
from floodwatch.report.formats import FORMATS, LIVE, Shown

from .acting import USUAL_BACKEND, Acting, blocking, placed, standing_on
from .audit import Audit, auditing
from .filters import FILTER_WORDS, FilterCommand, one_filter
from .heartbeat import Heartbeat
from .options import (
    AT_LEAST_1,
    BASELINE,
    FALSE_ALARMS,
    NAT64,
    PROFILE,
    PROXY,
    SAVE_BASELINE,
    SET,
    WHEN,
    duration,
    read_limits,
    read_seed,
)
from .output import EXIT_CODES, EXIT_FLOOD, kept_file, say, write_kept, write_stdout
from .quantities import from_zero, size

if TYPE_CHECKING:
    from floodwatch.cli.picture import Picture
    from floodwatch.config.options import Counters
    from floodwatch.model.report import Report
    from floodwatch.pipeline.watch import Moment, Watch

MODES = {
    "observe": "blocking nothing",
    "suggest": "blocking nothing, saying what could be blocked",
    "enforce": "blocking sources that are proven real, protecting victims of the others",
}
EXAMPLES = (
    """\b
Examples:
  sudo floodwatch watch -i eth0
  sudo floodwatch watch -i eth0 -i eth1 --format ndjson >> events.ndjson
  sudo floodwatch watch -i any --duration 60s -- tcp port 443
  sudo floodwatch watch -i eth0 --mode suggest       what would be blocked?
  sudo floodwatch watch -i eth0 --mode enforce --never 192.0.2.0/24

"""
    + EXIT_CODES
)


@click.command(cls=FilterCommand, epilog=EXAMPLES, options_metavar="[OPTIONS]")
@click.argument("words", nargs=-1, metavar="[-- FILTER WORDS]")
@click.option("-i", "--interface", "interfaces", multiple=True, required=True, metavar="IF",
              help="Interface to watch; repeatable. any is all of them.")  # fmt: skip
@click.option("-f", "--filter", "bpf", metavar="BPF", help="Count only packets that match, as in tcpdump.")
@click.option("-F", "--filter-file", metavar="FILE", help="Read the filter from FILE.")
@click.option("--duration", callback=from_zero(durations.length), metavar="TIME",
              help="Stop after this time, as 60s or 1.5h.")  # fmt: skip
@click.option("-c", "--count", type=AT_LEAST_1, metavar="N", help="Stop after N packets.")
@click.option("--ring-mb", callback=size("MiB", "2MiB", "4GiB"), default="64MiB", metavar="SIZE",
              help="Memory for each interface's rings, 2MiB to 4GiB; a plain number is MiB.")  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1, max=64), default=1, metavar="N",
              help="Capture rings per interface. More than one keeps CAP_NET_RAW.")  # fmt: skip
@click.option("--snaplen", callback=size("B", "96B", "65535B"), default="256B", metavar="SIZE",
              help="Bytes to capture of each frame, 96 to 65535.")  # fmt: skip
@click.option("--promisc/--no-promisc", "promiscuous", default=True,
              help="Also capture frames that are not for this host.")  # fmt: skip
@click.option("-w", "--write", metavar="FILE",
              help="Flight recorder: sampled frames around floods; no file is overwritten.")  # fmt: skip
@click.option("--write-max", type=AT_LEAST_1, default=100_000, metavar="N", help="Frames to record at most.")
@BASELINE
@SAVE_BASELINE
@PROXY
@SET
@FALSE_ALARMS
@PROFILE
@NAT64
@click.option("--mode", type=click.Choice(["observe", "suggest", "enforce"]), default="observe",
              help="Only watch; say what would be blocked; or block it.")  # fmt: skip
@click.option("--never", "never_block", multiple=True, metavar="CIDR",
              help="Never block this, nor gateways, resolvers, time servers, SSH peers.")  # fmt: skip
@click.option("--never-file", metavar="FILE",
              help="File of networks never to block, one per line; re-read when it changes.")  # fmt: skip
@click.option("--backend", default=USUAL_BACKEND, metavar="nft|xdp",
              help="Drop blocked sources in nftables, or in XDP ahead of it.")  # fmt: skip
@click.option("--audit", "audit_file", metavar="FILE",
              help="Append a line for every action, as --format says; - is standard output.")  # fmt: skip
@click.option("--confirm", callback=duration, metavar="TIME",
              help="Only observe after this time, unless \"ctl confirm\" is given, as 10m.")  # fmt: skip
@click.option("--service", "said", multiple=True, metavar="'PROTO/PORT role=R ...'",
              help="What a service is for: role, mode, limit, network, interface; repeatable.")  # fmt: skip
@click.option(
    "--keep", is_flag=True, help="Leave rules in place when the watch ends; they expire within an hour."
)
@click.option("--seed", callback=read_seed, metavar="HEX", help="Hash key, 32 hex digits [default: random].")
@click.option("--format", "style", type=click.Choice(LIVE), default="text",
              help="Lines for people, or one JSON object a line.")  # fmt: skip
@click.option("--top", type=click.IntRange(min=0), default=5, metavar="N",
              help="Sources to list for each flood; 0 lists all.")  # fmt: skip
@click.option("--exit-zero", is_flag=True, help="Exit 0 instead of 1 when a flood was found.")
@click.option("--color", type=WHEN, default="auto", help="Colour in the report at the end.")
@click.option("--picture", type=WHEN, default="auto", help="The live picture, on standard error.")
@click.pass_context
def watch(ctx: click.Context, /, words: tuple[str, ...], interfaces: tuple[str, ...], bpf: str | None,
          filter_file: str | None, save_baseline: str | None, floors: tuple[str, ...],
          false_alarms: str | None, profile: str, mode: str, never_block: tuple[str, ...],
          never_file: str | None, backend: str, audit_file: str | None, said: tuple[str, ...], keep: bool,
          style: str, exit_zero: bool, color: str, picture: str, **settings: Any) -> None:  # fmt: skip
    """Look for floods on live interfaces; nothing is blocked unless --mode enforce says so.

    Prints a line for every flood that begins or ends, and a report at the end (Ctrl-C, SIGTERM or SIGHUP).
    On a terminal a picture shows rates, victims and floods once a second, below those lines; a line every ten
    minutes tells that all is quiet. SIGUSR1 prints the counters.

    Opening an interface needs CAP_NET_RAW. As soon as the rings are open, a watch that root started becomes
    the user "floodwatch" (if there is none, 61017), reaches no file by name but Python's library and what it
    follows, starts no program and connects to nothing. It keeps no capability, except CAP_NET_ADMIN to
    enforce, CAP_BPF for XDP and CAP_NET_RAW for several workers; "doctor" tells what this host can do.

    Only sources that are proven real are ever blocked, for a minute at a time while their flood lasts.
    Against forged and reflected floods it sets rules that protect the victim and name no source; "ctl
    blocks" lists both. All are removed when the watch ends, unless --keep says otherwise.
    """
    from floodwatch.config.options import WatchOptions
    from floodwatch.config.roles import services
    from floodwatch.history.memory import encode as encode_memory
    from floodwatch.history.memory import nothing
    from floodwatch.pipeline.acting import Blocking
    from floodwatch.pipeline.privileges import drop, load_all
    from floodwatch.pipeline.watch import Watch

    expression = one_filter(bpf, filter_file, words or ctx.meta[FILTER_WORDS])
    options = WatchOptions(
        filter=expression,
        limits=read_limits(floors, false_alarms, profile),
        services=services(said),
        **settings,
    )
    if options.confirm and mode != "enforce":
        raise click.UsageError("--confirm is for --mode enforce")
    baseline = kept_file(save_baseline) if save_baseline else None
    never_block = (*never_block, *map(str, options.proxies))
    acting = Acting(mode, never_block, never_file, backend, standing_on(backend, mode, interfaces), keep)
    with (
        stopping() as stop, auditing(audit_file, style) as audit, blocking(acting, audit) as blocker,
        placed(blocker) as places,
    ):  # fmt: skip
        acts = None if blocker is None else Blocking(blocker, options.confirm)
        watch = Watch(interfaces, options, stop.event, acts, places)
        try:
            screen = _screen(picture)
            encode_memory(nothing())  # loads what that takes, as does the next line
            library = load_all()
            confined = drop(
                keep_net_admin=mode == "enforce",
                keep_net_raw=options.workers > 1,
                keep_bpf=bool(acting.interfaces),
                reads=[*library, *(blocker.never.folders() if blocker else ())],
            )
            heart = Heartbeat()
            with _counters_on_signal(watch, screen):
                say(f"watching {watch.name}, {MODES[mode]}; Ctrl-C ends with the report")
                for note in (*watch.notes, *confined.notes):
                    say(note)
                with screen or nullcontext():
                    for moment in watch.moments():
                        told = bool(moment.changes or moment.notes or moment.acts)
                        alive = heart.beat(moment.counters, told=told)
                        if told or alive:
                            with _above(screen):
                                _tell(moment, style, audit)
                                if alive:
                                    say(alive)
                        if screen is not None:
                            screen.draw(moment)
            report = watch.report(complete=stop.exit_code is None)
            if baseline is not None:
                write_kept(baseline, encode_memory(watch.analysis.detection.learnt()))
            _say_lost(watch.counters())
        finally:
            watch.close()
    write_stdout(_final(report, style, options.top, color))
    ctx.exit(stop.exit_code or (EXIT_FLOOD if report.floods and not exit_zero else 0))


def _final(report: Report, style: str, top: int, color: str) -> bytes:
    return FORMATS[style].last(report, Shown(top=top, color=color, to_file=False))


def _tell(moment: Moment, style: str, audit: Audit) -> None:
    change = FORMATS[style].change
    for note in moment.notes:
        say(note)
    audit.write(moment.acts)
    if change is not None and moment.changes:
        write_stdout(b"".join(change(told.what, told.event) for told in moment.changes))


def _say_lost(counters: Counters) -> None:
    if counters.ahead:
        say(f"dropped by XDP, before the rings: {counters.ahead:,} packets of blocked sources")
    if counters.lost or counters.backlog:
        say(
            f"lost on the way: {counters.lost:,} packets ({100 * counters.lost_share:.2f} %) by rings and "
            f"cards; {counters.backlog:,} by this host's backlog, over all interfaces"
        )


@contextmanager
def _counters_on_signal(watch: Watch, screen: Picture | None) -> Iterator[None]:
    """Let SIGUSR1 print one line of counters."""
    asked = threading.Event()
    previous = signal.signal(signal.SIGUSR1, lambda *_: asked.set())

    def on_tick() -> None:
        if asked.is_set():
            asked.clear()
            with _above(screen):
                _say_counters(watch.counters())

    watch.on_tick = on_tick
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, previous)


def _say_counters(counters: Counters) -> None:
    say(
        f"{counters.seconds:.0f} s: {counters.packets:,} packets, {counters.bytes:,} bytes, "
        f"{counters.lost:,} lost, {counters.ahead:,} dropped by XDP, {counters.backlog:,} by the backlog, "
        f"{counters.rejected:,} rejected, "
        f"{counters.open_floods} floods open"
    )


def _screen(mode: str) -> Picture | None:
    """The live picture, if there is to be one."""
    if mode == "never" or (mode == "auto" and not is_terminal()):
        return None
    from floodwatch.cli.picture import Picture

    return Picture()


def _above(screen: Picture | None) -> AbstractContextManager[None]:
    """Where lines can be written: they stay above the picture."""
    return nullcontext() if screen is None else screen.above()
