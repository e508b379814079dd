"""Rules against one event, for people who load them themselves: nft, iptables, FlowSpec, RTBH.

They are the plan that a watch which enforces would carry out, from the same decision and by the same
functions. A source stands in a rule only where its address is proven real; reflectors and forged addresses
never do. Nothing is left out silently: every line that is no rule is a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ..decide.recall import decision_of
from ..detectors import title
from ..model.decision import SOURCE_RATES, Decision
from ..model.event import Event
from ..report import words
from ..report.escape import printable
from . import denylist
from .foreign import blackhole, flowspec, iptables
from .guards import Order, orders
from .nft.text import table_text
from .plan import Block, Policy, Step, gather, plan, prove
from .vital import is_vital

LIFETIME_S = 600
"""A watch renews its rules as long as the flood lasts; nobody renews what was loaded by hand."""
TABLE_ENDS = (
    f"what it holds ends after {LIFETIME_S // 60} minutes, and all of it goes by nft delete table inet {{}}; "
    "put those who must not be blocked into never4 and never6; where a rule asks for known4 or known6, put "
    "clients that you know there by the first address of their /24 or /48, as 192.0.2.0; connections that "
    "stand now pass once tracking knows them, or where live4 and live6 hold both their ends"
)
ENDLESS = "nothing ends this by itself: take it away in time; leave out those who must not be blocked"
COOKIES = (
    "on the victim's own host its SYN cookies protect it, and no rule is needed: "
    "sysctl -w net.ipv4.tcp_syncookies=1; for a router in front of it, ask for --router"
)


class Planned(NamedTuple):
    """What would stand against one flood, and the steps that policy refuses."""

    blocks: list[Block]
    orders: list[Order]
    refused: list[Step]


def planned(decision: Decision, *, router: bool = False) -> Planned:
    """What a watch would put up, by itself on its host.

    Args:
        decision: about the flood.
        router: the rules are for a router in front of the victim, which answers SYNs in its place. A report
            does not tell where it will be read; on the victim's own host SYN cookies need no rule.
    """
    policy = Policy(ttl_s=LIFETIME_S)
    steps = plan(gather(prove(decision), policy, {}), policy, {})
    return Planned(
        [step.block for step in steps if step.what == "add"],
        orders([decision], lambda victim: "proxy" if router else "cookies"),
        [step for step in steps if step.what == "refuse"],
    )


def render(event: Event, style: str, *, router: bool = False) -> str:
    """Rules against the event in one of the styles.

    Raises:
        InputError: the event holds what is no address, port or protocol.
    """
    if style in denylist.STYLES:
        return denylist.deny_list(event, style)
    decision = decision_of(event)
    told = [f"{title(event.vector, event.verdict)} at {event.victim.ip}, {event.id}", event.action.why]
    listed, of = len(decision.sources), event.sources.distinct.lo
    if 0 < listed < of:
        told.append(f"the report lists {listed} of {of} sources, and so do these rules: scan with --top 0")
    forwarded = sum(top.proof == "forwarded" for top in event.sources.top)
    if forwarded:
        told.append(
            f"{forwarded} are known only by what a proxy writes: --as {', '.join(denylist.STYLES)} list them"
        )
    return "\n".join([*_comments(told), *rules(decision, style, router=router), ""])


def rules(decision: Decision, style: str, *, router: bool = False) -> list[str]:
    """The rules of a decision in one of the styles, as lines."""
    found = planned(decision, router=router)
    notes = [*_unguarded(decision, router=router), *_refusals(found.refused)]
    name, blocks, guards = table_name(decision), found.blocks, found.orders
    match style:
        case "nft" if blocks or guards:
            lines, ends = [table_text(name, blocks, guards, LIFETIME_S)], TABLE_ENDS.format(name)
        case "iptables":
            lines, ends = list(iptables(blocks, guards)), ENDLESS
        case "flowspec":
            lines, ends = list(flowspec(decision.victim, blocks, guards)), ENDLESS
        case "rtbh":
            lines, ends = list(blackhole(decision.victim)), ENDLESS
        case _:
            lines, ends = [], ""
    nothing = all(line.startswith("#") for line in lines)
    unseen = decision.action in SOURCE_RATES and not decision.sources
    advice = "no source of it is proven here" if unseen else words.ADVICE[decision.action]
    notes.append(f"there is nothing to load: {advice}" if nothing else ends)
    return [*_comments(notes), *lines]


def table_name(decision: Decision) -> str:
    """A table of its own, so that it can stand beside a watch and beside others."""
    return "fw_" + re.sub(r"\W", "_", decision.id).lower()


def _unguarded(decision: Decision, *, router: bool) -> Iterator[str]:
    """Why a flood that could be guarded against is not."""
    if decision.protection is not None and is_vital(decision.protocol, decision.port):
        yield "a network lives by what is flooded, so no guard meets it: limit it where it enters the network"
    elif decision.protection in ("cookies", "capped") and decision.port is None:
        yield "no port holds most of it: there is none to guard"
    elif decision.protection == "cookies" and not router:
        yield COOKIES
    elif decision.protection == "reflected" and not decision.reflector_ports:
        yield "the port that the reflectors answer from is not known"


def _refusals(refused: Sequence[Step]) -> Iterator[str]:
    """What policy refuses: each reason with its networks, or with the first and how many more."""
    reasons: dict[str, list[str]] = {}
    for step in refused:
        reasons.setdefault(step.why, []).append(str(step.block.network))
    for why, networks in reasons.items():
        more = f" and {len(networks) - 1:,} more" if len(networks) > 1 else ""
        yield f"left out: {networks[0]}{more}: {why}"


def _comments(lines: Iterable[str]) -> list[str]:
    return [f"# {printable(line)}" for line in lines]
