"""Check-ins without a header, as SNAP and Foursquare publish them.

Sources: snap.stanford.edu/data/loc-Gowalla.html and loc-Brightkite.html (``loc-gowalla_totalCheckins.txt.gz``: user,
time, latitude, longitude, place, separated by tabs); sites.google.com/site/yangdingqi/home/foursquare-dataset
(``dataset_TSMC2014_NYC.txt``: user, venue, category id, category, latitude, longitude, zone in minutes, UTC time;
``dataset_TIST2015_Checkins.txt``: user, venue, UTC time, zone).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.number_parsing import convert_numbers
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.csv_reader import DelimitedFile, Dialect
from reasonrec_datasets.layouts.places import TakenPlace
from reasonrec_datasets.layouts.sniffing import read_first_lines
from reasonrec_datasets.layouts.tables import TEXT_FIELDS, list_files, read_beside, read_tables

PLACE = r"-?\d{1,3}(\.\d+)?([eE]-\d+)?"
CLOCK = r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \+0000 \d{4}"


@dataclass(frozen=True)
class CheckInForm:
    """A file without a header.

    Attributes:
        columns: ``user_id``, ``item_id``, ``timestamp``, the zone; the rest are fields of the place.
        line: what its lines look like.
    """

    columns: tuple[str, ...]
    line: re.Pattern[str]


FORMS = (
    CheckInForm(
        ("user_id", "timestamp", "latitude", "longitude", "item_id"),
        re.compile(rf"\d+\t\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ\t{PLACE}\t{PLACE}\t\w+"),
    ),
    CheckInForm(
        ("user_id", "item_id", "category_id", "categories", "latitude", "longitude", "zone", "timestamp"),
        re.compile(rf"\d+\t\w+\t\w+\t[^\t]+\t{PLACE}\t{PLACE}\t-?\d+\t{CLOCK}"),
    ),
    CheckInForm(("user_id", "item_id", "timestamp", "zone"), re.compile(rf"\d+\t\w+\t{CLOCK}\t-?\d+")),
)
LOG = ("user_id", "item_id", "timestamp")
NOT_OF_PLACES = frozenset({"user_id", "timestamp", "zone"})
FIRST_LINES = 50
SUFFIXES = (".txt", ".txt.gz", ".tsv", ".tsv.gz", ".csv", ".csv.gz")
SURE = 0.9
NOWHERE = r"^(0{8,})?$"
"""Brightkite's place where none was known: zeros, or nothing."""


class CheckInsSource(TableSource[TableSettings]):
    """Gowalla, Brightkite, Foursquare."""

    order = -10

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is a file of check-ins, or a folder with exactly one."""
        return len(_find_files(path)) == 1

    def files(self, path: Path) -> list[Path]:
        """The check-ins, and ``items.*`` and ``users.*`` beside them."""
        return list_files(path)

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """Who was where when; a place has the fields of its first row."""
        files = _find_files(path)
        if len(files) != 1:
            what = f"expected one file of check-ins, found: {', '.join(f.name for f in files) or 'none'}"
            fix = "Name the file. If its columns have another order: --format tables --column user_id=1 ..."
            raise DataError(what, where=str(path), fix=fix)
        if current_reading().numbered:
            return read_tables(files[0], columns)
        form = _find_form(files[0])
        assert form is not None
        log, places = _read_check_ins(files[0], form, columns)
        items, users = read_beside(files[0].parent, columns)
        return make_raw_tables(log, items or places, users)


def _find_files(path: Path) -> list[Path]:
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [f for f in files if f.name.lower().endswith(SUFFIXES) and f.is_file() and _find_form(f) is not None]


def _find_form(file: Path) -> CheckInForm | None:
    """The form of nearly all of the first lines; a few may lack the place."""
    lines = read_first_lines(file, FIRST_LINES)
    for form in FORMS:
        if lines and sum(bool(form.line.fullmatch(line)) for line in lines) >= SURE * len(lines):
            return form
    return None


def _read_check_ins(
    file: Path, form: CheckInForm, columns: ColumnMatcher
) -> tuple[SourceTable, SourceTable | None]:  # fmt: skip
    opened = DelimitedFile.open(file, Dialect("\t", None, _guess_encoding(file), form.columns))
    table = opened.read().table
    item = pc.fill_null(pc.utf8_trim_whitespace(table.column("item_id")), "")
    rows = pc.indices_nonzero(pc.invert(pc.match_substring_regex(item, NOWHERE)))
    if gone := table.num_rows - len(rows):
        columns.notes.append(f"{file.name}: {gone:,} check-ins without a place are left out")
        table = table.take(rows)
    times = table.column("timestamp")
    table = table.set_column(table.column_names.index("timestamp"), "timestamp", _read_times(times))
    matched = columns.match("interactions", LOG, file)
    place = TakenPlace(opened, rows)
    fields = [name for name in form.columns if name not in NOT_OF_PLACES]
    log = SourceTable(table.select(list(matched)), file, place).rename(matched)
    return log, _read_places(table.select(fields), file, place) if len(fields) > 1 else None


def _guess_encoding(file: Path) -> str:
    """UTF-8, or Latin-1 where the file is not: Foursquare's categories."""
    said = current_reading().encoding
    try:
        DelimitedFile.open(file, Dialect("\t", None, names=("line",))).text()
    except DataError:
        return "utf-8" if said else "latin-1"
    return "utf-8"


def _read_times(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """Twitter's form of time as ISO 8601; others as they are."""
    form = r"^\w+ (?P<month>\w+) (?P<day>\d+) (?P<clock>[\d:]+) \+0000 (?P<year>\d+)$"
    found = pc.extract_regex(flatten_column(times), form)
    if found.null_count == len(found):
        return times
    month = pc.index_in(found.field("month"), value_set=pa.array(calendar.month_abbr[1:]))
    number = pc.utf8_lpad(pc.add(month, 1).cast(pa.string()), 2, "0")
    day = pc.binary_join_element_wise(found.field("year"), number, found.field("day"), "-")
    iso = pc.binary_join_element_wise(day, found.field("clock"), "T")
    return pa.chunked_array([pc.coalesce(pc.binary_join_element_wise(iso, "Z", ""), flatten_column(times))])


def _read_places(table: pa.Table, file: Path, place: TakenPlace) -> SourceTable:
    """A row per place, with the fields of its first check-in."""
    codes = flatten_column(table.column("item_id")).dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    rows = pa.array(first)
    items = convert_numbers(table.take(rows), TEXT_FIELDS | {"category_id"})
    return SourceTable(items, file, TakenPlace(place, rows))
