"""Every layout, from small files that look like the real ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.data.importers import find_format, import_path, open_or_import


def write(folder: Path, **files: str | bytes) -> Path:
    """Files by name; ``__`` in a keyword stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return folder


def load(path: Path, out: Path, **options: object) -> Dataset:
    return Dataset.build(import_path(path, **options), out / "dataset")  # type: ignore[arg-type]


def log_of(dataset: Dataset) -> dict[str, list[str]]:
    """Each user's items in order, as ids."""
    users, ids = dataset.users.column("user_id").to_pylist(), dataset.catalog.ids
    log = dataset.interactions
    found: dict[str, list[str]] = {}
    for user, item in zip(log.users.tolist(), log.items.tolist(), strict=True):
        found.setdefault(users[user], []).append(ids[item])
    return found


def fields_of(dataset: Dataset, item: str) -> dict[str, str | None]:
    index = dataset.catalog.find(item)
    return {name: dataset.catalog.column(name)[index] for name in dataset.catalog.fields}


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
    assert dataset.catalog.image_paths[dataset.catalog.find("a")] == "images/a.jpg"
    assert dataset.has_clock


def test_pictures_named_after_ids_are_found_without_an_image_column(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id\nu,a\nu,b\n", items__csv="item_id,title\na,A\n")
    write(folder / "images", a__png=b"x", b__jpg=b"x", note__txt=b"x")
    dataset = load(folder, tmp_path)
    assert dataset.catalog.image_paths[dataset.catalog.find("a")] == "images/a.png"
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


def test_recbole(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "toy",
        toy__inter="user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t10\t3\t881250949.0\n"
        "1\t11\t5\t881250948\n2\t10\t4\t1\n",
        toy__item='item_id:token\tmovie_title:token_seq\tclass:token_seq\tyear:float\n10\tThe "Odd\tDrama War\t1995\n'
        "11\tTwo Words\tAction\t\n",
        toy__user="user_id:token\tage:float\n1\t24\n2\t30\n",
    )
    assert find_format(folder) == "recbole"
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
    assert dataset.catalog.labels("categories")[dataset.catalog.find("a")] == ("Hair Care", "Oils & Serums")


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
    assert find_format(folder) == "movielens"
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
    assert dataset.catalog.labels("categories")[dataset.catalog.find("a b")] == ("X", "Y")
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


def test_a_movielens_column_can_be_left_out(tmp_path: Path) -> None:
    folder = write(tmp_path / "ml", u__data="1\t2\t3\t4\n")
    assert load(folder, tmp_path, columns={"value": ""}).interactions.values is None


def test_numbers_as_ids_in_json_take_the_fast_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"user": u, "item": i, "timestamp": 1.5e9 + i, "rating": 4} for u in range(3) for i in range(3)]
    folder = write(tmp_path / "a", log__jsonl="\n".join(map(json.dumps, rows)))
    monkeypatch.setattr("reasonrec_core.data.importers.amazon._with_python", None)
    assert log_of(load(folder / "log.jsonl", tmp_path))["2"] == ["0", "1", "2"]
