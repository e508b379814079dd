"""JA4: a short name for how a program greets a server, so that equal programs have equal names.

JA4 is described by FoxIO (https://github.com/FoxIO-LLC/ja4, technical_details/JA4.md; BSD-3-Clause); the
other members of that family are not made here. Written from that text: where an ALPN value begins or ends
with no letter or digit, its first and last hexadecimal digit stand for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

VERSIONS = {
    0x0304: ("13", "TLS 1.3"),
    0x0303: ("12", "TLS 1.2"),
    0x0302: ("11", "TLS 1.1"),
    0x0301: ("10", "TLS 1.0"),
    0x0300: ("s3", "SSL 3.0"),
    0x0002: ("s2", "SSL 2.0"),
    0xFEFF: ("d1", "DTLS 1.0"),
    0xFEFD: ("d2", "DTLS 1.2"),
    0xFEFC: ("d3", "DTLS 1.3"),
}
"""What a hello offers at most -> how JA4 writes it, and how people do."""
UNKNOWN = ("00", "unknown")
TOLD_APART = (0x0000, 0x0010)
"""server_name and ALPN: the first part tells them, and they differ between requests of one program."""
MOST = 99


def ja4(hello: np.void, texts: bytes) -> str:
    """The fingerprint of one hello (HELLO_DTYPE, not sealed) with its texts: ``t13d1516h2_8daaf61...``."""
    ciphers, extensions, algorithms = (int(hello[name]) for name in ("ciphers", "extensions", "algorithms"))
    ids = np.frombuffer(texts, "<u2", ciphers + extensions + algorithms, int(hello["at"])).tolist()
    suites, rest = ids[:ciphers], ids[ciphers:]
    kept = sorted(number for number in rest[:extensions] if number not in TOLD_APART)
    hashed = _listed(kept) + ("_" + _listed(rest[extensions:]) if algorithms else "")
    head = (
        chr(hello["transport"])
        + VERSIONS.get(int(hello["version"]), UNKNOWN)[0]
        + ("d" if hello["named"] else "i")
        + f"{min(ciphers, MOST):02}{min(extensions, MOST):02}"
        + _protocol(hello)
    )
    return f"{head}_{_hashed(_listed(sorted(suites)))}_{_hashed(hashed)}"


def server_name(hello: np.void, texts: bytes) -> str:
    """The name that a hello asks for, "" for none. What is no ASCII is written as ``\\xff``."""
    end = int(hello["at"]) + int(hello["size"])
    return texts[end - int(hello["name_length"]) : end].decode("ascii", "backslashreplace")


def _protocol(hello: np.void) -> str:
    if not hello["protocols"]:
        return "00"
    ends = bytes((hello["first"], hello["last"]))
    if ends.isalnum():
        return ends.decode()
    return f"{ends[0] >> 4:x}{ends[1] & 15:x}"


def _listed(numbers: Iterable[int]) -> str:
    return ",".join(f"{number:04x}" for number in numbers)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12
