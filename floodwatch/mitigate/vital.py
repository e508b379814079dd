"""What a network lives by: no guard meets it, and floods of it are only told."""

from __future__ import annotations

TCP, UDP = 6, 17
PROTOCOLS = (2, 88, 89, 103, 112)
"""IGMP, EIGRP, OSPF, PIM, VRRP: by these routers find each other and their ways."""
SERVICES: tuple[tuple[int, int], ...] = (
    (UDP, 67), (UDP, 68), (UDP, 546), (UDP, 547), (TCP, 179), (UDP, 520), (UDP, 521), (UDP, 1985),
    (UDP, 3784), (UDP, 3785), (UDP, 4784),
)  # fmt: skip
"""DHCP, DHCPv6, BGP, RIP, RIPng, HSRP, BFD: protocol and destination port."""
ICMP6_KINDS = (1, 2, 3, 4, 130, 131, 132, 133, 134, 135, 136, 137, 141, 142, 143, 148, 149, 151, 152, 153)
"""ICMPv6 errors (2 is packet too big), multicast listeners, neighbours, routers (RFC 4890, 4.3 and 4.4)."""
ICMP_NEEDED = (3, 4)
"""Type and code of ICMP: fragmentation needed."""


def is_vital(protocol: int, port: int | None) -> bool:
    """Does a network live by this protocol, or by what is spoken at this port?"""
    return protocol in PROTOCOLS or (protocol, port) in SERVICES
