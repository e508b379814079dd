"""The exception tree. Everything floodwatch raises on purpose descends from FloodwatchError."""

from __future__ import annotations

from collections.abc import Iterable


class FloodwatchError(Exception):
    """Base class; ``exit_code`` is what the command line returns for it."""

    exit_code = 4


class ConfigError(FloodwatchError):
    """A bad option, filter or setting; the message says what to write instead."""

    exit_code = 2


class ConfigErrors(ConfigError):  # noqa: N818 (there are several)
    """All that is wrong with a configuration.

    Attributes:
        lines: a line for each error.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("; ".join(self.lines))


class EnvironmentFault(FloodwatchError):  # noqa: N818 (EnvironmentError is taken)
    """Something of the host is missing: a permission, a library, disk space."""

    exit_code = 4


class DaemonUnreachable(EnvironmentFault):
    """No daemon answers at its control socket."""

    exit_code = 5


class CaptureError(EnvironmentFault):
    """A live interface cannot be opened: it is not there, or a right or memory is missing."""


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


class SketchMismatch(FloodwatchError, ValueError):  # noqa: N818 (the contract's name)
    """Two sketches do not fit each other, or bytes are no sketch.

    Attributes:
        field: what differs or is wrong: ``magic``, ``version``, ``kind``, ``flags``, ``rank``, ``width``,
            ``reserved``, ``key``, ``total``, ``size``, ``payload`` or ``checksum``.
    """

    exit_code = 3

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field

    def __str__(self) -> str:
        return str(self.args[1])


class BlockRefused(FloodwatchError):  # noqa: N818 (the contract's name)
    """A block that policy forbids: an unproven source, one never to be blocked, or too wide a prefix."""

    exit_code = 2


class EnforceError(FloodwatchError):
    """The kernel did not do what was asked, or did not say.

    Attributes:
        errno: the kernel's error number, or None.
    """

    exit_code = 4

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno
