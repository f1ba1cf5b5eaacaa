"""The order of a file: never time where a column looks like it; newest first is recognised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reasonrec_datasets import build_dataset, import_path
from reasonrec_datasets.importing.file_order import is_newest_first

from reasonrec_core.data import Dataset
from reasonrec_core.errors import DataError


def order(dataset: Dataset) -> list[str]:
    return [dataset.catalog.ids[item] for item in dataset.interactions.items]


def write(folder: Path, text: str) -> Path:
    log = folder / "log.csv"
    log.write_text(text)
    return log


@pytest.mark.parametrize(
    ("name", "cells", "words"),
    [
        ("bought", ["2024-03-02", "2024-03-01"], "--column timestamp=bought. "),
        ("bought", ["02.03.2024", "01.03.2024"], "--column timestamp=bought --time-format '%d.%m.%Y'"),
        ("watched_on", ["1709208001", "1709208000"], "--column timestamp=watched_on. "),
        ("watch_day", ["20240302", "20240301"], "--column timestamp=watch_day. "),
    ],
)
def test_what_looks_like_a_time_is_asked_about(name: str, cells: list[str], words: str, tmp_path: Path) -> None:
    log = write(tmp_path, f"user_id,item_id,{name}\nu,new,{cells[0]}\nu,old,{cells[1]}\n")
    with pytest.raises(DataError, match=f"{name}.*looks like one.*newest first") as caught:
        import_path(log)
    assert words in str(caught.value.fix)
    form = {"time_format": "%d.%m.%Y"} if "." in cells[0] else {}
    read = build_dataset(import_path(log, columns={"timestamp": name}, options=form), tmp_path / "read")
    assert order(read) == ["old", "new"]
    as_it_stands = build_dataset(import_path(log, columns={"timestamp": ""}), tmp_path / "as")
    assert order(as_it_stands) == ["new", "old"]


def test_each_user_may_be_newest_first(tmp_path: Path) -> None:
    log = write(tmp_path, "user_id,item_id,added\nu,b,2024-03-01\nu,a,2024-02-01\nv,b,2024-03-05\nv,a,2024-01-01\n")
    with pytest.raises(DataError, match="the rows are newest first"):
        import_path(log)


def test_day_and_time_in_two_columns(tmp_path: Path) -> None:
    log = write(tmp_path, "user_id,day,item_id,clock\nu,2024-03-01,b,14:00\nu,2024-03-01,a,09:30:00\n")
    raw = import_path(log, columns={"timestamp": "day+clock"})
    assert raw.interactions.column("timestamp").to_pylist() == [1_709_301_600, 1_709_285_400]
    assert order(build_dataset(raw, tmp_path / "d")) == ["a", "b"]
    bad = write(tmp_path, "user_id,day,item_id,clock\nu,2024-03-01,b,noon\n")
    with pytest.raises(DataError, match=r"log\.csv:2:3: timestamp '2024-03-01 noon'"):
        import_path(bad, columns={"timestamp": "day+clock"})


@pytest.mark.parametrize(
    ("name", "cells"),
    [("price", ["1709208001", "3"]), ("mood", ["fine", "20"]), ("weekday", ["1", "2"]), ("x", ["", ""])],
)
def test_other_columns_are_not(name: str, cells: list[str], tmp_path: Path) -> None:
    log = write(tmp_path, f"user_id,item_id,{name}\nu,a,{cells[0]}\nu,b,{cells[1]}\n")
    assert order(build_dataset(import_path(log), tmp_path / "d")) == ["a", "b"]


def test_equal_times_of_a_file_that_is_newest_first_are_read_from_its_end(tmp_path: Path) -> None:
    rows = [("u", "e", 4), ("u", "d", 3), ("v", "x", 3), ("u", "c", 2), ("u", "b", 2), ("v", "y", 2), ("u", "a", 1)]
    text = "".join(f"{user},{item},{1_700_000_000 + time}\n" for user, item, time in rows)
    dataset = build_dataset(import_path(write(tmp_path, "user_id,item_id,timestamp\n" + text)), tmp_path / "d")
    user = {name: index for index, name in enumerate(dataset.users.column("user_id").to_pylist())}
    mine = [item for item, of in zip(order(dataset), dataset.interactions.users, strict=True) if of == user["u"]]
    assert mine == ["a", "b", "c", "d", "e"]
    assert any("newest rows first" in note for note in dataset.notes)


def test_what_is_newest_first() -> None:
    users = np.array([0, 0, 1, 1, 0])
    assert is_newest_first(users, np.array([9, 8, 20, 19, 7]))
    assert not is_newest_first(users, np.array([9, 8, 20, 21, 7]))
    assert not is_newest_first(users, np.array([5, 5, 5, 5, 5]))
    assert not is_newest_first(np.array([0, 1, 2]), np.array([3, 2, 1]))
