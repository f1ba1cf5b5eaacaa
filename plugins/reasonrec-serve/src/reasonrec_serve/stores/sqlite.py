"""Events in an SQLite file, in WAL mode: readers and a writer do not wait for one another."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from reasonrec_core.errors import ConfigError
from reasonrec_serve.history_store import Appended, Event, StoreUnavailable, compare_events

PATIENCE = 2.0
"""Seconds that a writer waits for another one."""
TABLE = """
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    user TEXT NOT NULL,
    item TEXT NOT NULL,
    time INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_of_user ON events (user, time, position);
"""
APPLICATION = 0x5252_4556
"""Written into the file's header, so that another program's database is not taken for ours."""


class SqliteStore:
    """A connection for each thread; every commit is on the disk before it counts (``synchronous=FULL``).

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._all = list[sqlite3.Connection]()

    @classmethod
    def open(cls, url: str) -> Self:
        """The file at a path or ``sqlite:///path``; it is made where it is not there.

        Raises:
            ConfigError: it cannot be made, or it is something else.
        """
        store = cls(Path(url.removeprefix("sqlite://")))
        try:
            store._prepare()
        except (sqlite3.Error, OSError) as error:
            fix = "Give --store a path in a writable folder, or use --store none."
            raise ConfigError(f"cannot store events here ({error})", where=str(store.path), fix=fix) from error
        return store

    def _prepare(self) -> None:
        connection = self._connect()
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        if tables and mark != APPLICATION:
            raise ConfigError("this is another program's database", where=str(self.path), fix="Give another path.")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(TABLE)
        connection.execute(f"PRAGMA application_id={APPLICATION}")

    def append(self, events: Sequence[Event]) -> Appended:
        """Keep events in one transaction."""
        rows = [(each.id, each.user, each.item, each.time) for each in events]
        with self._asking() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                before = connection.total_changes
                connection.executemany(
                    "INSERT INTO events (id, user, item, time) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", rows
                )
                new = connection.total_changes - before
                kept = dict[str, tuple[str, str]]()
                for each in events:
                    found = connection.execute("SELECT user, item FROM events WHERE id = ?", (each.id,)).fetchone()
                    kept[each.id] = (found[0], found[1])
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
        return compare_events(events, kept, new)

    def read(self, user: str, limit: int) -> list[Event]:
        """The newest events of a user."""
        query = "SELECT id, user, item, time FROM events WHERE user = ? ORDER BY time DESC, position DESC LIMIT ?"
        with self._asking() as connection:
            return [Event(*row) for row in connection.execute(query, (user, limit))][::-1]

    def read_after(self, position: int, limit: int) -> tuple[list[Event], int]:
        """Events in the order of their commits: SQLite has one writer at a time."""
        query = "SELECT id, user, item, time, position FROM events WHERE position > ? ORDER BY position LIMIT ?"
        with self._asking() as connection:
            rows = connection.execute(query, (position, limit)).fetchall()
        return [Event(*row[:4]) for row in rows], rows[-1][4] if rows else position

    def last_position(self) -> int:
        """The position of the newest event."""
        with self._asking() as connection:
            return int(connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0])

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._all:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            # Closed by whichever thread ends the server; used by this one alone.
            found = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            found.execute("PRAGMA synchronous=FULL")
            self._local.connection = found
            self._all.append(found)
        return found

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connect()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the store of events failed ({error})", where=str(self.path)) from error
