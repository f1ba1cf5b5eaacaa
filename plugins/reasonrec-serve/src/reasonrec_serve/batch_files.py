"""The file of a batch: parts that survive a kill, put together at the end, whole or not at all.

```text
.recs.csv.<hash>.parts/        beside the file that is to become; the hash is of the run, the request and the users
    batch.json                 says that this is ours
    lock                       held by the process that writes
    00000.csv 00000.json       rows of the first users, in the form of the file; what is said of them, written last
```
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.ipc as pa_ipc
import pyarrow.parquet as pq

from reasonrec_core.errors import ConfigError, DataError, RunError
from reasonrec_core.io import read_json, whole_file, write_json
from reasonrec_serve.batch import COLUMNS

FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl"}
MARKER, LOCK = "batch.json", "lock"
FORMULA = r"^[=+\-@\t\r]"
"""What a spreadsheet would take for the beginning of a formula."""
HEADER = (",".join(COLUMNS.names) + "\n").encode()


@dataclass(frozen=True)
class PartCounts:
    """What is said of a part.

    Attributes:
        rows: recommended items.
        users: who got some.
        quoted: cells that got an apostrophe, for a spreadsheet would have taken them for formulas.
    """

    rows: int = 0
    users: int = 0
    quoted: int = 0

    def __add__(self, other: PartCounts) -> PartCounts:
        return PartCounts(self.rows + other.rows, self.users + other.users, self.quoted + other.quoted)


class BatchFile:
    """A file that is made of parts.

    Args:
        path: of the file; its ending says the form.
        key: hash of all that the rows depend on.
        n_parts: how many there are.

    Raises:
        ConfigError: another ending, or a file is there that is not of this kind.
    """

    def __init__(self, path: Path, key: str, n_parts: int) -> None:
        self.path, self.key, self.n_parts = path, key, n_parts
        self.form = read_form(path)
        self.folder = path.parent / f".{path.name}.{key[:16]}.parts"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one who writes it; after success all that earlier attempts left is deleted.

        Raises:
            RunError: another process writes it.
            DataError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / MARKER, {"format": 1, "key": self.key})
            handle = (self.folder / LOCK).open("w")
        except OSError as error:
            raise DataError(f"cannot be written ({error.strerror or error})", where=str(self.path.parent)) from error
        with handle:
            if not _take(handle):
                fix = "Wait until it is done, or choose another --out."
                raise RunError("another process is writing this file", where=str(self.path), fix=fix)
            yield
            self._sweep()

    def missing(self) -> list[int]:
        """The parts that are still to be made."""
        return [number for number in range(self.n_parts) if not self._part(number, "json").is_file()]

    def write_part(self, number: int, table: pa.Table) -> None:
        """Keep the rows of one part, whole or not at all."""
        quoted = 0
        with whole_file(self._part(number, self.form)) as aside, aside.open("wb") as file:
            if self.form == "parquet":
                with pa_ipc.new_file(file, COLUMNS) as writer:
                    writer.write_table(table)
            elif self.form == "csv":
                table, quoted = quote_formulas(_write_causes(table))
                pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False))
            else:
                file.write("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in table.to_pylist()).encode())
        counts = {"rows": len(table), "users": len(table["user_id"].unique()), "quoted": quoted}
        write_json(self._part(number, "json"), counts)

    def finish(self) -> PartCounts:
        """Put the parts together.

        Raises:
            DataError: the file cannot be written.
        """
        parts = [self._part(number, self.form) for number in range(self.n_parts)]
        with whole_file(self.path) as aside:
            if self.form == "parquet":
                _join_tables(parts, aside)
            else:
                with aside.open("wb") as file:
                    file.write(HEADER if self.form == "csv" else b"")
                    for part in parts:
                        with part.open("rb") as rows:
                            shutil.copyfileobj(rows, file, 1 << 20)
        said = [read_json(self._part(number, "json")) for number in range(self.n_parts)]
        return sum((PartCounts(**each) for each in said), PartCounts())

    def _part(self, number: int, ending: str) -> Path:
        return self.folder / f"{number:05}.{ending}"

    def _sweep(self) -> None:
        """Delete this file's parts, and those of attempts with other settings that nobody goes on with."""
        for folder in self.path.parent.glob(f".{self.path.name}.*.parts"):
            if folder == self.folder:
                shutil.rmtree(folder, ignore_errors=True)
            elif (folder / MARKER).is_file() and (folder / LOCK).is_file():
                with (folder / LOCK).open("w") as handle:
                    if _take(handle):
                        shutil.rmtree(folder, ignore_errors=True)


def read_form(path: Path) -> str:
    """The form of a file that is to be written.

    Raises:
        ConfigError: another ending, or a file is there that was not written so: it is not ours to write over.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        what = f"the file's ending must be {', '.join(FORMATS)}, not {path.name!r}"
        raise ConfigError(what, where="--out", fix="Add --out recs.parquet.")
    ours = not path.exists() or (path.is_file() and (not path.stat().st_size or _columns(path, form) == COLUMNS.names))
    if not ours:
        raise ConfigError(
            f"{path} exists, but does not contain recommendations", where="--out", fix="Choose another name."
        )
    return form


def _columns(path: Path, form: str) -> list[str]:
    """The names of the columns of a file; none where it cannot be read so."""
    try:
        if form == "parquet":
            return list(pq.read_schema(path).names)
        with path.open(encoding="utf-8") as file:
            first = file.readline(1 << 20)
        return next(csv.reader(io.StringIO(first)), []) if form == "csv" else list(json.loads(first))
    except (OSError, ValueError, TypeError, pa.ArrowException):
        return []


def quote_formulas(table: pa.Table) -> tuple[pa.Table, int]:
    """The same with an apostrophe before text that a spreadsheet would take for a formula, and how often."""
    quoted = 0
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(at)
            found = pc.match_substring_regex(column, FORMULA)
            if count := pc.sum(found).as_py() or 0:
                quoted += count
                safe = pc.if_else(found, pc.binary_join_element_wise("'", column, ""), column)
                table = table.set_column(at, field, safe)
    return table, quoted


def _write_causes(table: pa.Table) -> pa.Table:
    """The same with ``because`` as JSON, for a CSV file has no lists."""
    at = table.schema.get_field_index("because")
    said = [
        None if causes is None else json.dumps(causes, ensure_ascii=False) for causes in table["because"].to_pylist()
    ]
    return table.set_column(at, "because", pa.array(said, pa.string()))


def _join_tables(parts: Sequence[Path], path: Path) -> None:
    """Parquet of Arrow files, a part in memory at a time."""
    with pq.ParquetWriter(path, COLUMNS) as writer:
        for part in parts:
            with pa_ipc.open_file(pa.memory_map(str(part))) as rows:
                writer.write_table(rows.read_all())


def _take(handle: IO[Any]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
