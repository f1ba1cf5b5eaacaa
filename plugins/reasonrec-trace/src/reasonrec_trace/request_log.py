"""The trace of a service, a row per request.

```text
requests-sequential.jsonl       the newest requests; a whole trace after every request
requests-sequential.1.jsonl     the ones before, and so on
```

Several processes may write: a lock beside the files makes them take turns. What a process that was killed left half
written is cut off by the next one, so that no finished row is lost and none is half there.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonrec_core.errors import DataError
from reasonrec_trace.pseudonyms import Hasher
from reasonrec_trace.schema import HEADER, Header, TraceRecord, to_json


class RequestLog:
    """Appends decisions to a trace in JSON lines that every reader of traces reads.

    Args:
        path: of the newest file.
        header: what holds for all rows; when another one is met in the file, a new file is begun.
        hasher: what is hashed.
        rows: that a file holds at most.
        files: that are kept, the newest included.
    """

    def __init__(self, path: Path, header: Header, hasher: Hasher, *, rows: int, files: int) -> None:
        self.path, self.rows, self.files, self._hasher = path, rows, files, hasher
        self._version = next(iter(header.versions), "")
        said = header.model_copy(update={"hashed": hasher.hashed})
        self._first = _line({HEADER.decode(): said.model_dump(mode="json")})

    def write(self, record: TraceRecord) -> None:
        """Append one decision; its number is its place in the file.

        Raises:
            DataError: the file cannot be written.
        """
        try:
            with self._lock():
                count, end = self._make_room()
                row = to_json(self._hasher.conceal(replace(record, query=count), self._version))
                with self.path.open("r+b") as file:
                    file.seek(end)
                    file.write(_line(row) + _line({"rows": count + 1}))
                    file.truncate()
        except OSError as error:
            raise DataError(f"cannot be written ({error.strerror or error})", where=str(self.path)) from error

    def _make_room(self) -> tuple[int, int]:
        """How many rows the newest file holds and where they end, in a file that takes one more."""
        if self.path.exists():
            with self.path.open("rb") as file:
                same = file.readline() == self._first
            if same:
                count, end = _find_end(self.path)
                if count < self.rows:
                    return count, end
            self._rotate()
        self.path.write_bytes(self._first)
        return 0, len(self._first)

    def _rotate(self) -> None:
        """The newest file becomes the first of the older ones; the oldest is deleted."""
        names = [self.path, *(self.path.with_suffix(f".{n}{self.path.suffix}") for n in range(1, self.files))]
        names[-1].unlink(missing_ok=True)
        for old, new in zip(reversed(names[:-1]), reversed(names[1:]), strict=True):
            if old.exists():
                os.replace(old, new)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with (self.path.parent / f".{self.path.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _line(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _find_end(path: Path) -> tuple[int, int]:
    """How many whole rows a file holds, and where the last of them ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - 64, 0))
        tail = file.read()
        start = tail.rstrip(b"\n").rfind(b"\n") + 1
        last = _parse(tail[start:])
        if last is not None and last.keys() == {"rows"}:
            return int(last["rows"]), size - len(tail) + start
        file.seek(0)
        end, count = len(file.readline()), 0
        for line in file:
            if not line.endswith(b"\n") or "route" not in (_parse(line) or {}):
                break
            end, count = end + len(line), count + 1
    return count, end


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
