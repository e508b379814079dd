"""Kinds of values in a configuration file: what is taken, what is said otherwise, and the JSON Schema."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from ..errors import ConfigError
from . import durations
from .spelling import closest

TYPES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    str: "text",
    list: "a list",
    dict: "a table",
}
"""What ``tomllib`` gives; whatever else is a date or a time."""
SHOWN = 60
SOCKET_MOST = 107
"""Bytes of a socket's path that a kernel takes (unix(7))."""


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of values.

    Attributes:
        wants: what to write, in words.
        example: such a value, as TOML.
        type: what ``tomllib`` makes of it.
        parse: what becomes of it.
        schema: its JSON Schema.
        of: the elements of a list.
    """

    wants: str
    example: str
    type: type
    parse: Callable[[Any], Any] = lambda value: value
    schema: Mapping[str, Any]
    of: Kind | None = None

    def read(self, value: Any) -> Any:
        """What becomes of a value that is no list.

        Raises:
            ConfigError: it is of another type, or will not do.
        """
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type:
            found = TYPES.get(type(value), "a date or time")
            raise ConfigError(f"this is {found}, write {self.wants}, as {self.example}")
        return self.parse(value)


def shown(value: object) -> str:
    """A value as TOML spells it, and no more of it than a line holds."""
    text = toml(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def toml(value: object) -> str:
    """A value as TOML: text, numbers, truth values and lists of them."""
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{...}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def near(name: str, names: Iterable[str]) -> str:
    """What may have been meant, as the end of a message; or all there are, where they are few."""
    known = list(names)
    if close := closest(name, known):
        return f"did you mean {close}?"
    return f"there are {', '.join(known)}" if len(known) <= 20 else f"there are {len(known)}, see the manual"


def choice(*names: str) -> Kind:
    """One of these words."""

    def parse(text: str) -> str:
        if text not in names:
            raise ConfigError(f"it is none of {', '.join(names)}{_meant(text, names)}")
        return text

    return Kind(
        wants=f"one of {', '.join(names)}", example=toml(names[0]), type=str, parse=parse,
        schema={"enum": list(names)},
    )  # fmt: skip


def _meant(text: str, names: Iterable[str]) -> str:
    close = closest(text, names)
    return f"; did you mean {toml(close)}?" if close else ""


def whole(low: int, high: int, example: int) -> Kind:
    """A whole number between bounds, both of them taken."""

    def parse(number: int) -> int:
        if not low <= number <= high:
            raise ConfigError(f"it must be {bounds}")
        return number

    bounds = f"from {low:,} to {high:,}"
    return Kind(
        wants=f"a whole number {bounds}", example=str(example), type=int, parse=parse,
        schema={"type": "integer", "minimum": low, "maximum": high},
    )  # fmt: skip


def only(number: int) -> Kind:
    """The one number that this version knows."""

    def parse(value: int) -> int:
        if value != number:
            raise ConfigError(f"this version reads {number} only")
        return value

    return Kind(wants=str(number), example=str(number), type=int, parse=parse, schema={"const": number})


FLAG = Kind(wants="true or false", example="true", type=bool, schema={"type": "boolean"})
RATE = Kind(
    wants="a rate a second", example="900", type=float, schema={"type": "number", "exclusiveMinimum": 0}
)


def text(wants: str, example: str, parse: Callable[[str], Any], pattern: str | None = None) -> Kind:
    """Text that ``parse`` understands; ``pattern`` is what a JSON Schema can say of it."""
    schema = {"type": "string", "minLength": 1, **({"pattern": pattern} if pattern else {})}
    return Kind(wants=wants, example=toml(example), type=str, parse=_not_empty(parse), schema=schema)


def _not_empty(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    def first(value: str) -> Any:
        if not value.strip() or re.search(r"[\x00-\x1f\x7f]", value):
            raise ConfigError("it is empty, or has characters that cannot be seen")
        return parse(value)

    return first


def listed(of: Kind, most: int) -> Kind:
    """A list of so many at most."""
    return Kind(
        wants=f"a list, each {of.wants}", example=f"[{of.example}]", type=list, of=of,
        schema={"type": "array", "items": of.schema, "maxItems": most},
    )  # fmt: skip


def duration(low: int, high: int) -> Kind:
    """A time, in seconds."""

    def parse(value: str) -> float:
        found = float(durations.seconds(value))
        if not low <= found <= high:
            raise ConfigError(f"it must be from {durations.spelled(low)} to {durations.spelled(high)}")
        return found

    bounds = f"{durations.spelled(low)} to {durations.spelled(high)}"
    return text(f"a time from {bounds}", "60s", parse, r"^\s*[0-9]{1,9}[smhd]?\s*$")


def _path(value: str) -> str:
    if not value.startswith("/") or "/../" in f"{value}/":
        raise ConfigError("write the whole path, from / on")
    return value


def path(example: str) -> Kind:
    """The whole path of a file or folder."""
    return text("a whole path", example, _path, "^/")


def _socket(value: str) -> str:
    if len(_path(value).encode()) > SOCKET_MOST:
        raise ConfigError(f"a socket's path has {SOCKET_MOST} bytes at most")
    return value


def _endpoint(value: str) -> str:
    host, found, port = value.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]") if found else value)
    except ValueError:
        raise ConfigError("write an address and a port, as 127.0.0.1:9733 or [::1]:9733; no names") from None
    if (address.version == 6) is not host.startswith("["):
        raise ConfigError("an IPv6 address stands in brackets, as [::1]:9733, and no other")
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise ConfigError(f"{port} is no port: write one from 1 to 65535")
    return value


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", value):
        raise ConfigError("write it as https://host/path; secrets belong into url_file")
    return value


def _syslog(value: str) -> str:
    if not re.fullmatch(r"unix:/\S+|udp://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?", value):
        raise ConfigError("write it as udp://192.0.2.1:514 or unix:/dev/log")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ConfigError("it is no network: write it as 192.0.2.0/24 or 2001:db8::/32") from None
    return value


SOCKET = text("a whole path", "/run/floodwatch/ctl.sock", _socket, "^/")
ENDPOINT = text("an address and a port", "127.0.0.1:9733", _endpoint, ":[0-9]{1,5}$")
URL = text("an address of the web", "https://hooks.example/flood", _url, "^https?://")
SYSLOG = text("where syslog is", "udp://192.0.2.1:514", _syslog, "^(udp://|unix:/)")
NETWORK = text("a network", "192.0.2.0/24", _network)
