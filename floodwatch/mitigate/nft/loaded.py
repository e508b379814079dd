"""Tables that ``explain`` printed and somebody loaded: told by their name and by every rule in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from . import codec
from .codec import Message, Netfilter, running_linux, text
from .table import rule_comments, rules_of, set_names

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
        for name in [found for found in _tables(kernel) if found.startswith(PREFIX)]:
            held = sorted(rule_comments(kernel, name))
            if held and held == rules_of(frozenset(set_names(kernel, name))):
                kernel.commit([Message(codec.DEL_TABLE, text(1, name))])
                gone.append(name)
            else:
                left.append(name)
    return gone, left


def _tables(kernel: Netfilter) -> Iterator[str]:
    """The names of all tables."""
    for body in kernel.dump(GET_TABLE, b""):
        yield bytes(dict(codec.attributes(body))[1]).rstrip(b"\0").decode()
