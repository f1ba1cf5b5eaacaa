"""Answering requests from a finished run: raw ids in, raw ids, titles, reasons and confidence out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from reasonrec_core.components import Kind, Reporter, RequestWatcher
from reasonrec_core.errors import ConfigError
from reasonrec_core.pipeline import FinishedRun, Outcome
from reasonrec_core.types import Bool, Int64, QueryBatch
from reasonrec_serve.answer import Answer
from reasonrec_serve.batch import CHUNK, UserList, iterate_batches, read_batch_request
from reasonrec_serve.diversity import choose_depth, diversify
from reasonrec_serve.edited import answer_edited
from reasonrec_serve.final_models import choose_models
from reasonrec_serve.item_filter import ItemFilter
from reasonrec_serve.likeness import ItemLikeness
from reasonrec_serve.limits import Limits, act_within, without_certainty
from reasonrec_serve.request import Id, Request, read_k, read_path
from reasonrec_serve.resolve import resolve
from reasonrec_serve.similar import ItemNeighbours, Similar
from reasonrec_serve.text_query import TextQueries
from reasonrec_serve.wording import word_answer

if TYPE_CHECKING:
    from reasonrec_core.registry import Registry


TRACE = "trace"
"""The reporter that keeps requests."""


class Recommender(FinishedRun):
    """A finished run, ready to answer.

    Attributes:
        on_answer: is told of every request that was answered without edits (`RequestWatcher`); None where nobody is.
    """

    on_answer: RequestWatcher | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        registry: Registry | None = None,
        *,
        trace: bool | None = None,
        models: str | None = None,
    ) -> Recommender:
        """Load what a run has fitted; no encoder is loaded, item features are memory-mapped.

        The catalogue is that of the fit, longer by what was imported into the run since.

        Args:
            path: the run folder.
            registry: where components are found.
            trace: whether requests leave a trace (`Reporter.watch`); as the run's settings say if None.
            models: "final" (`reasonrec_serve.final_models`) or "evaluated"; the final ones where there are any if None.

        Raises:
            RunError: final models are wanted, and there are none, or they belong to an earlier fit.
            ConfigError: a trace is wanted, and reasonrec-trace is not installed or cannot write it.
        """
        service = cls.load(read_path(path), registry, choose_models(models))
        service.on_answer = service.find_watcher(trace)
        return service

    def find_watcher(self, trace: bool | None = None) -> RequestWatcher | None:
        """Who is told of requests (`Reporter.watch`), None where nobody is.

        Args:
            trace: whether requests leave a trace; as the run's settings say if None.

        Raises:
            ConfigError: a trace is wanted, and reasonrec-trace is not installed or cannot write it.
        """
        settings, registry = self.config.trace_settings, self.agent.registry
        if not (settings.get("requests") if trace is None else trace):
            return None  # the reporter, which takes long to import, is not even loaded
        settings = {**settings, "requests": True}
        reporter: Reporter[Any] = registry.create(Kind.REPORTER, TRACE, settings, where=TRACE)
        with registry.guard(Kind.REPORTER, TRACE, "watch"):
            return reporter.watch(self)

    def recommend(self, **fields: Any) -> Answer:
        """Answer one request, made of the fields of `Request`: ``recommend(user=42, k=5, exclude=["a"])``.

        Raises:
            ConfigError: a field that there is not; the request contradicts itself or has a value of no use, or the
                policy cannot be edited so.
            DataError: no candidates, or an ignored item that is not in the history.
        """
        if unknown := sorted(fields.keys() - Request.__dataclass_fields__.keys()):
            known = ", ".join(Request.__dataclass_fields__)
            raise ConfigError(f"a request has no {unknown[0]!r}", where="recommend", fix=f"There are: {known}.")
        return self.answer(Request(**fields))

    def answer(self, request: Request) -> Answer:
        """Answer one request; with ``assume`` or ``ignore`` from the policy's edited steps, without routing.

        What the request rules out is left out before the best ``k`` are taken (`reasonrec_serve.limits`). Items of the
        history are not recommended again unless ``include_seen``, so a history of the whole catalogue leaves nothing.

        With ``query`` a delegate that reads text answers, without routing.

        Raises:
            ConfigError: a condition that cannot be asked of the items, the policy cannot be edited so, or nobody reads
                text.
            DataError: no candidates, or an ignored item that is not in the history.
        """
        resolved = resolve(self.dataset, request, self.item_filter)
        if request.edited:
            return answer_edited(self, resolved)
        if request.query is not None:
            return self.text_queries.answer(resolved)
        outcome, changed = self.act(resolved.batch, resolved.limits, request.diversity)
        if self.on_answer is not None:
            self.on_answer(resolved.batch, outcome, None if request.user is None else str(request.user))
        return word_answer(self, resolved, outcome, limited=bool(changed[0]))

    def act(self, batch: QueryBatch, limits: Limits, diversity: float) -> tuple[Outcome, Bool]:
        """Answer a batch within limits, diversely; bool[B]: where other items are the first for that."""
        if not diversity:
            return act_within(self.agent, batch, limits, self.cutoff)
        begin = time.perf_counter()
        deep = replace(batch, k=self.choose_depth(batch))
        outcome, changed = act_within(self.agent, deep, limits, self.cutoff)
        ranking = diversify(outcome.ranking, self.likeness_to_diversify, diversity, batch.k)
        answered = ~outcome.decisions.abstained
        outcome = replace(outcome, ranking=ranking, seconds=time.perf_counter() - begin)
        return without_certainty(outcome, answered), changed | answered

    def recommend_batch(
        self,
        users: str | Iterable[Id] = "all",
        k: int = 10,
        *,
        size: int = CHUNK,
        because: bool = False,
        **limits: Any,
    ) -> Iterator[pa.Table]:
        """Answer one request for many users, by batches.

        Args:
            users: raw ids, each answered once, in their order; or "all", in the order of their ids. Somebody new gets
                an answer that is not personalised.
            k: how many items each gets, at most.
            size: users in a table.
            because: whether to work out what each item is recommended for; users are answered one by one then.
            limits: ``exclude``, ``only``, ``where``, ``include_seen``, ``diversity`` and ``context`` of a `Request`.

        Yields:
            a row per item (`reasonrec_serve.batch.COLUMNS`); who gets no item has no row.

        Raises:
            ConfigError: a part of the request that is of no use, or differs from user to user.
            DataError: nobody is named.
        """
        request, named = read_batch_request(k, limits), UserList.of(self.dataset, users)
        return iterate_batches(self, named, request, read_k(size), because=because)

    def similar(
        self,
        item: Id,
        *,
        k: int = 10,
        by: str | None = None,
        exclude: Iterable[Id] = (),
        only: Iterable[Id] | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Similar:
        """Items that are like an item, and what they share.

        Args:
            item: raw id.
            k: how many are wanted; no more than are known to be alike.
            by: "content" (encoded text and pictures, else labels), "together" (users who took both), the label of a
                policy or delegate with item vectors, or of any delegate (what it recommends after this item alone). The
                best that knows the item if None.
            exclude: raw ids of items that are not wanted.
            only: raw ids of the items that may be named, all if None.
            where: conditions on item fields, as in a `Request`.

        Raises:
            ConfigError: a way that there is not, or a condition that cannot be asked of the items.
            DataError: an unknown item.
        """
        request = Request(history=(), k=k, exclude=exclude, only=only, where={} if where is None else where)
        return self.neighbours.find(item, request.k, by, request)

    @cached_property
    def text_queries(self) -> TextQueries:
        """Answers words."""
        return TextQueries(self)

    @cached_property
    def neighbours(self) -> ItemNeighbours:
        """Finds items that are alike."""
        return ItemNeighbours(self)

    @cached_property
    def item_names(self) -> tuple[pa.Array, pa.Array]:
        """Raw ids and titles of all items."""
        catalog = self.dataset.catalog
        return pa.array(catalog.ids, pa.string()), pa.array(catalog.titles, pa.string())

    @cached_property
    def item_counts(self) -> Int64:
        """int64[n_items]: how often each item was chosen."""
        return np.bincount(self.dataset.interactions.items, minlength=self.dataset.n_items).astype(np.int64)

    @cached_property
    def cutoff(self) -> int:
        """How many first items confidence is about."""
        return max(self.config.evaluate.k)

    @cached_property
    def item_filter(self) -> ItemFilter:
        """Conditions on the items' fields."""
        return ItemFilter(self.dataset.catalog)

    @cached_property
    def likeness(self) -> ItemLikeness:
        """What items are compared by."""
        return ItemLikeness.of(self.agent.items.features, self.dataset.catalog)

    @property
    def likeness_to_diversify(self) -> ItemLikeness:
        """What lists are made less alike by.

        Raises:
            ConfigError: nothing is known of the items.
        """
        if not self.likeness:
            what = "diversity needs item features or fields, but there are none"
            raise ConfigError(what, where="--diversity", fix="Encode their text or pictures, or give items fields.")
        return self.likeness

    def choose_depth(self, batch: QueryBatch) -> int:
        """How many of the best items a diverse list is chosen from."""
        most = self.dataset.n_items if batch.candidates is None else batch.candidates.shape[1]
        return choose_depth(batch.k, most)
