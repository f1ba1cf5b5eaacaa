"""Columns of ids as people write them, turned into text by one rule; what a program mangled is said or refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_datasets.importing.column_parsing import Place, find_first, make_cell_error

EXACT = 2**53
"""Whole numbers beyond this are not exact as float64, so ids stored that way have lost digits."""
CONTROL = r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"
"""Tabs, line breaks and the like: no id holds them, but a row that a stray quote swallowed does."""
WHOLE = r"^([-+]?\d+)\.0*$"
"""A whole number that a program wrote as a fraction, as pandas does where a column had gaps."""
PROTECTED = r'^="(.*)"$'
"""How spreadsheets are kept from changing an id: ``="001"``."""
NOBODY = ("na", "n/a", "null", "none", "nan", "undefined", "(null)", "<na>", "\\n")
MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
MANGLED = rf"^-?\d([.,]\d+)?[eE]\+\d{{2,3}}$|^\d{{1,2}}-{MONTH}$|^{MONTH}-\d{{2}}$|^#{{3,}}$"
"""A long number as a spreadsheet shows it (1.23457E+12, 1,23457E+12): digits are lost, and several ids became one.
Also what it makes of 5-3: ``5-Mar``; and ``####``, what it shows where a column is too narrow."""


def parse_ids(
    column: pa.ChunkedArray | pa.Array, name: str, place: Place | None = None, notes: list[str] | None = None
) -> pa.DictionaryArray:
    """String ids, dictionary-encoded, without surrounding blanks.

    Whole numbers become their decimal digits, so that ``1``, ``1.0`` and ``"1"`` are one id; ``01`` is another. A
    spreadsheet's ``="001"`` is ``001``.
    ``notes`` gets a sentence, with a count and an example, where that changed an id or may surprise.

    Raises:
        DataError: an id that is blank or contains a control character (with its place), or a type that cannot be an id.
    """
    values = _as_text(flatten_column(column), name, place)
    if not pa.types.is_dictionary(values.type):
        values = pc.dictionary_encode(values)
    elif len(values.indices.drop_null().unique()) < len(values.dictionary):
        values = values.dictionary_decode().dictionary_encode()  # what no row says is nobody's id
    trimmed = pc.utf8_trim_whitespace(values.dictionary)
    codes = values.indices.cast(pa.int32())
    _refuse_unusable(codes, trimmed, name, place)
    whole = pc.replace_substring_regex(pc.replace_substring_regex(trimmed, PROTECTED, r"\1"), WHOLE, r"\1")
    if notes is not None:
        notes += _note_changed(codes, trimmed, whole, name, place)
        notes += _note_unknown(codes, whole, name, place)
        notes += _note_mangled(codes, whole, name, place)
    unique = whole.unique()
    if len(unique) < len(whole) or not whole.equals(values.dictionary):
        codes = pc.take(pc.index_in(whole, unique), codes)
    return pa.DictionaryArray.from_arrays(codes, unique)


def find_mangled_ids(ids: pa.Array) -> pa.Array:
    """bool[N]: ids as a spreadsheet shows long numbers."""
    return pc.match_substring_regex(ids, MANGLED)


def _refuse_unusable(codes: pa.Array, ids: pa.Array, name: str, place: Place | None) -> None:
    """Refuse blank ids and control characters."""
    blank = find_first(pc.equal(ids, ""))
    row = find_first(codes.is_null())
    if row < 0 and blank >= 0:
        row = pc.index(codes, blank).as_py()
    if row >= 0:
        fix = "Every row needs an id: fill it in, or drop such rows (--drop-incomplete)."
        raise make_cell_error(f"{name} is blank", place, row, name, fix=fix)
    odd = _first_row(codes, pc.match_substring_regex(ids, CONTROL))
    if odd >= 0:
        what = f"{name} {_cut(ids[codes[odd].as_py()].as_py())} contains a control character"
        fix = "Ids cannot contain tabs or line breaks; often a stray quote has swallowed a row. Correct or delete it."
        raise make_cell_error(what, place, odd, name, fix=fix)


def _first_row(codes: pa.Array, chosen: pa.Array) -> int:
    """The first row whose id is among the chosen ones, or -1."""
    if not pc.any(chosen).as_py():
        return -1
    return find_first(chosen.take(codes))


def _cut(word: str, most: int = 60) -> str:
    return repr(word if len(word) <= most else f"{word[:most]}...")


def _where(place: Place | None, row: int, name: str) -> str:
    return f"{place.where(row, name)}" if place else f"row {row + 1}"


def _note_changed(codes: pa.Array, before: pa.Array, after: pa.Array, name: str, place: Place | None) -> list[str]:
    changed = pc.not_equal(before, after)
    row = _first_row(codes, changed)
    if row < 0:
        return []
    count = pc.sum(changed.take(codes)).as_py()
    code = codes[row].as_py()
    words = f"are written like {before[code].as_py()!r} and read as {after[code].as_py()!r}"
    return [f"{name}: {count:,} of {len(codes):,} ids {words} (first at {_where(place, row, name)})"]


def _note_unknown(codes: pa.Array, ids: pa.Array, name: str, place: Place | None) -> list[str]:
    """Ids that say that there is none: all such rows would be one user's, or one item's."""
    nobody = pc.is_in(pc.utf8_lower(ids), value_set=pa.array(NOBODY))
    row = _first_row(codes, nobody)
    if row < 0:
        return []
    count, shown = pc.sum(nobody.take(codes).cast(pa.int64())).as_py(), ids[codes[row].as_py()].as_py()
    where = _where(place, row, name)
    what = f"{count:,} of {len(codes):,} ids are {shown!r}, read as an ordinary id (first at {where})"
    return [f'WARNING: {name}: {what}. If it means "unknown", drop these rows: --drop-incomplete.']


def _note_mangled(codes: pa.Array, ids: pa.Array, name: str, place: Place | None) -> list[str]:
    mangled = find_mangled_ids(ids)
    row = _first_row(codes, mangled)
    if row < 0:
        return []
    count, shown = np.count_nonzero(mangled.take(codes).to_numpy(zero_copy_only=False)), ids[codes[row].as_py()].as_py()
    lost = f"look as if a spreadsheet had changed them, e.g. {shown!r} (first at {_where(place, row, name)})"
    return [
        f"WARNING: {name}: {count:,} of {len(codes):,} ids {lost}. "
        f"Several may have become one: export the file again, with ids as text."
    ]


def _as_text(values: pa.Array, name: str, place: Place | None) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_string(kind.value_type):
            return values
        values, kind = values.dictionary_decode(), kind.value_type
    if pa.types.is_decimal(kind):
        return _whole_decimals(values, name, place)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _decode_bytes(values, name, place)
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)
        values = values.cast(pa.float64())
        usable = pc.and_(pc.equal(values, pc.trunc(values)), pc.less_equal(pc.abs(values), EXACT))
        fraction = pc.index(usable, False).as_py()
        if fraction >= 0:
            what = f"{name} {values[fraction].as_py()!r} is not an exact whole number, so it cannot be an id"
            raise make_cell_error(what, place, fraction, name, fix="Store ids as text or whole numbers.")
        values = values.cast(pa.int64(), safe=False)
    elif not (pa.types.is_integer(kind) or pa.types.is_null(kind) or is_text(kind)):
        raise make_cell_error(f"{name} has type {kind}", place, 0, name, fix="Store ids as text or whole numbers.")
    return values.cast(pa.string())


def _whole_decimals(values: pa.Array, name: str, place: Place | None) -> pa.Array:
    """Decimals without a fraction, as databases export whole numbers, as their digits."""
    texts = values.cast(pa.string())
    odd = find_first(pc.invert(pc.match_substring_regex(texts, r"^-?\d+(\.0*)?$")))
    if odd >= 0:
        what = f"{name} {texts[odd].as_py()} is not a whole number, so it cannot be an id"
        raise make_cell_error(what, place, odd, name, fix="Store ids as text or whole numbers.")
    return pc.replace_substring_regex(texts, WHOLE, r"\1")


def _decode_bytes(values: pa.Array, name: str, place: Place | None) -> pa.Array:
    """Bytes that are UTF-8, as some writers of Parquet store text."""
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid as error:
        raise make_cell_error(f"{name} is bytes, not text", place, 0, name, fix="Store ids as text.") from error
