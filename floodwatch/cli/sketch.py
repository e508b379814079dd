"""``floodwatch sketch``: inspect, merge and query saved sketches."""

from __future__ import annotations

import math
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from floodwatch.errors import InputError, SketchMismatch

from .options import read_seed
from .output import check_output, write, write_stdout

if TYPE_CHECKING:
    from floodwatch._sketches import CountMin, HyperLogLog, TopK

EXAMPLES = """\b
Examples:
  floodwatch sketch info monday.fwsk tuesday.fwsk
  floodwatch sketch merge monday.fwsk tuesday.fwsk -o week.fwsk
  floodwatch sketch query week.fwsk --seed HEX --key 203.0.113.9

Programs write such files: open(path, "wb").write(sketch.to_bytes()).
"""
KIND_AT = 5
"""Where a saved sketch says what it is (native/fw_blob.h)."""
SHOWN = 10
"""Frequent keys that ``info`` shows."""
FILE = click.argument("file")
FILES = click.argument("files", nargs=-1, required=True, metavar="FILE...")


@click.group(epilog=EXAMPLES)
def sketch() -> None:
    """Inspect, merge and query saved sketches."""


@sketch.command()
@FILES
def info(files: tuple[str, ...]) -> None:
    """Print what each sketch is and holds, one JSON object a line. No key is needed."""
    for file in files:
        found = _load(file, None)
        write_stdout(msgspec.json.encode({"path": file, **_describe(found)}) + b"\n")


@sketch.command()
@FILES
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the merged sketch goes.")
def merge(files: tuple[str, ...], output: str) -> None:
    """Merge sketches of one kind, shape and key. No key is needed: the files hold a fingerprint of it."""
    check_output(output, files)
    first: Any = _load(files[0], None)
    for file in files[1:]:
        other: Any = _load(file, None)
        if type(other) is not type(first):
            raise SketchMismatch(
                "kind", f"{file}: a {type(other).__name__} cannot be merged with the files before it"
            )
        try:
            first.merge(other)
        except SketchMismatch as error:
            raise SketchMismatch(error.field, f"{file}: {error}") from error
    write(output, first.to_bytes())


@sketch.command()
@FILE
@click.option("--seed", callback=read_seed, metavar="HEX", help="The seed a count-min sketch was made with.")
@click.option(
    "--key", "texts", multiple=True, metavar="KEY", help="An IP address, or any other text; repeatable."
)
@click.option("--number", "numbers", multiple=True, type=click.IntRange(0, 2**64 - 1), metavar="N",
              help="An integer key; repeatable.")  # fmt: skip
def query(file: str, seed: bytes | None, texts: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    """Print bounds of the keys' counts in a count-min sketch or a TopK, one JSON object a line."""
    from floodwatch._sketches import CountMin, HyperLogLog

    found = _load(file, seed)
    if isinstance(found, CountMin) and seed is None:
        raise click.UsageError("a count-min sketch can be queried only with its --seed")
    if isinstance(found, HyperLogLog):
        raise click.UsageError("a HyperLogLog cannot be asked for single keys: see floodwatch sketch info")
    if not texts and not numbers:
        raise click.UsageError("name a --key or a --number")
    for shown, key in [*((text, _key(text)) for text in texts), *((number, number) for number in numbers)]:
        lower, upper = found.bounds(key)
        write_stdout(msgspec.json.encode({"key": shown, "count": {"lo": lower, "hi": upper}}) + b"\n")


def _shown(key: object) -> int | str:
    if isinstance(key, int):
        return key
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)


def _key(text: str) -> str | IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        return text


def _load(file: str, seed: bytes | None) -> CountMin | HyperLogLog | TopK:
    from floodwatch._sketches import CountMin, HyperLogLog, TopK

    try:
        blob = Path(file).read_bytes()
    except OSError as error:
        raise InputError(file, "unreadable", f"cannot be read: {error.strerror}") from error
    try:
        if blob[KIND_AT : KIND_AT + 1] == b"\x03":
            return TopK.from_bytes(blob)
        hyperloglog = blob[KIND_AT : KIND_AT + 1] == b"\x02"
        return (HyperLogLog if hyperloglog else CountMin).from_bytes(blob, key=seed)
    except SketchMismatch as error:
        raise SketchMismatch(error.field, f"{file}: {error}") from error


def _describe(found: CountMin | HyperLogLog | TopK) -> dict[str, object]:
    from floodwatch._sketches import CountMin, TopK

    if isinstance(found, CountMin):
        names = ("depth", "width", "conservative", "total", "error", "confidence")
        return {"kind": "CountMin", **{name: getattr(found, name) for name in names}}
    if isinstance(found, TopK):
        items = [{"key": _shown(key), "count": {"lo": lo, "hi": hi}} for key, lo, hi in found.items(SHOWN)]
        return {"kind": "TopK", "k": found.k, "total": found.total, "offset": found.offset, "items": items}
    lower, upper = found.bounds()
    distinct = {"est": round(found.estimate()), "lo": int(lower), "hi": math.ceil(upper)}
    return {"kind": "HyperLogLog", "p": found.p, "relative_error": found.relative_error, "distinct": distinct}
