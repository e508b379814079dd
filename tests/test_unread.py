"""Unreadable is not clean: what nothing was decoded of ends with 3, and text and JSON say why."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import floodwatch as fw

ARP = bytes(12) + b"\x08\x06" + bytes(46)
PTP = bytes(12) + b"\x88\xf7" + bytes(46)
UDP = (
    bytes(12)
    + b"\x08\x00\x45"
    + bytes([0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 1, 2, 3, 4, 198, 51, 100, 7])
    + bytes([0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4])
)
USB, SERIAL = 220, 250


def write(path: Path, *frames: bytes, linktype: int = 1) -> Path:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, linktype))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000, number, len(frame), len(frame)) + frame)
    return path


def run(*argv: str | Path) -> tuple[int, str]:
    """Exit code and answer of a scan, on one line."""
    command = [sys.executable, "-P", "-m", "floodwatch", "scan", *map(str, argv)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    return done.returncode, " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("frames", "linktype", "code", "message"),
    [
        ([UDP] * 3, USB, "unknown_linktype", "link type 220 (USB_LINUX_MMAPPED) is not read"),
        ([UDP] * 3, SERIAL, "unknown_linktype", "link type 250 (250) is not read"),
        ([PTP] * 3 + [ARP], 1, "nothing_decoded",
         "none of 4 packets could be decoded: 4 not ip (most of EtherType 0x88f7, PTP)"),
        ([UDP[:20]] * 2, 1, "nothing_decoded", "none of 2 packets could be decoded: 2 bad ip"),
    ],
)  # fmt: skip
def test_a_capture_that_is_not_understood_says_why(
    tmp_path: Path, frames: list[bytes], linktype: int, code: str, message: str
) -> None:
    (read,) = fw.scan(str(write(tmp_path / "x.pcap", *frames, linktype=linktype))).inputs
    assert read.error is not None
    assert (read.error.code, read.error.message, read.error.offset) == (code, message, None)


def test_it_ends_with_3_in_text_and_json(tmp_path: Path) -> None:
    capture = write(tmp_path / "usb.pcap", UDP, linktype=USB)
    status, text = run(capture)
    assert status == 3
    assert "link type 220 (USB_LINUX_MMAPPED) is not read" in text
    assert "Nothing was decoded, so nothing can be said." in text
    status, text = run("--format", "json", capture)
    assert status == 3
    assert json.loads(text)["inputs"][0]["error"]["code"] == "unknown_linktype"


def test_what_is_understood_stays_clean(tmp_path: Path) -> None:
    assert fw.scan(str(write(tmp_path / "some.pcap", UDP, ARP, PTP))).inputs[0].error is None
    assert fw.scan(str(write(tmp_path / "none.pcap"))).inputs[0].error is None


def test_a_part_that_is_not_read_is_told(tmp_path: Path) -> None:
    def block(kind: int, body: bytes) -> bytes:
        size = struct.pack("<I", 12 + len(body))
        return struct.pack("<I", kind) + size + body + size

    def interface(linktype: int) -> bytes:
        return block(1, struct.pack("<HHI", linktype, 0, 0))

    def packet(number: int) -> bytes:
        body = struct.pack("<IIIII", number, 0, 1000, len(UDP), len(UDP)) + UDP
        return block(6, body + bytes(-len(body) % 4))

    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    capture = tmp_path / "both.pcapng"
    capture.write_bytes(section + interface(1) + interface(USB) + packet(0) + packet(0) + packet(1))
    (read,) = fw.scan(str(capture)).inputs
    assert read.error is not None
    assert read.error.message == "link type 220 (USB_LINUX_MMAPPED) is not read: 1 of 3 packets"


def test_filters_and_spans_that_match_nothing(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one.pcap", UDP, UDP), write(tmp_path / "two.pcap", UDP)
    late = ("--since", "2040-01-01T00:00:00Z")
    status, text = run(*late, one, two)
    assert status == 3
    times = "the capture begins at 2023-11-14T22:13:20Z and ends at 2023-11-14T22:13:20.000001Z"
    assert f"none of 2 packets lies in the time that was asked for: {times}" in text
    assert "none of 1 packets lies in the time" in text
    status, text = run("-r", one, "--", "port", "9")
    assert status == 3
    assert "none of 2 packets matches the filter (nothing_matched)" in text
    status, text = run(*late, "-r", one, "--", "port", "9")
    wanted = "matches the filter and lies in the time that was asked for"
    assert f"none of 2 packets {wanted}: {times}" in text
    assert run("-r", one, "--", "port", "53")[0] == 0


@pytest.mark.parametrize("command", ["scan", "info"])
def test_a_directory_without_captures_is_not_clean(tmp_path: Path, command: str) -> None:
    (tmp_path / "notes.txt").write_text("no capture")
    below = tmp_path / "below"
    below.mkdir()
    program = [sys.executable, "-P", "-m", "floodwatch", command]
    for words in ([below], [tmp_path], ["--recursive", tmp_path]):
        done = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert "there is no capture in this directory (no_capture)" in " ".join(done.stdout.split())
    write(below / "one.pcap", UDP)
    assert subprocess.run([*program, "--recursive", str(tmp_path)], check=False).returncode == 0
