"""Data sources that read tables: the layout reads them, all that follows until the stored dataset is here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from reasonrec_core.components import DataSource, ImportRequest
from reasonrec_core.components.base import C, Settings
from reasonrec_core.data import Dataset, choose_source
from reasonrec_core.data.columns import take_column
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.id_checks import compare_tables
from reasonrec_datasets.importing.index import build_dataset
from reasonrec_datasets.importing.labels import note_labels, read_label_words, read_signed_labels
from reasonrec_datasets.importing.log_rules import LogRules, apply_rules, drop_incomplete, weigh_events
from reasonrec_datasets.importing.pictures import find_item_pictures
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import MAX_COLUMNS, FileReading, read_with
from reasonrec_datasets.importing.time_parsing import TimeForm

PLAIN_STEMS = frozenset({"interactions", "ratings", "u", "sequences"})


class TableSettings(Settings):
    """The settings of all that read tables; a source with settings of its own extends them."""

    time_format: str | None = None
    """How times are written, as for strptime: %m/%d/%Y. Without it: numbers, ISO 8601, compact dates."""
    time_unit: Literal["s", "ms", "us", "ns", "days", "excel"] | None = None
    """Unit of times that are numbers; without it, told by their size."""
    encoding: str | None = None
    """Encoding of text files; without it UTF-8, or what a byte-order mark says."""
    delimiter: str | None = None
    """What separates fields: a character, or tab, space, comma, semicolon, pipe; without it the likeliest."""
    quote: Literal["double", "single", "backslash", "none"] | None = None
    """What surrounds fields that hold delimiters; backslash: double ones, those within follow a backslash; none: quotes
    are ordinary characters. Without it double ones, and one that seems to swallow a line is an error."""
    max_bytes: int | None = Field(None, gt=0)
    """Most bytes that a file may hold, unpacked; without it packed ones (Parquet, Arrow too) may unpack to 1 GiB."""
    max_columns: int = Field(MAX_COLUMNS, gt=0)
    """Most columns of a file."""
    label_separator: str | None = Field(None, min_length=1)
    """What separates labels in a cell of categories, besides the vertical bar: ',' or ';' or ' > '."""
    dedupe: Literal["last", "sum", "none"] = "last"
    """Of rows with one user, item and time the last stays; sum: all rows of a user with an item are one, values
    added; none: every row stays."""
    min_value: float | None = Field(None, allow_inf_nan=False)
    """Rows of a smaller value are left out."""
    k_core: int = Field(0, ge=0)
    """Users and items with fewer rows are left out, until none is."""
    event_weights: dict[str, float] = Field(default_factory=dict)
    """The value of each kind of event (as text: view=1,cart=3); rows of other kinds are left out."""
    drop_incomplete: bool = False
    """Rows without a user, item, time or value (blank, NULL, N/A, ...) are left out; otherwise they are errors."""

    @field_validator("event_weights", mode="before")
    @classmethod
    def _read_weights(cls, said: Any) -> Any:
        """``view=1,cart=3`` as a mapping."""
        if not isinstance(said, str):
            return said
        found: dict[str, float] = {}
        for pair in (pair for pair in said.split(",") if pair.strip()):
            kind, _, weight = (part.strip() for part in pair.rpartition("="))
            try:
                found[kind] = float(weight)
            except ValueError:
                raise ValueError(f"{pair.strip()!r} is not an event with a weight: write view=1,cart=3,buy=5") from None
        return found


class TableSource(DataSource[C]):
    """Reads data of one layout: says which paths it reads, and makes tables of them."""

    Config: ClassVar[type[Settings]] = TableSettings

    @property
    def time_form(self) -> TimeForm:
        """How the settings say that times are written."""
        said = self.config
        return TimeForm(said.time_format, said.time_unit) if isinstance(said, TableSettings) else TimeForm()

    @property
    def rules(self) -> LogRules:
        """Which rows the settings keep."""
        said = self.config if isinstance(self.config, TableSettings) else TableSettings()
        return LogRules(said.dedupe, said.min_value, said.k_core, said.event_weights, said.drop_incomplete)

    @contextmanager
    def reading(self, columns: Mapping[str, str]) -> Iterator[FileReading]:
        """Files opened in the block are read as the settings say."""
        said = self.config if isinstance(self.config, TableSettings) else TableSettings()
        given = [name for name in columns.values() if name]
        numbered = bool(given) and all(name.isdecimal() for name in given)
        limits = {"max_bytes": said.max_bytes, "max_columns": said.max_columns}
        how = {"encoding": said.encoding, "delimiter": said.delimiter, "quote": said.quote}
        reading = FileReading(**how, **limits, label_separator=said.label_separator, numbered=numbered)  # type: ignore[arg-type]
        with read_with(reading):
            yield reading

    @abstractmethod
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The interactions and, where they are there, items and users, under our column names.

        ``columns`` knows the names that users gave and those that people use: `reasonrec_datasets.read_log` and
        `reasonrec_datasets.read_fields` ask it. `reasonrec_datasets.open_table` opens files for them.

        Raises:
            DataError: what is wrong, in which file, line and column, and what to do.
        """

    def build(self, path: Path, folder: Path, request: ImportRequest) -> Dataset:
        """The tables, checked and indexed, as a dataset in ``folder``."""
        matcher = ColumnMatcher(request.columns)
        with self.reading(request.columns) as reading, _refuse_types(path):
            raw = _remark(self.read(path, matcher), reading, path, self.time_form)
        try:
            with _refuse_types(path):
                finished = finish_tables(raw, path, matcher, request, self.rules)
            return build_dataset(finished, folder, seed=request.seed)
        except DataError as error:
            if error.where is not None:
                raise
            raise DataError(error.what, where=str(path), fix=error.fix) from error  # the data's fault, not the source's


def import_path(
    path: Path,
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> RawTables:
    """Read a file or folder that a data source knows.

    Args:
        path: what to read.
        format: the name of a data source, or "auto" to ask them all.
        columns: ``{ours: theirs}`` for columns with names of their own; an empty name leaves a column out.
        options: the source's own settings.
        name: of the dataset; by default the file's or folder's.

    Returns:
        Checked tables.

    Raises:
        DataError: what is wrong, in which file, line and column, and what to do.
    """
    path, matcher = Path(path), ColumnMatcher(columns)
    chosen = choose_source(path, format, options)
    if not isinstance(chosen.source, TableSource):
        fix = "Use its data directly: give its path in a pipeline."
        raise DataError(f"the data source {chosen.name!r} makes datasets, not tables", where=str(path), fix=fix)
    source = chosen.source
    with chosen.guard("read"), source.reading(columns or {}) as reading, _refuse_types(path):
        raw = _remark(source.read(path, matcher), reading, path, source.time_form)
    request = ImportRequest(chosen.name, columns or {}, options or {}, name)
    with _refuse_types(path):
        return finish_tables(raw, path, matcher, request, source.rules)


@contextmanager
def _refuse_types(path: Path) -> Iterator[None]:
    """What Arrow cannot make of columns (of structs, maps, lists of lists) is the data's fault, not the source's."""
    try:
        yield
    except pa.ArrowException as error:
        what = f"has a column that cannot be read ({(str(error).splitlines() or [''])[0][:200]})"
        fix = "Store it as text, numbers, dates or lists of them, or ignore it: --column NAME="
        raise DataError(what, where=str(path), fix=fix) from error


def finish_tables(
    raw: RawTables, path: Path, matcher: ColumnMatcher, request: ImportRequest, rules: LogRules
) -> RawTables:
    """What was read from ``path``, checked, with the pictures beside it, its name and where it came from.

    Raises:
        DataError: a column that was named and that no file has, a bad cell, or tables that do not fit together.
    """
    matcher.refuse_unmatched()
    raw = drop_incomplete(raw) if rules.drop_incomplete else raw
    raw = read_signed_labels(read_label_words(weigh_events(raw, rules.event_weights)).check())
    raw = apply_rules(raw, rules)
    raw = _find_pictures(raw, path if path.is_dir() else path.parent)
    about: dict[str, Any] = {
        "path": str(path.resolve()),
        "format": request.format,
        "columns": dict(request.columns),
        "notes": [*matcher.notes, *raw.source.get("notes", ()), *note_labels(raw), *compare_tables(raw)],
    }
    about |= {"options": dict(request.options)} if request.options else {}
    name = request.name or _name_after(path.resolve())
    return replace(raw, name=name, source=about, derived=tuple(sorted(matcher.derived)))


def _remark(raw: RawTables, reading: FileReading, path: Path, form: TimeForm) -> RawTables:
    """The tables with what their reading showed among the notes, and the form of times that was said."""
    notes = [*raw.source.get("notes", ()), *reading.notes, *(reading.name_unread(path) if path.is_dir() else ())]
    form = raw.time_form if form == TimeForm() else form
    return replace(raw, source={**raw.source, "notes": notes}, time_form=form)


def _find_pictures(raw: RawTables, folder: Path) -> RawTables:
    """Checked tables with the folder of the pictures that lie beside them, and their paths among the items."""
    if raw.images is not None:
        return raw
    items = raw.items
    if items is None:
        items = pa.table({"item_id": take_column(raw.interactions, "item_id").unique().dictionary_decode()})
    notes: list[str] = []
    items, images = find_item_pictures(items, folder, notes)
    if images is None and not notes:
        return raw
    source = {**raw.source, "notes": [*raw.source.get("notes", ()), *notes]}
    return replace(raw, items=items, images=images, source=source, checked=(raw.interactions, items, raw.users))


def _name_after(path: Path) -> str:
    """The folder's name, or the file's where that says more than "interactions"."""
    stem = path.name.split(".")[0]
    return path.parent.name if path.is_file() and stem in PLAIN_STEMS else path.name if path.is_dir() else stem
