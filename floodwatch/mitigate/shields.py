"""What SYN cookies can do for a victim, as this host's kernel is set."""

from __future__ import annotations

from pathlib import Path

from .guards import Shield
from .plan import Network

SYN_COOKIES = "/proc/sys/net/ipv4/tcp_syncookies"
FORWARDS = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


def shield(victim: Network, *, own: bool) -> Shield:
    """This host's own cookies where it is the victim, a proxy where it forwards, or nothing."""
    if own:
        return "cookies" if _switched_on(SYN_COOKIES) else "none"
    return "proxy" if _switched_on(FORWARDS[victim.version]) else "none"


def _switched_on(path: str) -> bool:
    """A setting of the kernel is there and not 0."""
    try:
        return Path(path).read_text().strip() != "0"
    except OSError:
        return False
