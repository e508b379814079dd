"""Who is listed, in every scenario and under several hash keys: real flooders, and nobody beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scoring import named

from floodwatch import synth
from floodwatch.config.options import ScanOptions
from floodwatch.model.event import Event
from floodwatch.pipeline.scan import scan

KEYS = [number.to_bytes(16, "big") for number in (1, 2)]
NEARBY = {
    "visitors_of_home": "/32",
    "bots_over_a_28": "/28",
    "bots_over_a_24": "/24",
    "nat64_bots": "/128",
    "bots_over_a_64": "/64",
}
"""Scenarios of sources that lie close together, and by what they have to be named."""
LEAST = 0.95
"""Share of the real flooders that are listed."""


@dataclass
class Lists:
    """What the lists of one scenario held, over all keys."""

    flooders: int = 0
    listed: int = 0
    bystanders: set[str] = field(default_factory=set)
    lengths: set[str] = field(default_factory=set)

    def look(self, floods: tuple[Event, ...], truth: synth.Truth) -> None:
        """Take in one report."""
        real = [event for event in floods if event.sources.origin == "real"]
        of_truth = [flood for flood in truth.floods if flood.origin == "real" and not flood.limit]
        flooders = {ip for flood in of_truth for ip in flood.sources or ()}
        guilty = {ip for flood in truth.floods for ip in flood.sources or ()}
        guilty |= {walk.source for walk in truth.probing}
        self.flooders += len(flooders)
        self.listed += len(named(real, flooders))
        self.bystanders |= named(real, set(truth.clients) - guilty)
        cidrs = [top.cidr for event in real for top in event.sources.top]
        self.lengths |= {"/" + (cidr.partition("/")[2] or "32") for cidr in cidrs}
        for event in floods:
            assert not named([event], guilty) or event.sources.origin in ("real", "reflected")
            assert not event.sources.seen or event.sources.origin == "unknown"
            assert all(source.share >= 0.05 for source in event.sources.seen)


def lists(name: str, seed: int, folder: Path) -> Lists:
    """The lists of one scenario."""
    path, found = folder / "x.pcap", Lists()
    truth = synth.make(name, path, synth.Params(seed=seed))
    for key in KEYS:
        found.look(scan([str(path)], ScanOptions(top=0, seed=key)).floods, truth)
    return found


@pytest.mark.parametrize("name", NEARBY)
def test_sources_that_lie_close_together_are_named_as_what_they_are(name: str, tmp_path: Path) -> None:
    found = lists(name, 1, tmp_path)
    assert (found.listed, found.bystanders) == (found.flooders, set())
    assert found.lengths == {NEARBY[name]}


@pytest.mark.slow
def test_no_list_names_a_bystander(tmp_path: Path) -> None:
    flooders = listed = 0
    for name in synth.SCENARIOS:
        found = lists(name, 2, tmp_path)
        assert (name, found.bystanders) == (name, set())
        if found.flooders:
            assert found.listed >= LEAST * found.flooders, name
        flooders, listed = flooders + found.flooders, listed + found.listed
    assert flooders > 1000
    assert listed >= 0.98 * flooders
