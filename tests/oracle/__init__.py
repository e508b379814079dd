"""An exact reader of packets beside floodwatch: does each number of an event come out again?

    python -m oracle REPORT.json [CAPTURE]     (in tests/)

Nothing here is of floodwatch: frames are read anew, and counted in dictionaries. See ``claims`` for what each
sentence says, ``fields`` for the numbers beside them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from oracle.claims import Verdict, judge, nanoseconds
from oracle.counts import Victim
from oracle.packets import Packet, content, packets


@lru_cache(maxsize=1)
def _capture(path: str, doubled: bool) -> list[Packet]:
    return packets(content(Path(path)), doubled)


def inspect(event: dict[str, Any], path: str, doubled: bool = False) -> Iterator[tuple[str, Verdict, str]]:
    """Name, verdict and words of each sentence and number of an event.

    Raises:
        Unreadable: the oracle does not know this kind of capture.
    """
    from oracle.fields import numbers

    stretches = [
        (nanoseconds(stretch["first"]), nanoseconds(stretch["until"])) for stretch in event["counted"]["stretches"]
    ]
    exact = Victim(ipaddress.ip_network(event["victim"]["ip"]), stretches).take(_capture(path, doubled))
    for evidence in event["evidence"]:
        yield evidence["name"], judge(event, evidence, exact), evidence["says"]
    yield from numbers(event, exact)
