"""What a watch may do to its own host, and others to a watch: promises 18, 47 and 60 to 63.

A child calls ``drop`` and then tries what code in a parser would try; a watch is looked at in proc(5).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import floodwatch as fw
from floodwatch.cli.heartbeat import Heartbeat
from floodwatch.cli.picture import Picture
from floodwatch.cli.progress import stopping
from floodwatch.config.files import Followed, fresh
from floodwatch.config.options import Counters
from floodwatch.errors import EnforceError, EnvironmentFault
from floodwatch.mitigate import Lock
from floodwatch.mitigate.lock import Holder, started
from floodwatch.mitigate.never import NeverFile
from floodwatch.mitigate.nft.text import table_text
from floodwatch.pipeline import landlock, seccomp

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab
from test_mitigate import ctl, run

TRY = """
import ctypes, json, os, socket, subprocess, sys, threading
from floodwatch.config.files import Followed
from floodwatch.pipeline import landlock
from floodwatch.pipeline.privileges import drop
if "old kernel" in sys.argv:
    landlock.version = lambda: 0
folder, mine = sys.argv[1], os.open(sys.argv[1] + "/opened", os.O_WRONLY | os.O_CREAT, 0o600)
followed = Followed(folder + "/root-only")
go, told = threading.Event(), {}
def attempt(name, what):
    try:
        what()
        told[name] = "done"
    except OSError as error:
        told[name] = error.errno
def old():
    go.wait()
    attempt("write in an older thread", lambda: open("/etc/floodwatch-proof", "w"))
    attempt("exec in an older thread", lambda: os.execv("/bin/true", ["true"]))
    told["uid of an older thread"] = os.getuid()
thread = threading.Thread(target=old)
thread.start()
drop(keep_net_admin="enforce" in sys.argv, reads=[folder])
go.set()
thread.join()
unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for name, what in {
    "write": lambda: open("/etc/floodwatch-proof", "w"),
    "write where all may": lambda: open("/tmp/floodwatch-proof", "w"),
    "write by truncating": lambda: os.truncate(folder + "/root-only", 0),
    "remove": lambda: os.unlink(folder + "/root-only"),
    "read": lambda: open("/etc/passwd"),
    "read by proc": lambda: open("/proc/self/root/etc/passwd"),
    "read of others": lambda: open("/proc/1/environ"),
    "list": lambda: os.listdir("/"),
    "inet": lambda: socket.socket(),
    "connect": lambda: unix.connect("/run/none"),
    "send": lambda: unix.sendto(b"", "/dev/log"),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork,
    "spawn": lambda: subprocess.run(["/bin/true"]),
    "signal": lambda: os.kill(os.getppid(), 0),
    "become root": lambda: os.setuid(0),
    "chroot": lambda: os.chroot("/"),
    "netfilter": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12),
    "signal oneself": lambda: os.kill(os.getpid(), 0),
    "write what is open": lambda: os.write(mine, b"x"),
    "find an interface": lambda: socket.if_nametoindex("lo"),
    "read of itself": lambda: open("/proc/self/status"),
    "read what is followed": followed.read,
}.items():
    attempt(name, what)
library = ctypes.CDLL(None, use_errno=True)
told["ptrace"] = "done" if library.ptrace(0, 0, 0, 0) == 0 else ctypes.get_errno()
told["status"] = open("/proc/self/status").read()
for _ in range(3):
    print(json.dumps([told, followed.read().decode(), followed.replaced]), flush=True)
    sys.stdin.readline()
"""
BLAST = """
import os, socket, struct, time
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("va", 0))
frames = [
    b"\\xff" * 6 + b"\\x02" * 6 + struct.pack("!H BBHHHBBH4s4s HHHH", 0x800, 0x45, 0, 228, 0, 0, 64, 17, 0,
    os.urandom(4), bytes((198, 51, 100, 7)), 4000, 27015, 208, 0) + bytes(200) for _ in range(2000)
]
for _ in range(10):
    for frame in frames:
        wire.send(frame)
    time.sleep(0.04)
"""
MAY = (
    "signal oneself", "write what is open", "find an interface", "read of itself", "read what is followed",
)  # fmt: skip


def dropped(folder: Path, *words: str) -> subprocess.Popen[str]:
    """A child that calls ``drop``, tries, and tells."""
    folder.joinpath("root-only").write_text("1\n")
    folder.joinpath("root-only").chmod(0o600)
    return subprocess.Popen([sys.executable, "-c", TRY, str(folder), *words], text=True, cwd="/",
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip


def told(child: subprocess.Popen[str], *, more: bool = False) -> Any:
    assert child.stdin is not None
    assert child.stdout is not None
    if more:
        child.stdin.write("\n")
        child.stdin.flush()
    return json.loads(child.stdout.readline())


def status(text: str) -> dict[str, str]:
    return {
        name: " ".join(words.split())
        for name, _, words in (line.partition(":") for line in text.splitlines())
    }


@pytest.mark.root
@pytest.mark.parametrize("kernel", ["with Landlock", "old kernel"])
def test_p47_code_in_a_parser_can_do_nothing_to_the_host(need: Any, tmp_path: Path, kernel: str) -> None:
    need(os.geteuid() == 0, "only root has rights to give up")
    child = dropped(tmp_path, kernel)
    tried, _, _ = told(child)
    child.communicate()
    proc = status(tried.pop("status"))
    uid = tried.pop("uid of an older thread")
    assert 0 < uid < 65_534
    assert proc["Uid"] == proc["Gid"] == f"{uid} {uid} {uid} {uid}"
    assert proc["Groups"] == ""
    assert {proc[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (proc["NoNewPrivs"], proc["Seccomp"]) == ("1", "2")
    done = [name for name, how in tried.items() if how == "done"]
    refusals = {errno.EPERM, errno.EACCES}
    if kernel == "old kernel":  # its root can be looked at, and is as good as empty
        done.remove("list")
        refusals |= {errno.ENOENT}
    assert tuple(done) == MAY
    assert {how for name, how in tried.items() if name not in (*done, "list")} <= refusals


@pytest.mark.root
def test_p69_a_file_is_followed_after_the_rights_are_gone(need: Any, tmp_path: Path) -> None:
    need(os.geteuid() == 0, "only root has rights to give up")
    child = dropped(tmp_path, "enforce")
    assert status(told(child)[0]["status"])["CapEff"] == f"{1 << 12:016x}"  # CAP_NET_ADMIN alone
    with (tmp_path / "root-only").open("a") as file:
        file.write("2\n")
    assert told(child, more=True)[1:] == ["1\n2\n", False]
    (tmp_path / "new").write_text("3\n")
    (tmp_path / "new").chmod(0o600)
    (tmp_path / "new").rename(tmp_path / "root-only")
    assert told(child, more=True)[1:] == ["1\n2\n", True]
    child.communicate()


def test_p69_a_list_that_was_replaced_by_a_closed_one_stays_in_force_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "never"
    path.write_text("192.0.2.0/24\n")
    listed = NeverFile(str(path))
    (tmp_path / "new").write_text("203.0.113.0/24\n")
    (tmp_path / "new").rename(path)

    def refused(*_: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    with monkeypatch.context() as closed:
        closed.setattr(os, "open", refused)
        assert [str(network) for network in listed.networks()] == ["192.0.2.0/24"]
    assert "no right to read; the previous list stays in force" in str(listed.complaint())
    assert listed.complaint() is None
    assert [str(network) for network in listed.networks()] == ["203.0.113.0/24"]
    path.unlink()
    assert [str(network) for network in listed.networks()] == ["203.0.113.0/24"]
    with pytest.raises(FileNotFoundError):
        Followed(str(path)).read()


@pytest.mark.root
def test_p47_a_watch_that_enforces_has_no_root_and_reads_no_module_any_more(
    wire: Lab, tmp_path: Path
) -> None:
    """An import would fail where only root may read the library: none is left for later."""
    lock = Path("/run/floodwatch") / f"floodwatch-{os.stat(f'/run/netns/{wire.server}').st_ino}.lock"
    watch = wire.start(
        wire.server, sys.executable, "-I", "-X", "importtime", "-m", "floodwatch", "watch", "-i", "vb",
        "--mode", "enforce", "--picture", "always", "--save-baseline", f"{tmp_path}/usual.fw", "-w",
        f"{tmp_path}/flight.pcapng", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert watch.stderr is not None
    while b"floodwatch: watching" not in watch.stderr.readline():
        pass
    proc = status(Path(f"/proc/{watch.pid}/status").read_text())
    assert proc["Name"] == "floodwatch"
    assert "0" not in proc["Uid"].split()
    assert proc["CapEff"] == proc["CapPrm"] == f"{1 << 12:016x}"
    assert (proc["NoNewPrivs"], proc["Seccomp"], proc["Threads"]) == ("1", "2", "1")
    assert (lock.stat().st_mode & 0o777, lock.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert lock.read_text() == f"{watch.pid} {started(watch.pid)}\n"
    assert wire.start(wire.client, sys.executable, "-c", BLAST).wait(10) == 0
    time.sleep(0.3)
    watch.send_signal(signal.SIGHUP)
    out, err = watch.communicate(timeout=20)
    assert watch.returncode == 129
    assert b"opened" in out
    assert b"the watch ends" in err
    assert b"import time" not in err
    assert lock.read_text() == ""  # what is left is empty, and the next one removes it
    for name in ("usual.fw", "flight.pcapng"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert (
        fw.scan(str(tmp_path / "flight.pcapng"), baseline=str(tmp_path / "usual.fw")).inputs[0].packets > 100
    )


def test_the_filter_lets_nothing_dangerous_pass_on_any_machine() -> None:
    """The filter is run here, by hand: for the numbers of the other machine too."""
    calls = {
        "x86_64": {
            "execve": 59,
            "fork": 57,
            "connect": 42,
            "ptrace": 101,
            "mount": 165,
            "unlink": 87,
            "bpf": 321,
        },
        "aarch64": {"execve": 221, "connect": 203, "ptrace": 117, "mount": 40, "unlinkat": 35, "bpf": 280},
    }
    for machine, named in calls.items():
        code = seccomp.program(machine, seccomp.ways(net_admin=False, net_raw=False, bpf=False))
        known = seccomp.numbers(seccomp.JUDGED, seccomp.ARCHITECTURES[machine][1])

        def of(number: int, *arguments: int, machine: str = machine, code: bytes = code) -> int:
            return verdict(code, seccomp.ARCHITECTURES[machine][0], number, arguments)

        assert {of(number) for number in named.values()} == {seccomp.FAIL | errno.EPERM}
        assert of(known["openat"], 0, 0, os.O_RDONLY | os.O_CLOEXEC) == seccomp.ALLOW
        for how in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC):
            assert of(known["openat"], 0, 0, how) == seccomp.FAIL | errno.EPERM
        for number in (0, 1, 15, 16, 17):
            mine = number == 0
            assert (of(known["socket"], 16, 3, number) == seccomp.ALLOW) == mine
        assert of(known["clone"], 0x10000) == seccomp.ALLOW
        assert of(known["clone"], 17) == of(known["kill"], 1) == seccomp.FAIL | errno.EPERM
        assert of(known["sendto"], 3, 0, 0, 0, 1 << 40) == seccomp.FAIL | errno.EPERM
        assert of(known["mmap"], 0, 0, 7) == seccomp.FAIL | errno.EPERM
        assert of(435) == of(460) == seccomp.FAIL | errno.ENOSYS
        assert verdict(code, 0x40000003, named["execve"], ()) == seccomp.FAIL | errno.EPERM


def verdict(code: bytes, architecture: int, number: int, arguments: tuple[int, ...]) -> int:
    """What a filter answers to a call."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    at = held = 0
    while True:
        operation, yes, no, operand = struct.unpack_from("=HBBI", code, 8 * at)
        at += 1
        if operation == seccomp.RETURN:
            return int(operand)
        if operation == seccomp.LOAD:
            (held,) = struct.unpack_from("=I", data, operand)
        else:
            meets = {
                seccomp.EQUAL: held == operand, seccomp.ABOVE: held > operand,
                seccomp.ANY_BIT: bool(held & operand),
            }  # fmt: skip
            at += yes if meets[operation] else no


def test_p70_a_lock_is_believed_of_nobody_but_the_floodwatch_that_holds_it(tmp_path: Path) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    path = tmp_path / "ours" / "floodwatch-1.lock"
    lock = Lock(path)
    lock.take()
    assert lock.holder() == Holder(os.getpid(), started(os.getpid()) or 0)
    lock.release()
    assert not path.exists()
    path.write_text("")
    try:
        with path.open("r+") as stranger:
            fcntl.flock(stranger, fcntl.LOCK_EX)
            for text in (
                "",
                "x y",
                f"{sleeper.pid}\n",
                f"{sleeper.pid} 1\n",
                "1 1",
                f"{sleeper.pid} {started(sleeper.pid)}",
            ):
                path.write_text(text)
                assert lock.holder() is None, text
                assert lock.end_holder() is None
            with pytest.raises(EnforceError, match="no floodwatch holds the lock"):
                lock.take()
        lock.take()
        lock.release()
        assert sleeper.poll() is None
        assert started(sleeper.pid) != started(os.getpid())
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.root
def test_p18_p70_panic_ends_a_hung_watch_and_takes_what_explain_printed(wire: Lab, tmp_path: Path) -> None:
    watch = wire.floodwatch("watch", "-i", "vb", "--mode", "enforce")
    watch.send_signal(signal.SIGSTOP)
    ours = table_text("fw_1_udp_flood", [], [], 600)
    foreign = "table inet fw_main {\n chain c {\n }\n}\n" + table_text("fw_2", [], [], 600)
    foreign += "\nadd rule inet fw_2 prerouting ip saddr 192.0.2.1 accept\n"
    load = wire.start(wire.server, "nft", "-f", "-", stdin=subprocess.PIPE)
    load.communicate((ours + "\n" + foreign).encode(), timeout=10)
    hold = ("setpriv", "--reuid=65534", "--clear-groups", "flock", "-n")
    path = f"/run/floodwatch/floodwatch-{os.stat(f'/run/netns/{wire.server}').st_ino}.lock"
    other = wire.start(wire.server, *hold, path, "true", stderr=subprocess.PIPE)
    assert b"Permission denied" in other.communicate(timeout=10)[1]
    said = ctl(wire, "panic", "--yes")
    assert f"ended the enforcing floodwatch (pid {watch.pid})" in said
    assert "the table inet fw_1_udp_flood from explain is gone" in said
    assert watch.wait(5) == -signal.SIGKILL
    left = run(wire, "nft", "list", "tables").split("\n")
    assert [line for line in left if "inet" in line] == ["table inet fw_main", "table inet fw_2"]
    assert "the table inet fw_2 holds other rules" in said
    assert not Path(path).exists()


def test_p71_nothing_is_overwritten_and_no_link_followed(tmp_path: Path) -> None:
    name = str(tmp_path / "a.b" / "flight.pcapng")
    (tmp_path / "a.b").mkdir()
    names = []
    for text in (b"1", b"2", b"3"):
        file, got = fresh(name)
        with file:
            file.write(text)
        names.append(os.path.basename(got))
        assert os.stat(got).st_mode & 0o777 == 0o600
    assert names == ["flight.pcapng", "flight.1.pcapng", "flight.2.pcapng"]
    assert Path(name).read_bytes() == b"1"
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "link").symlink_to(precious)
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    for link in ("link", "dangling"):
        with pytest.raises(EnvironmentFault, match="symbolic link"):
            fresh(str(tmp_path / link))
    assert precious.read_text() == "precious"
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").touch(0o644)
    file, got = fresh(str(tmp_path / "empty"))
    file.close()
    assert (got, os.stat(got).st_mode & 0o777) == (str(tmp_path / "empty"), 0o600)
    os.link(tmp_path / "empty", tmp_path / "twin")
    assert fresh(str(tmp_path / "twin"))[1] == str(tmp_path / "twin.1")
    assert fresh(os.devnull)[1] == os.devnull
    with pytest.raises(EnvironmentFault, match="No such file"):
        fresh(str(tmp_path / "no" / "where"))


def test_hanging_up_ends_it_but_not_under_nohup() -> None:
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.event.wait(1)
    assert stop.exit_code == 129
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert stop.exit_code is None
    finally:
        signal.signal(signal.SIGHUP, previous)


@pytest.mark.root
def test_p72_the_command_ignores_what_the_caller_wants_python_to_load(need: Any, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("floodwatch")
    need(os.geteuid() == 0 and command.exists(), "takes root, and the installed command")
    for name in ("sitecustomize", "re", "click", "floodwatch", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hijacked')")
    link = tmp_path / "link"
    link.symlink_to(command)
    evil = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/nowhere",
        "PYTHONINSPECT": "1",
        "HOME": str(tmp_path),
    }
    for path in (command, link):
        done = subprocess.run([path, "version"], env=os.environ | evil, cwd=tmp_path, capture_output=True,
                              check=False, stdin=subprocess.DEVNULL)  # fmt: skip
        assert (done.returncode, done.stdout) == (0, f"floodwatch {fw.__version__}\n".encode()), done.stderr


def shown(output: str) -> list[str]:
    """The lines that are on a terminal after this output."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[?\d;]*[A-Za-z]|\r\n|\n|\r)", output):
        up = re.fullmatch(r"\x1b\[(\d+)A", part)
        if up:
            row -= int(up[1])
        elif part == "\x1b[J":
            del lines[row + 1 :]
            lines[row] = ""
        elif part.endswith("\n"):
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part and part[0] not in "\x1b\r":
            lines[row] = part
    return [line.strip() for line in lines if line.strip()]


def counters(**change: Any) -> Counters:
    usual = {"seconds": 1.0, "packets": 0, "bytes": 0, "lost": 0, "ahead": 0, "backlog": 0, "rejected": 0,
             "victims": (), "open_floods": 0}  # fmt: skip
    return Counters(**(usual | change))


def test_event_lines_stay_above_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    from floodwatch.pipeline.watch import Moment

    monkeypatch.setenv("COLUMNS", "80")
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    screen = StringIO()
    with Picture(screen) as picture:
        for second in range(1, 6):
            clock[0] = 10.0 * second
            with picture.above():
                screen.write(f"event {second}\n")
            victims = tuple((f"192.0.2.{n}", 5.0) for n in range(second % 3))
            picture.draw(Moment([], counters(packets=1000 * second, victims=victims), [], []))
        lines = shown(screen.getvalue())
        assert lines[:5] == [f"event {n}" for n in range(1, 6)]
        assert [line for line in lines if "packets/s" in line and "Mbit/s" in line] == [lines[5]]
        assert "5,000 packets" in lines[6]
    assert shown(screen.getvalue()) == [f"event {n}" for n in range(1, 6)]


def test_a_quiet_watch_gives_a_sign_of_life() -> None:
    clock = [100.0]
    heart = Heartbeat(600.0, lambda: clock[0])
    said = []
    for minute in range(1, 31):
        clock[0] += 60
        line = heart.beat(counters(packets=100 * minute), told=minute == 15)
        said += [(minute, line)] if line else []
    assert [minute for minute, _ in said] == [10, 25]
    assert said[0][1].startswith("all quiet for 10 minutes: still watching; 1,000 packets and 0 lost")
    assert "1,500 packets" in said[1][1]


SCAN = """
import errno, os, socket, subprocess, sys
from floodwatch.pipeline.privileges import drop_for_scan
drop_for_scan([sys.argv[1]])
for what, expected in (
    (lambda: open(sys.argv[1] + "/report", "w"), 0),
    (lambda: open(sys.argv[2] + "/elsewhere", "w"), errno.EACCES),
    (lambda: open("/etc/passwd"), 0),
    (lambda: subprocess.run(["/bin/true"]), errno.EPERM),
    (socket.socket, errno.EPERM),
    (lambda: os.kill(os.getppid(), 0), errno.EPERM),
):
    try:
        what()
        assert expected == 0
    except OSError as error:
        assert error.errno == expected, error
"""


def test_p73_a_scan_writes_its_answers_and_nothing_else(need: Any, tmp_path: Path) -> None:
    need(landlock.version() and seccomp.available(), "the kernel has no Landlock, or no seccomp filters")
    for name in ("answers", "other"):
        (tmp_path / name).mkdir()
    subprocess.run([sys.executable, "-c", SCAN, tmp_path / "answers", tmp_path / "other"], check=True)
