"""Reading traces in JSON lines: a header, a row per line, and a last line that says how many there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from reasonrec_core.errors import RunError
from reasonrec_core.trace.schema import HEADER, SCHEMA
from reasonrec_core.trace.serialization import from_json

FIX = "Restore the file, or run the pipeline again (reasonrec evaluate RUN)."


def json_header(path: Path) -> Any:
    """The header, as it stands in the first line."""
    with path.open(encoding="utf-8") as file:
        first = _parse(path, 1, file.readline())
    if not isinstance(first, dict) or HEADER.decode() not in first:
        raise RunError(f"not a trace: there is no {HEADER.decode()!r}", where=f"{path}:1", fix=FIX)
    return first[HEADER.decode()]


def json_tables(path: Path, columns: Sequence[str], size: int) -> Iterator[pa.Table]:
    """The rows, ``size`` at a time.

    Raises:
        RunError: a line that is no decision, or a file that ends before it should.
    """
    with path.open(encoding="utf-8") as file:
        file.readline()
        yield from _tables(path, file, list(columns), size)


def _tables(path: Path, file: IO[str], columns: list[str], size: int) -> Iterator[pa.Table]:
    rows: list[dict[str, Any]] = []
    count, told = 0, None
    for number, line in enumerate(file, 2):
        value = _parse(path, number, line)
        if told is not None:
            raise RunError("there are lines after the end of the trace", where=f"{path}:{number}", fix=FIX)
        if isinstance(value, dict) and value.keys() == {"rows"}:
            told = value["rows"]
            continue
        count += 1
        rows.append(_row(path, number, value))
        if len(rows) == size:
            yield _table(path, number, rows).select(columns)
            rows = []
    if told != count:
        raise RunError(
            f"the trace is cut off: {count} decisions and {'no last line' if told is None else f'not {told}'}",
            where=str(path),
            fix=FIX,
        )
    if rows:
        yield _table(path, count + 1, rows).select(columns)


def _parse(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise RunError(
            f"the trace is cut off or damaged: not valid JSON ({error})", where=f"{path}:{number}", fix=FIX
        ) from error


def _row(path: Path, number: int, value: Any) -> dict[str, Any]:
    try:
        return from_json(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"the line is no decision ({error})", where=f"{path}:{number}", fix=FIX) from error


def _table(path: Path, last: int, rows: list[dict[str, Any]]) -> pa.Table:
    try:
        return pa.Table.from_pylist(rows, schema=SCHEMA)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        where = f"{path}:{last - len(rows) + 1}-{last}"
        raise RunError(f"a value has the wrong type ({error})", where=where, fix=FIX) from error
