"""Where frames come from: files in mapped windows, gzip and other streams, and the libpcap filter."""

from .blocks import Block, Blocks, open_blocks
from .discover import Found, discover
from .filter import Filter, compile_filter
from .linktype import LINKTYPE_NAMES, linktype_name

__all__ = [
    "LINKTYPE_NAMES",
    "Block",
    "Blocks",
    "Filter",
    "Found",
    "compile_filter",
    "discover",
    "linktype_name",
    "open_blocks",
]
