"""Manual pages, made of the documentation of commands and options when the program is built.

``setup.py`` runs this file before there is anything to import, so it needs the standard library and no more.
There is a page for each first word of a command: what a group holds stands in the group's page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

SECTION = re.compile(r"^## (floodwatch (\S+).*)\n\n    (.+)\n((?:(?!^## |^<!-- ).*\n)*)", re.MULTILINE)
"""The name of a command, its first word, how it is called, and what is told of it."""
EXIT_CODES = re.compile(r"^Exit codes:\n((?: .*\n)+)", re.MULTILINE)
MAIN = """Finds floods in packet captures and on live interfaces, tells a crowd from an attack and forged
sources from real ones, and shows the evidence. Nothing is blocked unless it is told to enforce. Every command
tells its options, with examples, by --help."""
FILES = "/etc/floodwatch/floodwatch.toml"


def write(docs: str, folder: str, version: str) -> list[str]:
    """Write the pages.

    Args:
        docs: the folder of the documentation.
        folder: where the pages go.
        version: of the program.

    Returns:
        Their paths.
    """
    options, formats = (Path(docs, f"{name}.md").read_text("utf-8") for name in ("options", "formats"))
    codes = EXIT_CODES.search(formats)
    assert codes is not None
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(options, codes[1], version).items():
        path = place / f"{name}.1"
        path.write_text(text, "utf-8")
        written.append(str(path))
    return written


def pages(options: str, codes: str, version: str) -> dict[str, str]:
    """The pages by name, as roff.

    Args:
        options: the page of commands and options.
        codes: what exit codes mean.
        version: of the program.
    """
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for name, word, usage, text in SECTION.findall(options):
        groups.setdefault(word, []).append((name, usage, text))
    others = [f".BR floodwatch\\-{word} (1)" for word in groups]
    made = {"floodwatch": _main(groups, codes, version, others)}
    for word, commands in groups.items():
        made[f"floodwatch-{word}"] = "\n".join(_page(word, commands, version)) + "\n"
    return made


def _head(name: str, says: str, version: str) -> Iterator[str]:
    yield f'.TH {name.upper()} 1 "" "floodwatch {version}"'
    yield f".SH NAME\n{_roff(name)} \\- {_roff(says)}"


def _main(groups: dict[str, list[tuple[str, str, str]]], codes: str, version: str, others: list[str]) -> str:
    lines = [
        *_head("floodwatch", "find packet floods in captures and on live interfaces", version),
        ".SH SYNOPSIS\n.B floodwatch\n.I COMMAND\n.RI [ OPTIONS ]",
        f".SH DESCRIPTION\n{_roff(MAIN)}\n.SH COMMANDS",
        *(
            f".TP\n.B {_roff(name)}\n{_roff(_first(text))}"
            for held in groups.values()
            for name, _, text in held
        ),
        f".SH EXIT STATUS\n.nf\n{_roff(codes.rstrip())}\n.fi",
        f".SH FILES\n.TP\n.I {FILES}\nThe configuration of the daemon; conf.d lies beside it.",
        ".SH SEE ALSO",
        ",\n".join(others),
    ]
    return "\n".join(lines) + "\n"


def _page(word: str, commands: list[tuple[str, str, str]], version: str) -> Iterator[str]:
    several = len(commands) > 1
    says = (
        ", ".join(name.rpartition(" ")[2] for name, _, _ in commands) if several else _first(commands[0][2])
    )
    yield from _head(f"floodwatch-{word}", says.rstrip("."), version)
    yield ".SH SYNOPSIS"
    yield "\n.br\n".join(f".B {_roff(usage)}" for _, usage, _ in commands)
    yield ".SH DESCRIPTION"
    for name, _, text in commands:
        if several:
            yield f".SS {_roff(name)}"
        yield from _described(text)
    yield ".SH SEE ALSO\n.BR floodwatch (1)"


def _described(text: str) -> Iterator[str]:
    """Paragraphs, and the rows of a table of options."""
    for part in text.strip().split("\n\n"):
        if not part.startswith("|"):
            yield f".PP\n{_roff(part)}"
            continue
        for row in part.splitlines()[2:]:
            option, takes, default, says = (
                cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]
            )
            told = f" (default: {default})" if default and "[default" not in says else ""
            yield f".TP\n.B {_roff(f'{option} {takes}'.strip())}\n{_roff(says + told)}"


def _first(text: str) -> str:
    """The first sentence of what is told."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.;])\s", paragraph)[0].rstrip(";.") + "."


def _roff(text: str) -> str:
    """Text that roff prints as it is: no line of it is a request, a hyphen is one that can be copied."""
    plain = text.replace("`", "").replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", plain, flags=re.MULTILINE)
