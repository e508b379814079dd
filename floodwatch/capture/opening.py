"""Whether a capture is decrypted, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._engine import Segments
from ..errors import EnvironmentFault
from ..model.report import Decrypted
from .blocks import Block, Blocks
from .initials import can_open
from .keylog import Keys, Log

if TYPE_CHECKING:
    from .plaintext import Plaintext

PROBED = 16_384
"""Segments at the beginning of a capture among which its secrets are looked for where no key log is given."""
PCAPNG = b"\x0a\x0d\x0d\x0a"


def read_log(path: str) -> Log:
    """The key log of that name.

    Raises:
        ConfigError: it cannot be read.
        EnvironmentFault: what decrypts is not installed.
    """
    if not can_open():
        raise EnvironmentFault("decrypting takes the package cryptography: pip install 'floodwatch[decrypt]'")
    return Log(path)


class Opening:
    """Decrypts one capture, where a key log was given or the capture begins with secrets.

    Attributes:
        grown: bytes by which the blocks so far are longer than what was read.
    """

    def __init__(self, log: Log | None, hash_key: bytes, *, look_only: bool) -> None:
        """Prepare for one capture.

        Args:
            log: the key log, or None.
            hash_key: 16 bytes.
            look_only: hand out the bytes as they are, and tell only what could be opened.
        """
        self._keys = Keys(log)
        self._hash_key = hash_key
        self._look_only = look_only
        self._plaintext: Plaintext | None = None
        self._opener = True

    def begin(self, blocks: Blocks, first: Block) -> tuple[Blocks, Block | None]:
        """The blocks to read in place of these, and the first of them."""
        if not self._keys and not _holds_secrets(first):
            return blocks, first
        self._opener = can_open()
        if not self._opener:
            return blocks, first
        from .plaintext import Plaintext

        self._plaintext = Plaintext(
            blocks, first, self._keys, hash_key=self._hash_key, look_only=self._look_only
        )
        return self._plaintext, self._plaintext.following(0, 0)

    @property
    def grown(self) -> int:
        """See above."""
        return self._plaintext.grown if self._plaintext else 0

    def told(self) -> Decrypted | None:
        """What was read and what was not, at the end; None where there were no keys."""
        if not self._opener:
            return Decrypted(opener=False)
        if self._plaintext is None:
            return None
        log, keys = self._keys.log, self._keys
        told = self._plaintext.unsealing.finish()
        return Decrypted(
            connections=told.connections,
            without=told.without,
            records=told.records,
            failed=told.failed,
            gave_up=dict(sorted(told.gave_up.items())),
            secrets=keys.lines + (log.lines if log else 0),
            nonsense=keys.nonsense + (log.nonsense if log else 0),
            first_nonsense=(log.first if log else None) or keys.first,
        )


def _holds_secrets(block: Block) -> bool:
    """Does a block of secrets stand among the first segments of a capture that begins with this block?"""
    if block.data[block.start : block.start + 4] != PCAPNG:
        return False
    segments = Segments(bytes(16))
    segments.list(block.data, block.start, PROBED)
    return segments.secrets[1] > 0
