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

from .version import __version__ as __version__

if TYPE_CHECKING:
    from ._sketches import CountMin as CountMin
    from ._sketches import HyperLogLog as HyperLogLog
    from ._sketches import TopK as TopK
    from .api.batches import read as read
    from .api.detector import Detector as Detector
    from .api.detector import detect as detect
    from .api.packets import PacketBatch as PacketBatch
    from .api.results import Report as Report
    from .api.results import scan as scan
    from .api.watching import live as live
    from .api.window import Window as Window
    from .errors import BlockRefused as BlockRefused
    from .errors import CaptureError as CaptureError
    from .errors import ConfigError as ConfigError
    from .errors import EnforceError as EnforceError
    from .errors import FloodwatchError as FloodwatchError
    from .errors import InputError as InputError
    from .errors import SketchMismatch as SketchMismatch
    from .mitigate import Blocker as Blocker
    from .model.event import Event as Event
    from .model.event import Verdict as Verdict
    from .model.event import Victim as Victim
    from .model.vector import Vector as Vector

_PLACES = {
    "_sketches": ("CountMin", "HyperLogLog", "TopK"),
    "api.batches": ("read",),
    "api.detector": ("Detector", "detect"),
    "api.packets": ("PacketBatch",),
    "api.results": ("Report", "scan"),
    "api.watching": ("live",),
    "api.window": ("Window",),
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
    "model.event": ("Event", "Verdict", "Victim"),
    "model.vector": ("Vector",),
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
