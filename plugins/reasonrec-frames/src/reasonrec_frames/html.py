"""Small pieces of HTML for notebooks; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

CELL = "padding:2px 12px 2px 0;text-align:left;font-variant-numeric:tabular-nums"


def make_table(titles: Sequence[str], rows: Iterable[Sequence[str]], bold: Iterable[tuple[int, int]] = ()) -> str:
    """A table of texts; ``bold``: the cells (row, column) that stand out."""
    strong = set(bold)
    head = "".join(f'<th style="{CELL}">{escape(title)}</th>' for title in titles)
    body = ""
    for number, row in enumerate(rows):
        cells = (
            f'<td style="{CELL}{";font-weight:bold" if (number, column) in strong else ""}">{escape(cell)}</td>'
            for column, cell in enumerate(row)
        )
        body += f"<tr>{''.join(cells)}</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def make_paragraphs(sentences: Iterable[str]) -> str:
    """A paragraph per sentence."""
    return "".join(f"<p>{escape(each)}</p>" for each in sentences)
