"""The exception tree. Everything floodwatch raises on purpose descends from FloodwatchError."""

from __future__ import annotations


class FloodwatchError(Exception):
    """Base class; ``exit_code`` is what the command line returns for it."""

    exit_code = 4


class ConfigError(FloodwatchError):
    """A bad option, filter or setting; the message says what to write instead."""

    exit_code = 2


class EnvironmentFault(FloodwatchError):  # noqa: N818 (EnvironmentError is taken)
    """Something of the host is missing: a permission, a library, disk space."""

    exit_code = 4


class InputError(FloodwatchError):
    """A capture could not be read to its end.

    Attributes:
        path: the capture's name as the user gave it.
        code: a stable word for programs, such as ``truncated_record``.
        offset: byte offset in the (decompressed) capture where reading stopped, or None.
        packets_ok: packets that were read before it; they count.
    """

    exit_code = 3

    def __init__(
        self, path: str, code: str, message: str, *, offset: int | None = None, packets_ok: int = 0
    ) -> None:
        super().__init__(message)
        self.path = path
        self.code = code
        self.offset = offset
        self.packets_ok = packets_ok
