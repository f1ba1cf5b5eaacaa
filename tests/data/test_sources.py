"""A source that knows no tables stores a dataset itself; it is imported once, and named where it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from reasonrec_datasets.layouts.tables import PlainTablesSource

from reasonrec_core.components import DataSource, Empty, ImportRequest
from reasonrec_core.data import Dataset, open_or_import
from reasonrec_core.errors import ConfigError, DataError, PluginError
from reasonrec_core.hookspecs import ComponentSpec, Kind
from reasonrec_core.plugins import Installed, Registered
from reasonrec_core.registry import Registry
from reasonrec_core.testing.tiny import store_tables


class Sequences(DataSource[Empty]):
    """JSON: ``{user: [item, ...]}``."""

    def matches(self, path: Path) -> bool:
        return path.suffix == ".json"

    def build(self, path: Path, folder: Path, request: ImportRequest) -> Dataset:
        rows = [(user, item) for user, items in json.loads(path.read_text()).items() for item in items]
        users, items = zip(*rows, strict=True)
        log = pa.table({"user_id": users, "item_id": items, "timestamp": pa.array(range(len(rows)), pa.int64())})
        known = [pa.table({name: sorted(set(log[name].to_pylist()))}) for name in ("item_id", "user_id")]
        return store_tables(log, *known, folder, {"name": request.name or path.stem, "seed": request.seed})


def registry(target: type, name: str = "mine") -> Registry:
    spec = ComponentSpec(name, f"{__name__}:{target.__name__}", "of a test")
    return Registry(Installed((Registered(Kind.DATA_SOURCE, spec, "theirs", "1"),), (), ()))


def test_what_a_source_stores_is_opened_and_kept_until_its_file_changes(tmp_path: Path) -> None:
    path, installed = tmp_path / "shop.json", registry(Sequences)
    path.write_text('{"u": ["a", "b"], "v": ["b"]}')
    first = open_or_import(path, tmp_path / "cache", registry=installed)
    assert (first.name, first.n_users, first.n_items, len(first)) == ("shop", 2, 2, 3)
    assert open_or_import(path, tmp_path / "cache", registry=installed).folder == first.folder
    assert open_or_import(path, tmp_path / "cache", seed=5, name="s", registry=installed).name == "s"
    path.write_text('{"u": ["a", "b"], "v": ["c"]}')
    assert open_or_import(path, tmp_path / "cache", registry=installed).n_items == 3


def test_what_a_source_raises_names_it_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shop.json"
    path.write_text("{}")
    with pytest.raises(PluginError, match="data-source 'mine' of theirs 1, in build"):
        open_or_import(path, tmp_path / "cache", registry=registry(Sequences))
    assert not list((tmp_path / "cache").iterdir())
    with pytest.raises(ConfigError, match="depth"):
        open_or_import(path, tmp_path / "cache", options={"depth": 3}, registry=registry(Sequences))


def test_a_fault_of_the_whole_data_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "interactions.csv").write_text("user_id,item_id\nu,a\n")
    (tmp_path / "shop" / "items.csv").write_text("item_id,title\nb,B\n")
    with pytest.raises(DataError, match=r"shop: none of the 1 items in the interactions is in the item table"):
        open_or_import(tmp_path / "shop", tmp_path / "cache", registry=registry(PlainTables))


class PlainTables(PlainTablesSource):
    """Registered by this test."""
