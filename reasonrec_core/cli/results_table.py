"""The one table that a run prints where no reporter gives a better one."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from reasonrec_core.cli.options import line
from reasonrec_core.evaluate.schema import PairedComparison, Results
from reasonrec_core.evaluate.significance import ALPHA

COLUMNS = 5
"""Metrics that the table has room for, where systems are compared on none."""


def render_table(results: Results) -> Group:
    """Systems by the metrics that they are compared on: value, 95 % interval, and what the comparison says."""
    first = results.comparisons[0].a if results.comparisons else next(iter(results.systems))
    metrics = list(dict.fromkeys(c.metric for c in results.comparisons)) or sorted(results.systems[first])[:COLUMNS]
    against = {(c.b, c.metric): c for c in results.comparisons if c.a == first}
    table = Table(box=None, pad_edge=False)
    table.add_column("system")
    for metric in metrics:
        table.add_column(line(metric))
    for system in sorted(results.systems, key=lambda system: (system != first, system)):
        cells = (_describe(results, system, metric, against.get((system, metric))) for metric in metrics)
        table.add_row(line(system), *cells)
    note = [f"95 % intervals; against {line(first)}: * significantly different"] if against else []
    return Group(line(results.dataset.name), table, *note)


def _describe(results: Results, system: str, metric: str, compared: PairedComparison | None) -> str:
    """A value with its interval, and a star where its difference to the first system's is significant."""
    found = results.systems[system].get(metric)
    if found is None or found.value is None:
        return "–"
    star = "*" if compared and compared.p_corrected is not None and compared.p_corrected < ALPHA else ""
    interval = f" {found.low:.4f}–{found.high:.4f}" if found.low is not None and found.high is not None else ""
    return f"{found.value:.4f}{star}{interval}"
