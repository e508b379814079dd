"""Files of the host around a daemon: units, its user, its folders, rotation of its files, AppArmor.

They lie in ``files`` as a distribution would ship them; here they get the place of this very program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from ..config.files import CONFIGURATION
from ..errors import ConfigError, EnvironmentFault

PROGRAM = "/usr/bin/floodwatch"
"""The program as the files name it."""
HIDDEN = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""What the unit cannot see."""
UNIT = "floodwatch.service"
PLACES = {
    UNIT: "usr/lib/systemd/system/floodwatch.service",
    "floodwatch.sysusers.conf": "usr/lib/sysusers.d/floodwatch.conf",
    "floodwatch.tmpfiles.conf": "usr/lib/tmpfiles.d/floodwatch.conf",
    "floodwatch.logrotate": "etc/logrotate.d/floodwatch",
    "floodwatch.apparmor": "etc/apparmor.d/floodwatch",
}
INSTANCES = "usr/lib/systemd/system/floodwatch@.service"
"""The same unit for network namespaces, each with a configuration of its own."""


def wanted(program: str) -> Iterator[tuple[str, str]]:
    """Every file: its place below the root, and its text for a program that lies there."""
    for name, place in PLACES.items():
        text = (files(__package__) / "files" / name).read_text(encoding="utf-8").replace(PROGRAM, program)
        yield place, text
        if name == UNIT:
            yield INSTANCES, _for_namespaces(text)


def _for_namespaces(unit: str) -> str:
    own = CONFIGURATION.replace("/etc/floodwatch/", "/etc/floodwatch/%i/")
    return (
        unit.replace("packet floods", "packet floods in the network namespace %i")
        .replace(" config check\n", f" config check {own}\n")
        .replace(" run\n", f" run --config {own}\n")
        .replace("[Service]\n", "[Service]\nNetworkNamespacePath=/run/netns/%i\n")
        .replace("floodwatch.service", "floodwatch@NAMESPACE.service")
    )


def install(root: str, program: str) -> list[str]:
    """Write every file below a root; returns their names.

    Raises:
        ConfigError: the program lies where the unit cannot see it.
        EnvironmentFault: a file cannot be written.
    """
    if not program.startswith("/") or program.startswith(HIDDEN):
        raise ConfigError(f"the unit cannot see {program}: install floodwatch below /usr or /opt")
    written = []
    for place, text in wanted(program):
        path = Path(root, place)
        beside = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            beside.write_text(text, encoding="utf-8")
            beside.chmod(0o644)
            beside.replace(path)
        except OSError as error:
            raise EnvironmentFault(f"cannot write {path}: {error.strerror}") from error
        written.append(str(path))
    return written


def remove(root: str) -> list[str]:
    """Take the files away again; returns the names of those that were there.

    Raises:
        EnvironmentFault: one cannot be removed.
    """
    removed = []
    for place in (*PLACES.values(), INSTANCES):
        path = Path(root, place)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
                removed.append(str(path))
        except OSError as error:
            raise EnvironmentFault(f"cannot remove {path}: {error.strerror}") from error
    return removed
