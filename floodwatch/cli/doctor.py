"""``floodwatch doctor``: what this host has and lacks."""

from __future__ import annotations

import click

from .output import EXIT_ENVIRONMENT, write_stdout

EXAMPLES = """\b
Examples:
  sudo floodwatch doctor
  floodwatch doctor --json | jq '.checks[] | select(.state == "missing")'

Exit codes: 0 nothing is missing, 4 something is."""


@click.command(epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for programs.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this host: capabilities, kernel, rings, offloads, clock, and what could lock you out.

    Nothing is changed. Run it as the user that will run floodwatch: capabilities differ.
    """
    import msgspec

    from floodwatch.doctor import examine
    from floodwatch.report.escape import printable
    from floodwatch.report.json import ascii_json

    checks = list(examine())
    if as_json:
        write_stdout(ascii_json(msgspec.json.encode({"schema": "floodwatch.doctor/1", "checks": checks})))
    else:
        lines = []
        for check in checks:
            lines.append(f"{check.state:8} {check.name}: {check.says}")
            lines += [f"         do: {check.do}"] if check.do else []
        write_stdout("".join(f"{printable(line)}\n" for line in lines).encode())
    ctx.exit(EXIT_ENVIRONMENT if any(check.state == "missing" for check in checks) else 0)
