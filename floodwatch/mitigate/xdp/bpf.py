"""bpf(2) by its system call: maps, one program, links. No clang, no libbpf; structures as of linux/bpf.h."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ...errors import EnforceError

Bytes = npt.NDArray[np.uint8]
NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
MAP_CREATE, MAP_LOOKUP, MAP_DELETE, PROGRAM_LOAD = 0, 1, 3, 5
PROGRAM_BY_ID, MAP_BY_ID, INFO, MAP_LOOKUP_BATCH, MAP_UPDATE_BATCH, LINK_CREATE = 13, 14, 15, 24, 26, 28
HASH, PER_CPU_ARRAY, PREFIXES = 1, 6, 11
"""Kinds of maps; prefixes are an LPM trie: the longest prefix that holds the key is found."""
NO_PREALLOCATION = 1
XDP_PROGRAM, XDP_LINK = 6, 37
GENERIC, NATIVE = 2, 4
LICENCE = b"Dual MIT/GPL"
LOG_BYTES = 1 << 16
BATCH = 8192
LIBRARY = ctypes.CDLL(None, use_errno=True)


def call(command: int, attributes: bytes) -> tuple[int, bytes]:
    """The result of one call, and the attributes as the kernel left them.

    Raises:
        OSError: the kernel refused.
        EnforceError: this machine's number of the call is not known.
    """
    number = NUMBER.get(platform.machine())
    if number is None:
        raise EnforceError(f"bpf(2) is not known here for {platform.machine()}: use --backend nft")
    held = ctypes.create_string_buffer(attributes, len(attributes))
    result = LIBRARY.syscall(number, command, held, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result, held.raw


def _at(data: ctypes.Array[ctypes.c_char] | Bytes) -> int:
    """Where a buffer lies."""
    return ctypes.addressof(data) if isinstance(data, ctypes.Array) else int(data.ctypes.data)


@dataclass(frozen=True, slots=True)
class Map:
    """One map in the kernel: its file descriptor, and the sizes of its keys and values in bytes."""

    file: int
    key_bytes: int
    value_bytes: int

    def update(self, keys: Bytes, values: Bytes) -> None:
        """Set entries. Keys are (n, key_bytes), values (n, value_bytes); both contiguous.

        Raises:
            OSError: the kernel refused, for instance E2BIG: the map is full.
        """
        if len(keys):
            form = struct.pack("=QQQQIIQQ", 0, 0, _at(keys), _at(values), len(keys), self.file, 0, 0)
            call(MAP_UPDATE_BATCH, form)

    def delete(self, key: bytes) -> None:
        """Take one entry away; one that is gone already is no error."""
        held = ctypes.create_string_buffer(key, len(key))
        try:
            call(MAP_DELETE, struct.pack("=IIQQQ", self.file, 0, _at(held), 0, 0))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def items(self) -> Iterator[tuple[Bytes, Bytes]]:
        """All entries, some thousands at a time: keys (n, key_bytes) and values (n, value_bytes)."""
        at, behind = (ctypes.create_string_buffer(max(self.key_bytes, 4)) for _ in range(2))
        first, more = 0, True
        while more:
            keys = np.zeros((BATCH, self.key_bytes), np.uint8)
            values = np.zeros((BATCH, self.value_bytes), np.uint8)
            form = struct.pack(
                "=QQQQIIQQ", first, _at(behind), _at(keys), _at(values), BATCH, self.file, 0, 0
            )
            count, more = _lookup_batch(form)
            yield keys[:count], values[:count]
            at, behind = behind, at
            first = _at(at)

    def slots(self, key: int = 0) -> Bytes:
        """An entry of a per-CPU array: (CPUs, value_bytes)."""
        held = ctypes.create_string_buffer(struct.pack("=I", key), 4)
        values = np.zeros((possible_cpus(), self.value_bytes), np.uint8)
        call(MAP_LOOKUP, struct.pack("=IIQQQ", self.file, 0, _at(held), _at(values), 0))
        return values


def _lookup_batch(form: bytes) -> tuple[int, bool]:
    """How many entries came, and whether there are more; ENOENT ends the walk, and is no error."""
    held = ctypes.create_string_buffer(form, len(form))
    result = LIBRARY.syscall(NUMBER[platform.machine()], MAP_LOOKUP_BATCH, held, len(form))
    code = ctypes.get_errno() if result < 0 else 0
    if code not in (0, errno.ENOENT):
        raise OSError(code, os.strerror(code))
    (count,) = struct.unpack_from("=I", held.raw, 32)
    return int(count), code == 0


@cache
def possible_cpus() -> int:
    """CPUs that may ever be: per-CPU values are as many (sysfs: a list of ranges)."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
        return int(file.read().strip().split(",")[-1].split("-")[-1]) + 1


def make_map(kind: int, name: str, key_bytes: int, value_bytes: int, most: int) -> Map:
    """Make a map that holds ``most`` entries.

    Raises:
        OSError: the kernel refused.
    """
    flags = 0 if kind == PER_CPU_ARRAY else NO_PREALLOCATION
    form = struct.pack("=IIIIIII16s", kind, key_bytes, value_bytes, most, flags, 0, 0, name.encode())
    return Map(call(MAP_CREATE, form.ljust(72, b"\0"))[0], key_bytes, value_bytes)


def load(code: bytes, name: str) -> int:
    """Load an XDP program; returns its file descriptor.

    Raises:
        OSError: the kernel refused; the text holds what its verifier said.
    """
    listed, licence = (ctypes.create_string_buffer(part) for part in (code, LICENCE))
    log = ctypes.create_string_buffer(LOG_BYTES)
    form = struct.pack(
        "=IIQQIIQII16s", XDP_PROGRAM, len(code) // 8, _at(listed), _at(licence), 1, LOG_BYTES, _at(log), 0, 0,
        name.encode(),
    )  # fmt: skip
    try:
        return call(PROGRAM_LOAD, form.ljust(120, b"\0"))[0]
    except OSError as error:
        said = log.value.decode(errors="replace").strip().splitlines()[-3:]
        raise OSError(error.errno, " / ".join(said) or error.strerror) from error


def attach(program: int, index: int, mode: int) -> int:
    """Attach a program to an interface until the returned file descriptor is closed, by exit at the latest.

    Raises:
        OSError: EBUSY or EEXIST: another program is there; EOPNOTSUPP: not in this mode.
    """
    return call(LINK_CREATE, struct.pack("=IIII", program, index, XDP_LINK, mode).ljust(48, b"\0"))[0]


def interface_of(link: int) -> int:
    """The index of the interface that a link is attached to; 0 when it no longer is."""
    return int(struct.unpack_from("=I", _info(link, 32), 16)[0])


def maps_of(program_id: int) -> tuple[str, dict[str, Map]]:
    """Name and maps of a loaded program, opened anew; the caller closes their files.

    Raises:
        OSError: no right to it, or no such program.
    """
    program = call(PROGRAM_BY_ID, struct.pack("=III", program_id, 0, 0))[0]
    ids = np.zeros(64, np.uint32)
    try:
        asked = bytearray(80)
        struct.pack_into("=IQ", asked, 52, len(ids), 0)
        struct.pack_into("=Q", asked, 56, int(ids.ctypes.data))
        told = _info(program, len(asked), bytes(asked))
    finally:
        os.close(program)
    (count,) = struct.unpack_from("=I", told, 52)
    found: dict[str, Map] = {}
    for number in ids[:count]:
        file = call(MAP_BY_ID, struct.pack("=III", int(number), 0, 0))[0]
        _, _, key_bytes, value_bytes, _, _, name = struct.unpack_from("=IIIIII16s", _info(file, 40))
        found[_text(name)] = Map(file, key_bytes, value_bytes)
    return _text(told[64:80]), found


def _info(file: int, size: int, asked: bytes = b"") -> bytes:
    held = ctypes.create_string_buffer(asked.ljust(size, b"\0"), size)
    call(INFO, struct.pack("=IIQ", file, size, _at(held)))
    return held.raw


def _text(name: bytes) -> str:
    return name.split(b"\0", 1)[0].decode(errors="replace")
