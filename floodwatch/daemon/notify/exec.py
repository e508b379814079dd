"""A program for each change of a flood: the event as JSON on its standard input."""

from __future__ import annotations

from ...report.json import dump
from .letter import Letter
from .program import Program, run


class Exec(Program):
    """Runs a program.

    Its environment says what became of the event: FLOODWATCH_WHAT is opened, updated or ended.
    """

    def send(self, letter: Letter) -> None:
        """Run it to its end."""
        what = {"FLOODWATCH_WHAT": letter.what}
        run(self.wanted.argv, dump(letter.event), self.wanted.timeout_s, what)
