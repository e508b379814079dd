"""The end of enforcing: what events called for goes, what was ordered by hand stays."""

from __future__ import annotations

from .audit import Ledger
from .backend import Backend
from .guards import describe
from .plan import MINE, NOBODY, Step


def withdraw(backend: Backend, ledger: Ledger, why: str) -> str:
    """Take it away, and the table if nothing ordered by hand is left; says what, and writes it down."""
    counted = backend.counted()
    ledger.saw_blocks(counted)
    mine = [block for block, _ in counted.values() if block.why.startswith(MINE)]
    kept = len(counted) - len(mine)
    steps = [Step("remove", block, why) for block in mine]
    guards = backend.guards()
    ledger.saw_guards(guards)
    if not kept:
        gone = backend.remove()
        said = "its table is removed" if gone else "it had no table"
    else:
        backend.apply(steps)
        backend.guard([], list(guards), NOBODY)
        said = f"its rules are removed; {kept} manual blocks stay"
    ledger.did(steps, {})
    ledger.guarded({}, [f"{describe(guard)}: {why}" for guard in guards])
    return said
