"""``reasonrec plugins list``: what is installed, by kind; what is broken, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reasonrec_core.cli.console import line, out, print_json
from reasonrec_core.hookspecs import Kind
from reasonrec_doctor.tables import print_table

COLUMNS = ("name", "kind", "tasks", "distribution", "version", "status", "summary")
ORDER = (
    ("policy", "Policies", "reason in steps"),
    ("delegate", "Delegates", "cheap models that may answer instead"),
    ("router", "Routers", "decide who answers"),
    ("uncertainty", "Uncertainty", "estimate how sure an answer is"),
    ("encoder", "Encoders", "turn item text and pictures into vectors"),
    ("data-source", "Data sources", "read files"),
    ("splitter", "Splitters", "divide into training, validation and test"),
    ("metric", "Metrics", "measure"),
    ("reporter", "Reporters", "measure and show more of a run"),
    ("command", "Commands", "verbs"),
)
"""Kinds in the order in which a pipeline is thought of: key, heading, what they do."""


@click.command("list")
@click.option(
    "--kind", type=click.Choice([*(str(kind) for kind in Kind), "command"]), help="Only this kind, one per line."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: every component, command and problem.")
def list_command(kind: str | None, as_json: bool) -> None:
    """List what is installed, by kind. With --kind: one per line, with tasks and package."""
    rows = [row for row in list_plugins() if kind in (None, row["kind"])]
    if as_json:
        print_json(rows)
    elif kind is not None:
        columns = ("name", "tasks", "distribution", "summary")
        print_table(columns, ([_cell(row, column) for column in columns] for row in rows), whole={"name"})
    else:
        _print_kinds(rows)
    _print_problems([row for row in rows if row["status"] != "ok"] if not as_json else [])


def list_plugins() -> list[dict[str, Any]]:
    """One row per component, command and problem: name, kind, tasks, distribution, version, status, summary."""
    from reasonrec_core.plugins import Registered, RegisteredCommand, installed
    from reasonrec_core.plugins.metadata import missing_requirements

    found = installed()
    offers: list[Registered | RegisteredCommand] = [*found.components, *found.commands]
    offers.sort(key=lambda each: (each.kind, each.spec.name))
    missing = {owner: missing_requirements(owner) for owner in {each.distribution for each in offers}}

    def row(name: str, kind: str, tasks: Iterable[str], owner: str, *rest: str) -> dict[str, Any]:
        return dict(zip(COLUMNS, (name, str(kind), list(tasks), owner, *rest), strict=True))

    rows = []
    for each in offers:
        lacks, spec = missing[each.distribution], each.spec
        status = f"needs {', '.join(lacks)} (pip install {' '.join(lacks)})" if lacks else "ok"
        tasks = getattr(spec, "tasks", ())
        rows.append(row(spec.name, each.kind, tasks, each.distribution, each.version, status, spec.summary))
    rows += [
        row(each.name, each.kind or "plugin", (), each.distribution, each.version, f"{each.status}: {each.reason}", "")
        for each in found.problems
    ]
    return rows


def _cell(row: dict[str, Any], column: str) -> str:
    return ", ".join(row["tasks"]) or "any" if column == "tasks" else str(row[column])


def _print_kinds(rows: Sequence[dict[str, Any]]) -> None:
    """A paragraph of names for each kind."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for key, heading, what in ORDER:
        names = [line(row["name"]) for row in rows if row["kind"] == key and row["status"] == "ok"]
        if names:
            grid.add_row(Text(heading, "bold"), Text(what, "dim"))
            grid.add_row("", Padding(Text(", ".join(names)), (0, 0, 1, 0)))
    out.print(grid)
    out.print("One kind, one per line: reasonrec plugins list --kind delegate")
    out.print("Settings of one: reasonrec plugins info NAME")


def _print_problems(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        style = "yellow" if row["status"].startswith("disabled") else "red"
        out.print(Text(f"{line(row['name'])} of {line(row['distribution'])}: {line(row['status'])}", style))
