"""``python -m floodwatch.synth DIRECTORY``: remake the example captures, their truth and their README."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from msgspec import json

from floodwatch.synth import Params, make

SNAPLEN = 128
"""Bytes kept of each frame: all headers and the start of a request line, and small files."""

EXAMPLES: dict[str, tuple[str, Params]] = {
    "launch-day": ("launch_day", Params()),
    "clean": ("clean", Params()),
    "crowd": ("crowd", Params()),
    "syn_flood": ("syn_flood", Params(pps=3000, duration=5)),
    "http_flood": ("http_flood", Params(duration=3)),
    "udp_flood": ("udp_flood", Params(pps=3000)),
    "icmp_flood": ("icmp_flood", Params(pps=3000)),
    "dns_amplification": ("dns_amplification", Params(pps=1500)),
    "ntp_amplification": ("ntp_amplification", Params(pps=3000)),
    "ssdp_amplification": ("ssdp_amplification", Params(pps=3000)),
    "memcached_amplification": ("memcached_amplification", Params(pps=3000)),
}
"""Name of the capture to its scenario and parameters."""

_INTRODUCTION = """# Example captures

Small captures with ground truth: `NAME.truth.json` beside each lists every flood, crowd and legitimate
client. All but the `real_` ones come from `floodwatch gen`, which builds packets from a seed: nothing was
recorded from anybody's network, and addresses of victims are documentation ranges. Frames are cut to
{snaplen} bytes; their true length is in the record header, and checksums are those of the whole frame.

To make them again, equal byte for byte before compression: `python -m floodwatch.synth pcaps/`
"""
_END = """
`real_nginx_synflood.pcap.gz` is real traffic that `tests/record_real.py` recorded in network namespaces (as
root; its bytes differ each time): nginx, HTTP clients that browse, a raw-socket SYN sender.
"""


def command(name: str) -> str:
    """The command line that makes one example."""
    scenario, params = EXAMPLES[name]
    options = {"seed": params.seed, "pps": params.pps, "duration": params.duration, "sources": params.sources}
    words = [f"--{option} {value:g}" for option, value in options.items() if value is not None]
    return " ".join(["floodwatch gen", scenario, "-w", f"{name}.pcap.gz", *words, f"--snaplen {SNAPLEN}"])


def readme(folder: Path) -> str:
    """The README of ``folder``, from the truth files that lie in it."""
    lines = [_INTRODUCTION.format(snaplen=SNAPLEN), "## Truth", ""]
    lines += ["| capture | what | victim | from (s) | to (s) | packets | peak of any second | sources |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for path in sorted(folder.glob("*.truth.json")):
        lines += _rows(path.name.removesuffix(".truth.json"), json.decode(path.read_bytes()))
    lines += ["", "Seconds count from the first packet. `packets` are those that the sources sent.", ""]
    lines += ["## Commands", "", "```", *(command(name) for name in EXAMPLES), "```"]
    return "\n".join([*lines, _END])


def _rows(name: str, truth: dict[str, Any]) -> list[str]:
    rows, zero = [], truth["first_ns"]

    def row(what: str, victim: str, item: dict[str, Any], packets: Any, peak: str, sources: str) -> str:
        span = f"{(item['first_ns'] - zero) / 1e9:.2f} | {(item['last_ns'] - zero) / 1e9:.2f}"
        return f"| {name} | {what} | {victim} | {span} | {packets} | {peak} | {sources} |"

    for flood in truth["floods"]:
        victim = f"{flood['victim_ip']}:{flood['victim_port'] or 'any'} {flood['path'] or ''}".strip()
        peak, who = (
            f"{flood['peak_per_second']} {flood['unit']}",
            f"{flood['source_count']} {flood['origin']}",
        )
        rows.append(row(flood["vector"], victim, flood, flood["packets"], peak, who))
    for crowd in truth["crowds"]:
        victim = f"{crowd['victim_ip']}:{crowd['victim_port']}"
        rows.append(row("crowd (no flood)", victim, crowd, "", "", f"{crowd['client_count']} people"))
    for side in truth["probing"]:
        rows.append(row("probing (no flood)", side["victim_ip"], side, side["packets"], "", side["source"]))
    return rows or [row("no flood", "", truth, truth["packets"], "", f"{truth['client_count']} clients")]


def remake(folder: Path) -> None:
    """Write every example and the README into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (scenario, params) in EXAMPLES.items():
        make(scenario, folder / f"{name}.pcap.gz", params, SNAPLEN)
    (folder / "README.md").write_text(readme(folder))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m floodwatch.synth DIRECTORY")
    remake(Path(sys.argv[1]))
