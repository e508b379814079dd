"""``floodwatch ctl``: orders of an operator, to the kernel and to the daemon or a watch that follows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from . import daemon
from .asking import Asked, asking, sure
from .options import duration
from .output import write_stdout

if TYPE_CHECKING:
    from floodwatch.daemon.rules import Blocked, Guarded

DAY_S = 86_400
EXAMPLES = """\b
Examples:
  sudo floodwatch ctl block 203.0.113.9 --for 10m --reason "ticket 4711"
  sudo floodwatch ctl blocks --why
  sudo floodwatch ctl unblock 203.0.113.9
  sudo floodwatch ctl allow 198.51.100.0/24 --for 7d --reason "partner"
  sudo floodwatch ctl unguard 192.0.2.7
  sudo floodwatch ctl panic            everything that floodwatch set up is gone
  floodwatch ctl status                where does the daemon stand?
  floodwatch ctl events -f             what happens, as it happens
  sudo floodwatch ctl mode enforce --confirm 10m

\b
Exit codes:
  0    done
  1    nothing matched
  2    refused: usage, or a network that must never be blocked
  4    environment: no permission, no nf_tables
  5    no daemon answers"""


@click.group(epilog=EXAMPLES)
def ctl() -> None:
    """Give orders to the kernel, a daemon or a watch, list what stands, take all back.

    Orders about rules act on the table inet floodwatch of this network namespace, and on no other; a daemon
    or watch that enforces follows them. Who has no right to change rules asks the daemon to, which does it
    for those whom control.users names. Every block has a lifetime in the kernel. Loopback, this host, its
    gateways, resolvers and time servers, and the peers of live SSH sessions are never blocked.
    """


for command in daemon.COMMANDS:
    ctl.add_command(command)


@ctl.command()
@click.argument("network", metavar="ADDRESS|CIDR")
@click.option(
    "--for", "seconds", default="10m", callback=duration, metavar="TIME", help="Lifetime of the block."
)
@click.option("--reason", default="manual", help="Shown with the block.")
@click.option("--never", multiple=True, metavar="CIDR", help="Never block this; repeatable.")
@click.option("--force", is_flag=True, help="Block for longer than a day.")
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
@asking
def block(asked: Asked, seconds: int, force: bool, **order: Any) -> None:
    """Block one address or network for a time; a second block of the same one renews it."""
    from floodwatch.daemon.rules import Block

    if seconds > DAY_S and not force:
        raise click.UsageError("a block by hand lasts a day at most (--for 1d); --force makes it longer")
    asked.tell(asked.give(Block(seconds=seconds, **order)))


@ctl.command()
@click.argument("network", metavar="[ADDRESS|CIDR]", required=False)
@click.option("--all", "everything", is_flag=True, help="Lift every block.")
@asking
def unblock(asked: Asked, network: str | None, everything: bool) -> None:
    """Lift one block, or all of them.

    A watch or daemon that enforces leaves what you lift alone for ten minutes, unless you block it again.
    """
    from floodwatch.daemon.rules import Unblock

    if (network is None) != everything:
        raise click.UsageError("name one network, or give --all")
    asked.tell(asked.give(Unblock(network=network)), aloud=True)


@ctl.command()
@click.option("--why", is_flag=True, help="Show the reason of each block.")
@asking
def blocks(asked: Asked, why: bool) -> None:
    """List current blocks and victim protections, read back from the kernel.

    Each line has the seconds left and the packets dropped, XDP included.
    """
    from floodwatch.daemon.rules import Blocks

    stands = asked.give(Blocks())
    if asked.as_json:
        asked.print_json([*stands.blocks, *stands.guards])
    else:
        lines = (_row(f"{b.network}{f' to {b.rate}/s' if b.rate else ''}", b, why) for b in stands.blocks)
        write_stdout("".join([*lines, *_guard_lines(stands.guards, why)]).encode())
    asked.exit(found=bool(stands.blocks or stands.guards))


@ctl.command()
@click.argument("network", metavar="ADDRESS|CIDR")
@click.option("--for", "seconds", default="7d", callback=duration, metavar="TIME",
              help="How long, at most a year [default: 7d].")  # fmt: skip
@click.option("--reason", default="manual", help="Kept with it.")
@asking
def allow(asked: Asked, network: str, seconds: int, reason: str) -> None:
    """Never block an address or network for a time; blocks that meet it go at once.

    A watch or daemon that enforces follows it. It is kept in a file that is root's alone, over restarts.
    """
    from floodwatch.daemon.rules import Allow

    asked.tell(asked.give(Allow(network=network, seconds=seconds, reason=reason)))


@ctl.command()
@click.argument("network", metavar="ADDRESS|CIDR")
@asking
def disallow(asked: Asked, network: str) -> None:
    """Take back what "allow" said about a network."""
    from floodwatch.daemon.rules import Disallow

    asked.tell(asked.give(Disallow(network=network)), aloud=True)


@ctl.command()
@asking
def allowed(asked: Asked) -> None:
    """List what "allow" said: networks, seconds left, who said so and why."""
    from floodwatch.daemon.rules import Allowed
    from floodwatch.report.escape import printable

    rows = asked.give(Allowed())
    if asked.as_json:
        asked.print_json(rows)
    else:
        lines = (f"{r.network:43} {r.seconds:9.0f} s  by {r.by}: {printable(r.why)}\n" for r in rows)
        write_stdout("".join(lines).encode())
    asked.exit(found=bool(rows))


@ctl.command()
@click.option("--why", is_flag=True, help="Show the event that each is about.")
@asking
def guards(asked: Asked, why: bool) -> None:
    """List the rules that protect victims without naming a source, read back from the kernel."""
    from floodwatch.daemon.rules import Blocks

    held = asked.give(Blocks()).guards
    if asked.as_json:
        asked.print_json(held)
    else:
        write_stdout("".join(_guard_lines(held, why)).encode())
    asked.exit(found=bool(held))


@ctl.command()
@click.argument("victim", metavar="[VICTIM]", required=False)
@click.option("--all", "everything", is_flag=True, help="Lift every guard.")
@asking
def unguard(asked: Asked, victim: str | None, everything: bool) -> None:
    """Lift the guards of one victim, or all of them.

    A watch or daemon that enforces leaves the victim unguarded for ten minutes.
    """
    from floodwatch.daemon.rules import Unguard

    if (victim is None) != everything:
        raise click.UsageError("name one victim, or give --all")
    asked.tell(asked.give(Unguard(victim=victim)), aloud=True)


@ctl.command()
@asking
def confirm(asked: Asked) -> None:
    """Let a daemon or watch that enforces on probation (--confirm) go on enforcing."""
    from floodwatch.daemon.rules import Confirm

    asked.tell(asked.give(Confirm()), aloud=True)


def _guard_lines(held: Iterable[Guarded], why: bool) -> Iterator[str]:
    return (_row(f"protects {guard.says}", guard, why) for guard in held)


def _row(what: str, held: Blocked | Guarded, why: bool) -> str:
    from floodwatch.report.escape import printable

    reason = f"  {printable(held.why)}" if why else ""
    return f"{what:43} {held.seconds:7.0f} s {held.packets:12,} packets{reason}\n"


@ctl.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--resume", is_flag=True, help="Take the panic back: a daemon does again what it did before.")
@asking
def panic(asked: Asked, yes: bool, resume: bool) -> None:
    """Remove everything that floodwatch set up in the kernel, and end what enforces, hung or not.

    A daemon that is started again only observes, until "ctl panic --resume" is given. Goes too: tables that
    were loaded from "explain". Asks first on a terminal; from a script it acts at once.
    """
    from floodwatch.daemon.rules import Panic, Resume

    if resume:
        asked.tell(asked.give(Resume()), aloud=True)
    if sure("Remove every block now?", yes=yes):
        asked.tell(asked.give(Panic()), aloud=True)
    asked.exit(found=False)
