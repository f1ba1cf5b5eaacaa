"""Keyed hashes in place of ids.

Who holds the data set as well as the trace can still match rows by what was answered. Hashes protect against readers
of the trace alone, also against those who have a list of all ids: without the key they cannot try them.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Bool, Int64
from reasonrec_trace.config import TraceConfig
from reasonrec_trace.schema import RankedAnswer, TraceRecord

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
            f"the key for the trace's hashes is {('short' if key else 'missing')}",
            where=f"environment variable {variable}",
            fix=f"Set it to {SHORTEST_KEY} characters or more, e.g. export {variable}=$(openssl rand -hex 32).",
        )
    return key.encode()
