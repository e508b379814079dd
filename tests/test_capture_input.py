"""From arguments to bytes: discovery, mapped windows, streams, gzip, truncation at every byte, the filter."""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import os
import shutil
import signal
import struct
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from floodwatch import _engine
from floodwatch.capture import Filter, blocks, compile_filter, discover, open_blocks
from floodwatch.errors import ConfigError, EnvironmentFault, InputError

KEY = bytes(16)
EXPAND = 1000
HANG_SECONDS = 20
ETHERNET, RAW = 1, 101

Need = Callable[[object, str], None]


@dataclass
class Reading:
    """All that a capture gave, and how it ended."""

    records: bytes
    packets: int
    code: int
    offset: int
    error: InputError | None = None


@dataclass(frozen=True)
class Made:
    """A made capture: its bytes, and where each record ends."""

    data: bytes
    ends: tuple[int, ...]

    def whole(self, size: int) -> int:
        """How many records lie in the first ``size`` bytes."""
        return sum(end <= size for end in self.ends)


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A reader that loops forever is a failure and not a stuck suite."""

    def stop(*_: object) -> NoReturn:
        raise TimeoutError(f"still reading after {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows and pieces so small that records straddle every kind of edge."""
    monkeypatch.setattr(blocks, "WINDOW", 8192)
    monkeypatch.setattr(blocks, "PIECE", 777)


def read(path: str | Path, *, max_expand: int = EXPAND, wanted: Filter | None = None) -> Reading:
    """Decode a capture the way a scan does."""
    decoder, batch, position, need, code = _engine.Decoder(KEY), _engine.Batch(64), 0, 0, 0
    if wanted:
        decoder.set_filter(wanted.function, wanted.programs, wanted)
    records, error = [], None
    source = open_blocks(str(path), max_expand=max_expand)
    try:
        while block := source.following(position, need):
            assert block.offset == decoder.offset
            position, code = block.start, 0
            while not code:
                code, position = decoder.fill(block.data, position, batch)
                records.append(visible(batch))
            if code != _engine.NEED_MORE:
                break
            need = decoder.need
    except InputError as caught:
        error = caught
    finally:
        source.close()
    return Reading(b"".join(records), decoder.packets, code, decoder.offset, error)


def visible(batch: _engine.Batch) -> bytes:
    """The fields of the records without the gaps between them."""
    rows = batch.records()
    return repr(rows.tolist()).encode() if len(rows) else b""


def frames() -> list[bytes]:
    """TCP, UDP and ICMP frames of many sizes, one larger than any window of ``small_pieces``."""
    sizes = [0, 1, 6, 18, 120, 700, 1400] * 40 + [60_000, 3, 200]
    return [frame(number, size) for number, size in enumerate(sizes)]


def frame(number: int, size: int, *, ethernet: bool = True) -> bytes:
    proto = (6, 17, 1)[number % 3]
    payload = bytes(size)
    ports = struct.pack(">HH", 1024 + number, (80, 53)[number % 2])
    transport = {
        6: ports + struct.pack(">IIBBHHH", number, 0, 5 << 4, 2 if number % 2 else 0x18, 1024, 0, 0),
        17: ports + struct.pack(">HH", 8 + size, 0),
        1: struct.pack(">BBHI", 8, 0, 0, number),
    }[proto]
    body = transport + payload
    addresses = bytes((10, 0, 0, 1 + number % 5, 192, 0, 2, 1 + number % 3))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, proto, 0) + addresses
    return (bytes.fromhex("020000000001 020000000002 0800") if ethernet else b"") + ip + body


def pcap(packets: list[bytes], linktype: int = ETHERNET) -> Made:
    out, ends = io.BytesIO(), []
    out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, linktype))
    for number, data in enumerate(packets):
        out.write(struct.pack("<IIII", 1_700_000_000 + number, number, len(data), len(data)) + data)
        ends.append(out.tell())
    return Made(out.getvalue(), tuple(ends))


def pcapng(packets: list[bytes]) -> Made:
    out, ends = io.BytesIO(), []
    out.write(ng_block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
    out.write(ng_block(1, struct.pack("<HHI", ETHERNET, 0, 0)))
    for number, data in enumerate(packets):
        ticks = (1_700_000_000 + number) * 1_000_000 + number
        head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
        out.write(ng_block(6, head + data + bytes(-len(data) % 4)))
        ends.append(out.tell())
    return Made(out.getvalue(), tuple(ends))


def ng_block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def fed(path: Path, data: bytes, step: int) -> threading.Thread:
    """A named pipe and the thread that writes into it, a few bytes at a time."""
    os.mkfifo(path)

    def feed() -> None:
        with open(path, "wb", buffering=0) as pipe:
            for at in range(0, len(data), step):
                pipe.write(data[at : at + step])

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("make", [pcap, pcapng])
@pytest.mark.usefixtures("small_pieces")
def test_windows_streams_and_gzip_give_the_same_records(
    make: Callable[[list[bytes]], Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(frames())
    plain = written(tmp_path / "plain", made.data)
    whole = read_at_once(made.data)
    assert whole.packets == len(made.ends)

    readings = {"mapped": read(plain), "gzip": read(written(tmp_path / "zipped", gzip.compress(made.data)))}
    with open(plain, "rb") as file:
        monkeypatch.setattr("sys.stdin", file)
        readings["standard input"] = read("-")
    for name, data in (("pipe", made.data), ("zipped pipe", gzip.compress(made.data))):
        thread = fed(tmp_path / name, data, 501)
        readings[name] = read(tmp_path / name)
        thread.join()
    for name, reading in readings.items():
        assert (name, reading.packets, reading.offset) == (name, whole.packets, len(made.data))
        assert reading.records.replace(b"][", b", ") == whole.records, name
        assert reading.error is None


def read_at_once(data: bytes) -> Reading:
    decoder, batch = _engine.Decoder(KEY), _engine.Batch(4096)
    code, _ = decoder.fill(data, 0, batch)
    return Reading(visible(batch), decoder.packets, code, decoder.offset)


def test_records_is_a_copy_that_cannot_be_written() -> None:
    decoder, batch = _engine.Decoder(KEY), _engine.Batch(8)
    assert len(batch.records()) == 0
    decoder.fill(pcap([frame(2, 3), frame(1, 5)]).data, 0, batch)
    rows = batch.records()
    decoder.fill(b"", 0, batch)
    assert len(batch) == 0
    assert rows["src"].tolist() == [[0, 0xFFFF_0A00_0003], [0, 0xFFFF_0A00_0002]]
    assert rows["dst"].tolist() == [[0, 0xFFFF_C000_0203], [0, 0xFFFF_C000_0202]]
    assert rows["ts_ns"].tolist() == [1_700_000_000 * 10**9, 1_700_000_001 * 10**9 + 1000]
    assert rows[["sport", "dport", "proto", "payload", "bytes"]].tolist() == [
        (0, 8, 1, 4 + 3, 14 + 20 + 8 + 3),
        (1025, 53, 17, 5, 14 + 20 + 8 + 5),
    ]
    with pytest.raises(ValueError, match="read-only"):
        rows["sport"] = 1


def zstd(data: bytes) -> bytes:
    return bytes(importlib.import_module("zstandard").ZstdCompressor(write_checksum=True).compress(data))


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.usefixtures("small_pieces")
def test_every_compression_gives_the_same_records_and_says_where_it_ends(name: str, tmp_path: Path) -> None:
    made = pcap(frames())
    packed = PACKERS[name](made.data)
    reading = read(written(tmp_path / "whole", packed))
    assert (reading.error, reading.packets, reading.offset) == (None, len(made.ends), len(made.data))
    cut = read(written(tmp_path / "cut", packed[: len(packed) // 2]))
    assert cut.error is not None
    assert cut.error.code == f"truncated_{name}"
    assert cut.packets == made.whole(cut.error.offset or 0)
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0xFF
    hurt = read(written(tmp_path / "hurt", bytes(damaged)))
    # damaged data, or a capture that makes no sense any more
    assert hurt.error is not None or hurt.code != _engine.NEED_MORE
    two = read(written(tmp_path / "two", PACKERS[name](made.data[:999]) + PACKERS[name](made.data[999:])))
    assert (two.error, two.packets) == (None, len(made.ends))


@pytest.mark.parametrize("padding", [0, 1, 512, 3000])
@pytest.mark.parametrize("between", [0, 700, 2000])
@pytest.mark.usefixtures("small_pieces")
def test_gzip_members_and_zero_padding(padding: int, between: int, tmp_path: Path) -> None:
    made = pcap(frames()[:60])
    third = len(made.data) // 3
    members = [gzip.compress(made.data[at : at + third]) for at in range(0, len(made.data), third)]
    data = bytes(between).join(members) + bytes(padding)
    reading = read(written(tmp_path / "members.gz", data))
    assert reading.error is None
    assert (reading.packets, reading.offset) == (60, len(made.data))


def test_garbage_behind_a_gzip_member_is_named(tmp_path: Path) -> None:
    made = pcap(frames()[:20])
    reading = read(written(tmp_path / "a.gz", gzip.compress(made.data) + b"garbage"))
    assert reading.packets == 20
    assert reading.error is not None
    assert (reading.error.code, reading.error.offset) == ("bad_gzip", len(made.data))


def test_a_truncated_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    made = pcap([frame(n, 9 * n) for n in range(12)])
    packed = gzip.compress(made.data)
    for size in range(4, len(packed)):
        reading = read(written(tmp_path / "cut.gz", packed[:size]))
        clear = len(zlib.decompressobj(wbits=31).decompress(packed[:size]))
        assert reading.error is not None, size
        assert (reading.error.code, reading.error.offset) == ("truncated_gzip", clear)
        assert reading.packets == made.whole(clear)


def test_a_damaged_gzip_keeps_what_came_before(tmp_path: Path) -> None:
    made = pcap([frame(n, 9 * n) for n in range(12)])
    packed = bytearray(gzip.compress(made.data))
    packed[-8] ^= 0xFF  # the check sum
    reading = read(written(tmp_path / "bad.gz", bytes(packed)))
    assert reading.error is not None
    assert reading.error.code == "bad_gzip"


def test_a_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    made = pcap([frame(n, 60_000) for n in range(400)])
    packed = gzip.compress(made.data)
    bomb = written(tmp_path / "bomb.gz", packed)
    stopped = read(bomb, max_expand=20)
    assert stopped.error is not None
    assert stopped.error.code == "expansion_limit"
    assert stopped.error.offset is not None
    assert 20 * 1000 < stopped.error.offset < len(made.data) / 2
    assert stopped.packets < 400
    free = read(bomb, max_expand=10_000)
    assert (free.error, free.packets) == (None, 400)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    cases = {
        "empty_file": written(tmp_path / "empty", b""),
        "missing_file": tmp_path / "nowhere",
        "no_capture": tmp_path,
    }
    for code, path in cases.items():
        with pytest.raises(InputError) as caught:
            open_blocks(str(path), max_expand=EXPAND)
        assert (caught.value.code, caught.value.path) == (code, str(path))


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_every_truncation_keeps_the_whole_records(
    make: Callable[[list[bytes]], Made], tmp_path: Path
) -> None:
    made = make([frame(n, size) for n, size in enumerate((0, 5, 30, 2))])
    for size in range(1, len(made.data) + 1):
        reading = read(written(tmp_path / "cut", made.data[:size]))
        assert (reading.packets, reading.code) == (made.whole(size), _engine.NEED_MORE), size
        assert reading.error is None
        assert reading.offset <= size


def test_discovery_tells_captures_by_magic_in_name_order(tmp_path: Path) -> None:
    made = pcap([frame(1, 1)]).data
    (tmp_path / "c" / "deep").mkdir(parents=True)
    written(tmp_path / "b.txt", made)
    written(tmp_path / "a.pcap", b"no capture at all")
    written(tmp_path / "d.gz", gzip.compress(made))
    written(tmp_path / "e", pcapng([]).data)
    written(tmp_path / "f", b"")
    written(tmp_path / "c" / "deep" / "z", made)
    written(tmp_path / "c" / "y", made)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link").symlink_to(tmp_path / "c" / "y")

    def names(recursive: bool) -> list[tuple[str, bool]]:
        found = discover([str(tmp_path)], recursive=recursive)
        return [(os.path.relpath(f.path, tmp_path), f.capture) for f in found]

    flat = [("a.pcap", False), ("b.txt", True), ("d.gz", True), ("e", True), ("f", False), ("link", True)]
    assert names(False) == flat
    assert names(True) == sorted([*flat, ("c/deep/z", True), ("c/y", True)])


def test_discovery_takes_arguments_as_they_come(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "z"), "-", str(tmp_path / "a")]
    found = list(discover(arguments, recursive=False))
    assert [(f.path, f.capture) for f in found] == [(argument, True) for argument in arguments]


def compiled(expression: str, need: Need) -> Filter:
    """The filter, or a skip where libpcap is not installed."""
    try:
        return compile_filter(expression)
    except EnvironmentFault as fault:
        need(False, str(fault))
        raise


FILTERS = (
    "tcp", "udp port 53", "host 10.0.0.2", "tcp[tcpflags] & tcp-syn != 0", "icmp or dst net 192.0.2.2/31",
    "greater 700", "ip6", "not ip",
)  # fmt: skip


@pytest.mark.parametrize("expression", FILTERS)
@pytest.mark.parametrize("linktype", [ETHERNET, RAW])
def test_filters_agree_with_tcpdump(expression: str, linktype: int, need: Need, tmp_path: Path) -> None:
    wanted = compiled(expression, need)
    need(shutil.which("tcpdump"), "tcpdump is not installed")
    packets = [frame(n, n % 1400, ethernet=linktype == ETHERNET) for n in range(0, 3000, 7)]
    path = written(tmp_path / "in.pcap", pcap(packets, linktype).data)
    path.chmod(0o644)
    command = ["tcpdump", "-n", "-r", "-", "-w", "-", expression]
    with path.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=True)
    expected = read_at_once(done.stdout)
    reading = read(path, wanted=wanted)
    assert reading.packets == expected.packets
    assert reading.records.replace(b"][", b", ") == expected.records


def test_a_filter_that_fits_one_link_type_drops_the_others(need: Need, tmp_path: Path) -> None:
    wanted = compiled("ether host 02:00:00:00:00:01", need)
    counts = [
        read(
            written(tmp_path / "in", pcap([frame(n, 9, ethernet=ether) for n in range(5)], link).data),
            wanted=wanted,
        ).packets
        for ether, link in ((True, ETHERNET), (False, RAW))
    ]
    assert counts == [5, 0]


@pytest.mark.parametrize("expression", ["prot 7", "host", "port 99999", "(tcp"])
def test_a_wrong_filter_is_a_config_error(expression: str, need: Need) -> None:
    compiled("tcp", need)
    with pytest.raises(ConfigError, match="filter "):
        compile_filter(expression)


def test_missing_libpcap_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> NoReturn:
        raise OSError("no such library")

    monkeypatch.setattr("ctypes.CDLL", absent)
    with pytest.raises(EnvironmentFault, match="libpcap"):
        compile_filter("tcp")
