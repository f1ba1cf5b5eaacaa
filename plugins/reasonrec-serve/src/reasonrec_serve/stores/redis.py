"""Events in Redis or Valkey (``pip install 'reasonrec-serve[redis]'``).

```text
reasonrec:ids          hash: id of an event -> user and item, so that an id is kept once
reasonrec:log          list: events in the order in which they came
reasonrec:user:<id>    sorted set by time: a user's events
```

What is kept outlives the server only as far as its own settings say: ``appendonly yes`` and ``appendfsync always``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from reasonrec_core.errors import ConfigError
from reasonrec_serve.history_store import Appended, Event, StoreUnavailable, compare_events

LOG = logging.getLogger("reasonrec.serve")
PATIENCE = 1.0
"""Seconds to wait for a connection, and for an answer."""
IDS, ALL, OF_USER = "reasonrec:ids", "reasonrec:log", "reasonrec:user:"
APPEND = """
local new = 0
for i = 1, #ARGV, 5 do
    local id, user, item, time, whole = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
    if redis.call('HSETNX', KEYS[1], id, cjson.encode({user, item})) == 1 then
        local place = redis.call('RPUSH', KEYS[2], whole)
        redis.call('ZADD', KEYS[3] .. user, time, string.format('%015d', place) .. whole)
        new = new + 1
    end
end
return new
"""
"""One script is one step: nobody sees half of it. Within a time, members are ordered by their place in the log."""
PLACE = 15
"""Digits of that place."""


class RedisStore:
    """A pool of connections, shared by threads.

    Args:
        url: ``redis://host:port/database``; ``rediss://`` with TLS.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
        except ImportError as error:
            fix = "pip install 'reasonrec-serve[redis]'"
            raise ConfigError("the Redis driver is not installed", where="--store", fix=fix) from error
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        url = url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1)
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, decode_responses=True
            )
        except ValueError as error:
            raise ConfigError(f"this is not the address of a Redis server ({error})", where="--store") from error
        self._append = self._client.register_script(APPEND)

    @classmethod
    def open(cls, url: str) -> Self:
        """The server at ``url``; one that may forget events is warned of."""
        store = cls(url)
        try:
            with store._asking():
                if not store._client.info("persistence").get("aof_enabled"):
                    LOG.warning("the Redis server keeps no append-only file, so events are lost when it stops")
        except StoreUnavailable as error:
            LOG.warning("%s", error)
        return store

    def append(self, events: Sequence[Event]) -> Appended:
        """Keep events by one script."""
        values = list[str | int]()
        for each in events:
            whole = json.dumps([each.id, each.user, each.item, each.time])
            values += [each.id, each.user, each.item, each.time, whole]
        with self._asking():
            new = int(self._append(keys=[IDS, ALL, OF_USER], args=values))
            found = self._client.hmget(IDS, [each.id for each in events])
        kept = {each.id: _pair(text) for each, text in zip(events, found, strict=True) if text}
        return compare_events(events, kept, new)

    def read(self, user: str, limit: int) -> list[Event]:
        """The newest events of a user."""
        with self._asking():
            found = self._client.zrange(OF_USER + user, 0, limit - 1, desc=True)
        return [Event(*json.loads(text[PLACE:])) for text in reversed(found)]

    def read_after(self, position: int, limit: int) -> tuple[list[Event], int]:
        """Events by their place in the log."""
        with self._asking():
            found = self._client.lrange(ALL, position, position + limit - 1)
        return [Event(*json.loads(text)) for text in found], position + len(found)

    def last_position(self) -> int:
        """How many events there are."""
        with self._asking():
            return int(self._client.llen(ALL))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise StoreUnavailable("the store of events failed", where="Redis", fix=str(error)[:300]) from error


def _pair(text: str) -> tuple[str, str]:
    user, item = json.loads(text)
    return user, item
