"""Time and what is counted in it: epochs, kinds of packets, classes of sources."""

from __future__ import annotations

from datetime import UTC, datetime

EPOCH_NS = 250_000_000
"""Length of one epoch in nanoseconds."""
EPOCHS_PER_SECOND = 1_000_000_000 // EPOCH_NS
SYN, SYNACK, RST, FIN, DATA, ACK, TCP_ODD, UDP, ICMP, FRAGMENT, OTHER, CARRIER = range(12)
"""Rows of ``kinds``, as in native/fw_packet.h."""
CLASS_SYN, CLASS_UDP, CLASS_OTHER, CLASS_HTTP, CLASS_TCP = CLASSES = range(5)
"""Source sets of a victim, as in native/fw_victim.h."""


def rfc3339(ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 UTC, without trailing zeros in the fraction."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    except (OverflowError, ValueError):
        text = "9999-12-31T23:59:59"
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
