"""From a verdict to a rule in the kernel: plan purely, apply last, read back what stands."""

from .audit import Act
from .backend import BACKENDS, Backend, standing, take_away
from .blocker import Blocker
from .byhand import ByHand
from .guards import Guard, Standing, describe, name_of
from .lock import Lock
from .never import NeverBlock
from .nft.table import Table
from .ordered import spare
from .places import Places
from .plan import Block, Network, Ordered, Policy, Proven, Step, plan, prove
from .remembered import Remembered
from .tally import Tally
from .xdp.mirror import Xdp, dropped_ahead

__all__ = [
    "BACKENDS",
    "Act",
    "Backend",
    "Block",
    "Blocker",
    "ByHand",
    "Guard",
    "Lock",
    "Network",
    "NeverBlock",
    "Ordered",
    "Places",
    "Policy",
    "Proven",
    "Remembered",
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
    "spare",
    "standing",
    "take_away",
]
