"""Parts that came with the data: what the splitter promises, by hand and by the suite of splitters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from reasonrec_datasets import RawTables, build_dataset
from reasonrec_datasets.testing import tiny_tables
from small_logs import Row, asked, build, names

from reasonrec_core.data import Dataset, SplitConfig, make_split
from reasonrec_core.errors import DataError
from reasonrec_core.testing import SplitterConformance
from reasonrec_core.types import Task

HAND: list[Row] = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("b", "x", 1), ("b", "y", 5)]


def labelled(history: bool) -> Dataset:
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "z", 2), ("a", "w", 3), ("n", "x", 4), ("n", "y", 5)]
    given = {"history": [[], ["x"], ["x"], ["x", "z"], [], ["x", "w"]]} if history else {}
    parts = ["train", "train", "valid", "test", "test", "test"]
    return build(rows, value=[1, 1, 1, 0, 1, 1], part=parts, **given)


def test_predefined_labels_give_click_cases_with_earlier_positives() -> None:
    dataset = labelled(history=False)
    split = make_split(dataset, SplitConfig(kind="predefined"))
    assert split.test.queries.task is Task.CTR
    assert split.test.labels.tolist() == [[0.0], [1.0], [1.0]]
    assert names(dataset, split.test.queries.candidates[:, 0]) == ["w", "x", "y"]
    rows = [names(dataset, split.test.queries.history.row(b)) for b in range(3)]
    # Of a: y and z share a time, so neither is in the other's history; of n: the positive test row before.
    assert rows == [["x", "y", "z"], [], ["x"]]
    assert names(dataset, split.valid.queries.history.row(0)) == ["x"]
    assert np.diff(split.test.target_indptr).tolist() == [0, 1, 1]
    assert len(split.train) == 2


def test_predefined_history_is_taken_as_given() -> None:
    dataset = labelled(history=True)
    split = make_split(dataset, SplitConfig(kind="predefined"))
    rows = [names(dataset, split.test.queries.history.row(b)) for b in range(3)]
    assert rows == [["x", "z"], [], ["x", "w"]]
    assert "as the source gives it" in split.protocol


def test_predefined_without_labels_ranks_per_user() -> None:
    rows = [("a", "x", 1), ("a", "y", 2), ("a", "z", 3), ("a", "w", 4)]
    dataset = build(rows, part=["train", "valid", "test", "test"])
    split = make_split(dataset, SplitConfig(kind="predefined"))
    assert asked(dataset, split.test) == {"a": (["x", "y"], ["w", "z"])}


def test_predefined_needs_every_part_and_labels_for_clicks() -> None:
    with pytest.raises(DataError, match="no predefined parts"):
        make_split(build(HAND), SplitConfig(kind="predefined"))
    with pytest.raises(DataError, match="no rows for the part 'test'"):
        make_split(build(HAND, part=["train"] * 3 + ["valid"] * 2), SplitConfig(kind="predefined"))
    parts = ["train", "valid", "test", "train", "test"]
    with pytest.raises(DataError, match="no value column"):
        make_split(build(HAND, part=parts), SplitConfig(kind="predefined", task="ctr"))
    rated = build(HAND, part=parts, value=[1, 5, 3, 4, 2])
    with pytest.raises(DataError, match="min_value"):
        make_split(rated, SplitConfig(kind="predefined", task="ctr"))
    split = make_split(rated, SplitConfig(kind="predefined", min_value=3))
    assert split.test.labels.ravel().tolist() == [1.0, 0.0]


class TestPredefinedParts(SplitterConformance):
    component = "predefined"

    @classmethod
    def dataset(cls, folder: Path) -> Dataset:
        raw = tiny_tables(folder)
        times = np.asarray(raw.interactions.column("timestamp"))
        cuts = np.quantile(times, [0.7, 0.85])
        part = pa.array(np.array(["train", "valid", "test"])[np.searchsorted(cuts, times, side="right")])
        log = raw.interactions.append_column("part", part)
        return build_dataset(RawTables(log, items=raw.items, name="parts"), folder / "dataset")


class TestPredefinedClicks(TestPredefinedParts):
    @classmethod
    def dataset(cls, folder: Path) -> Dataset:
        dataset = super().dataset(folder / "rankings")
        raw = tiny_tables(folder, clicks=True)
        times = np.asarray(raw.interactions.column("timestamp"))
        part = np.array(["train", "valid", "test"])[np.searchsorted(np.quantile(times, [0.7, 0.85]), times, "right")]
        assert len(dataset)
        log = raw.interactions.append_column("part", pa.array(part))
        return build_dataset(RawTables(log, items=raw.items, name="clicks"), folder / "dataset")
