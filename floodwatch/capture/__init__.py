"""Where frames come from: files in mapped windows, streams, live interfaces, and the libpcap filter."""

from .blocks import Block, Blocks, open_blocks
from .discover import Found, discover
from .filter import Filter, compile_filter
from .linktype import LINKTYPE_NAMES, linktype_name
from .ring import LinkNews, LiveRing, backlog_drops
from .twins import CERTAIN, share_of_twins

__all__ = [
    "CERTAIN",
    "LINKTYPE_NAMES",
    "Block",
    "Blocks",
    "Filter",
    "Found",
    "LinkNews",
    "LiveRing",
    "backlog_drops",
    "compile_filter",
    "discover",
    "linktype_name",
    "open_blocks",
    "share_of_twins",
]
