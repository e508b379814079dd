"""Write what fw_features.h says where people read it: floodwatch/docs/features.md and the stub of the engine.

Run it after a change of the list and a build: ``python native/features.py``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from floodwatch._engine import CLASSES, FEATURES, KINDS

PACKAGE = Path(__file__).resolve().parents[1] / "floodwatch"
PAGE = PACKAGE / "docs" / "features.md"
STUB = PACKAGE / "_engine.pyi"
BEGIN = "# From here on native/features.py writes what native/fw_features.h says ...\n"
END = "# ... to here.\n"
WIDTH = 110

RECORDS = {
    "victim": ("VICTIM_DTYPE", "One address and what it got in one epoch."),
    "kind": (None, "One kind of packets of a victim, an element of `kinds`."),
    "port": (None, "One bucket of ports of a victim, an element of `opened` or `service`."),
    "path": (None, "One bucket of HTTP paths of a victim, an element of `paths`."),
    "shape": (None, "One bucket of shapes of exchanges, an element of `shapes`."),
    "sealed": (None, "Connections of one protocol whose content is sealed, an element of `sealed`."),
    "host": ("HOST_DTYPE", "One address and what it got and sent in one epoch, in short."),
    "heavy": ("HEAVY_DTYPE", "One heavy pair of a source and a victim, over the open window."),
    "held": ("HELD_DTYPE", "One connection on which a client holds a server's place."),
    "packet": ("PACKET_DTYPE", "One decoded packet."),
    "hello_seen": ("HELLO_DTYPE", "One ClientHello that is whole, or one Initial of QUIC."),
    "segment": ("SEGMENT_DTYPE", "One TCP segment of a capture, and where it lies in its block."),
}
"""Record -> its name in Python, and what it is about."""

INTRODUCTION = """\
# What is counted

Made by `native/features.py` from the list in `native/fw_features.h`; do not edit it here. All numbers are of
one epoch and of packets towards the address, unless they say otherwise. Weights come from a sample of the
flows and estimate all of them. A majority vote is at most the true count of what it tells (port, path, zone).
"""


def page() -> str:
    """The documentation table."""
    parts = [INTRODUCTION]
    for record, (dtype, about) in RECORDS.items():
        rows = [f"| `{name}` | `{form}` | {what} |\n" for name, form, what in _fields(record)]
        title = f"{record} (`{dtype}`)" if dtype else record
        parts.append(f"## {title}\n\n{about}\n\n| Field | Format | What |\n|---|---|---|\n" + "".join(rows))
    for title, names in (("Kinds of packets", KINDS), ("Classes of packets with their own sources", CLASSES)):
        rows = [f"| {number} | `{name}` | {what} |\n" for number, (name, what) in enumerate(names)]
        parts.append(f"## {title}\n\n| Number | Name | What |\n|---|---|---|\n" + "".join(rows))
    return "\n".join(parts)


def stub(text: str) -> str:
    """The stub with its part between the marks made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{''.join(_declarations())}\n{END}{after}"


def _fields(record: str) -> list[tuple[str, str, str]]:
    return [(name, form, what) for owner, name, form, what in FEATURES if owner == record]


def _declarations() -> Iterator[str]:
    for prefix, names in (("", KINDS), ("CLASS_", CLASSES)):
        for name, what in names:
            yield f'{prefix}{name}: Final[int]\n"""{what[0].upper()}{what[1:]}."""\n'
    for record, (dtype, about) in RECORDS.items():
        if dtype:
            yield f'{dtype}: Final[np.dtype[np.void]]\n"""{about}\n\n'
            yield "".join(_lines(record, "- "))
            yield '"""\n'


def _lines(record: str, indent: str) -> Iterator[str]:
    """The fields of a record, each followed by those of its elements."""
    for name, form, what in _fields(record):
        line = f"{indent}``{name}`` ({form}) {what}"
        yield textwrap.fill(line, WIDTH, subsequent_indent=" " * len(indent)) + "\n"
        element = form.rpartition(")")[2]
        if element in RECORDS:
            yield from _lines(element, f"  {indent}")


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    STUB.write_text(stub(STUB.read_text(encoding="utf-8")), encoding="utf-8")
