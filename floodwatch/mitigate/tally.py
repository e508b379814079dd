"""What became of packets of blocked sources ahead of the table, where no tap sees them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Packets of blocked sources ahead of the table, by what became of them; and those that had to pass."""

    hosts: int = 0
    networks: int = 0
    sampled: int = 0
    spared: int = 0

    @property
    def dropped(self) -> int:
        """No tap saw them."""
        return self.hosts + self.networks
