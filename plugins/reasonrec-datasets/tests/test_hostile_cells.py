"""Columns and cells that no log should hold: read by a rule, or refused with what and where."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reasonrec_datasets import build_dataset, import_path

from reasonrec_core.errors import DataError


def write(folder: Path, name: str = "interactions", **columns: object) -> Path:
    table = {"user_id": ["u", "v"], "item_id": ["a", "b"]} if name == "interactions" else {}
    pq.write_table(pa.table({**table, **columns}), folder / f"{name}.parquet")
    return folder


@pytest.mark.parametrize(
    "values",
    [
        [{"a": 1}, {"a": 2}],
        [[("k", 1)], None],
        [[["x"]], None],
        [b"\xff\xfe", b"x"],
    ],
)
def test_events_of_a_type_that_names_nothing(values: list[object], tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.int64()) if values[0] == [("k", 1)] else None
    with pytest.raises(DataError, match=r"row 1, column 'event': event has type"):
        import_path(write(tmp_path, event=pa.array(values, kind)))


def test_blank_events_are_events_of_no_name(tmp_path: Path) -> None:
    raw = import_path(write(tmp_path, event=["view", None]), options={"event_weights": "view=2"})
    assert raw.interactions.num_rows == 1


def test_days_beyond_any_calendar_are_shown_as_such(tmp_path: Path) -> None:
    days = pa.array([-(2**31), 2**31 - 1], pa.int32()).view(pa.date32())
    with pytest.raises(DataError, match=r"'x' looks like one \(e\.g\. \(a date32\[day\] out of range\)\)"):
        import_path(write(tmp_path, x=days))
    with pytest.raises(DataError, match="timestamp"):
        import_path(write(tmp_path, timestamp=days))


def test_what_no_row_says_is_nobodys_id(tmp_path: Path) -> None:
    """Dictionaries of Arrow may hold what no row has: a blank, a part of no name, an id."""
    words = pa.DictionaryArray.from_arrays(pa.array([1, 2], pa.int32()), ["", "a", "b"])
    parts = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int32()), ["train", "nonsense"])
    write(tmp_path, item_id=words, part=parts)
    dataset = build_dataset(import_path(write(tmp_path, "items", item_id=words)), tmp_path / "out")
    assert sorted(dataset.catalog.ids) == ["a", "b"]


def test_times_of_long_text_are_times(tmp_path: Path) -> None:
    raw = import_path(write(tmp_path, timestamp=pa.array(["2024-01-31", "2024-02-01 10:00"], pa.large_string())))
    assert raw.interactions["timestamp"].to_pylist() == [1706659200, 1706781600]


def test_what_arrow_cannot_make_of_a_column_is_the_datas_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise pa.ArrowNotImplementedError("no kernel")

    monkeypatch.setattr("reasonrec_datasets.importing.table_source.weigh_events", refuse)
    with pytest.raises(DataError, match=r"has a column that cannot be read \(no kernel\)"):
        import_path(write(tmp_path))


def test_half_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    row = {"reviewerID": "\ud800", "asin": "a", "overall": 1, "unixReviewTime": 1600000000}
    (tmp_path / "r.json").write_text(json.dumps({**row, "reviewerID": "u"}) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"r\.json:2"):
        import_path(tmp_path)


def test_a_header_cell_longer_than_pythons_own_limit_is_read(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_text(f"user_id,item_id,{'x' * 200_000}\nu,a,1\n")
    assert import_path(tmp_path).interactions.num_rows == 1


def test_a_long_run_of_blanks_is_read_once(tmp_path: Path) -> None:
    """What tried each blank as a first one would never end."""
    long = " " * 300_000
    pq.write_table(pa.table({"item_id": ["a", "b"], "price": [f"-{long}x", "1.5"]}), tmp_path / "items.parquet")
    raw = import_path(write(tmp_path))
    assert raw.items is not None
    assert raw.items["price"].to_pylist() == [None, 1.5]


def test_a_long_line_that_is_not_utf_8_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_bytes(b"user_id,item_id\nu,Caf\xe9" + b"a" * 3_000_000 + b"\n")
    with pytest.raises(DataError, match=r"interactions\.csv:2:.*It is most likely cp1252, which gives 'Café?a"):
        import_path(tmp_path)
