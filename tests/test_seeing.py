"""What an event owes to its capture: mirrors, stamps and losses are told in it and lower its confidence."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from evaluate import records

import floodwatch as fw
from floodwatch import synth
from floodwatch.model.event import Event

SECOND = 10**9
Frame = tuple[int, int, bytes]


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> list[Frame]:
    path = tmp_path_factory.mktemp("seeing") / "flood.pcap"
    synth.make("udp_flood", path, synth.Params(duration=2.0))
    return list(records(path))


def write(path: Path, frames: Iterable[Frame]) -> Path:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for t, length, frame in frames:
            file.write(struct.pack("<IIII", t // SECOND, t % SECOND, len(frame), length) + frame)
    return path


def only(path: Path) -> Event:
    (event,) = fw.scan(str(path)).floods
    return event


def says(event: Event) -> dict[str, str]:
    return {fact.name: fact.says for fact in event.evidence}


def test_an_ordinary_capture_says_nothing(flood: list[Frame], tmp_path: Path) -> None:
    event = only(write(tmp_path / "x.pcap", flood))
    assert event.capture.copied_share == event.capture.unseen_share == 0
    assert event.capture.stamps == "exact"
    assert not {"copies", "stamps", "lost"} & says(event).keys()


@pytest.mark.parametrize(
    ("clock", "stamps", "words"),
    [
        (lambda t: t // SECOND * SECOND, "seconds", "time stamps are whole seconds"),
        (lambda t: 1_700_000_000 * SECOND + 7, "one", "all packets bear one time stamp"),
    ],
)
def test_time_stamps_that_tell_no_rates(
    flood: list[Frame], tmp_path: Path, clock: Callable[[int], int], stamps: str, words: str
) -> None:
    exact = only(write(tmp_path / "exact.pcap", flood))
    event = only(write(tmp_path / "x.pcap", ((clock(t), length, frame) for t, length, frame in flood)))
    assert event.capture.stamps == stamps
    assert says(event)["stamps"].startswith(words)
    assert event.confidence < exact.confidence


def test_whole_seconds_make_no_flood_of_what_is_none(tmp_path: Path) -> None:
    """600 datagrams of a second, which begin suddenly, are not 600 of a quarter of it."""
    ip = bytes.fromhex("450000200000000040110000") + bytes([1, 2])
    frames = [
        (t * SECOND, 46, bytes(12) + b"\x08\0" + ip + struct.pack(">H4B", 7 * i, 198, 51, 100, 7)
         + struct.pack(">HHHHI", 4000 + i, 9999, 12, 0, i))
        for t in range(1_700_000_000, 1_700_000_010)
        for i in range(600 if t >= 1_700_000_005 else 20)
    ]  # fmt: skip
    assert not fw.scan(str(write(tmp_path / "x.pcap", frames))).floods
    four = [(t, length, frame) for t, length, frame in frames for _ in range(4)]
    assert only(write(tmp_path / "four.pcap", four)).rate.peak == 2400


@pytest.mark.parametrize("copies", [1, 2])
def test_a_mirror_is_told(flood: list[Frame], tmp_path: Path, copies: int) -> None:
    once = only(write(tmp_path / "once.pcap", flood))
    seen = [(t + 2000 * n, length, frame) for t, length, frame in flood for n in range(copies + 1)]
    event = only(write(tmp_path / "mirror.pcap", sorted(seen)))
    assert (event.packets, event.rate) == (once.packets, once.rate)
    assert says(event)["copies"].startswith(f"{copies * len(flood)} frames were captured again")
    assert event.capture.copied_share == pytest.approx(copies / (copies + 1), abs=1e-3)
    assert event.confidence < once.confidence


def test_half_a_mirror_is_told_too(flood: list[Frame], tmp_path: Path) -> None:
    seen = [f for i, (t, length, frame) in enumerate(flood) for f in [(t, length, frame)] * (1 + i % 2)]
    event = only(write(tmp_path / "half.pcap", seen))
    assert says(event)["copies"].startswith("67 % of the first frames were captured twice, and both")
    assert event.capture.copied_share == pytest.approx(1 / 3, abs=0.01)


def test_losses_are_told(flood: list[Frame], tmp_path: Path) -> None:
    def block(kind: int, body: bytes) -> bytes:
        size = struct.pack("<I", 12 + len(body) + -len(body) % 4)
        return struct.pack("<I", kind) + size + body + bytes(-len(body) % 4) + size

    lost = len(flood) // 3
    capture = tmp_path / "lost.pcapng"
    with capture.open("wb") as file:
        file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        file.write(block(1, struct.pack("<HHI", 1, 0, 0)))
        for t, length, frame in flood:
            us = t // 1000
            file.write(
                block(6, struct.pack("<IIIII", 0, us >> 32, us & 0xFFFFFFFF, len(frame), length) + frame)
            )
        file.write(block(5, struct.pack("<3IHHQI", 0, 0, 0, 5, 8, lost, 0)))
    event = only(capture)
    assert event.capture.unseen_share == pytest.approx(0.25, abs=0.001)
    assert says(event)["lost"] == f"the capture itself lost {lost} packets, 25 % of all"
    assert event.confidence < only(write(tmp_path / "x.pcap", flood)).confidence
