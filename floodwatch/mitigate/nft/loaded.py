"""Tables that ``explain`` printed and somebody loaded: told by their name and by every rule in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from . import codec
from .codec import Message, Netfilter, running_linux, text
from .table import rules_of

GET_TABLE = 1
PREFIX = "fw_"
"""Of a table of its own for each event, see ``ruletext.table_name``."""


def take_away() -> tuple[list[str], list[str]]:
    """Remove such tables from this network namespace.

    Returns:
        The names of those that are gone, and of those that bear such a name but hold other rules: they stay.

    Raises:
        EnforceError: no right, or no nf_tables.
    """
    gone, left = list[str](), list[str]()
    with closing(Netfilter(running_linux())) as kernel:
        for name in [found for found in _names(kernel, GET_TABLE, "") if found.startswith(PREFIX)]:
            sets = set(_names(kernel, codec.GET_SET, name))
            if sets and sorted(_comments(kernel, name)) == rules_of(sets):
                kernel.commit([Message(codec.DEL_TABLE, text(1, name))])
                gone.append(name)
            else:
                left.append(name)
    return gone, left


def _names(kernel: Netfilter, kind: int, table: str) -> Iterator[str]:
    """The names of all tables, or of the sets of one."""
    for found in _listed(kernel, kind, table):
        yield bytes(found[2 if table else 1]).rstrip(b"\0").decode()


def _comments(kernel: Netfilter, table: str) -> Iterator[str]:
    """The comment of each rule of a table."""
    for found in _listed(kernel, codec.GET_RULE, table):
        yield codec.comment_of(bytes(found.get(7, b"")))


def _listed(kernel: Netfilter, kind: int, table: str) -> Iterator[dict[int, memoryview]]:
    for body in kernel.dump(kind, text(1, table) if table else b""):
        found = dict(codec.attributes(body))
        if not table or bytes(found.get(1, b"")).rstrip(b"\0") == table.encode():
            yield found
