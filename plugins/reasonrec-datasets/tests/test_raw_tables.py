"""Tables that are in memory: checked like files, and stored whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pyarrow as pa
import pytest
from reasonrec_datasets import RawTables, build_dataset

from reasonrec_core.data import Dataset
from reasonrec_core.errors import DataError


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"interactions": {"user_id": ["u"]}}, "no column 'item_id'"),
        ({"interactions": {"user_id": pa.array([], "string"), "item_id": pa.array([], "string")}}, "no interactions"),
        (
            {"interactions": {"user_id": ["u", None], "item_id": ["a", "b"]}},
            "row 2, column 'user_id': user_id is blank",
        ),
        ({"interactions": {"user_id": ["u"], "item_id": ["a"], "value": [float("inf")]}}, "must be finite"),
        ({"interactions": {"user_id": ["u"], "item_id": ["a"]}, "items": {"title": ["A"]}}, "no column 'item_id'"),
        ({"interactions": {"user_id": ["u"], "item_id": ["a"]}, "items": {"item_id": ["a", "a"]}}, "occurs twice"),
        ({"interactions": {"user_id": ["u"], "item_id": ["a"], "history": [1]}}, "history has type int64"),
    ],
)
def test_tables_from_python_are_checked_too(tables: dict[str, dict[str, object]], words: str, tmp_path: Path) -> None:
    raw = RawTables(**{name: pa.table(columns) for name, columns in tables.items()})
    with pytest.raises(DataError, match=words):
        build_dataset(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_keeps_the_dataset_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = RawTables(pa.table({"user_id": ["u1", "u1"], "item_id": ["a", "b"], "timestamp": [10, 20]}))
    before = build_dataset(raw, tmp_path / "out")
    monkeypatch.setattr("pyarrow.parquet.write_table", full_disk)
    with pytest.raises(DataError, match="No space left"):
        build_dataset(raw, tmp_path / "out", seed=1)
    before.verify()
    assert Dataset.open(tmp_path / "out").hash == before.hash
    assert len(list(tmp_path.iterdir())) == 1
