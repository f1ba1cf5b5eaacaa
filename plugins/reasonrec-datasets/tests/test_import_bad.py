"""Bad input: one message that says what, where and how to mend it; through the command line, exit code 2 and nothing
written."""

from __future__ import annotations

import errno
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reasonrec_datasets import build_dataset, import_path

from reasonrec_core.cli.main import main
from reasonrec_core.errors import DataError

LOG = b"user_id,item_id,timestamp\nu1,a,10\nu1,b,20\n"
RATED = b"user_id,item_id,rating\nu1,a,1\nu1,b,2\n"


@dataclass(frozen=True)
class Bad:
    """Files, what the message must say, and the options of ``data import``."""

    files: dict[str, bytes]
    say: tuple[str, ...]
    options: tuple[str, ...] = ()
    path: str = ""
    columns: dict[str, str] = field(default_factory=dict)


def parquet(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, LOG)
    return stream.getvalue()


def twice() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays([pa.array(["u"])] * 3, names=["user_id", "item_id", "item_id"]), sink)
    return bytes(sink.getvalue())


def log(rows: bytes, header: bytes = b"user_id,item_id,timestamp\n") -> dict[str, bytes]:
    return {"interactions.csv": header + rows}


CASES: dict[str, Bad] = {
    # what is not there
    "no such path": Bad({}, ("nowhere: no such file or folder",), path="nowhere"),
    "misspelt path": Bad({"shop.csv": LOG}, ("shop.csw: no such file or folder", "'shop.csv'"), path="shop.csw"),
    "empty folder": Bad({}, ("the folder is empty",)),
    "unknown layout": Bad(
        {"notes.md": b"x"}, ("the layout of this data is unknown", "sequences", "recbole", "`reasonrec plugins`")),
    "no file of that format": Bad({"notes.md": b"x"}, ("found: none",), ("--format", "recbole")),
    "two tables of one kind": Bad(
        {"interactions.csv": LOG, "interactions.parquet": b"x"}, ("interactions.parquet and interactions.csv",)
    ),
    # columns
    "missing column": Bad(
        log(b"1,2,3\n", b"user_id,itm_id,x\n"),
        ("interactions.csv:1:", "no column 'item_id'", "user_id, itm_id, x", "--column item_id=itm_id"),
    ),
    "a header that would steer the terminal": Bad(
        log(b"1,2\n", b"\x1b[31muser\x1b]0;x\x07,y\n"), ("the columns are: '\\x1b[31muser\\x1b]0;x\\x07', y.",)
    ),
    "a header without end": Bad(log(b"1\n", b",".join(b"c%d" % n for n in range(99)) + b"\n"), ("and 69 more",)),
    "no header line": Bad(
        {"interactions.csv": b"1,2,3\n2,3,4\n"},
        ("interactions.csv:1", "the first line holds data", ": 1, 2, 3", "--column item_id=2"),
    ),
    "mapped column is absent": Bad(
        log(b"1,2,3\n", b"user_id,item_id,customer\n"),
        ("no file has a column 'custmer'", "'customer'"),
        ("--column", "user_id=custmer"),
    ),
    "mapping of an unknown column": Bad({"interactions.csv": LOG}, ("unknown column 'user'",), ("--column", "user=x")),
    "column twice": Bad(log(b"1,2,3\n", b"user_id,item_id,item_id\n"), (":1: two columns are named 'item_id'",)),
    "column without a name": Bad(log(b"1,2,3\n", b"user_id,item_id,\n"), (":1: column 3 has no name",)),
    "no id in the items": Bad({"interactions.csv": LOG, "items.csv": b"title,x\nA,1\n"}, ("items.csv:1", "'item_id'")),
    # rows and cells
    "not a time": Bad(log(b"u,a,1\nu,b,soon\n"), ("interactions.csv:3:5", "timestamp 'soon'")),
    "not a time behind quotes": Bad(
        log(b'"u,1","n",a,1\n\n"u,1","n\nn",b,soon\n', b"user_id,note,item_id,timestamp\n"),
        ("interactions.csv:4", "'soon'"),
    ),
    "a quote that swallows a line": Bad(
        log(b'u,"a,1\nu,b",1\nu,c,3\n'), ("interactions.csv:2:3", "a quote is not closed on its line: item_id")
    ),
    "a quote in a TSV that swallows a line of titles": Bad(
        {"interactions.csv": LOG, "items.tsv": b'item_id\ttitle\na\t"Inch\nb\t5"\n'},
        ("items.tsv:2:3", "title contains a line break"),
    ),
    "a column without a name that holds no index": Bad(
        {"interactions.csv": b",user_id,item_id\nx,u,a\nx,u,b\n"}, (":1: column 1 has no name", "'x'")
    ),
    "an encoding that does not exist": Bad(
        {"interactions.csv": LOG}, ("unknown encoding 'latin-99'", "--encoding"), ("--encoding", "latin-99")
    ),
    "a delimiter of two characters": Bad({"interactions.csv": LOG}, ("--delimiter", "',;'"), ("--delimiter", ",;")),
    "gzip that unpacks to more than the limit": Bad(
        {"interactions.csv.gz": gzip.compress(LOG + b"u,a,1\n" * 99_999)},
        ("interactions.csv.gz: unpacks to more than 10,000 bytes", "--max-bytes"),
        ("--max-bytes", "10000"),
    ),
    "Parquet that unpacks to more than the limit": Bad(
        {"interactions.parquet": parquet(user_id=["u"] * 9999, item_id=["a"] * 9999)},
        ("interactions.parquet: unpacks to more than 10,000 bytes", "--max-bytes"),
        ("--max-bytes", "10000"),
    ),
    "more columns than the limit": Bad(
        log(b"1\n", b",".join(b"c%d" % n for n in range(99)) + b"\n"),
        ("99 columns; the limit is 50",),
        ("--max-columns", "50"),
    ),
    "a header without end at all": Bad({"interactions.csv": b"x" * (3 << 20)}, ("first line is longer than",)),
    "a row without end": Bad(log(b'u,a,1\nu,"' + b"x" * (20 << 20) + b'",2\n'), ("a row is longer than",)),
    "ratings without a header": Bad(
        {"r.txt": b"u1 i1 5 1600000000\nu2 i1 3 1600000100\n"},
        ("no column 'user_id'", "--column user_id=1 --column item_id=2"),
        path="r.txt",
    ),
    "zip with two files, neither of which is a log": Bad(
        {"shop.zip": zipped("a.md", "b.md")}, ("shop.zip", "the layout of this data is unknown"), path="shop.zip"
    ),
    "not zip": Bad({"interactions.csv.zip": LOG}, ("interactions.csv.zip: cannot be unpacked",)),
    "missing time": Bad(log(b"u,a,1\nu,b,\n"), ("interactions.csv:3:5", "timestamp is missing")),
    "seconds and milliseconds": Bad(
        log(b"u,a,1600000000\nu,b,1600000000000\n"), ("interactions.csv:2:5", "looks like seconds")
    ),
    "impossible date": Bad(log(b"u,a,2020-02-03\nu,b,2020-02-30\n"), ("interactions.csv:3:5", "2020-02-30")),
    "not a number": Bad(
        {"interactions.csv": RATED + b"u2,a,4;5\n"}, ("interactions.csv:4:6", "value '4;5' is not a number")
    ),
    "NaN": Bad({"interactions.csv": RATED + b"u2,a,nan\n"}, ("interactions.csv:4:6", "nan", "finite")),
    "infinite": Bad({"interactions.csv": RATED + b"u2,a,-inf\n"}, ("interactions.csv:4:6", "-inf", "finite")),
    "NaN in Parquet": Bad(
        {"interactions.parquet": parquet(user_id=["u", "u"], item_id=["a", "b"], rating=[1.0, float("nan")])},
        ("interactions.parquet, row 2, column 'rating'", "nan"),
    ),
    "infinite price of an item": Bad(
        {"interactions.csv": LOG, "items.parquet": parquet(item_id=["a", "b"], price=[1.0, float("inf")])},
        ("items.parquet, row 2, column 'price'", "inf"),
    ),
    "blank user": Bad(log(b"u,a,1\n ,b,2\n"), ("interactions.csv:3:1", "user_id is blank")),
    "blank item": Bad(log(b"u,a,1\nu,,2\n"), ("interactions.csv:3:3", "item_id is blank")),
    "blank id in the items": Bad(
        {"interactions.csv": LOG, "items.csv": b"item_id,title\na,A\n,B\n"}, ("items.csv:3:1", "item_id is blank")
    ),
    "fractional ids": Bad(
        {"interactions.parquet": parquet(user_id=[1.0, 1.5], item_id=["a", "b"])},
        ("row 2, column 'user_id'", "1.5", "whole number"),
    ),
    "ids that are lists": Bad(
        {"interactions.parquet": parquet(user_id=[[1], [2]], item_id=["a", "b"])}, ("user_id has type list",)
    ),
    "ragged row": Bad(log(b"u,a,1\nu,b\n"), ("interactions.csv:3: the row has 2 fields, but there are 3",)),
    "row that is too long": Bad(log(b"u,a,1\nu,b,2,3\n"), ("interactions.csv:3: the row has 4 fields",)),
    "unclosed quote": Bad(log(b'u,a,1\nu,"b,2\nu,c,3\n'), ("interactions.csv:3", "quote")),
    "item twice": Bad(
        {"interactions.csv": LOG, "items.csv": b"item_id,title\na,A\nb,B\na,C\n"},
        ("items.csv:4:1", "'a' occurs twice", "items.csv:2:1"),
    ),
    "item twice but for blanks": Bad(
        {"interactions.csv": LOG, "items.csv": b"item_id,title\na,A\nb,B\n a,C\n"}, ("items.csv:4:1", "twice")
    ),
    "user twice": Bad(
        {"interactions.csv": LOG, "users.csv": b"user_id,age\nu1,3\nu1,4\n"}, ("users.csv:3:1", "'u1' occurs twice")
    ),
    "items of another catalogue": Bad(
        {"interactions.csv": log(b"u,00123,1\n")["interactions.csv"], "items.csv": b"item_id,title\n123,A\n"},
        ("none of the 1 items", "'00123'", "'123'"),
    ),
    # files
    "empty file": Bad({"interactions.csv": b""}, ("interactions.csv: the file is empty",)),
    "blank file": Bad({"interactions.csv": b"\n\n"}, ("interactions.csv: the file is empty",)),
    "header without a line end": Bad({"interactions.csv": b"user_id,item_id"}, ("has a header but no rows",)),
    "header that is not UTF-8": Bad(
        {"interactions.csv": b"\nuser_id,item_id,\xff\nu,a,1\n"}, ("interactions.csv:2:17", "0xff")
    ),
    "header only": Bad({"interactions.csv": b"user_id,item_id\n"}, ("has a header but no rows",)),
    "Parquet without rows": Bad(
        {"interactions.parquet": parquet(user_id=pa.array([], "string"), item_id=pa.array([], "string"))},
        ("interactions.parquet: the file has no rows",),
    ),
    "not UTF-8": Bad(
        {"interactions.csv": LOG, "items.csv": "item_id,title\na,A\nb,Café\n".encode("latin-1")},
        ("items.csv:3:6", "byte 0xe9", "at byte 23", "UTF-8"),
    ),
    "not UTF-8 in an id": Bad(log(b"u,a,1\nu,\xff,2\n"), ("interactions.csv:3:3", "byte 0xff")),
    "UTF-16 without a byte-order mark": Bad(
        {"interactions.csv": LOG.decode().encode("utf-16-le")}, ("interactions.csv:1", "UTF-16", "--encoding")
    ),
    "not gzip": Bad({"interactions.csv.gz": LOG}, ("interactions.csv.gz: cannot be decompressed",)),
    "gzip cut short": Bad({"interactions.csv.gz": gzip.compress(LOG * 99)[:-20]}, ("cannot be decompressed",)),
    "not Parquet": Bad({"interactions.parquet": LOG}, ("interactions.parquet: cannot be read as Parquet",)),
    "Parquet with text that is not UTF-8": Bad(
        {"interactions.parquet": parquet(user_id=["u"], item_id=pa.array([b"\xff"]).view("string"))},
        ("interactions.parquet: cannot be read", "UTF8"),
    ),
    "Parquet with two columns of one name": Bad(
        {"interactions.parquet": twice()}, ("interactions.parquet: two columns are named 'item_id'",)
    ),
    "JSON with a number of 5000 digits": Bad(
        {"r.json": b'{"user": 1, "item": 2}\n{"user": 1, "item": ' + b"9" * 5000 + b"}\n"}, ("r.json:2", "not JSON")
    ),
    "a value beyond float32": Bad({"interactions.csv": RATED + b"u2,a,1e300\n"}, (":4:6", "value 1e+300 is too large")),
    # other layouts
    "JSON that is none": Bad(
        {"r.json": b'{"reviewerID": "A", "asin": "x"}\n{"reviewerID": "A", asin}\n'}, ("r.json:2:21", "not JSON")
    ),
    "JSON that is no object": Bad({"r.json": b'{"user": 1, "item": 2}\n[1]\n'}, ("r.json:2", "not a JSON object")),
    "JSON with a list as id": Bad(
        {"r.json": b'{"user": 1, "item": 2}\n{"user": [1], "item": 2}\n'}, ("r.json:2", "user is [1]")
    ),
    "JSON row without an id": Bad(
        {"r.jsonl": b'{"user": "a", "item": "b"}\n\n{"user": "a"}\n'}, ("r.jsonl:3", "item_id is blank")
    ),
    "JSON with text for a rating": Bad(
        {"r.json": b'{"user": 1, "item": 2, "rating": 3}\n{"user": 1, "item": 2, "rating": "good"}\n'},
        ("r.json:2", "value 'good'"),
    ),
    "JSON line without end": Bad({"r.json": b'{"user": "' + b"x" * (65 << 20)}, ("r.json:1: a line is longer than",)),
    "JSON that is empty": Bad({"r.json": b""}, ("r.json: the file is empty",)),
    "JSON that is not UTF-8": Bad({"r.json": b'{"user": "\xff", "item": 2}\n'}, ("r.json:1:11", "0xff")),
    "JSON that stops being UTF-8": Bad(
        {"r.json": b'{"user": "a", "item": 2}\n{"user": "a\xff", "item": 2}\n'}, ("r.json:2:12", "0xff")
    ),
    "JSON in broken gzip": Bad(
        {"r.json.gz": gzip.compress(b'{"user": 1, "item": 2}\n' * 99)[:-9]}, ("cannot be decompressed",)
    ),
    "RecBole without types": Bad(
        {"x.inter": b"user_id\titem_id:token\nu\ta\n"}, ("x.inter:1:1", "'user_id' has no type", "name:type")
    ),
    "RecBole with a wrong type": Bad(
        {"x.inter": b"user_id:token\titem_id:tokn\nu\ta\n"}, ("x.inter:1:15", "unknown type 'tokn'", "'token'")
    ),
    "RecBole with a wrong float": Bad(
        {
            "x.inter": b"user_id:token\titem_id:token\nu\ta\n",
            "x.item": b"item_id:token\tprice:float\na\t1\nb\t\nc\tcheap\n",
        },
        ("x.item:4:3", "price 'cheap' is not a number"),
    ),
    "RecBole with two logs": Bad({"x.inter": b"", "y.inter": b""}, ("x.inter, y.inter", "Name the file")),
    "sequences without items": Bad({"sequences.txt": b"u a b\nv\n"}, ("sequences.txt:2", "'v' has no items")),
    "sequences with a user twice": Bad(
        {"sequences.txt": b"u a b\nv a b\n\nu c d\n"}, ("sequences.txt:4", "'u' already has a line")
    ),
    "sequences that are empty": Bad({"sequences.txt": b"\n"}, ("sequences.txt: the file is empty",)),
    "MovieLens with a broken row": Bad(
        {"ratings.dat": b"1::2::3::4\n1::2::3\n"}, ("ratings.dat:2", "3 fields, but there are 4")
    ),
    "MovieLens with a word for a rating": Bad(
        {"ratings.dat": b"1::2::3::4\n1::22::x::4\n"}, ("ratings.dat:2:8", "value 'x' is not a number")
    ),
    "no test file": Bad({"train.csv": LOG}, ("no file test.csv",), ("--format", "predefined")),
    "label missing in one part": Bad(
        {"train.csv": RATED, "test.csv": b"user_id,item_id\nu,a\n"}, ("test.csv:2", "value is missing")
    ),
    "unknown part": Bad(
        {"interactions.csv": b"user_id,item_id,part\nu,a,train\nu,b,tets\n"},
        ("interactions.csv:3:5", "unknown part 'tets'", "'test'"),
    ),
    "history of unknown items": Bad(
        {
            "train.csv": b"user_id,item_id,label,history\nu,a,1,\n",
            "test.csv": b"user_id,item_id,label,history\nu,b,1,a z\n",
        },
        ("test.csv:2:7", "history contains item 'z'"),
    ),
}  # fmt: skip


def lay_out(case: Bad, folder: Path) -> Path:
    folder.mkdir()
    for name, content in case.files.items():
        (folder / name).write_bytes(content)
    return folder / case.path if case.path else folder


@pytest.mark.parametrize("name", CASES)
def test_one_message_exit_code_2_and_nothing_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    path = lay_out(case, tmp_path / "in")
    with pytest.raises(SystemExit) as left:
        main(["data", "import", str(path), "--out", str(tmp_path / "new" / "out"), *case.options])
    out, err = capsys.readouterr()
    assert left.value.code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert err.count("error:") == 1
    for words in case.say:
        assert words in err, err
    assert [p.name for p in tmp_path.iterdir()] == ["in"], "nothing is written"
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == sorted(case.files)


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--column", "user_id"], "'user_id' is not OURS=THEIRS"),
        (["--column", "user_id=a", "--column", "user_id=b"], "user_id is given twice"),
        (["--format", "recbol"], "unknown format 'recbol'. Did you mean 'recbole'?"),
        (["--seed", "x"], "not a valid integer"),
        (["--extend", "nowhere"], "manifest.json: the file does not exist"),
    ],
)
def test_wrong_options(options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "interactions.csv").write_bytes(LOG)
    with pytest.raises(SystemExit) as left:
        main(["data", "import", str(tmp_path / "interactions.csv"), "--out", str(tmp_path / "out"), *options])
    assert left.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_format_is_checked_in_the_api_too(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(LOG)
    with pytest.raises(DataError, match=r"unknown format 'recbol'.*Did you mean 'recbole'"):
        import_path(tmp_path / "x.csv", format="recbol")


def _full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["pyarrow.parquet.write_table", "reasonrec_core.data.storage.write_json"])
def test_a_full_disk_leaves_nothing(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "interactions.csv").write_bytes(LOG)
    monkeypatch.setattr(where, _full_disk)
    with pytest.raises(SystemExit) as left:
        main(["data", "import", str(tmp_path / "interactions.csv"), "--out", str(tmp_path / "out")])
    assert left.value.code == 2
    assert "No space left on device" in (err := capsys.readouterr().err)
    assert "free space" in err
    assert [p.name for p in tmp_path.iterdir()] == ["interactions.csv"]


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "interactions.csv").write_bytes(LOG)
    with pytest.raises(SystemExit) as left:
        main(["data", "import", str(tmp_path), "--out", str(tmp_path / "interactions.csv" / "out")])
    assert left.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda out: out.write_text("x"), "is a file"),
        (lambda out: (out.mkdir(), (out / "precious.txt").write_text("x")), "holds other files"),
        (lambda out: (out.mkdir(), (out / "manifest.json").write_text("{}")), "holds other files"),
    ],
)
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_is_no_dataset_is_never_written_over(
    make: Callable[[Path], object], words: str, force: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "interactions.csv").write_bytes(LOG)
    out = tmp_path / "out"
    make(out)
    before = sorted(p.read_bytes() for p in ([out] if out.is_file() else out.iterdir()))
    with pytest.raises(SystemExit) as left:
        main(["data", "import", str(tmp_path / "interactions.csv"), "--out", str(out), *force])
    assert left.value.code == 2
    assert words in capsys.readouterr().err
    assert sorted(p.read_bytes() for p in ([out] if out.is_file() else out.iterdir())) == before


def test_a_dataset_is_not_imported_again_as_if_its_indices_were_ids(tmp_path: Path) -> None:
    (tmp_path / "interactions.csv").write_bytes(LOG)
    build_dataset(import_path(tmp_path / "interactions.csv"), tmp_path / "out")
    with pytest.raises(DataError, match="is already a dataset"):
        import_path(tmp_path / "out")


def test_messages_are_short_enough_to_read(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps({"user": "u", "item": ["x" * 10_000]}) + "\n")
    with pytest.raises(DataError) as caught:
        import_path(tmp_path / "r.json")
    assert len(caught.value.message) < 300
