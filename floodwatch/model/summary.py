"""What crosses from the engine to the detectors, once an epoch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Summary:
    """What the engine counted in one epoch: the only thing that crosses from C to Python.

    Attributes:
        epoch: its number since 1970 (250 ms each).
        gap: epochs without a packet before it; 2^64 - 1 after the clock was set back.
        first_ns: time of its first packet.
        last_ns: time of its last packet.
        victims: one row per loaded address, ``_engine.VICTIM_DTYPE``.
        heavy: returns the heavy (source, victim) pairs of the open window, ``_engine.HEAVY_DTYPE``.
        hosts: returns every address that got packets, in short, ``_engine.HOST_DTYPE``.
        held: returns the connections on which clients hold places, and those that are over since it was
            asked last, ``_engine.HELD_DTYPE``.
        sources_of: returns the union of a source set over addresses given by reference.
        window_ends: the heavy-hitter window is cleared after this epoch.
        final: the capture ends with it.
        greeted: a sample of the ClientHellos (``_engine.HELLO_DTYPE``, none sealed), parts with their texts.
        coarse: all time stamps so far are whole seconds: an epoch holds the packets of a second.
    """

    epoch: int
    gap: int
    first_ns: int
    last_ns: int
    victims: NDArray[np.void]
    heavy: Callable[[], NDArray[np.void]]
    hosts: Callable[[], NDArray[np.void]]
    held: Callable[[], NDArray[np.void]]
    sources_of: Callable[[NDArray[np.uint32], int], NDArray[np.uint8]]
    window_ends: bool
    final: bool
    greeted: Sequence[tuple[NDArray[np.void], bytes]] = ()
    coarse: bool = False
