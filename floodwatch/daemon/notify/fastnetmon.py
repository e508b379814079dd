"""Scripts written for FastNetMon: address, direction, packets a second and action as arguments.

``ban`` when a flood opens and ``attack_details`` while it lasts, with the details on standard input;
``unban`` when it ends, with nothing there.
"""

from __future__ import annotations

import ipaddress

from ...model.event import Event, What
from ...model.vector import Vector
from ...report.explained import event_text
from .letter import Letter
from .program import Program, run

ACTIONS: dict[What, str] = {"opened": "ban", "updated": "attack_details", "ended": "unban"}
NAMES = {
    Vector.SYN_FLOOD: "syn_flood",
    Vector.ICMP_FLOOD: "icmp_flood",
    Vector.FRAGMENT_FLOOD: "ip_fragmentation",
    Vector.UDP_FLOOD: "udp_flood",
}
"""The only names of attacks that such scripts know; all else is ``unknown``."""


class FastNetMon(Program):
    """Runs a script."""

    def send(self, letter: Letter) -> None:
        """Run it to its end."""
        event = letter.event
        victim = str(ipaddress.ip_network(event.victim.ip)).removesuffix("/32").removesuffix("/128")
        power, action = f"{event.rate.peak:.0f}", ACTIONS[letter.what]
        details = b"" if letter.what == "ended" else _details(event).encode()
        run([*self.wanted.argv, victim, "incoming", power, action], details, self.wanted.timeout_s)


def _details(event: Event) -> str:
    """The lines that scripts look for, and what floodwatch says of it."""
    victim, power = event.victim, f"{event.rate.peak:.0f} packets per second"
    return (
        f"IP: {victim.ip}\nAttack type: {NAMES.get(event.vector, 'unknown')}\nInitial attack power: {power}\n"
        f"Peak attack power: {power}\nAttack direction: incoming\nAttack protocol: {victim.protocol}\n"
        f"Total incoming pps: {power}\n\n{event_text(event)}"
    )
