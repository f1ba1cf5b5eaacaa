"""Folders of Hugging Face ``datasets``: what ``save_to_disk`` writes, and repositories of Parquet shards.

Source: huggingface.co/docs/datasets, ``Dataset.save_to_disk`` (``dataset_info.json``, ``state.json``, which names
``data-00000-of-00001.arrow`` in Arrow's stream format), ``DatasetDict.save_to_disk`` (``dataset_dict.json`` and a
folder per split), and the Hub's files ``data/train-00000-of-00001.parquet``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from reasonrec_core.errors import DataError
from reasonrec_core.io import read_json
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading
from reasonrec_datasets.importing.source_tables import SourceTable, make_raw_tables, read_log
from reasonrec_datasets.importing.table_source import TableSettings, TableSource
from reasonrec_datasets.layouts.places import join_tables
from reasonrec_datasets.layouts.presplit import STEMS, mark_part
from reasonrec_datasets.layouts.tables import open_table, read_beside

SPLITS, STATE = "dataset_dict.json", "state.json"
SHARD = re.compile(r"(.+?)[-.]\d{5}-of-\d{5}(?:-[0-9a-f]+)?\.(parquet|arrow)")


class HuggingFaceSource(TableSource[TableSettings]):
    """A data set of the library ``datasets``."""

    order = 12

    def matches(self, path: Path) -> bool:
        """Whether ``path`` was written by ``save_to_disk``, or holds numbered shards."""
        return path.is_dir() and bool(_find_saved(path) or _find_shards(path))

    def files(self, path: Path) -> list[Path]:
        """The shards of all splits, and ``items.*`` and ``users.*`` beside them."""
        shards = [file for files in _find_splits(path).values() for file in files]
        return [*super().files(path), *(file for file in shards if file.parent != path)]

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """The log, with the splits as parts where there is a training and a test split."""
        splits = _find_splits(path)
        if not any(splits.values()):
            raise DataError("no data files found", where=str(path), fix="Save the data set again.")
        parts = {split: next((p for p, stems in STEMS.items() if split.lower() in stems), None) for split in splits}
        divided = {"train", "test"} <= set(parts.values())
        logs = []
        for split, files in splits.items():
            if divided and parts[split] is None:
                current_reading().note(f"the split {split!r} is not training, validation or test, so it is not read")
                continue
            log = _join([read_log(open_table(file), columns) for file in files])
            logs.append(mark_part(log, parts[split] or "") if divided else log)
        if len(splits) > 1 and not divided:
            columns.notes.append(
                f"the splits {', '.join(splits)} are read as one log, because train and test are not among them"
            )
        return make_raw_tables(_join(logs), *read_beside(path, columns))


def _join(tables: list[SourceTable]) -> SourceTable:
    return join_tables(tables) if len(tables) > 1 else tables[0]


def _find_splits(path: Path) -> Mapping[str, list[Path]]:
    return _find_saved(path) or _find_shards(path)


def _find_saved(path: Path) -> dict[str, list[Path]]:
    """What ``save_to_disk`` wrote; empty where it did not.

    Raises:
        DataError: its JSON is damaged.
    """
    if (path / SPLITS).is_file():
        said = read_json(path / SPLITS)
        names = said.get("splits") if isinstance(said, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError("lists no splits", where=str(path / SPLITS), fix="Save the data set again.")
        inner = {name: path / Path(name).name for name in names}
        return {name: _list_state(folder) for name, folder in inner.items() if (folder / STATE).is_file()}
    return {"": _list_state(path)} if (path / STATE).is_file() and (path / "dataset_info.json").is_file() else {}


def _list_state(folder: Path) -> list[Path]:
    """The files that ``state.json`` names, in their order."""
    said = read_json(folder / STATE)
    files = said.get("_data_files") if isinstance(said, dict) else None
    names = [file.get("filename") for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    found = [folder / Path(name).name for name in names if isinstance(name, str)]
    if not found:
        raise DataError("lists no data files", where=str(folder / STATE), fix="Save the data set again.")
    return found


def _find_shards(path: Path) -> dict[str, list[Path]]:
    """Numbered shards in the folder or in its ``data``, by split."""
    shards: dict[str, list[Path]] = {}
    for folder in (path, path / "data"):
        for file in sorted(folder.iterdir()) if folder.is_dir() and not shards else ():
            if (named := SHARD.fullmatch(file.name)) and file.is_file():
                shards.setdefault(named[1], []).append(file)
    return shards
