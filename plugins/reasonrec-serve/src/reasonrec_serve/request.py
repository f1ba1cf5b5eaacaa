"""A request as a caller makes it, checked: what is wrong with it is said before any component sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Edits, History, QueryBatch, Task

RANKING = tuple(str(task) for task in Task if task.ranks)
Id = str | int | np.integer[Any]
"""How a caller may write an id: numbers mean their digits."""
SUGGESTED, SHOWN = 3, 20
"""Names in a message: that are like the one given, and of all."""


def read_request(
    dataset: Dataset,
    user: Id | None,
    history: Iterable[Id] | None,
    candidates: Iterable[Id] | None,
    k: int,
    task: Task | str | None,
) -> QueryBatch:
    """The batch of one that a request asks; see `Recommender.recommend`.

    Raises:
        ConfigError: the request contradicts itself, or a value is of no use as what it is given for.
        DataError: an unknown user or candidate.
    """
    if (user is None) == (history is None):
        raise ConfigError("give either a user or a history", where="recommend")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ConfigError(f"k is a whole number, at least 1 (given: {k!r})", where="recommend")
    task = _read_task(task, candidates is not None)
    catalog, index = dataset.catalog, -1
    if user is not None:
        name = read_id(user, "user")
        if name not in dataset.user_index:
            raise DataError(f"unknown user {name!r}", where="--user", fix="Give what they did: --history a,b,c.")
        index = dataset.user_index[name]
        log = dataset.interactions
        low, high = np.searchsorted(log.users, [index, index + 1])
        past = History(np.array([0, high - low]), log.items[low:high], log.times[low:high])
    else:
        found, skipped = catalog.known(read_ids(history, "history"))
        past = History.of([found.tolist()], skipped=skipped)
    listed = None if candidates is None else _read_candidates(dataset, read_ids(candidates, "candidates"))
    most = dataset.n_items if listed is None else listed.shape[1]
    return QueryBatch(task, np.array([index], np.int32), past, min(int(k), most), listed)


def read_ids(given: Iterable[Id] | None, what: str) -> list[str]:
    """Ids as text, in their order."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise ConfigError(f"{what} is a list of ids, not {given!r}", where="recommend")
    return [read_id(each, what) for each in given]


def read_id(given: object, what: str) -> str:
    """An id as text."""
    if isinstance(given, str):
        return str(given)
    if isinstance(given, int | np.integer) and not isinstance(given, bool):
        return str(int(given))
    raise ConfigError(f"{given!r} is no id", where=f"recommend: {what}", fix="Ids are text or whole numbers.")


def read_assumptions(given: Mapping[str, str] | None) -> Mapping[str, str]:
    """Labels by item field."""
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(part, str) for pair in given.items() for part in pair):
        raise ConfigError(f"assume is labels by item field, not {given!r}", where="recommend")
    return given


def read_edits(
    labels: Mapping[str, tuple[str, ...]],
    batch: QueryBatch,
    catalog: Catalog,
    assume: Mapping[str, str],
    ignore: Sequence[str],
) -> Edits:
    """The edits of a batch of one, from names.

    Args:
        labels: what can be assumed, by item field (`EditablePolicy.labels`).
        batch: the request.
        catalog: the items.
        assume: item field -> label.
        ignore: raw ids of items of the history; every occurrence is ignored.

    Raises:
        ConfigError: no such field or label.
        DataError: an item that is not in the history.
    """
    relevance = None
    if ignore:
        past = [catalog.ids[i] for i in batch.history.items.tolist()]
        for name in ignore:
            if name not in past:
                what = f"item {name!r} is not in the history" if past else "the history is empty: nothing to ignore"
                raise DataError(what, where="--ignore", fix=_suggestion(name, list(dict.fromkeys(past))))
        relevance = np.array([item not in set(ignore) for item in past], dtype=np.float32)
    chosen = {}
    if assume and not labels:
        raise ConfigError("the policy inferred no item field, so there is none to assume", where="--assume")
    for name, label in assume.items():
        field = find_name(name, list(labels), "item field to assume")
        chosen[field] = np.array(
            [labels[field].index(find_name(label, labels[field], f"label of {field!r}"))], np.int32
        )
    return Edits(relevance, chosen)


def read_path(given: str | os.PathLike[str]) -> Path:
    """The path of a run folder."""
    if isinstance(given, str | os.PathLike) and isinstance(text := os.fspath(given), str) and text:
        return Path(text)
    raise ConfigError(f"{given!r} is no path", where="Recommender.open", fix="Give the run folder as text or Path.")


def _read_task(given: Task | str | None, has_candidates: bool) -> Task:
    if given is None:
        return Task.DIRECT if has_candidates else Task.SEQUENTIAL
    if not isinstance(given, str) or given not in RANKING:
        what = f"the task {str(given)!r} asks for no ranking"
        raise ConfigError(what, where="--task", fix=f"Use {' or '.join(RANKING)}.")
    task = Task(given)
    if (task is Task.DIRECT) != has_candidates:
        raise ConfigError("direct ranks given candidates, sequential the whole catalogue", where="--task")
    return task


def _read_candidates(dataset: Dataset, names: list[str]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """int32[1, C]: each candidate once, in the order of the caller."""
    if not names:
        raise DataError("there are no candidates to rank", where="--candidates")
    unknown = [name for name in names if name not in dataset.catalog.index]
    if unknown:
        more = f", and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        fix = "Leave out what is not in the catalogue, or import it: reasonrec data import ITEMS --into RUN."
        raise DataError(f"unknown item {unknown[0]!r}{more}", where="--candidates", fix=fix)
    return np.array([[dataset.catalog.index[name] for name in dict.fromkeys(names)]], np.int32)


def find_name(name: str, known: Sequence[str], what: str) -> str:
    """The known name, whatever its case; the end of a path (``Boots`` of ``Shoes > Boots``) where only one has it."""
    wanted = name.casefold()
    for same in (
        [each for each in known if each == name],
        [each for each in known if each.casefold() == wanted],
        [each for each in known if each.casefold().endswith(f" > {wanted}")],
    ):
        if len(same) == 1:
            return same[0]
    raise ConfigError(f"there is no {what} {name!r}", where="--assume", fix=_suggestion(name, known))


def _suggestion(name: str, known: Sequence[str]) -> str:
    lower = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), lower, n=SUGGESTED, cutoff=0.6)
    near += [each for each in lower if name.casefold() in each and each not in near]
    if near:
        return f"Did you mean {' or '.join(repr(lower[each]) for each in near[:SUGGESTED])}?"
    if not known:
        return ""
    rest = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"There are: {', '.join(known[:SHOWN])}{rest}."
