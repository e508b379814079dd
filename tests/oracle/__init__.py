"""An exact reader of packets beside floodwatch: does each number of an event come out again?

    python -m oracle REPORT.json [CAPTURE]     (in tests/)

Nothing here is of floodwatch: frames are read anew, and counted in dictionaries. See ``claims`` for what each
sentence says, ``fields`` for the numbers beside them.
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from oracle.claims import Verdict, judge, nanoseconds
from oracle.counts import Log, Victim
from oracle.packets import Packet, UnreadableError, content, packets


@lru_cache(maxsize=1)
def _capture(path: str, doubled: bool) -> tuple[list[Packet], dict[bytes, list[Packet]]]:
    """All packets of a capture, and those of each address."""
    every, by = packets(content(Path(path)), doubled), defaultdict[bytes, list[Packet]](list)
    for found in every:
        by[found.target].append(found)
        if found.source != found.target:
            by[found.source].append(found)
    return every, by


@lru_cache(maxsize=8)
def _log(path: str, doubled: bool, where: str, proxies: frozenset[bytes] = frozenset()) -> Log:
    victim, (every, by) = ipaddress.ip_network(where), _capture(path, doubled)
    alone = victim.prefixlen == victim.max_prefixlen
    return Log(victim, proxies=proxies).take(by.get(victim.network_address.packed, []) if alone else every)


def inspect(event: dict[str, Any], path: str, doubled: bool = False) -> Iterator[tuple[str, Verdict, str]]:
    """Name, verdict and words of each sentence and number of an event.

    Raises:
        UnreadableError: the oracle does not know this kind of capture.
    """
    from oracle.fields import numbers

    stretches = [
        (nanoseconds(stretch["first"]), nanoseconds(stretch["until"]))
        for stretch in event["counted"]["stretches"]
    ]
    if event["vector"] == "malformed_flood":
        raise UnreadableError("frames that contradict themselves")
    if not any(_log(path, doubled, event["victim"]["ip"]).times.values()):
        raise UnreadableError("what tunnels or unknown tags carry")
    via = frozenset(
        ipaddress.ip_network(via["cidr"]).network_address.packed for via in event["sources"]["via"]
    )
    if event["vector"] in ("websocket_flood", "madeyoureset"):
        raise UnreadableError("frames of WebSockets and HTTP/2")
    exact = Victim(_log(path, doubled, event["victim"]["ip"], via), stretches)
    hidden = event["vector"] in ("http2_rapid_reset", "slow_http") and not exact.n("requests")
    sealed = hidden and exact.n("hellos") > 0
    if sealed or event["vector"] in ("https_flood", "http3_flood"):
        raise UnreadableError("what TLS and QUIC hide")
    if event["vector"] == "http_flood" and exact.n("streams") > 0:
        raise UnreadableError("compressed headers of HTTP/2")
    unclear = not via and exact.n("named") > 0 and not event["sources"]["top"]
    said = [(one["name"], judge(event, one, exact), one["says"]) for one in event["evidence"]]
    for name, verdict, says in (*said, *numbers(event, exact)):
        if unclear and name in ("pace", "sources.distinct", "known_networks"):
            verdict = Verdict(None, "whose word is taken for its clients is not told")
        yield name, verdict, says
