"""A file of EVE lines, as Suricata writes them, for whoever collects those."""

from __future__ import annotations

import os

from ...config.settings import Receiver as Wanted
from ...errors import ConfigError
from ...report.formats import FORMATS
from .letter import Letter, May, Receiver, Undelivered

MODE = 0o640


class Eve(Receiver):
    """Appends lines to a file, each with one write, and opens it anew when it was moved away.

    Raises:
        ConfigError: no file is named.
    """

    logs = True

    def __init__(self, wanted: Wanted, may: May) -> None:
        super().__init__(wanted, may)
        if wanted.path is None:
            raise ConfigError("eve needs path: the file to write to")
        change = FORMATS["eve"].change
        assert change is not None
        self._path, self._line = wanted.path, change
        self._file = -1

    def send(self, letter: Letter) -> None:
        """Append one line."""
        line = self._line(letter.what, letter.event)
        try:
            if self._file < 0:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
                self._file = os.open(self._path, flags, MODE)
            done = os.write(self._file, line)
            if done < len(line):  # no reader should find half of a line
                os.ftruncate(self._file, os.fstat(self._file).st_size - done)
                raise Undelivered(f"{self._path} is full", again=True)
        except OSError as error:
            self.close()
            raise Undelivered(f"{self._path} cannot be written: {error.strerror}", again=True) from None

    def reopen(self) -> None:
        """The next line goes to whatever has the file's name then."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
