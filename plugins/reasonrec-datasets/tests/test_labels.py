"""Labels in the forms in which click data has them, and parts without validation."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layout_files import load, write

from reasonrec_core.data import SplitConfig, make_split
from reasonrec_core.errors import DataError
from reasonrec_core.types import Task


def log(*labels: str) -> str:
    rows = [f"u{n % 2},i{n},{label},{n}\n" for n, label in enumerate(labels)]
    return "user_id,item_id,label,timestamp\n" + "".join(rows)


@pytest.mark.parametrize("words", [("-1", "1"), ("false", "true"), ("False", " TRUE"), ("no", "yes"), ("0", "1")])
def test_labels_as_people_write_them(words: tuple[str, str], tmp_path: Path) -> None:
    no, yes = words
    parts = {f"{part}__csv": log(no, yes, yes, no) for part in ("train", "valid", "test")}
    dataset = load(write(tmp_path / "in", **parts), tmp_path)
    split = make_split(dataset, SplitConfig(kind="predefined"))
    assert split.test.queries.task is Task.CTR
    assert sorted(split.test.labels.ravel().tolist()) == [0, 0, 1, 1]


def test_labels_of_arrow(tmp_path: Path) -> None:
    table = pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"], "label": [True, False]})
    pq.write_table(table, write(tmp_path / "in") / "interactions.parquet")
    values = load(tmp_path / "in", tmp_path).interactions.values
    assert values is not None
    assert sorted(values.tolist()) == [0, 1]


def test_ratings_that_are_words_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"value '(true|maybe)' is not a number"):
        load(write(tmp_path / "in", interactions__csv=log("true", "maybe")), tmp_path)


def test_validation_is_taken_from_training_where_that_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", train__csv=log(*"10101010"), test__csv=log(*"10"))
    dataset = load(folder, tmp_path)
    with pytest.raises(DataError, match=r"no rows for the part 'valid'.*split\.valid_share"):
        make_split(dataset, SplitConfig(kind="predefined"))
    split = make_split(dataset, SplitConfig(kind="predefined", valid_share=0.25))
    assert (len(split.train), len(split.valid), len(split.test)) == (6, 2, 2)
    assert split.valid.queries.times is not None
    assert sorted(split.valid.queries.times.tolist()) == [6, 7]


def test_labels_without_parts_are_a_warning(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "in", interactions__csv=log("0", "1", "0")), tmp_path)
    assert any(note.startswith("WARNING: 2 of 3 values are 0") and "split.min_value" in note for note in dataset.notes)
    parts = {f"{part}__csv": log("0", "1") for part in ("train", "test")}
    assert not any(
        "WARNING: 2 values" in note for note in load(write(tmp_path / "parts", **parts), tmp_path / "p").notes
    )
