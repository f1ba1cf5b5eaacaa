"""The core's own data source and splitters pass the suites that every plugin's must."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from reasonrec_core.data import RawTables
from reasonrec_core.testing import DataSourceConformance, SplitterConformance


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
