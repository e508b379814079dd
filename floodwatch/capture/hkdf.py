"""Keys from secrets: HKDF-Expand-Label of TLS 1.3 (RFC 8446, 7.1) and the PRF of TLS 1.2 (RFC 5246, 5)."""

from __future__ import annotations

import hmac


def expand_label(secret: bytes, label: str, size: int, digest: str = "sha256") -> bytes:
    """``size`` bytes of what a secret and a label make without a context; at most a digest's length."""
    name = b"tls13 " + label.encode()
    info = size.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0\x01"  # no context; the first block
    return hmac.digest(secret, info, digest)[:size]


def prf(secret: bytes, label: str, seed: bytes, size: int, digest: str) -> bytes:
    """``size`` bytes of the pseudo-random function of TLS 1.2."""
    seed = label.encode() + seed
    out, chained = b"", seed
    while len(out) < size:
        chained = hmac.digest(secret, chained, digest)
        out += hmac.digest(secret, chained + seed, digest)
    return out[:size]
