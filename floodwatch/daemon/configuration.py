"""The configuration as the daemon reads it, at its start and when it is told to look again."""

from __future__ import annotations

from pathlib import Path

from ..capture.filter import compile_filter
from ..config import toml
from ..config.files import CONFIGURATION
from ..config.keys import Above
from ..config.toml import Loaded
from ..errors import ConfigError, EnvironmentFault
from ..mitigate.never import networks_of
from ..model.vector import Vector


def load(path: str = CONFIGURATION) -> Loaded:
    """Read a configuration, and hold it against what this version and this host can do.

    Raises:
        ConfigErrors: something is wrong; each line has file, line and column.
    """
    return toml.load(path, Above(_least, _filter, _never_file))


def _least(vector: Vector) -> float | None:
    from ..detectors import least_floor  # most configurations ask for none, and the sensor has them anyway

    return least_floor(vector)


def _filter(expression: str) -> None:
    try:
        compile_filter(expression)
    except EnvironmentFault as error:
        raise ConfigError(str(error)) from error


def _never_file(path: str) -> None:
    try:
        networks_of(path, Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"the never-block list cannot be read: {why}") from None
