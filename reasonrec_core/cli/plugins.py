"""``reasonrec plugins``: what is installed, what is broken and why."""

from __future__ import annotations

from typing import Any

import click

from reasonrec_core.cli.main import LazyGroup

COMMANDS = {
    "info": ("reasonrec_core.cli.plugins_info:info_command", "Explain a component: settings, source, weights."),
    "new": ("reasonrec_core.cli.plugins_new:new_command", "Start a plugin of your own: a package with tests."),
}
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
    rows = plugin_rows()
    if as_json:
        import json

        click.echo(json.dumps(rows, indent=2))
    else:
        _print_table(rows)


def plugin_rows() -> list[dict[str, Any]]:
    """One row per component, command and problem: name, kind, tasks, distribution, version, status, summary."""
    from reasonrec_core.plugins import installed
    from reasonrec_core.plugins.metadata import missing_requirements

    found = installed()
    owners = {c.distribution for c in found.components} | {c.distribution for c in found.commands}
    missing = {owner: missing_requirements(owner) for owner in owners}

    def row(name: str, kind: str, tasks: tuple[str, ...], owner: str, version: str, summary: str) -> dict[str, Any]:
        lacks = missing.get(owner)
        status = f"needs {', '.join(lacks)} (pip install {' '.join(lacks)})" if lacks else "ok"
        return {
            "name": name,
            "kind": kind,
            "tasks": list(tasks),
            "distribution": owner,
            "version": version,
            "status": status,
            "summary": summary,
        }

    rows = [row(c.spec.name, c.kind, c.spec.tasks, c.distribution, c.version, c.spec.summary) for c in found.components]
    rows += [row(c.spec.name, "command", (), c.distribution, c.version, c.spec.summary) for c in found.commands]
    rows.sort(key=lambda each: (each["kind"], each["name"]))
    for problem in found.problems:
        status = f"{problem.status}: {problem.reason}"
        broken = row(problem.name, problem.kind or "plugin", (), problem.distribution, problem.version, "")
        rows.append({**broken, "status": status})
    return rows


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from reasonrec_core.cli.console import out, plain

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "kind", "tasks", "distribution", "version", "status", "summary"):
        table.add_column(title, overflow="fold", no_wrap=title in {"name", "kind", "version"})
    for row in rows:
        style = "" if row["status"] == "ok" else "yellow" if row["status"].startswith("disabled") else "red"
        cells = {**row, "tasks": " ".join(row["tasks"])}
        table.add_row(*(plain(str(cells[str(column.header)])) for column in table.columns), style=style)
    out.print(table)
