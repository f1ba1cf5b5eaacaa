"""The suites of data sources and splitters catch what is wrong: each fails on one kind of broken component."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from reasonrec_datasets.tables import TablesSource

from reasonrec_core.builtin.leave_one_out import LeaveOneOut
from reasonrec_core.data import VALID, ColumnMatcher, Dataset, Division, RawTables, make_split
from reasonrec_core.errors import DataError
from reasonrec_core.testing import DataSourceConformance, SplitterConformance
from reasonrec_core.types import Interactions


class Tables(DataSourceConformance):
    def write(self, folder: Path, tables: RawTables) -> Path:
        csv.write_csv(tables.interactions, folder / "interactions.csv")
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


class Greedy(TablesSource):
    def matches(self, path: Path) -> bool:
        return True


class Fragile(TablesSource):
    def matches(self, path: Path) -> bool:
        return any(path.iterdir()) and super().matches(path)


class Forgetful(TablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        raw = super().read(path, columns)
        return replace(raw, interactions=raw.interactions.slice(1))


class Wavering(TablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        raw = super().read(path, columns)
        price = pa.array(np.random.default_rng().random(raw.items.num_rows))
        return replace(raw, items=raw.items.append_column("noise", price))


class Littering(TablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        (path / "cache.tmp").write_text("left behind")
        return super().read(path, columns)


class Blunt(TablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        try:
            return super().read(path, columns)
        except DataError as error:
            raise ValueError("cannot read") from error


class Placeless(TablesSource):
    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        return replace(super().read(path, columns), places={})


class Narrow(TablesSource):
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
def test_a_broken_source_fails(source: type[TablesSource], test: str, tmp_path: Path) -> None:
    def run(component: type[TablesSource], folder: Path) -> None:
        suite = type("Suite", (Tables,), {"component": component})()
        method: Callable[..., None] = getattr(suite, f"test_{test}")
        wanted = method.__code__.co_varnames[1 : method.__code__.co_argcount]
        folder.mkdir()
        given = {"tmp_path": folder}
        if "written" in wanted:
            given["written"] = suite._write(folder / "written")
        method(**{name: given[name] for name in wanted})

    run(TablesSource, tmp_path / "sound")
    with pytest.raises(AssertionError):
        run(source, tmp_path / "broken")


class Whole(SplitterConformance):
    component = "leave-one-out"
    settings = {"repeats": "keep"}  # noqa: RUF012


def shifted(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """Parts of other rows than the targets."""
    division = SOUND(splitter, dataset, log)
    return replace(division, parts=np.roll(division.parts, 1))


def leaking(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """The validation interactions are trained on, too."""
    division = SOUND(splitter, dataset, log)
    return replace(division, parts=np.where(division.parts == VALID, 0, division.parts).astype(np.uint8))


def clairvoyant(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """Validation is asked with the histories of the test."""
    division = SOUND(splitter, dataset, log)
    history = replace(division.valid.queries, history=division.test.queries.history)
    return replace(division, valid=replace(division.valid, queries=history))


def dicing(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """A part drawn without the seed."""
    division = SOUND(splitter, dataset, log)
    parts = division.parts.copy()
    parts[np.random.default_rng().permutation(np.flatnonzero(parts == 0))[:20]] = 255
    return replace(division, parts=parts)


def scribbling(splitter: LeaveOneOut, dataset: Dataset, log: Interactions) -> Division:
    """Writes to what it is given."""
    division = SOUND(splitter, dataset, log)
    log.items[:] = log.items[::-1].copy()
    return division


SOUND = LeaveOneOut.divide


@pytest.mark.parametrize(
    ("divide", "test"),
    [
        (shifted, "targets_are_interactions_of_their_part"),
        (leaking, "nothing_held_out_is_learned_from"),
        (clairvoyant, "histories_hold_what_came_before"),
        (dicing, "equal_settings_divide_equally"),
        (scribbling, "changes_nothing_that_it_is_given"),
    ],
)
def test_a_broken_splitter_fails(
    divide: Callable[..., Division], test: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Whole.dataset(tmp_path)
    getattr(Whole(), f"test_{test}")((dataset, make_split(dataset, Whole.config())))
    monkeypatch.setattr(LeaveOneOut, "divide", divide)
    with pytest.raises(AssertionError):
        getattr(Whole(), f"test_{test}")((dataset, make_split(dataset, Whole.config())))
