"""Reports: the same answer as text for people and as JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floodwatch.model.report import Report


def encode(report: Report, style: str, *, top: int, color: str, to_file: bool) -> bytes:
    """Encode ``report`` as ``json`` or as ``text`` that suits standard output (or, ``to_file``, a file)."""
    # Imported late: the command line takes the escaping from this package even for --help.
    if style == "json":
        from floodwatch.report.json import dump

        return dump(report)
    from floodwatch.report.escape import look
    from floodwatch.report.text import render

    screen = look(color, to_file=to_file)
    text = render(report, top=top, color=screen.color, unicode=screen.unicode, width=screen.width)
    return text.encode()
