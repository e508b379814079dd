"""The configuration of the daemon: what is taken, every error and its message, where each value came from."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from floodwatch.config.keys import (
    CAPTURE,
    CONTROL,
    FLOORS,
    INTERFACE,
    METRICS,
    NOTIFY,
    RULES,
    SERVICE,
    TABLES,
    TOP,
    Table,
)  # fmt: skip
from floodwatch.config.kinds import toml
from floodwatch.config.positions import positions
from floodwatch.config.roles import Service
from floodwatch.config.schema import schema
from floodwatch.config.settings import (
    CaptureSettings,
    ControlSettings,
    Interface,
    MetricsSettings,
    Receiver,
    RuleSettings,
    Settings,
)  # fmt: skip
from floodwatch.config.toml import TOLD_MOST
from floodwatch.config.written import effective, fresh
from floodwatch.daemon.configuration import load
from floodwatch.errors import ConfigError, ConfigErrors
from floodwatch.mitigate.plan import Policy

Need = Callable[[object, str], None]
BEGIN = 'schema = 1\ninterfaces = ["eth0"]\n'
DOCS = Path(__file__).resolve().parents[1] / "floodwatch" / "docs"
BLOCK = re.compile(r"(?<=[=]{4}\n)(.*?)----\n(.*?)\n(?=[=]{4}\n)", re.DOTALL)
TABLE = (Path(__file__).parent / "wrong_configurations.txt").read_text(encoding="utf-8")
NO_TOML, SEEN_BY_SCHEMA, BEYOND_THE_SCHEMA = (
    BLOCK.findall(part) for part in re.split(r"\nWhat .*:\n", TABLE)[1:]
)
WRONG = [*NO_TOML, *SEEN_BY_SCHEMA, *BEYOND_THE_SCHEMA]


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-P", "-m", "floodwatch", "config", *words]
    return subprocess.run(program, capture_output=True, text=True, cwd=cwd, check=False)


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> str:
    """What is said of this file."""
    monkeypatch.chdir(folder)
    Path("f.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigErrors) as caught:
        load("f.toml")
    return "\n".join(caught.value.lines)


def settings(folder: Path, text: str, **more: str) -> Settings:
    """What a file says, with more of them in conf.d."""
    (folder / "conf.d").mkdir(exist_ok=True)
    (folder / "f.toml").write_text(text, encoding="utf-8")
    for name, content in more.items():
        (folder / "conf.d" / f"{name}.toml").write_text(content, encoding="utf-8")
    return load(str(folder / "f.toml")).settings


@pytest.mark.parametrize(("text", "message"), WRONG, ids=range(len(WRONG)))
def test_every_error_says_where_and_what_to_write(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(tmp_path, monkeypatch, text) == message


def test_the_table_of_errors_is_long() -> None:
    assert len(WRONG) == TABLE.count("\n----\n") >= 100
    assert len(NO_TOML) > 10


def test_the_schema_refuses_what_it_can() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    validator = jsonschema.Draft202012Validator(schema())
    for text, _ in SEEN_BY_SCHEMA:
        assert not validator.is_valid(tomllib.loads(text)), text
    for text, _ in BEYOND_THE_SCHEMA:
        assert validator.is_valid(tomllib.loads(text)), text
    assert validator.is_valid(tomllib.loads(fresh(["eth0"])))


def test_all_errors_are_told_at_once_and_no_more_than_a_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.toml").write_text("mode = 5\n[rules\n")
    (tmp_path / "conf.d" / "b.toml").write_text("[capture]\nsnaplen = 5\n")
    text = f"{BEGIN}mood = 1\n[rules]\nttl = 60\n"
    assert [line.split(":")[:2] for line in said(tmp_path, monkeypatch, text).splitlines()] == [
        ["f.toml", "3"], ["f.toml", "5"], ["conf.d/a.toml", "2"], ["conf.d/b.toml", "2"]
    ]  # fmt: skip
    many = said(tmp_path, monkeypatch, BEGIN + "".join(f"x{n} = 1\n" for n in range(500))).splitlines()
    assert len(many) == TOLD_MOST + 1
    assert many[-1] == "and 482 more errors"


@pytest.mark.parametrize(("content", "words"), [
    (b"schema = 1\n# \xff\n", "f.toml:2:3: this is no UTF-8"),
    (b"#" * (1 << 20) + b"\n", "f.toml:1:1: the file is larger than 1 MiB"),
    (b"x = " + b"[" * 100_000, "f.toml:1:1: lists or tables stand too deep"),
])  # fmt: skip
def test_what_is_no_text_is_refused(
    content: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(tmp_path, monkeypatch, content).startswith(words)


def test_a_file_that_is_not_there_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"f\.toml:1:1: there is no such file, write one with: floodwatch config"
    ):
        load(str(tmp_path / "f.toml"))


def test_files_of_the_folder_add_and_overrule(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        BEGIN
        + 'never = ["192.0.2.0/24"]\n[rules]\nttl = "30s"\nmax_blocks = 5\n[[service]]\nport = "udp/1"\n',
        b='mode = "suggest"\nnever = ["2001:db8::/32"]\nrules.ttl = "20s"\n'
        '[[service]]\nport = "tcp/80"\nlimit = 9\n',
        a='rules.ttl = "10s"\n[[interface]]\nname = "eth1"\nmode = "enforce"\n[floors]\nsyn_flood = 900\n'
        '[[notify]]\ntype = "exec"\nargv = ["/bin/true", "-x", "-x"]\ntimeout = "5s"\n',
    )
    assert (found.mode, found.never) == ("suggest", ("192.0.2.0/24", "2001:db8::/32"))
    assert found.interfaces == (Interface(name="eth0"), Interface(name="eth1", mode="enforce"))
    assert (found.rules.ttl_s, found.rules.max_blocks, found.rules.ttl_max_s) == (20.0, 5, 3600.0)
    assert [str(one) for one in found.services] == ["udp/1", "tcp/80"]
    assert (found.services[1].limit, found.limits.floors) == (9, {"syn_flood": 900.0})
    assert found.notify == (Receiver(type="exec", argv=("/bin/true", "-x", "-x"), timeout_s=5.0),)


def test_what_is_listed_is_read_as_on_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "cdn.txt").write_text("# ours\n198.51.100.0/25\n198.51.100.128/25\n")
    found = settings(
        tmp_path,
        BEGIN + f'proxies = ["192.0.2.7", "{tmp_path}/cdn.txt"]\nnat64 = ["2001:db8:64::/96"]\n'
        'false_alarms = "1/7d"\n[[service]]\nport = "udp/2055,4739"\nrole = "collector"\n'
        'network = ["10.0.0.0/8"]\ninterface = ["eth0"]\n',
    )
    assert found.proxies == (ip_network("192.0.2.7"), ip_network("198.51.100.0/24"))
    assert found.nat64 == ((0x20010DB8_00640000, 0, 96),)
    assert found.services[0].networks == (ip_network("10.0.0.0/8"),)
    assert found.services[0].interfaces == ("eth0",)
    assert found.limits.surprise is not None


def test_what_is_not_written_is_what_the_code_holds(tmp_path: Path) -> None:
    """The defaults that the manual and ``show`` tell are those of the records, and of who uses them."""
    bare = settings(tmp_path, BEGIN)
    told = "".join(
        f"[{table.name}]\n" * bool(table.name)
        + "".join(f"{k.name} = {toml(k.default)}\n" for k in table.keys if k.default is not None)
        for table in TABLES
        if table.most == 1
    ).replace("interfaces = []\n", BEGIN)
    assert settings(tmp_path, told) == bare == Settings(interfaces=(Interface(name="eth0"),))
    service = '[[service]]\nport = "udp/1"\n'
    spelled = service + 'role = "public"\nmode = "enforce"\nnetwork = []\ninterface = []\n'
    assert settings(tmp_path, BEGIN + service) == settings(tmp_path, BEGIN + spelled)
    policy = Policy()
    assert (bare.rules.ttl_s, bare.rules.ttl_max_s) == (policy.ttl_s, policy.ttl_max_s)
    assert (bare.rules.max_blocks, bare.rules.per_minute) == (policy.max_blocks, policy.per_minute)


@pytest.mark.parametrize(("record", "table"), [
    (Settings, TOP), (Interface, INTERFACE), (CaptureSettings, CAPTURE), (RuleSettings, RULES),
    (Service, SERVICE), (ControlSettings, CONTROL), (MetricsSettings, METRICS), (Receiver, NOTIFY),
])  # fmt: skip
def test_every_setting_has_its_key(record: type[Struct], table: Table) -> None:
    """Keys that are read otherwise than field by field stand in other tests."""
    keys = {key.field or key.name for key in table.keys} - {"schema", "profile", "false_alarms", "port"}
    others = {"capture", "rules", "control", "metrics", "services", "notify", "limits", "protocol", "ports"}
    assert keys == set(record.__struct_fields__) - others


@pytest.mark.parametrize("page", ["configuration.md", "install.md", "notify.md", "metrics.md"])
def test_what_the_manual_shows_is_taken(page: str, tmp_path: Path) -> None:
    for shown in re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL):
        settings(tmp_path, shown if "schema" in shown else BEGIN + shown)


def test_the_first_file_names_every_key_and_each_can_be_uncommented(tmp_path: Path) -> None:
    text = fresh(["eth0", "eth1"])
    found = settings(tmp_path, text)
    assert found == Settings(interfaces=(Interface(name="eth0"), Interface(name="eth1")))
    whole = tomllib.loads(re.sub(r"^#(?=[a-z[])", "", text, flags=re.MULTILINE))
    for table in TABLES:
        written = whole if table is TOP else whole[table.name]
        keys = set(written[0] if table.most > 1 else written) - {
            other.name for other in TABLES if table is TOP
        }
        assert keys == {key.name for key in (table.keys[:1] if table is FLOORS else table.keys)}
    never = tmp_path / "never.txt"
    never.write_text("192.0.2.0/24\n")
    for line in re.findall(r"^#[a-z].*$", text, re.MULTILINE):
        before, _, after = text.partition(f"\n{line}\n")
        if not re.search(r"^#\[\[\w+\]\]$", before.rpartition("\n\n")[2], re.MULTILINE):
            one = line[1:].replace("/etc/floodwatch/never.txt", str(never))
            settings(tmp_path, f"{before}\n{one}\n{after}")


def test_what_is_shown_says_the_same(tmp_path: Path) -> None:
    secret = tmp_path / "hook"
    secret.touch(0o600)
    text = (
        f'{BEGIN}never = ["192.0.2.0/24"]\nfalse_alarms = "1/7d"\n[floors]\nsyn_flood = 900\n'
        f'[[notify]]\ntype = "webhook"\nurl_file = "{secret}"\n[[service]]\nport = "udp/1"\n'
    )
    first = settings(
        tmp_path, text, a='never = ["192.0.2.9"]\n[[interface]]\nname = "eth1"\nmode = "suggest"\n'
    )
    shown = effective(load(str(tmp_path / "f.toml")).whole, origin=True)
    assert 'ttl = "60s"  # built in\n' in shown
    assert (
        f'never = ["192.0.2.0/24", "192.0.2.9"]  # {tmp_path}/f.toml:3, {tmp_path}/conf.d/a.toml:1\n' in shown
    )
    assert f"syn_flood = 900  # {tmp_path}/f.toml:6\n" in shown
    (tmp_path / "again").mkdir()
    assert settings(tmp_path / "again", shown) == first


@pytest.mark.parametrize(("mode", "user", "words"), [
    (0o666, 0, "everybody may write it: chmod o-w "), (0o660, 0, "the group"),
    (0o644, 12345, "it belongs to the user"),
])  # fmt: skip
def test_a_configuration_that_others_may_write_is_refused(
    mode: int, user: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: Need
) -> None:
    need(os.geteuid() == 0, "changing owners takes root")
    monkeypatch.chdir(tmp_path)
    Path("conf.d").mkdir()
    for name in ("f.toml", "conf.d/a.toml", "conf.d"):
        Path("f.toml").write_text(BEGIN)
        Path("conf.d/a.toml").write_text("")
        load("f.toml")
        before = os.stat(name).st_mode
        os.chown(name, user, 54321)
        os.chmod(name, mode | (before & 0o111))
        with pytest.raises(ConfigError, match=rf"^{re.escape(name)}:1:1: {words}"):
            load("f.toml")
        os.chown(name, 0, 0)
        os.chmod(name, before)


def test_a_secret_that_others_may_read_leaves_its_receiver_out(tmp_path: Path) -> None:
    text = BEGIN + (
        f'[[notify]]\ntype = "webhook"\nurl_file = "{tmp_path}/hook"\nsecret_file = "{tmp_path}/key"\n'
        '[[notify]]\ntype = "journald"\n'
    )
    for name in ("hook", "key"):
        (tmp_path / name).touch(0o600)
    assert [one.type for one in settings(tmp_path, text).notify] == ["webhook", "journald"]
    (tmp_path / "key").chmod(0o644)
    loaded = load(str(tmp_path / "f.toml"))
    assert [one.type for one in loaded.settings.notify] == ["journald"]
    key = tmp_path / "key"
    assert loaded.notes == (
        f"{tmp_path}/f.toml:6:15: webhook is left out: {key}: everybody may read it: chmod o-r {key}",
    )
    key.unlink()
    (note,) = load(str(tmp_path / "f.toml")).notes
    assert note.endswith("it cannot be read: No such file or directory")


KEYS = st.one_of(st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True), st.text(max_size=4))
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def written(value: object, gap: str) -> str:
    """A value as TOML, with whatever TOML allows between."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {written(v, gap)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{gap}" + "".join(f"{written(one, gap)}{gap},{gap}" for one in value) + "]"
    return toml(value)


def paths(value: object, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """All paths that lead somewhere in what was read."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path} | {found for key, inner in pairs for found in paths(inner, (*path, key))}


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.sampled_from(["", "\n", " # ]}\n", "\r\n\t"]))
def test_every_value_of_any_text_has_its_place(data: dict[str, Any], gap: str) -> None:
    tables = {key: value for key, value in data.items() if isinstance(value, dict)}
    text = "".join(f"{toml(k)} = {written(v, gap)} # {{\n" for k, v in data.items() if k not in tables)
    for name, table in tables.items():
        text += f"\n[[ {toml(name)} . t ]]\n" + "".join(
            f"{toml(k)}={written(v, gap)}\n" for k, v in table.items()
        )
        text += f"[[{toml(name)}.t]]\n"
    read, spots = tomllib.loads(text), positions(text)
    assert set(spots) | {()} == paths(read)
    lines = text.replace("\r\n", "\n").split("\n")
    for path, spot in spots.items():
        if isinstance(path[-1], str) and not isinstance(_at(read, path), dict | list):
            line, column = spot.value
            assert lines[line - 1][column - 1 :].startswith(toml(_at(read, path))[:3])


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@given(st.lists(st.sampled_from([
    *("[", "]", "[[", "]]", "{", "}", "=", ".", ",", "\n", "#", '"', "'", '"""', "\\", " ", "1", "\0"),
    *(key.name for table in TABLES if table is not FLOORS for key in table.keys),
    *(table.name for table in TABLES),
    *('"60s"', '"udp/1"', '["eth0"]', "schema = 1\n", "1979-05-27", "nan", "1e999"),
]), max_size=25))  # fmt: skip
def test_whatever_stands_there_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_text("".join(words))
    try:
        load(str(file))
    except ConfigErrors as error:
        for line in error.lines:
            assert re.match(r"/.*any\.toml:\d+:\d+: |and \d+ more", line)


def test_init_observes_and_never_overwrites(tmp_path: Path) -> None:
    run = command("init", "--root", ".", cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    file = tmp_path / "etc/floodwatch/floodwatch.toml"
    assert (file.parent / "conf.d").is_dir()
    first = file.read_bytes()
    again = command("init", "--root", ".", cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert file.read_bytes() == first
    check = command("check", str(file), cwd=tmp_path)
    assert check.returncode == 0
    assert "(observe)" in check.stdout
    assert "enforce" not in check.stdout


def test_commands_check_show_and_print_the_schema(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(BEGIN + "[rules]\ntll = 5\nmax_blocks = 0\n")
    for name in ("check", "show"):
        run = command(name, "f.toml", cwd=tmp_path)
        assert run.returncode == 2
        first, second = run.stderr.splitlines()
        assert first.startswith("floodwatch: f.toml:4:1: there is no key")
        assert second == "floodwatch: f.toml:5:14: rules.max_blocks = 0: it must be from 1 to 65,536"
    (tmp_path / "f.toml").write_text(BEGIN)
    assert "# built in" in command("show", "--origin", "f.toml", cwd=tmp_path).stdout
    assert "#" not in command("show", "f.toml", cwd=tmp_path).stdout
    assert json.loads(command("schema", "config", cwd=tmp_path).stdout) == json.loads(json.dumps(schema()))


def test_the_daemon_does_not_start_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text("schema = 1\nmode = 5\n")
    program = [sys.executable, "-P", "-m", "floodwatch", "run", "--config", "f.toml"]
    run = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 2
    assert "f.toml:2:8: mode = 5: this is a whole number" in run.stderr


@pytest.mark.slow
def test_a_fuzzed_configuration_is_read_or_refused(tmp_path: Path) -> None:
    """Twenty seconds, or as many as FLOODWATCH_FUZZ_S says."""
    chance = random.Random(52)
    corpus = [
        re.sub(r"^#(?=[a-z[])", "", fresh(["eth0"]), flags=re.MULTILINE).encode(),
        *(text.encode() for text, _ in WRONG),
    ]
    marks = [b"[", b"]]", b"{", b'"', b"'''", b"=", b".", b"\n", b"9" * 30, b"-1", b"\xff", b"\0", b"#"]
    file, tried, taken, most = tmp_path / "f.toml", 0, 0, 0
    end = time.monotonic() + float(os.environ.get("FLOODWATCH_FUZZ_S", "20"))
    while time.monotonic() < end:
        text = bytearray(chance.choice([BEGIN.encode(), *corpus]))
        for _ in range(chance.randint(1, 4)):
            at, other = chance.randrange(len(text) + 1), chance.choice(corpus)
            begin = chance.randrange(len(other))
            some = [
                chance.choice(marks),
                chance.randbytes(2),
                other[begin : begin + chance.randint(1, 200)],
                b"",
            ]
            text[at : at + chance.choice([0, 0, 1, 20])] = chance.choice(some)
        file.write_bytes(text)
        tried += 1
        try:
            found = load(str(file)).settings
        except ConfigErrors as error:
            most = max(most, len(error.lines))
            continue
        taken += 1
        assert 0 < len(found.interfaces) <= 128
        assert 10 <= found.rules.ttl_s <= found.rules.ttl_max_s <= 86_400
        assert 0 < found.rules.max_blocks <= 65_536
    assert tried > taken > 10
    assert 1 < most <= TOLD_MOST + 1
