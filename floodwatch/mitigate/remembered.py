"""What one Blocker leaves to the next: what the kernel does not hold, and what it may lose.

All times are seconds, counted from when it was asked, so that no clock matters here. What is handed on may
come from a file: it is held against the policy again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ..history.memory import Networks, code_of
from .guards import Guard
from .plan import ENOUGH_KNOWN, MINE, Block, Network, Policy, Step, refusal

AGAIN = "it stood before, and its time is not up"
SERVED = "blocks that came back hit more than {:.0f} % of the networks of known clients: decide by hand"


class Remembered(Struct, frozen=True, kw_only=True):
    """What a Blocker knows.

    Attributes:
        at: when it was asked, Unix time.
        blocks: that stood last, with the seconds that are left to them.
        offences: how often each network was blocked, the newest last.
        lately: how long ago networks were blocked anew, of the last minute.
        avoided: guards that did nothing or did harm, with the seconds for which they are not tried again.
    """

    at: float = 0.0
    blocks: tuple[Block, ...] = ()
    offences: Mapping[Network, int] = {}
    lately: tuple[float, ...] = ()
    avoided: Mapping[Guard, float] = {}


NOTHING: Final = Remembered()


def aged(before: Remembered, passed: float) -> Remembered:
    """The same, so many seconds later."""
    blocks = (replace(block, seconds=block.seconds - passed) for block in before.blocks)
    return replace(
        before,
        blocks=tuple(block for block in blocks if block.seconds > 0),
        lately=tuple(ago + passed for ago in before.lately),
        avoided={guard: left - passed for guard, left in before.avoided.items() if left > passed},
    )


def regained(before: Remembered, policy: Policy, lifted: Container[str]) -> list[Step]:
    """The steps that put lost blocks up again for the time that is left, as far as the policy allows.

    Args:
        before: what stood.
        policy: the limits as they are now.
        lifted: networks whose blocks were lifted by hand since; with an empty name in it, all were.
    """
    steps = list[Step]()
    for block in () if "" in lifted else before.blocks:
        if block.seconds <= 0 or str(block.network) in lifted or refusal(block.network, policy) is not None:
            continue
        longest = policy.ttl_max_s if block.why.startswith(MINE) else block.seconds
        steps.append(Step("add", replace(block, seconds=min(block.seconds, longest)), AGAIN))
    return steps[: policy.max_blocks]


def beyond_share(
    standing: Mapping[Network, Block], regained: Container[Network], policy: Policy, known: Networks
) -> dict[Network, str]:
    """Blocks that came back and with all that stand meet more known clients than the policy allows; and why.

    Args:
        standing: what the kernel holds now.
        regained: the networks whose blocks came back; one that was ordered by hand stays.
        policy: the limits.
        known: networks of known clients, see ``history.memory``.
    """
    if len(known) < ENOUGH_KNOWN:
        return {}
    served, found = frozenset(known.tolist()), dict[Network, str]()
    mine = [n for n, block in standing.items() if n in regained and block.why.startswith(MINE)]
    hit = {code for n in standing.keys() - set(mine) if (code := code_of(n)) in served}
    for network in mine:
        code = code_of(network)
        if code in served and len(hit | {code}) > policy.most_share * len(served):
            found[network] = SERVED.format(100 * policy.most_share)
        else:
            hit |= {code} & served
    return found
