"""The conformance suite of data sources that read tables; it needs pytest."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from reasonrec_core.components import Kind
from reasonrec_core.data import find_source, list_sources
from reasonrec_core.data.columns import flatten_column
from reasonrec_core.errors import DataError
from reasonrec_core.testing.component import ConfiguredConformance
from reasonrec_core.testing.tiny import tiny_tables as make_tiny_tables
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.index import build_dataset
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.table_source import import_path

ODD_NAMES = ("a b.csv", "naïve 数.txt", "semi;colon", "-o", "percent%20", "new\nline", "n" * 200)


def tiny_tables(folder: Path, *, clicks: bool = False, seed: int = 0) -> RawTables:
    """What `reasonrec_core.testing.tiny_dataset` stores, as tables; the pictures are written into ``folder``."""
    log, items, users, images = make_tiny_tables(folder, clicks=clicks, seed=seed)
    source = {"made by": "reasonrec_core.testing.tiny", "seed": seed}
    return RawTables(log, items=items, users=users, images=images, name="tiny", source=source)


class DataSourceConformance(ConfiguredConformance):
    """Subclass it in a plugin's tests, set ``component`` and write data for it to read.

    Attributes:
        names: item columns that the layout can hold (besides ``item_id``); the suite looks for them again.
    """

    kind = Kind.DATA_SOURCE
    names: ClassVar[tuple[str, ...]] = ("title",)

    def write(self, folder: Path, tables: RawTables) -> Path:
        """Write ``tables`` into the empty ``folder`` in the source's layout; give the path that it reads.

        ``tables`` has ``interactions`` (``user_id``, ``item_id``, ``timestamp``) and ``items`` (``item_id``, ``title``
        and more), as Arrow tables.
        """
        raise NotImplementedError("write the tables in your layout, and return the path")

    @pytest.fixture
    def written(self, tmp_path: Path) -> Path:
        """Data in the source's layout."""
        return self._write(tmp_path / "written")

    def _write(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        tables = tiny_tables(folder.parent / f"{folder.name}-pictures")
        assert tables.items is not None
        plain = RawTables(tables.interactions, items=tables.items.drop_columns(["image"]), name="tiny")
        return self.write(folder, plain)

    def read(self, path: Path) -> RawTables:
        """What the source reads, checked."""
        raw = self.make().read(path, ColumnMatcher())
        assert isinstance(raw, RawTables), "read does not return RawTables"
        return raw.check()

    def test_reads_what_was_written(self, written: Path, tmp_path: Path) -> None:
        wanted, raw = tiny_tables(tmp_path / "wanted"), self.read(written)
        pairs = [sorted(zip(*_columns(t.interactions, "user_id", "item_id"), strict=True)) for t in (raw, wanted)]
        assert pairs[0] == pairs[1], "other interactions than were written"
        for name in self.names:
            assert raw.items is not None, "items were written and not read"
            assert name in raw.items.column_names, f"the item column {name!r} was not read"
            found, expected = (dict(zip(*_columns(t.items, "item_id", name), strict=True)) for t in (raw, wanted))
            assert {item: found.get(item) for item in expected} == expected, f"{name} of an item is another"

    def test_ids_are_text(self, written: Path) -> None:
        raw = self.read(written)
        for table, key in ((raw.interactions, "user_id"), (raw.interactions, "item_id"), (raw.items, "item_id")):
            if table is not None:
                ids = flatten_column(table.column(key)).unique().to_pylist()
                assert ids
                assert all(isinstance(name, str) and name == name.strip() for name in ids)

    def test_reads_equal_twice_and_from_elsewhere(self, written: Path, tmp_path: Path) -> None:
        again = self._write(tmp_path / "moved")
        folders = (tmp_path / f"dataset-{number}" for number in range(3))
        paths = zip((written, written, again), folders, strict=True)
        built = [build_dataset(self.read(path), folder) for path, folder in paths]
        assert len({dataset.hash for dataset in built}) == 1, "equal data, read again, has another hash"

    def test_changes_nothing_on_disk(self, written: Path) -> None:
        before = _contents(written)
        source = self.make()
        assert source.matches(written) is True
        source.read(written, ColumnMatcher())
        assert _contents(written) == before, "reading changed, added or removed a file"

    def test_names_the_files_it_reads(self, written: Path, tmp_path: Path) -> None:
        source, root = self.make(), written.parent if written.is_file() else written
        files = source.files(written)
        assert files, "files names nothing: what is imported would be kept although the data changed"
        wanted = build_dataset(self.read(written), tmp_path / "wanted").hash
        for file in [p for p in root.iterdir() if p.is_file() and p not in files]:
            file.unlink()
        found = build_dataset(self.read(written), tmp_path / "found").hash
        assert found == wanted, "read opens a file that files does not name"

    def test_matches_its_own_and_is_asked_for_it(self, written: Path, tmp_path: Path) -> None:
        assert self.make().matches(written) is True
        if isinstance(self.component, str) and not self.settings:
            assert find_source(written) == self.component, f"another source reads it first: {list_sources()}"
            assert (
                build_dataset(import_path(written), tmp_path / "dataset").manifest["source"]["format"] == self.component
            )

    def test_matches_nothing_else(self, tmp_path: Path) -> None:
        source = self.make()
        for path in _strange_paths(tmp_path):
            try:
                claimed = source.matches(path)
            except Exception as error:
                raise AssertionError(f"matches({path.name!r}) raises {type(error).__name__}: {error}") from error
            assert claimed is False, f"claims {path.name!r}, which it cannot read"

    def test_survives_odd_names(self, tmp_path: Path) -> None:
        source = self.make()
        for number, name in enumerate(ODD_NAMES):
            path = self._write(tmp_path / f"case-{number}" / name)
            assert source.matches(path) is True, f"does not match in a folder called {name!r}"
            assert self.read(path).interactions.num_rows

    def test_damaged_data_is_refused_with_its_place(self, written: Path, tmp_path: Path) -> None:
        root = written.parent if written.is_file() else written
        files = [written] if written.is_file() else sorted(p for p in written.rglob("*") if p.is_file())
        refused = 0
        for number, (file, content) in enumerate((f, c) for f in files for c in _damages(f.read_bytes())):
            folder = tmp_path / f"damaged-{number}"
            shutil.copytree(root, folder)
            (folder / file.relative_to(root)).write_bytes(content)
            try:
                self.read(folder / written.relative_to(root))
            except DataError as error:
                found = error
            except Exception as error:
                what = f"{file.name}, damaged: {type(error).__name__}: {error}, not a DataError"
                raise AssertionError(what) from error
            else:
                continue
            refused += 1
            assert str(folder) in (found.where or ""), f"the error does not name the file: {found.message}"
        assert refused, "damaged files are read as if they were sound"

    def test_bad_cells_have_a_place(self, written: Path) -> None:
        raw = self.make().read(written, ColumnMatcher())
        for name in ("interactions", "items"):
            if getattr(raw, name) is not None:
                assert name in raw.places, f"RawTables.places does not say where {name} stand"
                assert str(written if written.is_file() else written.name) in raw.places[name].where(0, "item_id")

    def test_columns_that_no_file_has_are_refused(self, written: Path) -> None:
        if not isinstance(self.component, str):
            pytest.skip("given as a class, not by its registered name")
        with pytest.raises(DataError, match="no_such_column"):
            import_path(written, format=self.component, columns={"value": "no_such_column"}, options=self.settings)


def _contents(path: Path) -> dict[str, str]:
    root = path.parent if path.is_file() else path
    files = (file for file in root.rglob("*") if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _columns(table: pa.Table, *names: str) -> list[list[Any]]:
    return [table.column(name).to_pylist() for name in names]


def _damages(content: bytes) -> Iterator[bytes]:
    """Nothing, the first half, zeros, and bytes that are no text."""
    yield b""
    yield content[: len(content) // 2]
    yield bytes(len(content))
    yield b"\xff\xfe\x00\x9d" * 64


def _strange_paths(folder: Path) -> Iterator[Path]:
    """Files and folders that are no data, some of them traps."""
    (folder / "empty").mkdir()
    yield folder / "empty"
    notes = folder / "notes"
    notes.mkdir()
    (notes / "README.md").write_text("# Nothing to import\n")
    (notes / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    yield notes
    yield notes / "README.md"
    yield notes / "photo.jpg"
    (folder / "dangling").symlink_to(folder / "nowhere")
    yield folder / "dangling"
    os.mkfifo(folder / "pipe")
    yield folder / "pipe"
    (folder / "links").mkdir()
    (folder / "links" / "loop").symlink_to(folder / "links")
    yield folder / "links"
