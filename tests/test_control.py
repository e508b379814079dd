"""The control socket against clients of every kind: a real server in a process of its own, raw sockets."""

from __future__ import annotations

import json
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from floodwatch.cli import main
from floodwatch.daemon import door
from floodwatch.daemon.client import Client
from floodwatch.daemon.control import ANSWER_S, CLIENTS_MOST, ORDERS, REQUEST_S
from floodwatch.daemon.following import FOLLOWERS_MOST, WAITING_MOST
from floodwatch.daemon.orders import REQUEST_MOST, Events, Metrics, Mode, Reload, Report, Status
from floodwatch.daemon.rules import Block
from floodwatch.errors import BlockRefused, DaemonUnreachable, EnvironmentFault

Need = Callable[[object, str], None]
HERE = Path(__file__).parent
GROUP, GID, NOBODY = "daemon", 1, 65_534


class Daemon:
    """A small daemon, see steady.py."""

    def __init__(self, path: Path, *users: str) -> None:
        self.path = path
        command = [sys.executable, "-P", str(HERE / "steady.py"), str(path), GROUP, *users]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def connect(self) -> socket.socket:
        """A client that says nothing yet."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(str(self.path))
        return client

    def tell(self, changes: int) -> None:
        """Let so many changes happen."""
        assert self.process.stdin is not None
        print(changes, file=self.process.stdin, flush=True)

    def end(self) -> str:
        """Let it end; returns what it complained of."""
        _, complaints = self.process.communicate(timeout=10)
        assert self.process.returncode == 0
        return str(complaints)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """One that is healthy at the end as well."""
    made = Daemon(tmp_path / "ctl.sock")
    try:
        yield made
        if made.process.poll() is None:
            assert Client(made.path, 5).ask(Status()).pid == 1
            assert made.end() == ""
            assert not made.path.exists()
    finally:
        made.process.kill()


def line(cmd: str, **args: Any) -> bytes:
    """A request."""
    return json.dumps({"v": 1, "id": 7, "cmd": cmd, "args": args}).encode() + b"\n"


def answers(client: socket.socket) -> list[dict[str, Any]]:
    """All that comes until the connection is closed."""
    held = b""
    try:
        while piece := client.recv(1 << 16):
            held += piece
    except ConnectionResetError:
        pass
    return [json.loads(row) for row in held.splitlines()]


def code(answer: dict[str, Any]) -> str:
    """Why there is no result."""
    assert (answer["v"], answer["ok"]) == (1, False)
    assert answer["error"]["says"]
    return str(answer["error"]["code"])


def test_a_list_of_hosts_that_is_not_whole_says_so(daemon: Daemon) -> None:
    told = CliRunner().invoke(main, ["ctl", "hosts", "--socket", str(daemon.path)])
    assert (told.exit_code, told.stdout.split()) == (0, ["198.51.100.7", "1,300", "packets/s"])
    assert told.stderr == "floodwatch: these are 1 of 12 hosts that get enough to be looked at\n"


def test_orders_are_answered(daemon: Daemon) -> None:
    client = Client(daemon.path, 5)
    picture = client.ask(Status())
    assert (picture.wanted, picture.missing, picture.links[0].lost) == (3, 1, {"ring": 3})
    assert [told.event.vector for told in client.events(Events(limit=2))] == ["syn_flood"] * 2
    (charge,) = client.ask(Report()).victims
    assert (charge.victim, charge.floods, charge.sources, charge.guards, charge.refused, charge.packets) == (
        "198.51.100.7", {"syn_flood": 1}, 1, 1, 1, 7,
    )  # fmt: skip
    assert (charge.known, charge.clients) == (1, ("203.0.113.9/32",))
    assert "\nfloodwatch_blocks_missing 1.0\n" in client.ask(Metrics())
    assert client.ask(Mode(mode="enforce", confirm=60)).said.startswith("enforce for 60.0, ordered by root")
    with pytest.raises(BlockRefused, match="did you mean threshold"):
        client.ask(Reload())
    with pytest.raises(EnvironmentFault, match="nothing is carried out here"):
        client.ask(Block(network="203.0.113.9"))
    with daemon.connect() as raw:
        raw.sendall(line("status") + line("nothing") + line("mode", mode="x") + line("block", net="x"))
        raw.sendall(b'{"v":2,"id":9,"cmd":"status"}\n{"cmd":"allow","args":[]}\n')
        raw.shutdown(socket.SHUT_WR)
        told = answers(raw)
    assert [told[0]["ok"], *map(code, told[1:])] == [
        True, "unknown", "bad_request", "bad_request", "version", "bad_request",
    ]  # fmt: skip
    assert [one["id"] for one in told] == [7, 7, 7, 7, 9, 0]


def test_who_is_not_there_is_told_how_to_start_it(tmp_path: Path) -> None:
    client = Client(tmp_path / "none.sock", 0.3)
    with pytest.raises(DaemonUnreachable, match="systemctl start floodwatch") as error:
        client.ask(Status())
    assert error.value.exit_code == 5
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "none.sock"))
        deaf.listen()
        begin = time.monotonic()
        with pytest.raises(DaemonUnreachable, match=r"no answer within 0\.3 s"):
            client.ask(Status())
        assert time.monotonic() - begin < 2


def test_a_daemon_takes_the_place_of_one_that_was_killed_and_of_no_other(tmp_path: Path) -> None:
    path = tmp_path / "ctl.sock"
    killed = Daemon(path)
    killed.process.kill()
    killed.process.wait()
    assert path.is_socket()
    living = Daemon(path)
    command = [sys.executable, "-P", str(HERE / "steady.py"), str(path), GROUP]
    second = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert "another daemon answers" in second.stderr
    assert Client(path, 5).ask(Status()).pid == 1
    living.end()
    path.write_text("precious")
    third = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert "is no socket" in third.stderr
    assert path.read_text() == "precious"


def test_sockets_of_daemons_that_were_killed_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "RUN", tmp_path)
    held = {name: socket.socket(socket.AF_UNIX) for name in ("ctl-1.sock", "ctl-2.sock", "ctl-3.sock")}
    for name, bound in held.items():
        bound.bind(str(tmp_path / name))
    held["ctl-2.sock"].listen()
    for name in ("ctl-1.sock", "ctl-2.sock"):
        os.utime(tmp_path / name, (1e9, 1e9))
    (tmp_path / "ctl-4.sock").touch()
    os.utime(tmp_path / "ctl-4.sock", (1e9, 1e9))
    made = door.Door(tmp_path / "ctl-5.sock", None)
    with made.open():
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"ctl-2.sock", "ctl-3.sock", "ctl-4.sock", "ctl-5.sock"}  # who is young may listen yet
    made.close()
    for bound in held.values():
        bound.close()


def as_user(uid: int, gid: int, path: Path, request: bytes) -> bytes:
    """What another user is answered, in a process that became that user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(10)
                client.connect(str(path))
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                while piece := client.recv(1 << 16):
                    os.write(writer, piece)
        except OSError as error:
            os.write(writer, f"{type(error).__name__}\n".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:
        held = told.read()
    os.waitpid(child, 0)
    return held


@pytest.mark.root
def test_p49_who_may_not_ask_is_refused_whatever_the_file_says(need: Need) -> None:
    need(os.geteuid() == 0, "to be other users takes root")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run" / "ctl.sock"
        os.chmod(folder, 0o755)
        made = Daemon(path, "sys")  # uid 3
        held = path.stat(), path.parent.stat()
        assert [(one.st_mode & 0o777, one.st_gid) for one in held] == [(0o660, GID), (0o710, GID)]
        assert held[0].st_uid == 0
        status, order = line("status"), line("mode", mode="observe")
        assert as_user(NOBODY, NOBODY, path, status) == b"PermissionError\n"
        path.parent.chmod(0o755)
        path.chmod(0o666)  # somebody was too kind: the kernel still tells who asks
        assert code(json.loads(as_user(NOBODY, NOBODY, path, status))) == "forbidden"
        assert json.loads(as_user(NOBODY, GID, path, status))["ok"]
        assert code(json.loads(as_user(NOBODY, GID, path, order))) == "forbidden"
        assert code(json.loads(as_user(NOBODY, GID, path, line("block", network="1.2.3.4")))) == "forbidden"
        assert json.loads(as_user(3, 3, path, order))["result"]["said"].endswith("ordered by sys (uid 3)")
        assert made.end() == ""


def test_p49_a_request_that_is_too_long_or_none_is_refused(daemon: Daemon) -> None:
    fits = line("status").rstrip() + b" " * (REQUEST_MOST - len(line("status")) - 1) + b"\n"
    with daemon.connect() as client:
        client.sendall(fits)
        client.shutdown(socket.SHUT_WR)
        assert answers(client)[0]["ok"]
    for request, why in ((b" " + fits[:-1] + b"  \n", "too_long"), (b"x" * 4 * REQUEST_MOST, "too_long"),
                         (b"[" * 60_000 + b"\n", "bad_request"), (b"\n", "bad_request"),
                         (b'{"cmd":"status","args":' + b'{"a":' * 10_000 + b"\n", "bad_request"),
                         (b'{"cmd":"status","id":1e400}\n', "bad_request"),
                         (b'{"cmd":"status"\xff}\n', "bad_request")):  # fmt: skip
        with daemon.connect() as client:
            with suppress(BrokenPipeError, ConnectionResetError):  # it reads no further
                client.sendall(request)
            (answer,) = answers(client)
            assert code(answer) == why


@pytest.mark.slow
def test_p49_who_is_slow_is_let_go_and_the_17th_is_told(daemon: Daemon) -> None:
    """Who says half of a request, who sends a byte now and then, and who asks and does not read."""
    with ExitStack() as held:
        begin = time.monotonic()
        clients = [held.enter_context(daemon.connect()) for _ in range(CLIENTS_MOST)]
        trickle, deaf, *silent = clients
        for client in silent:
            client.sendall(b"{")
        deaf.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                deaf.send(line("status") * 50)
        with daemon.connect() as another:
            (answer,) = answers(another)
        assert (code(answer), "16 clients" in answer["error"]["says"]) == ("busy", True)
        with pytest.raises(EnvironmentFault, match="16 clients are served"):
            Client(daemon.path, 5).ask(Status())
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - begin < 4 * REQUEST_S:
                trickle.sendall(b" ")
                select.select([trickle], [], [], 0.4)
        assert REQUEST_S - 1 < time.monotonic() - begin < REQUEST_S + 3
        assert [answers(client) for client in silent] == [[]] * len(silent)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 (until it is let go)
            while time.monotonic() - begin < REQUEST_S + ANSWER_S + 5:
                with suppress(BlockingIOError):
                    deaf.send(b" ")
                time.sleep(0.1)
    assert Client(daemon.path, 5).ask(Status()).pid == 1


def test_who_follows_is_told_at_once_and_bounded(daemon: Daemon) -> None:
    with closing(Client(daemon.path, 5).events(Events(limit=1, follow=True))) as told:
        assert next(told).event.vector == "syn_flood"
        daemon.tell(2)
        assert [next(told).what, next(told).what] == ["opened", "opened"]
    with ExitStack() as held:
        followers = [held.enter_context(daemon.connect()) for _ in range(FOLLOWERS_MOST)]
        for follower in followers:
            follower.sendall(line("events", limit=1, follow=True))
            assert follower.recv(1 << 16)
        with pytest.raises(EnvironmentFault, match="8 clients follow"):
            next(Client(daemon.path, 5).events(Events(limit=0, follow=True)))
        assert Client(daemon.path, 5).ask(Status()).pid == 1
        daemon.tell(WAITING_MOST + 1)
        assert code(answers(followers[0])[-1]) == "slow"
    assert next(Client(daemon.path, 5).events(Events(limit=1, follow=True))).what == "opened"


def test_a_client_that_leaves_while_it_follows_leaves_its_place(daemon: Daemon) -> None:
    for _ in range(FOLLOWERS_MOST + 2):
        with daemon.connect() as follower:
            follower.sendall(line("events", limit=1, follow=True))
            assert follower.recv(1 << 16)
        Client(daemon.path, 5).ask(Status())


SEEDS = [line(name) for name in ORDERS] + [
    line("events", since=1, limit=2), line("mode", mode="observe", confirm=5), line("report", since=0.5),
    line("block", network="192.0.2.1", seconds=1, dry_run=True), b"\x00", b"\xff\xfe", b'{"',
    b"\n\n", b"[]\n",
]  # fmt: skip


@pytest.mark.slow
def test_garbage_never_ends_it(daemon: Daemon) -> None:
    """Requests mutated at random for some seconds, over several connections at once."""
    chance = random.Random(7)
    end, sent = time.monotonic() + float(os.environ.get("FLOODWATCH_FUZZ_S", "20")), 0
    while time.monotonic() < end:
        with ExitStack() as held:
            for client in [held.enter_context(daemon.connect()) for _ in range(4)]:
                client.setblocking(False)
                with suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    client.send(mutated(chance))
                    sent += 1
                    if chance.random() < 0.5:
                        select.select([client], [], [], 0.02)
                        client.recv(1 << 16)
        assert daemon.process.poll() is None
    assert sent > 200


def mutated(chance: random.Random) -> bytes:
    """Some requests, cut, doubled and with other bytes in them."""
    whole = bytearray(b"".join(chance.choices(SEEDS, k=chance.randint(1, 6))))
    for _ in range(chance.randint(0, 8)):
        at = chance.randrange(len(whole))
        match chance.randrange(4):
            case 0:
                whole[at] = chance.randrange(256)
            case 1:
                del whole[at : at + chance.randint(1, 9)]
            case 2:
                whole[at:at] = whole[at : at + 40] * chance.choice([1, 2, 50])
            case 3:
                whole[at:at] = chance.choice([b"{", b"[", b'"', b"\\u", b"1e999", b"-1", b"null", b"\n"])
        whole = whole or bytearray(b"\n")
    return bytes(whole)
