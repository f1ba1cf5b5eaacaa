"""The trace of a service, a row per request, and keyed hashes in place of ids.

```text
requests-sequential.jsonl       the newest requests; a whole trace after every request
requests-sequential.1.jsonl     the ones before, and so on
```

Several processes may write: a lock beside the files makes them take turns. What a process that was killed left half
written is cut off by the next one, so that no finished row is lost and none is half there.

Who holds the data set as well as the trace can still match rows by what was answered. Hashes protect against readers
of the trace alone, also against those who have a list of all ids: without the key they cannot try them.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.trace.schema import HEADER, Header, RankedAnswer, TraceConfig, TraceRecord, to_json
from reasonrec_core.types import Bool, Int64

LENGTH = 32
"""Hexadecimal digits of a hash: 128 bits, so that two ids never meet in practice."""
SHORTEST_KEY = 16
ROUNDS = 100_000


class Hasher:
    """Hashes ids as the settings want it; ids that need no hash are given back as they are.

    Args:
        key: the secret; unused where nothing is hashed.
        users, items: what to hash.
    """

    def __init__(self, key: bytes = b"", *, users: bool = False, items: bool = False) -> None:
        self._key, self.users, self.items = key, users, items

    @property
    def hashed(self) -> tuple[str, ...]:
        """What is hashed, as the header of a trace says it."""
        return tuple(name for name, yes in (("users", self.users), ("items", self.items)) if yes)

    def user(self, name: str | None) -> str | None:
        """A user's id as it is written."""
        return self._digest("user", name) if self.users and name is not None else name

    def item(self, name: str) -> str:
        """An item's id as it is written."""
        return self._digest("item", name) if self.items else name

    def conceal(self, record: TraceRecord, versions: str) -> TraceRecord:
        """A record as it is written; ``versions`` where it names none."""
        changes: dict[str, Any] = {"user": self.user(record.user), "versions": record.versions or versions}
        if self.users and record.user is not None:
            changes["key"] = int(self.keys([record.user], lambda rows, keys: rows >= 0)[0])
        if self.items:
            lists = ("history", "candidates", "targets", "ranking")
            changes |= {name: tuple(map(self.item, getattr(record, name))) for name in lists}
            answers = record.answers.items()
            changes["answers"] = {by: RankedAnswer(tuple(map(self.item, a.items)), a.scores) for by, a in answers}
            changes |= {"steps": (), "time": None}
        return replace(record, **changes)

    def order(self, users: Sequence[str | None]) -> Int64:
        """int64[B]: the order in which rows are written; shuffled by the key where users are hashed."""
        if not self.users:
            return np.arange(len(users), dtype=np.int64)
        digests = [self._digest("order", f"{user}\0{row}") for row, user in enumerate(users)]
        return np.argsort(np.array(digests, dtype=f"U{LENGTH}"), kind="stable").astype(np.int64)

    def keys(self, users: Sequence[str | None], same: Callable[[Int64, Int64], Bool]) -> Int64:
        """int64[B]: numbers to break ties of equal risk by, which stand in the place of the users' own numbers.

        A user's own number follows from the list of all ids, so it may not be written. Any other number would let a
        replay pick other users among those of equal risk, so numbers are drawn from the keyed hash until the
        recorded decision comes out.

        Args:
            users: B ids, None for unknown users, who share the number -1.
            same: of int64[n] rows and int64[n] numbers, whether the decision is the recorded one, bool[n].
        """
        keys = np.full(len(users), -1, np.int64)
        left = np.array([row for row, user in enumerate(users) if user is not None], np.int64)
        for turn in range(ROUNDS):
            if not len(left):
                return keys
            drawn = [int(self._digest("key", f"{users[row]}\0{turn}")[:15], 16) for row in left.tolist()]
            keys[left] = drawn
            left = left[~same(left, keys[left])]
        raise RuntimeError(f"no tie-breaking number was found for {len(left)} decisions")

    def _digest(self, purpose: str, text: str | None) -> str:
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), "sha256").hexdigest()[:LENGTH]


def make_hasher(config: TraceConfig) -> Hasher:
    """The hasher that the settings want.

    Raises:
        ConfigError: something is to be hashed and the environment holds no key, or a short one.
    """
    if not (config.hash_users or config.hash_items):
        return Hasher()
    return Hasher(read_key(config.key_env), users=config.hash_users, items=config.hash_items)


def read_key(variable: str) -> bytes:
    """The key in the environment; a missing or short one is a `ConfigError`."""
    key = os.environ.get(variable, "")
    if len(key) < SHORTEST_KEY:
        raise ConfigError(
            f"the key of the trace's hashes is {'short' if key else 'missing'}",
            where=f"environment variable {variable}",
            fix=f"Set it to {SHORTEST_KEY} characters or more, e.g. export {variable}=$(openssl rand -hex 32).",
        )
    return key.encode()


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
