"""``reasonrec plugins``: what is installed, what is broken and why."""

from __future__ import annotations

from typing import Any

import click

from reasonrec_core.cli.main import LazyGroup

COMMANDS = {
    "new": ("reasonrec_core.testing.scaffold:new_command", "Start a plugin of your own: a package with tests."),
}
COLUMNS = ("name", "kind", "tasks", "distribution", "version", "status", "summary")
EPILOG = """\b
Examples:
  reasonrec plugins
  reasonrec plugins --json | jq '.[] | select(.kind == "delegate") | .name'
  reasonrec plugins info transitions
  reasonrec plugins new delegate my-model
  REASONREC_DISABLE_PLUGINS=reasonrec-timm reasonrec plugins
"""


@click.group(
    "plugins", cls=LazyGroup, group="plugins", commands_table=COMMANDS, invoke_without_command=True, epilog=EPILOG
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.pass_context
def plugins_group(context: click.Context, as_json: bool) -> None:
    """List plugins, explain one, or start your own.

    Without a subcommand: every component and command with its kind, tasks, distribution and status. Nothing heavy is
    imported for it.

    \b
    Environment, each a comma-separated list of distributions or a switch:
      REASONREC_LOAD_PLUGINS      load these only (and the core)
      REASONREC_DISABLE_PLUGINS   do not load these
      REASONREC_STRICT_PLUGINS=1  a broken plugin is an error
    """
    if context.invoked_subcommand is not None:
        return
    from reasonrec_core.cli.console import print_json

    rows = plugin_rows()
    print_json(rows) if as_json else _print_rows(rows)


def plugin_rows() -> list[dict[str, Any]]:
    """One row per component, command and problem: name, kind, tasks, distribution, version, status, summary."""
    from reasonrec_core.plugins import Registered, RegisteredCommand, installed
    from reasonrec_core.plugins.metadata import missing_requirements

    found = installed()
    offers: list[Registered | RegisteredCommand] = [*found.components, *found.commands]
    offers.sort(key=lambda each: (each.kind, each.spec.name))
    missing = {owner: missing_requirements(owner) for owner in {each.distribution for each in offers}}

    def row(name: str, kind: str, tasks: tuple[str, ...], owner: str, *rest: str) -> dict[str, Any]:
        return dict(zip(COLUMNS, (name, kind, list(tasks), owner, *rest), strict=True))

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


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from reasonrec_core.cli.console import plain, print_table

    def cells(row: dict[str, Any]) -> list[Text]:
        style = "" if row["status"] == "ok" else "yellow" if row["status"].startswith("disabled") else "red"
        values = ({**row, "tasks": " ".join(row["tasks"])}[title] for title in COLUMNS)
        return [Text(plain(value), style) for value in values]

    print_table(COLUMNS, map(cells, rows), whole={"name", "kind", "version"})
