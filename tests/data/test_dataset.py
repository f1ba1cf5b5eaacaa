"""A dataset keeps what it was given, tells nothing through its indices, and notices when its files change."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reasonrec_datasets import RawTables, build_dataset, extend_items

from reasonrec_core.data import Dataset
from reasonrec_core.errors import DataError
from reasonrec_core.observe.inputs import ImageInputs

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)
ID_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=6)
IDS = ID_TEXT.map(str.strip).filter(lambda name: bool(name) and not re.fullmatch(r"[-+]?\d+\.0*", name))
ROWS = st.lists(st.tuples(IDS, IDS, st.integers(-(10**9), 10**9)), min_size=1, max_size=30)


def tables(rows: list[tuple[str, str, int]], **more: Any) -> RawTables:
    users, items, times = zip(*rows, strict=True)
    log = pa.table({"user_id": pa.array(users), "item_id": pa.array(items), "timestamp": pa.array(times, pa.int64())})
    return RawTables(log, **more)


def log_of(dataset: Dataset) -> dict[str, list[tuple[str, int]]]:
    users, ids, log = dataset.users.column("user_id").to_pylist(), dataset.catalog.ids, dataset.interactions
    found: dict[str, list[tuple[str, int]]] = {}
    for user, item, time in zip(log.users.tolist(), log.items.tolist(), log.times.tolist(), strict=True):
        found.setdefault(users[user], []).append((ids[item], time))
    return found


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_ids_times_and_order_within_users_come_back(rows: list[tuple[str, str, int]]) -> None:
    with TemporaryDirectory() as folder:
        dataset = build_dataset(tables(rows), Path(folder) / "d")
        expected: dict[str, list[tuple[str, int]]] = {}
        for user, item, time in rows:
            expected.setdefault(user, []).append((item, time))
        kept = {user: sorted(events, key=lambda event: event[1]) for user, events in expected.items()}
        found = log_of(dataset)
        assert found == kept, "stable: ties keep the log's order"
        assert sorted(dataset.catalog.ids) == sorted({item for _, item, _ in rows})
        assert all(dataset.catalog.index[item] == index for index, item in enumerate(dataset.catalog.ids))
        assert len(dataset) == len(dataset.interactions) == len(rows)


@settings(deadline=None, max_examples=40)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_hash_does_not_depend_on_the_order_of_items_columns_or_chunks(rows: Any, random: Any) -> None:
    items = sorted({item for _, item, _ in rows})
    shuffled = random.sample(items, len(items))
    with TemporaryDirectory() as folder:

        def build(name: str, order: list[str], *, swap: bool, chunks: bool) -> Dataset:
            columns = {"item_id": order, "title": [f"{i}!" for i in order], "n": [float(len(i)) for i in order]}
            table = pa.table(dict(reversed(columns.items())) if swap else columns)
            raw = tables(rows, items=table)
            if chunks and len(rows) > 1:
                log = pa.concat_tables([raw.interactions.slice(0, 1), raw.interactions.slice(1)])
                raw = RawTables(log, items=pa.concat_tables([table.slice(0, 1), table.slice(1)]))
            return build_dataset(raw, Path(folder) / name)

        first = build("a", items, swap=False, chunks=False)
        other = build("b", shuffled, swap=True, chunks=True)
        assert first.hash == other.hash
        assert first.catalog.ids == other.catalog.ids
        assert first.catalog.titles == other.catalog.titles


def test_the_hash_changes_with_every_kind_of_content(tmp_path: Path) -> None:
    rows = [("u", "a", 5), ("u", "b", 6), ("v", "a", 7)]
    items = {"item_id": ["a", "b"], "title": ["A", "B"]}
    variants = {
        "as it is": tables(rows, items=pa.table(items)),
        "item": tables([*rows[:2], ("v", "b", 7)], items=pa.table(items)),
        "time": tables([*rows[:2], ("v", "a", 8)], items=pa.table(items)),
        "user": tables([*rows[:2], ("w", "a", 7)], items=pa.table(items)),
        "title": tables(rows, items=pa.table({**items, "title": ["A", "C"]})),
        "null": tables(rows, items=pa.table({**items, "title": ["A", None]})),
        "cut differently": tables(rows, items=pa.table({**items, "title": ["AB", ""]})),
        "field": tables(rows, items=pa.table({"item_id": ["a", "b"], "name": ["A", "B"]})),
        "cold item": tables(rows, items=pa.table({"item_id": ["a", "b", "c"], "title": ["A", "B", "C"]})),
        "user field": tables(rows, items=pa.table(items), users=pa.table({"user_id": ["u"], "age": [3]})),
    }
    hashes = {name: build_dataset(raw, tmp_path / name).hash for name, raw in variants.items()}
    assert len(set(hashes.values())) == len(hashes)
    assert build_dataset(variants["as it is"], tmp_path / "again").hash == hashes["as it is"]
    seeds = {build_dataset(variants["cold item"], tmp_path / f"seed {seed}", seed=seed).hash for seed in range(8)}
    assert len(seeds) > 1, "another order of the indices is another dataset"


def test_indices_carry_no_information(tmp_path: Path) -> None:
    """Items numbered in order of first appearance: 'last + 1' must not find the next one."""
    rows = [(f"u{u}", f"{u * 20 + i:05d}", i) for u in range(100) for i in range(20)]
    dataset = build_dataset(tables(rows), tmp_path / "d")
    log = dataset.interactions
    steps = np.diff(log.items)[np.diff(log.users) == 0]
    assert (steps == 1).mean() < 0.01
    assert dataset.catalog.ids != sorted(dataset.catalog.ids)
    again = build_dataset(tables(rows[::-1]), tmp_path / "e")
    assert again.catalog.ids == dataset.catalog.ids, "the seed and the ids decide, not the order of rows"


def test_rows_that_a_slice_left_out_leave_no_ids_behind(tmp_path: Path) -> None:
    """A dictionary-encoded column keeps all its words after slicing."""
    log = pa.table({"user_id": ["u", "v"], "item_id": ["a", "b"]})
    encoded = pa.table({name: log.column(name).dictionary_encode() for name in log.column_names})
    dataset = build_dataset(RawTables(encoded.slice(1)), tmp_path / "d")
    assert dataset.catalog.ids == ["b"]
    assert dataset.users.column("user_id").to_pylist() == ["v"]


def test_positions_are_no_clock(tmp_path: Path) -> None:
    positions = [("u", "a", 0), ("u", "b", 1), ("v", "a", 0)]
    assert not build_dataset(tables(positions), tmp_path / "zero").has_clock
    assert not build_dataset(tables([(u, i, t + 1) for u, i, t in positions]), tmp_path / "one").has_clock
    assert build_dataset(tables([(u, i, t + 900) for u, i, t in positions]), tmp_path / "clock").has_clock
    log = pa.table({"user_id": ["u", "v", "u"], "item_id": ["a", "a", "b"]})
    dataset = build_dataset(RawTables(log), tmp_path / "none")
    assert not dataset.has_clock
    assert log_of(dataset) == {"u": [("a", 0), ("b", 1)], "v": [("a", 0)]}


def test_values_parts_and_histories_follow_their_rows(tmp_path: Path) -> None:
    log = pa.table(
        {
            "user_id": ["u", "v", "u", "u"],
            "item_id": ["a", "b", "b", "c"],
            "timestamp": [30, 1, 10, 20],
            "value": [3.0, 9.0, 1.0, 2.0],
            "part": ["test", "train", "train", "validation"],
            "history": ["b c", None, "", "b"],
        }
    )
    dataset = build_dataset(RawTables(log), tmp_path / "d")
    rows = np.flatnonzero(dataset.interactions.users == dataset.user_index["u"])
    assert dataset.interactions.values is not None
    assert dataset.parts is not None
    assert dataset.given_history is not None
    assert dataset.interactions.values[rows].tolist() == [1, 2, 3]
    assert dataset.parts[rows].tolist() == [0, 1, 2]
    ids = dataset.catalog.ids
    assert [[ids[i] for i in dataset.given_history.row(int(r))] for r in rows] == [[], ["b"], ["b", "c"]]


def test_opening_reads_the_manifest_only(tmp_path: Path) -> None:
    build_dataset(tables([("u", "a", 1)]), tmp_path / "d")
    for file in (tmp_path / "d").glob("*.parquet"):
        file.unlink()
    dataset = Dataset.open(tmp_path / "d")
    assert (dataset.n_users, dataset.n_items, len(dataset)) == (1, 1, 1)
    with pytest.raises(DataError, match=r"items\.parquet: the file does not exist"):
        _ = dataset.catalog


def _flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["interactions", "items", "users"])
def test_verify_notices_one_changed_byte(name: str, tmp_path: Path) -> None:
    dataset = build_dataset(tables([(f"u{i}", f"i{i}", i) for i in range(50)]), tmp_path / "d")
    dataset.verify()
    file = tmp_path / "d" / f"{name}.parquet"
    _flip(file, file.stat().st_size // 2)
    with pytest.raises(DataError, match=rf"{name}\.parquet: the file was damaged or changed"):
        Dataset.open(tmp_path / "d").verify()


def _tamper(folder: Path, how: str) -> None:
    path = folder / "interactions.parquet"
    table = pq.read_table(path)
    if how == "cut short":
        path.write_bytes(path.read_bytes()[:40])
    elif how == "another file":
        path.write_bytes(b"PAR1 not really PAR1")
    elif how == "fewer rows":
        pq.write_table(table.slice(1), path)
    elif how == "no item column":
        pq.write_table(table.drop_columns(["item"]), path)
    elif how == "an index too large":
        pq.write_table(table.set_column(1, "item", pa.array([99] * table.num_rows, pa.int32())), path)
    elif how == "a negative index":
        pq.write_table(table.set_column(0, "user", pa.array([-1] * table.num_rows, pa.int32())), path)
    elif how == "text for indices":
        pq.write_table(table.set_column(1, "item", pa.array(["x"] * table.num_rows)), path)


@pytest.mark.parametrize(
    "how",
    [
        "cut short",
        "another file",
        "fewer rows",
        "no item column",
        "an index too large",
        "a negative index",
        "text for indices",
    ],
)
def test_a_damaged_log_is_one_clear_error(how: str, tmp_path: Path) -> None:
    build_dataset(tables([("u", "a", 1), ("u", "b", 2)]), tmp_path / "d")
    _tamper(tmp_path / "d", how)
    with pytest.raises(DataError, match=r"damaged or changed.*data import"):
        _ = Dataset.open(tmp_path / "d").interactions


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"format": 99}', '{"format": 1, "name": "x"}', "\xff\xfe{"],
)
def test_a_manifest_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"manifest\.json"):
        Dataset.open(tmp_path)


def test_new_items_keep_the_indices_of_old_ones(tmp_path: Path) -> None:
    items = pa.table({"item_id": ["a", "b", "c"], "title": ["A", "B", "C"], "image": ["1.jpg", None, None]})
    old = build_dataset(tables([("u", "a", 5), ("v", "b", 9)], items=items, images=tmp_path), tmp_path / "old")
    new = extend_items(
        old, pa.table({"item_id": ["z", "y"], "title": ["Z", None], "color": ["red", "blue"]}), tmp_path / "new"
    )
    assert new.catalog.ids[:3] == old.catalog.ids
    assert sorted(new.catalog.ids[3:]) == ["y", "z"]
    assert new.n_items == 5
    np.testing.assert_array_equal(new.interactions.items, old.interactions.items)
    assert (new.n_users, len(new.catalog)) == (2, 5)
    assert new.catalog.column("color")[new.catalog.index["z"]] == "red"
    assert new.catalog.column("color")[new.catalog.index["a"]] is None
    assert None not in new.catalog.texts()
    assert new.hash != old.hash
    assert new.has_clock == old.has_clock
    new.verify()
    in_place = extend_items(old, pa.table({"item_id": [77]}), tmp_path / "old")
    assert in_place.catalog.ids[:3] == new.catalog.ids[:3]
    with pytest.raises(DataError, match="row 1, column 'item_id': item 'a' is already in the catalogue"):
        extend_items(new, pa.table({"item_id": ["a"]}), tmp_path / "x")
    priced = extend_items(old, pa.table({"item_id": ["p"], "price": [2.5], "title": [7]}), tmp_path / "priced")
    assert priced.catalog.titles[priced.catalog.index["p"]] == "7", "numbers fit into a text field"
    assert extend_items(priced, pa.table({"item_id": ["q"], "price": [3]}), tmp_path / "more").n_items == 5
    with pytest.raises(
        DataError, match="column 'price': price is 'cheap', but the catalogue has numbers in this column"
    ):
        extend_items(priced, pa.table({"item_id": ["n"], "price": ["cheap"]}), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_new_items_bring_their_pictures_from_where_they_lie(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "1.png")
    items = pa.table({"item_id": ["x", "y"], "image": ["1.png", None]})
    dataset = build_dataset(tables([("u", "x", 5), ("v", "y", 9)], items=items, images=tmp_path / "a"), tmp_path / "d0")
    for number, (item, folder) in enumerate((("p", "b"), ("q", None), ("r", "c")), 1):
        new = pa.table({"item_id": [item], "image": ["1.png"]})
        dataset = extend_items(dataset, new, tmp_path / f"d{number}", tmp_path / folder if folder else None)
    catalog = dataset.catalog
    assert [catalog.image_root(catalog.index[i]) for i in "xpqr"] == [tmp_path / n for n in "abac"]
    for start in range(5):
        part = catalog.slice(start)
        assert [part.image_root(i) for i in range(len(part))] == [
            catalog.image_root(start + i) for i in range(len(part))
        ]
    assert ImageInputs(catalog).refused == []


def test_missing_modalities_are_masked(tmp_path: Path) -> None:
    items = pa.table({"item_id": ["a", "b"], "title": ["A", " "], "image": [" ", "b.jpg"], "asin": ["x", "y"]})
    catalog = build_dataset(tables([("u", "a", 1), ("u", "c", 2)], items=items), tmp_path / "d").catalog
    by_id = {item: index for index, item in enumerate(catalog.ids)}
    assert [catalog.texts()[by_id[i]] is not None for i in "abc"] == [True, False, False]
    assert catalog.has_image[[by_id["a"], by_id["b"], by_id["c"]]].tolist() == [False, True, False]
    assert catalog.titles[by_id["c"]] == "c"
    assert catalog.texts()[by_id["a"]] == "A"


def test_numbers_of_items_are_shown_in_full(tmp_path: Path) -> None:
    items = pa.table(
        {"item_id": ["a"], "rank": [1234567.0], "price": [3.04], "year": [1995], "tags": [["x", None, "y"]]}
    )
    catalog = build_dataset(tables([("u", "a", 1)], items=items), tmp_path / "d").catalog
    assert {name: catalog.column(name)[0] for name in catalog.fields} == {
        "rank": "1234567",
        "price": "3.04",
        "year": "1995",
        "tags": "x|y",
    }
    with pytest.raises(DataError, match="no field 'prise'"):
        catalog.column("prise")
