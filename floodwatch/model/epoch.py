"""Time and what is counted in it: epochs, kinds of packets, classes of sources, as the engine exports them.

``native/fw_features.h`` has the list, ``floodwatch/docs/features.md`` the words.
"""

from __future__ import annotations

from datetime import UTC, datetime

from .._engine import ACK as ACK
from .._engine import CARRIER as CARRIER
from .._engine import CLASS_HTTP as CLASS_HTTP
from .._engine import CLASS_OTHER as CLASS_OTHER
from .._engine import CLASS_SEALED as CLASS_SEALED
from .._engine import CLASS_SYN as CLASS_SYN
from .._engine import CLASS_TCP as CLASS_TCP
from .._engine import CLASS_UDP as CLASS_UDP
from .._engine import CLASSES as CLASSES
from .._engine import CONTROLS_A_SECOND as CONTROLS_A_SECOND
from .._engine import DATA as DATA
from .._engine import EPOCH_NS as EPOCH_NS
from .._engine import FIN as FIN
from .._engine import FRAGMENT as FRAGMENT
from .._engine import FRAMES_A_SECOND as FRAMES_A_SECOND
from .._engine import ICMP as ICMP
from .._engine import MALFORMED as MALFORMED
from .._engine import OTHER as OTHER
from .._engine import RST as RST
from .._engine import SLOT_MASK as SLOT_MASK
from .._engine import SYN as SYN
from .._engine import SYNACK as SYNACK
from .._engine import TCP_ODD as TCP_ODD
from .._engine import UDP as UDP

EPOCHS_PER_SECOND = 1_000_000_000 // EPOCH_NS


def rfc3339(ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 UTC, without trailing zeros in the fraction."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    except (OverflowError, ValueError):
        text = "9999-12-31T23:59:59"
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
