"""The files around the daemon: written, taken away, understood by their tools; and a unit that is enough."""

from __future__ import annotations

import grp
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from floodwatch import synth
from floodwatch.daemon import installing
from floodwatch.errors import ConfigError

sys.path.insert(0, str(Path(__file__).parent))
from lab import Lab

Need = Callable[[object, str], None]
UNIT, INSTANCES = installing.PLACES[installing.UNIT], installing.INSTANCES
SCORE = 2.6
TAKEN = {
    "CapabilityBoundingSet=~CAP_NET_ADMIN": "it writes rules",
    "CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)": "it opens packet sockets",
    "CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)": "the sensor becomes another user",
    "CapabilityBoundingSet=~CAP_KILL": "a sensor that hangs is another user's by then",
    "SystemCallFilter=~@privileged": "becoming another user is one of them",
    "User=/DynamicUser=": "whose rules and orders are root's; without root's capabilities",
    "PrivateNetwork=": "the network is what it watches",
    "PrivateUsers=": "capabilities would mean nothing outside",
    "RestrictAddressFamilies=~AF_PACKET": "it opens packet sockets",
    "RestrictAddressFamilies=~AF_NETLINK": "it writes rules",
    "RestrictAddressFamilies=~AF_UNIX": "the control socket",
    "RestrictAddressFamilies=~AF_(INET|INET6)": "metrics and receivers",
    "IPAddressDeny=": "receivers may be anywhere",
    "ProcSubset=": "it reads /proc/sys/net",
    "DeviceAllow=": "what ProtectClock= adds",
    "RootDirectory=/RootImage=": "Python and its library are the host's",
}
"""What systemd-analyze would have otherwise, and why it is not."""


def command(*words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-P", "-m", "floodwatch", "install", *words]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_installed_is_taken_away_again(tmp_path: Path) -> None:
    for _ in range(2):
        done = command("--root", str(tmp_path), "--program", "/opt/fw/bin/floodwatch")
        assert done.returncode == 0, done.stderr
        assert files(tmp_path) == {*installing.PLACES.values(), INSTANCES}
    assert {f"{tmp_path}/{name}" for name in files(tmp_path)} == set(re.findall(r"wrote (.*)", done.stdout))
    for name in files(tmp_path):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o644
        assert "/usr/bin/floodwatch" not in (tmp_path / name).read_text(encoding="utf-8")
    assert "ExecStart=/opt/fw/bin/floodwatch run\n" in (tmp_path / UNIT).read_text(encoding="utf-8")
    own = (tmp_path / INSTANCES).read_text(encoding="utf-8")
    assert "NetworkNamespacePath=/run/netns/%i\n" in own
    assert "ExecStart=/opt/fw/bin/floodwatch run --config /etc/floodwatch/%i/floodwatch.toml\n" in own
    assert "ExecReload=/opt/fw/bin/floodwatch config check /etc/floodwatch/%i/floodwatch.toml\n" in own
    kept = tmp_path / "etc/floodwatch/floodwatch.toml"
    kept.parent.mkdir()
    kept.touch()
    assert command("--root", str(tmp_path), "--remove").returncode == 0
    assert files(tmp_path) == {"etc/floodwatch/floodwatch.toml"}


@pytest.mark.parametrize("program", ["/home/a/.venv/bin/floodwatch", "/root/fw/floodwatch", "bin/floodwatch"])
def test_a_program_that_the_unit_cannot_see_is_refused(program: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="install floodwatch below /usr or /opt"):
        installing.install(str(tmp_path), program)
    assert files(tmp_path) == set()


def test_tools_understand_what_is_installed(tmp_path: Path, need: Need) -> None:
    tools = ("systemd-analyze", "systemd-sysusers", "systemd-tmpfiles", "logrotate", "apparmor_parser")
    need(all(map(shutil.which, tools)), f"takes {', '.join(tools)}")
    need(os.geteuid() == 0, "making users and their folders takes root")
    installing.install(str(tmp_path), "/bin/true")
    instance = tmp_path / INSTANCES.replace("@.", "@x.")
    shutil.copy(tmp_path / INSTANCES, instance)
    assert run("systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT), str(instance)) == ""
    run("systemd-sysusers", f"--root={tmp_path}")
    run("systemd-tmpfiles", f"--root={tmp_path}", "--create", "floodwatch.conf")
    assert "floodwatch:x:" in (tmp_path / "etc/passwd").read_text(encoding="utf-8")
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in
             ("run/floodwatch", "var/lib/floodwatch", "var/log/floodwatch")}  # fmt: skip
    assert list(modes.values()) == [0o710, 0o700, 0o750]
    run(
        "apparmor_parser",
        "--skip-kernel-load",
        "--skip-cache",
        str(tmp_path / installing.PLACES["floodwatch.apparmor"]),
    )
    assert "error" not in run("logrotate", "-d", str(tmp_path / installing.PLACES["floodwatch.logrotate"]))


@pytest.mark.parametrize("place", [UNIT, INSTANCES])
def test_the_unit_gives_no_more_than_is_taken(place: str, tmp_path: Path, need: Need) -> None:
    need(shutil.which("systemd-analyze"), "takes systemd-analyze")
    installing.install(str(tmp_path), "/bin/true")
    told = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / place))
    assert set(re.findall(r"^✗ (\S+)", told, re.MULTILINE)) == set(TAKEN)
    (score,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert float(score) <= SCORE


def settings(unit: Path) -> dict[str, list[str]]:
    """The settings of a unit's service, each with its words."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def calls(words: str) -> set[str]:
    """The system calls that a line of SystemCallFilter= names."""
    found: set[str] = set()
    for word in words.split():
        if word.startswith("@"):
            listed = run("systemd-analyze", "syscall-filter", word)
            inner = [line.strip() for line in listed.splitlines()[1:] if not line.strip().startswith("#")]
            found |= calls(" ".join(inner))
        else:
            found.add(word)
    return found


CONFINED = """
mount --make-rprivate / && mkdir -p {state} && mount -t tmpfs floodwatch /run && mkdir -m 0710 /run/floodwatch
mount --bind {state} {state} && mount -o remount,bind,ro / && mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys && mount -t proc -o hidepid=invisible floodwatch /proc || exit 99
touch /etc/floodwatch.written 2>/dev/null && exit 98
chgrp users /run/floodwatch
exec setpriv --regid users --clear-groups --bounding-set -all,{kept} --inh-caps -all --no-new-privs \
    strace -f -qq -e signal=none -o {trace} -e 'inject=!{calls}:error=EPERM' \
    -e trace=execve,socket,{refused} "$@"
"""
REFUSE_EXEC_GAIN = 65
"""prctl(2): memory that is written to cannot become code, as MemoryDenyWriteExecute= has it."""


def until(daemon: subprocess.Popen[bytes], words: bytes, seconds: float = 30) -> None:
    """Read what it says until it says this."""
    assert daemon.stderr is not None
    end, said = time.monotonic() + seconds, b""
    while words not in said:
        assert select.select([daemon.stderr], [], [], max(end - time.monotonic(), 0))[0], said
        more = os.read(daemon.stderr.fileno(), 1 << 16)
        assert more, said
        said += more


@pytest.mark.root
@pytest.mark.slow
def test_the_daemon_works_with_what_its_unit_leaves_it(wire: Lab, tmp_path: Path, need: Need) -> None:
    need(
        all(map(shutil.which, ("systemd-analyze", "setpriv", "strace", "unshare"))),
        "takes systemd-analyze, strace",
    )
    installing.install(str(tmp_path), "/bin/true")
    unit = settings(tmp_path / UNIT)
    (tmp_path / "f.toml").write_text(
        'schema = 1\nmode = "enforce"\ninterfaces = ["vb"]\n'
        f'state = "{tmp_path}/state"\ncontrol.group = "users"\n'
    )
    capture, trace = tmp_path / "syn.pcap", tmp_path / "trace"
    synth.make("syn_flood", capture, synth.Params(duration=4))
    kept = ",".join(f"+{name[4:].lower()}" for name in unit["CapabilityBoundingSet"][0].split())
    allowed, denied = (calls(words.removeprefix("~")) for words in unit["SystemCallFilter"])
    known = ",".join(f"?{name}" for name in sorted(allowed - denied))
    refused = ",".join(f"?{name}" for name in sorted(denied))
    confined = CONFINED.format(state=tmp_path, kept=kept, trace=trace, calls=known, refused=refused)
    inner = (sys.executable, "-P", "-m", "floodwatch", "run", "--config", str(tmp_path / "f.toml"))
    daemon = wire.start(
        wire.server, sys.executable, "-c",
        f"import ctypes, os, sys; ctypes.CDLL(None).prctl({REFUSE_EXEC_GAIN}, 1, 0, 0, 0); "
        "os.execvp(sys.argv[1], sys.argv[1:])",
        "unshare", "--mount", "sh", "-c", confined, "sh", *inner, stderr=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    until(daemon, b"watching vb, mode enforce")
    flood = wire.sender(capture)
    until(daemon, b"guard  198.51.100.7:")
    assert flood.wait(30) == 0
    lines = trace.read_text(encoding="utf-8", errors="replace")
    (pid,) = re.findall(r'^(\d+) +execve\(.* "run"', lines, re.MULTILINE)
    socket = os.stat(f"/proc/{pid}/root/run/floodwatch/ctl.sock")
    assert (socket.st_uid, socket.st_gid) == (0, grp.getgrnam("users").gr_gid)
    os.kill(int(pid), signal.SIGTERM)
    assert daemon.wait(20) == 0
    assert list((tmp_path / "state").iterdir())
    lines = trace.read_text(encoding="utf-8", errors="replace")
    assert set(re.findall(r"^\d+ +(\w+)\(.*\(INJECTED\)", lines, re.MULTILINE)) == {
        "mbind"
    }  # NumPy does without
    families = set(re.findall(r" socket\((AF_\w+)", lines))
    assert {"AF_PACKET", "AF_NETLINK"} <= families <= set(unit["RestrictAddressFamilies"][0].split())
