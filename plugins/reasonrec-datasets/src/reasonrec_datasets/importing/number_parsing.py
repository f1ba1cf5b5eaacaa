"""Fields of items and users that hold numbers as people write them: prices, decimal commas, "N/A".

A column becomes numbers where all its cells can be read, by rules that are documented; what is read by rule, and what
keeps a column of numbers from being one, is counted and shown.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column, is_text
from reasonrec_datasets.importing.column_parsing import count_cells, decode_values

LEADING_ZERO = r"^[+-]?0\d"
"""Codes such as zip ``07041`` look like numbers and are none."""
NO_VALUE = frozenset(
    {"n/a", "#n/a", "na", "n.a.", "n.d.", "nan", "null", "none", "-", "--", "?", "unknown", "not available", "\\n",
     "(null)", "<na>", "undefined", "#value!", "#ref!", "#div/0!"}
)  # fmt: skip
CURRENCY = r"(?:[$\u20ac\u00a3\u00a5\u20b9]|US\$|USD|EUR|GBP|JPY|CHF|INR|CNY|RMB)"
DIGITS = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:[.' ]\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}"
    r"|\d{1,3}(?:[' ]\d{3})+(?:\.\d+)?"
    r"|\d+,\d+|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+"
)
AMOUNT = re.compile(rf"([-+]?)\s*{CURRENCY}?\s*([-+]?)({DIGITS})\s*(?:{CURRENCY}|%)?", re.IGNORECASE)
WITHIN = re.compile(rf"(?<![\w.,])({DIGITS})(?![\w])")
BLANKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2019": "'"})
"""Blanks of other widths, and signs that stand for minus and for the apostrophe."""
COMMA_DECIMAL = re.compile(r"(?:^|[^\d.,])(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+|\d{1,3}(?:[.' ]\d{3})+,\d+)(?![\d,.])")
POINT_DECIMAL = re.compile(r"(?:^|[^\d.,])(?:\d+\.(?:\d{1,2}|\d{4,})|0\.\d+|\d{1,3}(?:[,' ]\d{3})+\.\d+)(?![\d,.])")
"""Cells that can be meant in one way only."""
PRICE = re.compile(r"(?:^|_)(?:price|cost|msrp)s?(?:$|_)")
"""Columns that are numbers whatever stands around them ("from 12.00")."""
LONGEST = 60
"""Characters of a cell with a price in words; longer ones are no prices (Amazon's hold style sheets)."""
SAMPLE = 1000
MOSTLY = 0.5


@dataclass
class _Reading:
    """What the cells of a column were read as, by distinct cell."""

    numbers: list[float | None] = field(default_factory=list)
    empty: list[bool] = field(default_factory=list)
    odd: list[bool] = field(default_factory=list)


def convert_numbers(table: pa.Table, keep: Collection[str], notes: list[str] | None = None) -> pa.Table:
    """Turn text columns, other than those in ``keep``, that hold nothing but numbers into numbers.

    ``notes`` gets a sentence for each column of which a cell is read by a rule, or is no number among numbers.
    """
    columns = dict(zip(table.column_names, table.columns, strict=True))  # set_column copies the table
    for name, column in columns.items():
        if pa.types.is_dictionary(column.type) or is_text(column.type):
            column = pa.chunked_array([decode_values(flatten_column(column))])
        if name in keep or not is_text(column.type) or column.null_count == len(column):
            continue
        column = column.cast(pa.string())
        said = [] if notes is None else notes
        if pc.any(zeros := pc.fill_null(pc.match_substring_regex(column, LEADING_ZERO), False)).as_py():
            _note_codes(column, zeros, name, said)
            continue
        try:
            parsed = pc.utf8_trim_whitespace(column).cast(pa.float64())
        except pa.ArrowInvalid:
            parsed = _convert_by_rule(column, name, said)
        if parsed is not None and pc.any(pc.is_inf(parsed)).as_py():
            parsed = _convert_by_rule(column, name, said)
        if parsed is not None:
            columns[name] = pc.if_else(pc.is_nan(parsed), None, parsed)
    return pa.table(columns, metadata=table.schema.metadata)


def _note_codes(column: pa.ChunkedArray, zeros: pa.ChunkedArray, name: str, notes: list[str]) -> None:
    """Say where cells with a leading zero keep a column of whole numbers text."""
    numbers = pc.fill_null(pc.match_substring_regex(column, r"^\s*[+-]?\d+\s*$"), True)
    if pc.all(numbers).as_py():
        count, example = pc.sum(zeros.cast(pa.int64())).as_py(), column.filter(zeros)[0].as_py()
        which = f"{count:,} of {len(column) - column.null_count:,} cells begin with a zero, e.g. {example!r}"
        notes.append(f"column {name!r} stays text: {which}, as codes do")


def convert_amounts(column: pa.ChunkedArray, name: str, notes: list[str]) -> pa.ChunkedArray | pa.Array:
    """Text whose cells `parse_amount` reads as numbers, counted; other cells stay, for whoever refuses them."""
    if not is_text(decode_values(flatten_column(column.slice(0, 0))).type):
        return column
    cells = pc.utf8_trim_whitespace(decode_values(flatten_column(column)).cast(pa.string()))
    odd = pc.fill_null(pc.match_substring_regex(cells, r"[^0-9.eE+-]"), False)
    if not pc.any(odd).as_py():
        return column
    codes = cells.dictionary_encode()
    words = codes.dictionary.to_pylist()
    decimal = find_decimal(words)
    read = [parse_amount(word, decimal) for word in words]
    read = [None if n == _read_plain(word) else n for word, n in zip(words, read, strict=True)]
    if not any(number is not None for number in read):
        return column
    mended = [word if number is None else repr(number) for word, number in zip(words, read, strict=True)]
    example = next(code for code, number in enumerate(read) if number is not None)
    count = _count(codes, [number is not None for number in read])
    shown = f"{words[example][:60]!r} as {read[example]:g}"
    notes.append(f"{name}: {count:,} of {len(column):,} cells were converted to numbers, e.g. {shown}")
    return pa.array(mended, pa.string()).take(codes.indices)


def parse_amount(cell: str, decimal: str | None = None) -> float | None:
    """The number in a cell that holds one with, perhaps, a currency, a percent sign, or separators of thousands.

    A comma before exactly three digits separates thousands, any other is decimal: ``1,299`` is 1299, ``1,99`` is 1.99.

    Args:
        cell: the text.
        decimal: what other cells of the column say (`find_decimal`): with a comma, ``1.299`` is 1299 and ``1,299`` is
            1.299.
    """
    cell = cell.translate(BLANKS).strip()
    found = AMOUNT.fullmatch(cell) if len(cell) <= LONGEST else None
    if found is None:
        return None
    value = _read_digits(found[3], decimal)
    return -value if "-" in (found[1], found[2]) else value


def find_decimal(cells: list[str]) -> str | None:
    """The decimal sign of a column: ``,`` or ``.`` where cells can be meant in one way only and agree; else None."""
    shown = [cell.translate(BLANKS) for cell in cells[:SAMPLE] if cell and len(cell) <= LONGEST]
    comma = any(COMMA_DECIMAL.search(cell) for cell in shown)
    point = any(POINT_DECIMAL.search(cell) for cell in shown)
    return None if comma == point else "," if comma else "."


def _read_digits(digits: str, decimal: str | None) -> float:
    digits = digits.replace("'", "").replace(" ", "")
    if decimal == "," and re.fullmatch(r"\d{1,3}(\.\d{3})+(,\d+)?|\d+,\d+", digits):
        return float(digits.replace(".", "").replace(",", "."))
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", digits):
        return float(digits.replace(",", ""))
    if "," in digits or digits.count(".") > 1:
        return float(digits.replace(".", "").replace(",", "."))
    return float(digits)


def _read_cell(cell: str, price: bool, decimal: str | None, reading: _Reading) -> None:
    number = parse_amount(cell, decimal)
    empty = number is None and (not cell.strip() or cell.strip().lower() in NO_VALUE)
    if (
        number is None
        and not empty
        and price
        and len(cell) <= LONGEST
        and (within := WITHIN.search(cell.translate(BLANKS)))
    ):
        number = _read_digits(within[1], decimal)
    reading.numbers.append(number)
    reading.empty.append(empty)
    reading.odd.append(number is None and not empty)


def _convert_by_rule(column: pa.ChunkedArray, name: str, notes: list[str]) -> pa.Array | None:
    """The column as numbers, or None where it stays text."""
    codes = pc.dictionary_encode(column).unify_dictionaries().combine_chunks()
    if isinstance(codes, pa.ChunkedArray):
        codes = codes.chunk(0)
    cells = codes.dictionary.to_pylist()
    price = bool(PRICE.search(name.lower()))
    first = _read_cells(cells[:SAMPLE], price)
    if sum(number is not None for number in first.numbers) < MOSTLY * (len(first.numbers) - sum(first.empty)):
        return None
    reading = _read_cells(cells, price)
    found = [number is not None for number in reading.numbers]
    if not any(found):
        return None
    total = len(column) - column.null_count
    if any(reading.odd) and not price:
        words = (
            f"WARNING: column {name!r} stays text: {_count(codes, reading.odd):,} of {total:,} cells are not numbers"
        )
        notes.append(f"{words}, e.g. {cells[reading.odd.index(True)][:60]!r}")
        return None
    strange = [n is not None and n != _read_plain(cell) for cell, n in zip(cells, reading.numbers, strict=True)]
    none = [number is None for number in reading.numbers]
    kinds = []
    if any(strange):
        row = strange.index(True)
        kinds.append(
            f"{count_cells(_count(codes, strange))} converted, e.g. {cells[row][:60]!r} to {reading.numbers[row]:g}"
        )
    if any(none):
        kinds.append(
            f"{count_cells(_count(codes, none))} not numeric and left empty, e.g. {cells[none.index(True)][:60]!r}"
        )
    notes.append(f"column {name!r} holds numbers: {'; '.join(kinds)} (of {total:,})")
    return pa.array(reading.numbers, pa.float64()).take(codes.indices)


def _read_cells(cells: list[str], price: bool) -> _Reading:
    reading = _Reading()
    decimal = find_decimal(cells)
    for cell in cells:
        _read_cell(cell, price, decimal, reading)
    return reading


def _read_plain(cell: str) -> float | None:
    """What Python reads, where it can; ``1_000`` is none of ours."""
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def _count(codes: pa.DictionaryArray, chosen: list[bool]) -> int:
    """How many rows hold one of the chosen cells."""
    return int(pc.sum(pa.array(chosen).take(codes.indices).cast(pa.int64())).as_py() or 0)
