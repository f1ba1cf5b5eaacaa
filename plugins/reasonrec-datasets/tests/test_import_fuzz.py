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
LAYOUTS |= {
    "lightgcn": {
        "train.txt": b"0 1 2 3\n1 2 0\n",
        "test.txt": b"0 0\n1 3\n",
        "item_list.txt": b"org_id remap_id\na 0\nb 1\nc 2\nd 3\n",
    },
    "check-ins": {
        "c.txt": b"0\t2010-10-19T23:55:27Z\t30.2\t-97.7\t22\n1\t2010-10-17T23:42:03Z\t30.2\t-97.76\t31\n"
        b"2\t2010-10-17T23:42:04Z\t30.2\t-97.76\t31\n"
    },
    "mind": {
        "behaviors.tsv": b"1\tU1\t11/11/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0\n2\tU2\t11/12/2019 6:11:30 PM\t\tN4-1 N5-0\n",
        "news.tsv": b"N1\tsports\tgolf\tT\tOne\thttps://a\t[]\t[]\nN3\tnews\tus\tThree\t\thttps://b\t[]\t[]\n",
    },
    "netflix": {
        "combined_data_1.txt": b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n1488844,4,2005-09-05\n",
        "movie_titles.csv": b"1,2003,Dinosaur Planet\n2,NULL,Caf\xe9, Again\n",
    },
    "rees46": {
        "2019-Oct.csv": b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        b"2019-10-01 00:00:00 UTC,view,1,20,a.b,acme,35.79,u1,s\n2019-10-01 00:00:01 UTC,view,2,20,,,1,u1,s\n"
    },
    "retailrocket": {
        "events.csv": b"timestamp,visitorid,event,itemid,transactionid\n1433221332117,2,view,35,\n"
        b"1433224214164,2,view,9,\n",
        "item_properties_part1.csv": b"timestamp,itemid,property,value\n1435460400000,35,categoryid,13\n",
        "category_tree.csv": b"categoryid,parentid\n13,20\n20,\n",
    },
    "goodbooks": {
        "ratings.csv": b"user_id,book_id,rating\n1,258,5\n1,40,4\n",
        "books.csv": b"book_id,goodreads_book_id,title,ratings_1\n40,27,Games,1\n258,77,Hobbit,2\n",
        "book_tags.csv": b"goodreads_book_id,tag_id,count\n27,1,10\n27,2,99\n",
        "tags.csv": b"tag_id,tag_name\n1,to-read\n2,fantasy\n",
    },
    "kuairec": {
        "big_matrix.csv": b"user_id,video_id,timestamp,watch_ratio\n0,36,1593878903.4,1.2\n0,95,1593879221.2,1.2\n",
        "small_matrix.csv": b"user_id,video_id,timestamp,watch_ratio\n0,95,,0.5\n",
        "item_categories.csv": b'video_id,feat\n36,"[27, 9]"\n95,[8]\n',
    },
    "huggingface": {
        "train-00000-of-00001.parquet": parquet(user_id=[1, 2], item_id=["a", "b"]),
        "test-00000-of-00001.parquet": parquet(user_id=[1], item_id=["b"]),
    },
    "an array of objects": {
        "interactions.json": b'[{"user_id": "u", "item_id": "a", "timestamp": {"$date": "2020-01-01"}},'
        b' {"user_id": 1, "item_id": 2, "timestamp": "2020-01-02"}]'
    },
    "folder": {
        "orders.csv": b"customer,sku,order_date\nc1,A1,2021-01-03\nc1,A2,2021-01-04\n",
        "products.csv": b"code,label,price\nA1,Apple,1\nA2,Bean,$2\n",
        "people.jsonl": b'{"id": "c1", "age": 20}\n',
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
