"""``reasonrec trace stats``: a trace in figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

EPILOG = """\b
Examples:
  reasonrec trace stats runs/movielens
  reasonrec trace stats runs/movielens/trace.parquet --json | jq .routes
"""


@click.command("stats", epilog=EPILOG)
@click.argument("trace", type=click.Path(path_type=Path), metavar="TRACE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def stats_command(trace: Path, as_json: bool) -> None:
    """Summarise TRACE, a trace or a run folder: routes, reasons, confidence, quality, latency, by evidence horizon."""
    from reasonrec_trace.reader import open_trace
    from reasonrec_trace.stats import statistics

    found = statistics(open_trace(trace))
    if as_json:
        from reasonrec_core.cli.console import print_json

        print_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    from rich.text import Text

    from reasonrec_core.cli.console import line, out

    hashed = f", {' and '.join(found['hashed'])} hashed" if found["hashed"] else ""
    head = f"{found['run'] or 'Trace'}: {found['decisions']:,} decisions, {found['users']:,} users, {found['task']}"
    out.print(Text(line(head + hashed), "bold"))
    metrics = list(found["all"]["quality"])
    routes = [(f"{r['route']} {r['delegate'] or ''}".strip(), r) for r in found["routes"]]
    _groups("route", [*routes, *([("all", found["all"])] if len(routes) > 1 else [])], metrics)
    quarters = [(h["history"], h) for h in found["horizon"]]
    _groups("items in the history", quarters, metrics)
    if found["uncertainty"]:
        _uncertainty(found["uncertainty"])
    if found["reasons"]:
        rows = [(f"{each['n']:,}", line(each["reason"]) or "(no reason)") for each in found["reasons"]]
        out.print(_table(("n", "reason"), rows, right=("n",)))


def _groups(what: str, rows: list[tuple[str, dict[str, Any]]], metrics: list[str]) -> None:
    """A table of groups of decisions; a group is a column where its row would not fit."""
    from reasonrec_core.cli.console import line, out

    names = ["n", "share", "delegated", "confidence", *metrics, "ms mean", "p50", "p95", "tokens"]
    cells = []
    for name, row in rows:
        spent = row["latency"] or {}
        times = [spent.get(key) for key in ("mean", "p50", "p95")]
        cells.append(
            [
                line(name),
                f"{row['n']:,}",
                *(_percent(row[key]) for key in ("share", "delegated", "confidence")),
                *(_number(row["quality"].get(metric)) for metric in metrics),
                *(_number(None if t is None else 1000 * t) for t in times),
                _number(row["tokens"], ",.0f"),
            ]
        )
    head = [what, *map(line, names)]
    table = _table(head, cells)
    if not _fits(table):
        _print_columns(head, *cells)
    else:
        out.print(table)
        out.print()


def _print_columns(names: Sequence[str], *groups: Sequence[str]) -> None:
    """Groups as columns, in as many tables below each other as they need."""
    from reasonrec_core.cli.console import out

    def build(shown: Sequence[Sequence[str]]) -> Table:
        first, *others = zip(names, *shown, strict=True)
        return _table(first, others)

    while groups:
        count = next((n for n in range(len(groups), 1, -1) if _fits(build(groups[:n]))), 1)
        out.print(build(groups[:count]))
        out.print()
        groups = groups[count:]


def _fits(table: Table) -> bool:
    from rich.measure import Measurement

    from reasonrec_core.cli.console import out

    return Measurement.get(out, out.options.update(max_width=10_000), table).maximum <= out.width


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] | None = None) -> Table:
    """A table whose columns ``right`` stand on the right; by default all but the first."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(head):
        numeric = name in (head[1:] if right is None else right)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=not number)
    for row in rows:
        table.add_row(*row)
    return table


def _uncertainty(found: dict[str, dict[str, float | None]]) -> None:
    from reasonrec_core.cli.console import line, out

    columns = ("mean", "p10", "p90", "epistemic", "aleatoric")
    rows = [[line(name), *(_number(v[column]) for column in columns)] for name, v in found.items()]
    out.print(_table(("uncertainty", *columns), rows))
    out.print()


def _percent(value: float | None) -> str:
    from reasonrec_core.types import format_percent

    return "–" if value is None else format_percent(value, 1)


def _number(value: float | None, form: str = "") -> str:
    from reasonrec_core.types import format_digits

    return "–" if value is None else format(value, form) if form else format_digits(value)
