"""What the enforcer knows from one start to the next, as a file; nothing that is read there is trusted.

The checksum tells damage from content, types and ranges tell what can be meant, and what it says of blocks is
held against never-block and limits again before anything is done: see ``mitigate.remembered``.
"""

from __future__ import annotations

import ipaddress
from socket import AF_INET, inet_pton
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from ..config.settings import Mode
from ..mitigate import Block, Guard, Network, Remembered
from ..mitigate.clocks import Clocks, Seconds
from ..mitigate.guards import Kind
from ..model.decision import SOURCE_RATES
from ..model.event import SHARED_RATE
from .kept import Unreadable

VERSION = 1, 0
"""Of the file: the second counts up when something is added, the first when the rest means something else."""
ROWS_MOST, GUARDS_MOST, TEXT_MOST = 65_536, 4096, 256
RATES = frozenset({*SOURCE_RATES.values(), SHARED_RATE})
Text = Annotated[str, Meta(max_length=TEXT_MOST)]
Port = Annotated[int, Meta(ge=0, le=65_535)]
Rows = Meta(max_length=ROWS_MOST)


class KeptBlock(Struct, frozen=True, array_like=True):
    """A block, with the seconds that were left to it."""

    network: Text
    left: Seconds
    why: Text
    rate: int = 0


class KeptGuard(Struct, frozen=True, array_like=True):
    """A guard that is not to be tried, and for how many seconds."""

    kind: Kind
    victim: Text
    left: Seconds
    number: Port = 0
    port: Port | None = None


class Offence(Struct, frozen=True, array_like=True):
    """How often a network was blocked."""

    network: Text
    count: Annotated[int, Meta(ge=1, le=1 << 31)]


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept. All seconds count from when it was saved.

    Attributes:
        saved: the clocks when it was.
        blocks: that stood.
        offences: of networks, the newest last.
        lately: how long ago networks were blocked anew.
        avoided: guards that did nothing, or did harm.
        mode: that an operator set, or None: as configured.
        confirm: seconds that were left to confirm that mode, or None: it has not to be.
    """

    saved: Clocks
    blocks: Annotated[tuple[KeptBlock, ...], Rows] = ()
    offences: Annotated[tuple[Offence, ...], Rows] = ()
    lately: Annotated[tuple[Seconds, ...], Rows] = ()
    avoided: Annotated[tuple[KeptGuard, ...], Meta(max_length=GUARDS_MOST)] = ()
    mode: Mode | None = None
    confirm: Seconds | None = None


def encode(state: State, known: Remembered) -> bytes:
    """The content of a file: the state with what a Blocker knows, asked for when the state's clocks were."""
    full = msgspec.structs.replace(
        state,
        blocks=tuple(
            KeptBlock(str(block.network), block.seconds, block.why[:TEXT_MOST], block.rate)
            for block in known.blocks[:ROWS_MOST]
        ),
        offences=tuple(Offence(str(n), count) for n, count in list(known.offences.items())[-ROWS_MOST:]),
        lately=known.lately[-ROWS_MOST:],
        avoided=tuple(
            KeptGuard(guard.kind, str(guard.victim), left, guard.number, guard.port)
            for guard, left in list(known.avoided.items())[-GUARDS_MOST:]
        ),
    )
    return msgspec.json.encode(full)


def decode(content: bytes) -> tuple[State, Remembered]:
    """The state that a file holds, and what a Blocker knew when it was saved.

    Raises:
        Unreadable: it holds none.
    """
    try:
        state = msgspec.json.decode(content, type=State)
        return state, _known(state)
    except (msgspec.DecodeError, ValueError, OSError) as error:
        raise Unreadable(f"holds what cannot be: {error}") from error


def _known(state: State) -> Remembered:
    return Remembered(
        at=state.saved.wall,
        blocks=tuple(
            Block(_network(kept.network), kept.left, kept.why, kept.rate)
            for kept in state.blocks
            if kept.rate in RATES
        ),
        offences={_network(offence.network): offence.count for offence in state.offences},
        lately=state.lately,
        avoided={
            Guard(kept.kind, _network(kept.victim), kept.number, kept.port): kept.left
            for kept in state.avoided
        },
    )


def _network(text: str) -> Network:
    """A network of its text; those of IPv4, which may be 100,000, take a third of the usual time.

    Raises:
        ValueError, OSError: it is none.
    """
    address, _, length = text.partition("/")
    if ":" in text or not length.isdecimal():
        return ipaddress.ip_network(text)
    return ipaddress.IPv4Network((int.from_bytes(inet_pton(AF_INET, address)), int(length)))
