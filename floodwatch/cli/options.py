"""Options that several commands have, and how they are read."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from floodwatch.config.limits import Limits
    from floodwatch.config.nat64 import Translator
    from floodwatch.model.address import Network

    Proxies = tuple[Network, ...]


def read_seed(ctx: click.Context, option: click.Parameter, value: str | None) -> bytes | None:
    """The bytes of a ``--seed``; the text itself appears in no message."""
    if value is not None and not re.fullmatch("[0-9a-fA-F]{32}", value):
        # The message leaves the value out: a seed is a key.
        raise click.BadParameter("give 32 hexadecimal digits")
    return None if value is None else bytes.fromhex(value)


def duration(ctx: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """Seconds of ``90``, ``90s``, ``10m``, ``4h`` or ``1d``."""
    from floodwatch.config.durations import seconds
    from floodwatch.errors import ConfigError

    try:
        return None if value is None else seconds(value)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from None


def read_time(ctx: click.Context, option: click.Parameter, value: str | None) -> int:
    """Nanoseconds since 1970 of a ``--since`` or ``--until``; without a zone the time is UTC."""
    from floodwatch.config.options import ALL_TIME

    if value is None:
        return 0 if option.name == "since_ns" else ALL_TIME
    try:
        if re.fullmatch(r"\d+\.\d+|\d{9,}", value):
            return int(Decimal(value) * 1_000_000_000)
        when = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("give a time as 2025-01-27T02:13:07Z, or seconds since 1970") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    nanoseconds = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    return min(max(nanoseconds, 0), ALL_TIME)


def moment(ctx: click.Context, option: click.Parameter, value: str | None) -> float:
    """Unix time of a ``--since``: a time as ``read_time`` takes it, or so long ago as ``15m`` or ``7d``."""
    text = (value or "").removeprefix("-")
    if re.fullmatch(r"\d{1,8}[smhd]", text):
        return max(time.time() - (duration(ctx, option, text) or 0), 0.0)
    return read_time(ctx, option, value) / 1e9 if value else 0.0


def read_limits(texts: tuple[str, ...], false_alarms: str | None, profile: str = "default") -> Limits:
    """What ``--set``, ``--false-alarms`` and ``--profile`` say.

    Raises:
        ConfigError: it cannot be understood, or not be done.
    """
    from floodwatch.config import durations, limits
    from floodwatch.detectors import least_floor
    from floodwatch.errors import ConfigError

    wanted: dict[str, float] = {}
    for text in texts:
        name, _, rate = text.partition("=")
        try:
            wanted[name.strip().lower()] = durations.rate(rate)
        except ConfigError:
            raise ConfigError(f"write a threshold as syn_flood=900 or syn_flood=5k/s, not {text!r}") from None
    return limits.ask(wanted, false_alarms, least_floor, profile)


def read_proxy(ctx: click.Context, option: click.Parameter, value: tuple[str, ...]) -> Proxies:
    """The networks that ``--proxy`` names.

    Raises:
        ConfigError: see ``config.proxies``.
    """
    if not value:
        return ()
    from floodwatch.config.proxies import read_proxies

    return read_proxies(value)


def read_nat64(ctx: click.Context, option: click.Parameter, value: tuple[str, ...]) -> tuple[Translator, ...]:
    """The networks of ``--nat64``."""
    if not value:
        return ()
    from floodwatch.config.nat64 import translators

    return translators(value)


BASELINE = click.option("--baseline", metavar="FILE",
                        help="Start with clients and usual rates that --save-baseline saved.")  # fmt: skip
SAVE_BASELINE = click.option("--save-baseline", metavar="FILE",
                             help="Save known clients and usual rates; no file is overwritten.")  # fmt: skip
SET = click.option("--set", "floors", multiple=True, metavar="VECTOR=RATE",
                   help="Raise a vector's threshold, as syn_flood=900 or 5k/s; repeatable.")  # fmt: skip
FALSE_ALARMS = click.option("--false-alarms", metavar="N/TIME",
                            help="Budget, as 1/30d: thresholds above each victim's usual rate.")  # fmt: skip
PROFILE = click.option("--profile", type=click.Choice(["default", "sensitive", "strict"]), default="default",
                       help="False alarms allowed: one in 30 days, a day, or a year.")  # fmt: skip
PROXY = click.option("--proxy", "proxies", multiple=True, metavar="CIDR|FILE", callback=read_proxy,
                     help="A proxy or CDN, or a list of them: never blocked, its clients are told apart by "
                          "what it writes of them; repeatable.")  # fmt: skip
NAT64 = click.option("--nat64", multiple=True, callback=read_nat64, metavar="PREFIX",
                     help="A NAT64 prefix of your own, each address a client; repeatable.")  # fmt: skip
KEYLOG = click.option("--keylog", metavar="FILE",
                      help="Decrypt TLS by the secrets in FILE, which SSLKEYLOGFILE makes.")  # fmt: skip
AT_LEAST_1 = click.IntRange(min=1)
WHEN = click.Choice(["auto", "always", "never"])
