"""Cases -> the event records that users receive, and the decisions that mitigation gets."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

import numpy as np
from msgspec.structs import replace

from ..detectors.family import Family
from ..model.address import source_cidr
from ..model.decision import SOURCE_RATES, Decision, Protection, Suspect, prove
from ..model.epoch import EPOCH_NS, EPOCHS_PER_SECOND, rfc3339
from ..model.event import (
    FLOODS,
    Action,
    Advice,
    CountBounds,
    Counted,
    Estimate,
    Event,
    Origin,
    Pattern,
    Rate,
    Sources,
    State,
    Stretch,
    TopSource,
    Verdict,
    Victim,
)
from ..model.finding import SEEN_SHARE, SourceCount
from ..model.vector import protocol_number
from . import judge
from .case import Case, winner
from .distinct import estimate, estimate_own, without_clients
from .greeters import Greeters, Says
from .seeing import UNKNOWN, Seen
from .showing import selection
from .through import for_shared, proxies_of, through_a_proxy

TIMELINE = 60
UNLISTED = 56
"""Packets in a window below which a source may not be listed (fw_epoch.c: the gate of a full window)."""
RAMP_EPOCHS = 20
PROTECTIONS: dict[Action, Protection] = {
    "drop_reflector_port": "reflected",
    "syn_cookies": "cookies",
    "cap_unknown": "capped",
}
"""What stands before a victim where the advice says it all; else its family knows."""
WEAK: tuple[Action, str] = (
    "observe",
    "it stays below the floors from which size does harm, and no source is proven real: a rule could cost "
    "more than it saves",
)
"""What is advised where only evidence that adds up names it."""
SEEN_TOLD = 5
"""Sources that are told of where none is proven."""
NOT_PROVEN: frozenset[Origin] = frozenset({"unknown", "mixed"})
"""Origins of floods whose addresses show nothing, and may be those of the senders."""
NO_SOURCES = np.zeros(1024, np.uint8)


def protection(action: Action, family: Family[Any]) -> Protection | None:
    """What may stand before the victim of such a flood, given what is advised."""
    by_signature = action in ("drop_signature", "limit_victim")
    return family.protection if by_signature else PROTECTIONS.get(action)


class Meaning:
    """What a case means by now: its facts, whose addresses the sources are, and what to do.

    Attributes:
        case: it, with what the open window proved added up.
        verdict: a crowd that nothing shows to be people is unclear.
        distinct: sources of the excess, and ...
        everybody: ... those of all packets of the same class.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.facts = case.gathered.merged()
        registers = np.ascontiguousarray(case.sources) if case.sources is not None else NO_SOURCES
        self.distinct = (
            estimate(registers, 10) if case.own is None else estimate_own(registers, case.own.mine)
        )
        self.everybody = float(self.distinct.est)
        self.origin: Origin = case.family.origin(self.facts, float(case.count), self.everybody)
        if self.origin == "real" and case.settled:  # the set also holds those who only visit
            named = len(case.settled)
            self.distinct = Estimate(est=named, lo=named, hi=max(named, self.distinct.hi))
        else:
            clients = case.family.clients
            self.distinct = without_clients(self.distinct, clients and clients(self.facts))
        unclear = case.verdict == "crowd" and not case.family.people(self.facts)
        self.verdict: Verdict = "unclear" if unclear else case.verdict
        self.path = winner(case.paths, case.count)
        self.action, self.why = case.family.advice(self.facts, self.origin, self.path is not None)
        if case.weak and self.origin != "real":
            self.action, self.why = WEAK
        if case.via or case.spared:
            self.action, self.why = through_a_proxy(case, self.action, self.why)
        elif self.action == "drop_sources" and not case.settled:
            self.action, self.why = "cap_unknown", "no single source stands out, so cap unknown clients"
        self.action, self.why = for_shared(case, self.action, self.why)

    @property
    def reflector_ports(self) -> tuple[int, ...]:
        """Ports that reflectors answer from."""
        return self.case.family.reflectors(self.case.vector, self.facts)

    def sources(self) -> list[SourceCount]:
        """The sources that may be named, heaviest first; a network stands for the hosts in it.

        Of a source that was not listed in every window the upper bound is that of those windows, and what it
        can have sent unlisted.
        """
        settled = self.case.settled.values()
        wide = {(s.v6, s.behind, s.source >> s.behind) for s in settled if s.behind}
        depths = {(v6, behind) for v6, behind, _ in wide}

        def within(source: SourceCount) -> bool:
            return any(
                v6 == source.v6 and behind > source.behind and (v6, behind, source.source >> behind) in wide
                for v6, behind in depths
            )

        named = sorted((s for s in settled if not within(s)), key=lambda s: (-s.lo, s.v6, s.source, s.low))
        listed = sum(source.lo for source in named)
        return [self._bounded(source, listed) for source in named]

    def _bounded(self, source: SourceCount, listed: int) -> SourceCount:
        windows, sent = self.case.windows, self.case.family.sent
        if source.windows >= windows:
            return source
        if sent is None:
            return replace(source, hi=source.hi + UNLISTED * (windows - source.windows))
        return replace(source, hi=max(source.hi, source.lo + max(int(sent(self.facts)) - listed, 0)))


def decide(case: Case) -> Decision:
    """What is to be done about a flood, with the proof of its sources where there is one."""
    meaning = Meaning(case)
    proven = meaning.origin == "real" and meaning.action in SOURCE_RATES
    shaken = [source for source in meaning.sources() if source.proof == "handshake"]
    direct = not (case.via or case.spared)
    return Decision(
        id=case.id,
        vector=case.vector,
        origin=meaning.origin,
        action=meaning.action,
        victim=ipaddress.ip_network(case.where),
        protocol=protocol_number(case.protocol),
        port=case.port,
        reflector_ports=meaning.reflector_ports,
        protection=protection(meaning.action, case.family) if direct else None,
        usual=case.baseline or 0.0,
        sources=tuple(map(_suspect, shaken)) if proven else (),
        proof=prove(case.id) if proven and shaken else None,
    )


def _suspect(source: SourceCount) -> Suspect:
    return Suspect(source.network, source.lo, source.hi, source.shared)


def tell(
    case: Case,
    overlapping: Iterable[Case],
    path: str,
    last_epoch: int,
    top: int,
    unfinished: State = "cut",
    seen: Seen = UNKNOWN,
    says: Says | None = None,
) -> Event:
    """The event of a case.

    Args:
        case: it, with what the open window proved added up.
        overlapping: the other cases at the same victim at the same time.
        path: what events name as their input.
        last_epoch: the newest epoch that was judged.
        top: length of the ``sources.top`` list; 0 is all.
        unfinished: the state of what goes on.
        seen: how it was captured.
        says: the texts of fingerprints and names; None: none are told.
    """
    meaning, family = Meaning(case), case.family
    peak, seconds = float(case.peak), max((case.last_ns - case.first_ns) / 1e9, 1.0)
    listed = meaning.origin in ("real", "reflected") and case.verdict in FLOODS
    forged = judge.forged_share(family, meaning.facts, case.count, meaning.everybody)
    low, high = case.bounded(TIMELINE)
    event = Event(
        id=case.id,
        input=path,
        seq=1 + int(seconds // 60),
        vector=case.vector,
        verdict=meaning.verdict,
        severity=judge.severity(family, peak, case.bytes * 8 / seconds / 1e6),
        confidence=judge.confidence(
            family, meaning.facts, count=case.count, epochs=case.epochs, one_way=case.one_way, seen=seen
        ),
        state="ended" if case.ended(last_epoch) else unfinished,
        pattern=_pattern(case),
        linked=tuple(other.id for other in overlapping),
        capture=seen.info(),
        victim=_victim(case, meaning, says),
        first=rfc3339(case.first_ns),
        detected=rfc3339(case.detected_ns),
        last=rfc3339(case.last_ns),
        rate=_rate(case, peak),
        packets=case.count,
        bytes=case.bytes,
        sources=Sources(
            origin=meaning.origin,
            distinct=meaning.distinct,
            forged_share=forged if meaning.origin == "forged" else None,
            top=_top(case, meaning, top, says) if listed else (),
            reflector_ports=meaning.reflector_ports,
            via=proxies_of(case) if case.verdict in FLOODS else (),
            seen=_seen(case) if meaning.origin in NOT_PROVEN and case.verdict == "attack" else (),
        ),
        evidence=judge.evidence(
            family,
            meaning.facts,
            rate=peak,
            usual=case.baseline,
            one_way=case.one_way,
            floor=case.floor,
            held=case.held,
            limit=case.limit,
            seen=seen,
        ),
        action=Advice(recommended=meaning.action, why=meaning.why, taken="none"),
        fingerprints=case.greeters.told(says) if case.greeters and says else (),
        counted=_counted(case),
        timeline=case.timeline(TIMELINE),
        timeline_lo=low,
        timeline_hi=high,
        technique=family.technique,
    )
    return replace(event, display_filter=selection(event).words())


def _victim(case: Case, meaning: Meaning, says: Says | None) -> Victim:
    victim = Victim(ip=case.where, port=case.port, protocol=case.protocol, path=meaning.path)
    greeters = case.greeters or Greeters()
    name = winner(greeters.names, greeters.hellos)
    text = says.name(name) if says and name else None
    if name is None or not text:
        return victim
    return replace(victim, sni=text, sni_outer=greeters.is_outer(name))


def _rate(case: Case, peak: float) -> Rate:
    usual = None if case.baseline is None else round(case.baseline, 1)
    rate = Rate(peak=peak, unit=case.family.unit, baseline=usual)
    if case.bounds is None:
        return rate
    low, high = case.bounds
    return replace(rate, estimated=True, lo=round(low.peak, 1), hi=round(high.peak, 1))


def _counted(case: Case) -> Counted:
    stretches = tuple(
        Stretch(first=rfc3339(first * EPOCH_NS), until=rfc3339(end * EPOCH_NS))
        for first, end in case.stretches
    )
    return Counted(seconds=case.quarters / EPOCHS_PER_SECOND, stretches=stretches)


def _pattern(case: Case) -> tuple[Pattern, ...]:
    carpet: tuple[Pattern, ...] = () if case.prefix is None else ("carpet",)
    return (*carpet, *_course(case))


def _course(case: Case) -> tuple[Pattern, ...]:
    if case.pulses > 1 or case.course.pulses():
        return ("pulse",)
    rates = case.timeline(10)
    if len(rates) >= 6 and case.last_ns - case.first_ns >= RAMP_EPOCHS * EPOCH_NS:
        third = len(rates) // 3
        if sum(rates[-third:]) > 3 * sum(rates[:third]):
            return ("ramp",)
    return ("steady",)


def _top(case: Case, meaning: Meaning, limit: int, says: Says | None) -> tuple[TopSource, ...]:
    sources, real = meaning.sources(), meaning.origin == "real"
    total = max(case.count, sum(source.lo for source in sources), 1)
    named = sources[: limit or None]
    return tuple(_named(source, total, real, says.ja4(source.ja4) if says else None) for source in named)


def _seen(case: Case) -> tuple[TopSource, ...]:
    """The few that certainly sent a share of it worth naming; nothing is done against them."""
    least = max(SEEN_SHARE * case.count, 1)
    loud = sorted(case.seen.values(), key=lambda s: (-s.lo, s.v6, s.source, s.low))[:SEEN_TOLD]
    return tuple(_named(source, case.count, False) for source in loud if source.lo >= least)


def _named(source: SourceCount, total: int, proven: bool, ja4: str | None = None) -> TopSource:
    return TopSource(
        cidr=source_cidr(source.network),
        share=round(source.lo / max(total, 1), 4),
        count=CountBounds(lo=source.lo, hi=source.hi),
        proof=source.proof if proven else None,
        shared=source.shared,
        ja4=ja4,
    )


def sort_key(event: Event) -> tuple[str, str, str]:
    """Order of events in a report: by onset, then by name."""
    return event.first, event.input, event.id
