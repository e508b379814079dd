"""The configuration of the daemon: ``floodwatch.toml`` and ``conf.d/*.toml`` beside it, as ``Settings``.

Files of ``conf.d`` are read in the order of their names. Of a value the last file wins; lists and tables in
double brackets add up. What is wrong in any of them is told at once, with file, line and column.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from ..errors import ConfigError, ConfigErrors
from . import contradictions, document, rights
from .document import Document, Entry, Given, Place, Tell
from .keys import CAPTURE, CONTROL, INTERFACE, METRICS, NOTIFY, RULES, SERVICE, TABLES, TOP, Above, Table
from .limits import Limits, ask
from .nat64 import translators
from .proxies import read_proxies
from .roles import Service
from .settings import (
    CaptureSettings,
    ControlSettings,
    Interface,
    MetricsSettings,
    Receiver,
    RuleSettings,
    Settings,
)

TOLD_MOST = 20
"""Errors that are told one by one."""
R = TypeVar("R", bound=Struct)


class Loaded(Struct, frozen=True):
    """What a configuration says.

    Attributes:
        settings: what is to be done.
        notes: what was left out because it was not safe, in words.
        whole: all files together, with the place of each value.
    """

    settings: Settings
    notes: tuple[str, ...]
    whole: Document


def load(path: str, above: Above) -> Loaded:
    """Read a configuration.

    Args:
        path: its first file; ``conf.d`` lies beside it.
        above: what rooms above know, see there.

    Raises:
        ConfigErrors: something is wrong.
    """
    wrong: dict[Place, str] = {}  # of one place the first error is told: what follows from it is none

    def tell(place: Place, message: str) -> None:
        wrong.setdefault(place, message)

    found = [document.read(file, content, above, tell) for file, content in _contents(path, tell)]
    whole = _joined(found)
    main = Place(path, 1, 1)
    if found and found[0].tables:
        if not found[0].tables[TOP.name][0][1].written("schema"):
            tell(main, "schema is missing, write schema = 1 at the top")
        contradictions.look(whole, main, tell)
    if not wrong:
        try:
            settings, notes = _settings(whole)
        except ConfigError as error:
            wrong[main] = str(error)
    if wrong:
        raise ConfigErrors(_lines(wrong))
    return Loaded(settings, tuple(notes), whole)


def _lines(wrong: dict[Place, str]) -> Iterator[str]:
    for place, message in list(wrong.items())[:TOLD_MOST]:
        yield f"{place}: {message}"
    if len(wrong) > TOLD_MOST:
        yield f"and {len(wrong) - TOLD_MOST} more errors"


def files(path: str) -> list[str]:
    """The files of a configuration, in the order in which they are read."""
    folder = Path(path).parent / "conf.d"
    return [path, *sorted(map(str, folder.glob("*.toml")))]


def _contents(path: str, tell: Tell) -> Iterator[tuple[str, bytes]]:
    """The files with what they hold; those that others may write are told, and not read."""
    folders = {os.path.dirname(file) or "." for file in files(path)}
    for name in (*sorted(folders), *files(path)):
        try:
            why = rights.written_by_others(name)
            if why is not None:
                tell(Place(name, 1, 1), why)
            elif name not in folders:
                yield name, Path(name).read_bytes()
        except FileNotFoundError:
            tell(Place(path, 1, 1), "there is no such file, write one with: floodwatch config init")
        except OSError as error:
            tell(Place(name, 1, 1), f"it cannot be read: {error.strerror}")


def _joined(documents: Iterable[Document]) -> Document:
    whole: dict[str, list[tuple[Place, Entry]]] = {TOP.name: [(Place("", 1, 1), Entry())]}
    for one in documents:
        for table in TABLES:
            entries = one.tables.get(table.name, [])
            if table.most > 1 or not whole.get(table.name):
                whole.setdefault(table.name, []).extend(entries)
            else:
                for _, entry in entries:
                    _add(whole[table.name][0][1], entry)
    return Document(whole)


def _add(held: Entry, entry: Entry) -> None:
    held.wrong |= entry.wrong
    for key, given in entry.items():
        if key in held and isinstance(given.raw, list):
            old = held[key]
            fresh = [n for n, one in enumerate(given.value) if one not in old.value]
            held[key] = Given(
                [*old.raw, *(given.raw[n] for n in fresh)],
                (*old.value, *(given.value[n] for n in fresh)),
                (*old.places, *(given.places[n] for n in fresh)),
            )
        else:
            held[key] = given


def _settings(whole: Document) -> tuple[Settings, list[str]]:
    """The settings, and what was left out of them."""
    (_, top), *_ = whole.tables[TOP.name]

    def one(kind: type[R], table: Table) -> R:
        entries = whole.tables.get(table.name)
        return kind(**_fields(table, entries[0][1] if entries else Entry()))

    notes: list[str] = []
    receivers = []
    for _, entry in whole.tables.get(NOTIFY.name, ()):
        if (why := _unsafe(entry)) is None:
            receivers.append(Receiver(**_fields(NOTIFY, entry)))
        else:
            notes.append(why)
    floors = next((entry for _, entry in whole.tables.get("floors", ())), Entry())
    plain = {key: top[key].value for key in ("mode", "never", "never_file", "state") if key in top}
    raw = {key: given.raw for key, given in top.items()}
    return Settings(
        **plain,
        interfaces=tuple(Interface(name=n, mode=m) for n, m in _own_modes(whole).items()),
        capture=one(CaptureSettings, CAPTURE),
        rules=one(RuleSettings, RULES),
        control=one(ControlSettings, CONTROL),
        metrics=one(MetricsSettings, METRICS),
        limits=_limits(floors, raw),
        services=tuple(_service(entry) for _, entry in whole.tables.get(SERVICE.name, ())),
        proxies=read_proxies(raw.get("proxies", ()), of=""),
        nat64=translators(raw.get("nat64", ())),
        notify=tuple(receivers),
    ), notes


def _fields(table: Table, entry: Entry) -> dict[str, Any]:
    keys = {key.name: key.field or key.name for key in table.keys}
    return {keys[name]: given.value for name, given in entry.items()}


def _own_modes(whole: Document) -> dict[str, Any]:
    """Interfaces in order, each with a mode of its own or None."""
    named: dict[str, Any] = dict.fromkeys(contradictions.modes(whole))
    for _, entry in whole.tables.get(INTERFACE.name, ()):
        named[entry["name"].value] = entry["mode"].value if "mode" in entry else None
    return named


def _limits(floors: Entry, raw: dict[str, Any]) -> Limits:
    wanted = {vector: given.value for vector, given in floors.items()}
    # each floor was held against its vector's when it was read
    return ask(wanted, raw.get("false_alarms"), lambda vector: 0.0, raw.get("profile", "default"))


def _service(entry: Entry) -> Service:
    fields = _fields(SERVICE, entry)
    protocol, ports = fields.pop("port")
    return Service(protocol=protocol, ports=ports, **fields)


def _unsafe(receiver: Entry) -> str | None:
    """Why a receiver is left out."""
    for key in NOTIFY.keys:
        if key.secret and key.name in receiver:
            given = receiver[key.name]
            if why := rights.read_by_others(given.value):
                kind = receiver["type"].value
                return f"{given.places[0]}: {kind} is left out: {given.value}: {why}"
    return None
