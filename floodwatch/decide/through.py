"""What is advised of floods that come through proxies, or from addresses that many machines share."""

from __future__ import annotations

from ..model.decision import SOURCE_RATES
from ..model.event import Action, Via
from .case import Case

SHARED = "several machines share each of these addresses: a limit stops the excess, a block would hit people"
AT_THE_PROXY = (
    "what stands out is a proxy, or an address that many people share: it is never blocked nor limited; "
    "tell its clients apart there, or let it name them (X-Forwarded-For, PROXY protocol)"
)
FOR_THE_PROXY = (
    "a proxy names these clients: deny them there (explain --as nginx, haproxy or cdn); here all come from "
    "the proxy's address, which is never blocked"
)
IN_BOTH_PLACES = (
    "those who finished a handshake here may be blocked here; those whom only a proxy names are for its deny "
    "list (explain --as nginx, haproxy or cdn); the proxy itself is never blocked"
)


def through_a_proxy(case: Case, action: Action, why: str) -> tuple[Action, str]:
    """A proxy pays for nothing that its clients do: what it names is for its own deny list."""
    proofs = {source.proof for source in case.settled.values()}
    if not proofs:
        return "observe", AT_THE_PROXY
    if action in SOURCE_RATES and "forwarded" in proofs:
        return action, IN_BOTH_PLACES if "handshake" in proofs else FOR_THE_PROXY
    return action, why


def for_shared(case: Case, action: Action, why: str) -> tuple[Action, str]:
    """An address that several machines share is limited, not blocked."""
    shared = sum(source.shared for source in case.settled.values())
    if not shared or action != "drop_sources":
        return action, why
    if shared == len(case.settled):
        return "limit_per_source", SHARED
    return action, f"{why}; {shared} that several machines share are only limited"


def proxies_of(case: Case) -> tuple[Via, ...]:
    """The proxies that it came through, the busiest first."""
    total = max(case.count, 1)
    return tuple(
        Via(cidr=via.cidr, share=round(min(1.0, count / total), 4), how=via.how)
        for via, count in sorted(case.via.items(), key=lambda item: (-item[1], item[0]))
    )
