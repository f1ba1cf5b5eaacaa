"""Lists made elsewhere, from a frame with a row per item, as the ranking of a split's queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from reasonrec_datasets import parse_ids, parse_numbers

from reasonrec_core.data import Dataset
from reasonrec_core.data.cases import compute_history_keys, contains_keys, make_pair_keys
from reasonrec_core.errors import DataError, did_you_mean
from reasonrec_core.types import Cases, Float64, Int64, Ranking
from reasonrec_frames.native_frames import FramePlace, read_frame

ORDERS = ("rank", "score")
"""What may say how good an item is, the first that is there."""


@dataclass(frozen=True)
class ReadLists:
    """Lists as a ranking.

    Attributes:
        ranking: one row per query, best first; the scores say only which items are tied.
        notes: what was left out, with counts.
    """

    ranking: Ranking
    notes: tuple[str, ...]


def read_lists(
    frame: Any, name: str, dataset: Dataset, cases: Cases, width: int, columns: Mapping[str, str] | None = None
) -> ReadLists:
    """The first ``width`` items of each query's list.

    Items that do not exist, repeats and what the query's user already has are left out and counted; the rest moves
    up. A user's list answers all of the user's queries.

    Args:
        frame: ``user_id``, ``item_id``, and ``rank`` (1 = best) or ``score`` (larger = better); without either the
            order of the rows. Equal scores are ties, which count against the list.
        name: of the lists, for messages.
        dataset: whose ids they are.
        cases: the queries.
        width: how long lists may be.
        columns: ``{ours: theirs}``.

    Raises:
        DataError: a column is missing, a cell cannot be used, or two items of a user have one rank.
    """
    table, place = _pick_columns(read_frame(frame, name), name, columns or {}), FramePlace(name)
    if not len(table):
        raise DataError("there are no rows", where=name, fix="Give user_id, item_id and rank or score.")
    known = (pa.array(dataset.users.column("user_id").combine_chunks()), pa.array(dataset.catalog.ids))
    users, items = (
        _find_ids(table.column(key), key, ids, place) for key, ids in zip(("user_id", "item_id"), known, strict=True)
    )
    notes: list[str] = []
    order = next((each for each in ORDERS if each in table.column_names), None)
    key = np.arange(len(table), dtype=np.float64)
    if order is None:
        notes.append(f"{name}: there is neither rank nor score, so the order of the rows counts")
    else:
        key = parse_numbers(table.column(order), order, place) * (1 if order == "rank" else -1)
    if order != "score":
        _refuse_double_ranks(users, key, place)
    _note_users(users, cases, dataset, name, notes)
    best = np.lexsort((np.arange(len(key)), key, users))
    best = best[(users[best] >= 0) & (items[best] >= 0)]
    if gone := int((items[users >= 0] < 0).sum()):
        notes.append(f"{name}: {count_words(gone, 'row')} with items that are not in the data are left out")
    best = best[_first_of_each(make_pair_keys(users[best], items[best], dataset.n_items))]
    return _fill(users[best], items[best], key[best], cases, dataset.n_items, width, name, notes)


def _fill(
    users: Int64,
    items: Int64,
    key: Float64,
    cases: Cases,
    n_items: int,
    width: int,
    name: str,
    notes: list[str],
) -> ReadLists:
    """Spread sorted rows over the queries of their users, without what the history holds."""
    queries = cases.queries
    asked = queries.users.astype(np.int64)
    low, high = np.searchsorted(users, asked, "left"), np.searchsorted(users, asked, "right")
    rows = np.repeat(np.arange(len(asked)), high - low)
    source = (
        np.arange(len(rows)) - np.repeat(np.cumsum(high - low) - (high - low), high - low) + np.repeat(low, high - low)
    )
    seen = contains_keys(compute_history_keys(queries.history, n_items), make_pair_keys(rows, items[source], n_items))
    if seen.any():
        where = f"{count_words(int(seen.sum()), 'place')} taken by items that the user already has"
        notes.append(f"{name}: {where} are left out, because no system here shows such items; the others move up")
    rows, source = rows[~seen], source[~seen]
    starts = np.searchsorted(rows, np.arange(len(asked)))
    places = np.arange(len(rows)) - starts[rows]
    ties = np.zeros(len(rows), np.int64)  # 0, 0, 1, ... within a list: equal where keys are
    ties[1:] = np.where(rows[1:] == rows[:-1], key[source[1:]] != key[source[:-1]], 0)
    ties = np.cumsum(ties)
    ties -= ties[starts[rows]]
    short = places < width
    found = np.full((len(asked), width), -1, np.int32)
    scores = np.full((len(asked), width), -np.inf, np.float32)
    found[rows[short], places[short]] = items[source[short]]
    scores[rows[short], places[short]] = -ties[short]
    return ReadLists(Ranking(found, scores), tuple(notes))


def _pick_columns(table: pa.Table, name: str, columns: Mapping[str, str]) -> pa.Table:
    wanted = ("user_id", "item_id", *ORDERS)
    for ours, theirs in columns.items():
        if ours not in wanted:
            raise DataError(f"unknown column {ours!r}", where="columns", fix=did_you_mean(ours, wanted))
        if theirs not in table.column_names:
            fix = did_you_mean(theirs, table.column_names)
            raise DataError(f"there is no column {theirs!r} that could be read as {ours}", where=name, fix=fix)
    named = {ours: columns.get(ours, ours) for ours in wanted}
    for ours in ("user_id", "item_id"):
        if named[ours] not in table.column_names:
            there = ", ".join(table.column_names)
            fix = f'If one of them holds it, name it: columns={{"{ours}": "..."}}.'
            raise DataError(f"there is no column {ours!r}; the columns are: {there}", where=name, fix=fix)
    return pa.table({ours: table.column(theirs) for ours, theirs in named.items() if theirs in table.column_names})


def _find_ids(column: pa.ChunkedArray, name: str, known: pa.Array, place: FramePlace) -> Int64:
    """int64[N]: the index of each id, -1 where it is not known."""
    ids = parse_ids(column, name, place)
    found = pc.index_in(ids.dictionary, known.cast(ids.dictionary.type)).fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(found[ids.indices.to_numpy(zero_copy_only=False)], dtype=np.int64)


def _refuse_double_ranks(users: Int64, rank: Float64, place: FramePlace) -> None:
    order = np.lexsort((rank, users))
    same = (np.diff(users[order]) == 0) & (np.diff(rank[order]) == 0) & (users[order][1:] >= 0)
    if same.any():
        row = int(order[1:][same].max())
        what = f"two items of this user have the rank {rank[row]:g}"
        raise DataError(
            what, where=place.where(row, "rank"), fix="Ranks must be 1, 2, 3 ...; only scores may have ties."
        )


def _note_users(users: Int64, cases: Cases, dataset: Dataset, name: str, notes: list[str]) -> None:
    """What does not fit: rows of unknown users, of users who are not asked, queries without a list.

    Raises:
        DataError: not one of the users is known or asked.
    """
    asked = np.unique(cases.queries.users)
    there = np.unique(users[users >= 0])
    if not len(np.intersect1d(there, asked)):
        what = f"no list is for one of the {len(asked):,} users of the test part"
        example = dataset.users.column("user_id")[int(asked[0])].as_py()
        raise DataError(what, where=name, fix=f"Ids must match as text, such as {example!r}.")
    if unknown := int((users < 0).sum()):
        notes.append(f"{name}: {count_words(unknown, 'row')} of users who are not in the data are left out")
    if elsewhere := len(np.setdiff1d(there, asked)):
        notes.append(f"{name}: {count_words(elsewhere, 'user')} who are not in the test part are left out")
    if without := len(np.setdiff1d(asked, there)):
        notes.append(f"{name}: {without:,} of {len(asked):,} test users have no list and count as misses")


def _first_of_each(keys: Int64) -> npt.NDArray[np.intp]:
    """Ascending positions of the first of equal keys."""
    return np.sort(np.unique(keys, return_index=True)[1])


def count_words(count: int, word: str) -> str:
    """``1 row`` or ``1,200 rows``."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
