"""What an operator orders at once: done in the kernel, whether or not a watch runs."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace as changed

from msgspec.structs import replace

from ..errors import BlockRefused, EnforceError
from ..model.address import meet
from .backend import BACKENDS, KERNEL, Backend
from .guards import Guard
from .plan import NOBODY, Block, Network, Ordered, Policy, Step, plan

TTL_MOST = 31_536_000


def block(
    backend: Backend,
    policy: Policy,
    network: str,
    *,
    ttl: float,
    reason: str,
    on_plan: Callable[[Step], object],
) -> Step:
    """Block one network; see ``Blocker.block``. ``on_plan`` is called when it is sure to be tried."""
    if "%" in str(network) or not 1 <= ttl <= TTL_MOST:
        raise ValueError(f"{network} for {ttl} s: give a network without a zone, and 1 s to a year")
    ordered = Ordered(ipaddress.ip_network(network, strict=False), reason)
    policy = changed(policy, ttl_s=int(ttl), ttl_max_s=int(ttl))
    active = _active(backend)
    others = {n: b for n, b in active.items() if n != ordered.network}
    step = next(s for s in plan([ordered], policy, others) if s.block.network == ordered.network)
    if step.what == "refuse":
        raise BlockRefused(f"{ordered.network} is not blocked: {step.why}")
    on_plan(step)
    backend.apply([replace(step, what="extend") if ordered.network in active else step])
    backend.lift([ordered.network], undo=True)
    if ordered.network not in _active(backend):
        raise EnforceError(f"the kernel accepted {ordered.network} but does not hold it: try again")
    return step


def unblock(backend: Backend, blocks: Sequence[Block]) -> int:
    """Lift these blocks, and remember for a while that they were lifted; returns how many."""
    backend.apply([Step("remove", one, "ordered by you") for one in blocks])
    backend.lift([one.network for one in blocks])
    return len(blocks)


def spare(network: Network) -> list[Network]:
    """Lift what meets a network that is allowed from now on; returns the blocks that went."""
    with closing(BACKENDS[KERNEL].make(())) as backend:
        active = _active(backend)
        met = [n for n in active if meet(n, network)]
        if met:
            backend.apply([Step("remove", active[n], "it is allowed now") for n in met])
    return met


def unguard(backend: Backend, victim: Network | None) -> list[Guard]:
    """Take down the guards of one victim, or all of them; returns those that went."""
    down = [guard for guard in backend.guards() if victim is None or guard.victim == victim]
    if down:
        backend.guard([], down, NOBODY)
    return down


def _active(backend: Backend) -> dict[Network, Block]:
    return {network: one for network, (one, _) in backend.counted().items()}
