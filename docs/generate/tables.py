"""Hook of mkdocs: what the package declares becomes tables, wherever a page says ``<!-- generated: name -->``."""

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from mkdocs.exceptions import PluginError
from pydantic import BaseModel

import qbsweep
from qbsweep.analysis.registry import ANALYSES
from qbsweep.cli.main import app
from qbsweep.solvers.status import STATUS_NAMES, VERDICTS
from qbsweep.sweeps import given, syntax
from qbsweep.sweeps.parameter import SOLVERS, Parameter
from qbsweep.sweeps.parameters import PARAMETERS
from qbsweep.sweeps.variables import VARIABLES, Variable

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the tables in their places."""
    return MARK.sub(lambda match: made(match[1]), markdown)


def made(name: str) -> str:
    """Return a table by its name."""
    if name not in TABLES:
        raise PluginError(f"there is no table '{name}'; there are {', '.join(TABLES)}")
    return TABLES[name]()


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table in Markdown."""
    columns = list(header)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def parameters() -> str:
    """Every parameter with its values, units and default."""
    rows = ((f"`{p.name}`", p.meaning, _values(p), _units(p.units), _default(p)) for p in PARAMETERS.values())
    return table(("parameter", "meaning", "values", "units", "default"), rows)


def _values(p: Parameter) -> str:
    if p.choices:
        return ", ".join(f"`{choice}`" for choice in p.choices)
    if p.kind == "levels":
        return f"2 to {syntax.MAX_LEVELS}, `auto`, by role"
    kind = "whole number" if p.kind == "int" else "number"
    limits = ["above 0"] if p.positive else [] if p.minimum is None else [f"at least {p.minimum:g}"]
    limits += [] if p.maximum is None else [f"at most {p.maximum:g}"]
    scales = "".join(f"; or in `{scale}`" for scale in p.scales)
    return f"{kind}{', ' if limits else ''}{', '.join(limits)}{scales}"


def _units(units: str) -> str:
    return "" if units == "1" else units


def _default(p: Parameter) -> str:
    if p.default is None:
        return "none: must be given"
    return f"`{p.default:g}`" if isinstance(p.default, float) else f"`{p.default}`"


def variables() -> str:
    """Every variable of a dataset."""
    rows = (
        (f"`{v.name}`", v.long_name, "".join(f"`{dim}` " for dim in v.extra_dims), _units(v.units), _there(v))
        for v in VARIABLES.values()
    )
    return table(("variable", "meaning", "dimensions beside the axes", "units", "there"), rows)


def _there(v: Variable) -> str:
    needs_solver = "" if set(SOLVERS) <= set(v.solvers) else "with `solver: " + " or ".join(v.solvers) + "`"
    if v.group in ("verdict", "always"):
        return needs_solver or "always"
    needs_times = "with `times`" if v.group == "time" else ""
    first = "if asked for" if v.asked else "" if needs_times else "by default"
    return ", ".join(part for part in (first, needs_times, needs_solver) if part)


def states() -> str:
    """The codes of `status`."""
    return table(("code", "state"), ((str(code), name) for code, name in sorted(STATUS_NAMES.items())))


def forms(*models: type[BaseModel]) -> str:
    """Every key of a mapping of the sweep file that has a description."""
    fields = [field for model in models for field in model.model_fields.items()]
    return table(("key", "meaning"), ((f"`{name}`", f.description) for name, f in fields if f.description))


def commands() -> str:
    """Every command with its help, arguments and options."""
    group: Any = typer.main.get_command(app)
    parts = []
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        shown = [p for p in command.params if not getattr(p, "hidden", False)]
        arguments = [p for p in shown if p.param_type_name == "argument"]
        options = [p for p in shown if p.param_type_name == "option"]
        usage = " ".join([f"qbsweep {name}", *(p.metavar or p.name.upper() for p in arguments)])
        parts += [
            f"## {name}",
            html.escape(command.help or "", quote=False),
            f"```console\n$ {usage}{' [OPTIONS]' if options else ''}\n```",
        ]
        rows = [_option(p) for p in options]
        parts += [table(("option", "meaning", "default"), rows)] if rows else []
    return "\n\n".join(parts)


def _option(p: Any) -> tuple[str, str, str]:
    flag = p.is_flag or p.default in (None, ())
    return (
        ", ".join(f"`{name}`" for name in p.opts),
        html.escape(p.help or "", quote=False),
        "" if flag else f"`{p.default}`",
    )


def performance() -> str:
    """What the benchmarks printed when they were last run; a heading for every part of their output."""
    return "\n\n".join(_printed(file, "##") for file in sorted(BENCHMARKS.glob("*.txt")) if file.stem != "verdicts")


def nonlinear() -> str:
    """What the benchmark of the verdicts on nonlinear points printed when it was last run."""
    return _printed(BENCHMARKS / "verdicts.txt", "####")


def _printed(file: Path, heading: str) -> str:
    machine, *sections = re.split(r"\n\s*\n", file.read_text().strip("\n"))
    parts = [f"{heading} Output of {file.stem}.py", html.escape("; ".join(machine.splitlines()), quote=False) + "."]
    for section in sections:
        title, _, body = section.strip("\n").partition("\n")
        parts.append(f"{title}\n\n```text\n{body or title}\n```")
    return "\n\n".join(parts)


def accuracy() -> str:
    """How far the moment solver is off on random points, by kind of network."""
    measured = _accuracy()
    rows = [_group(name, counts) for name, counts in measured["groups"].items()]
    header = (
        "networks",
        "points",
        "outside",
        "marked",
        "needlessly",
        "worst / promise",
        "median error",
        "99 % of errors",
    )
    return f"{table(header, [*rows, _group('all', measured['all'])])}\n\n{measured['measured'].capitalize()}."


def _group(name: str, counts: dict[str, Any]) -> tuple[str, ...]:
    whole = (str(counts[key]) for key in ("points", "outside", "marked", "marked_needlessly"))
    errors = (f"{counts[key]:.1e}" for key in ("median_error", "error_of_99_percent"))
    return (name, *whole, f"{counts['worst_ratio']:.2g}", *errors)


def worst_points() -> str:
    """The ten points that are furthest off among those that are not marked."""
    rows = (
        (str(p["point"]), p["words"], f"{p['ratio']:.2g}", f"{p['error']:.1e}", f"{p['numerical_error']:.1e}")
        for p in _accuracy()["worst"]
    )
    return table(("point", "what it is", "error / promise", "error", "`numerical_error`"), rows)


def _accuracy() -> dict[str, Any]:
    measured: dict[str, Any] = json.loads((BENCHMARKS / "accuracy.json").read_text())
    return measured


def python() -> str:
    """What `import qbsweep as qb` offers, in the order of its declaration, then the analyses."""
    offered = {name: getattr(qbsweep, name) for name in qbsweep.__all__ if not name.startswith("_")}
    offered["sweep"] = given.sweep  # of a room that can be called as well
    parts = [_documented(f"{value.__module__}.{name}", f"qb.{name}") for name, value in offered.items()]
    parts += ["## The analyses, `ds.qb`", _documented("qbsweep.api.accessor.Accessor.plot", "ds.qb.plot", 3)]
    functions = [(name, analysis.function) for name, analysis in ANALYSES.items()]
    parts += [_documented(f"{f.__module__}.{f.__name__}", f"ds.qb.{name}", 3) for name, f in functions]
    return "\n\n".join(parts)


def _documented(path: str, heading: str, level: int = 2) -> str:
    label = heading.rpartition(".")[2]
    return f"::: {path}\n    options: {{heading: {heading}, toc_label: {label}, heading_level: {level}}}"


def verdicts() -> str:
    """Who may vouch for a point, or why nobody does."""
    return table(("verdict", "meaning"), ((f"`{word}`", meaning) for word, meaning in VERDICTS.items()))


TABLES = {
    "parameters": parameters,
    "variables": variables,
    "states": states,
    "verdicts": verdicts,
    "axis": lambda: forms(syntax.AxisForm),
    "network": lambda: forms(syntax.NetworkForm),
    "edge": lambda: forms(syntax.EdgeForm),
    "commands": commands,
    "performance": performance,
    "nonlinear": nonlinear,
    "accuracy": accuracy,
    "worst_points": worst_points,
    "python": python,
}
