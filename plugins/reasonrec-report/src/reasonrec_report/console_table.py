"""The table that a run prints."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from reasonrec_core.cli.console import line
from reasonrec_report.leaderboard import Leaderboard, SystemsTable, TableCell, make_table, shorten_protocol

COLUMNS = 5
"""Metrics that the table has room for."""


class ConsoleTable:
    """Systems by metrics with 95 % intervals, the best bold.

    Intervals stand beside the values where there is room, else below; the last metrics give way.
    """

    def __init__(self, board: Leaderboard) -> None:
        self.board = board
        self.table = make_table(board, board.columns(COLUMNS))
        self._marked = [any(row.cells[i].mark for row in self.table.rows) for i in range(len(self.table.columns))]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        count = len(self.table.columns)
        grids = [self._grid(" ", count), *(self._grid("\n", n) for n in range(count, 0, -1))]
        free = options.update(max_width=10_000)
        fitting = (g for g in grids if Measurement.get(console, free, g).maximum <= options.max_width)
        yield Group(*self._head(), next(fitting, grids[-1]), *self._foot())

    def _head(self) -> list[Text]:
        name, protocol = self.board.results.dataset.name, shorten_protocol(self.board.results.protocol)
        return [Text.assemble((line(name), "bold"), ("  " + line(protocol), "dim"))]

    def _grid(self, gap: str, count: int) -> Table:
        """The first ``count`` metrics, ``gap`` between a value and its interval."""
        grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        grid.add_column("system", no_wrap=True)
        for column in self.table.columns[:count]:
            grid.add_column(line(column.name), no_wrap=True, justify="left")
        for row in self.table.rows:
            name = Text(line(row.system), "bold" if row.is_main else "")
            cells = zip(row.cells[:count], self._marked, strict=False)
            grid.add_row(name, *(_text(cell, gap, marked) for cell, marked in cells))
        return grid

    def _foot(self) -> list[Text]:
        legend = _legend(self.table)
        return [Text(legend, "dim")] if legend else []


def _text(cell: TableCell, gap: str, marked: bool) -> Text:
    """A cell; in a column with marks, those without one keep its place."""
    mark = f" {cell.mark or ' '}" if marked else ""
    return Text.assemble((cell.value, "bold" if cell.is_best else ""), mark, (gap + cell.interval, "dim"))


def _legend(table: SystemsTable) -> str:
    parts = ["95 % intervals"] if table.has_intervals else []
    if table.has_marks:
        parts.append(
            f"against {line(table.main)}: ▼ significantly worse, ▲ significantly better, ≈ no measurable difference"
        )
    return "; ".join(parts)
