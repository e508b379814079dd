"""What holds the rules: the one shape that a Blocker acts through, and the table of those that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple, Protocol

from ..errors import ConfigError
from ..history.memory import Networks
from .dryrun import DryRun
from .guards import Guard, Order, Standing
from .nft import loaded
from .nft.table import Table
from .plan import Block, Network, Step
from .sockets import Connections
from .tally import Tally
from .xdp.ahead import TableBehindXdp
from .xdp.mirror import Xdp, dropped_ahead, with_ahead


class Backend(Protocol):
    """Where blocks and guards stand. What it tells was read back from there."""

    def ensure(self, never: Iterable[Network] = ()) -> bool:
        """Make what is missing, and spare these networks; returns whether it was made, and is empty."""

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """What is blocked, with the packets that each block dropped."""

    def sizes(self) -> Mapping[Network | Guard, int]:
        """Bytes that the blocks and guards dropped that were last read; not what went ahead of the table."""

    def apply(self, steps: Sequence[Step]) -> None:
        """Carry out the steps of a plan: all of it, or nothing."""

    def guards(self) -> dict[Guard, Standing]:
        """The guards that stand."""

    def guard(self, up: Sequence[Order], down: Sequence[Guard], known: Networks) -> None:
        """Put guards up and take others down; add to the networks whose clients pass limits."""

    def track(self) -> None:
        """Let connection tracking begin, so that it knows who is served when a guard comes."""

    def spare(self, ask: Callable[[], Connections]) -> None:
        """Let the connections that this host has now pass every guard, and no others any more."""

    def lift(self, networks: Sequence[Network], *, undo: bool = False) -> None:
        """Remember for a while, for other processes too, that the operator lifted these blocks."""

    def lifted(self) -> set[Network]:
        """The networks whose blocks the operator lifted lately."""

    def remove(self) -> bool:
        """Take everything away; returns whether there was anything."""

    def news(self) -> list[str]:
        """What became of it since this was last asked, in words."""

    def ahead(self) -> Tally:
        """What became of packets before any tap could see them."""

    def close(self) -> None:
        """Let go; what is blocked stays until its time is up."""


class Row(NamedTuple):
    """One backend.

    Attributes:
        what: what it does, in one line.
        make: opens it; given the interfaces that it is asked to stand on.
        per_interface: it stands on interfaces, which have to be named, and loads programs for them.
        check: name of what ``doctor`` looks at; empty: it enforces nothing, and needs nothing of the host.
        probe: looks whether it could work here and says what it saw, or raises EnforceError.
        needed: without it nothing can be enforced.
        ahead: packets that the backend of any process here dropped before the table, by block.
    """

    what: str
    make: Callable[[Sequence[str]], Backend]
    per_interface: bool = False
    check: str = ""
    probe: Callable[[], str] = str
    needed: bool = False
    ahead: Callable[[], Mapping[Network, int]] = dict


def _probe_table() -> str:
    with closing(Table()) as table:
        return f"nf_tables answers over netlink; {len(table.blocks())} blocks of floodwatch are in place"


def _probe_xdp() -> str:
    Xdp([]).close()
    return "an XDP program can be loaded: watch --mode enforce --backend xdp would work"


DRY, KERNEL, XDP = "dry", "nft", "xdp"
BACKENDS: Mapping[str, Row] = {
    KERNEL: Row("drops in nftables", lambda _: Table(), check="rules", probe=_probe_table, needed=True),
    XDP: Row("drops sources in XDP, ahead of nftables", TableBehindXdp, per_interface=True, check="XDP",
             probe=_probe_xdp, ahead=dropped_ahead),
    DRY: Row("drops nothing and remembers what it would", lambda _: DryRun()),
}  # fmt: skip


def make(name: str, interfaces: Sequence[str] = ()) -> Backend:
    """Open a backend by its name.

    Raises:
        ConfigError: there is none of that name, or it lacks interfaces.
        EnforceError: the kernel lacks something, or this process a right.
    """
    row = BACKENDS.get(name)
    if row is None:
        raise ConfigError(f"there is no backend {name}: take one of {', '.join(BACKENDS)}")
    if row.per_interface and not interfaces:
        raise ConfigError(f"the backend {name} stands on interfaces: name them")
    return row.make(interfaces)


def standing() -> tuple[dict[Network, tuple[Block, int]], dict[Guard, Standing]]:
    """Blocks and guards in the kernel of this network namespace, whoever put them there."""
    with closing(BACKENDS[KERNEL].make(())) as kernel:
        held, guards = kernel.counted(), kernel.guards()
    for row in BACKENDS.values():
        held = with_ahead(held, row.ahead())
    return held, guards


def take_away() -> list[str]:
    """Take everything of ours out of the kernel, also what ``explain`` printed; says what, in words."""
    with closing(BACKENDS[KERNEL].make(())) as kernel:
        said = ["the table is gone" if kernel.remove() else "there was no table"]
    gone, left = loaded.take_away()
    said += [f"the table inet {name} from explain is gone" for name in gone]
    return said + [f"the table inet {name} holds other rules than explain prints: it stays" for name in left]
