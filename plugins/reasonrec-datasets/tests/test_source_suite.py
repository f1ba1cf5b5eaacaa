"""The suite of data sources catches what is wrong: each test fails on one kind of broken source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from reasonrec_datasets import ColumnMatcher, RawTables
from reasonrec_datasets.layouts.tables import PlainTablesSource
from reasonrec_datasets.testing import DataSourceConformance

from reasonrec_core.errors import DataError


class Tables(DataSourceConformance):
    def write(self, folder: Path, tables: RawTables) -> Path:
        csv.write_csv(tables.interactions, folder / "interactions.csv")
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


class Greedy(PlainTablesSource):
    def matches(self, path: Path) -> bool:
        return True


class Fragile(PlainTablesSource):
    def matches(self, path: Path) -> bool:
        return any(path.iterdir()) and super().matches(path)


class Forgetful(PlainTablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        raw = super().read(path, columns)
        return replace(raw, interactions=raw.interactions.slice(1))


class Wavering(PlainTablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        raw = super().read(path, columns)
        price = pa.array(np.random.default_rng().random(raw.items.num_rows))
        return replace(raw, items=raw.items.append_column("noise", price))


class Littering(PlainTablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        (path / "cache.tmp").write_text("left behind")
        return super().read(path, columns)


class Blunt(PlainTablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        try:
            return super().read(path, columns)
        except DataError as error:
            raise ValueError("cannot read") from error


class Placeless(PlainTablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        return replace(super().read(path, columns), places={})


class Narrow(PlainTablesSource):
    def files(self, path: Path) -> list[Path]:
        return [path / "interactions.csv"]


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (Greedy, "matches_nothing_else"),
        (Fragile, "matches_nothing_else"),
        (Forgetful, "reads_what_was_written"),
        (Wavering, "reads_equal_twice_and_from_elsewhere"),
        (Littering, "changes_nothing_on_disk"),
        (Blunt, "damaged_data_is_refused_with_its_place"),
        (Placeless, "bad_cells_have_a_place"),
        (Narrow, "names_the_files_it_reads"),
    ],
)
def test_a_broken_source_fails(source: type[PlainTablesSource], test: str, tmp_path: Path) -> None:
    def run(component: type[PlainTablesSource], folder: Path) -> None:
        suite = type("Suite", (Tables,), {"component": component})()
        method: Callable[..., None] = getattr(suite, f"test_{test}")
        wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
        folder.mkdir()
        given = {"tmp_path": folder}
        if "written" in wanted:
            given["written"] = suite._write(folder / "written")
        method(**{name: given[name] for name in wanted})

    run(PlainTablesSource, tmp_path / "sound")
    with pytest.raises(AssertionError):
        run(source, tmp_path / "broken")
