"""The core's own data source and splitters pass the suites that every plugin's must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from reasonrec_core.data import Dataset, RawTables
from reasonrec_core.testing import DataSourceConformance, SplitterConformance, tiny_tables


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


class TestLeaveOneOut(SplitterConformance):
    component = "leave-one-out"


class TestTemporal(SplitterConformance):
    component = "temporal"


class TestRatio(SplitterConformance):
    component = "ratio"


class TestColdItem(SplitterConformance):
    component = "cold-item"


class TestPredefined(SplitterConformance):
    component = "predefined"

    @classmethod
    def dataset(cls, folder: Path) -> Dataset:
        raw = tiny_tables(folder)
        times = np.asarray(raw.interactions.column("timestamp"))
        cuts = np.quantile(times, [0.7, 0.85])
        part = pa.array(np.array(["train", "valid", "test"])[np.searchsorted(cuts, times, side="right")])
        log = raw.interactions.append_column("part", part)
        return Dataset.build(RawTables(log, items=raw.items, name="parts"), folder / "dataset")


class TestPredefinedClicks(TestPredefined):
    @classmethod
    def dataset(cls, folder: Path) -> Dataset:
        dataset = super().dataset(folder / "rankings")
        raw = tiny_tables(folder, clicks=True)
        times = np.asarray(raw.interactions.column("timestamp"))
        part = np.array(["train", "valid", "test"])[np.searchsorted(np.quantile(times, [0.7, 0.85]), times, "right")]
        assert len(dataset)
        log = raw.interactions.append_column("part", pa.array(part))
        return Dataset.build(RawTables(log, items=raw.items, name="clicks"), folder / "dataset")
