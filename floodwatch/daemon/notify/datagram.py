"""Sockets that take one message at a time and never answer."""

from __future__ import annotations

import socket

from .letter import Undelivered


def send(family: int, address: str | tuple[str, int], message: bytes, seconds: float) -> None:
    """Send one datagram; a socket for each, for the receiver may be started anew any time.

    Raises:
        Undelivered: nobody takes it.
    """
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as wire:
            wire.settimeout(seconds)
            wire.sendto(message, address)
    except OSError as error:
        raise Undelivered(f"nobody takes it: {error.strerror or error}", again=True) from None
