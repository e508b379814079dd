"""The table with an XDP program ahead of it, as one backend."""

from __future__ import annotations

from collections.abc import Sequence

from ..nft.table import Table
from ..plan import Block, Network
from ..tally import Tally
from .mirror import Xdp, with_ahead


class TableBehindXdp(Table):
    """The table stays what counts; the program on some interfaces drops what it blocks.

    Args:
        interfaces: their names.

    Raises:
        EnforceError: see Table and Xdp.
    """

    def __init__(self, interfaces: Sequence[str]) -> None:
        self._xdp = Xdp(interfaces)
        self._said = self._xdp.where()
        try:
            super().__init__()
        except BaseException:
            self._xdp.close()
            raise

    def counted(self) -> dict[Network, tuple[Block, int]]:
        """What the table holds, which the program then holds too, with what both dropped."""
        found = super().counted()
        self._said += self._xdp.follow()
        self._xdp.mirror({network: block for network, (block, _) in found.items()}, self._never or ())
        return with_ahead(found, self._xdp.packets())

    def news(self) -> list[str]:
        """Where the program came to stand, in words."""
        said, self._said = self._said, []
        return said

    def ahead(self) -> Tally:
        """What the program did with packets."""
        return self._xdp.tally()

    def close(self) -> None:
        """Take the program off the interfaces and close the socket; the table keeps standing."""
        super().close()
        self._xdp.close()
