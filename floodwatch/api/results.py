"""``scan`` for programs, and the report with the methods a notebook wants."""

from __future__ import annotations

import html
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..config import limits
from ..config.nat64 import translators
from ..config.options import ScanOptions
from ..config.proxies import read_proxies
from ..detectors import least_floor
from ..model import report as records
from ..pipeline import scan as pipeline
from ..report.formats import FORMATS, Shown

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore]

Capture = str | os.PathLike[str]


class Report(records.Report, frozen=True, kw_only=True):
    """The answer of a scan: ``floods``, ``crowds`` and ``surges`` (see ``Event``), ``inputs``, ``totals``.

    >>> import floodwatch as fw
    >>> report = fw.scan("pcaps/syn_flood.pcap.gz")
    >>> [flood.vector.value for flood in report.floods]
    ['syn_flood']
    """

    def to_json(self) -> str:
        """The report as ``floodwatch scan --format json`` prints it."""
        return FORMATS["json"].report(self, Shown()).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Report:
        """The report that ``to_json`` or ``floodwatch scan --format json`` wrote.

        Raises:
            InputError: the text is none (``code`` is ``no_report``).

        >>> import floodwatch as fw
        >>> report = fw.scan("pcaps/syn_flood.pcap.gz")
        >>> fw.Report.from_json(report.to_json()) == report
        True
        """
        from ..report.json import load

        return load(text, "the text", cls)

    def to_text(self) -> str:
        """The report as ``floodwatch scan`` prints it, without colour."""
        return FORMATS["text"].report(self, Shown()).decode()

    def to_html(self, path: Capture | None = None) -> str:
        """The report as the one page that ``floodwatch scan --report`` writes; also to ``path`` if given.

        Raises:
            OSError: it cannot be written.
        """
        page = FORMATS["html"].report(self, Shown()).decode()
        if path is not None:
            Path(path).write_text(page, "utf-8")
        return page

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each event, nested fields as ``victim.ip``; times are UTC. pandas is needed."""
        import pandas

        rows = [msgspec.to_builtins(event) for event in self.events()]
        frame = pandas.json_normalize(rows)
        for name in ("first", "detected", "last"):
            if name in frame:
                frame[name] = pandas.to_datetime(frame[name], utc=True, format="ISO8601")
        return frame

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"


def scan(
    capture: Capture | Sequence[Capture],
    *,
    filter: str | None = None,  # noqa: A002 (the contract's name)
    jobs: int | None = None,
    seed: bytes | None = None,
    top: int = 0,
    merge: bool = False,
    baseline: str | os.PathLike[str] | None = None,
    floors: Mapping[str, float] | None = None,
    false_alarms: str | None = None,
    profile: str = "default",
    proxies: Sequence[str] = (),
    nat64: Sequence[str] = (),
    keylog: str | os.PathLike[str] | None = None,
    progress: pipeline.OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Look for floods in captures, each analysed on its own or, with ``merge``, all on one clock.

    Args:
        capture: one path or several: files, directories of captures, ``-`` for standard input.
        filter: a BPF expression as of tcpdump; other packets are not counted.
        jobs: threads, None for one a usable core; never changes the answer.
        seed: 16 bytes for the hash key; the same seed gives the same report. None takes a random key.
        top: sources to list for each flood; 0 lists all.
        merge: analyse all captures as one, their packets by time.
        baseline: a file that ``floodwatch scan --save-baseline`` kept: clients and usual rates to begin with.
        floors: rates a second, in its unit, below which a vector is not named; not below the built-in ones.
        false_alarms: a budget as ``1/30d``, for limits above what is usual (see ``config.limits``).
        profile: a budget by its name, ``default``, ``sensitive`` or ``strict``.
        proxies: networks of proxies, or files of them: they are looked past (see ``config.proxies``).
        nat64: prefixes of NAT64 beside the well-known ones, as ``2001:db8:64::/96``.
        keylog: a file of TLS secrets (SSLKEYLOGFILE): what they open is read as clear text.
        progress: called now and then, possibly from another thread.
        stop: set it to end early with ``complete`` false.

    Returns:
        The report. A missing or damaged capture raises nothing: it has ``inputs[i].error``.

    Raises:
        ConfigError: the filter, a limit, a proxy or a prefix is wrong, or the baseline or the key log cannot
            be read.
        EnvironmentFault: the key log needs the package cryptography (extra ``decrypt``), which is missing.
        ValueError: ``jobs`` is less than 1, ``top`` negative, or the seed not of 16 bytes.
    """
    if (jobs is not None and jobs < 1) or top < 0:
        raise ValueError("jobs is at least 1, and top at least 0")
    several = [capture] if isinstance(capture, str | os.PathLike) else capture
    workers = len(os.sched_getaffinity(0)) if jobs is None else jobs
    kept = None if baseline is None else os.fspath(baseline)
    options = ScanOptions(
        filter=filter, jobs=workers, seed=seed, top=top, merge=merge, baseline=kept,
        limits=limits.ask(floors or {}, false_alarms, least_floor, profile), nat64=translators(nat64),
        proxies=read_proxies(proxies), keylog=None if keylog is None else os.fspath(keylog),
    )  # fmt: skip
    report = pipeline.scan([os.fspath(path) for path in several], options, on_progress=progress, stop=stop)
    return Report(**{name: getattr(report, name) for name in report.__struct_fields__})
