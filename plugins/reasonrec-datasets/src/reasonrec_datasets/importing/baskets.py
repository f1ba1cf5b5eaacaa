"""Logs with several items in a row: a basket's cell is a list, and each of its items becomes a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import is_list, is_text, take_column
from reasonrec_core.types import Int64
from reasonrec_datasets.importing.column_parsing import Place, decode_values
from reasonrec_datasets.importing.list_parsing import parse_list

KEY = "item_id"
BASKET = r"^\s*\[[\s\S]*\]\s*$"


@dataclass(frozen=True)
class _BasketPlace:
    """Rows that were made of others; ``rows`` says of which."""

    inner: Place
    rows: Int64

    def where(self, row: int, column: str | None = None) -> str:
        return self.inner.where(int(self.rows[row]), column)


def unfold_baskets(log: pa.Table, place: Place, notes: list[str]) -> tuple[pa.Table, Place]:
    """The log with a row per item where ``item_id`` holds lists (Arrow's, or written as JSON, Python, ``[a, b]``).

    Rows keep their order; an empty list is no row. Both are counted in a note.
    """
    if KEY not in log.column_names:
        return log, place
    cells = take_column(log, KEY)
    if is_list(cells.type):
        lists = pc.fill_null(cells.cast(pa.list_(cells.type.value_type)), [])
        listed = np.ones(len(cells), np.bool_)
    else:
        words = cells.dictionary if pa.types.is_dictionary(cells.type) else decode_values(cells)
        if not is_text(words.type) or not pc.any(pc.match_substring_regex(words, BASKET)).as_py():
            return log, place
        codes = cells if pa.types.is_dictionary(cells.type) else words.dictionary_encode()
        parsed = [_split(word) for word in codes.dictionary.to_pylist()]
        lists = pa.array([words for words, _ in parsed], pa.list_(pa.string())).take(codes.indices)
        lists = pc.fill_null(lists, [None])
        listed = pa.array([is_basket for _, is_basket in parsed]).take(codes.indices).fill_null(False).to_numpy(False)
    rows = pc.list_parent_indices(lists).to_numpy()
    taken = log.drop_columns([KEY]).take(pa.array(rows)).append_column(KEY, lists.flatten())
    empty = int((pc.list_value_length(lists).to_numpy(zero_copy_only=False) == 0).sum())
    words_of_empty = f"; {empty:,} of them are empty" if empty else ""
    notes.append(f"{KEY}: {int(listed.sum()):,} cells are lists: a row per item, {len(rows):,} in all{words_of_empty}")
    return taken.select(log.column_names), _BasketPlace(place, rows)


def _split(cell: str) -> tuple[list[str], bool]:
    """The items of a cell, and whether it is a list."""
    text = cell.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return [cell], False
    found = parse_list(text)
    if found is None:
        found = [word.strip() for word in text[1:-1].split(",") if word.strip()]
    return found, True
