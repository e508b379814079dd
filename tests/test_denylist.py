"""Deny lists for proxies: who stands in them, and that nginx and HAProxy load them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from floodwatch import synth
from floodwatch.cli import main
from floodwatch.config.options import ScanOptions
from floodwatch.errors import InputError
from floodwatch.mitigate.denylist import STYLES, deny_list
from floodwatch.mitigate.ruletext import render
from floodwatch.model.event import CountBounds, Event, TopSource
from floodwatch.pipeline.scan import scan
from floodwatch.report.explained import event_text

Need = Callable[[object, str], None]


@pytest.fixture(scope="module")
def flood(tmp_path_factory: pytest.TempPathFactory) -> Event:
    """A flood behind two proxies, with an IPv6 client among its sources."""
    path = tmp_path_factory.mktemp("deny") / "x.pcap"
    synth.make("proxied_flood", path)
    (found,) = scan([str(path)], ScanOptions(seed=bytes(16), top=0)).floods
    bounds = CountBounds(lo=1, hi=1)
    six = TopSource(cidr="2001:db8:1:2::/64", share=0.1, count=bounds, proof="forwarded")
    return replace(found, sources=replace(found.sources, top=(*found.sources.top, six)))


def listed(event: Event) -> list[str]:
    addresses: list[str] = json.loads(deny_list(event, "cdn"))
    return addresses


def test_clients_are_listed_and_their_proxies_are_not(flood: Event) -> None:
    assert listed(flood) == [top.cidr for top in flood.sources.top]
    proxy = TopSource(cidr="10.0.0.11", share=0.5, count=CountBounds(lo=1, hi=1), proof="handshake")
    loopback = replace(proxy, cidr="127.0.0.1")
    more = replace(flood, sources=replace(flood.sources, top=(proxy, loopback, *flood.sources.top)))
    assert listed(more) == listed(flood)
    for style in STYLES:
        assert all(address in deny_list(more, style) for address in listed(flood))


def test_nothing_is_denied_without_proof(flood: Event) -> None:
    for event in (
        replace(flood, verdict="crowd"),
        replace(flood, sources=replace(flood.sources, origin="unknown")),
    ):
        assert listed(event) == []
        assert "nothing to deny" in deny_list(event, "nginx")
        assert all(line.startswith("#") for line in deny_list(event, "haproxy").splitlines())


@pytest.mark.parametrize("cidr", ["fe80::1%eth0", "192.0.2.1; evil", "", "192.0.2.1\nallow all"])
def test_what_is_no_address_is_refused_by_name(flood: Event, cidr: str) -> None:
    hostile = TopSource(cidr=cidr, share=0.1, count=CountBounds(lo=1, hi=1))
    event = replace(flood, sources=replace(flood.sources, top=(hostile,)))
    for style in STYLES:
        with pytest.raises(InputError, match="an address of its sources"):
            render(event, style)


def test_rules_of_this_host_leave_them_out_and_say_so(flood: Event) -> None:
    text = render(flood, "nft")
    assert all(line.startswith("#") for line in text.splitlines())
    assert "are known only by what a proxy writes" in text
    assert "no source of it is proven here" in text
    assert "which names its clients in a header" in event_text(flood)


def test_nginx_loads_the_list(flood: Event, tmp_path: Path, need: Need) -> None:
    need(shutil.which("nginx"), "nginx reads its own list")
    (tmp_path / "deny.conf").write_text(deny_list(flood, "nginx"))
    config = f"""
        error_log {tmp_path}/error.log; pid {tmp_path}/pid; events {{}}
        http {{ access_log off; include {tmp_path}/deny.conf; server {{ listen 127.0.0.1:8099; }} }}"""
    (tmp_path / "nginx.conf").write_text(config)
    done = subprocess.run(
        ["nginx", "-t", "-e", f"{tmp_path}/early.log", "-c", f"{tmp_path}/nginx.conf"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_haproxy_loads_the_list(flood: Event, tmp_path: Path, need: Need) -> None:
    need(shutil.which("haproxy"), "haproxy reads its own list")
    (tmp_path / "deny.lst").write_text(deny_list(flood, "haproxy"))
    config = f"""
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend f
  bind 127.0.0.1:8099
  http-request deny if {{ src -f {tmp_path}/deny.lst }}
"""
    (tmp_path / "haproxy.cfg").write_text(config)
    done = subprocess.run(
        ["haproxy", "-c", "-f", f"{tmp_path}/haproxy.cfg"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_commands_say_all_of_it(tmp_path: Path) -> None:
    capture, report, proxies = tmp_path / "x.pcap", tmp_path / "report.json", tmp_path / "proxies"
    synth.make("proxied_flood", capture)
    proxies.write_text("10.0.0.0/28 # the balancers\n")
    run = CliRunner()
    asked = ["scan", "--proxy", str(proxies), "--format", "json", "-o", str(report), str(capture)]
    assert run.invoke(main, asked).exit_code == 1
    done = run.invoke(main, ["explain", str(report), "1", "--as", "cdn"])
    assert len(json.loads(done.stdout)) == 5
    text = run.invoke(main, ["scan", "--proxy", "10.0.0.0/28", str(capture)]).stdout
    assert "named by a proxy" in text
    assert "10.0.0.12 5" in text
    assert "Deny the listed clients at the proxy" in " ".join(text.split())
    proxies.write_text("10.0.0.0/28\nnot one\n")
    refused = run.invoke(main, asked)
    assert refused.exit_code == 2
    assert f"{proxies}, line 2: 'not one' is no network" in refused.output
