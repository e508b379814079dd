"""BPF expressions, compiled and run by libpcap where it is installed (loaded at run time, no headers)."""

from __future__ import annotations

import ctypes
import struct
from contextlib import suppress
from typing import Any

from ..errors import ConfigError, EnvironmentFault
from .linktype import DECODED
from .reach import behind

_SNAPLEN = 262_144
LINKTYPE_ETHERNET = 1
"""The first of ``DECODED``, so its program is compiled first."""
NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
"""Looked for by the loader, as Debian, others and developers call it; no program is started for it."""
_NETMASK_UNKNOWN = 0xFFFFFFFF
_DLT = {101: 12, 14: 12}  # libpcap numbers raw IP differently from files


class _Program(ctypes.Structure):
    _fields_ = (("bf_len", ctypes.c_uint), ("bf_insns", ctypes.c_void_p))


class Filter:
    """A compiled expression: ``function`` is libpcap's ``bpf_filter``, ``programs`` one per link type.

    A program address of 0 stands for a link type on which the expression cannot match.
    """

    def __init__(self, library: Any, expression: str) -> None:
        self._library = library
        self._compiled: list[_Program] = []
        self.expression = expression
        self.function: int = ctypes.cast(library.bpf_filter, ctypes.c_void_p).value or 0
        self.programs: list[tuple[int, int]] = []

    def add(self, linktype: int) -> str | None:
        """Compile for one link type; returns libpcap's complaint, or None when it went well."""
        handle = self._library.pcap_open_dead(_DLT.get(linktype, linktype), _SNAPLEN)
        if not handle:
            return "out of memory"
        try:
            program = _Program()
            text = self.expression.encode()
            if self._library.pcap_compile(handle, ctypes.byref(program), text, 1, _NETMASK_UNKNOWN) != 0:
                complaint: bytes = self._library.pcap_geterr(handle)
                self.programs.append((linktype, 0))
                return complaint.decode(errors="replace")
        finally:
            self._library.pcap_close(handle)
        self._compiled.append(program)
        self.programs.append((linktype, int(program.bf_insns or 0)))
        return None

    def kernel_program(self, tail: bytes) -> bytes | None:
        """The Ethernet program as setsockopt(SO_ATTACH_FILTER) takes it, with ``tail`` behind it.

        Valid as long as this object; None where the expression cannot match on Ethernet.
        """
        if self.programs[0][0] != LINKTYPE_ETHERNET or not self.programs[0][1]:
            return None
        program = self._compiled[0]
        code = behind(ctypes.string_at(program.bf_insns, 8 * program.bf_len), tail)
        self._kernel = ctypes.create_string_buffer(code, len(code))
        return struct.pack("HL", len(code) // 8, ctypes.addressof(self._kernel))

    def __del__(self) -> None:
        for program in self._compiled:
            self._library.pcap_freecode(ctypes.byref(program))


def _load() -> Any:
    library = None
    for name in NAMES:
        with suppress(OSError):
            library = ctypes.CDLL(name)
            break
    # old libraries do not export it
    if library is None or not hasattr(library, "bpf_filter"):
        raise EnvironmentFault(
            "filters are compiled by libpcap, which is not installed: install it (Debian: libpcap0.8, "
            "Fedora: libpcap) or leave the filter out"
        )
    library.pcap_open_dead.restype = ctypes.c_void_p
    library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
    library.pcap_compile.argtypes = [
        ctypes.c_void_p, ctypes.POINTER(_Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32,
    ]  # fmt: skip
    library.pcap_geterr.restype = ctypes.c_char_p
    library.pcap_geterr.argtypes = [ctypes.c_void_p]
    library.pcap_close.argtypes = [ctypes.c_void_p]
    library.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
    return library


def compile_filter(expression: str) -> Filter:
    """Compile a pcap-filter(7) expression for every link type that the decoder reads.

    An expression that fits only some link types (``ether host`` on raw IP) is compiled for those.

    Raises:
        EnvironmentFault: libpcap is not installed.
        ConfigError: the expression is wrong; the message is libpcap's.
    """
    compiled = Filter(_load(), expression)
    complaints = [compiled.add(linktype) for linktype in DECODED]
    if all(complaints):
        raise ConfigError(f"filter {expression!r}: {complaints[0]}")
    return compiled
