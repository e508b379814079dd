"""The story that the README tells: a launch day under four floods."""

from __future__ import annotations

import numpy as np

from floodwatch.synth import bots, floods
from floodwatch.synth.addresses import parse
from floodwatch.synth.calm import grow_crowd
from floodwatch.synth.floods import Flood
from floodwatch.synth.packets import SECOND, Array, Trace
from floodwatch.synth.people import Habits, Site, browse, build_site
from floodwatch.synth.stage import Params, side_note


def launch_day(trace: Trace, params: Params) -> None:
    """A tenfold crowd, NTP and SSDP reflection, an HTTP flood, a SYN flood and probing, all at once."""
    scale, stretch = (params.pps or 1000.0) / 1000.0, (params.duration or 60.0) / 60.0
    site = build_site(trace, parse(params.victim)[1], 80, "chat.example", signup="/api/v1/signup")
    habits = Habits(pages=1.5, assets=(2, 4), size_scale=0.12, signup=0.1)
    timeline = (8.0 * stretch, 14.0 * stretch, 60.0 * stretch)
    known = grow_crowd(trace, site, params.victim, 1.25 * scale, timeline, habits)
    _come_back(trace, site, known, habits, stretch)

    def flood(port: int | None, start: float, seconds: float, pps: float, sources: int | None) -> Flood:
        return Flood(params.victim, port, trace.at(start * stretch), seconds * stretch, pps * scale, sources)

    floods.ntp_amplification(trace, flood(80, 26.0, 3.5, 1200, 700))
    floods.ssdp_amplification(trace, flood(80, 28.0, 3.5, 1000, 1500))
    body = b'{"name": "a", "mail": "a1@mail.example", "plan": "free"}'
    script = bots.Script("POST", "/api/v1/signup", body=body, keep_alive=25, single_share=0.08)
    bots.http_flood(trace, flood(80, 34.0, 3.6, 880, params.sources or 40), script)
    floods.syn_flood(trace, flood(443, 36.0, 5.0, 1500, None))
    walk = bots.probing(trace, flood(80, 12.0, 24.0, 10 / scale, 1))
    side_note(trace.truth.probing, "api_probing", params.victim, walk)


def _come_back(trace: Trace, site: Site, clients: Array, habits: Habits, stretch: float) -> None:
    """Each of the known clients visits three times more while everything happens."""
    at = trace.rng.uniform(24.0 * stretch, 44.0 * stretch, 3 * len(clients))
    browse(trace, site, trace.start + (at * SECOND).astype(np.int64), np.tile(clients, 3), habits)
