"""From a verdict to a rule in the kernel: plan purely, apply last, read back what stands."""

from .blocker import Blocker
from .guards import Standing, describe, name_of
from .lock import Lock
from .never import NeverBlock
from .nft.table import Table
from .plan import Block, Network, Ordered, Policy, Proven, Step, plan, prove
from .xdp.mirror import Tally, Xdp, dropped_ahead, with_ahead

__all__ = [
    "Block",
    "Blocker",
    "Lock",
    "Network",
    "NeverBlock",
    "Ordered",
    "Policy",
    "Proven",
    "Standing",
    "Step",
    "Table",
    "Tally",
    "Xdp",
    "describe",
    "dropped_ahead",
    "name_of",
    "plan",
    "prove",
    "with_ahead",
]
