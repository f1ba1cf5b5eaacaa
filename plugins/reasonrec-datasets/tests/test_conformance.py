"""Every data source passes the suite of data sources, every splitter that of splitters."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet
from reasonrec_datasets import RawTables
from reasonrec_datasets.testing import DataSourceConformance

from reasonrec_core.testing import SplitterConformance


class TestTables(DataSourceConformance):
    component = "tables"

    def write(self, folder: Path, tables: RawTables) -> Path:
        csv.write_csv(tables.interactions, folder / "interactions.csv")
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


class TestParquet(TestTables):
    def write(self, folder: Path, tables: RawTables) -> Path:
        parquet.write_table(tables.interactions, folder / "interactions.parquet")
        parquet.write_table(tables.items, folder / "items.parquet")
        return folder


class TestArrow(TestTables):
    def write(self, folder: Path, tables: RawTables) -> Path:
        for name, table in (("interactions", tables.interactions), ("items", tables.items)):
            with pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)
        return folder


class TestPredefined(DataSourceConformance):
    component = "predefined"

    def write(self, folder: Path, tables: RawTables) -> Path:
        parts = np.array_split(np.arange(tables.interactions.num_rows), 3)
        for name, rows in zip(("train", "valid", "test"), parts, strict=True):
            csv.write_csv(tables.interactions.take(pa.array(rows)), folder / f"{name}.csv")
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


class TestRecBole(DataSourceConformance):
    component = "recbole"

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions.rename_columns(["user_id:token", "item_id:token", "timestamp:float"])
        items = tables.items.select(["item_id", "title"]).rename_columns(["item_id:token", "title:token_seq"])
        for kind, table in (("inter", log), ("item", items)):
            lines = ["\t".join(table.column_names)]
            lines += [
                "\t".join("" if cell is None else str(cell) for cell in row.values()) for row in table.to_pylist()
            ]
            (folder / f"shop.{kind}").write_text("\n".join(lines) + "\n")
        return folder


class TestMMRec(DataSourceConformance):
    component = "mmrec"

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions.rename_columns(["userID", "itemID", "timestamp"])
        log = log.append_column("x_label", pa.array(np.arange(log.num_rows) % 3))
        lines = [log.column_names, *(map(str, row.values()) for row in log.to_pylist())]
        (folder / "shop.inter").write_text("".join("\t".join(line) + "\n" for line in lines))
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


class TestMovieLens(DataSourceConformance):
    component = "movielens"

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions
        rated = log.append_column("rating", pa.array(np.full(log.num_rows, 4.0))).rename_columns(
            ["userId", "movieId", "timestamp", "rating"]
        )
        csv.write_csv(rated, folder / "ratings.csv")
        items = tables.items.select(["item_id", "title", "categories"]).rename_columns(["movieId", "title", "genres"])
        csv.write_csv(items, folder / "movies.csv")
        return folder


class TestSequences(DataSourceConformance):
    component = "sequences"

    def write(self, folder: Path, tables: RawTables) -> Path:
        rows = tables.interactions.to_pylist()
        users = groupby(rows, key=lambda row: row["user_id"])
        lines = [" ".join([user, *(row["item_id"] for row in group)]) for user, group in users]
        (folder / "sequences.txt").write_text("\n".join(lines) + "\n")
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


class TestAmazon(DataSourceConformance):
    component = "amazon"
    names = ("title", "brand")

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions.rename_columns(["reviewerID", "asin", "unixReviewTime"])
        rated = log.append_column("overall", pa.array(np.full(log.num_rows, 5.0)))
        items = tables.items.select(["item_id", "title", "brand"]).rename_columns(["asin", "title", "brand"])
        for name, table in (("reviews", rated), ("meta_shop", items)):
            (folder / f"{name}.json").write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
        return folder


class TestFolder(DataSourceConformance):
    component = "folder"

    def write(self, folder: Path, tables: RawTables) -> Path:
        csv.write_csv(tables.interactions.rename_columns(["customer", "sku", "ts"]), folder / "orders.csv")
        csv.write_csv(tables.items.rename_columns(["code", *tables.items.column_names[1:]]), folder / "products.csv")
        return folder


class TestArchive(TestTables):
    component = "archive"

    def write(self, folder: Path, tables: RawTables) -> Path:
        aside = folder.parent / f"{folder.name}-aside"
        aside.mkdir()
        super().write(aside, tables)
        with zipfile.ZipFile(folder / "shop.zip", "w") as archive:
            for file in sorted(aside.iterdir()):
                archive.write(file, f"shop/{file.name}")
        return folder / "shop.zip"


class TestHuggingFace(TestTables):
    component = "huggingface"

    def write(self, folder: Path, tables: RawTables) -> Path:
        parquet.write_table(tables.interactions, folder / "train-00000-of-00001.parquet")
        csv.write_csv(tables.items, folder / "items.csv")
        return folder


@pytest.mark.slow
class TestRees46(DataSourceConformance):
    component = "rees46"
    names = ()

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions.rename_columns(["user_id", "product_id", "event_time"])
        for name, cell in (("event_type", "view"), ("category_code", "a.b"), ("brand", "acme"), ("price", "1.5")):
            log = log.append_column(name, pa.array([cell] * log.num_rows))
        csv.write_csv(log, folder / "2019-Oct.csv")
        return folder


@pytest.mark.slow
class TestRetailRocket(DataSourceConformance):
    component = "retailrocket"
    names = ()

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions.rename_columns(["visitorid", "itemid", "timestamp"])
        for name, cell in (("event", "view"), ("transactionid", None)):
            log = log.append_column(name, pa.array([cell] * log.num_rows, pa.string()))
        csv.write_csv(log, folder / "events.csv")
        return folder


@pytest.mark.slow
class TestKuaiRec(DataSourceConformance):
    component = "kuairec"
    names = ()

    def write(self, folder: Path, tables: RawTables) -> Path:
        log = tables.interactions.rename_columns(["user_id", "video_id", "timestamp"])
        csv.write_csv(log, folder / "big_matrix.csv")
        csv.write_csv(log, folder / "small_matrix.csv")
        return folder


class Numbered(DataSourceConformance):
    """A layout whose ids are numbers: those of the suite are numbered when they are written, and named when read."""

    def number(self, log: pa.Table) -> list[tuple[str, str, int]]:
        """User, item and time of each row, ids without what stands before their digits."""
        rows = zip(*(log.column(name).to_pylist() for name in ("user_id", "item_id", "timestamp")), strict=True)
        return [(user.partition("-")[2], item.partition("-")[2], time) for user, item, time in rows]

    def read(self, path: Path) -> RawTables:
        raw = super().read(path)
        log = raw.interactions
        for name, word in (("user_id", "user"), ("item_id", "item")):
            cells = [f"{word}-{int(cell):02d}" for cell in log.column(name).to_pylist()]
            log = log.set_column(log.column_names.index(name), name, pa.array(cells))
        return replace(raw, interactions=log, items=None)


@pytest.mark.slow
class TestLightGCN(Numbered):
    component = "lightgcn"
    names = ()

    def write(self, folder: Path, tables: RawTables) -> Path:
        found: dict[str, list[str]] = {}
        for user, item, _ in self.number(tables.interactions):
            found.setdefault(user, []).append(item)
        for name, part in (("train", slice(0, -1)), ("test", slice(-1, None))):
            lines = [f"{user} {' '.join(items[part])}\n" for user, items in found.items()]
            (folder / f"{name}.txt").write_text("".join(lines))
        return folder


@pytest.mark.slow
class TestCheckIns(Numbered):
    component = "check-ins"
    names = ()

    def write(self, folder: Path, tables: RawTables) -> Path:
        lines = [
            f"{user}\t{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}\t30.23\t-97.79\t{item}\n"
            for user, item, time in self.number(tables.interactions)
        ]
        (folder / "loc-gowalla_totalCheckins.txt").write_text("".join(lines))
        return folder


@pytest.mark.slow
class TestNetflix(Numbered):
    component = "netflix"
    names = ()

    def write(self, folder: Path, tables: RawTables) -> Path:
        films: dict[str, list[str]] = {}
        for user, item, time in self.number(tables.interactions):
            films.setdefault(item, []).append(f"{user},4,{datetime.fromtimestamp(time, UTC):%Y-%m-%d}\n")
        (folder / "combined_data_1.txt").write_text("".join(f"{f}:\n{''.join(rows)}" for f, rows in films.items()))
        return folder


@pytest.mark.slow
class TestMind(DataSourceConformance):
    component = "mind"

    def write(self, folder: Path, tables: RawTables) -> Path:
        assert tables.items is not None
        rows = zip(
            *(tables.interactions.column(n).to_pylist() for n in ("user_id", "item_id", "timestamp")), strict=True
        )
        behaviors = [
            f"{number}\t{user}\t{datetime.fromtimestamp(time, UTC):%m/%d/%Y %I:%M:%S %p}\t\t{item}-1\n"
            for number, (user, item, time) in enumerate(rows)
        ]
        titles = zip(*(tables.items.column(n).to_pylist() for n in ("item_id", "title")), strict=True)
        news = [f"{item}\tnews\tus\t{title or ''}\t\thttps://a\t[]\t[]\n" for item, title in titles]
        (folder / "behaviors.tsv").write_text("".join(behaviors))
        (folder / "news.tsv").write_text("".join(news))
        return folder


@pytest.mark.slow
class TestGoodbooks(DataSourceConformance):
    component = "goodbooks"

    def write(self, folder: Path, tables: RawTables) -> Path:
        assert tables.items is not None
        log = tables.interactions.select(["user_id", "item_id"]).rename_columns(["user_id", "book_id"])
        books = tables.items.select(["item_id", "title"]).rename_columns(["book_id", "title"])
        csv.write_csv(log, folder / "ratings.csv")
        csv.write_csv(books.append_column("goodreads_book_id", books.column("book_id")), folder / "books.csv")
        return folder


class TestTemporal(SplitterConformance):
    component = "temporal"


class TestRatio(SplitterConformance):
    component = "ratio"


class TestRandom(SplitterConformance):
    component = "random"
    by_time = False


class TestColdItem(SplitterConformance):
    component = "cold-item"
