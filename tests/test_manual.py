"""The manual pages that a build makes: one for every command, each option in it, and roff without a fault."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from floodwatch.cli import COMMANDS, main
from floodwatch.cli.manual import pages, write

Need = Callable[[object, str], None]
DOCS = Path(__file__).resolve().parents[1] / "floodwatch" / "docs"
REQUESTS = (".TH ", ".SH ", ".SS ", ".PP", ".TP", ".B ", ".I ", ".BR ", ".RI ", ".br", ".nf", ".fi")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("man")
    return {Path(path).stem: Path(path).read_text() for path in write(str(DOCS), str(folder), "7.8.9")}


def plain(text: str) -> str:
    return text.replace("\\-", "-").replace("\\&", "").replace("\\e", "\\")


def commands(group: click.Group, context: click.Context) -> Iterator[click.Command]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield from commands(command, context) if isinstance(command, click.Group) else [command]


def test_every_command_has_a_page_with_its_options(made: dict[str, str]) -> None:
    assert set(made) == {"floodwatch", "floodwatch-version", *(f"floodwatch-{name}" for name in COMMANDS)}
    context = click.Context(main)
    for word in main.list_commands(context):
        command = main.get_command(context, word)
        assert command is not None
        page = plain(made[f"floodwatch-{word}"])
        held = commands(command, context) if isinstance(command, click.Group) else [command]
        for one in held:
            assert " ".join((one.help or "").partition("\n")[0].split()) in page
            for option in one.params:
                if isinstance(option, click.Option) and not option.hidden:
                    assert re.search(rf"^\.B .*{re.escape(option.opts[-1])}", page, re.MULTILINE), option.opts


def test_the_first_page_leads_to_the_others(made: dict[str, str]) -> None:
    page = plain(made["floodwatch"])
    for name in made.keys() - {"floodwatch"}:
        assert f".BR {name} (1)" in page
    assert "floodwatch 7.8.9" in page
    assert "3    a capture is missing, broken or not understood" in page
    assert ".B floodwatch ctl block" in page


def test_no_line_is_a_request_by_chance(made: dict[str, str]) -> None:
    for page in made.values():
        assert not re.search(r"[`\t]", page)
        for line in page.splitlines():
            assert not line.startswith(("'", ".")) or line.startswith(REQUESTS), line
    odd = "## floodwatch odd\n\n    floodwatch odd\n\n.so /etc/passwd\n'br \\n[x] a-b\n"
    page = pages(odd, "  0  none\n", "1")["floodwatch-odd"]
    assert "\n\\&.so /etc/passwd\n\\&'br \\en[x] a\\-b\n" in page


def test_roff_finds_no_fault(made: dict[str, str], need: Need) -> None:
    need(shutil.which("groff"), "groff is not installed")
    for page in made.values():
        run = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True, check=True
        )
        assert run.stderr == ""
