"""The attack classes that can be named, and the protocols that reflect. ``model`` hands both on."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

AMPLIFIERS: tuple[tuple[int, str], ...] = (
    (17, "qotd"), (19, "chargen"), (53, "dns"), (69, "tftp"), (111, "portmap"), (123, "ntp"),
    (137, "netbios"), (161, "snmp"), (177, "xdmcp"), (389, "cldap"), (427, "slp"), (443, "dtls"),
    (500, "isakmp"), (520, "rip"), (623, "ipmi"), (1194, "openvpn"), (1434, "mssql"), (1900, "ssdp"),
    (3283, "ard"), (3389, "rdp"), (3478, "stun"), (3702, "wsd"), (4500, "isakmp"), (4672, "kad"),
    (5093, "sentinel"), (5351, "natpmp"), (5353, "mdns"), (5683, "coap"), (6881, "bittorrent"),
    (9987, "teamspeak"), (10001, "ubiquiti"), (10074, "tp240"), (11211, "memcached"), (27015, "steam"),
    (27960, "quake"), (30120, "fivem"), (32414, "plex"),
    (33848, "jenkins"), (37810, "dvr"), (47808, "bacnet"),
)  # fmt: skip
"""(UDP source port, protocol) of known reflectors: CISA TA14-017A and the captures of StopDDoS."""

TCP_NUMBER, UDP_NUMBER = 6, 17
PROTOCOL_NUMBERS = {
    "icmp": 1, "ipip": 4, "tcp": 6, "udp": 17, "6in4": 41, "gre": 47, "esp": 50, "ah": 51, "icmp6": 58,
    "ospf": 89, "sctp": 132,
}  # fmt: skip
"""Names of IP protocols (IANA) that a victim's ``protocol`` shows; others are ``ip-N``."""


def protocol_number(name: str) -> int:
    """The number of an IP protocol by the name that a victim shows."""
    return PROTOCOL_NUMBERS[name] if name in PROTOCOL_NUMBERS else int(name.removeprefix("ip-"))


ACRONYMS = frozenset(
    {"syn", "ack", "rst", "fin", "tcp", "udp", "icmp", "ip", "http", "api", "tls", "quic", "dns"}
)
"""Words of a vector's name that are written in capitals."""


Technique = Literal["T1110", "T1498.001", "T1498.002", "T1499.001", "T1499.002", "T1499.003", "T1595"]
TECHNIQUES: dict[Technique, str] = {
    "T1110": "Brute Force",
    "T1498.001": "Direct Network Flood",
    "T1498.002": "Reflection Amplification",
    "T1499.001": "OS Exhaustion Flood",
    "T1499.002": "Service Exhaustion Flood",
    "T1499.003": "Application Exhaustion Flood",
    "T1595": "Active Scanning",
}
"""What MITRE ATT&CK calls the techniques that floods belong to."""


class Vector(StrEnum):
    """Attack classes that this version can name (contract: vectors)."""

    SYN_FLOOD = "syn_flood"
    SYN_ACK_FLOOD = "syn_ack_flood"
    ACK_FLOOD = "ack_flood"
    RST_FLOOD = "rst_flood"
    FIN_FLOOD = "fin_flood"
    TCP_FLAG_FLOOD = "tcp_flag_flood"
    CONNECTION_FLOOD = "connection_flood"
    TCP_REFLECTION = "tcp_reflection"
    UDP_FLOOD = "udp_flood"
    UDP_LOOP = "udp_loop"
    ICMP_FLOOD = "icmp_flood"
    FRAGMENT_FLOOD = "fragment_flood"
    IP_PROTOCOL_FLOOD = "ip_protocol_flood"
    MALFORMED_FLOOD = "malformed_flood"
    HTTP_FLOOD = "http_flood"
    HTTPS_FLOOD = "https_flood"
    HTTP3_FLOOD = "http3_flood"
    SLOW_HTTP = "slow_http"
    API_PROBING = "api_probing"
    LOGIN_BRUTEFORCE = "login_bruteforce"
    TLS_FLOOD = "tls_flood"
    HTTP2_RAPID_RESET = "http2_rapid_reset"
    HTTP2_CONTINUATION_FLOOD = "http2_continuation_flood"
    MADEYOURESET = "madeyoureset"
    WEBSOCKET_FLOOD = "websocket_flood"
    QUIC_FLOOD = "quic_flood"
    DNS_QUERY_FLOOD = "dns_query_flood"
    UNKNOWN_AMPLIFICATION = "unknown_amplification"
    ARD_AMPLIFICATION = "ard_amplification"
    BACNET_AMPLIFICATION = "bacnet_amplification"
    BITTORRENT_AMPLIFICATION = "bittorrent_amplification"
    CHARGEN_AMPLIFICATION = "chargen_amplification"
    CLDAP_AMPLIFICATION = "cldap_amplification"
    COAP_AMPLIFICATION = "coap_amplification"
    DNS_AMPLIFICATION = "dns_amplification"
    DTLS_AMPLIFICATION = "dtls_amplification"
    DVR_AMPLIFICATION = "dvr_amplification"
    FIVEM_AMPLIFICATION = "fivem_amplification"
    IPMI_AMPLIFICATION = "ipmi_amplification"
    ISAKMP_AMPLIFICATION = "isakmp_amplification"
    JENKINS_AMPLIFICATION = "jenkins_amplification"
    KAD_AMPLIFICATION = "kad_amplification"
    MDNS_AMPLIFICATION = "mdns_amplification"
    MEMCACHED_AMPLIFICATION = "memcached_amplification"
    MSSQL_AMPLIFICATION = "mssql_amplification"
    NATPMP_AMPLIFICATION = "natpmp_amplification"
    NETBIOS_AMPLIFICATION = "netbios_amplification"
    NTP_AMPLIFICATION = "ntp_amplification"
    OPENVPN_AMPLIFICATION = "openvpn_amplification"
    PLEX_AMPLIFICATION = "plex_amplification"
    PORTMAP_AMPLIFICATION = "portmap_amplification"
    QOTD_AMPLIFICATION = "qotd_amplification"
    QUAKE_AMPLIFICATION = "quake_amplification"
    RDP_AMPLIFICATION = "rdp_amplification"
    RIP_AMPLIFICATION = "rip_amplification"
    SENTINEL_AMPLIFICATION = "sentinel_amplification"
    SLP_AMPLIFICATION = "slp_amplification"
    SNMP_AMPLIFICATION = "snmp_amplification"
    SSDP_AMPLIFICATION = "ssdp_amplification"
    STEAM_AMPLIFICATION = "steam_amplification"
    STUN_AMPLIFICATION = "stun_amplification"
    TEAMSPEAK_AMPLIFICATION = "teamspeak_amplification"
    TFTP_AMPLIFICATION = "tftp_amplification"
    TP240_AMPLIFICATION = "tp240_amplification"
    UBIQUITI_AMPLIFICATION = "ubiquiti_amplification"
    WSD_AMPLIFICATION = "wsd_amplification"
    XDMCP_AMPLIFICATION = "xdmcp_amplification"


def spelled(vector: Vector) -> str:
    """The vector as people write it: ``TCP flag flood``."""
    text = " ".join(word.upper() if word in ACRONYMS else word for word in vector.split("_"))
    return text[0].upper() + text[1:]
