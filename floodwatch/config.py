"""Options of a scan and the progress it reports: records without logic."""

from __future__ import annotations

from msgspec import Struct


class ScanOptions(Struct, frozen=True, kw_only=True):
    """What a user may choose about one scan.

    Attributes:
        filter: a BPF expression; packets that do not match are not counted. None takes all.
        recursive: enter the directories below a given directory.
        jobs: worker processes or threads; never changes the answer.
        seed: 16 bytes for the hash key, or None for a random one.
        max_expand: how many times larger than its file a decompressed capture may grow.
        top: length of the ``sources.top`` lists; 0 is all.
    """

    filter: str | None = None
    recursive: bool = False
    jobs: int = 1
    seed: bytes | None = None
    max_expand: int = 100
    top: int = 5


class Progress(Struct, frozen=True):
    """How far the reading of one capture has come.

    Attributes:
        path: the capture's name as the user gave it.
        bytes_done: bytes of the file (compressed, if it is) that were read.
        bytes_total: its size, or None where it is unknown (standard input).
        packets: packets read so far.
        finished: True in the last report about this capture.
    """

    path: str
    bytes_done: int
    bytes_total: int | None
    packets: int
    finished: bool
