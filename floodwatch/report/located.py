"""Where sources belong: their autonomous system and country, by databases that the user brings.

The files are of the MaxMind DB format (specification 2.0), as several publishers give them away; none is
shipped. What they say is the publisher's word: addresses move, and a proxy stands elsewhere than who uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING

from msgspec.structs import replace

from floodwatch.errors import ConfigError, EnvironmentFault
from floodwatch.model.event import Event, Located, TopSource
from floodwatch.model.report import Report

if TYPE_CHECKING:
    from maxminddb import Reader

LONGEST = 80
"""Letters of an organisation's name that are kept."""


class Atlas:
    """Databases to look addresses up in.

    Args:
        asn: path of a database of autonomous systems, or None.
        country: path of one of countries (or cities), or None.

    Raises:
        ConfigError: a file cannot be read, or is no such database.
        EnvironmentFault: the library that reads them is not installed.
    """

    def __init__(self, asn: str | None, country: str | None) -> None:
        self._asn = None if asn is None else _opened(asn)
        self._country = None if country is None else _opened(country)

    def on(self, report: Report) -> Report:
        """The report with where each source belongs, of all that are named."""
        groups = {
            group: tuple(map(self._event, getattr(report, group))) for group in ("floods", "crowds", "surges")
        }
        return replace(report, **groups)

    def _event(self, event: Event) -> Event:
        sources = event.sources
        top, seen = (tuple(map(self._source, rows)) for rows in (sources.top, sources.seen))
        return replace(event, sources=replace(sources, top=top, seen=seen))

    def _source(self, source: TopSource) -> TopSource:
        return replace(source, located=self.of(source.cidr))

    def of(self, cidr: str) -> Located | None:
        """Where a network belongs, by its first address; None where no database knows it.

        Raises:
            ConfigError: a database contradicts itself.
        """
        address = str(ip_network(cidr).network_address)
        system, region = _found(self._asn, address), _found(self._country, address)
        number, name = system.get("autonomous_system_number"), system.get("autonomous_system_organization")
        found = Located(
            asn=number if isinstance(number, int) and number >= 0 else None,
            org=name[:LONGEST] if isinstance(name, str) and name else None,
            country=_code(region),
        )
        return None if found == Located() else found


def _opened(path: str) -> Reader:
    try:
        from maxminddb import InvalidDatabaseError, open_database
    except ImportError:
        raise EnvironmentFault(
            "reading such databases takes the package maxminddb: pip install 'floodwatch[geo]'"
        ) from None
    try:
        return open_database(path)
    except OSError as error:
        raise ConfigError(f"cannot read the database {path}: {error.strerror or error}") from error
    except (InvalidDatabaseError, ValueError) as error:
        raise ConfigError(f"{path} is no database of the MaxMind DB format (.mmdb): {error}") from error


def _found(reader: Reader | None, address: str) -> Mapping[str, object]:
    """What a database says of an address; nothing where it says nothing, or holds only IPv4."""
    if reader is None or (":" in address and reader.metadata().ip_version == 4):
        return {}
    try:
        record = reader.get(address)
    except Exception as error:  # hostile files raise whatever their bytes lead to
        raise ConfigError(f"a database of addresses is broken: {error}") from error
    return record if isinstance(record, Mapping) else {}


def _code(record: Mapping[str, object]) -> str | None:
    """The ISO 3166 code of the country where an address is, or else where its network is registered."""
    for name in ("country", "registered_country"):
        country = record.get(name)
        code = country.get("iso_code") if isinstance(country, Mapping) else None
        if isinstance(code, str) and len(code) == 2 and code.isalpha():
            return code.upper()
    return None
