"""Where sources belong: databases that another library wrote, and what becomes of broken ones."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from floodwatch.cli import main
from floodwatch.errors import ConfigError
from floodwatch.model.event import Located
from floodwatch.report.located import Atlas

LAUNCH = str(Path(__file__).parents[1] / "pcaps" / "launch-day.pcap.gz")
HOSTILE = "\x1b[2J\u202eEvil <b>Ltd</b>"


def database(path: Path, rows: dict[str, dict[str, Any]], version: int = 6) -> str:
    writer = MMDBWriter(version, "Test", description="made by a test", ipv4_compatible=version == 6)
    for network, record in rows.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return str(path)


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = {
        "77.12.125.0/24": {"autonomous_system_number": 64500, "autonomous_system_organization": HOSTILE},
        "192.0.2.0/24": {"autonomous_system_number": 64501, "autonomous_system_organization": "Example"},
        "2001:db8::/32": {"autonomous_system_number": 4200000000},
        "198.51.100.0/24": {"autonomous_system_number": "many", "autonomous_system_organization": 7},
    }
    return database(tmp_path_factory.mktemp("located") / "asn.mmdb", rows)


@pytest.fixture(scope="module")
def countries(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows = {
        "77.12.0.0/16": {"country": {"iso_code": "DE", "names": {"en": "Germany"}}},
        "192.0.2.0/24": {"registered_country": {"iso_code": "nl"}},
        "203.0.113.0/24": {"country": {"iso_code": "\x1b["}},
    }
    return database(tmp_path_factory.mktemp("located") / "country.mmdb", rows, version=4)


def test_what_the_databases_know_is_told_and_nothing_else(systems: str, countries: str) -> None:
    atlas = Atlas(systems, countries)
    assert atlas.of("192.0.2.7/32") == Located(asn=64501, org="Example", country="NL")
    assert atlas.of("2001:db8:1:2::/64") == Located(asn=4_200_000_000)
    assert [atlas.of(net) for net in ("198.51.100.1/32", "203.0.113.9/32", "10.0.0.0/8", "::/64")] == [
        None
    ] * 4
    assert Atlas(None, countries).of("192.0.2.7/32") == Located(country="NL")
    assert Atlas(systems, None).of("192.0.2.7/32") == Located(asn=64501, org="Example")


def test_every_report_tells_it_and_hostile_names_are_inert(
    systems: str, countries: str, tmp_path: Path
) -> None:
    page = tmp_path / "r.html"
    run = [sys.executable, "-P", "-m", "floodwatch", "scan", "-q", "--asn-db", systems, "--geo-db", countries]
    text = subprocess.run([*run, "--report", page, LAUNCH], check=False, capture_output=True, text=True)
    assert text.returncode == 1, text.stderr
    assert "77.12.125.145 100 % (AS64500" in " ".join(text.stdout.split())
    report = json.loads(CliRunner().invoke(main, [*run[4:], "--format", "json", LAUNCH]).stdout)
    prober = next(flood for flood in report["floods"] if flood["vector"] == "api_probing")
    assert prober["sources"]["top"][0]["located"] == {"asn": 64500, "org": HOSTILE, "country": "DE"}
    others = [
        top for flood in report["floods"] for top in flood["sources"]["top"] if top["cidr"][:6] != "77.12."
    ]
    assert others
    assert {json.dumps(top["located"]) for top in others} == {"null"}
    html = page.read_text()
    assert "AS64500" in html
    for shown in (text.stdout, html):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<b>" not in html


def test_a_file_that_is_none_is_told_before_anything_is_read(tmp_path: Path) -> None:
    for path, words in ((tmp_path / "no.mmdb", "cannot read the database"), (Path(LAUNCH), "is no database")):
        called = CliRunner().invoke(main, ["scan", "--asn-db", str(path), "no-such-capture.pcap"])
        assert called.exit_code == 2
        assert words in called.stderr
        assert str(path) in called.stderr


def test_a_broken_database_is_an_error_and_no_crash(systems: str, tmp_path: Path) -> None:
    good, rnd, broken = Path(systems).read_bytes(), random.Random(7), tmp_path / "broken.mmdb"
    for _ in range(400):
        data = bytearray(good)
        for _ in range(rnd.randrange(1, 6)):
            data[rnd.randrange(len(data))] = rnd.randrange(256)
        broken.write_bytes(data[: rnd.choice((len(data), rnd.randrange(len(data))))])
        with suppress(ConfigError):
            atlas = Atlas(str(broken), None)
            for network in ("77.12.125.9/32", "2001:db8::/64", "1.1.1.1/32"):
                atlas.of(network)
