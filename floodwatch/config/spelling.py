"""What may have been meant by a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable


def closest(text: str, names: Iterable[str]) -> str | None:
    """The name that is written most like this, or None where none is near; case does not count."""
    import difflib  # only who misspells waits for it

    return next(iter(difflib.get_close_matches(text.lower(), list(names), 1)), None)


def meant(text: str, names: Iterable[str]) -> str:
    """The end of a message: ``; did you mean syn_flood?``, or nothing."""
    close = closest(text, names)
    return f"; did you mean {close}?" if close else ""
