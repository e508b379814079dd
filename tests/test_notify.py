"""Whoever is told of floods gets what was promised, and nobody else notices when it does not take it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from msgspec.structs import replace
from sample_events import CROWD, HTTP, SYN

from floodwatch.config.keys import TAKES
from floodwatch.config.settings import Receiver
from floodwatch.daemon.notify import channel, journald
from floodwatch.daemon.notify.notifier import RECEIVERS, Notifier
from floodwatch.daemon.picture import Tallies
from floodwatch.errors import ConfigError
from floodwatch.mitigate import Act
from floodwatch.model.event import Change, Event
from floodwatch.model.vector import Vector
from floodwatch.report.eve import signature_id

Need = Callable[[object, str], None]
ACT = Act(
    time="2026-01-01T00:00:00Z", what="add", target="203.0.113.9", event=SYN.id, why="proven\nreal", packets=3
)


@contextmanager
def telling(*receivers: Receiver) -> Iterator[tuple[Notifier, Tallies]]:
    """A notifier; at the end what waits is told."""
    tallies = Tallies()
    made = Notifier(receivers, tallies)
    try:
        yield made, tallies
    finally:
        asyncio.run(made.close())


def opened(event: Event = SYN) -> Change:
    return Change("opened", event)


def ended(event: Event = SYN) -> Change:
    return Change("ended", event)


def until(true: Callable[[], object], seconds: float = 15) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def results(tallies: Tallies) -> dict[str, float]:
    return {labels[1]: count for labels, count in tallies.counted().get("alerts", {}).items()}


def script(path: Path, text: str) -> str:
    """A program that the shell runs."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def gone(pid: int) -> bool:
    """It runs no more, and is no zombie of ours; whoever adopted it may still have to bury it."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except FileNotFoundError:
        return True
    return state in "ZX" and int(parent) != os.getpid()


def test_p51_a_program_reads_the_event_as_json(tmp_path: Path) -> None:
    program = script(tmp_path / "on flood; rm *", 'cat > "$1"; echo "$2 $FLOODWATCH_WHAT $HOME" > "$1.args"')
    receiver = Receiver(type="exec", argv=(program, str(tmp_path / "out"), "$(id) 'x"))
    with telling(receiver) as (notifier, tallies):
        notifier.tell(opened())
        until(lambda: results(tallies) == {"sent": 1})
        assert json.loads((tmp_path / "out").read_text())["id"] == SYN.id
        assert (tmp_path / "out.args").read_text() == "$(id) 'x opened \n"


def test_p51_a_program_may_ignore_its_input_sleep_and_fork(tmp_path: Path) -> None:
    """What it started is killed with it, nothing is left of it, and nobody else waits."""
    big = replace(HTTP, sources=replace(HTTP.sources, top=HTTP.sources.top * 20_000))
    pids = tmp_path / "pids"
    slow = script(tmp_path / "slow", f"sleep 600 & echo $! $$ > {pids}.new; mv {pids}.new {pids}; sleep 600")
    quick = script(tmp_path / "quick", f"exec 0<&-; echo told >> {tmp_path}/told")
    with telling(
        Receiver(type="exec", argv=(slow,), timeout_s=1.0), Receiver(type="exec", argv=(quick,))
    ) as (notifier, tallies):
        began = time.monotonic()
        notifier.tell(opened(big))
        assert time.monotonic() - began < 0.1
        until((tmp_path / "told").exists)
        assert time.monotonic() - began < 0.9
        until(lambda: results(tallies) == {"sent": 1, "failed": 1})
        assert notifier.complaints() == [f"exec: {slow} took longer than 1 s and was killed"]
    until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


@pytest.mark.parametrize(("text", "said"), [
    ("exit 3", "ended with status 3"), ("kill -9 $$", "ended with status -9"),
])  # fmt: skip
def test_programs_that_fail_are_told_of(tmp_path: Path, text: str, said: str) -> None:
    with telling(Receiver(type="exec", argv=(script(tmp_path / "bad", text),))) as (notifier, tallies):
        notifier.tell(opened())
        until(lambda: results(tallies) == {"failed": 1})
        assert notifier.complaints()[0].endswith(said)
        notifier.change([Receiver(type="exec", argv=("/missing",))])
        notifier.tell(opened())
        until(lambda: results(tallies) == {"failed": 3})  # the one before is told that it is over
        assert notifier.complaints() == ["exec: /missing cannot be started: No such file or directory"]


def test_scripts_of_fastnetmon_go_on_working(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = script(tmp_path / "notify", f'echo "$# $1 $2 $3 $4" >> {out}; cat >> {out}')
    with telling(Receiver(type="fastnetmon", argv=(program,))) as (notifier, tallies):
        for change in (opened(), Change("updated", SYN), ended(), opened(CROWD)):
            notifier.tell(change)
        until(lambda: results(tallies) == {"sent": 3})
    text = out.read_text()
    calls = re.findall(r"^4 (\S+) incoming 412300 (\S+)$", text, re.MULTILINE)
    assert calls == [(SYN.victim.ip, "ban"), (SYN.victim.ip, "attack_details"), (SYN.victim.ip, "unban")]
    assert "\nAttack type: syn_flood\n" in text
    assert text.endswith("unban\n"), "it reads nothing when a ban ends"


class Hook(BaseHTTPRequestHandler):
    """A server that keeps what is posted, and answers as it is told to."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.posts.append((self.path, dict(self.headers), body))
        answer = server.answers.pop(0) if server.answers else 200
        self.send_response(answer)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def hook(*answers: int, context: ssl.SSLContext | None = None) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.posts, server.answers = [], list(answers)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_p51_a_post_is_signed_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PAUSES_S", (0.01, 0.01, 0.01))
    key, place = tmp_path / "key", tmp_path / "url"
    key.write_text("0123456789abcdef\n")
    with hook(503, 429, 200, 302, 400) as server:
        place.write_text(f"http://127.0.0.1:{server.server_port}/in?token=s3cret\n")
        receiver = Receiver(type="webhook", url_file=str(place), secret_file=str(key))
        with telling(receiver) as (notifier, tallies):
            notifier.tell(opened())
            notifier.tell(opened(HTTP))
            notifier.tell(ended(HTTP))
            until(lambda: results(tallies) == {"sent": 1, "failed": 2})
            assert notifier.complaints() == ["webhook: the server answers 400"]
    path, headers, body = server.posts[2]
    assert [json.loads(post[2])["id"] for post in server.posts[:5]] == [SYN.id] * 3 + [HTTP.id] * 2
    assert (path, headers["X-Floodwatch-What"]) == ("/in?token=s3cret", "opened")
    assert abs(int(headers["X-Floodwatch-Timestamp"]) - time.time()) < 60
    signed = headers["X-Floodwatch-Timestamp"].encode() + b"." + body
    mac = hmac.new(b"0123456789abcdef", signed, hashlib.sha256).hexdigest()
    assert headers["X-Floodwatch-Signature"] == f"sha256={mac}"


def test_a_server_is_known_by_its_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: Need
) -> None:
    need(shutil.which("openssl"), "openssl is not installed")
    monkeypatch.setattr(channel, "PAUSES_S", ())
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=x",
            "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with hook(context=context) as server:
        receiver = Receiver(type="webhook", url=f"https://127.0.0.1:{server.server_port}/")
        with telling(receiver) as (notifier, tallies):
            notifier.tell(opened())
            until(lambda: results(tallies) == {"failed": 1})
            assert "certificate verify failed" in notifier.complaints()[0].lower()
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
            notifier.tell(ended())
            until(lambda: results(tallies) == {"failed": 1, "sent": 1})
        assert [post[0] for post in server.posts] == ["/"]


def test_p51_a_dead_server_delays_nobody_and_its_queue_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections and says a byte now and then: the whole answer has its time, not each byte."""
    monkeypatch.setattr(channel, "PAUSES_S", ())
    with closing(socket.create_server(("127.0.0.1", 0))) as dead:
        url = f"http://127.0.0.1:{dead.getsockname()[1]}/"
        eve = tmp_path / "eve.json"
        with telling(
            Receiver(type="webhook", url=url, timeout_s=0.5, per_minute=6000),
            Receiver(type="eve", path=str(eve), per_minute=6000),
        ) as (notifier, tallies):
            notifier.tell(opened())
            peer, _ = dead.accept()
            threading.Thread(target=_drip, args=(peer,), daemon=True).start()
            until(lambda: results(tallies).get("failed") == 1, 2)
            slowest, more = 0.0, channel.QUEUE_MOST + 100
            for number in range(more):
                began = time.monotonic()
                notifier.tell(opened(replace(SYN, id=f"event-{number}")))
                slowest = max(slowest, time.monotonic() - began)
                if number % 100 == 99:
                    until(lambda told=number + 2: eve.read_bytes().count(b"\n") == told)
            assert slowest < 0.1
            assert 98 <= tallies.counted()["alerts"]["webhook", "dropped"] <= 100
            began = time.monotonic()
        assert time.monotonic() - began < 5, "the daemon stops in time all the same"


def _drip(peer: socket.socket) -> None:
    try:
        peer.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            peer.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        peer.close()


def test_a_pace_is_kept_and_what_it_holds_back_is_counted(tmp_path: Path) -> None:
    """Whoever was told that a flood began is told of its end, whatever the pace."""
    out = tmp_path / "out"
    program = script(tmp_path / "count", f'echo "$1 $4" >> {out}')
    events = [
        replace(SYN, id=f"event-{n}", victim=replace(SYN.victim, ip=f"198.51.100.{n}")) for n in range(9)
    ]
    with telling(Receiver(type="fastnetmon", argv=(program,), per_minute=2)) as (notifier, tallies):
        for event in events:
            notifier.tell(opened(event))
        for event in events:
            notifier.tell(ended(event))
        until(lambda: results(tallies) == {"sent": 4, "suppressed": 7})
        assert tallies.counted()["events_suppressed"] == {(): 7}
    told = [f"198.51.100.{n} {action}" for action in ("ban", "unban") for n in range(2)]
    assert out.read_text().splitlines() == told


def test_severity_and_verdict_decide_who_is_told_and_every_ban_ends(tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = script(tmp_path / "count", f'echo "$1 $4" >> {out}')
    low, worse = replace(SYN, severity="low"), replace(SYN, severity="critical")
    with telling(Receiver(type="fastnetmon", argv=(program,), min_severity="high")) as (notifier, tallies):
        for change in (opened(low), Change("updated", worse), Change("updated", low), ended(low), ended(low),
                       opened(CROWD), ended(CROWD),
                       opened(replace(HTTP, severity="high")), Change("updated", CROWD)):  # fmt: skip
            notifier.tell(change)
        until(lambda: results(tallies) == {"sent": 5})
    one, other = SYN.victim.ip, HTTP.victim.ip
    told = [f"{one} ban", f"{one} attack_details", f"{one} unban", f"{other} ban", f"{other} unban"]
    assert out.read_text().splitlines() == told


def test_floods_that_last_are_over_for_receivers_when_the_daemon_stops(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script(tmp_path / "ban", f'echo "$1 $4" >> {out}')
    script(tmp_path / "state", f'grep -o \'"state":"[a-z]*"\' >> {out}')
    with telling(Receiver(type="fastnetmon", argv=(str(tmp_path / "ban"),))) as (notifier, tallies):
        notifier.tell(opened())
        until(lambda: results(tallies) == {"sent": 1})
        notifier.change([Receiver(type="exec", argv=(str(tmp_path / "state"),))])
        until(lambda: results(tallies) == {"sent": 2})
        notifier.tell(opened(replace(SYN, state="open")))
    told = [f"{SYN.victim.ip} ban", f"{SYN.victim.ip} unban", '"state":"open"', '"state":"cut"']
    assert out.read_text().splitlines() == told


def test_a_change_of_receivers_keeps_what_they_know(tmp_path: Path) -> None:
    out = tmp_path / "out"
    same = Receiver(type="fastnetmon", argv=(script(tmp_path / "count", f'echo "$1 $4" >> {out}'),))
    with telling(same) as (notifier, tallies):
        notifier.tell(opened())
        with pytest.raises(ConfigError, match="argv"):
            notifier.change([Receiver(type="exec")])
        notifier.change([Receiver(type="eve", path=str(tmp_path / "eve.json")), same])
        notifier.tell(ended())
        until(lambda: tallies.counted().get("alerts") == {("fastnetmon", "sent"): 2})
    assert out.read_text().splitlines() == [f"{SYN.victim.ip} ban", f"{SYN.victim.ip} unban"]


RFC5424 = re.compile(
    rb"<(\d{1,3})>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [!-~]{1,255} floodwatch \d+ (\w+) - ([ -~]+)"
)


@pytest.mark.parametrize("kind", ["udp", "udp6", "unix"])
def test_syslog_gets_lines_as_rfc_5424_has_them(kind: str, tmp_path: Path) -> None:
    family = {"udp": socket.AF_INET, "udp6": socket.AF_INET6, "unix": socket.AF_UNIX}[kind]
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.settimeout(10)
        where: Any = {"udp": ("127.0.0.1", 0), "udp6": ("::1", 0), "unix": str(tmp_path / "log")}[kind]
        server.bind(where)
        name = {"udp": "127.0.0.1", "udp6": "[::1]"}.get(kind)
        address = f"unix:{where}" if kind == "unix" else f"udp://{name}:{server.getsockname()[1]}"
        evil = replace(HTTP, victim=replace(HTTP.victim, path="/\x1b[2J\n<0>1 forged " + "x" * 3000))
        with telling(Receiver(type="syslog", address=address)) as (notifier, _):
            for change in (opened(), ended(), opened(evil)):
                notifier.tell(change)
            notifier.acted(ACT)
            got = [server.recv(4096) for _ in range(4)]
    found = [RFC5424.fullmatch(message) for message in got]
    assert [(int(one[1]), one[2]) for one in found if one] == [
        (3 * 8 + 3, b"opened"), (3 * 8 + 6, b"ended"), (3 * 8 + 4, b"opened"), (3 * 8 + 6, b"add"),
    ]  # fmt: skip
    assert SYN.id.encode() in got[0]
    assert max(map(len, got)) <= 2048
    assert b"203.0.113.9" in got[3]


def test_the_journal_gets_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journald, "SOCKET", str(tmp_path / "socket"))
    monkeypatch.setattr(channel, "PAUSES_S", (0.05,) * 40)
    with telling(Receiver(type="journald")) as (notifier, tallies):
        notifier.tell(opened())
        until(notifier.complaints)  # the journal is being started anew
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.settimeout(10)
            server.bind(str(tmp_path / "socket"))
            notifier.acted(ACT)
            entries = [fields(server.recv(65536)) for _ in range(2)]
        until(lambda: results(tallies) == {"sent": 2})
        assert notifier.complaints() == []
    event, act = entries
    assert (event["PRIORITY"], event["FLOODWATCH_VICTIM"], event["FLOODWATCH_PORT"]) == (
        "3",
        "198.51.100.7",
        "443",
    )
    assert event["FLOODWATCH_EVENT"] == act["FLOODWATCH_EVENT"] == SYN.id
    assert (act["FLOODWATCH_ACT"], act["FLOODWATCH_WHY"]) == ("add", "proven\nreal")
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name) for name in {*event, *act})


def fields(entry: bytes) -> dict[str, str]:
    """An entry of the journal's native protocol, read."""
    found = {}
    while entry:
        head, _, entry = entry.partition(b"\n")
        name, given, value = head.partition(b"=")
        if not given:
            size = int.from_bytes(entry[:8], "little")
            value, entry = entry[8 : 8 + size], entry[9 + size :]
        found[name.decode()] = value.decode()
    return found


JOURNALD = Path("/lib/systemd/systemd-journald")
JOURNAL = """
mount -t tmpfs none /run; mkdir -p /run/systemd/journal /run/log/journal; mount -t tmpfs none /var/log
"$1" & pid=$!
"$2" -P -c "$3" "$4"
journalctl --sync; journalctl -D /run/log/journal -o json --no-pager SYSLOG_IDENTIFIER=floodwatch
kill $pid
"""
ENTRIES = """
import asyncio, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_notify as given
given.until(Path(given.journald.SOCKET).exists)
with given.telling(given.Receiver(type="journald")) as (notifier, tallies):
    notifier.tell(given.opened())
    notifier.acted(given.ACT)
    given.until(lambda: given.results(tallies) == {"sent": 2})
"""


@pytest.mark.root
@pytest.mark.slow
def test_a_real_journal_takes_it(need: Need) -> None:
    need(os.geteuid() == 0 and shutil.which("unshare"), "a journal of its own takes root")
    need(JOURNALD.exists() and shutil.which("journalctl"), "systemd is not installed")
    shell = ("unshare", "-m", "sh", "-c", JOURNAL, "sh")
    here = str(Path(__file__).parent)
    run = subprocess.run(
        [*shell, JOURNALD, sys.executable, ENTRIES, here], capture_output=True, text=True, check=False
    )
    entries = [json.loads(line) for line in run.stdout.splitlines()]
    assert [entry.get("FLOODWATCH_WHAT") for entry in entries] == ["opened", None, "ended"], run.stderr
    assert (entries[0]["PRIORITY"], entries[0]["FLOODWATCH_VICTIM"]) == ("3", SYN.victim.ip)
    assert (entries[1]["FLOODWATCH_ACT"], entries[1]["FLOODWATCH_WHY"]) == ("add", "proven\nreal")


EVE = {
    "timestamp": str, "event_type": str, "in_iface": str, "src_ip": str, "dest_ip": str, "dest_port": int,
    "proto": str, "alert": dict,
}  # fmt: skip
ALERT = {
    "action": str, "gid": int, "signature_id": int, "rev": int, "signature": str, "category": str,
    "severity": int, "metadata": dict,
}  # fmt: skip


def test_a_file_of_eve_lines_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "eve.json"
    with telling(Receiver(type="eve", path=str(path))) as (notifier, tallies):
        notifier.tell(opened())
        notifier.tell(opened(CROWD))
        until(lambda: results(tallies) == {"sent": 2})
        path.rename(tmp_path / "eve.json.1")
        notifier.reopen()
        notifier.tell(ended())
        until(lambda: results(tallies) == {"sent": 3})
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    lines = [json.loads(line) for name in ("eve.json.1", "eve.json") for line in (tmp_path / name).open()]
    told = [line["alert"]["metadata"]["floodwatch"][0]["what"] for line in lines]
    assert told == ["opened", "opened", "ended", "ended"]
    for line in lines:
        assert all(isinstance(value, EVE[name]) for name, value in line.items())
        assert all(isinstance(value, ALERT[name]) for name, value in line["alert"].items())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+0000", line["timestamp"])
        assert "src_ip" not in line, "a forged address is nobody's, and of many none is the one"
    assert lines[2]["alert"]["severity"] == 2


def test_signatures_of_eve_have_numbers_of_their_own() -> None:
    assert len({signature_id(vector) for vector in Vector}) == len(Vector)


def test_a_full_disk_costs_lines_and_halves_none(tmp_path: Path, need: Need, monkeypatch: Any) -> None:
    need(os.geteuid() == 0 and shutil.which("unshare"), "a small file system takes root")
    run = subprocess.run(
        ["unshare", "-m", sys.executable, "-P", "-c", FULL, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


FULL = """
import asyncio, json, os, subprocess, sys, time
place, tests = sys.argv[1:]
sys.path.insert(0, tests)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=True)
from msgspec.structs import replace
from sample_events import SYN
from floodwatch.config.settings import Receiver
from floodwatch.daemon.notify import channel
from floodwatch.daemon.notify.notifier import Notifier
from floodwatch.daemon.picture import Tallies
from floodwatch.model.event import Change
channel.PAUSES_S = ()
tallies = Tallies()
notifier = Notifier([Receiver(type="eve", path=f"{place}/eve.json", per_minute=6000)], tallies)
for number in range(100):
    notifier.tell(Change("opened", replace(SYN, id=f"event-{number}")))
while sum(tallies.counted().get("alerts", {}).values()) < 100:
    time.sleep(0.01)
counted = tallies.counted()["alerts"]
assert counted["eve", "failed"] and counted["eve", "sent"], counted
lines = open(f"{place}/eve.json").read().splitlines(keepends=True)
assert len(lines) == counted["eve", "sent"] and all(json.loads(line) for line in lines)
assert notifier.complaints(), "it is told"
asyncio.run(notifier.close())
"""


def test_every_receiver_can_be_configured() -> None:
    assert set(RECEIVERS) == set(TAKES) == set(get_args(get_type_hints(Receiver)["type"]))


@pytest.mark.parametrize(("receiver", "said"), [
    (Receiver(type="exec"), "argv"),
    (Receiver(type="fastnetmon"), "argv"),
    (Receiver(type="eve"), "path"),
    (Receiver(type="webhook"), "URL"),
    (Receiver(type="webhook", url="file:///etc/passwd"), "URL"),
    (Receiver(type="webhook", url="https://user:word@host/"), "URL"),
    (Receiver(type="webhook", url="https://host:port/"), "URL"),
    (Receiver(type="webhook", url="https://host/a b"), "without spaces"),
    (Receiver(type="webhook", url="https://host/", secret_file="/missing"), "/missing cannot be read"),
    (Receiver(type="webhook", url="https://host/", secret_file=os.devnull), "less than 16 bytes"),
    (Receiver(type="syslog"), "udp://192.0.2.1:514"),
    (Receiver(type="syslog", address="tcp://192.0.2.1:514"), "udp://192.0.2.1:514"),
])  # fmt: skip
def test_what_a_receiver_lacks_is_said(receiver: Receiver, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        Notifier([receiver], Tallies())
