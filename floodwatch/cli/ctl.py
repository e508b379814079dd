"""``floodwatch ctl``: block, unblock, list, and remove everything, acting on the kernel directly."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING

import click

from .output import say, write_stdout

if TYPE_CHECKING:
    from floodwatch.mitigate import Block, Standing

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
NOTHING = 1
EXAMPLES = """\b
Examples:
  sudo floodwatch ctl block 203.0.113.9 --for 10m --reason "ticket 4711"
  sudo floodwatch ctl blocks --why
  sudo floodwatch ctl unblock 203.0.113.9
  sudo floodwatch ctl panic            everything that floodwatch set up is gone

\b
Exit codes:
  0    done
  1    nothing matched
  2    refused: usage, or a network that must never be blocked
  4    environment: no permission, no nf_tables"""


def duration(ctx: click.Context, option: click.Parameter, value: str) -> int:
    """Seconds of ``90``, ``90s``, ``10m``, ``4h`` or ``1d``."""
    match = re.fullmatch(r"(\d+)([smhd]?)", value.strip())
    if match is None or int(match[1]) == 0:
        raise click.BadParameter("give a time like 90s, 10m, 4h or 1d")
    return int(match[1]) * UNITS[match[2] or "s"]


@click.group(epilog=EXAMPLES)
def ctl() -> None:
    """Block, unblock and list networks in the kernel, or remove everything.

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
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
def block(network: str, seconds: int, reason: str, never: tuple[str, ...], dry_run: bool) -> None:
    """Block one address or network for a time; a second block of the same one renews it."""
    from floodwatch.mitigate import Blocker

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
    from floodwatch.mitigate import describe, name_of, standing

    held, guards = standing()
    ordered = sorted(held.items(), key=lambda item: (item[0].version, -item[1][1], item[0]))
    if as_json:
        rows = [
            {
                "network": str(n),
                "seconds": round(b.seconds, 1),
                "packets": packets,
                "rate": b.rate,
                "why": b.why,
            }
            for n, (b, packets) in ordered
        ]
        rows += [
            {"guard": g.kind, "victim": name_of(g.victim), "number": g.number, "port": g.port,
             "seconds": round(s.seconds, 1), "packets": s.packets, "why": s.why}
            for g, s in guards.items()
        ]  # fmt: skip
        write_stdout(json.dumps(rows).encode() + b"\n")
    else:
        lines = [_row(f"{n}{f' to {b.rate}/s' if b.rate else ''}", b, p, why) for n, (b, p) in ordered]
        lines += [_row(f"protects {describe(g)}", s, s.packets, why) for g, s in guards.items()]
        write_stdout("".join(lines).encode())
    ctx.exit(0 if held or guards else NOTHING)


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
