"""Which words of a command line are captures and which are a filter, as in tcpdump."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from floodwatch.errors import ConfigError

FILTER_WORDS = "floodwatch.filter_words"
"""Key under which the words after ``--`` travel from the parser to the command."""


class FilterCommand(click.Command):
    """A command that takes the words after ``--`` as a filter; click would mix them with the file names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the filter words aside before click sees the rest."""
        end = args.index("--") if "--" in args else len(args)
        ctx.meta[FILTER_WORDS] = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])


def split_words(words: Sequence[str], *, may_filter: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell captures from filter words among the plain arguments.

    Without ``-r`` (``may_filter``) all are captures: a misspelt name must not turn into a filter. With it the
    leading files are captures and the rest is a filter, as in tcpdump, unless all of it exists;
    ``src host 10.0.0.1`` is a filter even where a directory ``src`` exists.
    """
    if not may_filter:
        return tuple(words), ()
    start = 0
    while start < len(words) and _is_capture(words[start]):
        start += 1
    if all(_is_capture(word) or os.path.isdir(word) for word in words[start:]):
        start = len(words)
    return tuple(words[:start]), tuple(words[start:])


def _is_capture(word: str) -> bool:
    return word == "-" or (os.path.exists(word) and not os.path.isdir(word))


def one_filter(option: str | None, file: str | None, words: Sequence[str]) -> str | None:
    """Return the filter, wherever it was given; two of them would leave open which one counts."""
    given = [text for text in (option, file, " ".join(words)) if text]
    if len(given) > 1:
        raise click.UsageError("more than one filter: give it as -f, as -F or as words, not twice")
    if not file:
        return given[0] if given else None
    try:
        with open(file, encoding="utf-8") as stream:
            return " ".join(" ".join(line.partition("#")[0] for line in stream).split()) or None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the filter file {file}: {error}") from error
