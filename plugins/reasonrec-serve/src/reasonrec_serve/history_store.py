"""Live histories: what people did since the run was made, kept where a crash does not reach it.

Stores are found by the scheme of a URL among the entry points of group ``reasonrec.history_stores``; a plugin adds
one by naming its class there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

from reasonrec_core.errors import ConfigError, ReasonRecError, did_you_mean

GROUP = "reasonrec.history_stores"


class StoreUnavailable(ReasonRecError):
    """The store cannot be reached, or did not answer in time; what was asked of it may or may not have been done."""


@dataclass(frozen=True, slots=True)
class Event:
    """Somebody did something with an item.

    Attributes:
        id: chosen by the sender; the same id is the same event, however often it is sent.
        user: raw id, known to the run or not.
        item: raw id, known to the run or not.
        time: seconds since 1970.
    """

    id: str
    user: str
    item: str
    time: int


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of some events.

    Attributes:
        new: how many were not there before.
        repeated: how many were there already, the same.
        conflicting: ids under which another user or item stands already; what stood there was kept.
    """

    new: int
    repeated: int
    conflicting: tuple[str, ...] = ()


@runtime_checkable
class HistoryStore(Protocol):
    """Keeps events. Threads and processes share one; every method may raise `StoreUnavailable`."""

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at ``url``; a server that is away is not an error yet.

        Raises:
            ConfigError: it can never be used: no such folder, no driver.
        """

    def append(self, events: Sequence[Event]) -> Appended:
        """Keep events, all or none of them. When it returns, they outlive the process, however it ends."""

    def read(self, user: str, limit: int) -> list[Event]:
        """The newest ``limit`` events of a user, oldest first; at the same time in the order in which they came."""

    def read_after(self, position: int, limit: int) -> tuple[list[Event], int]:
        """Events in the order in which they were kept, those after ``position`` (0: all), and the position of the last.

        An event may be skipped for good only if its `append` had not returned yet.
        """

    def last_position(self) -> int:
        """The position of the newest event; 0 where there is none."""

    def close(self) -> None:
        """Let go of connections."""


def beside_run(run: Path) -> Path:
    """Where a run's events are kept unless something else is said."""
    absolute = Path(os.path.abspath(run))
    return absolute.with_name(f"{absolute.name}.events.sqlite")


def open_store(url: str) -> HistoryStore:
    """The store that a URL names; without a scheme it is the path of an SQLite file.

    Raises:
        ConfigError: no such kind of store, or it can never be used.
    """
    scheme = urlsplit(url).scheme if "://" in url else "sqlite"
    kinds = {each.name: each for each in entry_points(group=GROUP)}
    if scheme not in kinds:
        fix = f"{did_you_mean(scheme, kinds)} You can also give the path of an SQLite file."
        raise ConfigError(f"there is no kind of store called {scheme!r}", where="--store", fix=fix)
    store: type[HistoryStore] = kinds[scheme].load()
    return store.open(url)


def compare_events(events: Sequence[Event], kept: dict[str, tuple[str, str]], new: int) -> Appended:
    """What became of events, from what now stands under their ids.

    Args:
        events: as they were sent, each id once.
        kept: id -> (user, item) as it now stands.
        new: how many were not there before.
    """
    other = tuple(each.id for each in events if kept.get(each.id) != (each.user, each.item))
    return Appended(new, len(events) - new - len(other), other)
