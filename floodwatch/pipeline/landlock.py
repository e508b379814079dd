"""Taking the file system away from this process for good, by landlock(7).

Open files stay usable. By name only what is listed can be reached, and only to be read; nothing can be
executed, made, renamed or removed. Where the kernel knows how, no TCP connection can be made either, no
abstract socket of others reached, and no process outside be sent a signal.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

CREATE, ADD, RESTRICT = 444, 445, 446
"""System calls, the same on all machines."""
VERSION_ONLY = 1
BENEATH = 1
READ_FILE, READ_FOLDER = 1 << 2, 1 << 3
READ = READ_FILE | READ_FOLDER
WRITE = 1 << 1 | 1 << 5 | 1 << 8 | 1 << 14
"""Writing, removing, making and truncating files."""
FIRST = (1 << 13) - 1
"""What the first version handles; later ones add to it ..."""
LATER = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""... moving between folders, truncating, and ioctl on devices."""
TCP, SCOPED = 0b11, 0b11
"""Binding and connecting (version 4); abstract sockets and signals (version 6)."""


def version() -> int:
    """The kernel's version of Landlock; 0 where it has none or it is switched off."""
    return max(int(ctypes.CDLL(None, use_errno=True).syscall(CREATE, None, 0, VERSION_ONLY)), 0)


class Rules:
    """Rules that are made while folders can still be opened, and come into force later.

    Args:
        reads: files and folders that may be read, with all below them; None: all may be read.
        writes: folders in which files may be written. What is not there is left out, here as there.

    Raises:
        OSError: the kernel refused.
    """

    def __init__(self, reads: Iterable[str] | None, writes: Iterable[str] = ()) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)
        known = version()
        self._handled = FIRST | sum(bit for since, bit in LATER.items() if known >= since)
        self._handled &= ~READ if reads is None else ~0
        form = struct.pack("=QQQ", self._handled, TCP if known >= 4 else 0, SCOPED if known >= 6 else 0)
        size = 24 if known >= 6 else 16 if known >= 4 else 8
        self.file = self._call(CREATE, ctypes.create_string_buffer(form, len(form)), size, 0)
        for paths, rights in ((reads or (), READ), (writes, WRITE)):
            for path in paths:
                with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    self._add(path, rights)

    def _add(self, path: str, rights: int) -> None:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights &= self._handled if os.path.isdir(path) else READ_FILE
            rule = struct.pack("=Qi", rights, opened)
            self._call(ADD, self.file, BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
        finally:
            os.close(opened)

    def enforce(self) -> None:
        """Bring the rules into force for this thread and those that it starts; needs no_new_privs."""
        self._call(RESTRICT, self.file, 0)
        os.close(self.file)

    def _call(self, number: int, *arguments: object) -> int:
        result = int(self._library.syscall(number, *arguments))
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result
