"""Where frames come from: files in mapped windows, streams, live interfaces, and the libpcap filter."""

from .blocks import Block, Blocks, open_blocks
from .discover import Found, discover
from .filter import Filter, compile_filter
from .linktype import LINKTYPE_NAMES, linktype_name
from .ring import Backlog, LinkNews, LiveRing
from .twins import CERTAIN, share_of_twins

__all__ = [
    "CERTAIN",
    "LINKTYPE_NAMES",
    "Backlog",
    "Block",
    "Blocks",
    "Filter",
    "Found",
    "LinkNews",
    "LiveRing",
    "compile_filter",
    "discover",
    "linktype_name",
    "open_blocks",
    "share_of_twins",
]
