"""Captures that were read but not understood: what nothing was decoded of is not clean, and is told why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from ..capture.linktype import DECODED, linktype_name
from ..config.options import ALL_TIME, ScanOptions
from ..model.epoch import rfc3339
from ..model.report import Input, InputFault

if TYPE_CHECKING:
    from .._engine import Decoder

ETHERTYPES = {
    0x0806: "ARP", 0x0842: "wake on LAN", 0x22EA: "SRP", 0x22F0: "AVTP", 0x22F3: "TRILL", 0x6003: "DECnet",
    0x8035: "RARP", 0x809B: "AppleTalk", 0x80F3: "AppleTalk ARP", 0x8100: "VLAN", 0x8137: "IPX",
    0x8808: "flow control", 0x8809: "slow protocols, LACP", 0x8847: "MPLS", 0x8863: "PPPoE discovery",
    0x8864: "PPPoE session", 0x886D: "ANS probe", 0x8870: "jumbo frame", 0x888E: "EAPOL", 0x8892: "PROFINET",
    0x88A2: "ATA over Ethernet", 0x88A4: "EtherCAT", 0x88AB: "POWERLINK", 0x88B8: "GOOSE",
    0x88BA: "sampled values", 0x88CC: "LLDP", 0x88CD: "SERCOS III", 0x88DC: "WSMP", 0x88E1: "HomePlug",
    0x88E3: "MRP", 0x88E5: "MACsec", 0x88E7: "PBB", 0x88F5: "MVRP", 0x88F7: "PTP", 0x88FB: "PRP",
    0x8902: "CFM", 0x8906: "FCoE", 0x8914: "FIP", 0x8915: "RoCE", 0x892F: "HSR", 0x8947: "GeoNetworking",
    0x894F: "NSH", 0x9000: "loopback test", 0xFEFE: "ISO",
}  # fmt: skip
"""Names of some types that hold no IP packet, or one that is not read (IEEE, IANA)."""
LEAST_TYPE = 0x0600
"""Below it the field is a length (IEEE 802.3)."""


def fault_of(decoder: Decoder) -> InputFault | None:
    """Why packets of a capture that was read to its end say nothing; None where they do."""
    packets, rejected = decoder.packets, decoder.rejected
    unknown = rejected.get("unknown_linktype", 0)
    if unknown:
        types = [f"{n} ({linktype_name(n)})" for n in decoder.linktypes if n not in DECODED]
        what = f"link type {' and '.join(types)} is not read"
        if unknown < packets:
            what += f": {unknown:,} of {packets:,} packets"
        return _fault("unknown_linktype", what)
    if packets and sum(rejected.values()) >= packets:
        reasons = ", ".join(f"{count:,} {why.replace('_', ' ')}" for why, count in rejected.items())
        kind = _named(decoder.unread_type) if "not_ip" in rejected else ""
        return _fault("nothing_decoded", f"none of {packets:,} packets could be decoded: {reasons}{kind}")
    return None


def unmatched(
    inputs: Sequence[Input], unwanted: Sequence[tuple[int, int] | None], options: ScanOptions
) -> list[Input]:
    """The inputs, each with a fault where the filter and the span together left nothing of any.

    Args:
        inputs: what was read.
        unwanted: the first and the last time of what was left out of each.
        options: what was asked for.
    """
    if any(item.packets or item.error for item in inputs):
        return list(inputs)
    within = options.since_ns > 0 or options.until_ns < ALL_TIME
    wanted = " and ".join(
        [
            *(["matches the filter"] if options.filter else []),
            *(["is of who sent such a hello"] if options.ja4 else []),
            *(["lies in the time that was asked for"] if within else []),
        ]
    )

    def told(item: Input, times: tuple[int, int]) -> Input:
        what = f"none of {item.filtered:,} packets {wanted}"
        if within:
            first, last = map(rfc3339, times)
            what += f": the capture begins at {first} and ends at {last}"
        return replace(item, error=_fault("nothing_matched", what))

    return [
        item if times is None else told(item, times) for item, times in zip(inputs, unwanted, strict=True)
    ]


def _named(ethertype: int) -> str:
    if ethertype < LEAST_TYPE:
        return ""
    name = ETHERTYPES.get(ethertype)
    return f" (most of EtherType 0x{ethertype:04x}{f', {name}' if name else ''})"


def _fault(code: str, message: str) -> InputFault:
    return InputFault(code=code, offset=None, message=message)
