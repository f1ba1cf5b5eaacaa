"""Events in a PostgreSQL table (``pip install 'reasonrec-serve[postgresql]'``)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Self

from reasonrec_core.errors import ConfigError
from reasonrec_serve.history_store import Appended, Event, StoreUnavailable, compare_events

PATIENCE = 2
"""Seconds to wait for a connection, and for an answer."""
WRITERS = 0x5252_4556
"""The advisory lock that makes writers take turns, so that positions become visible in their order."""
TABLE = """
CREATE TABLE IF NOT EXISTS reasonrec_events (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    user_id text NOT NULL,
    item_id text NOT NULL,
    time bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS reasonrec_events_of_user ON reasonrec_events (user_id, time, position);
"""


class PostgresStore:
    """A connection for each thread; the server's own ``synchronous_commit`` decides what a commit outlives.

    Args:
        url: ``postgresql://user:password@host/database``, as libpq reads it.
    """

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError as error:
            fix = "pip install 'reasonrec-serve[postgresql]'"
            raise ConfigError("the PostgreSQL driver is not installed", where="--store", fix=fix) from error
        self._driver: Any = psycopg
        self._url, self._local, self._made = url, threading.local(), False
        self._all = list[Any]()

    @classmethod
    def open(cls, url: str) -> Self:
        """The table in a database; it is made when the server is first reached."""
        store = cls(url)
        try:
            store._driver.conninfo.conninfo_to_dict(url)
        except store._driver.Error as error:
            raise ConfigError("this is not the address of a database", where="--store") from error
        return store

    def append(self, events: Sequence[Event]) -> Appended:
        """Keep events in one transaction."""
        rows = [(each.id, each.user, each.item, each.time) for each in events]
        ids = [each.id for each in events]
        with self._asking() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS,))
            cursor.execute("SELECT count(*) FROM reasonrec_events WHERE id = ANY(%s)", (ids,))
            before = cursor.fetchone()[0]
            cursor.executemany(
                "INSERT INTO reasonrec_events (id, user_id, item_id, time) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (id) DO NOTHING",
                rows,
            )
            cursor.execute("SELECT id, user_id, item_id FROM reasonrec_events WHERE id = ANY(%s)", (ids,))
            kept = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
        return compare_events(events, kept, len(events) - before)

    def read(self, user: str, limit: int) -> list[Event]:
        """The newest events of a user."""
        query = (
            "SELECT id, user_id, item_id, time FROM reasonrec_events WHERE user_id = %s "
            "ORDER BY time DESC, position DESC LIMIT %s"
        )
        return [Event(*row) for row in self._select(query, (user, limit))][::-1]

    def read_after(self, position: int, limit: int) -> tuple[list[Event], int]:
        """Events in the order of their commits."""
        query = (
            "SELECT id, user_id, item_id, time, position FROM reasonrec_events WHERE position > %s "
            "ORDER BY position LIMIT %s"
        )
        rows = self._select(query, (position, limit))
        return [Event(*row[:4]) for row in rows], rows[-1][4] if rows else position

    def last_position(self) -> int:
        """The position of the newest event."""
        return int(self._select("SELECT coalesce(max(position), 0) FROM reasonrec_events", ())[0][0])

    def close(self) -> None:
        """Close every thread's connection."""
        for connection in self._all:
            with suppress(Exception):
                connection.close()

    def _select(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        with self._asking() as connection:
            found: list[Any] = connection.execute(query, values).fetchall()
            return found

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        try:
            yield self._connect()
        except (self._driver.Error, OSError) as error:
            self._forget()
            raise StoreUnavailable("the store of events failed", where="PostgreSQL", fix=str(error)[:300]) from error

    def _connect(self) -> Any:
        """This thread's connection, made anew after a failure."""
        found = getattr(self._local, "connection", None)
        if found is None or found.closed:
            found = self._driver.connect(
                self._url,
                autocommit=True,
                connect_timeout=PATIENCE,
                options=f"-c statement_timeout={PATIENCE * 1000}",
                tcp_user_timeout=PATIENCE * 1000,
            )
            if not self._made:
                with found.transaction():
                    found.execute("SELECT pg_advisory_xact_lock(%s)", (WRITERS,))
                    found.execute(TABLE)
                self._made = True
            self._local.connection = found
            self._all.append(found)
        return found

    def _forget(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            with suppress(Exception):
                connection.close()
            self._all.remove(connection)
            self._local.connection = None
