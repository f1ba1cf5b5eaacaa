"""Small inputs that unpack, nest or multiply to more than any machine has: each is refused early, by one message."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fuzzing.attempts import Case

MIB = 1 << 20
ROW = b"user-1,item-1,1600000000\n"
HEAD = b"user_id,item_id,timestamp\n"
REVIEW = {"reviewerID": "u", "asin": "i", "overall": 1.0, "unixReviewTime": 1600000000}
LOG = HEAD + b"u,a,1\nu,b,2\nv,a,3\n"


def gzip_repeated(path: Path, times: int, piece: bytes, head: bytes = b"", tail: bytes = b"") -> None:
    """A packed file of ``head``, ``times`` pieces and ``tail``: members of gzip may follow one another."""
    with path.open("wb") as stream:
        stream.write(gzip.compress(head, mtime=0))
        packed = gzip.compress(piece, mtime=0)
        for _ in range(times):
            stream.write(packed)
        stream.write(gzip.compress(tail, mtime=0))


def repeat(row: bytes, size: int = 16 * MIB) -> bytes:
    """Rows up to a size in bytes."""
    return row * (size // len(row))


def make_import(folder: Path, *options: str) -> Case:
    """``data import`` of what was made."""
    return Case(["data", "import", str(folder / "data"), "--out", str(folder / "out"), *options], folder / "out")


def make_fit(name: str, text: str | bytes) -> Callable[[Path], Case]:
    """``fit`` with a settings file."""

    def make(folder: Path) -> Case:
        file = folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        return Case(["fit", str(file), "--out", str(folder / "out")], folder / "out")

    return make


def make_set(override: str) -> Callable[[Path], Case]:
    """``fit`` with an override."""

    def make(folder: Path) -> Case:
        write(folder, "interactions.csv", LOG)
        (folder / "p.toml").write_text('delegates = ["popularity"]\n[data]\npath = "data"\n')
        return Case(["fit", str(folder / "p.toml"), "--out", str(folder / "out"), "--set", override], folder / "out")

    return make


def write(folder: Path, name: str, content: bytes) -> Path:
    """A file of data."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / name).write_bytes(content)
    return folder / "data" / name


@contextmanager
def packed(folder: Path, name: str) -> Iterator[Path]:
    """A place for a file of data."""
    (folder / "data").mkdir(exist_ok=True)
    yield folder / "data" / name


def gzip_csv(folder: Path) -> Case:
    """2 GB of rows in 5 MB."""
    with packed(folder, "interactions.csv.gz") as path:
        gzip_repeated(path, 128, repeat(ROW), HEAD)
    return make_import(folder)


def gzip_json(folder: Path) -> Case:
    """2 GB of objects."""
    with packed(folder, "reviews.json.gz") as path:
        gzip_repeated(path, 128, repeat(json.dumps(REVIEW).encode() + b"\n"))
    return make_import(folder)


def gzip_odd_json(folder: Path) -> Case:
    """2 GB of objects that Arrow does not read."""
    with packed(folder, "reviews.json.gz") as path:
        gzip_repeated(
            path, 128, repeat(json.dumps({**REVIEW, "helpful": [0, 0]}).replace("1.0", "[]").encode() + b"\n")
        )
    return make_import(folder)


def gzip_json_array(folder: Path) -> Case:
    """One array of 2 GB."""
    with packed(folder, "interactions.json.gz") as path:
        row = json.dumps({"user_id": "u", "item_id": "i"}).encode()
        gzip_repeated(path, 128, repeat(row + b","), b"[", row + b"]")
    return make_import(folder)


def gzip_cell(folder: Path) -> Case:
    """One cell of 4 GB."""
    with packed(folder, "interactions.csv.gz") as path:
        gzip_repeated(path, 256, b"x" * 16 * MIB, HEAD + b"u,", b",1\n")
    return make_import(folder)


def plain_cell(folder: Path) -> Case:
    """One cell of 300 MB in a file that is not packed."""
    write(folder, "interactions.csv", HEAD + b"u," + b"x" * 300 * MIB + b",1\n")
    return make_import(folder)


def quoted_cell(folder: Path) -> Case:
    """A quote that swallows 300 MB of rows."""
    write(folder, "interactions.csv", HEAD + b'u,"' + repeat(ROW, 300 * MIB))
    return make_import(folder)


def json_line(folder: Path) -> Case:
    """One JSON line of 300 MB."""
    write(folder, "reviews.json", b'{"reviewerID": "u", "asin": "' + b"x" * 300 * MIB + b'"}\n')
    return make_import(folder)


def gzip_json_line(folder: Path) -> Case:
    """One JSON line of 4 GB."""
    with packed(folder, "reviews.json.gz") as path:
        gzip_repeated(path, 256, b"x" * 16 * MIB, b'{"reviewerID": "u", "asin": "')
    return make_import(folder)


def json_line_of_lists(folder: Path) -> Case:
    """A JSON line of 60 MB that is nothing but empty lists."""
    write(folder, "reviews.json", b'{"reviewerID": "u", "asin": [' + b"[]," * (20 * MIB - 100) + b"[]]}\n")
    return make_import(folder)


def python_line(folder: Path) -> Case:
    """A line of 60 MB that is no JSON, and perhaps what Python prints."""
    write(folder, "reviews.json", b"{'reviewerID': 'u', 'asin': [" + b"1," * (30 * MIB - 100) + b"1]}\n")
    return make_import(folder)


def zip_csv(folder: Path) -> Case:
    """An archive of 1.2 GB."""
    piece = repeat(ROW)
    with (
        packed(folder, "interactions.csv.zip") as path,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("interactions.csv", "w", force_zip64=True) as stream,
    ):
        stream.write(HEAD)
        for _ in range(76):
            stream.write(piece)
    return make_import(folder)


def parquet_rows(folder: Path) -> Case:
    """300 million equal rows."""
    zeros = pa.array(np.zeros(10_000_000, np.int8))
    rows = pa.table({"user_id": zeros, "item_id": zeros})
    with packed(folder, "interactions.parquet") as path:
        writer = pq.ParquetWriter(path, rows.schema, compression="zstd", use_dictionary=False, write_statistics=False)
        with writer:
            for _ in range(30):
                writer.write_table(rows, row_group_size=10_000_000)
    return make_import(folder)


def parquet_text(folder: Path) -> Case:
    """20 million rows of one text of 10,000 letters: 200 GB, where eight bytes a cell are few."""
    codes = pa.array(np.zeros(1_000_000, np.int32))
    text = {"user_id": "u" * 10_000, "item_id": "i"}
    rows = pa.table({name: pa.DictionaryArray.from_arrays(codes, pa.array([value])) for name, value in text.items()})
    with packed(folder, "interactions.parquet") as path, pq.ParquetWriter(path, rows.schema) as writer:
        for _ in range(20):
            writer.write_table(rows, row_group_size=1_000_000)
    return make_import(folder)


def parquet_lists(folder: Path) -> Case:
    """A basket of 20 million items."""
    lists = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), pa.array(np.zeros(20_000_000, np.int8)))
    with packed(folder, "interactions.parquet") as path:
        pq.write_table(pa.table({"user_id": ["u"], "item_id": lists}), path, compression="zstd")
    return make_import(folder, "--max-bytes", str(10 * MIB))


def parquet_dates(folder: Path) -> Case:
    """Days beyond any calendar."""
    with packed(folder, "interactions.parquet") as path:
        days = pa.array([2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32())
        pq.write_table(pa.table({"user_id": ["u", "v"], "item_id": ["a", "b"], "timestamp": days}), path)
    return make_import(folder)


def arrow_zeros(folder: Path) -> Case:
    """4 GB of zeros, packed by Arrow."""
    zeros = pa.array(np.zeros(64 * MIB, np.int64))
    table = pa.table({"user_id": zeros, "item_id": zeros})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        packed(folder, "interactions.arrow") as path,
        pa.ipc.new_file(str(path), table.schema, options=options) as writer,
    ):
        for _ in range(4):
            writer.write_table(table, max_chunksize=64 * MIB)
    return make_import(folder)


def many_columns(count: int, name: str, *options: str) -> Callable[[Path], Case]:
    """A table of many columns."""

    def make(folder: Path) -> Case:
        names = ["user_id", "item_id", *(f"c{n}" for n in range(count))]
        if name.endswith(".parquet"):
            (folder / "data").mkdir()
            pq.write_table(pa.table({each: ["1", "2"] for each in names}), folder / "data" / name)
        elif name.endswith(".json"):
            write(folder, name, json.dumps(dict.fromkeys(names, "1")).encode() + b"\n")
        else:
            rows = [names, ["u", "a", *(["1"] * count)], ["u", "b", *(["2"] * count)]]
            write(folder, name, "".join(",".join(row) + "\n" for row in rows).encode())
        if name.startswith("items"):
            write(folder, "interactions.csv", LOG)
        return make_import(folder, *options)

    return make


def png(width: int, height: int) -> bytes:
    """A picture of one colour; a row costs next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pack = zlib.compressobj(9)
    row = b"\0" * (1 + width * 3)
    body = b"".join(pack.compress(row) for _ in range(min(height, 2000))) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png_bomb(folder: Path) -> Case:
    """Pictures of 900 million pixels, also where their heads say otherwise."""
    write(folder, "interactions.csv", LOG)
    write(folder, "items.csv", b"item_id,title,image\na,A,a.png\nb,B,b.png\n")
    for name, sides in {"a.png": (30_000, 30_000), "b.png": (7000, 2**31 - 1)}.items():
        write(folder, name, png(*sides))
    return Case(["data", "check", str(folder / "data")])


def header_of_100_mb(folder: Path) -> Case:
    """A first line without an end."""
    write(folder, "interactions.csv", b"user_id,item_id," + b"x" * 100 * MIB + b"\nu,a,1\n")
    return make_import(folder)


def wide_header_of_100_mb(folder: Path) -> Case:
    """A first line of 20 million columns."""
    write(folder, "interactions.csv", b"user_id,item_id," + b"x,y,z" * 20 * MIB + b"\nu,a,1\n")
    return make_import(folder)


def mark_only(name: str, mark: bytes = b"\xef\xbb\xbf") -> Callable[[Path], Case]:
    """A file that is only a byte-order mark."""

    def make(folder: Path) -> Case:
        write(folder, name, mark)
        return make_import(folder)

    return make


def long_path(folder: Path) -> Case:
    """Data at a path of 6,000 characters: no run folder is left."""
    text = f'delegates = ["popularity"]\n[data]\npath = "{"a/" * 3000}x"\n'
    return make_fit("p.toml", text)(folder)


def long_out(folder: Path) -> Case:
    """A run folder at a path of 6,000 characters."""
    write(folder, "interactions.csv", LOG)
    (folder / "p.toml").write_text('delegates = ["popularity"]\n[data]\npath = "data"\n')
    return Case(["fit", str(folder / "p.toml"), "--out", str(folder / ("o/" * 3000))], folder / "o")


def long_name(folder: Path) -> Case:
    """A run folder whose name is longer than file systems allow."""
    write(folder, "interactions.csv", LOG)
    (folder / "p.toml").write_text('delegates = ["popularity"]\n[data]\npath = "data"\n')
    out = folder / ("o" * 6000)
    return Case(["fit", str(folder / "p.toml"), "--out", str(out)])


def long_cell_of_a_path(folder: Path) -> Case:
    """Pictures at a path of 6,000 characters, and one that is a NUL."""
    write(folder, "interactions.csv", LOG)
    write(folder, "items.csv", b"item_id,title,image\na,A," + b"x/" * 3000 + b"\nb,B,../../../etc/passwd\n")
    return Case(["data", "check", str(folder / "data")])


def deep_cell(folder: Path) -> Case:
    """Lists in lists, in cells of items."""
    deep = ("[" * 100_000 + "]" * 100_000).encode()
    write(folder, "interactions.csv", LOG)
    write(folder, "items.csv", b'item_id,title,categories\na,A,"' + deep + b'"\nb,B,"' + deep[:100_000] + b'"\n')
    return make_import(folder)


def seed(value: str) -> Callable[[Path], Case]:
    """A seed on the command line."""

    def make(folder: Path) -> Case:
        write(folder, "interactions.csv", LOG)
        return make_import(folder, "--seed", value)

    return make


DEEP = "[" * 100_000 + "]" * 100_000
BASE = 'delegates = ["popularity"]\n[data]\npath = "data"\n'
ALIASES = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))

LARGE: Mapping[str, Callable[[Path], Case]] = {
    "gzip CSV of 2 GB": gzip_csv,
    "gzip JSON lines of 2 GB": gzip_json,
    "gzip JSON lines of 2 GB that Python reads": gzip_odd_json,
    "gzip JSON array of 2 GB": gzip_json_array,
    "zip CSV of 1.2 GB": zip_csv,
    "a cell of 4 GB, gzip": gzip_cell,
    "a cell of 300 MB": plain_cell,
    "a quote without end": quoted_cell,
    "a JSON line of 300 MB": json_line,
    "a JSON line of 4 GB, gzip": gzip_json_line,
    "a JSON line of 20 million lists": json_line_of_lists,
    "a line of Python of 60 MB": python_line,
    "Parquet of 300 million equal rows": parquet_rows,
    "Parquet of 20 million texts of 10,000 letters": parquet_text,
    "Parquet of a list of 20 million": parquet_lists,
    "Parquet of days beyond the calendar": parquet_dates,
    "Arrow of 4 GB of zeros": arrow_zeros,
    "100,000 columns, CSV": many_columns(100_000, "interactions.csv"),
    "30,000 columns, CSV, allowed": many_columns(30_000, "items.csv", "--max-columns", "200000"),
    "20,000 columns, Parquet": many_columns(20_000, "interactions.parquet"),
    "100,000 keys, JSON": many_columns(100_000, "interactions.json"),
    "PNG of 900 million pixels": png_bomb,
    "a header of 100 MB": header_of_100_mb,
    "a header of 40 million columns": wide_header_of_100_mb,
}
"""Each needs a process of its own, for its time and memory to be measured."""
SMALL: Mapping[str, Callable[[Path], Case]] = {
    "only a byte-order mark, CSV": mark_only("interactions.csv"),
    "only a byte-order mark, UTF-16": mark_only("interactions.csv", b"\xff\xfe"),
    "only a byte-order mark, JSON": mark_only("reviews.json"),
    "only a byte-order mark, sequences": mark_only("sequences.txt"),
    "only a byte-order mark, atomic": mark_only("x.inter"),
    "lists without end in cells": deep_cell,
    "data at 6,000 characters": long_path,
    "a run at 6,000 characters": long_out,
    "a run of 6,000 letters": long_name,
    "pictures at 6,000 characters": long_cell_of_a_path,
    "deep TOML": make_fit("p.toml", f"{BASE}x = {DEEP}"),
    "deep tables of TOML": make_fit("p.toml", f"{BASE}[{'.'.join('a' * 20_000)}]"),
    "deep YAML": make_fit("p.yaml", f"x: {DEEP}"),
    "deep blocks of YAML": make_fit("p.yaml", "".join(" " * n + "a:\n" for n in range(3000))),
    "deep JSON": make_fit("p.json", f'{{"x": {DEEP}}}'),
    "deep --set": make_set(f"data.x={DEEP[50_000:150_000]}"),
    "deep key of --set": make_set("a" + ".a" * 40_000 + "=1"),
    "aliases of YAML": make_fit("p.yaml", ALIASES),
    "an alias of YAML within itself": make_fit("p.yaml", "x: &a [*a, *a]\ndata: &b {path: *b}"),
    "impossible dates of YAML": make_fit("p.yaml", "name: 2024-02-30\n"),
    "half a surrogate pair, JSON": make_fit("p.json", '{"name": "\\ud800"}'),
    "half a surrogate pair, YAML": make_fit("p.yaml", 'name: "\\ud800"'),
    "a number of a million digits, TOML": make_fit("p.toml", f"seed = {'9' * 1_000_000}\n{BASE}"),
    "a number of a million digits, YAML": make_fit("p.yaml", f"seed: {'9' * 1_000_000}"),
    "a number of a million digits, JSON": make_fit("p.json", f'{{"seed": {"9" * 1_000_000}}}'),
    "seed -1": seed("-1"),
    "seed 2 ** 64": seed(str(2**64)),
    "seed of 5,000 digits": seed("9" * 5000),
    "seed 2 ** 64 in settings": make_fit("p.toml", f"seed = {2**64}\n{BASE}"),
    "seed 2 ** 63 - 1 in settings": make_fit("p.toml", f"seed = {2**63 - 1}\ndelegates = ['popularity']\n"),
}
"""These end at once, or never: one process tries them all."""
