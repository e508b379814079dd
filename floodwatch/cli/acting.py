"""What a watch may do about floods: who blocks, and where this host stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

from floodwatch.errors import EnforceError

from .audit import Audit
from .output import say

if TYPE_CHECKING:
    from floodwatch.mitigate import Blocker, Places

USUAL_BACKEND = "nft"


class Acting(NamedTuple):
    """What a watch may do about floods."""

    mode: str
    never_block: tuple[str, ...]
    never_file: str | None
    backend: str
    interfaces: tuple[str, ...]
    keep: bool


def standing_on(backend: str, mode: str, interfaces: tuple[str, ...]) -> tuple[str, ...]:
    """The interfaces that the backend loads programs for."""
    if backend == USUAL_BACKEND:
        return ()
    from floodwatch.mitigate import BACKENDS

    row = BACKENDS.get(backend)
    if row is None or not row.check:
        names = (f"{name} {row.what}" for name, row in BACKENDS.items() if row.check)
        raise click.UsageError(f"--backend {backend}: there is none of that name; {'; '.join(names)}")
    if mode != "enforce":
        raise click.UsageError(f"--backend {backend} blocks sources: it needs --mode enforce")
    if row.per_interface and "any" in interfaces:
        raise click.UsageError(f"--backend {backend} needs the names of interfaces, not any")
    return tuple(dict.fromkeys(interfaces)) if row.per_interface else ()


@contextmanager
def blocking(acting: Acting, audit: Audit) -> Iterator[Blocker | None]:
    """What acts in this mode; enforcing takes the lock, so that there is one writer."""
    if acting.mode == "observe":
        yield None
        return
    from floodwatch.mitigate import Blocker, Lock

    lock, enforces = Lock(), acting.mode == "enforce"
    if enforces:
        lock.take()
    try:
        with Blocker(
            dry_run=not enforces, backend=acting.backend, xdp=acting.interfaces,
            never_block=acting.never_block, never_file=acting.never_file,
        ) as blocker:  # fmt: skip
            try:
                yield blocker
            finally:
                if enforces and not acting.keep:
                    _withdraw(blocker)
                audit.write(blocker.ledger.acts())
    except ValueError as error:
        raise click.UsageError(f"--never: {error}") from None
    finally:
        lock.release()


@contextmanager
def placed(blocker: Blocker | None) -> Iterator[Places]:
    """Where this host stands; who blocks knows it already."""
    from floodwatch.mitigate import Places

    if blocker is not None:
        yield blocker.never.places
        return
    with closing(Places()) as places:
        yield places


def _withdraw(blocker: Blocker) -> None:
    """Leave nothing behind; what cannot be removed expires."""
    try:
        say(f"the watch ends: {blocker.withdraw()}")
    except EnforceError as error:
        say(f"rules could not be removed ({error}); they expire within an hour")
