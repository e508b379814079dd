"""``floodwatch install``: make a service of the program that is installed here."""

from __future__ import annotations

import os
import sys

import click


@click.command()
@click.option("--root", default="/", metavar="DIR", help="Write below DIR, as for an image or a package.")
@click.option("--program", metavar="PATH", help="Where the program will lie [default: where it lies now].")
@click.option("--remove", is_flag=True, help="Take the files away again; configuration and state stay.")
def install(root: str, program: str | None, remove: bool) -> None:
    """Write systemd units, the daemon's user and folders, log rotation and an AppArmor profile.

    Nothing is started. There is one unit for this host and one for network namespaces,
    floodwatch@NAME.service, with the configuration /etc/floodwatch/NAME/floodwatch.toml.
    """
    from floodwatch.daemon import installing

    if remove:
        for path in installing.remove(root):
            click.echo(f"removed {path}")
        click.echo("/etc/floodwatch and /var/lib/floodwatch stay\nnext:\n  systemctl daemon-reload")
        return
    for path in installing.install(root, program or _here()):
        click.echo(f"wrote {path}")
    click.echo(NEXT)


NEXT = """\
next:
  systemd-sysusers && systemd-tmpfiles --create floodwatch.conf && systemctl daemon-reload
  floodwatch config init
  systemctl enable --now floodwatch"""


def _here() -> str:
    return os.path.join(os.path.dirname(os.path.abspath(sys.executable)), "floodwatch")
