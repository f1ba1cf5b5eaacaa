"""Our own layout, in every format, from small files that look like real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layout_files import fields_of, load, log_of, write
from reasonrec_datasets import build_dataset, import_path

from reasonrec_core.data import open_or_import

LOG = "user_id,item_id,rating,timestamp\nu1,b,4,200\nu2,a,1,50\nu1,a,5,100\n"
ITEMS = 'item_id,title,price,image\na,"One, two",3.5,images/a.jpg\nb,"Line one\nline two",,\nc,Cold,7,\n'


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "parquet"])
def test_own_layout_in_every_suffix(tmp_path: Path, suffix: str) -> None:
    folder = write(tmp_path / "in", items__csv=ITEMS, users__csv="user_id,zip\nu1,07041\nu3,12345\n")
    if suffix == "parquet":
        table = {"user_id": ["u1", "u2", "u1"], "item_id": ["b", "a", "a"], "rating": [4, 1, 5]}
        pq.write_table(pa.table({**table, "timestamp": [200, 50, 100]}), folder / "interactions.parquet")
    else:
        write(folder, **{f"interactions__{suffix}": LOG.replace(",", "\t") if suffix == "tsv" else LOG})
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"u1": ["a", "b"], "u2": ["a"]}
    assert dataset.interactions.values is not None
    assert sorted(dataset.interactions.values.tolist()) == [1, 4, 5]
    assert fields_of(dataset, "a") == {"title": "One, two", "price": "3.5"}
    assert fields_of(dataset, "b") == {"title": "Line one\nline two", "price": None}
    assert dataset.n_items == 3
    assert dataset.n_users == 3, "users without interactions are kept"
    assert dict(zip(*[dataset.users.column(n).to_pylist() for n in ("user_id", "zip")], strict=True))["u1"] == "07041"
    assert dataset.catalog.images == folder
    assert dataset.catalog.image_paths[dataset.catalog.index["a"]] == "images/a.jpg"
    assert dataset.has_clock


def test_pictures_named_after_ids_are_found_without_an_image_column(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id\nu,a\nu,b\n", items__csv="item_id,title\na,A\n")
    write(folder / "images", a__png=b"x", b__jpg=b"x", note__txt=b"x")
    dataset = load(folder, tmp_path)
    assert dataset.catalog.image_paths[dataset.catalog.index["a"]] == "images/a.png"
    assert dataset.catalog.images == folder


def test_bare_file_names_of_pictures_are_looked_for_in_the_images_folder(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id\nu,a\n", items__csv="item_id,image\na,pic.png\n")
    write(folder / "images", pic__png=b"x")
    assert load(folder, tmp_path).catalog.images == folder / "images"


def test_one_file_alone_is_a_log(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", shop__csv="customer;sku;t\nc1;x;2020-01-02\nc1;y;2020-01-01T10:00:00\n")
    dataset = load(folder / "shop.csv", tmp_path, columns={"timestamp": "t"})
    assert log_of(dataset) == {"c1": ["y", "x"]}
    assert dataset.interactions.times.tolist() == [1577872800, 1577923200]
    assert dataset.name == "shop"
    assert any("'sku' is read as item_id" in note for note in dataset.notes)


def test_columns_can_be_named_left_out_and_named_for_one_table(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        interactions__csv="who,what,stars,when\nu,a,9,5\nu,b,9,4\n",
        items__csv="code,label_text,what\na,Apple,x\nb,Bean,y\n",
    )
    columns = {
        "user_id": "who",
        "interactions.item_id": "what",
        "items.item_id": "code",
        "timestamp": "when",
        "value": "",
        "title": "label_text",
    }
    dataset = load(folder, tmp_path, columns=columns)
    assert log_of(dataset) == {"u": ["b", "a"]}
    assert dataset.interactions.values is None
    assert fields_of(dataset, "a") == {"title": "Apple", "what": "x"}


def test_a_label_is_preferred_to_a_rating(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id,rating,label\nu,a,5,1\n")
    values = load(folder, tmp_path).interactions.values
    assert values is not None
    assert values.tolist() == [1]


def test_numbers_in_parquet_and_text_in_csv_are_the_same_ids(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", items__csv="item_id,title\n1,One\n2,Two\n")
    table = pa.table({"user_id": [1.0, 2.0], "item_id": pa.array([1, 2], pa.int32())})
    pq.write_table(table, folder / "interactions.parquet")
    dataset = load(folder, tmp_path)
    assert dataset.n_items == 2
    assert log_of(dataset) == {"1": ["1"], "2": ["2"]}


def test_lists_in_parquet_become_labels_and_histories(tmp_path: Path) -> None:
    folder = write(tmp_path / "in")
    items = pa.table({"item_id": ["a b", "c"], "categories": [["X", "Y"], None], "ok": [True, None]})
    pq.write_table(items, folder / "items.parquet")
    log = pa.table({"user_id": ["u", "u"], "item_id": ["a b", "c"], "history": [None, ["a b"]]})
    pq.write_table(log, folder / "interactions.parquet")
    dataset = load(folder, tmp_path)
    assert dataset.catalog.labels("categories")[dataset.catalog.index["a b"]] == ("X", "Y")
    assert dataset.given_history is not None
    assert dataset.given_history.lengths.tolist() == [0, 1]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv=b"\xef\xbb\xbfuser_id , item_id\r\nu1, a\r\n\r\nu1,b\r\n")
    assert log_of(load(folder, tmp_path)) == {"u1": ["a", "b"]}


def test_open_or_import_imports_once_and_again_when_the_data_changes(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id\nu,a\n")
    first = open_or_import(folder, tmp_path / "cache")
    before = (first.folder / "manifest.json").stat().st_mtime_ns
    again = open_or_import(folder, tmp_path / "cache")
    assert again.folder == first.folder
    assert (first.folder / "manifest.json").stat().st_mtime_ns == before
    write(folder, interactions__csv="user_id,item_id\nu,b\n")
    assert open_or_import(folder, tmp_path / "cache").catalog.ids == ["b"]
    assert open_or_import(first.folder, tmp_path / "cache").hash == first.hash, "a saved dataset is opened as it is"


def test_open_or_import_of_a_file_looks_only_at_what_it_reads(tmp_path: Path) -> None:
    folder = write(tmp_path / "home", shop__csv="user_id,item_id\nu,a\n", items__csv="item_id,title\na,A\n")
    first = open_or_import(folder / "shop.csv", tmp_path / "cache").folder
    write(folder, diary__csv="x\n")
    assert open_or_import(folder / "shop.csv", tmp_path / "cache").folder == first
    write(folder, items__csv="item_id,title\na,B\n")
    assert open_or_import(folder / "shop.csv", tmp_path / "cache").catalog.titles == ["B"]


def test_the_manifest_says_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "shop.csv").write_text("customer,item_id\nu,a\n")
    dataset = build_dataset(import_path(tmp_path / "shop.csv", columns={"user_id": "customer"}), tmp_path / "d", seed=3)
    manifest = json.loads((tmp_path / "d" / "manifest.json").read_text())
    assert manifest["seed"] == 3
    assert manifest["source"]["format"] == "tables"
    assert manifest["source"]["columns"] == {"user_id": "customer"}
    assert manifest["source"]["path"] == str(tmp_path / "shop.csv")
    cached = open_or_import(tmp_path / "shop.csv", tmp_path / "cache", columns={"user_id": "customer"}, seed=3)
    assert cached.manifest == manifest
    assert manifest["hash"] == dataset.hash
