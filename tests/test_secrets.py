"""What must never leave the program: the key of its hashes."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

from click.testing import CliRunner

from floodwatch.cli import main
from floodwatch.report.formats import FORMATS

PCAPS = Path(__file__).resolve().parent.parent / "pcaps"
SEED = "9e3779b97f4a7c15f39cc0605cedc834"
KEY = bytes.fromhex(SEED)


def spellings(key: bytes) -> set[bytes]:
    """A key, and each half of it, in every way that a program writes bytes or numbers."""
    found = set[bytes]()
    for part in (key, key[:8], key[8:]):
        for way in (part, part[::-1]):
            number = int.from_bytes(way)
            found |= {way, way.hex().encode(), b"%d" % number, b"%d" % (number - (1 << 8 * len(way)))}
            found |= {base64.b64encode(way).rstrip(b"="), base64.urlsafe_b64encode(way).rstrip(b"=")}
            found |= {repr(way)[2:-1].encode(), json.dumps(list(way))[1:-1].encode()}
    return found


LEAK = re.compile(b"|".join(re.escape(one) for one in spellings(KEY)), re.IGNORECASE)


CAPTURES = [str(PCAPS / f"{name}.pcap.gz") for name in ("http_flood", "syn_flood")]


def called(*argv: str) -> bytes:
    """All that a command says."""
    done = CliRunner().invoke(main, argv)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.output_bytes


def test_p33_the_key_stands_in_nothing_that_a_scan_writes(tmp_path: Path) -> None:
    assert LEAK.search(f"{{'key': {list(KEY)}}}".encode())  # it would be seen
    for name in FORMATS:
        said = called("scan", "--seed", SEED, "--format", name, "--top", "0", *CAPTURES)
        assert len(said) > 100
        assert not LEAK.search(said), name
    files = ("--report", f"{tmp_path}/r.html", "--save-baseline", f"{tmp_path}/b", "--sketch-out",
             f"{tmp_path}/s.fwsk", "-o", f"{tmp_path}/r.json", "--format", "json")  # fmt: skip
    assert not LEAK.search(called("scan", "--seed", SEED, *files, *CAPTURES))
    written = sorted(tmp_path.iterdir())
    assert len(written) == 4
    for path in written:
        held = path.read_bytes()
        assert held
        assert not LEAK.search(held), path.name


def test_p33_no_message_repeats_a_key(tmp_path: Path) -> None:
    for argv in (
        ("scan", "--seed", SEED + "0", *CAPTURES),
        ("watch", "--seed", SEED + "0", "-i", "lo"),
        ("scan", "--seed", SEED, f"{tmp_path}/missing.pcap"),
        ("scan", "--seed", SEED, "--filter", "of course", *CAPTURES),
        ("sketch", "query", CAPTURES[0], "--seed", SEED, "--key", "203.0.113.9"),
    ):
        said = called(*argv)
        assert said
        assert not LEAK.search(said), argv
