"""Files of data, made at random in every layout that is read, and then damaged."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from fuzzing.attempts import Case
from fuzzing.cells import COLUMNS, FIELDS, draw_cells, draw_columns
from fuzzing.columnar import make_parquet
from fuzzing.mutations import TEXTS, damage, pack_wrongly, zip_files
from fuzzing.trees import change_tree

Files = dict[str, bytes]
OPTIONS = (
    "--encoding latin-1", "--encoding utf-16", "--encoding cp037", "--encoding idna", "--encoding punycode",
    "--encoding zip",
    "--encoding \0", "--delimiter tab", "--delimiter ;", "--delimiter ab", "--delimiter \0", "--delimiter \"",
    "--time-format %Y",
    "--time-format %", "--time-format %d.%m.%Y", "--time-unit ns", "--time-unit excel", "--max-bytes 10",
    "--max-columns 1",
    "--dedupe sum", "--dedupe none", "--min-value nan", "--min-value 3", "--k-core 2", "--k-core 99999999999999999999",
    "--seed -1", "--seed 99999999999999999999999", "--column user_id=item_id", "--column timestamp=",
    "--column timestamp=date+x",
    "--column user_id=1", "--column =", "--column nope=nope", "--column value=x", "--format tables",
    "--format amazon", "--format recbole",
    "--format sequences", "--format predefined", "--format movielens", "--event-column event", "--event-weights view=1",
    "--event-weights view=nan", "--event-weights a", "--option max_bytes=-1", "--option a=b", "--name ../x",
    "--name \x1b[31m",
)  # fmt: skip


def write_delimited(known: tuple[str, ...], chance: Random, delimiter: str = ",") -> bytes:
    """A delimited file, quoted as it should be or not at all."""
    names = draw_columns(known, chance)
    many = chance.choice((1, 4, 12, 40)) if chance.random() < 0.95 else 0
    rows = [names, *map(list, zip(*(draw_cells(name, many, chance) for name in names), strict=True))]
    quoted = chance.random() < 0.9

    def show(cell: str) -> str:
        return (
            '"' + cell.replace('"', '""') + '"'
            if quoted and (delimiter in cell or '"' in cell or "\n" in cell)
            else cell
        )

    return (
        "\n".join(delimiter.join(show(cell) for cell in row) for row in rows).encode("utf-8", "surrogatepass") + b"\n"
    )


def make_csv(chance: Random) -> Files:
    """Our own layout in text, of any suffix, packed or in parts."""
    suffix, delimiter = chance.choice(((".csv", ","), (".csv", ";"), (".tsv", "\t"), (".csv", "|")))
    log = write_delimited(COLUMNS, chance, delimiter)
    if chance.random() < 0.1:
        log = b"sep=" + delimiter.encode() + b"\n" + log
    files = {f"interactions{suffix}": log}
    if chance.random() < 0.15:
        files = {f"interactions-{n}{suffix}": write_delimited(COLUMNS, chance, delimiter) for n in range(2)}
    if chance.random() < 0.4:
        files["items.csv"] = write_delimited(FIELDS, chance)
    if chance.random() < 0.1:
        files["users.csv"] = write_delimited(("user_id", "age", "x"), chance)
    name = next(iter(files))
    if (packed := chance.random()) < 0.1:
        files[f"{name}.gz"] = gzip.compress(files.pop(name), mtime=0)
    elif packed < 0.15:
        files[f"{name}.zip"] = zip_files({name: files.pop(name)})
    elif packed < 0.2:
        content = files.pop(name)
        files[chance.choice((name, f"{name}.gz", f"{name}.zip"))] = pack_wrongly(content, chance)
    return files


def make_json_lines(chance: Random) -> Files:
    """Reviews and metadata, a JSON object a line."""
    review = {
        "reviewerID": "A1",
        "asin": "x",
        "overall": 5.0,
        "unixReviewTime": 1393545600,
        "reviewText": "Good",
        "summary": "s",
    }
    later = {
        "user_id": "A1",
        "parent_asin": "x",
        "rating": 5,
        "timestamp": 1693545600000,
        "text": "Good",
        "title": "s",
        "images": [],
    }
    meta = {
        "asin": "x",
        "title": "T",
        "categories": [["A", "B"]],
        "price": "from 12.00",
        "brand": "Z",
        "description": ["a"],
    }
    base, lines = chance.choice((review, later)), []
    for number in range(chance.choice((1, 3, 10))):
        row: Any = {**base, chance.choice(("asin", "parent_asin")): f"i{number % 3}"}
        lines.append(change_tree(row, chance) if chance.random() < 0.2 else row)
    name = "reviews.json" + chance.choice(("", "l", ".gz"))
    text = "\n".join(json.dumps(line) for line in lines).encode() + b"\n"
    files = {name: gzip.compress(text, mtime=0) if name.endswith(".gz") and chance.random() < 0.9 else text}
    if chance.random() < 0.5:
        row = change_tree(meta, chance) if chance.random() < 0.5 else meta
        files["meta_reviews.json"] = (repr(row) if chance.random() < 0.4 else json.dumps(row)).encode(
            "utf-8", "replace"
        ) + b"\n"
    return files


def make_atomic(chance: Random) -> Files:
    """RecBole's files, with types in their headers."""
    types = ("token", "token", "float", "float", "token_seq", "float_seq", "tokne", "")

    def head(data: bytes) -> bytes:
        names, _, rest = data.partition(b"\n")
        typed = [name + b":" + chance.choice(types).encode() for name in names.split(b"\t")]
        return b"\t".join(typed) + b"\n" + rest

    files = {"x.inter": head(write_delimited(("user_id", "item_id", "rating", "timestamp"), chance, "\t"))}
    if chance.random() < 0.2:
        files = {
            f"x.{part}.inter": head(write_delimited(("user_id", "item_id", "rating"), chance, "\t"))
            for part in ("train", "valid", "test")
        }
    if chance.random() < 0.5:
        files["x.item"] = head(write_delimited(("item_id", "title", "categories", "price"), chance, "\t"))
    return files


def make_sequences(chance: Random) -> Files:
    """A user a line."""
    lines = [
        " ".join([f"u{n}", *(f"i{chance.randrange(9)}" for _ in range(chance.randrange(6)))])
        for n in range(chance.choice((1, 5, 20)))
    ]
    return {"sequences.txt": "\n".join(lines).encode() + b"\n"}


def make_layouts(chance: Random) -> Files:
    """Parts that are given, and MovieLens' files."""
    kind = chance.randrange(4)
    if kind == 0:
        names = ("user_id", "item_id", "label", "history", "timestamp")
        return {
            f"{part}.csv": write_delimited(names, chance)
            for part in ("train", "valid", "test")
            if chance.random() < 0.9
        }
    rows = [
        (chance.randrange(5), chance.randrange(6), chance.randrange(1, 6), 9 * 10**8 + n)
        for n in range(chance.choice((1, 8)))
    ]
    text = {mark: "".join(mark.join(map(str, row)) + "\n" for row in rows).encode() for mark in ("\t", "::", ",")}
    if kind == 1:
        item = "2|Cit\xe9|1|2|3".encode("latin-1") + b"|0" * 18 + b"|1\n"
        return {"u.data": text["\t"], "u.item": item, "u.user": b"1|24|M|technician|85711\n"}
    if kind == 2:
        return {"ratings.dat": text["::"], "movies.dat": b"2::X: y::A|B\n"}
    head = b"userId,movieId,rating,timestamp\n"
    return {"ratings.csv": head + text[","], "movies.csv": b"movieId,title,genres\n2,X,A|B\n"}


def make_pictures(chance: Random) -> Files:
    """Items whose pictures are of every format."""
    files, rows = Files(), ["item_id,title,image"]
    for number, kind in enumerate(("PNG", "JPEG", "GIF", "WEBP", "BMP")):
        stream = io.BytesIO()
        mode = chance.choice(("RGB", "L", "RGB"))
        image = Image.new(mode, (chance.randrange(1, 20), chance.randrange(1, 20)), chance.randrange(200))
        image.save(stream, kind)
        content = stream.getvalue()
        files[f"images/{number}.{kind.lower()}"] = damage(content, chance) if chance.random() < 0.6 else content
        path = (
            f"images/{number}.{kind.lower()}"
            if chance.random() < 0.8
            else chance.choice(TEXTS).replace("\n", " ").replace('"', "")
        )
        rows.append(f'i{number},T,"{path}"')
    files["items.csv"] = "\n".join(rows).encode() + b"\n"
    files["interactions.csv"] = b"user_id,item_id,timestamp\n" + b"".join(
        b"u%d,i%d,%d\n" % (n % 3, n % 5, n) for n in range(12)
    )
    return files


MAKERS: Mapping[str, Callable[[Random], Files]] = {
    "csv": make_csv, "parquet": make_parquet, "json-lines": make_json_lines, "atomic": make_atomic,
    "sequences": make_sequences,
    "layouts": make_layouts, "images": make_pictures,
}  # fmt: skip


def make_case(kind: str, folder: Path, chance: Random) -> Case:
    """Files of a layout, most of them damaged, and a verb that reads them."""
    files = MAKERS[kind](chance)
    for name in list(files):
        if chance.random() < (
            0.2
            if name.endswith((".parquet", ".arrow"))
            else 0.15
            if name.startswith("images/")
            else 0.4
            if len(files) == 1
            else 0.25
        ):
            files[name] = damage(files[name], chance)
    data, out = folder / "data", folder / "out"
    for name, content in files.items():
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_bytes(content)
    path = data if chance.random() < 0.8 else data / next(iter(files))
    extra = [
        word for _ in range(chance.choice((0, 0, 0, 0, 0, 1, 1, 2))) for word in chance.choice(OPTIONS).split(" ", 1)
    ]
    verb = chance.choice(
        ("import", "import", "import", "check", "describe") if kind != "images" else ("check", "import")
    )
    if verb == "import":
        return Case(["data", "import", str(path), "--out", str(out), *extra], out)
    odd = ("--dedupe", "--min-value", "--k-core", "--event-column", "--event-weights", "--name", "--seed")
    extra = [] if any(word in odd for word in extra) and verb == "describe" else extra
    extra = [] if any(word in odd[:1] + odd[2:6] for word in extra) else extra
    return Case(["data", verb, str(path), *extra], out)
