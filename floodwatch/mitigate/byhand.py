"""What operators ordered by hand, on record: whom to allow, which victims to leave unguarded, and by whom.

A file of JSON lines that is root's alone, for ``ctl`` to append to and for a running watch to follow. The
watch opens it once and reads it through that descriptor from then on, so it needs neither root nor a file
system. The newest word about a network counts, and every word ends by itself.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import pwd
import stat
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from ..config.files import number
from ..config.netns import RUN, beside_the_host, namespace
from ..errors import BlockRefused, EnforceError
from ..model.address import Network, mapped
from .clocks import Clocks, clocks

What: TypeAlias = Literal["allow", "disallow", "block", "unblock", "unguard", "confirm", "panic", "resume"]
REPLACES: dict[What, What] = {"disallow": "allow", "resume": "panic"}
"""Words that take another one back."""
LIFTS: Final = frozenset[What]({"unblock", "panic", "resume"})
"""Words by which blocks were lifted, or had been."""
ALLOWED_MOST, BYTES_MOST, BYTES_KEPT = 4096, 1 << 23, 1 << 19
ALLOW_MOST_S, RECORD_S, UNGUARDED_S = 366 * 86_400.0, 86_400.0, 600.0
"""How long somebody may be allowed at most, what was done stays on record, and a victim stays unguarded."""
PANIC_S = 100 * ALLOW_MOST_S
"""A panic lasts until somebody takes it back."""
WIDEST = {4: 8, 6: 19}
"""Shortest prefixes that may be allowed."""
BESIDE = "orders-"
"""How the names of records of other network namespaces than the host's begin."""
NOBODY = (1 << 32) - 1
WHY_MOST = 200
FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW


class Word(Struct, frozen=True, kw_only=True):
    """One order: what, about which network (empty: all, or none), when and until when in Unix time, why, by
    whom. ``boot`` and ``up`` say when by the clock that nobody can set, see ``clocks``."""

    what: What
    network: str
    at: float
    until: float
    why: str
    by: str
    boot: str = ""
    up: float = 0.0

    def left(self, now: Clocks) -> float:
        """Seconds until it ends."""
        return self.until - self.at - now.passed(Clocks(boot=self.boot, up=self.up, wall=self.at))


_decoder, _encoder = msgspec.json.Decoder(Word), msgspec.json.Encoder()


@lru_cache(2 * ALLOWED_MOST)
def _parsed(network: str) -> Network:
    return ipaddress.ip_network(network)


def default_path() -> Path:
    """Where the record lies: of the host to stay, of another network namespace as long as the host runs."""
    if os.geteuid():
        return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}") / "floodwatch.orders"
    if beside_the_host():
        return RUN / f"{BESIDE}{namespace():x}"
    return Path("/var/lib/floodwatch/orders")


def sweep(folder: Path) -> None:
    """Remove the records of network namespaces that nobody has open, and in which no word counts any more."""
    for path in folder.glob(f"{BESIDE}*"):
        with suppress(OSError):
            opened = os.open(path, os.O_RDONLY | FLAGS)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _kept(_words(os.pread(opened, BYTES_MOST, 0)), clocks()):
                    path.unlink()
            finally:
                os.close(opened)


def _held_open(path: Path, flags: int) -> int:
    """A file that is not swept away as long as it is open."""
    while True:
        opened = os.open(path, flags | FLAGS, 0o600)
        fcntl.flock(opened, fcntl.LOCK_SH)
        if os.fstat(opened).st_nlink:
            return opened
        os.close(opened)


def operator() -> str:
    """Who runs this: the user who logged in, as the kernel remembers it, whatever sudo made of that."""
    uid = number("/proc/self/loginuid")
    return named(os.getuid() if uid is None or uid == NOBODY else uid)


def named(uid: int) -> str:
    """A user by name and number."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


class ByHand:
    """The record, open to be followed.

    Args:
        path: the file.
        make: make it and its folder where they are missing, if this process may.
        by: who gives the orders that are written; the user who runs this if not given.

    Raises:
        EnforceError: it is there, and somebody else could write to it.
    """

    def __init__(self, path: Path | None = None, *, make: bool = True, by: str | None = None) -> None:
        self.path = path or default_path()
        self._by = by
        if make and path is None and os.geteuid() == 0:
            sweep(RUN)
        self._file = self._open(os.O_RDONLY | (os.O_CREAT if make else 0))
        self._state: tuple[int, int] | None = None
        self._newest: dict[tuple[str, str], Word] = {}
        self._fresh: list[Word] = []
        self.refresh()
        self._fresh.clear()  # what was ordered before is no news

    def _open(self, flags: int) -> int | None:
        """The file, looked at: who may write to it decides who is never blocked."""
        try:
            if flags & os.O_CREAT:
                self.path.parent.mkdir(mode=0o700, exist_ok=True)
            opened = _held_open(self.path, flags)
        except OSError as error:
            if not flags & os.O_APPEND:
                return None  # then nobody can have ordered anything
            raise EnforceError(f"cannot write {self.path}: {error.strerror}", error.errno) from error
        held, folder = os.fstat(opened), self.path.parent.stat()
        foreign = held.st_uid != os.geteuid() or folder.st_uid != os.geteuid()
        open_to_all = (held.st_mode | folder.st_mode) & 0o022
        if not stat.S_ISREG(held.st_mode) or foreign or open_to_all or held.st_nlink != 1:
            os.close(opened)
            raise EnforceError(f"{self.path} is not ours alone to write: look who made it, and remove it")
        return opened

    def refresh(self) -> None:
        """Read again, if something was written."""
        if self._file is None:
            return
        state = os.fstat(self._file)
        if (state.st_mtime_ns, state.st_size) == self._state:
            return
        self._state = state.st_mtime_ns, state.st_size
        for word in sorted(_words(os.pread(self._file, BYTES_MOST, 0)), key=lambda word: word.at):
            key = _subject(word)
            if key not in self._newest or word.at > self._newest[key].at:
                self._newest[key] = word
                self._fresh.append(word)

    def fresh(self) -> list[Word]:
        """What was ordered since this was last asked."""
        told, self._fresh = self._fresh, []
        return told

    def allowed(self) -> dict[Network, Word]:
        """The networks that are allowed now."""
        return self._networks("allow")

    def unguarded(self) -> dict[Network, Word]:
        """The victims that are to stay unguarded for now."""
        return self._networks("unguard")

    def confirmation(self) -> Word | None:
        """The newest confirmation, or None."""
        return self._newest.get(("confirm", ""))

    def unblocked(self, since: float) -> set[str]:
        """Networks whose blocks were lifted after a moment (Unix time); an empty name: all were, as by a
        panic, also where that was taken back.
        """
        return {w.network for w in self._newest.values() if w.what in LIFTS and w.at >= since}

    def panic(self, why: str) -> None:
        """Let a daemon only observe from now on, over restarts, until ``resume``.

        Raises:
            EnforceError: it cannot be written.
        """
        self.write("panic", why=why, seconds=PANIC_S)

    def panicked(self) -> Word | None:
        """The word that took everything away, as long as nobody took that back; or None."""
        word = self._newest.get(("panic", ""))
        return word if word is not None and word.what == "panic" and word.left(clocks()) > 0 else None

    def _networks(self, what: What) -> dict[Network, Word]:
        now = clocks()
        self._newest = {key: word for key, word in self._newest.items() if word.left(now) > 0}
        return {_parsed(w.network): w for w in self._newest.values() if w.what == what}

    def write(
        self, what: What, networks: Iterable[Network] = (), *, why: str, seconds: float = 0.0
    ) -> list[Word]:
        """Put an order on record, about each of these networks, or about none.

        Raises:
            EnforceError: it cannot be written.
        """
        opened = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        assert opened is not None
        try:
            fcntl.lockf(opened, fcntl.LOCK_EX)
            held = list(_words(os.pread(opened, BYTES_MOST, 0)))
            now = clocks()
            at = max(now.wall, *(word.at + 1e-6 for word in held)) if held else now.wall
            until = at + (seconds or RECORD_S)
            words = [
                Word(
                    what=what,
                    network=name,
                    at=at,
                    until=until,
                    why=why[:WHY_MOST],
                    by=self._by or operator(),
                    boot=now.boot,
                    up=now.up,
                )
                for name in ([str(network) for network in networks] or [""])
            ]
            lines = _encoder.encode_lines(words)
            if os.fstat(opened).st_size + len(lines) > BYTES_KEPT:
                lines = _encoder.encode_lines(_kept([*held, *words], now))
                os.ftruncate(opened, 0)
            os.write(opened, lines)
            os.fsync(opened)
        except OSError as error:
            raise EnforceError(f"cannot write {self.path}: {error.strerror}", error.errno) from error
        finally:
            os.close(opened)
        self.refresh()
        return words

    def allow(self, network: Network, *, seconds: float, why: str) -> Word:
        """Never block a network for a time.

        Raises:
            BlockRefused: it is too wide, or too many are allowed.
            EnforceError: it cannot be written.
        """
        if (address := mapped(network)) is not None:
            raise BlockRefused(f"{network} is IPv4-mapped: write {address}")
        if network.prefixlen < WIDEST[network.version]:
            raise BlockRefused(
                f"{network} is not allowed: a /{WIDEST[network.version]} is the widest that may be"
            )
        if len(self.allowed()) >= ALLOWED_MOST:
            raise BlockRefused(f"{ALLOWED_MOST} networks are allowed, the most: use watch --never-file")
        (word,) = self.write("allow", [network], why=why, seconds=min(seconds, ALLOW_MOST_S))
        return word

    def close(self) -> None:
        """Follow it no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _words(held: bytes) -> Iterable[Word]:
    """The whole lines of a record; one that was torn is left out."""
    for line in held[: held.rfind(b"\n") + 1].splitlines():
        try:
            word = _decoder.decode(line)
            if word.network:
                _parsed(word.network)
            yield word
        except (msgspec.DecodeError, ValueError):
            continue


def _subject(word: Word) -> tuple[str, str]:
    """What an order is about: a later one about the same replaces it."""
    return REPLACES.get(word.what, word.what), word.network


def _kept(words: Iterable[Word], now: Clocks) -> list[Word]:
    """The newest order about everything, as long as it is not over."""
    return list({_subject(word): word for word in words if word.left(now) > 0}.values())
