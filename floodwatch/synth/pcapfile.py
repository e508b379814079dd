"""Writes classic pcap: microseconds, little endian, Ethernet; gzip when the name ends in ``.gz``."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SNAPLEN = 262_144
"""Bytes captured of a frame unless told otherwise: all of it."""


@contextmanager
def open_pcap(path: Path, snaplen: int = SNAPLEN) -> Iterator[IO[bytes]]:
    """Open ``path`` for records and write the file header. Equal records give an equal file."""
    with open(path, "wb") as raw:
        if path.name.endswith(".gz"):
            # neither the file's name nor the hour of its making may show in the bytes
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0, compresslevel=9) as packed:
                packed.write(_header(snaplen))
                yield packed  # type: ignore[misc]
        else:
            raw.write(_header(snaplen))
            yield raw


def _header(snaplen: int) -> bytes:
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1)


def stem(path: Path) -> str:
    """The capture's name without ``.gz`` and ``.pcap``."""
    return path.name.removesuffix(".gz").removesuffix(".pcap")


def truth_path(path: Path) -> Path:
    """Where the ground truth of the capture ``path`` lies."""
    return path.with_name(stem(path) + ".truth.json")
