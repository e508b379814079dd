"""The command line: exit codes, filter words, output files, signals, and how little ``--help`` imports."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pytest

import floodwatch
from floodwatch import cli
from floodwatch.cli.progress import bar
from floodwatch.config import durations
from floodwatch.config.options import Progress, ScanOptions
from floodwatch.errors import ConfigError, EnvironmentFault, InputError
from floodwatch.model.event import Advice, CaptureInfo, Estimate, Event, Rate, Sources, Victim
from floodwatch.model.report import Input, InputFault, Report, Settings, Tool, Totals
from floodwatch.model.vector import Vector
from floodwatch.report.json import dump

replace = msgspec.structs.replace

HEAVY = {"numpy", "scapy", "pyroute2", "rich", "msgspec"}
NONE = Estimate(est=0, lo=0, hi=0)
CLEAN = Report(
    tool=Tool(name="floodwatch", version="0.1.0"), complete=True,
    inputs=(Input(path="a.pcap", format="pcap", linktypes=("EN10MB",), packets=9, bytes=900, rejected={},
                  first="2025-01-27T02:13:07Z", last="2025-01-27T02:14:07Z", duration_s=1.0, one_way=False,
                  error=None),),
    settings=Settings(profile="default", epoch_s=0.25, seeded=False, filter=None),
    totals=Totals(packets=9, bytes=900, duration_s=60.0, sources=NONE, skipped=0), floods=(), crowds=(),
)  # fmt: skip
FLOOD = Event(
    id="x", input="a.pcap", seq=0, vector=Vector.UDP_FLOOD, verdict="attack", severity="high", confidence=0.9,
    state="ended", pattern=(), linked=(), capture=CaptureInfo(interface=None, unseen_share=0.0),
    victim=Victim(ip="198.51.100.7", port=None, protocol="udp", path=None), first="2025-01-27T02:13:08Z",
    detected="2025-01-27T02:13:08Z", last="2025-01-27T02:13:09Z", packets=1, bytes=1,
    rate=Rate(peak=1.0, unit="packet/s", baseline=None),
    sources=Sources(origin="unknown", distinct=NONE, forged_share=None, top=()), evidence=(),
    action=Advice(recommended="observe", why="", taken="none"), timeline=(),
)  # fmt: skip
BROKEN = replace(CLEAN, inputs=(replace(CLEAN.inputs[0], error=InputFault(
    code="truncated_record", offset=4096, message="the last record is cut short")),))  # fmt: skip
FLOODED = replace(CLEAN, floods=(FLOOD,))
FLOODED_BROKEN = replace(BROKEN, floods=(FLOOD,))

CHILD = """
import sys, threading, types
import msgspec
from floodwatch.model.report import Report
fake = types.ModuleType("floodwatch.pipeline.scan")
def scan(paths, options, *, on_progress=None, on_change=None, on_sources=None, on_memory=None, stop=None):
    report = msgspec.json.decode(open(sys.argv[1], "rb").read(), type=Report)
    if paths[0] == "wait":
        print("ready", file=sys.stderr, flush=True)
        return msgspec.structs.replace(report, complete=not stop.wait(30))
    return report
fake.scan = scan
sys.modules["floodwatch.pipeline.scan"] = fake
from floodwatch.cli import main
main(sys.argv[2:], prog_name="floodwatch")
"""


class FakePipeline:
    """Stands in for ``floodwatch.pipeline.scan`` and remembers how it was called."""

    def __init__(self) -> None:
        self.answer: Report | Exception = CLEAN
        self.paths: tuple[str, ...] = ()
        self.options = ScanOptions()
        self.before: Callable[[], None] = lambda: None

    def scan(
        self, paths: Any, options: ScanOptions, *, on_progress: Any, on_change: Any, on_sources: Any,
        on_memory: Any, stop: threading.Event,
    ) -> Report:  # fmt: skip
        self.paths, self.options = tuple(paths), options
        self.before()
        if isinstance(self.answer, Exception):
            raise self.answer
        return replace(self.answer, complete=not stop.is_set())


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    fake = FakePipeline()
    module: Any = types.ModuleType("floodwatch.pipeline.scan")
    module.scan = fake.scan
    monkeypatch.setitem(sys.modules, "floodwatch.pipeline.scan", module)
    monkeypatch.chdir(tmp_path)
    return fake


def run(*args: str) -> int:
    """Call the command line in this process; returns the exit code."""
    with pytest.raises(SystemExit) as caught:
        cli.main(list(args), prog_name="floodwatch")
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start the command line in a process of its own, with a pipeline that answers with a given report."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    started: list[subprocess.Popen[bytes]] = []

    def start(report: Report, *args: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[bytes]:
        (tmp_path / "answer.json").write_bytes(dump(report))
        command = [sys.executable, str(script), str(tmp_path / "answer.json"), *args]
        started.append(subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("answer", "options", "code"),
    [
        (CLEAN, [], 0),
        (CLEAN, ["--strict"], 0),
        (FLOODED, [], 1),
        (FLOODED, ["--exit-zero"], 0),
        (replace(CLEAN, crowds=(replace(FLOOD, verdict="crowd"),)), [], 0),
        (BROKEN, [], 3),
        (BROKEN, ["--exit-zero"], 3),
        (FLOODED_BROKEN, [], 1),
        (FLOODED_BROKEN, ["--strict"], 3),
        (FLOODED_BROKEN, ["--strict", "--exit-zero"], 3),
        (FLOODED_BROKEN, ["--exit-zero"], 0),
        (ConfigError("bad filter"), [], 2),
        (InputError("a.pcap", "gone", "no such file"), [], 3),
        (EnvironmentFault("no libpcap"), [], 4),
        (OSError(28, "No space left on device"), [], 4),
    ],
)
def test_exit_codes(
    pipeline: FakePipeline, answer: Report | Exception, options: list[str], code: int
) -> None:
    pipeline.answer = answer
    assert run("scan", "a.pcap", *options) == code


def test_errors_are_one_escaped_line(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.answer = ConfigError("unknown word \x1b[2J\nin the filter")
    assert run("scan", "a.pcap") == 2
    assert capsys.readouterr() == ("", "floodwatch: unknown word \\x1b[2J\\x0ain the filter\n")


def test_input_errors_name_file_offset_and_cause(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.answer = BROKEN
    assert run("scan", "a.pcap", "-q") == 3
    expected = "floodwatch: a.pcap: byte 4096: the last record is cut short (truncated_record)\n"
    assert capsys.readouterr().err == expected


def test_a_bug_is_not_reported_as_a_flood(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.answer = ZeroDivisionError("oops")
    assert run("scan", "a.pcap") == 4
    assert capsys.readouterr().err.endswith(
        "floodwatch: this is a bug, please report it with the lines above\n"
    )


@pytest.mark.parametrize(
    "args",
    [["scan"], ["scan", "--", "tcp"], ["scan", "a.pcap", "--nonsense"], ["scan", "a", "--jobs", "0"],
     ["scan", "a.pcap", "--seed", "xyz"], ["scan", "a.pcap", "--seed", "00 " * 16],
     ["scan", "a.pcap", "--format", "xml"], ["scan", "a.pcap", "-f", "tcp", "--", "udp"], ["nonsense"],
     ["scan", "a.pcap", "-F", "missing-file"]],
)  # fmt: skip
def test_usage_errors_are_2(pipeline: FakePipeline, args: list[str]) -> None:
    assert run(*args) == 2
    assert pipeline.paths == ()


def test_a_wrong_seed_is_not_repeated(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    run("scan", "a.pcap", "--seed", "deadbeef" * 3)
    assert "deadbeef" not in capsys.readouterr().err


def test_options_reach_the_pipeline(pipeline: FakePipeline) -> None:
    run("scan", "a.pcap", "-r", "b.pcap", "--seed", "0f" * 16, "--jobs", "3", "--top", "0", "--recursive",
        "--max-expand", "7", "-f", "udp port 53")  # fmt: skip
    assert pipeline.options == ScanOptions(
        filter="udp port 53", recursive=True, jobs=3, seed=b"\x0f" * 16, max_expand=7, top=0
    )
    run("scan", "a.pcap")
    assert pipeline.options == ScanOptions(jobs=len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("args", "paths", "expression"),
    [
        (["real.pcap", "--", "tcp", "port", "80"], ["real.pcap"], "tcp port 80"),
        (["real.pcap", "--", "real.pcap"], ["real.pcap"], "real.pcap"),
        (["real.pcap", "--", "-q", "--"], ["real.pcap"], "-q --"),
        (["real.pcap", "missing.pcap"], ["real.pcap", "missing.pcap"], None),
        (["tcp", "port", "80"], ["tcp", "port", "80"], None),
        (["-r", "real.pcap", "tcp", "port", "80"], ["real.pcap"], "tcp port 80"),
        (["tcp", "-r", "real.pcap", "port", "80"], ["real.pcap"], "tcp port 80"),
        (["-r", "real.pcap", "src", "host", "10.0.0.1"], ["real.pcap"], "src host 10.0.0.1"),
        (["-r", "real.pcap", "other.pcap", "src"], ["real.pcap", "other.pcap", "src"], None),
        (["-r", "real.pcap", "other.pcap", "udp"], ["real.pcap", "other.pcap"], "udp"),
        (["-r", "missing.pcap", "-"], ["missing.pcap", "-"], None),
        (["-r", "real.pcap", "-F", "filter.txt"], ["real.pcap"], "tcp and port 80"),
        (["-r", "real.pcap", "--"], ["real.pcap"], None),
        (["-r", "real.pcap", "-f", "udp", "missing.pcap"], ["real.pcap", "missing.pcap"], "udp"),
    ],
)
def test_filter_words(
    pipeline: FakePipeline, tmp_path: Path, args: list[str], paths: list[str], expression: str | None
) -> None:
    for name in ("real.pcap", "other.pcap"):
        (tmp_path / name).touch()
    (tmp_path / "src").mkdir()
    (tmp_path / "filter.txt").write_text("# web only\ntcp and # really\n  port 80\n")
    assert run("scan", *args) == 0
    assert (list(pipeline.paths), pipeline.options.filter) == (paths, expression)


def test_json_goes_to_stdout_and_nothing_else(
    pipeline: FakePipeline, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    pipeline.answer = FLOODED
    assert run("scan", "a.pcap", "--format", "json") == 1
    assert capfdbinary.readouterr() == (dump(FLOODED), b"")


def test_text_is_plain_when_piped(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline.answer = FLOODED
    run("scan", "a.pcap")
    page = capsys.readouterr().out
    assert "1 FLOOD\n 1  UDP flood" in page
    assert page.isascii()
    assert "\x1b" not in page
    run("scan", "a.pcap", "--color", "always")
    assert "\x1b[31mHIGH\x1b[0m" in capsys.readouterr().out


def test_output_is_replaced_in_one_step(
    pipeline: FakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    seen: list[str] = []
    real_replace = os.replace

    def observe(source: str, destination: str) -> None:
        seen.append(target.read_text())
        assert json.loads(Path(source).read_bytes())["complete"] is True
        real_replace(source, destination)

    monkeypatch.setattr(os, "replace", observe)
    assert run("scan", "a.pcap", "--format", "json", "-o", "report.json") == 0
    assert seen == ["old"]
    assert target.read_bytes() == dump(CLEAN)
    assert os.listdir(tmp_path) == ["report.json"]


def test_failed_output_is_4_and_keeps_the_old_file(
    pipeline: FakePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: str, destination: str) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "report.txt").write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    assert run("scan", "a.pcap", "-o", "report.txt") == 4
    assert (tmp_path / "report.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("target", ["missing/report.txt", "."])
def test_bad_output_is_4_before_anything_is_read(pipeline: FakePipeline, target: str) -> None:
    assert run("scan", "a.pcap", "-o", target) == 4
    assert pipeline.paths == ()


def test_output_never_overwrites_a_capture(pipeline: FakePipeline, tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_text("evidence")
    (tmp_path / "link").symlink_to("a.pcap")
    assert run("scan", "a.pcap", "-o", "link") == 2
    assert (tmp_path / "a.pcap").read_text() == "evidence"


def test_output_to_a_pipe_does_not_replace_it(pipeline: FakePipeline, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    assert run("scan", "a.pcap", "--format", "json", "-o", "fifo") == 0
    reader.join(10)
    assert received == [dump(CLEAN)]
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_in_process_gives_a_partial_report(
    pipeline: FakePipeline, capsys: pytest.CaptureFixture[str], number: int, code: int
) -> None:
    before = signal.getsignal(number)
    pipeline.before = lambda: signal.raise_signal(number)
    assert run("scan", "a.pcap", "--format", "json") == code
    assert json.loads(capsys.readouterr().out)["complete"] is False
    assert signal.getsignal(number) is before


def test_second_signal_ends_at_once(pipeline: FakePipeline, capsys: pytest.CaptureFixture[str]) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)

    pipeline.before = twice
    assert run("scan", "a.pcap") == 143
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_to_a_running_scan(child: Any, number: int, code: int) -> None:
    process = child(FLOODED, "scan", "wait", "--format", "json")
    assert process.stderr.readline() == b"ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert json.loads(out)["complete"] is False
    assert err == b""


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["scan", "a.pcap"], 1),
        (["scan", "a.pcap", "--exit-zero"], 0),
        (["config", "schema"], 0),
        (["--help"], 141),
        (["scan", "--help"], 141),
        (["version"], 141),
    ],
)
def test_broken_pipe_is_quiet_and_no_flood(child: Any, args: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = child(FLOODED, *args, stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=20)[1] == b""
    assert process.returncode == code


def test_full_disk_on_stdout_is_4(child: Any) -> None:
    with open("/dev/full", "wb") as full:
        process = child(FLOODED, "scan", "a.pcap", stdout=full)
        err = process.communicate(timeout=20)[1]
    assert err == b"floodwatch: cannot write to standard output: No space left on device\n"
    assert process.returncode == 4


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["version"], ["scan", "--help"]])
def test_help_and_version_import_nothing_heavy(tmp_path: Path, args: list[str]) -> None:
    code = (
        "import sys; from floodwatch.cli import main; main(sys.argv[1:], standalone_mode=False);"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert not HEAVY & set(done.stderr.split())
    assert done.stdout


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_cost_little_more_than_click_itself(tmp_path: Path, option: str) -> None:
    # Processor time and not wall time, and against another in turns: machines differ, and other tests run.
    def cost(code: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", code, option]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ours, click = "from floodwatch.cli import main; main()", "import click"
    costs = [(cost(ours), cost(click)) for _ in range(11)]
    assert min(mine for mine, _ in costs) < 2 * min(least for _, least in costs)  # 1.4 to 1.6 were seen


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    top = capsys.readouterr().out
    for word in ("scan", "gen", "config", "version", "Exit codes:", "Examples:"):
        assert word in top
    assert run("scan", "-h") == 0
    page = capsys.readouterr().out
    assert "floodwatch scan -r edge.pcap -- tcp port 443" in page
    assert "130  interrupted (143: terminated)" in page
    assert "--max-expand N" in page


@pytest.mark.parametrize(
    ("args", "near"),
    [
        (["scna"], "scan"),
        (["scan", "--sinc", "3", "x.pcap"], "--since"),
        (["gen", "syn-flod", "-w", "x.pcap"], "syn_flood"),
        (["scan", "--set", "syn_flod=5k/s", "x.pcap"], "syn_flood"),
    ],
)
def test_who_misspells_is_told_what_is_near(
    args: list[str], near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*args) == 2
    said = capsys.readouterr().err
    assert near in said.partition("id you mean")[2], said


@pytest.mark.parametrize(
    ("text", "rate"), [("900", 900.0), ("900/s", 900.0), ("5k/s", 5e3), ("1.5M", 1.5e6), ("0.5k/s", 500.0)]
)
def test_a_rate_has_units(text: str, rate: float) -> None:
    assert durations.rate(text) == rate
    with pytest.raises(ConfigError, match="5k/s"):
        durations.rate(f"{text}/h")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("14", 14.0), ("0.5", 0.5), (".25", 0.25), ("0", 0.0), ("14s", 14.0), ("500ms", 0.5), ("1.5h", 5400.0)],
)
def test_a_time_has_units(text: str, seconds: float) -> None:
    assert durations.length(text) == seconds
    with pytest.raises(ConfigError, match="14s"):
        durations.length(f"{text} years")


@pytest.mark.parametrize(
    ("text", "unit", "count"),
    [("64", "MiB", 64), ("64MiB", "MiB", 64), ("2GiB", "MiB", 2048), ("1.5kB", "B", 1500), ("96b", "B", 96)],
)
def test_a_size_has_units(text: str, unit: str, count: int) -> None:
    assert durations.size(text, unit) == count
    with pytest.raises(ConfigError, match="64MiB"):
        durations.size(f"{text}it", unit)
    with pytest.raises(ConfigError, match="whole number of MiB"):
        durations.size("64MB", "MiB")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["watch", "-i", "lo", "--duration", "1y"], "give a time like 14s"),
        (["watch", "-i", "lo", "--duration", "-1"], "give a time like 14s"),
        (["watch", "-i", "lo", "--ring-mb", "5GiB"], "it must be from 2MiB to 4GiB"),
        (["watch", "-i", "lo", "--ring-mb", "many"], "give a size like 512KiB"),
        (["watch", "-i", "lo", "--snaplen", "95"], "it must be from 96B to 65535B"),
        (["gen", "clean", "-w", "x.pcap", "--duration", "0"], "it must be more than 0"),
        (["gen", "clean", "-w", "x.pcap", "--pps", "5k/h"], "give a rate like 900, 900/s or 5k/s"),
        (["gen", "clean", "-w", "x.pcap", "--snaplen", "1.5"], "give a whole number of B"),
        (["ctl", "block", "192.0.2.1", "--for", "long"], "give a time like 90s"),
        (["scan", "--set", "syn_flood=fast", "x.pcap"], "5k/s"),
    ],
)
def test_who_misspells_a_quantity_is_shown_how(
    args: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*args) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert says in said


def test_quantities_with_units_are_the_plain_ones(tmp_path: Path) -> None:
    made = []
    for name, quantities in (("plain", ("300", "2", "128")), ("units", ("0.3k/s", "2s", "128B"))):
        made.append(tmp_path / f"{name}.pcap")
        options = zip(("--pps", "--duration", "--snaplen"), quantities, strict=True)
        assert run("gen", "udp_flood", "-w", str(made[-1]), *(word for two in options for word in two)) == 0
    assert made[0].read_bytes() == made[1].read_bytes()


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    program = Path(sys.executable).parent
    script = tmp_path / "floodwatch.bash"
    asked = subprocess.run(
        [program / "floodwatch", "completion", "bash"], capture_output=True, text=True, check=True
    )
    script.write_text(
        asked.stdout
        + """
for words in "sca" "scan --sinc"; do
  COMPREPLY=(); COMP_WORDS=(floodwatch $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _floodwatch_completion floodwatch "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
  echo "${COMPREPLY[@]}"
done
"""
    )
    path = f"{program}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", script], capture_output=True, text=True, check=True, env={**os.environ, "PATH": path}
    )
    assert done.stdout.split() == ["scan", "--since"], done.stderr


def test_version_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["version"], ["--version"], ["-V"]):
        assert run(*args) == 0
        assert capsys.readouterr().out == f"floodwatch {floodwatch.__version__}\n"
    try:
        installed = metadata.version("floodwatch")
    except metadata.PackageNotFoundError:
        pytest.skip("runs from the source tree")
    assert installed == floodwatch.__version__


def test_config_schema_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("config", "schema") == 0
    first = capsys.readouterr().out
    assert run("config", "schema", "report") == 0
    assert capsys.readouterr().out == first
    assert json.loads(first)["title"] == "floodwatch.report/1"


def test_gen_is_imported_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    import click

    @click.command()
    def gen() -> None:
        raise ConfigError("called")

    module: Any = types.ModuleType("floodwatch.cli.gen")
    module.gen = gen
    monkeypatch.setitem(sys.modules, "floodwatch.cli.gen", module)
    assert run("gen") == 2


def test_progress_bar_only_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("auto") as report:
        assert report is None, "standard error is no terminal here"
    with bar("never") as report:
        assert report is None
    assert capsys.readouterr().err == ""


def test_progress_bar_draws_hostile_names_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("always") as report:
        assert report is not None
        report(Progress("dir/[bold]\x1b]0;evil.pcap", 10, 100, 5, False))
        report(Progress("-", 10, None, 5, False))
        report(Progress("dir/[bold]\x1b]0;evil.pcap", 100, 100, 50, True))
        report(Progress("never-opened", 0, 0, 0, True))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\x1b]0;" not in captured.err
