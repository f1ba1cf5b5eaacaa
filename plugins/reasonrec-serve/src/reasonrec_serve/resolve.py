"""A request, looked up in a data set: users, items and conditions by name become indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from reasonrec_core.data.catalog import Catalog
from reasonrec_core.data.dataset import Dataset
from reasonrec_core.errors import ConfigError, DataError
from reasonrec_core.types import Bool, Edits, History, Int32, QueryBatch, Task
from reasonrec_serve.item_filter import ItemFilter
from reasonrec_serve.limits import Limits
from reasonrec_serve.request import Id, Request

SUGGESTED, SHOWN = 3, 20
"""Names in a message: that are like the one given, and of all."""


@dataclass(frozen=True)
class Resolved:
    """A request as components see it.

    Attributes:
        request: as it was made.
        batch: of one query; its candidates are those that may be recommended.
        limits: what may be recommended.
        skipped: part of the request -> how many of its ids are unknown.
        known_user: whether the user that was named is known; None where none was named.
    """

    request: Request
    batch: QueryBatch
    limits: Limits
    skipped: Mapping[str, int]
    known_user: bool | None


def resolve(dataset: Dataset, request: Request, fields: ItemFilter) -> Resolved:
    """Look up what a request names.

    Raises:
        ConfigError: a condition that cannot be asked of the items.
        DataError: there are no candidates to rank.
    """
    index = -1 if request.user is None else dataset.user_index.get(str(request.user), -1)
    past = _find_history(dataset, request, index)
    limits, skipped = resolve_limits(dataset.catalog, request, fields)
    listed = None
    if request.candidates is not None:
        if not request.candidates:
            raise DataError("there are no candidates to rank", where="--candidates")
        found, unknown = dataset.catalog.known(list(dict.fromkeys(map(str, request.candidates))))
        skipped |= {"candidates": unknown} if unknown else {}
        listed = limits.candidates(found)[None]
    most = dataset.n_items if listed is None else listed.shape[1]
    assert isinstance(request.task, Task)
    context, unknown = read_context(dataset.context, request.context)
    skipped |= {"context": unknown} if unknown else {}
    user = np.array([index], np.int32)
    batch = QueryBatch(request.task, user, past, min(request.k, most), listed, context=context)
    return Resolved(request, batch, limits, skipped, None if request.user is None else index >= 0)


def read_context(known: Mapping[str, Sequence[str]], given: Mapping[str, Id]) -> tuple[Int32 | None, int]:
    """int32[1, X] codes of what is given, and how many of its values the data do not have; None where nothing is given.

    Raises:
        ConfigError: the data have no such context.
    """
    if wrong := [name for name in given if name not in known]:
        there = f"There are: {', '.join(known)}." if known else "The data have no context: see [data] context."
        raise ConfigError(f"there is no context {wrong[0]!r}", where="--context", fix=there)
    codes = [
        [*values].index(str(given[name])) + 1 if given.get(name) in values else 0 for name, values in known.items()
    ]
    return (np.array([codes], np.int32) if given else None), len(given) - int(np.count_nonzero(codes))


def _find_history(dataset: Dataset, request: Request, user: int) -> History:
    """The history that is given, else the user's log; empty for somebody new."""
    if request.history is not None:
        found, skipped = dataset.catalog.known([str(each) for each in request.history])
        return History.of([found.tolist()], skipped=skipped)
    if user < 0:
        return History.of([[]])
    log = dataset.interactions
    low, high = np.searchsorted(log.users, [user, user + 1])
    return History(np.array([0, high - low]), log.items[low:high], log.times[low:high])


def resolve_limits(catalog: Catalog, request: Request, fields: ItemFilter) -> tuple[Limits, dict[str, int]]:
    """What may be recommended, and how many ids of ``exclude`` and ``only`` are unknown.

    Raises:
        ConfigError: a condition that cannot be asked of the items.
    """
    allowed: Bool | None = None
    skipped: dict[str, int] = {}
    if request.only is not None:
        found, unknown = catalog.known([str(each) for each in request.only])
        skipped |= {"only": unknown} if unknown else {}
        allowed = np.zeros(len(catalog), np.bool_)
        allowed[found] = True
    if request.where:
        fits = fields.match(request.where)
        allowed = fits if allowed is None else allowed & fits
    if request.exclude:
        found, unknown = catalog.known([str(each) for each in request.exclude])
        skipped |= {"exclude": unknown} if unknown else {}
        allowed = np.ones(len(catalog), np.bool_) if allowed is None else allowed.copy()
        allowed[found] = False
    return Limits(allowed, request.include_seen), skipped


def resolve_edits(
    labels: Mapping[str, tuple[str, ...]], batch: QueryBatch, catalog: Catalog, request: Request
) -> Edits:
    """The edits of a batch of one, from names.

    Args:
        labels: what can be assumed, by item field (`EditablePolicy.labels`).
        batch: the request.
        catalog: the items.
        request: with ``assume`` (item field -> label) and ``ignore`` (items of the history; every occurrence counts).

    Raises:
        ConfigError: no such field or label.
        DataError: an item that is not in the history.
    """
    relevance, ignore = None, [str(each) for each in request.ignore]
    if ignore:
        past = [catalog.ids[i] for i in batch.history.items.tolist()]
        for name in ignore:
            if name not in past:
                what = f"item {name!r} is not in the history" if past else "the history is empty: nothing to ignore"
                raise DataError(what, where="--ignore", fix=_suggest(name, list(dict.fromkeys(past))))
        relevance = np.array([item not in set(ignore) for item in past], dtype=np.float32)
    chosen = {}
    assume = request.assume or {}
    if assume and not labels:
        raise ConfigError("the policy infers no item field, so none can be assumed", where="--assume")
    for name, label in assume.items():
        field = find_name(name, list(labels), "item field to assume")
        chosen[field] = np.array(
            [labels[field].index(find_name(label, labels[field], f"label of {field!r}"))], np.int32
        )
    return Edits(relevance, chosen)


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
    raise ConfigError(f"there is no {what} {name!r}", where="--assume", fix=_suggest(name, known))


def _suggest(name: str, known: Sequence[str]) -> str:
    lower = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), lower, n=SUGGESTED, cutoff=0.6)
    near += [each for each in lower if name.casefold() in each and each not in near]
    if near:
        return f"Did you mean {' or '.join(repr(lower[each]) for each in near[:SUGGESTED])}?"
    if not known:
        return ""
    rest = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"There are: {', '.join(known[:SHOWN])}{rest}."
