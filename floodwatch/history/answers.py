"""What hosts answered lately, epoch by epoch: by this a guard shows whether it hurts whom it protects.

Counted is what a host sends to those whom it serves: TCP packets of connections, UDP, ICMP. Left out is what
anybody gets by forging a packet: SYN-ACKs, resets.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..model.address import Address, Network
from ..model.epoch import ACK, DATA, FIN, ICMP, UDP
from ..model.summary import Summary

KEEP = 64
"""Epochs that are remembered: 16 s."""
HOSTS_MOST = 1024
"""Hosts that are remembered; those that were silent for longest are forgotten first."""
Answered: TypeAlias = Literal["tcp", "udp", "icmp", "any"]
KINDS: dict[Answered, slice] = {
    "tcp": slice(0, 1),
    "udp": slice(1, 2),
    "icmp": slice(2, 3),
    "any": slice(0, 3),
}
IPV4 = 0xFFFF << 32
Sent: TypeAlias = NDArray[np.uint64]
"""Shape (n, 5): both halves of a host's address, and the TCP, UDP and ICMP packets that it sent."""


def sent_in(summary: Summary) -> Sent:
    """What hosts sent in an epoch before the engine closes it; of very many hosts the busiest."""
    hosts = summary.hosts()
    out = hosts["out"].astype(np.uint64)
    sent = np.stack(
        [hosts["hi"], hosts["lo"], out[:, [DATA, ACK, FIN]].sum(axis=1), out[:, UDP], out[:, ICMP]], axis=1
    ).astype(np.uint64)
    total = sent[:, 2:].sum(axis=1)
    busy = np.flatnonzero(total)
    if len(busy) > HOSTS_MOST:
        busy = busy[np.argsort(total[busy])[-HOSTS_MOST:]]
    return sent[busy]


class Answers:
    """Packets that hosts sent, by epoch; fixed memory.

    Attributes:
        epoch: the newest epoch that is in it; -1: none.
    """

    def __init__(self) -> None:
        self.epoch = -1
        self._slots: dict[Address, int] = {}
        self._sent: NDArray[np.int64] = np.zeros((HOSTS_MOST, 3, KEEP), np.int64)
        self._heard: NDArray[np.int64] = np.zeros(HOSTS_MOST, np.int64)

    def take(self, epoch: int, sent: Sent) -> None:
        """Take in an epoch; after a clock that went back all is forgotten."""
        if epoch <= self.epoch or epoch - self.epoch >= KEEP:
            self._sent[:] = 0
        else:
            self._sent[:, :, np.arange(self.epoch + 1, epoch + 1) % KEEP] = 0
        self.epoch = epoch
        for hi, lo, *packets in sent[:HOSTS_MOST].tolist():
            slot = self._slot((hi, lo))
            self._sent[slot, :, epoch % KEEP] = packets
            self._heard[slot] = epoch

    def _slot(self, address: Address) -> int:
        slot = self._slots.get(address)
        if slot is None:
            slot = len(self._slots)
            if slot == HOSTS_MOST:
                stalest = min(self._slots, key=lambda held: self._heard[self._slots[held]])
                slot = self._slots.pop(stalest)
                self._sent[slot] = 0
            self._slots[address] = slot
        return slot

    def sent(self, network: Network, kind: Answered, first: int, last: int) -> NDArray[np.int64]:
        """Packets in each of the epochs from ``first`` to before ``last``; 0 where none is remembered."""
        low, length = int(network.network_address), network.num_addresses
        if network.version == 4:
            low |= IPV4
        among = [slot for (hi, lo), slot in self._slots.items() if 0 <= (hi << 64 | lo) - low < length]
        epochs = np.arange(first, last)
        counted = self._sent[among][:, KINDS[kind]][:, :, epochs % KEEP].sum(axis=(0, 1))
        kept: NDArray[np.int64] = np.where((epochs > self.epoch - KEEP) & (epochs <= self.epoch), counted, 0)
        return kept
