"""The forms in which people keep the same table: each is read as the plain one is."""

from __future__ import annotations

import bz2
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layout_files import fields_of, load, log_of, write

from reasonrec_core.errors import DataError

LOG = "user_id,item_id,timestamp\nu1,b,200\nu1,a,100\nu2,é,50\n"
READ = {"u1": ["a", "b"], "u2": ["é"]}


def zipped(name: str, content: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
        archive.writestr(f"__MACOSX/._{name}", "x")
    return stream.getvalue()


JSON = "".join(
    f'{{"user_id":{user},"item_id":"{item}","timestamp":{time}}}\n'
    for user, item, time in (
        ('"u1"', "b", '"2020-01-02"'),
        ('{"$oid":"u1"}', "a", '{"$date":"2020-01-01"}'),
        ('"u2"', "é", '"2020-01-01"'),
    )
)
PLAIN_JSON = JSON.replace('{"$oid":"u1"}', '"u1"').replace('{"$date":', "").replace('"}}', '"}')
DAYS = "".join(
    f"{user},{item},2020-01-01,{time}\n"
    for user, item, time in (("u1", "b", "9:30"), ("u1", "a", "8:00"), ("u2", "é", "8:00"))
)


def indexed(text: str) -> str:
    header, *rows = text.splitlines()
    return "\n".join([f",{header}", *(f"{n},{row}" for n, row in enumerate(rows))]) + "\n"


FORMS: dict[str, tuple[dict[str, str | bytes], dict[str, str]]] = {
    "an index column": ({"interactions__csv": indexed(LOG)}, {}),
    "a delimiter at each line's end": ({"interactions__csv": LOG.replace("\n", ",\n")}, {}),
    "a delimiter at each row's end": ({"interactions__csv": LOG.replace("0\n", "0,\n")}, {}),
    "Excel's line": ({"interactions__csv": "sep=;\r\n" + LOG.replace(",", ";")}, {}),
    "Excel's line with an odd delimiter": ({"interactions__csv": '"sep=^"\n' + LOG.replace(",", "^")}, {}),
    "capitals": ({"Interactions__CSV": LOG}, {}),
    "gzipped TSV": ({"interactions__tsv__gz": LOG.replace(",", "\t")}, {}),
    "zip": ({"interactions__zip": zipped("export.csv", LOG)}, {}),
    "zipped CSV": ({"interactions__csv__zip": zipped("interactions.csv", LOG)}, {}),
    "UTF-16 as Excel writes it": ({"interactions__csv": LOG.encode("utf-16")}, {}),
    "Latin-1": ({"interactions__csv": LOG.encode("latin-1")}, {"encoding": "latin-1"}),
    "a delimiter of its own": ({"interactions__csv": LOG.replace(",", "~")}, {"delimiter": "~"}),
    "a delimiter by name": ({"interactions__csv": LOG.replace(",", " ")}, {"delimiter": "space"}),
    "blanks between columns": ({"interactions__csv": LOG.replace(",", "   ")}, {}),
    "remarks above the header": ({"interactions__csv": f"# exported, 2024\n{LOG}"}, {}),
    "the end of a file for DOS": ({"interactions__csv": f"{LOG}\x1a"}, {}),
    "single quotes": ({"interactions__csv": "'user_id','item_id','timestamp'\n" + LOG[26:]}, {"quote": "single"}),
    "JSON lines": ({"interactions__jsonl": PLAIN_JSON}, {}),
    "objects of MongoDB": ({"interactions__jsonl": JSON}, {}),
    "day and time of day": ({"interactions__csv": f"user_id,item_id,date,time\n{DAYS}"}, {}),
    "part files": ({"interactions-0__csv": LOG[:35], "interactions-1__csv": f"{LOG[:26]}{LOG[35:]}"}, {}),
    "UTF-32": ({"interactions__csv": LOG.encode("utf-32")}, {}),
    "two index columns": (
        {"interactions__csv": ",,user_id,item_id,timestamp\n0,0,u1,b,200\n0,1,u1,a,100\n1,0,u2,é,50\n"},
        {},
    ),
    "bzip2": ({"interactions__csv__bz2": bz2.compress(LOG.encode())}, {}),
    "xz": ({"interactions__csv__xz": lzma.compress(LOG.encode())}, {}),
    "Zstandard": ({"interactions__csv__zst": pa.compress(LOG.encode(), "zstd", asbytes=True)}, {}),
    "files put one after the other": ({"interactions__csv": LOG + LOG[:26]}, {}),
    "the title of an export": ({"interactions__csv": f"My export,,\n\n{LOG}"}, {}),
    "two colons": ({"interactions__csv": LOG.replace(",", "::")}, {}),
    "a delimiter several times": ({"interactions__csv": LOG.replace(",", "##")}, {"delimiter": "##"}),
    "Hive's delimiter": ({"interactions__csv": LOG.replace(",", "\x01")}, {"delimiter": r"\x01"}),
    "part files, one header": ({"interactions-1__csv": LOG[:35], "interactions-2__csv": LOG[35:]}, {}),
    "part files as Spark names them": (
        {"part-00000__csv": LOG[:35], "part-00001__csv": f"{LOG[:26]}{LOG[35:]}", "_SUCCESS": ""},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_one_table(form: str, tmp_path: Path) -> None:
    files, options = FORMS[form]
    assert log_of(load(write(tmp_path / "in", **files), tmp_path, options=options)) == READ


def test_a_folder_of_parts(tmp_path: Path) -> None:
    inner = tmp_path / "in" / "interactions.parquet"
    inner.mkdir(parents=True)
    for number, rows in enumerate([{"user_id": ["u1"], "item_id": ["a"]}, {"user_id": ["u2"], "item_id": ["b"]}]):
        pq.write_table(pa.table(rows), inner / f"part-{number}.snappy.parquet")
    dataset = load(tmp_path / "in", tmp_path)
    assert log_of(dataset) == {"u1": ["a"], "u2": ["b"]}
    assert any("the log was read from 2 files" in note for note in dataset.notes)


@pytest.mark.parametrize("root", ["", "interactions/"])
def test_folders_of_parts_whose_names_hold_columns(root: str, tmp_path: Path) -> None:
    for day, rows in (("2024-01-10", "u1,b\n"), ("2024-01-9", "u1,a\n")):
        folder = tmp_path / "in" / f"{root}date={day}" / "event=view"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text(f"user_id,item_id\n{rows}")
    dataset = load(tmp_path / "in", tmp_path)
    assert log_of(dataset) == {"u1": ["a", "b"]}
    assert dataset.has_clock
    assert any("events: view (2)" in note for note in dataset.notes)
    assert any("date=2024-01-9/event=view/part-0.csv to " in note for note in dataset.notes)


def test_numbered_folders_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2):
        write(tmp_path / "in" / str(number), **{"p__csv__gz": f"user_id,item_id\nu,i{number}\n"})
    assert log_of(load(tmp_path / "in", tmp_path)) == {"u": ["i2", "i10"]}


def test_lines_that_are_not_read_are_said(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "in", interactions__csv=f"# one\n# two\n{LOG}{LOG[:26]}"), tmp_path)
    notes = " ".join(dataset.notes)
    assert "skipped 2 comment lines (#) above the column names" in notes
    assert "1 line repeats the column names; left out (first at" in notes
    assert "interactions.csv:7)" in notes


def test_tables_of_items_may_call_their_key_id_or_nothing(tmp_path: Path) -> None:
    for number, head in enumerate(("id", "", "ID")):
        folder = write(tmp_path / f"in{number}", interactions__csv=LOG, items__csv=f"{head},title\na,Apple\nb,Bean\n")
        dataset = load(folder, tmp_path / f"out{number}")
        assert fields_of(dataset, "a") == {"title": "Apple"}
        assert any("is read as item_id" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LOG.replace(",", "~"), "--delimiter '~'"),
        ("'user_id','item_id'\n'u','a'\n", "--quote single"),
        (f"{LOG}u1,a\n", "has 2 fields, but there are 3 columns. Correct the row or delete it."),
    ],
)
def test_what_is_asked_names_the_option(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(write(tmp_path / "in", interactions__csv=text), tmp_path)
    assert words in caught.value.message


def test_an_index_is_left_out_with_a_note(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "in", interactions__csv=indexed(LOG)), tmp_path)
    assert any("numbers the rows" in note for note in dataset.notes)


def test_items_and_users_beside_ratings_are_read_and_other_files_named(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in",
        ratings__csv="user_id,item_id,rating\nu,a,3\n",
        items__csv="item_id,title\na,Apple\n",
        users__csv="user_id,age\nu,20\n",
        tags__csv="x\n",
        notes__md="x",
    )
    dataset = load(folder, tmp_path)
    assert fields_of(dataset, "a") == {"title": "Apple"}
    assert dataset.users.column("age").to_pylist() == [20]
    assert [note for note in dataset.notes if "not read" in note] == ["other files that were not read: tags.csv"]


def test_columns_of_a_file_without_a_header_are_numbered(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", r__txt="u1 i1 5 1600000000\nu1 i2 3 1600000100\n")
    columns = {"user_id": "1", "item_id": "2", "value": "3", "timestamp": "4"}
    dataset = load(folder / "r.txt", tmp_path, columns=columns)
    assert log_of(dataset) == {"u1": ["i1", "i2"]}
    assert dataset.has_clock


def test_columns_that_are_named_by_numbers_are_no_rows(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", r__csv="0,1\nu1,i1\n")
    assert log_of(load(folder / "r.csv", tmp_path, columns={"user_id": "0", "item_id": "1"})) == {"u1": ["i1"]}


def test_sequences_stay_sequences(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", s__txt="u1 11 12 13\nu2 11 14 2\n", t__txt="1 2 3\n2 3 1\n")
    assert log_of(load(folder / "s.txt", tmp_path))["u1"] == ["11", "12", "13"]
    assert log_of(load(folder / "t.txt", tmp_path))["1"] == ["2", "3"]


def test_quoted_line_breaks_in_text_are_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv=LOG, items__csv='item_id,title\na,"One,\ntwo"\n')
    assert fields_of(load(folder, tmp_path), "a") == {"title": "One,\ntwo"}


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("cp1252", "Café crème"), ("cp1251", "Война и мир"), ("koi8_r", "Война и мир"), ("gb18030", "红楼梦"),
        ("big5", "臥虎藏龍"),
        ("shift_jis", "となりのトトロ"), ("euc_jp", "となりのトトロ"), ("euc_kr", "기생충"),
        ("cp1250", "Žluťoučký kůň"),
        ("cp1253", "Καλημέρα"), ("utf-16-le", "Apple pie"), ("utf-16-be", "Apple pie"),
    ],
)  # fmt: skip
def test_an_encoding_is_asked_about_with_a_guess_that_reads_it(encoding: str, title: str, tmp_path: Path) -> None:
    items = f"item_id,title\na,{title}\nb,Plain\n".encode(encoding)
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id\nu,a\nu,b\n", items__csv=items)
    with pytest.raises(DataError) as caught:
        load(folder, tmp_path)
    assert f"--encoding {encoding}." in str(caught.value.fix)
    if not encoding.startswith("utf-16"):
        assert repr(title) in str(caught.value.fix)
        assert fields_of(load(folder, tmp_path / "read", options={"encoding": encoding}), "a")["title"] == title


SWALLOWED = 'item_id,title,price\na,"Big 12 TV,5\nb,Small 5" thing,6\nc,C,7\n'


def test_a_quote_that_swallows_a_row_of_text_is_asked_about(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", interactions__csv="user_id,item_id\nu,a\nu,c\n", items__csv=SWALLOWED)
    with pytest.raises(DataError, match=r"items\.csv:2:3: a quote is not closed on its line: title") as caught:
        load(folder, tmp_path)
    assert "--quote none" in str(caught.value.fix)
    assert fields_of(load(folder, tmp_path / "none", options={"quote": "none"}), "b")["title"] == 'Small 5" thing'
    assert "\n" in (fields_of(load(folder, tmp_path / "double", options={"quote": "double"}), "a")["title"] or "")


def test_quotes_within_quotes_may_follow_a_backslash(tmp_path: Path) -> None:
    books = '"ISBN";"Book-Title";"Author"\n"1";"The \\"Odd\\"; One";"M"\n'
    folder = write(tmp_path / "in", r__csv='"User-ID";"ISBN";"Book-Rating"\n"7";"1";"0"\n', books__csv=books)
    with pytest.raises(DataError) as caught:
        load(folder, tmp_path)
    assert "--quote backslash" in str(caught.value.fix)
    dataset = load(folder, tmp_path, options={"quote": "backslash"})
    assert fields_of(dataset, "1")["title"] == 'The "Odd"; One'


def test_a_first_line_that_is_a_row_is_asked_about_with_numbers(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in", ratings_Beauty__csv="A39HTATAQ9V7YF,0205616461,5.0,1369699200\nA3JM6,B1,3.0,1355443200\n"
    )
    with pytest.raises(DataError, match="the first line holds data") as caught:
        load(folder / "ratings_Beauty.csv", tmp_path)
    said = "--column user_id=1 --column item_id=2 --column value=3 --column timestamp=4"
    assert said in str(caught.value.fix)
    columns = dict(pair.split("=") for pair in said.replace("--column ", "").split())
    assert len(load(folder / "ratings_Beauty.csv", tmp_path, columns=columns)) == 2


def test_no_text_is_taken_for_data(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "in", notes__txt="This is a note.\nIt has no data, only words.\n", head__txt="user_id item_id\nu a\n"
    )
    with pytest.raises(DataError, match="layout of this data is unknown"):
        load(folder / "notes.txt", tmp_path)
    assert log_of(load(folder / "head.txt", tmp_path)) == {"u": ["a"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x1f\x8b\x08", "gzip data"),
        (b"PAR1", "Parquet"),
        (b"PK\x03\x04", "a zip archive"),
        (b"<!DOCTYPE html>", "a web page"),
    ],
)
def test_a_name_that_says_something_else(content: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"log\.csv: contains {words}"):
        load(write(tmp_path / "in", log__csv=content + b"xyz") / "log.csv", tmp_path)
