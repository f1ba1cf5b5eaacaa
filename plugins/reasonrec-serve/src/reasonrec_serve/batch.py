"""Answers for many users: by batches of the loop, as Arrow tables of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.pipeline import Outcome
from reasonrec_core.types import History, QueryBatch, Task, concatenate_ranges
from reasonrec_serve.request import Id, Request, read_ids
from reasonrec_serve.resolve import read_context, resolve_limits

if TYPE_CHECKING:
    from reasonrec_serve.answer import Answer
    from reasonrec_serve.recommender import Recommender

CHUNK = 2048
"""Users in a table."""
QUERIES, CELLS = 256, 1 << 24
"""Users asked for at once, at most, and scores of them at once: few enough for the processor's cache and any memory."""
ALL = "all"
CAUSE = pa.struct([("item_id", pa.string()), ("title", pa.string()), ("share", pa.float64())])
COLUMNS = pa.schema(
    {
        "user_id": pa.string(),
        "rank": pa.int32(),
        "item_id": pa.string(),
        "title": pa.string(),
        "score": pa.float32(),
        "by": pa.string(),
        "route": pa.string(),
        "confidence": pa.float32(),
        "models": pa.string(),
        "because": pa.list_(CAUSE),
    }
)
"""A row per recommended item. ``rank`` runs from 1; the others are as in `Answer`, null where it has None; ``because``
holds items of the history, and is null where it was not asked for."""


@dataclass(frozen=True)
class UserList:
    """Who is asked for, each once.

    Attributes:
        names: raw ids, in the order of the answers.
        repeated: how many were named again and left out.
        unknown: how many the data set does not know.
    """

    names: Sequence[str]
    repeated: int = 0
    unknown: int = 0

    @classmethod
    def of(cls, dataset: Dataset, users: str | Iterable[Id]) -> UserList:
        """The users that are named, or everybody in the order of their ids (whole numbers by size, then text).

        Raises:
            ConfigError: what is given is no list of ids.
            DataError: it names nobody.
        """
        if isinstance(users, str):
            if users != ALL:
                raise ConfigError(f"users must be {ALL!r} or a list of ids, not {users!r}", where="--users")
            return cls(sorted(dataset.user_index, key=_order))
        given = read_ids(users, "users")
        names = [name for name in dict.fromkeys(given) if name]
        if not names:
            raise DataError("there are no users to recommend to", where="--users")
        unknown = sum(name not in dataset.user_index for name in names)
        return cls(names, len(given) - len(names), unknown)


def _order(name: str) -> tuple[bool, int, str]:
    number = name.isascii() and name.isdigit()
    return not number, int(name) if number else 0, name


def read_batch_request(k: int, limits: dict[str, object]) -> Request:
    """What all users are asked for: a request that names nobody.

    Raises:
        ConfigError: a field that differs between users or needs one, or a value of no use.
    """
    allowed = ("exclude", "only", "where", "include_seen", "diversity", "context")
    if wrong := sorted(limits.keys() - set(allowed)):
        what = f"{wrong[0]!r} cannot be used for many users at once"
        raise ConfigError(what, where="recommend_batch", fix=f"There are: {', '.join(allowed)}.")
    return Request(history=(), k=k, **limits)  # type: ignore[arg-type]


def answer_batch(service: Recommender, users: Sequence[str], request: Request, *, because: bool = False) -> pa.Table:
    """The answers to one request for each of the users, a row per item (`COLUMNS`), in their order.

    With ``because`` they are answered one by one: what an item is recommended for is worked out for each user anyway.
    """
    if because:
        rows = [
            row for user in users for row in list_rows(user, service.answer(replace(request, user=user, history=None)))
        ]
        return pa.Table.from_pylist(rows, COLUMNS)
    limits, _ = resolve_limits(service.dataset.catalog, request, service.item_filter)
    batch = make_batch(service.dataset, users, request)
    step = max(1, min(QUERIES, CELLS // max(service.dataset.n_items, 1)))
    tables = []
    for start, piece in batch.chunks(step):
        outcome, _ = service.act(piece, limits, request.diversity)
        tables.append(tabulate(service, users[start : start + len(piece)], outcome))
    return pa.concat_tables(tables) if tables else COLUMNS.empty_table()


def list_rows(user: str | None, answer: Answer, *, because: bool = True) -> Iterator[dict[str, Any]]:
    """An answer as rows of `COLUMNS`."""
    for rank, item in enumerate(answer.explained if because else answer.items, 1):
        causes = [{"item_id": each.id, "title": each.title, "share": each.share} for each in item.because]
        yield {
            "user_id": user,
            "rank": rank,
            "item_id": item.id,
            "title": item.title,
            "score": item.score,
            "by": answer.by,
            "route": answer.route,
            "confidence": answer.confidence,
            "models": answer.models,
            "because": causes if because else None,
        }


def make_batch(dataset: Dataset, users: Sequence[str], request: Request) -> QueryBatch:
    """A query per user, with the whole log as the history; somebody new has none. The context is the same for all."""
    known, log = dataset.user_index, dataset.interactions
    index = np.array([known.get(name, -1) for name in users], np.int32)
    starts, stops = np.searchsorted(log.users, index), np.searchsorted(log.users, index, side="right")
    indptr, source = concatenate_ranges(starts.astype(np.int64), stops.astype(np.int64))
    history = History(indptr, log.items[source], log.times[source])
    now, _ = read_context(dataset.context, request.context)
    context = None if now is None else np.repeat(now, len(users), axis=0)
    return QueryBatch(Task.SEQUENTIAL, index, history, min(request.k, dataset.n_items), context=context)


def tabulate(service: Recommender, users: Sequence[str], outcome: Outcome) -> pa.Table:
    """Rankings as rows."""
    ranking, decided = outcome.ranking, outcome.decisions
    rows, places = np.nonzero(ranking.items >= 0)
    items = pa.array(ranking.items[rows, places])
    policy = service.agent.policy.label if service.agent.policy else ""
    by = pa.array([str(name) or policy for name in decided.who], pa.string())
    sure = pa.array(decided.confidence.astype(np.float32), pa.float32(), mask=np.isnan(decided.confidence))
    at = pa.array(rows)
    columns = [
        pa.array(users, pa.string()).take(at),
        pa.array(places.astype(np.int32) + 1),
        service.item_names[0].take(items),
        service.item_names[1].take(items),
        pa.array(ranking.scores[rows, places]),
        by.take(at),
        pa.array([str(route) for route in decided.route], pa.string()).take(at),
        sure.take(at),
        pa.repeat(service.agent.models, len(rows)),
        pa.nulls(len(rows), COLUMNS.field("because").type),
    ]
    return pa.table(columns, schema=COLUMNS)


def iterate_batches(
    service: Recommender, users: UserList, request: Request, size: int, *, because: bool = False
) -> Iterator[pa.Table]:
    """A table per ``size`` users."""
    for start in range(0, len(users.names), size):
        yield answer_batch(service, users.names[start : start + size], request, because=because)
