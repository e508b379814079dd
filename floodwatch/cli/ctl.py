"""``floodwatch ctl``: orders of an operator, to the kernel and to a watch that follows them."""

from __future__ import annotations

import ipaddress
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

import click

from .options import duration
from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.mitigate import Block, Guard, Network, Standing

DAY_S = 86_400
NOTHING = 1
EXAMPLES = """\b
Examples:
  sudo floodwatch ctl block 203.0.113.9 --for 10m --reason "ticket 4711"
  sudo floodwatch ctl blocks --why
  sudo floodwatch ctl unblock 203.0.113.9
  sudo floodwatch ctl allow 198.51.100.0/24 --for 7d --reason "partner"
  sudo floodwatch ctl unguard 192.0.2.7
  sudo floodwatch ctl panic            everything that floodwatch set up is gone

\b
Exit codes:
  0    done
  1    nothing matched
  2    refused: usage, or a network that must never be blocked
  4    environment: no permission, no nf_tables"""


@click.group(epilog=EXAMPLES)
def ctl() -> None:
    """Give orders to the kernel and to a watch, list what stands, take all back.

    Acts on the table inet floodwatch of this network namespace, and on no other. Every block has a lifetime
    in the kernel. Loopback, this host, its gateways, resolvers and time servers, and the peers of live SSH
    sessions are never blocked.
    """


@ctl.command()
@click.argument("network", metavar="ADDRESS|CIDR")
@click.option(
    "--for", "seconds", default="10m", callback=duration, metavar="TIME", help="Lifetime of the block."
)
@click.option("--reason", default="manual", help="Shown with the block.")
@click.option("--never", multiple=True, metavar="CIDR", help="Never block this; repeatable.")
@click.option("--force", is_flag=True, help="Block for longer than a day.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
def block(
    network: str, seconds: int, reason: str, never: tuple[str, ...], force: bool, dry_run: bool
) -> None:
    """Block one address or network for a time; a second block of the same one renews it."""
    from floodwatch.mitigate import Blocker

    if seconds > DAY_S and not force:
        raise click.UsageError("a block by hand lasts a day at most (--for 1d); --force makes it longer")
    try:
        with Blocker(dry_run=dry_run, never_block=never) as blocker:
            step = blocker.block(network, ttl=seconds, reason=reason)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    write_stdout(f"{'would ' if dry_run else ''}{step}\n".encode())


@ctl.command()
@click.argument("network", metavar="[ADDRESS|CIDR]", required=False)
@click.option("--all", "everything", is_flag=True, help="Lift every block.")
@click.pass_context
def unblock(ctx: click.Context, network: str | None, everything: bool) -> None:
    """Lift one block, or all of them.

    A watch that enforces leaves what you lift alone for ten minutes, unless you block it again.
    """
    from floodwatch.mitigate import Blocker

    if (network is None) != everything:
        raise click.UsageError("name one network, or give --all")
    try:
        with Blocker(dry_run=False) as blocker:
            lifted = blocker.unblock_all() if network is None else int(blocker.unblock(network))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    say(f"{lifted} blocks lifted")
    ctx.exit(0 if lifted else NOTHING)


@ctl.command()
@click.option("--why", is_flag=True, help="Show the reason of each block.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array for programs.")
@click.pass_context
def blocks(ctx: click.Context, why: bool, as_json: bool) -> None:
    """List current blocks and victim protections, read back from the kernel.

    Each line has the seconds left and the packets dropped, XDP included.
    """
    from floodwatch.mitigate import standing

    held, held_guards = standing()
    ordered = sorted(held.items(), key=lambda item: (item[0].version, -item[1][1], item[0]))
    if as_json:
        rows: list[dict[str, object]] = [
            {
                "network": str(n),
                "seconds": round(b.seconds, 1),
                "packets": packets,
                "rate": b.rate,
                "why": b.why,
            }
            for n, (b, packets) in ordered
        ]
        rows += _guard_rows(held_guards)
        write_stdout(json.dumps(rows).encode() + b"\n")
    else:
        lines = [_row(f"{n}{f' to {b.rate}/s' if b.rate else ''}", b, p, why) for n, (b, p) in ordered]
        write_stdout("".join([*lines, *_guard_lines(held_guards, why)]).encode())
    ctx.exit(0 if held or held_guards else NOTHING)


@ctl.command()
@click.argument("network", metavar="ADDRESS|CIDR")
@click.option("--for", "seconds", default="7d", callback=duration, metavar="TIME",
              help="How long, at most a year [default: 7d].")  # fmt: skip
@click.option("--reason", default="manual", help="Kept with it.")
def allow(network: str, seconds: int, reason: str) -> None:
    """Never block an address or network for a time; blocks that meet it go at once.

    A watch that enforces follows it. It is kept in a file that is root's alone, over restarts.
    """
    from floodwatch.mitigate import ByHand, spare

    wanted = _network(network)
    with closing(ByHand()) as by_hand:
        word = by_hand.allow(wanted, seconds=seconds, why=reason)
    gone = spare(wanted)
    lifted = f"; lifted {', '.join(map(str, gone))}" if gone else ""
    write_stdout(f"allowed {wanted} for {word.until - word.at:.0f} s{lifted}\n".encode())


@ctl.command()
@click.argument("network", metavar="ADDRESS|CIDR")
@click.pass_context
def disallow(ctx: click.Context, network: str) -> None:
    """Take back what "allow" said about a network."""
    from floodwatch.mitigate import ByHand

    wanted = _network(network)
    with closing(ByHand()) as by_hand:
        held = wanted in by_hand.allowed()
        if held:
            by_hand.write("disallow", [wanted], why="ordered by you")
    say(f"{wanted} is {'no longer' if held else 'not'} allowed by hand")
    ctx.exit(0 if held else NOTHING)


@ctl.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array for programs.")
@click.pass_context
def allowed(ctx: click.Context, as_json: bool) -> None:
    """List what "allow" said: networks, seconds left, who said so and why."""
    from floodwatch.mitigate import ByHand
    from floodwatch.report.escape import printable

    with closing(ByHand(make=False)) as by_hand:
        held, now = by_hand.allowed(), time.time()
    rows = [(str(network), word.until - now, word.by, word.why) for network, word in sorted(
        held.items(), key=lambda item: str(item[0]))]  # fmt: skip
    if as_json:
        keys = ("network", "seconds", "by", "why")
        write_stdout(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]).encode() + b"\n")
    else:
        lines = [f"{net:43} {left:9.0f} s  by {by}: {printable(why)}\n" for net, left, by, why in rows]
        write_stdout("".join(lines).encode())
    ctx.exit(0 if rows else NOTHING)


@ctl.command()
@click.option("--why", is_flag=True, help="Show the event that each is about.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array for programs.")
@click.pass_context
def guards(ctx: click.Context, why: bool, as_json: bool) -> None:
    """List the rules that protect victims without naming a source, read back from the kernel."""
    from floodwatch.mitigate import standing

    held = standing()[1]
    if as_json:
        write_stdout(json.dumps(list(_guard_rows(held))).encode() + b"\n")
    else:
        write_stdout("".join(_guard_lines(held, why)).encode())
    ctx.exit(0 if held else NOTHING)


@ctl.command()
@click.argument("victim", metavar="[VICTIM]", required=False)
@click.option("--all", "everything", is_flag=True, help="Lift every guard.")
@click.pass_context
def unguard(ctx: click.Context, victim: str | None, everything: bool) -> None:
    """Lift the guards of one victim, or all of them.

    A watch that enforces leaves the victim unguarded for ten minutes.
    """
    from floodwatch.mitigate import Blocker

    if (victim is None) != everything:
        raise click.UsageError("name one victim, or give --all")
    with Blocker(dry_run=False) as blocker:
        lifted = blocker.unguard(None if victim is None else _network(victim))
    say(f"{len(lifted)} guards lifted")
    ctx.exit(0 if lifted else NOTHING)


@ctl.command()
@click.pass_context
def confirm(ctx: click.Context) -> None:
    """Let a watch that runs with --confirm go on enforcing."""
    from floodwatch.mitigate import ByHand, Lock

    if Lock().holder() is None:
        say("no floodwatch is enforcing here")
        ctx.exit(NOTHING)
    with closing(ByHand()) as by_hand:
        by_hand.write("confirm", why="ordered by you")
    say("confirmed: it goes on enforcing")


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _guard_rows(held: Mapping[Guard, Standing]) -> Iterator[dict[str, object]]:
    from floodwatch.mitigate import name_of

    for guard, found in held.items():
        yield {
            "guard": guard.kind, "victim": name_of(guard.victim), "number": guard.number, "port": guard.port,
            "seconds": round(found.seconds, 1), "packets": found.packets, "why": found.why,
        }  # fmt: skip


def _guard_lines(held: Mapping[Guard, Standing], why: bool) -> Iterator[str]:
    from floodwatch.mitigate import describe

    for guard, found in held.items():
        yield _row(f"protects {describe(guard)}", found, found.packets, why)


def _row(what: str, held: Block | Standing, packets: int, why: bool) -> str:
    from floodwatch.report.escape import printable

    reason = f"  {printable(held.why)}" if why else ""
    return f"{what:43} {held.seconds:7.0f} s {packets:12,} packets{reason}\n"


@ctl.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def panic(ctx: click.Context, yes: bool) -> None:
    """Remove everything that floodwatch set up in the kernel, and end a watch that enforces, hung or not.

    Goes too: tables that were loaded from "explain". Asks first on a terminal; from a script it acts at once.
    """
    from floodwatch.mitigate import Lock, take_away

    if (
        not yes
        and sys.stdin is not None
        and sys.stdin.isatty()
        and not click.confirm("Remove every block now?")
    ):
        ctx.exit(NOTHING)
    holder = Lock().end_holder()  # it may hang, and must not put back what is removed now
    if holder is not None:
        say(f"ended the enforcing floodwatch (pid {holder.pid})")
    begin = time.monotonic()
    for line in take_away():
        say(f"{line} ({time.monotonic() - begin:.3f} s)")
