"""Archives of several files: ``.zip``, ``.tar``, ``.tar.gz``, read as the folder that they unpack to."""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO

from reasonrec_core.data import choose_source
from reasonrec_core.errors import DataError
from reasonrec_datasets.importing.column_matching import ColumnMatcher
from reasonrec_datasets.importing.column_parsing import Place
from reasonrec_datasets.importing.pictures import PICTURE_SUFFIXES
from reasonrec_datasets.importing.raw_tables import RawTables
from reasonrec_datasets.importing.reading import current_reading, look_only
from reasonrec_datasets.importing.table_source import TableSource
from reasonrec_datasets.layouts.guessed import FolderSettings

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 10_000
STEP = 1 << 20
BROKEN = (zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError, OSError, EOFError, zlib.error)


class ArchiveSettings(FolderSettings):
    """Settings of an archive."""

    layout: str = "auto"
    """The data source that reads what is in it; by default recognised by its files."""


class ArchiveSource(TableSource[ArchiveSettings]):
    """Several files in one."""

    Config = ArchiveSettings
    order = -20

    def matches(self, path: Path) -> bool:
        """Whether ``path`` is an archive of files; a ``.zip`` of one is that file packed."""
        if not (path.is_file() and path.name.lower().endswith(SUFFIXES)):
            return False
        try:
            with _open_members(path) as members:
                return len(list(islice(members, 2))) >= (2 if path.suffix.lower() == ".zip" else 1)
        except (DataError, *BROKEN):
            return False

    def read(self, path: Path, columns: ColumnMatcher) -> RawTables:
        """What the source that knows the unpacked folder reads; places name the archive and the file in it."""
        unpacked = tempfile.TemporaryDirectory(prefix="reasonrec-")
        root = Path(unpacked.name)
        try:
            pictures = _unpack(path, root)
            folder = _find_folder(root)
            said = self.config.model_dump(exclude_unset=True, exclude={"layout"})
            with look_only():
                inner = choose_source(folder, self.config.layout)
            known = {name: value for name, value in said.items() if name in type(inner.source).Config.model_fields}
            inner = choose_source(folder, inner.name, known)
            if not isinstance(inner.source, TableSource):
                raise DataError(f"the data source {inner.name!r} makes datasets, not tables", where=str(path))
            with inner.guard("read"):
                raw = inner.source.read(folder, columns)
        except DataError as error:
            words = [part and part.replace(str(root), str(path)) for part in (error.what, error.where, error.fix)]
            raise DataError(words[0] or "", where=words[1], fix=words[2]) from error
        reading = current_reading()
        reading.note(f"{path.name}: its files are read as {inner.name!r}")
        for remark in reading.name_unread(folder):
            reading.note(remark)
        if pictures:
            reading.note(
                f"{path.name}: {pictures:,} pictures were not read; to use them, unpack the archive and name the folder"
            )
        places = {name: _ArchivePlace(place, unpacked, path) for name, place in raw.places.items()}
        return replace(raw, images=None, places=places, time_form=raw.time_form)


@dataclass(frozen=True)
class _ArchivePlace:
    """Places in files that were unpacked, under the archive's name; keeps them there until it is gone itself."""

    inner: Place
    unpacked: tempfile.TemporaryDirectory[str]
    path: Path

    def where(self, row: int, column: str | None = None) -> str:
        return self.inner.where(row, column).replace(self.unpacked.name, str(self.path))


@contextmanager
def _open_members(path: Path) -> Iterator[Iterator[tuple[PurePosixPath, IO[bytes]]]]:
    """Names and contents of an archive's files, without hidden ones, links, and what would lie outside."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            yield (
                (name, archive.open(info))
                for info in archive.infolist()
                if not info.is_dir() and (name := _safe_name(info.filename))
            )
    else:
        with tarfile.open(path) as tar:
            yield (
                (name, content)
                for member in tar
                if member.isreg()
                and (name := _safe_name(member.name))
                and (content := tar.extractfile(member)) is not None
            )


def _safe_name(name: str) -> PurePosixPath | None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or any(part.startswith((".", "/", "__MACOSX")) or ":" in part for part in parts):
        return None
    return PurePosixPath(*parts)


def _unpack(path: Path, root: Path) -> int:
    """Write an archive's files below ``root``; pictures are only counted.

    Raises:
        DataError: damaged, encrypted, or more than the limits allow.
    """
    reading = current_reading()
    reading.opened.add(path)
    size = pictures = 0
    try:
        with _open_members(path) as members:
            for number, (name, content) in enumerate(members):
                if number >= MOST_FILES:
                    raise DataError(f"holds more than {MOST_FILES:,} files", where=str(path), fix="Unpack it yourself.")
                if name.suffix.lower() in PICTURE_SUFFIXES:
                    pictures += 1
                    continue
                target = root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as out:
                    while step := content.read(STEP):
                        size += len(step)
                        reading.refuse_bytes(size, path)
                        out.write(step)
    except BROKEN as error:
        fix = "The file is damaged, encrypted or of another kind: unpack it yourself and name the folder."
        raise DataError(f"cannot be unpacked ({error})", where=str(path), fix=fix) from error
    return pictures


def _find_folder(root: Path) -> Path:
    """The folder that holds the files: archives often have one folder in a folder."""
    inside = sorted(root.iterdir())
    return _find_folder(inside[0]) if len(inside) == 1 and inside[0].is_dir() else root
