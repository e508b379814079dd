"""Write what the code knows into the pages of floodwatch/docs; the words around it are written by hand.

    python tests/make_pages.py

A page holds marked blocks; each is replaced by what the function of its name returns. Two pages have tables
whose words are written by hand and of which one column is filled in: how much it is, or which test holds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from floodwatch.cli import main
from floodwatch.cli.explain import explain
from floodwatch.cli.output import EXIT_CODES
from floodwatch.config import kinds
from floodwatch.config.keys import FLOORS, TABLES, TAKES
from floodwatch.config.kinds import toml
from floodwatch.config.limits import DEFAULT
from floodwatch.config.roles import ROLES
from floodwatch.daemon.control import ORDERS
from floodwatch.daemon.metrics import METRICS
from floodwatch.decide.events import PROTECTIONS
from floodwatch.detectors import (
    DETECTORS,
    FAMILIES,
    carpet,
    reflection,
)
from floodwatch.detectors.family import Family
from floodwatch.model.epoch import EPOCHS_PER_SECOND
from floodwatch.model.event import SOURCE_RATE, Action
from floodwatch.model.finding import Floor
from floodwatch.model.vector import AMPLIFIERS, TECHNIQUES, Vector
from floodwatch.report import words
from floodwatch.report.formats import FORMATS
from floodwatch.report.info import REJECTS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "floodwatch" / "docs"
RULES = ROOT / "floodwatch" / "daemon" / "files" / "floodwatch.rules.yml"
BLOCK = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
QUOTED = re.compile(r"^def (test_(?:p\d\d_)+\w+)", re.MULTILINE)
MANY = 1000.0
MANY_VALUES = 12


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(c).replace("|", "\\|") for c in line) + " |\n" for line in lines)


def outcomes(of: Family[Any]) -> dict[str, list[Action]]:
    """Whose addresses the sources of a family can be, and what is recommended then."""
    names = of.facts.__struct_fields__
    found: dict[str, list[Action]] = {}
    every = dict.fromkeys(names, int(MANY))
    for amounts in ({}, every, *({**every, name: 0} for name in names)):
        facts = of.facts(**amounts)
        for distinct in (1.0, MANY):
            origin = of.origin(facts, MANY, distinct)
            actions = {of.advice(facts, origin, path)[0] for path in (False, True)}
            found[origin] = sorted(actions | set(found.get(origin, ())))
    return found


def recommended(of: Family[Any]) -> str:
    """What is recommended, by whose addresses the sources are, where that makes a difference."""
    found = outcomes(of)
    actions = {action for held in found.values() for action in held}
    if len(actions) == 1:
        return f"`{actions.pop()}`"
    return "; ".join(f"{origin}: `{'`, `'.join(held)}`" for origin, held in sorted(found.items()))


def enforced(of: Family[Any]) -> str:
    """What `--mode enforce` may put into the kernel for it."""
    told: dict[str, None] = {}
    for _, actions in sorted(outcomes(of).items()):
        for action in actions:
            if action == "drop_sources":
                told["block the proven sources"] = None
            elif action == "limit_per_source":
                told[f"{SOURCE_RATE} packets/s for each proven source"] = None
            elif action in ("drop_signature", "limit_victim"):
                told[f"`{of.protection}`" if of.protection else "nothing"] = None
            elif action in PROTECTIONS:
                told[f"`{PROTECTIONS[action]}`"] = None
            elif action != "observe":
                told["nothing"] = None
    return ", ".join(told) or "nothing"


def rules(vector: Vector) -> str:
    """The rule of a vector, once for each floor that it may be held against."""
    of = FAMILIES[vector]
    first, *others = of.floors
    return "; ".join(
        [of.says(first), *(of.says(f) if f.rule else f"{f.count:,.10g} {f.where}" for f in others)]
    )


def least(vector: Vector) -> str:
    """The lowest rate that is named, or that there is none."""
    of = FAMILIES[vector]
    return f"by behaviour ({of.unit})" if of.habitual else f"{of.floor:,.0f} {of.unit}"


def vectors() -> str:
    """A row for each vector; those of amplification share one."""
    rows = []
    for vector, of in FAMILIES.items():
        amplified = of is reflection.AMPLIFICATION
        if amplified and vector is not of.vectors[0]:
            continue
        name = "`*_amplification`" if amplified else f"`{vector}`"
        named = "reflection and amplification" if amplified else of.title(vector)
        told = (rules(vector), least(vector), f"{of.promised_s:g} s", recommended(of), enforced(of))
        rows.append((name, named, *told, str(of.technique)))
    head = ("Vector", "Title", "Named from", "Least rate", "Within", "Recommended", "Enforced", "ATT&CK")
    return table(head, rows)


def techniques() -> str:
    """The names of the techniques of ATT&CK."""
    return table(("Technique", "Name"), [(number, name) for number, name in TECHNIQUES.items()])


def weak() -> str:
    """Tests of weak evidence, by the vectors that they may name."""
    rows = []
    for detector in DETECTORS:
        named = ", ".join(f"`{v}`" for f in detector.families if f.verdict == "attack" for v in f.vectors)
        for test in detector.tests:
            least = f"{EPOCHS_PER_SECOND * test.per_epoch:.2g}"
            rows.append((named, test.rule.format(floor=f"{DEFAULT:.1f}"), f"{test.most:g}", least))
    return table(("Vectors", "Evidence", "Normal at most, a second", "Tells from, a second"), rows)


def amplifiers() -> str:
    """The protocols that amplify, with the ports of their reflectors."""
    rows = []
    for vector in reflection.AMPLIFICATION.vectors:
        protocol = vector.removesuffix(reflection.SUFFIX)
        ports = [str(port) for port, name in AMPLIFIERS if name == protocol]
        title = reflection.AMPLIFICATION.title(vector).removesuffix(" amplification (reflection)")
        rows.append(
            (f"`{vector}`", title, ", ".join(ports) or f"any other port below {reflection.EPHEMERAL:,}")
        )
    return table(("Vector", "Protocol", "UDP source port"), rows)


def carpets() -> str:
    """The floors of a flood that is spread over a network."""
    rows = [
        (f"`{kind.family.vectors[0]}`", kind.family.says(carpet.FLOOR[number]))
        for number, kind in carpet.KINDS.items()
    ]
    return table(("Vector", "Named from"), rows)


def actions() -> str:
    """What each recommended action means."""
    return table(("`recommended`", "Meaning"), ((f"`{a}`", says) for a, says in words.ADVICE.items()))


def outputs() -> str:
    """The formats of an answer."""
    rows = [
        (f"`{name}`", row.says, "yes" if row.change is not None else "no") for name, row in FORMATS.items()
    ]
    return table(("`--format`", "What", "In `watch`"), rows)


def styles() -> str:
    """What `explain --as` writes."""
    (style,) = (option for option in explain.params if "--as" in option.opts)
    return takes(style) + "\n"


def rejects() -> str:
    """Why frames are not decoded."""
    return table(("Reason", "Frames"), ((f"`{code}`", says) for code, says in REJECTS.items()))


def exit_codes() -> str:
    """The exit codes of scan and watch, as their help prints them."""
    return "```text\n" + EXIT_CODES.removeprefix("\b\n") + "\n```\n"


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command that is no group, with its whole name."""
    parent = click.Context(group, info_name=path, show_default=True)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        whole = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, whole)
        else:
            yield whole, command, click.Context(command, parent=parent, info_name=name)


def spelled(option: click.Option) -> str:
    """All the ways to write an option."""
    return ", ".join(f"`{word}`" for word in (*option.opts, *option.secondary_opts))


def takes(option: click.Parameter) -> str:
    """What an option takes."""
    kind = option.type
    if getattr(option, "is_flag", False):
        return ""
    if isinstance(kind, click.Choice):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    shown = option.metavar or kind.name.split()[0].upper()
    if isinstance(kind, click.IntRange | click.FloatRange):
        low, high = kind.min, kind.max
        above = "more than" if getattr(kind, "min_open", False) else "from"
        bounds = [f"{above} {low:,}"] if low is not None else []
        bounds += [f"to {high:,}"] if high is not None else []
        return f"{shown} ({' '.join(bounds)})"
    return shown


def default(option: click.Option, context: click.Context) -> str:
    """The value of an option that is not given; nothing where it then has none."""
    if isinstance(option.show_default, str):
        return option.show_default
    value = None if option.callback and option.default is None else option.get_default(context, call=False)
    if option.is_flag and option.secondary_opts:
        return f"`{option.opts[0] if value else option.secondary_opts[0]}`"
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"`{value}`" if plain else ""


def options() -> str:
    """Every command with its options."""
    out = []
    for name, command, context in commands(main, "floodwatch"):
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join([name, "[OPTIONS]", *(a.make_metavar(context) for a in arguments)])
        told = "\n".join(line.strip() for line in (command.help or "").strip().splitlines())
        out.append(f"## {name}\n\n    {usage}\n\n{told}\n\n")
        rows = [
            (spelled(p), takes(p), default(p, context), p.help or "")
            for p in command.params
            if isinstance(p, click.Option) and not p.hidden
        ]  # fmt: skip
        if rows:
            out.append(table(("Option", "Takes", "Default", "What it does"), rows) + "\n")
    return "".join(out).rstrip() + "\n"


def roles() -> str:
    """A row for each role of a service."""
    may = {"drop": "dropped", "limit": f"limited to {SOURCE_RATE} packets/s each", "none": "left alone"}
    guarded = {"yes": "as elsewhere", "limit": "only with `limit=N`", "no": "never"}
    return table(
        ("Role", "For", "Proven sources are", "Rules that limit all of its clients"),
        ((f"`{name}`", of.says, may[of.sources], guarded[of.guarded]) for name, of in ROLES.items()),
    )


def settings() -> str:
    """Every table of the configuration file with its keys."""
    out = []
    for of in TABLES:
        named = f"`{of.header}`" if of.name else "At the top"
        rows = [
            (
                f"`{key.name}`",
                key.kind.wants,
                "" if key.default is None else f"`{toml(key.default)}`",
                key.says,
            )
            for key in of.keys
        ]
        if of is FLOORS:
            rows = [("a [vector](vectors.md)", kinds.RATE.wants, "its least rate", rows[0][-1])]
        out.append(
            f"### {named}\n\n{of.says}\n\n" + table(("Key", "Takes", "Default", "What it is for"), rows)
        )
    return "\n".join(out)


def receivers() -> str:
    """What each type of receiver takes."""
    rows = []
    for name, (one_of, beside) in TAKES.items():
        rows.append((f"`{name}`", " or ".join(f"`{k}`" for k in one_of), ", ".join(f"`{k}`" for k in beside)))
    return table(("`type`", "Needs", "May have"), rows)


def metrics() -> str:
    """Every metric."""
    rows = []
    for metric in METRICS:
        labels = ", ".join(f"`{name}`{_values(values)}" for name, values in metric.labels.items())
        rows.append((f"`{metric.name}`", metric.kind, labels, metric.says))
    return table(("Metric", "Type", "Labels", "What it is"), rows)


def _values(values: Sequence[str]) -> str:
    """What a label can be, where that is no page of its own."""
    return f" ({', '.join(values)})" if 0 < len(values) < MANY_VALUES else ""


def alerts() -> str:
    """Every alert rule, as the file has it."""
    rows = []
    for rule in RULES.read_text(encoding="utf-8").split("- alert: ")[1:]:
        name, (after,) = rule.splitlines()[0], re.findall(r"for: (\w+)", rule) or ["at once"]
        (severity,) = re.findall(r"severity: (\w+)", rule)
        (summary,) = re.findall(r'summary: "(.*)"', rule)
        said = re.sub(r"{{ \$(?:labels\.)?(\w+).*?}}", r"*\1*", summary)
        rows.append((f"`{name}`", after, severity, said))
    return table(("Alert", "After", "Severity", "What it says"), rows)


def orders() -> str:
    """What may be asked at the control socket."""
    rows = []
    for name, of in sorted(ORDERS.items()):
        args = ", ".join(f"`{field}`" for field in of.__struct_fields__)
        says = (of.__doc__ or "").strip().splitlines()[0].replace("``", "`")
        rows.append((f"`{name}`", args, says, "give orders" if of.changes else "look"))
    return table(("`cmd`", "`args`", "What", "Right to"), rows)


MAKERS: dict[str, Callable[[], str]] = {
    maker.__name__: maker
    for maker in (
        vectors, techniques, amplifiers, weak, carpets, actions, outputs, styles, rejects, exit_codes,
        options, roles, settings, receivers,
        metrics, alerts, orders,
    )
}  # fmt: skip


def value_at(place: str) -> object:
    """What a name like ``floodwatch.decide.cases:CASES_MOST`` stands for; ``a.b`` is a field of a record."""
    module, _, path = place.partition(":")
    found: Any = import_module(module)
    for name in path.split("."):
        found = getattr(found() if isinstance(found, type) else found, name)  # a field, with its default
    return found


def shown(value: object) -> str:
    """A number as a page writes it."""
    return f"{value:,.10g}" if isinstance(value, int | float) else str(value)


def numbers(page: str) -> str:
    """Fill in the second column of rows whose third says where the number stands."""
    row = re.compile(r"^(\| [^|]+ \| )[^|]*( \| `(floodwatch\.[\w.]+:[\w.]+)` \|)$", re.MULTILINE)
    return row.sub(lambda m: f"{m[1]}{shown(value_at(m[3]))}{m[2]}", page)


def quoting() -> dict[int, list[str]]:
    """The tests that quote each promise, as pytest names them."""
    found: dict[int, list[str]] = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for name in QUOTED.findall(path.read_text(encoding="utf-8")):
            for number in re.findall(r"(?<=_p)\d\d(?=_)", name):
                found.setdefault(int(number), []).append(f"tests/{path.name}::{name}")
    return found


def promises(page: str) -> str:
    """Fill in the tests of each promise."""
    found = quoting()

    def filled(row: re.Match[str]) -> str:
        return f"{row[1]} {', '.join(f'`{test}`' for test in found.get(int(row[2]), ()))} |"

    return re.sub(r"^(\| (\d+) \| [^|]+ \|).*\|$", filled, page, flags=re.MULTILINE)


def renewed(name: str, page: str) -> str:
    """The page of this name with everything filled in that the code knows."""
    page = numbers(BLOCK.sub(lambda block: f"{block[1]}{MAKERS[block[2]]()}{block[3]}", page))
    return promises(page) if name == "promises.md" else page


def floors_of(module: object) -> Iterator[Floor]:
    """All floors that stand in a module, one by one or in a dict."""
    for value in vars(module).values():
        if isinstance(value, Floor):
            yield value
        elif isinstance(value, dict):
            yield from (held for held in value.values() if isinstance(held, Floor))


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        path.write_text(renewed(path.name, text), encoding="utf-8")
