"""The Debian package: built by one command, installed where there was nothing, and purged without a trace."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Need = Callable[[object, str], None]
ROOT = Path(__file__).resolve().parents[1]
CHANGES = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/proc/", "/dev/", "/etc/passwd-", "/etc/shadow-",
           "/etc/group-", "/etc/gshadow-", "/etc/.pwd.lock", "/tmp/")  # fmt: skip
"""What dpkg and the tools for users leave of their own."""


def run(*argv: str, expect: int = 0) -> str:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == expect, f"{argv}: {done.stdout[-3000:]}"
    return done.stdout


def files(root: Path) -> set[str]:
    listed = run("find", str(root), "-path", f"{root}/proc", "-prune", "-o", "-printf", "/%P\\n").splitlines()
    return {name for name in listed if not name.startswith(CHANGES)}


@pytest.mark.root
@pytest.mark.slow
def test_the_package_installs_works_and_leaves_nothing(tmp_path: Path, need: Need) -> None:
    tools = ("debootstrap", "dpkg-deb", "lintian", "gcc")
    need(os.geteuid() == 0 and all(map(shutil.which, tools)), f"takes root, {', '.join(tools)}")
    need((ROOT / ".git").exists(), "the package is made of what git holds")
    package = run(str(ROOT / ".ci" / "deb"), str(tmp_path)).splitlines()[-1]
    assert run("lintian", "--no-cfg", "--allow-root", "--fail-on", "error", package).count("E: ") == 0
    assert "./usr/share/man/man1/floodwatch-scan.1.gz\n" in run("dpkg-deb", "-c", package)
    fresh = tmp_path / "fresh"
    run("debootstrap", "--variant=minbase", "--include=python3", "bookworm", str(fresh))
    before = files(fresh)
    users = (fresh / "etc/passwd").read_text()
    shutil.copy(package, fresh / "tmp" / "floodwatch.deb")
    shutil.copy(ROOT / "pcaps" / "launch-day.pcap.gz", fresh / "tmp")
    try:
        run("mount", "--bind", "/proc", str(fresh / "proc"))
        inside = ("chroot", str(fresh))
        run(*inside, "dpkg", "-i", "/tmp/floodwatch.deb")
        assert "floodwatch:x:" in (fresh / "etc/passwd").read_text()
        run(*inside, "floodwatch", "scan", "/tmp/launch-day.pcap.gz", expect=1)
        run(*inside, "floodwatch", "config", "init")
        assert "good" in run(*inside, "floodwatch", "config", "check")
        written = files(fresh)
        run(*inside, "dpkg", "-i", "/tmp/floodwatch.deb")  # an upgrade
        assert files(fresh) == written
        run(*inside, "dpkg", "-r", "floodwatch")
        assert (fresh / "etc/floodwatch/floodwatch.toml").exists()
        run(*inside, "dpkg", "--purge", "floodwatch")
    finally:
        run("umount", str(fresh / "proc"))
    assert files(fresh) == before
    assert (fresh / "etc/passwd").read_text() == users
