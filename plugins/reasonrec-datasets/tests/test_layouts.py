"""The public layouts, from small files that look like the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from layout_files import fields_of, load, log_of, write

from reasonrec_core.data import find_source
from reasonrec_core.errors import DataError


def test_recbole(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "toy",
        toy__inter="user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t3\t881250949.0\n"
        "1\t11\t5\t881250948\n2\t10\t4\t1\n",
        toy__item='item_id:token\tmovie_title:token_seq\tclass:token_seq\tyear:float\n10\tThe "Odd\tDrama War\t1995\n'
        "11\tTwo Words\tAction\t\n",
        toy__user="user_id:token\tage:float\n1\t24\n2\t30\n",
    )
    assert find_source(folder) == "recbole"
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"1": ["11", "10"], "2": ["10"]}
    assert fields_of(dataset, "10") == {"title": 'The "Odd', "categories": "Drama|War", "year": "1995"}
    assert fields_of(dataset, "11")["year"] is None
    assert dataset.users.column("age").to_pylist()


def test_recbole_benchmark_files_are_parts_with_histories(tmp_path: Path) -> None:
    head = "user_id:token\titem_id:token\titem_id_list:token_seq\n"
    folder = write(
        tmp_path / "b",
        b__train__inter=head + "u\tb\ta\nu\tc\ta b\n",
        b__valid__inter=head + "u\td\ta b c\n",
        b__test__inter=head + "u\ta\td c\n",
        b__item="item_id:token\tcategories:token_seq\na\t'Hair Care', 'Oils & Serums'\nb\t\n",
    )
    dataset = load(folder, tmp_path)
    assert dataset.parts is not None
    assert dataset.parts.tolist() == [0, 0, 1, 2]
    assert dataset.given_history is not None
    ids = dataset.catalog.ids
    rows = [[ids[i] for i in dataset.given_history.row(r)] for r in range(4)]
    assert rows == [["a"], ["a", "b"], ["a", "b", "c"], ["d", "c"]]
    assert dataset.catalog.labels("categories")[dataset.catalog.index["a"]] == ("Hair Care", "Oils & Serums")


MMREC = "userID\titemID\trating\ttimestamp\tx_label\n0\t3\t5.0\t7\t0\n0\t1\t4.0\t8\t2\n1\t3\t3.0\t9\t1\n"


def test_mmrecs_labels_are_the_parts(tmp_path: Path) -> None:
    folder = write(tmp_path / "baby", baby__inter=MMREC)
    assert find_source(folder) == find_source(folder / "baby.inter") == "mmrec"
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"0": ["3", "1"], "1": ["3"]}
    assert dataset.parts is not None
    ids = [dataset.catalog.ids[item] for item in dataset.interactions.items]
    parts = dict(zip(zip(dataset.interactions.times.tolist(), ids, strict=True), dataset.parts.tolist(), strict=True))
    assert parts == {(7, "3"): 0, (8, "1"): 2, (9, "3"): 1}


def test_an_unknown_label_of_mmrecs_is_named_with_its_place(tmp_path: Path) -> None:
    folder = write(tmp_path / "baby", baby__inter=MMREC.replace("\t9\t1", "\t9\t4"))
    with pytest.raises(DataError, match=r"unknown part '4'.*\n?") as found:
        load(folder, tmp_path)
    assert "baby.inter:4:" in str(found.value)


def test_movielens_100k(tmp_path: Path) -> None:
    flags = "|".join("1" if n in {5, 8} else "0" for n in range(19))
    folder = write(
        tmp_path / "ml",
        u__data="196\t242\t3\t881250949\n196\t302\t3\t881250948\n",
        u__item=f"242|Cité (1997)|24-Jan-1997||http://x|{flags}\n302|L.A.|01-Jan-1997|||{'|'.join('0' * 19)}\n".encode(
            "latin-1"
        ),
        u__user="196|49|M|writer|05105\n",
    )
    dataset = load(folder, tmp_path)
    assert find_source(folder) == "movielens"
    assert log_of(dataset) == {"196": ["302", "242"]}
    item = fields_of(dataset, "242")
    assert (item["title"], item["categories"]) == ("Cité (1997)", "Comedy|Drama")
    assert fields_of(dataset, "302")["categories"] is None
    assert dataset.users.column("zip_code").to_pylist() == ["05105"]


def test_movielens_1m_is_latin_1_with_double_colons(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "ml",
        ratings__dat="1::1193::5::978300760\n1::661::3::978302109\n",
        movies__dat="1193::Misérables, Les (1995)::Drama|Musical\n661::James: A Tale::Animation\n".encode("latin-1"),
        users__dat="1::F::1::10::48067\n",
    )
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"1": ["1193", "661"]}
    assert fields_of(dataset, "1193") == {"title": "Misérables, Les (1995)", "categories": "Drama|Musical"}
    assert fields_of(dataset, "661")["title"] == "James: A Tale"


def test_movielens_latest(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "ml",
        ratings__csv="userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n",
        movies__csv='movieId,title,genres\n31,"Dangerous, Minds",Drama\n32,None,(no genres listed)\n',
    )
    dataset = load(folder, tmp_path)
    assert dataset.manifest["source"]["format"] == "movielens"
    assert fields_of(dataset, "31") == {"title": "Dangerous, Minds", "categories": "Drama"}
    assert fields_of(dataset, "32")["categories"] is None


def test_sequences(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", sequences__txt="7 x y z\n\n8 z x\n", items__csv="item_id,title\nx,X\ny,Y\nz,Z\n")
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"7": ["x", "y", "z"], "8": ["z", "x"]}
    assert not dataset.has_clock
    assert dataset.interactions.times[:3].tolist() in ([0, 1, 2], [0, 1, 0])


def test_pairs_of_sasrec(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", Beauty__txt="1 5\n1 6\n2 5\n1 7\n")
    assert log_of(load(folder / "Beauty.txt", tmp_path)) == {"1": ["5", "6", "7"], "2": ["5"]}


@pytest.mark.parametrize("name", ["reviews__json__gz", "reviews__jsonl"])
def test_amazon_2014(tmp_path: Path, name: str) -> None:
    rows = [
        {"reviewerID": "A", "asin": "p1", "overall": 5.0, "unixReviewTime": 1393545600, "reviewText": "ab"},
        {"reviewerID": "A", "asin": "p0", "overall": 4, "unixReviewTime": 1393459200, "helpful": [0, 1]},
    ]
    meta = [
        {"asin": "p1", "title": "Pop filter", "categories": [["Music", "Mics"]], "price": 12.5},
        {"asin": "p0", "title": "It's", "brand": "Nady"},
    ]
    folder = write(
        tmp_path / "a",
        **{name: "\n".join(map(json.dumps, rows)) + "\n"},
        meta_x__json="\n".join(map(repr, meta)),
    )
    dataset = load(folder, tmp_path)
    assert log_of(dataset) == {"A": ["p0", "p1"]}
    assert fields_of(dataset, "p1")["categories"] == "Music|Mics"
    assert fields_of(dataset, "p0")["brand"] == "Nady"
    assert fields_of(dataset, "p0")["title"] == "It's"


def test_amazon_2023_takes_the_parent_and_milliseconds(tmp_path: Path) -> None:
    rows = [
        {"user_id": "U", "parent_asin": "P", "asin": "v1", "rating": 3.0, "timestamp": 1588687728923, "title": "t"},
        {"user_id": "U", "parent_asin": "Q", "asin": "v2", "rating": 4.0, "timestamp": 1588687728100, "title": "t"},
    ]
    folder = write(tmp_path / "a", All__jsonl="\n".join(map(json.dumps, rows)))
    dataset = load(folder / "All.jsonl", tmp_path)
    assert log_of(dataset) == {"U": ["Q", "P"]}, "milliseconds decide the order although seconds are stored"
    assert dataset.interactions.times.tolist() == [1588687728, 1588687728]


def test_json_ids_are_one_id_whether_number_or_text(tmp_path: Path) -> None:
    rows = [{"user": 1, "item": "7"}, {"user": "1", "item": 7.0}, {"user": "2", "item": 7}]
    folder = write(tmp_path / "a", log__jsonl="\n".join(map(json.dumps, rows)))
    assert log_of(load(folder / "log.jsonl", tmp_path)) == {"1": ["7", "7"], "2": ["7"]}


def test_predefined_parts(tmp_path: Path) -> None:
    head = "user_id,item_id,label,timestamp,history,not_cold\n"
    folder = write(
        tmp_path / "ctr",
        train__csv__gz=head + "4,96,1,100,,1\n4,97,0,101,96,1\n",
        valid__csv__gz=head + "4,98,1,102,96 97,1\n",
        test__csv__gz=head + "5,96,0,103,,0\n",
        items__csv="item_id,title\n96,A\n97,B\n98,C\n",
    )
    dataset = load(folder, tmp_path)
    assert dataset.parts is not None
    assert dataset.given_history is not None
    user = dataset.user_index["4"]
    rows = np.flatnonzero(dataset.interactions.users == user)
    assert dataset.parts[rows].tolist() == [0, 0, 1]
    ids = dataset.catalog.ids
    assert [[ids[i] for i in dataset.given_history.row(int(r))] for r in rows] == [[], ["96"], ["96", "97"]]
    assert dataset.interactions.values is not None
    assert dataset.interactions.values[rows].tolist() == [1, 0, 1]
    assert any("not read: not_cold" in note for note in dataset.notes)


def test_a_movielens_column_can_be_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml", u__data="1\t2\t3\t4\n")
    assert load(folder, tmp_path, columns={"value": ""}).interactions.values is None


def test_numbers_as_ids_in_json_take_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"user": u, "item": i, "timestamp": 1.5e9 + i, "rating": 4} for u in range(3) for i in range(3)]
    folder = write(tmp_path / "a", log__jsonl="\n".join(map(json.dumps, rows)))
    monkeypatch.setattr("reasonrec_datasets.layouts.json_lines.JsonLines._read_with_python", None)
    assert log_of(load(folder / "log.jsonl", tmp_path))["2"] == ["0", "1", "2"]
