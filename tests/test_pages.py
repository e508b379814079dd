"""The pages of floodwatch/docs and the README say what the code says, and every path in them is there."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from make_pages import BLOCK, DOCS, MAKERS, ROOT, floors_of, quoting, renewed
from test_layering import ROOMS

import floodwatch
from floodwatch import _engine, detectors
from floodwatch.capture.compression import compression_of
from floodwatch.capture.discover import _MAGICS
from floodwatch.capture.linktype import DECODED, LINKTYPE_NAMES
from floodwatch.detectors import FAMILIES, carpet, protocols, slow, udp
from floodwatch.history import sources
from floodwatch.mitigate import guards
from floodwatch.model.decision import Protection
from floodwatch.model.vector import AMPLIFIERS, Vector

PAGES = sorted(DOCS.glob("*.md"))
README = ROOT / "README.md"
MADE_ELSEWHERE = {"features.md"}
ROOTS = ("floodwatch/", "native/", "tests/", "pcaps/", ".ci/")
FIRST_ROW = re.compile(r"^\| `([\w/.]+)` \|", re.MULTILINE)


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The text between a heading and the next of any level."""
    return re.split(r"^#+ ", text.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.name))
def test_pages_are_what_the_code_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == renewed(path.name, text), "run: python tests/make_pages.py"


def test_every_maker_has_its_place() -> None:
    made = [block[2] for path in PAGES for block in BLOCK.finditer(path.read_text(encoding="utf-8"))]
    assert sorted(made) == sorted(MAKERS)


def test_pages_are_shipped() -> None:
    shipped = Path(floodwatch.__file__).parent / "docs"
    assert {path.name for path in shipped.glob("*.md")} == {path.name for path in PAGES}


@pytest.mark.parametrize("path", [README, *PAGES], ids=lambda path: str(path.name))
def test_every_path_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]*)(?:#[^)]*)?\)", text):
        assert (path.parent / link).exists(), link
    for word in re.findall(r"(?<![\w/.])[\w.][\w./-]+", text):
        if word.startswith(ROOTS):
            assert (ROOT / word.rstrip(".,")).exists(), word
    for anchor, name in re.findall(r"\]\((?:(?:[\w/]*/)?(\w+\.md))?#([\w-]+)\)", text):
        headings = re.findall(r"^#+ (.+)$", page(anchor) if anchor else text, re.MULTILINE)
        assert name in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_readme_names_every_page() -> None:
    links = re.findall(r"\]\(floodwatch/docs/(\w+\.md)\)", README.read_text(encoding="utf-8"))
    assert sorted(set(links)) == [path.name for path in PAGES]


def test_every_floor_is_told() -> None:
    modules = [value for value in vars(detectors).values() if getattr(value, "DETECTOR", None)]
    assert len(modules) > 10
    told = {id(floor) for family in FAMILIES.values() for floor in family.floors} | {
        id(f) for f in floors_of(carpet)
    }
    assert {id(floor) for module in modules for floor in floors_of(module)} == told
    assert set(FAMILIES) == set(Vector)


def test_every_protection_is_told() -> None:
    told = FIRST_ROW.findall(section(page("vectors.md"), "What may stand before a victim"))
    assert sorted(told) == sorted(get_args(Protection))


HEADERS = {
    b"\x0a\x0d\x0d\x0a": struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28),
    b"snoo": b"snoop\0\0\0" + struct.pack(">II", 2, 4),
}


def format_of(magic: bytes) -> str | None:
    """What the decoder calls a capture that begins like this."""
    order = "<" if magic[2:] == b"\xb2\xa1" else ">"
    header = HEADERS.get(magic) or magic + struct.pack(order + "HHiIII", 2, 4, 0, 0, 65_535, 1)
    decoder = _engine.Decoder(bytes(16))
    decoder.fill(header, 0, _engine.Batch(1))
    return decoder.format


def test_formats_are_those_that_are_read() -> None:
    told = set(FIRST_ROW.findall(section(page("formats.md"), "Captures")))
    read = set()
    for magic in _MAGICS:
        how = compression_of(magic.ljust(6, b"\0") if magic != b"\xfd7zX" else b"\xfd7zXZ\0", "")
        read.add(how.name if how else format_of(magic))
    assert told == read


def reads(linktype: int) -> bool:
    """The decoder knows this link type: whatever it says of a frame of zeros, it is not that."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, linktype)
    record = struct.pack("<IIII", 1, 0, 64, 64) + bytes(64)
    decoder = _engine.Decoder(bytes(16))
    decoder.fill(header + record, 0, _engine.Batch(4))
    return not decoder.rejected.get("unknown_linktype")


def test_link_types_are_those_that_are_read() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", section(page("formats.md"), "Link types"), re.MULTILINE)
    told = [(int(number), name) for number, name in rows]
    assert told == [(number, LINKTYPE_NAMES[number]) for number in sorted(DECODED)]
    assert [number for number in range(400) if reads(number)] == sorted(DECODED)


def test_tunnels_are_those_that_are_looked_into() -> None:
    told = FIRST_ROW.findall(section(page("formats.md"), "Packets").split("| Tunnel |")[1].split("\n\n")[0])
    assert told == [name for name in _engine.TUNNELS if name != "none"]


def test_schemas_are_those_that_are_written() -> None:
    told = re.findall(r"^\| `(floodwatch\.\w+/\d)`", page("formats.md"), re.MULTILINE)
    package = Path(floodwatch.__file__).parent
    code = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    assert sorted(told) == sorted(set(re.findall(r'"(floodwatch\.[a-z]+/\d)"', code)))


def test_numbers_of_the_limits_hold() -> None:
    """Numbers in sentences; those of the table are filled in."""
    said = {
        f"looks like a flood from {4 * udp.ONE_WAY.count:,} packets/s": True,
        f"from fewer than {protocols.TUNNEL_SOURCES} senders": True,
        "no more than five times as fast": sources.SLACK == 5,
        "lets through twice what is usual": guards.SPARE == 2,
        "ten packets to others for each\n  stall": slow.IDLE == 0.1,
        "of a victim to 3.3 %": abs(104 / 2 ** (_engine.HLL_P / 2) - 3.3) < 0.06,
        "of a capture to 1.6 %": abs(104 / 2 ** (_engine.TOTAL_HLL_P / 2) - 1.6) < 0.06,
    }
    text = page("limits.md")
    for words, holds in said.items():
        assert words in text, words
        assert holds, words


def test_scenarios_of_the_limits_are_there() -> None:
    from floodwatch.synth import SCENARIOS

    names = {
        "mimics_of_people",
        "mimics_of_pages",
        "http_flood_beside_pollers",
        "poisoned_paces",
        "tunnel_hub",
    }
    assert names <= set(re.findall(r"`(\w+)`", page("limits.md")))
    assert names <= set(SCENARIOS)


def test_every_room_has_its_paragraph() -> None:
    rooms = page("map.md").split("## How to add")[0]
    headings = re.findall(r"^### (.+)$", rooms, re.MULTILINE)
    told = [room for heading in headings for room in re.findall(r"`(\w+)`", heading)]
    assert sorted(told) == sorted(room for floor in ROOMS for room in floor)
    for heading in headings:
        text = section(rooms, heading)
        assert re.search(r"^Invariant: [^\n]+[.]$", text, re.MULTILINE), heading
        assert not text.lstrip().startswith("Invariant"), heading


def test_every_quoted_promise_is_listed() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+\.) \| (`[^|]+`) \|$", page("promises.md"), re.MULTILINE)
    held = {int(number): re.findall(r"`([^`]+)`", tests) for number, _, tests in rows}
    assert held == quoting()


def test_the_picture_of_the_readme_is_what_a_scan_prints() -> None:
    (picture,) = re.findall(r"```text\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    command, *lines = picture.splitlines()
    assert command.startswith("$ floodwatch ")
    program = [sys.executable, "-P", "-m", "floodwatch", *command.split()[2:]]
    run = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 1, run.stderr
    printed = iter(run.stdout.splitlines())
    for line in lines:
        assert line in ("", "...") or line in printed, f"not printed, or not in this order: {line}"


def test_readme_is_short_and_counts_right() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 110
    assert f"{len({name for _, name in AMPLIFIERS})} protocols" in text
    assert f"{len(DECODED)} link types" in text
