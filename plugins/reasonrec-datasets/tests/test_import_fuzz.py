"""Damaged files of every layout: either they are read, or there is one clear error. Never anything else."""

from __future__ import annotations

import gzip
import random
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reasonrec_datasets import build_dataset, import_path
from reasonrec_doctor.describe import describe_dataset

from reasonrec_core.errors import DataError


def parquet(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue())


LAYOUTS: dict[str, dict[str, bytes]] = {
    "tables": {
        "interactions.csv": b'user_id,item_id,rating,timestamp\nu1,"b, c",4,200\nu2,a,1,50\nu1,a,5,100\n',
        "items.csv": b'item_id,title,price,image\na,"One, ""two",3.5,images/a.jpg\n"b, c","Line\ntwo",,\nc,Cold,7,\n',
        "users.csv": b"user_id,age\nu1,3\n",
    },
    "gzip": {
        "interactions.csv.gz": gzip.compress(b"user_id,item_id,history,part\nu,a,,train\nu,b,a,valid\nu,c,a b,test\n")
    },
    "predefined": {
        "train.tsv": b"user_id\titem_id\tlabel\thistory\nu\ta\t1\t\n",
        "test.tsv": b"user_id\titem_id\tlabel\thistory\nu\tb\t0\ta\n",
    },
    "recbole": {
        "x.inter": b"user_id:token\titem_id:token\trating:float\n1\t2\t3\n2\t3\t4.5\n",
        "x.item": b"item_id:token\ttitle:token_seq\tclass:token_seq\tprice:float\n2\tA b\tC D\t1\n3\ty\t'C', 'D'\t\n",
    },
    "movielens 100k": {
        "u.data": b"1\t2\t3\t4\n1\t3\t3\t5\n",
        "u.item": "2|Cité|1|2|3".encode("latin-1") + b"|0" * 18 + b"|1\n",
    },
    "movielens 1m": {
        "ratings.dat": b"1::2::3::4\n1::3::3::5\n",
        "movies.dat": "2::Cité: x::A|B\n".encode("latin-1"),
    },
    "movielens latest": {
        "ratings.csv": b"userId,movieId,rating,timestamp\n1,2,3,2020-01-01\n2,3,4,2020-01-02T03:04\n",
        "movies.csv": b"movieId,title,genres\n2,X,A|B\n",
    },
    "sequences": {"sequences.txt": b"u a b c\nv c b\n", "items.csv": b"item_id,title\na,A\nb,B\n"},
    "amazon": {
        "r.json": b'{"reviewerID": "A", "asin": "x", "overall": 5.0, "unixReviewTime": 1393545600}\n'
        b'{"reviewerID": "B", "asin": "y", "overall": 4.0, "unixReviewTime": 1393545601}\n',
        "meta_r.json": b"{'asin': 'x', 'title': 'T', 'categories': [['A', 'B']]}\n",
    },
    "parquet": {
        "interactions.parquet": parquet(user_id=[1, 2], item_id=["a", "b"], value=[1.0, 2.0]),
        "items.parquet": parquet(item_id=["a", "b"], tags=[["x"], None], f=[1.5, None]),
    },
}
PIECES = [b",", b"\n", b'"', b"\t", b"\0", b"\xff", b" ", b"::", b"|", b"nan", b"", b"\r", b"-", b"1e999", b"[", b"{",
          b"null", b"\xe2\x80\xa8", b"99999999999999999999"]  # fmt: skip


def damaged(content: bytes, random: random.Random) -> bytes:
    at, how = random.randrange(len(content) + 1), random.randrange(5)
    if how == 0:
        return content[:at] + random.choice(PIECES) + content[at + random.randrange(3) :]
    if how == 1:
        return content[:at] + bytes([random.randrange(256)]) + content[at + 1 :]
    if how == 2:
        return content[:at] + content[at + random.randrange(1, 9) :]
    return content[:at] if how == 3 else content + content[at:]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whole_files_are_read(layout: str, tmp_path: Path) -> None:
    for name, content in LAYOUTS[layout].items():
        (tmp_path / name).write_bytes(content)
    build_dataset(import_path(tmp_path), tmp_path / "out")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files_are_read_or_refused(layout: str, tmp_path: Path) -> None:
    source = random.Random(layout)
    outcomes = {"read": 0, "refused": 0}
    for case in range(40):
        folder = tmp_path / str(case)
        folder.mkdir()
        files = dict(LAYOUTS[layout])
        for _ in range(source.randrange(1, 4)):
            name = source.choice(list(files))
            zipped = name.endswith(".gz") and case % 2 == 0
            content = damaged(gzip.decompress(files[name]) if zipped else files[name], source)
            files[name] = gzip.compress(content) if zipped else content
        for name, content in files.items():
            (folder / name).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                dataset = build_dataset(import_path(folder), folder / "out")
                describe_dataset(dataset)
                dataset.verify()
                outcomes["read"] += 1
            except DataError:
                assert not (folder / "out").exists()
                outcomes["refused"] += 1
    assert outcomes["refused"], "the damage is real"
