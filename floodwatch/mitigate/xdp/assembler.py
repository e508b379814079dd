"""Instructions of the BPF machine (RFC 9669) as bytes, and labels for their jumps."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)
"""R0 holds results, R1 to R5 arguments that calls destroy; R6 to R9 stay; R10 ends the stack."""
SIZE = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
JUMPS = {"always": 0x05, "==": 0x15, ">": 0x25, "!=": 0x55}
BY_REGISTER = 0x08


@dataclass(frozen=True, slots=True)
class Label:
    """A place to jump to."""

    name: str


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; ``target`` is the label that a jump goes to, ``more`` the rest of a wide one."""

    code: int
    to: int = 0
    source: int = 0
    offset: int = 0
    value: int = 0
    target: str = ""
    more: bytes = b""


Line: TypeAlias = Instruction | Label


def copy(to: int, source: int) -> Instruction:
    """``to = source``"""
    return Instruction(0xBF, to, source)


def put(to: int, value: int) -> Instruction:
    """``to = value``"""
    return Instruction(0xB7, to, value=value)


def add(to: int, value: int) -> Instruction:
    """``to += value``"""
    return Instruction(0x07, to, value=value)


def add_register(to: int, source: int) -> Instruction:
    """``to += source``"""
    return Instruction(0x0F, to, source)


def subtract(to: int, source: int) -> Instruction:
    """``to -= source``"""
    return Instruction(0x1F, to, source)


def shift_right(to: int, bits: int) -> Instruction:
    """``to >>= bits``, unsigned"""
    return Instruction(0x77, to, value=bits)


def load(size: int, to: int, base: int, offset: int = 0) -> Instruction:
    """``to = *(base + offset)``, of 1, 2, 4 or 8 bytes"""
    return Instruction(0x61 | SIZE[size], to, base, offset)


def store(size: int, base: int, offset: int, source: int) -> Instruction:
    """``*(base + offset) = source``, of 1, 2, 4 or 8 bytes"""
    return Instruction(0x63 | SIZE[size], base, source, offset)


def store_value(size: int, base: int, offset: int, value: int) -> Instruction:
    """``*(base + offset) = value``, of 1, 2, 4 or 8 bytes"""
    return Instruction(0x62 | SIZE[size], base, 0, offset, value)


def add_atomically(base: int, offset: int, source: int) -> Instruction:
    """``*(base + offset) += source``, of 8 bytes, whole among CPUs"""
    return Instruction(0xDB, base, source, offset)


def jump(target: str) -> Instruction:
    """Go on at a label."""
    return Instruction(JUMPS["always"], target=target)


def jump_if(left: int, how: str, target: str, *, value: int = 0, register: int | None = None) -> Instruction:
    """Go on at a label if ``left`` is ``==``, ``!=`` or (unsigned) ``>`` a value or another register."""
    if register is None:
        return Instruction(JUMPS[how], left, value=value, target=target)
    return Instruction(JUMPS[how] | BY_REGISTER, left, register, target=target)


def call(helper: int) -> Instruction:
    """Call one of the kernel's helpers; R0 is its result."""
    return Instruction(0x85, value=helper)


def leave() -> Instruction:
    """End the program; R0 is its verdict."""
    return Instruction(0x95)


def load_map(to: int, file: int) -> Instruction:
    """``to`` = the map of this file descriptor: a wide instruction, all that ties a program to its host"""
    return Instruction(0x18, to, 1, value=file, more=bytes(8))


def network_order(value: int) -> int:
    """Two bytes of a packet as this machine loads them."""
    return int.from_bytes(value.to_bytes(2, "big"), sys.byteorder)


def assemble(lines: Sequence[Line]) -> bytes:
    """The code of a program; jumps find their labels."""
    places, at = dict[str, int](), 0
    for line in lines:
        if isinstance(line, Label):
            places[line.name] = at
        else:
            at += 1 + len(line.more) // 8
    return b"".join(_encoded(lines, places))


def _encoded(lines: Iterable[Line], places: dict[str, int]) -> Iterable[bytes]:
    at = 0
    for line in lines:
        if isinstance(line, Label):
            continue
        at += 1 + len(line.more) // 8
        offset = places[line.target] - at if line.target else line.offset
        registers = line.to | line.source << 4 if sys.byteorder == "little" else line.to << 4 | line.source
        yield struct.pack("=BBhi", line.code, registers, offset, line.value) + line.more
