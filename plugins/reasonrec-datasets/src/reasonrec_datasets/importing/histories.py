"""Histories that a log states for its rows. Rows may share one: then they are codes, and spelt out once, at the end."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_list, is_text
from reasonrec_core.types import Int32, indptr_of
from reasonrec_datasets.importing.column_parsing import Place, decode_values, make_cell_error
from reasonrec_datasets.importing.id_parsing import parse_ids
from reasonrec_datasets.importing.list_parsing import join_written_lists

MARKS = (",", "|", ";")
STEP = 1 << 17
"""Rows that are spelt out at once."""


def _split_at_marks(histories: pa.Array, known: pa.Array, notes: list[str]) -> pa.Array:
    """Ids with blanks between them, where a mark stands there that no id of the log holds; said."""
    for mark in MARKS:
        if pc.any(pc.match_substring(known, mark)).as_py() or not pc.any(pc.match_substring(histories, mark)).as_py():
            continue
        if not pc.any(pc.match_substring_regex(histories, rf"[^\s{mark}]\s+[^\s{mark}]")).as_py():
            notes.append(
                f"history: {mark!r} is read as the separator between ids, because no id in the log contains it"
            )
            return pc.replace_substring(histories, mark, " ")
    return histories


def parse_histories(
    known: pa.Array, notes: list[str], column: pa.ChunkedArray | pa.Array, place: Place | None
) -> pa.LargeListArray | pa.DictionaryArray:
    """Lists of ids, dictionary-encoded; where the column holds codes of lists, codes of such lists.

    Args:
        known: ids of the log's items.
        notes: gets what is worth saying.
        column: lists, text with ids, or codes of lists that many rows share.
        place: where the rows stand.
    """
    shared = flatten_shared(column)
    if shared is not None:
        lists = parse_histories(known, notes, shared.dictionary, None)
        return pa.DictionaryArray.from_arrays(shared.indices, lists)
    values = decode_values(flatten_column(column))
    if is_list(values.type):
        lists = pc.fill_null(values.cast(pa.list_(values.type.value_type)), [])
        items = lists.flatten()
        lengths = pc.list_value_length(lists)
    elif is_text(values.type) or pa.types.is_null(values.type):
        text = pc.ascii_trim_whitespace(join_written_lists(pc.fill_null(values.cast(pa.string()), ""), "history", " "))
        text = _split_at_marks(pc.fill_null(text, ""), known, notes)
        tokens = pc.ascii_split_whitespace(text)
        items = tokens.flatten().filter(pc.not_equal(tokens.flatten(), ""))
        lengths = pc.if_else(pc.equal(text, ""), 0, pc.list_value_length(tokens))
    else:
        raise make_cell_error(f"history has type {values.type}", place, 0, "history", fix="Use a list of ids or text.")
    offsets = indptr_of(lengths.to_numpy(zero_copy_only=False))
    encoded = parse_ids(items, "history") if len(items) else pa.array([], pa.dictionary(pa.int32(), pa.string()))
    return pa.LargeListArray.from_arrays(pa.array(offsets), encoded)


def flatten_shared(column: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray | None:
    """A column of codes of lists as one array, None where it is another; Arrow does not join such dictionaries."""
    kind = column.type
    if not (pa.types.is_dictionary(kind) and is_list(kind.value_type)):
        return None
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    bases = indptr_of(np.array([len(chunk.dictionary) for chunk in chunks]))
    codes = [chunk.indices.to_numpy() + np.int32(base) for chunk, base in zip(chunks, bases[:-1], strict=True)]
    lists = [pa.array([], kind.value_type)] if not chunks else [chunk.dictionary for chunk in chunks]
    joined = pa.chunked_array(lists).unify_dictionaries().combine_chunks() if len(lists) > 1 else lists[0]
    return pa.DictionaryArray.from_arrays(pa.array(np.concatenate([np.zeros(0, np.int32), *codes])), joined)


def spell_out(histories: pa.DictionaryArray) -> pa.LargeListArray:
    """Codes of lists of indices as the lists themselves, a part at a time."""
    pa.default_memory_pool().release_unused()  # what reading left: the lists are the largest part of a log
    lists, codes = histories.dictionary, histories.indices.to_numpy()
    values: Int32 = lists.flatten().to_numpy()
    bounds = indptr_of(pc.list_value_length(lists).to_numpy())
    lengths = np.diff(bounds)[codes]
    offsets = indptr_of(lengths)
    made = np.empty(int(offsets[-1]), np.int32)
    for start in range(0, len(codes), STEP):
        rows = slice(start, start + STEP)
        low, high = offsets[start], offsets[min(start + STEP, len(codes))]
        shift = bounds[codes[rows]] - (offsets[:-1][rows] - low)
        made[low:high] = values[np.repeat(shift, lengths[rows]) + np.arange(high - low)]
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(made))
