"""Answers of a finished run as one table: a row per recommended item, or per item that is like another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from reasonrec_serve import Answer, Recommender, Request
from reasonrec_serve.batch import CAUSE, COLUMNS, UserList, list_rows

from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_frames.model import take_values
from reasonrec_frames.progress import say

IDS = ("history", "exclude", "only", "ignore", "candidates")
"""Fields of a request that are lists of ids."""
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("score", pa.float32()),
        ("by", pa.string()),
        ("confidence", pa.float32()),
        ("because", pa.list_(CAUSE)),
    ]
)
"""Those of `reasonrec_serve.batch.COLUMNS` that a frame shows; ``because`` is empty where it was not asked for."""
SIMILAR = pa.schema([*(SCHEMA.field(name) for name in ("rank", "item_id", "title", "score", "by"))]).append(
    pa.field("reasons", pa.list_(pa.string()))
)
"""``reasons``: what the items share, in words."""


def tabulate_recommendations(
    service: Recommender,
    users: Literal["all"] | Iterable[Any] | None,
    history: Iterable[Any] | None,
    k: int,
    because: bool,
    **request: Any,
) -> pa.Table:
    """The best items for users, or for one history, as `SCHEMA` says; where no answer is given there are no rows.

    Users are answered in batches, each once. With ``because``, or with ``assume`` or ``ignore``, they are answered one
    by one, which takes longer.

    Args:
        service: the run.
        users: ids, or "all" in the order of their ids; who is not known gets an answer that is not personalised.
        history: item ids, oldest first, instead.
        k: items per user.
        because: whether to work out what items are recommended for.
        request: further fields of `Request`.

    Raises:
        ConfigError: neither users nor a history or both, or a request that contradicts itself.
        DataError: nobody is named.
    """
    known = sorted(Request.__dataclass_fields__.keys() - {"user", "history", "k"})
    for name in request.keys() - {*known}:
        fix = "Write users=[...]." if name == "user" else did_you_mean(name, known)
        raise ConfigError(f"a request has no {name!r}", where="recommend", fix=fix)
    lists = {"history": history, **request}
    lists = {name: take_values(given, name) for name, given in lists.items() if name in IDS and given is not None}
    history, request = lists.pop("history", None), request | lists
    if history is not None and users is None:
        return _tabulate([(None, service.recommend(history=history, k=k, **request))], because)
    if users is None or history is not None:
        raise ConfigError("give either users or a history", where="recommend")
    named = UserList.of(service.dataset, users if isinstance(users, str) else take_values(users, "users"))
    if named.unknown:
        who = "1 user is" if named.unknown == 1 else f"{named.unknown:,} users are"
        say(f"{who} not in the data: their recommendations are not personalised")
    if because or request.get("assume") or request.get("ignore"):
        return _tabulate(((name, service.recommend(user=name, k=k, **request)) for name in named.names), because)
    return _select(pa.concat_tables(service.recommend_batch(named.names, k, **request)))


def tabulate_similar(service: Recommender, item: Any, k: int, by: str | None, **limits: Any) -> pa.Table:
    """The items most like one, as `SIMILAR` says; see `Recommender.similar`."""
    found = service.similar(item, k=k, by=by, **limits)
    rows = [
        {
            "rank": rank,
            "item_id": each.id,
            "title": each.title,
            "score": each.score,
            "by": found.by,
            "reasons": list(each.reasons),
        }
        for rank, each in enumerate(found.items, 1)
    ]
    return pa.Table.from_pylist(rows, SIMILAR)


def _tabulate(answers: Iterable[tuple[str | None, Answer]], because: bool) -> pa.Table:
    rows = [row for user, answer in answers for row in list_rows(user, answer, because=because)]
    return _select(pa.Table.from_pylist(rows, COLUMNS))


def _select(found: pa.Table) -> pa.Table:
    """The columns of `SCHEMA`; a frame's lists are empty where nothing was asked for."""
    at, kind = found.schema.get_field_index("because"), SCHEMA.field("because").type
    filled = pc.fill_null(found.column(at), pa.scalar([], kind))
    return found.set_column(at, "because", filled).select(SCHEMA.names).cast(SCHEMA)
