"""floodwatch: find floods in packet captures, with evidence; sketches that count in fixed memory.

>>> import floodwatch as fw
>>> sources = fw.HyperLogLog().update(["203.0.113.9", "203.0.113.9", "198.51.100.7"])
>>> round(sources.estimate())
2

Names are loaded on first use, so that ``import floodwatch`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import CountMin as CountMin
    from ._native import HyperLogLog as HyperLogLog
    from ._native import TopK as TopK
    from .batches import read as read
    from .detector import Detector as Detector
    from .detector import detect as detect
    from .errors import BlockRefused as BlockRefused
    from .errors import CaptureError as CaptureError
    from .errors import ConfigError as ConfigError
    from .errors import EnforceError as EnforceError
    from .errors import FloodwatchError as FloodwatchError
    from .errors import InputError as InputError
    from .errors import SketchMismatch as SketchMismatch
    from .mitigate import Blocker as Blocker
    from .model import Event as Event
    from .model import Vector as Vector
    from .model import Verdict as Verdict
    from .model import Victim as Victim
    from .packets import PacketBatch as PacketBatch
    from .results import Report as Report
    from .results import scan as scan
    from .watching import live as live
    from .window import Window as Window

__version__ = "0.1.0"

_PLACES = {
    "_native": ("CountMin", "HyperLogLog", "TopK"),
    "batches": ("read",),
    "detector": ("Detector", "detect"),
    "errors": (
        "BlockRefused",
        "CaptureError",
        "ConfigError",
        "EnforceError",
        "FloodwatchError",
        "InputError",
        "SketchMismatch",
    ),
    "mitigate": ("Blocker",),
    "model": ("Event", "Vector", "Verdict", "Victim"),
    "packets": ("PacketBatch",),
    "results": ("Report", "scan"),
    "watching": ("live",),
    "window": ("Window",),
}
_HOME = {name: module for module, names in _PLACES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


if not TYPE_CHECKING:  # a type checker that saw this would let any name pass

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
