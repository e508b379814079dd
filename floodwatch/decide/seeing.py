"""What an event owes to the way it was captured: sentences, and how far each lowers the confidence.

Pure functions of what is known about the capture when the event is told.
"""

from __future__ import annotations

from msgspec import Struct

from ..model.event import CaptureInfo, Evidence, Stamps

DOUBLED_LEAST = 0.1
"""Share of frames that were captured twice, and both counted, from which rates are in doubt."""
LOST_LEAST = 0.001
"""Share of lost packets below which nothing is said."""
FEWEST = 64
"""Packets below which time stamps say nothing about their clock."""
COPIES_LEFT_OUT, COPIES_COUNTED = 0.97, 0.85
"""Factors of the confidence where frames were captured twice: copies are left out by their likeness ..."""
STAMPS: dict[Stamps, float] = {"exact": 1.0, "seconds": 0.9, "one": 0.8}
"""... and where time stamps do not tell rates ..."""
LOST = 0.5
"""... and this, times the share of lost packets, is taken off."""


class Seen(Struct, frozen=True):
    """How packets were captured, as far as it is known by now.

    Attributes:
        interface: where, of a live watch.
        packets: counted.
        lost: by the capture itself.
        ahead: dropped by our own rules before they could be captured.
        copies: frames left out because a mirror showed them again.
        doubled: share of the first frames that were captured twice.
        stamps: what the time stamps tell.
    """

    interface: str | None = None
    packets: int = 0
    lost: int = 0
    ahead: int = 0
    copies: int = 0
    doubled: float = 0.0
    stamps: Stamps = "exact"

    @property
    def unseen_share(self) -> float:
        """Share of the packets that were lost on the way, or dropped before they could be seen."""
        unseen = self.lost + self.ahead
        return unseen / max(self.packets + unseen, 1)

    @property
    def lost_share(self) -> float:
        """Share of the packets that the capture lost."""
        return self.lost / max(self.packets + self.lost, 1)

    @property
    def copied_share(self) -> float:
        """Share of the frames that were captured again: of all that were left out, else of the first."""
        return self.copies / (self.packets + self.copies) if self.copies else self.doubled / 2

    def info(self) -> CaptureInfo:
        """What the event says of it in fields."""
        return CaptureInfo(
            interface=self.interface,
            unseen_share=self.unseen_share,
            copied_share=round(self.copied_share, 4),
            stamps=self.stamps,
        )


UNKNOWN = Seen()
"""Nothing is known against it."""


def evidence(seen: Seen) -> list[Evidence]:
    """What may be wrong with the numbers of an event, in words."""
    out = []
    if seen.copies:
        says = f"{seen.copies} frames were captured again, as mirror ports do, and are left out"
        out.append(Evidence(name="copies", value=round(seen.copied_share, 4), usual=0.0, says=says))
    elif seen.doubled >= DOUBLED_LEAST:
        says = (
            f"{100 * seen.doubled:.0f} % of the first frames were captured twice, and both copies are "
            "counted: rates may be up to twice too high"
        )
        out.append(Evidence(name="copies", value=round(seen.copied_share, 4), usual=0.0, says=says))
    if seen.stamps == "seconds":
        says = "time stamps are whole seconds: rates are means of a second, shorter peaks are not seen"
        out.append(Evidence(name="stamps", value=1.0, usual=None, says=says))
    if seen.stamps == "one":
        says = "all packets bear one time stamp: how long they took, and so their rate, is not known"
        out.append(Evidence(name="stamps", value=0.0, usual=None, says=says))
    if seen.lost_share >= LOST_LEAST:
        says = f"the capture itself lost {seen.lost} packets, {100 * seen.lost_share:.2g} % of all"
        out.append(Evidence(name="lost", value=round(seen.lost_share, 4), usual=0.0, says=says))
    return out


def factor(seen: Seen) -> float:
    """Factor of the confidence, at most 1."""
    copies = COPIES_LEFT_OUT if seen.copies else COPIES_COUNTED if seen.doubled >= DOUBLED_LEAST else 1.0
    return copies * STAMPS[seen.stamps] * (1 - LOST * seen.lost_share)
