"""A folder of tables under names of their own: the guess, what it says, and how it is overruled."""

from __future__ import annotations

from pathlib import Path

import pytest
from layout_files import fields_of, load, log_of, write

from reasonrec_core.data import find_source
from reasonrec_core.errors import DataError

ORDERS = "order_no,customer,sku,order_date\n1,c1,A1,2021-01-03\n2,c1,A2,2021-01-04\n3,c2,A1,2021-01-05\n"
LATER = "order_no,customer,sku,order_date\n4,c2,A3,2022-01-03\n"


def shop(folder: Path) -> Path:
    return write(
        folder,
        orders_2021__csv=ORDERS,
        orders_2022__csv=LATER,
        products__csv="code,label,price\nA1,Apple,1\nA2,Bean,2\nA3,Corn,3\n",
        clients__csv="id,age\nc1,20\nc2,30\n",
        rates__csv="a,b\n1,2\n",
        readme__txt="Hello.\n",
    )


def test_log_items_and_users_are_guessed_and_said(tmp_path: Path) -> None:
    folder = shop(tmp_path / "in")
    assert find_source(folder) == "folder"
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"c1": ["A1", "A2"], "c2": ["A1", "A3"]}
    assert fields_of(dataset, "A3") == {"label": "Corn", "price": "3"}
    assert sorted(dataset.users.column("age").to_pylist()) == [20, 30]
    assert dataset.notes[0] == (
        "guessed: orders_2021.csv, orders_2022.csv are the log, products.csv has the items, clients.csv has the users. "
        "If that is wrong: --option log=FILE, --option items=FILE, --option users=FILE (empty: none)."
    )
    assert "other files that were not read: rates.csv, readme.txt" in dataset.notes


def test_the_guess_is_overruled(tmp_path: Path) -> None:
    options = {"log": "orders_2022.csv", "items": "", "users": "clients.csv"}
    dataset = load(shop(tmp_path / "in"), tmp_path, options=options)
    assert log_of(dataset) == {"c2": ["A3"]}
    assert "label" not in dataset.catalog.fields
    assert any("not read: orders_2021.csv, products.csv" in note for note in dataset.notes)
    with pytest.raises(DataError, match=r"no table 'products\.tsv'.*products\.csv"):
        load(shop(tmp_path / "in"), tmp_path, options={"items": "products.tsv"})


def test_a_train_and_a_test_are_parts(tmp_path: Path) -> None:
    head = "user_id,item_id\n"
    folder = write(
        tmp_path / "in",
        buy_train__csv=f"{head}1,5\n1,6\n",
        buy_test__csv=f"{head}1,7\n",
        cart__csv=f"{head}1,8\n2,8\n2,9\n",
    )
    dataset = load(folder, tmp_path)
    assert dataset.parts is not None
    assert sorted(dataset.parts.tolist()) == [0, 0, 2]
    assert any("cart.csv" in note for note in dataset.notes)


def test_without_known_columns_it_asks_and_takes_the_answer(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", a__csv="wer,was\nu,x\n", b__csv="was,wie\nx,Rot\n")
    with pytest.raises(DataError, match=r"a\.csv: wer, was; b\.csv: was, wie") as caught:
        load(folder, tmp_path)
    assert "--column user_id=COLUMN --column item_id=COLUMN" in str(caught.value.fix)
    dataset = load(folder, tmp_path, columns={"user_id": "wer", "item_id": "was"})
    assert log_of(dataset) == {"u": ["x"]}
    assert fields_of(dataset, "x") == {"wie": "Rot"}


def test_users_and_items_with_keys_of_one_name_are_told_by_their_ids(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        log__csv="user,item\n1,5\n2,6\n3,5\n",
        people__csv="id,name\n1,Al\n2,Bo\n3,Cy\n",
        things__csv="id,title\n5,Pen\n6,Cup\n",
    )
    dataset = load(folder, tmp_path)
    assert fields_of(dataset, "5") == {"title": "Pen"}
    assert "name" in dataset.users.column_names


def test_ratings_of_others_are_not_taken_for_movielens(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", ratings__csv="user_id,book_id,rating\n1,2,3\n", books__csv="book_id,title\n2,Y\n")
    assert fields_of(load(folder, tmp_path), "2") == {"title": "Y"}


def test_items_beside_interactions_may_have_any_name(tmp_path: Path) -> None:
    log = "user_id,item_id,timestamp\nu,1,1600000000\nu,2,1600000001\n"
    folder = write(
        tmp_path / "in",
        interactions__csv=log,
        films__csv="nr,title\n1,One\n2,Two\n3,Three\n",
        x__csv=f"{log}v,9,1600000002\n",
    )
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"u": ["1", "2"]}
    assert fields_of(dataset, "3") == {"title": "Three"}
    write(folder, items__csv="item_id,title\n1,Uno\n")
    assert find_source(folder) == "tables"


def test_json_lines_and_tables_go_together(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        reviews__json='{"user_id":"u","business_id":"b","stars":4.0,"date":"2016-03-09 00:10:00","text":"ok"}\n',
        businesses__json='{"business_id":"b","name":"Cafe","categories":["Food"],"hours":{"Mon":"9"}}\n',
    )
    dataset = load(folder, tmp_path)
    assert fields_of(dataset, "b") == {"title": "Cafe", "categories": "Food"}
    assert any("objects are not read: hours" in note for note in dataset.notes)
    assert dataset.has_reviews


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", log__csv="user_id,item_id\nu,a\n", extra__xlsx=b"PK\x03\x04")
    assert any("extra.xlsx" in note and "spreadsheet" in note for note in load(folder, tmp_path).notes)
    (folder / "log.csv").unlink()
    with pytest.raises(DataError, match=r"extra\.xlsx: is a spreadsheet"):
        load(folder, tmp_path)


def test_a_folder_of_folders_says_which(tmp_path: Path) -> None:
    write(tmp_path / "in" / "data", interactions__csv="user_id,item_id\nu,a\n")
    with pytest.raises(DataError) as caught:
        find_source(tmp_path / "in")
    assert "Name the folder that holds the files (data?)" in str(caught.value.fix)
