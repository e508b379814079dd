"""``floodwatch gen``: write a synthetic capture with its ground truth; never sends a packet."""

from __future__ import annotations

from pathlib import Path

import click

from floodwatch.config import durations
from floodwatch.config.spelling import meant

from .quantities import above_zero, size

# synth brings NumPy and, on first use, scapy: both are imported in the bodies below, so that other commands
# start quickly


def _list(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Print the scenarios and leave."""
    if not wanted:
        return
    from floodwatch.synth import describe

    lines = describe()
    width = max(map(len, lines))
    for name, text in lines.items():
        click.echo(f"{name:{width}}  {text}")
    context.exit()


def _scenario(_context: click.Context, _argument: click.Parameter, name: str) -> str:
    """Accept ``syn-flood`` for ``syn_flood``; name the scenarios when there is no such one."""
    from floodwatch.synth import SCENARIOS

    name = name.replace("-", "_").lower()
    if name not in SCENARIOS:
        known = meant(name, SCENARIOS) or "; floodwatch gen --list names them all"
        raise click.BadParameter(f"no scenario {name!r}{known}")
    return name


def _address(_context: click.Context, _option: click.Parameter, text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not an IP address") from error


@click.command()
@click.option("--list", "wanted", is_flag=True, is_eager=True, expose_value=False, callback=_list,
              help="List the scenarios and exit.")  # fmt: skip
@click.argument("scenario", callback=_scenario)
@click.option("-w", "--write", "path", required=True, type=click.Path(dir_okay=False, path_type=Path),
              help="Capture to write (pcap; compressed when the name ends in .gz).")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Same seed, same bytes."
)
@click.option("--pps", callback=above_zero(durations.rate), metavar="RATE",
              help="Packets, requests or visitors, as 5k/s; launch_day is normal at 1000.")  # fmt: skip
@click.option("--duration", callback=above_zero(durations.length), metavar="TIME",
              help="How long the flood or crowd lasts, as 14s or 2m.")  # fmt: skip
@click.option("--sources", type=click.IntRange(min=1), help="Number of flooding sources.")
@click.option("--target", default="198.51.100.7", show_default=True, callback=_address,
              help="Victim address; IPv6 for the SYN floods only.")  # fmt: skip
@click.option("--snaplen", callback=size("B", "64B", "1GiB"), default="256KiB", metavar="SIZE",
              show_default=True, help="Bytes to keep of each frame, from 64 on.")  # fmt: skip
def gen(
    scenario: str,
    path: Path,
    seed: int,
    pps: float | None,
    duration: float | None,
    sources: int | None,
    target: str,
    snaplen: int,
) -> None:
    """Write a capture of SCENARIO and its truth (NAME.truth.json).

    It only writes files and never sends a packet.
    """
    from floodwatch import synth

    params = synth.Params(seed=seed, victim=target, pps=pps, duration=duration, sources=sources)
    try:
        truth = synth.make(scenario, path, params, snaplen)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(f"{path}: {truth.packets} packets, {len(truth.floods)} floods, {len(truth.crowds)} crowds")


if __name__ == "__main__":
    gen()
