"""Frames of every library in, and back out as the same kind; what is wrong is said with frame, row and column."""

import doctest
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from reasonrec_frames import FrameDataset, check_kind, import_frames, name_kind, read_frame, speak_python, write_frame

from reasonrec_core.errors import ConfigError, DataError

LOG = {
    "user_id": ["u1", "u1", "u1", "u2", "u2", "u2"],
    "item_id": ["a", "b", "c", "b", "c", "d"],
    "timestamp": ["2024-01-01", "2024-01-02", "2024-01-03"] * 2,
}
MAKE = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "pyarrow": pa.table,
    "duckdb": lambda columns: duckdb.from_arrow(pa.table(columns)),
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONREC_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["dataset", "list_scores", "model", "native_frames", "wording"])
def test_the_examples_of_the_docstrings_run(name: str) -> None:
    found = doctest.testmod(import_module(f"reasonrec_frames.{name}"))
    assert found.attempted > 1
    assert not found.failed


@pytest.mark.parametrize("kind", MAKE)
def test_every_library_gives_the_same_dataset_and_gets_its_own_frames(kind: Any) -> None:
    dataset = FrameDataset.from_frames(MAKE[kind](LOG), items=MAKE[kind]({"item_id": ["a", "b"], "title": ["A", "B"]}))
    assert (
        dataset.hash
        == FrameDataset.from_frames(pa.table(LOG), pa.table({"item_id": ["a", "b"], "title": ["A", "B"]})).hash
    )
    assert (dataset.n_users, dataset.n_items, len(dataset), dataset.has_clock) == (2, 4, 6, True)
    train = dataset.split().train
    assert name_kind(train) == kind
    assert isinstance(train, nw.from_native(MAKE[kind](LOG)).to_native().__class__)
    rows = read_frame(train, "train").to_pylist()
    assert {(row["user_id"], row["item_id"]) for row in rows} == {("u1", "a"), ("u2", "b")}


def test_lazy_frames_and_a_named_index_are_read() -> None:
    lazy = pl.LazyFrame(LOG)
    indexed = pd.DataFrame(LOG).set_index("user_id")
    assert import_frames(lazy).hash == import_frames(indexed).hash == import_frames(pa.table(LOG)).hash


def test_numbers_and_mixed_ids_mean_their_digits() -> None:
    mixed = pd.DataFrame({"user_id": [1, "1", np.int64(2), "2"], "item_id": np.array([7, 8, 7, 9], np.uint8)})
    dataset = import_frames(mixed)
    assert sorted(dataset.user_index) == ["1", "2"]
    assert sorted(dataset.catalog.ids) == ["7", "8", "9"]
    gaps = pd.DataFrame({"user_id": ["a", "b"], "item_id": [1.0, 2.0]})
    assert sorted(import_frames(gaps).catalog.ids) == ["1", "2"]


def test_lists_and_categories_and_times_of_frames() -> None:
    log = pd.DataFrame(LOG).astype({"user_id": "category"})
    log["timestamp"] = pd.to_datetime(log["timestamp"])
    items = pd.DataFrame(
        {"item_id": list("abcd"), "genres": [["x", "y"], ["z"], None, ["x"]], "price": [1, 2, None, 4]}
    )
    dataset = import_frames(log, items)
    assert dataset.catalog.table.sort_by("item_id").column("categories").to_pylist() == ["x|y", "z", None, "x"]
    assert dataset.hash == import_frames(pl.from_pandas(log), pl.from_pandas(items)).hash


def test_equal_frames_are_kept_once(tmp_path: Path) -> None:
    first = import_frames(pd.DataFrame(LOG))
    assert import_frames(pl.DataFrame(LOG)).n_items == 4
    assert import_frames(pd.DataFrame(LOG)).folder == first.folder
    (first.folder / "interactions.parquet").write_bytes(b"damaged")
    assert len(import_frames(pd.DataFrame(LOG))) == 6


def refuse(*frames: Any, **options: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        import_frames(*frames, **options)
    return str(caught.value)


def test_errors_name_the_frame_the_row_and_the_column() -> None:
    log = pd.DataFrame(LOG).rename(columns={"user_id": "customer"})
    named = {"columns": {"user_id": "customer"}}
    assert refuse(log.rename(columns={"customer": "who"})).startswith("log: no column 'user_id'; the columns are: who")
    bad = log.assign(timestamp=["2024-01-01"] * 4 + ["soon", "2024-01-02"])
    assert refuse(bad, **named).startswith("log, row 4 (counted from 0), column 'timestamp': timestamp 'soon' is not a")
    blank = log.assign(customer=["u1", None, *["u1"] * 4])
    assert refuse(blank, **named).startswith("log, row 1 (counted from 0), column 'customer': user_id is blank")
    odd = log.assign(customer=["u1", True, *["u1"] * 4])
    assert "row 1 (counted from 0), column 'customer': customer has type bool" in refuse(odd, **named)
    double = pd.DataFrame({"item_id": ["a", "b", "a"]})
    assert refuse(log, double, **named).startswith(
        "items, row 2 (counted from 0), column 'item_id': item_id 'a' occurs"
    )
    foreign = pd.DataFrame({"item_id": ["x"]})
    assert refuse(log, foreign, **named).startswith("log and items: none of the 4 items in the interactions")
    twice = pd.DataFrame([["u", "i", "j"]], columns=["user_id", "item_id", "item_id"])
    assert refuse(twice).startswith("log: two columns have the same name")


def test_messages_speak_python() -> None:
    log = pd.DataFrame(LOG)
    assert 'columns={"user_id": "userId2"}' in speak_python("say so: --column user_id=userId2. The first")
    assert refuse(log.rename(columns={"timestamp": "when2"})).endswith('columns={"timestamp": ""}')
    assert "time_format='%m/%d/%Y'" in refuse(log.assign(timestamp="03/04/2024"))
    assert "--" not in refuse(log, columns={"usr": "user_id"}) + refuse(log, columns={"user_id": "nobody"})


def test_what_is_no_frame_or_option_is_refused() -> None:
    assert refuse("log.csv").startswith(
        "log: str is not a data frame that can be read. Give a data frame: pandas, polars"
    )
    assert "there is no option 'delimiter'" in refuse(pa.table(LOG), delimiter=",")
    assert "from_frames.time_unit" in refuse(pa.table(LOG), time_unit="fortnights")
    assert "no such folder" in refuse(pa.table(LOG), images="nowhere")
    with pytest.raises(ConfigError, match="'excel' frames cannot be created"):
        check_kind("excel")


def test_options_are_those_that_frames_have() -> None:
    known = {
        "time_format",
        "time_unit",
        "dedupe",
        "min_value",
        "k_core",
        "event_weights",
        "drop_incomplete",
        "label_separator",
    }
    assert refuse(pa.table(LOG), depupe="sum").endswith("Did you mean 'dedupe'?")
    assert refuse(pa.table(LOG), zzz=1).endswith(f"Known: {', '.join(sorted(known))}.")
    log = pa.table({**LOG, "kind": ["view", "buy"] * 3})
    dataset = import_frames(log, columns={"event": "kind"}, event_weights={"buy": 5.0}, time_unit=None)
    assert (len(dataset), set(dataset.interactions.values)) == (3, {5.0})


def test_pictures_by_id_and_by_path(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    by_id = import_frames(pa.table(LOG), pa.table({"item_id": list("abcd")}), images=folder)
    paths = dict(zip(by_id.catalog.ids, by_id.catalog.image_paths, strict=True))
    assert (paths["a"], paths["c"]) == ("a.png", None)
    assert by_id.catalog.images == folder.resolve()
    named = pa.table({"item_id": list("ab"), "image": ["b.png", None]})
    by_path = import_frames(pa.table(LOG), named, images=str(folder))
    assert by_path.catalog.image_paths[by_path.catalog.index["a"]] == "b.png"
    assert "no picture is named after an item id" in refuse(pa.table(LOG), images=tmp_path)
    assert "none of the pictures exists; the first would be 'b.png'" in refuse(pa.table(LOG), named, images=tmp_path)


@pytest.mark.parametrize("kind", MAKE)
def test_written_frames_hold_what_they_were_made_of(kind: Any) -> None:
    table = pa.table({"a": ["x", None], "b": [1, 2], "c": pa.array([[1.0, 2.0], [3.0, 4.0]])})
    made = write_frame(table, kind)
    assert name_kind(made) == kind
    back = read_frame(made, "made")
    assert back.column("a").to_pylist() == ["x", None]
    assert [list(cell) for cell in back.column("c").to_pylist()] == [[1.0, 2.0], [3.0, 4.0]]
