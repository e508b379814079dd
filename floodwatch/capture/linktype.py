"""Names of link types as tcpdump and the report write them."""

from __future__ import annotations

LINKTYPE_NAMES: dict[int, str] = {
    0: "NULL",
    1: "EN10MB",
    6: "IEEE802_5",
    8: "SLIP",
    9: "PPP",
    10: "FDDI",
    12: "RAW",
    14: "RAW",
    50: "PPP_HDLC",
    101: "RAW",
    104: "C_HDLC",
    105: "IEEE802_11",
    107: "FRELAY",
    108: "LOOP",
    113: "LINUX_SLL",
    117: "PFLOG",
    127: "IEEE802_11_RADIO",
    192: "PPI",
    228: "IPV4",
    229: "IPV6",
    239: "NFLOG",
    242: "IPOIB",
    258: "PKTAP",
    276: "LINUX_SLL2",
    281: "DSA_TAG_BRCM",
    284: "DSA_TAG_DSA",
    285: "DSA_TAG_EDSA",
    129: "ARCNET_LINUX",
    195: "IEEE802_15_4",
    231: "DBUS",
}

DECODED: tuple[int, ...] = (
    1,
    0,
    6,
    9,
    10,
    12,
    14,
    50,
    101,
    104,
    105,
    107,
    108,
    113,
    117,
    127,
    192,
    228,
    229,
    239,
    242,
    258,
    276,
    281,
    284,
    285,
)
"""Link types that the native decoder reads."""


def linktype_name(number: int) -> str:
    """The usual name of a LINKTYPE_ value, or its number as text."""
    return LINKTYPE_NAMES.get(number, str(number))
