"""Columns of a log that are not read although they change what its rows mean: kinds of events, returned goods."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import is_text, take_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_parsing import CAST_FAILURES, decode_values

if TYPE_CHECKING:
    from reasonrec_datasets.importing.source_tables import OpenTable

KIND_NAME = re.compile(r"(^|_)(type|action|activity|kind|event|interaction|behaviou?r)s?(_|$)", re.IGNORECASE)
AMOUNT_NAME = re.compile(r"(^|_)(quantity|qty|units|amount)(_|$)", re.IGNORECASE)
KINDS = frozenset({
    "view", "viewed", "pv", "click", "clicked", "detail", "cart", "addtocart", "add_to_cart", "fav", "favorite",
    "purchase", "purchased", "buy", "bought", "order", "ordered", "transaction", "checkout", "like", "dislike", "play",
    "skip", "share", "save", "wishlist", "remove_from_cart", "refund", "return",
})  # fmt: skip
MOST_KINDS = 20


def note_unread(source: OpenTable, rest: list[str]) -> list[str]:
    """A warning for each column in ``rest`` that holds kinds of events, or amounts below 0."""
    notes = []
    for name in rest:
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
        if KIND_NAME.search(word) and (kinds := _list_kinds(source, name)):
            said = f"--event-column {name} --event-weights {','.join(f'{kind}=1' for kind in kinds[:3])}"
            what = f"column {name!r} looks like kinds of events ({', '.join(kinds[:9])}), but all rows count the same"
            notes.append(f"WARNING: {what}. To weight them: {said}")
        elif AMOUNT_NAME.search(word) and (below := _count_negative(source, name)):
            what = f"rows with a {name!r} below 0 (returned?) count like all others: {below:,}"
            notes.append(f"WARNING: {what}. To leave them out: --column value={name} --min-value 1")
    return notes


def _read(source: OpenTable, name: str) -> pa.Array:
    try:
        return decode_values(take_column(source.read([name]).table, name)).drop_null()
    except DataError:
        return pa.nulls(0)


def _list_kinds(source: OpenTable, name: str) -> list[str]:
    cells = _read(source, name)
    if not is_text(cells.type):
        return []
    counts = pc.value_counts(pc.utf8_trim_whitespace(cells))
    kinds = [pair["values"].as_py() for pair in counts] if 1 < len(counts) <= MOST_KINDS else []
    return kinds if KINDS & {re.sub(r"[ -]+", "_", kind.lower()) for kind in kinds} else []


def _count_negative(source: OpenTable, name: str) -> int:
    cells = _read(source, name)
    try:
        numbers = (pc.utf8_trim_whitespace(cells) if is_text(cells.type) else cells).cast(pa.float64())
    except CAST_FAILURES:
        return 0
    return int(pc.sum(pc.less(numbers, 0).cast(pa.int64())).as_py() or 0)
