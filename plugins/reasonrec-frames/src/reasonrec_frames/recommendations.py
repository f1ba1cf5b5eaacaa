"""Answers of a finished run as one table: a row per recommended item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from reasonrec_serve import Answer, Recommender, Request
from reasonrec_serve.resolve import resolve_limits

from reasonrec_core.errors import ConfigError, did_you_mean
from reasonrec_core.types import History, Int64, QueryBatch, Task, indptr_of
from reasonrec_frames.model import read_names
from reasonrec_frames.progress import say

CHUNK = 256
"""Users per call."""
CAUSE = pa.struct([("item_id", pa.string()), ("title", pa.string()), ("share", pa.float64())])
SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("score", pa.float64()),
        ("by", pa.string()),
        ("confidence", pa.float64()),
        ("because", pa.list_(CAUSE)),
    ]
)
"""``confidence`` is of the user's whole answer; ``because`` holds items of the history, where it was asked for."""


def tabulate_recommendations(
    service: Recommender,
    users: Literal["all"] | Iterable[Any] | None,
    history: Iterable[Any] | None,
    k: int,
    because: bool,
    **request: Any,
) -> pa.Table:
    """The best items for users, or for one history, as `SCHEMA` says; where no answer is given there are no rows.

    Users are answered in batches. With ``because``, or with ``assume`` or ``ignore``, they are answered one by one,
    which takes longer.

    Args:
        service: the run.
        users: ids, or "all" in the order of their ids; who is not known gets an answer that is not personalised.
        history: item ids, oldest first, instead.
        k: items per user.
        because: whether to work out what items are recommended for.
        request: further fields of `Request`.

    Raises:
        ConfigError: neither users nor a history or both, or a request that contradicts itself.
    """
    known = sorted(Request.__dataclass_fields__.keys() - {"user", "history", "k"})
    for name in request.keys() - {*known}:
        fix = "Write users=[...]." if name == "user" else did_you_mean(name, known)
        raise ConfigError(f"there is no {name!r} in a request", where="recommend", fix=fix)
    if (users is None) == (history is None):
        raise ConfigError("give either users or a history", where="recommend")
    if history is not None:
        answer = service.recommend(history=history, k=k, **request)
        return pa.Table.from_pylist(list(_list_rows(None, answer, because)), SCHEMA)
    names = _list_users(service, users)
    if because or request.get("assume") or request.get("ignore"):
        rows = [
            row for name in names for row in _list_rows(name, service.recommend(user=name, k=k, **request), because)
        ]
        return pa.Table.from_pylist(rows, SCHEMA)
    if request.get("candidates") is not None:
        raise ConfigError("candidates are ranked for a history", where="recommend", fix="Use only=[...] with users.")
    asked = Request(history=(), k=k, **request)
    tables = [_answer(service, names[start : start + CHUNK], asked) for start in range(0, len(names), CHUNK)]
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def _list_users(service: Recommender, users: Any) -> list[str]:
    if isinstance(users, str) and users == "all":
        return sorted(service.dataset.user_index)
    names = read_names(users, "users")
    if new := [name for name in names if name not in service.dataset.user_index]:
        who = f"{new[0]!r} is" if len(new) == 1 else f"{len(new):,} users, {new[0]!r} the first, are"
        say(f"{who} not in the data: what is recommended there is not personalised")
    return names


def _list_rows(user: str | None, answer: Answer, because: bool) -> Iterator[dict[str, Any]]:
    for rank, item in enumerate(answer.explained if because else answer.items, 1):
        causes = [{"item_id": each.id, "title": each.title, "share": each.share} for each in item.because]
        yield {
            "user_id": user,
            "rank": rank,
            "item_id": item.id,
            "title": item.title,
            "score": item.score,
            "by": answer.by,
            "confidence": answer.confidence,
            "because": causes,
        }


def _answer(service: Recommender, names: Sequence[str], asked: Request) -> pa.Table:
    """The answers of one batch."""
    dataset, catalog = service.dataset, service.dataset.catalog
    users = np.array([dataset.user_index.get(name, -1) for name in names], np.int32)
    batch = QueryBatch(Task.SEQUENTIAL, users, _take_logs(service, users), min(asked.k, dataset.n_items))
    limits, _ = resolve_limits(catalog, asked, service.item_filter)
    outcome, _ = service.act(batch, limits, asked.diversity)
    ranking, decided, policy = outcome.ranking, outcome.decisions, service.agent.policy
    rows, places = np.nonzero(ranking.items[:, : batch.k] >= 0)
    items = ranking.items[rows, places]
    who = np.where(decided.who == "", policy.label if policy else "", decided.who)
    confidence = decided.confidence[rows].astype(np.float64)
    return pa.table(
        {
            "user_id": pa.array(names).take(pa.array(rows)),
            "rank": pa.array(places + 1, pa.int32()),
            "item_id": pa.array(catalog.ids).take(pa.array(items)),
            "title": pa.array(catalog.titles).take(pa.array(items)),
            "score": ranking.scores[rows, places].astype(np.float64),
            "by": pa.array(who[rows].tolist(), pa.string()),
            "confidence": pa.array(confidence, mask=np.isnan(confidence)),
            "because": pa.array([[]] * len(rows), SCHEMA.field("because").type),
        },
        SCHEMA,
    )


def _take_logs(service: Recommender, users: np.ndarray[Any, np.dtype[np.int32]]) -> History:
    """What each user did; nothing of those who are not known."""
    log = service.dataset.interactions
    low, high = (np.searchsorted(log.users, users, side) for side in ("left", "right"))
    lengths: Int64 = np.where(users >= 0, high - low, 0)
    indptr = indptr_of(lengths)
    source = np.arange(indptr[-1]) + np.repeat(low - indptr[:-1], lengths)
    return History(indptr, log.items[source], log.times[source])
