"""Proxies are left out of a finding's sources, and told as what its clients came through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from ..history.proxies import Proxies
from ..history.sources import source_of
from ..model.finding import Finding, SourceCount


def spare(finding: Finding[Any], proxies: Proxies, heavy: Callable[[], NDArray[np.void]]) -> None:
    """Leave proxies out of ``finding.top``, and look for the handshakes of those whom they name.

    A client that a proxy names may be blocked here only if it finished a handshake with us as well: where TLS
    ends on this host the handshake is seen outside, and the request inside.

    Args:
        finding: is changed.
        proxies: who they are.
        heavy: the heavy-hitter table.
    """
    kept: list[SourceCount] = []
    for source in finding.top:
        known = proxies.known(finding.victim, source.source, source.v6)
        if source.behind and proxies.within(finding.victim, source.network):
            finding.spared.append(source.key)
        elif known is None or source.low:
            kept.append(source)
        elif known == "shared":
            kept.append(replace(source, shared=source.proof == "handshake"))
        else:
            finding.spared.append(source.key)
    forwarded = sum(source.lo for source in kept if source.proof == "forwarded")
    if forwarded:
        rows = heavy()
        seen = rows[(rows["via"] == 0) & (rows["proven"] > 0)]
        shaken = {source_of(row, 0, 0).key for row in seen}
        kept = [replace(one, proof="handshake") if one.key in shaken else one for one in kept]
    if forwarded or finding.spared:
        part = forwarded / sum(source.lo for source in kept) if forwarded else 1.0
        finding.via = [(via, share * part * finding.count) for via, share in proxies.carried(finding.victim)]
    finding.top = kept
    finding.seen = [
        one for one in finding.seen if proxies.known(finding.victim, one.source, one.v6) in (None, "shared")
    ]
