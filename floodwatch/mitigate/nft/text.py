"""The table that a plan would make, in the words of ``nft``: from the very parts that go to the kernel."""

from __future__ import annotations

from collections.abc import Sequence

from ..guards import Order
from ..plan import Block
from . import guardtable, layout
from .objects import Chain, End, Members, Part, Rule, Set


def table_text(name: str, blocks: Sequence[Block], orders: Sequence[Order], seconds: float) -> str:
    """A table of this name with these blocks and guards; guards last so many seconds.

    It takes the place of a table of that name, so that it can be loaded again.
    """
    parts: list[Part] = [*layout.skeleton()]
    parts += layout.missing(blocks, {part.name for part in parts if isinstance(part, Set)})
    parts += guardtable.missing([order.guard for order in orders], set())
    held: dict[str, list[str]] = {}
    for part in parts:
        if isinstance(part, Members):
            held.setdefault(part.of, []).extend(part.words)
    for block in blocks:
        name_of_set = layout.set_name(block.network.version, block.network.prefixlen, block.rate)
        end = End(block.seconds, block.why).text()
        held.setdefault(name_of_set, []).append(f"{block.network.network_address}{end}")
    for order in orders:
        for name_of_set in guardtable.sets_of(order.guard):
            end = guardtable.end_of(order, name_of_set, seconds).text()
            held.setdefault(name_of_set, []).append(f"{guardtable.key_words(order.guard)}{end}")
    rules: dict[str, list[str]] = {}
    for part in parts:
        if isinstance(part, Rule):
            rules.setdefault(part.chain, []).append(part.text())
    sets = [part.text(held.get(part.name, [])) for part in parts if isinstance(part, Set)]
    chains = [part.text(rules.get(part.name, [])) for part in parts if isinstance(part, Chain)]
    return "\n".join([f"add table inet {name}", f"delete table inet {name}", f"table inet {name} {{",
                      *sets, *chains, "}"])  # fmt: skip
