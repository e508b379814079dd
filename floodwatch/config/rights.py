"""Who else may write a configuration, or read a secret: what root believes, nobody else may have written."""

from __future__ import annotations

import grp
import os
import pwd
import stat


def written_by_others(path: str) -> str | None:
    """Why a file or folder is not only root's to write, or that of who runs this; with what to do. Or None.

    Raises:
        OSError: it is not there, or cannot be looked at.
    """
    found = os.stat(path)
    if found.st_uid not in (0, os.geteuid()):
        return f"it belongs to {_user(found.st_uid)}, who may write it: chown root {path}"
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        return f"everybody may write it: chmod o-w {path}"
    if found.st_mode & stat.S_IWGRP and found.st_gid != 0:
        return f"the group {_group(found.st_gid)} may write it: chmod g-w {path}"
    return None


def read_by_others(path: str) -> str | None:
    """Why a secret is none, or cannot be had; with what to do. Or None."""
    try:
        found = os.stat(path)
        with open(path, "rb"):
            pass
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "it is no file"
    if found.st_mode & stat.S_IROTH:
        return f"everybody may read it: chmod o-r {path}"
    if found.st_mode & stat.S_IRGRP and found.st_gid != 0:
        return f"the group {_group(found.st_gid)} may read it: chmod g-r {path}"
    return written_by_others(path)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"the user {number}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
