"""The evaluation loop: ask a system in batches, check every answer, score all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from threading import Event, local
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from reasonrec_core.components import MetricInfo
from reasonrec_core.errors import DataError, PluginError, ReasonRecError
from reasonrec_core.evaluate.ctr_metrics import CLICK_METRICS, Clicks
from reasonrec_core.evaluate.metrics import compute_list_metrics
from reasonrec_core.evaluate.ranking_metrics import RANKING_METRICS, RankedLists, drop_invalid, find_hits
from reasonrec_core.evaluate.scores import Scores, score_clicks, user_units
from reasonrec_core.types import Cases, Float32, Int64, Progress, QueryBatch, Ranking
from reasonrec_core.validation import HistoryMask, among, check_probability, check_ranking

T = TypeVar("T")


def evaluate_ranking(
    answer: Callable[[QueryBatch], Ranking],
    cases: Cases,
    ks: Sequence[int] = (5, 10),
    *,
    n_items: int,
    item_counts: Int64 | None = None,
    chunk: int = 256,
    threads: int = 2,
    progress: Progress | None = None,
    name: str | None = None,
    sampled: str | None = None,
    metrics: Sequence[MetricInfo] = RANKING_METRICS,
) -> Scores:
    """Ask for the best ``max(ks) + 1`` items of every query and score the answers.

    Memory: the answers, and what the system needs for ``threads * chunk`` queries at a time; never users x items.

    Args:
        answer: the system: a `Ranking` for a batch (one row per query, at most ``batch.k`` columns).
        cases: test queries with targets; `Task.SEQUENTIAL` or `Task.DIRECT`.
        ks: cutoffs.
        n_items: size of the catalogue.
        item_counts: int64[n_items] training interactions per item, for novelty; None leaves it out.
        chunk: queries per call.
        threads: Python threads that call ``answer``, each with one BLAS thread; 1 for a system that is not thread-safe.
        progress: called as ``progress(done, total, label)`` in queries.
        name: of the system, for messages.
        metrics: what is computed.
        sampled: how candidates were drawn, e.g. ``uni99`` (the default under `Task.DIRECT` with 100 candidates).

    Raises:
        DataError: there is nothing to evaluate.
        PluginError: the system failed or broke its contract.
    """
    deepest = _deepest(ks)
    items = np.full((len(cases), deepest + 1), -1, np.int32)
    scores = np.full((len(cases), deepest + 1), -np.inf, np.float32)
    memory = local()

    def work(start: int, batch: QueryBatch) -> None:
        if not hasattr(memory, "mask"):
            memory.mask = HistoryMask()
        ranking = _ask(lambda q: check_ranking(answer(q), q, n_items, memory.mask), batch, start, name)
        place = (slice(start, start + len(batch)), slice(0, ranking.items.shape[1]))
        items[place], scores[place] = ranking.items, ranking.scores

    started = time.perf_counter()
    run_batches(work, replace(cases.queries, k=deepest + 1), chunk, threads, progress, name)
    return score_ranking(
        Ranking(items, scores),
        cases,
        ks,
        n_items=n_items,
        item_counts=item_counts,
        seconds=time.perf_counter() - started,
        sampled=sampled,
        metrics=metrics,
    )


def score_ranking(
    ranking: Ranking,
    cases: Cases,
    ks: Sequence[int] = (5, 10),
    *,
    n_items: int,
    item_counts: Int64 | None = None,
    seconds: float = 0.0,
    sampled: str | None = None,
    metrics: Sequence[MetricInfo] = RANKING_METRICS,
) -> Scores:
    """Score lists made elsewhere: a routed system's, or text that a language model generated.

    Items outside the catalogue (or the candidates) and repeats are dropped and counted, the rest moves up, missing
    places count as misses. Lists without scores of their own must say their order: give ``-place`` as score, since
    equal scores count as ties. Lists one place longer than ``max(ks)`` make ties exact (see `relevance.find_hits`).

    Raises:
        DataError: there is nothing to evaluate, or the ranking has another number of rows than there are cases.
    """
    deepest = _deepest(ks)
    if not len(cases):
        raise DataError("there are no requests to evaluate", fix="Check the split: its test part is empty.")
    if len(ranking) != len(cases) or ranking.items.shape != ranking.scores.shape:
        shapes = f"items {list(ranking.items.shape)}, scores {list(ranking.scores.shape)}"
        raise DataError(f"the ranking has {shapes} for {len(cases)} queries")
    items = ranking.items.astype(np.int32, copy=False)
    scores = ranking.scores.astype(np.float32, copy=False)
    real = items != -1
    least = np.minimum.accumulate(np.where(real, scores, np.inf), axis=1)  # NaN propagates
    if not (scores[:, 1:] <= least[:, :-1])[real[:, 1:]].all() or np.isnan(scores[real]).any():
        raise DataError("the ranking's scores are not descending or hold NaN", fix="Rank best first.")
    candidates = cases.queries.candidates
    valid = (items >= -1) & (items < n_items)
    if candidates is not None:
        valid &= among(items, candidates) | (items == -1)
    if sampled is None:
        sampled = f"uni{candidates.shape[1] - 1}" if candidates is not None else ""
    ranking, invalid, repeated = drop_invalid(Ranking(items, scores), valid)
    hits = find_hits(ranking, cases, deepest)
    lists = RankedLists(ranking, cases, hits, n_items, item_counts)
    made = compute_list_metrics(lists, ks, metrics, sampled)
    possible = min(deepest, n_items if candidates is None else candidates.shape[1])
    short = int(((ranking.items[:, :possible] >= 0).sum(axis=1) < possible).sum())
    return Scores(
        cases.queries.task,
        cases.queries.users,
        made.per_query,
        made.overall,
        ranking,
        np.where(hits.first <= deepest, hits.first, 0).astype(np.int32),
        counts={"invalid": invalid, "repeated": repeated, "short": short},
        seconds=seconds,
        sampled=sampled,
        totals=made.totals,
        added=made.added,
    )


def score_ctr(
    probability: Float32, cases: Cases, *, seconds: float = 0.0, metrics: Sequence[MetricInfo] = CLICK_METRICS
) -> Scores:
    """Score click probabilities made elsewhere: float32[B, C] in [0, 1] where the cases have candidates."""
    check_probability(probability, cases.queries)
    clicks = Clicks.of(cases, probability, user_units(cases.queries.users))
    if not len(clicks.query):
        raise DataError("there are no clicks to evaluate", fix="Check the split: its test part is empty.")
    return score_clicks(clicks, cases.queries.users, metrics, seconds)


def _ask(answer: Callable[[QueryBatch], T], batch: QueryBatch, start: int, name: str | None) -> T:
    """The system's checked answer; whatever it raises becomes a `PluginError` that says whose it was."""
    try:
        return answer(batch)
    except ReasonRecError as error:
        if error.where is not None or name is None:
            raise
        raise type(error)(error.what, where=name, fix=error.fix) from error
    except Exception as error:
        what = f"failed on requests {start} to {start + len(batch) - 1} with {type(error).__name__}: {error}"
        raise PluginError(what, where=name, fix="Run with --debug for the traceback.") from error


def _deepest(ks: Sequence[int]) -> int:
    """The largest cutoff; cutoffs are at least 1."""
    if not ks or min(ks) < 1:
        raise DataError(f"cut-offs must be whole numbers of at least 1, not {list(ks)}")
    return max(ks)


def run_batches(
    work: Callable[[int, QueryBatch], None],
    queries: QueryBatch,
    chunk: int,
    threads: int,
    progress: Progress | None,
    name: str | None,
) -> None:
    """Call ``work(position of the first query, batch)`` on consecutive batches; the first error stops all.

    Args:
        work: what to do; its result is ignored.
        queries: all of them.
        chunk: queries per batch.
        threads: Python threads, each with one BLAS thread; with 1, BLAS keeps its own threads.
        progress: called as ``progress(done, total, label)`` in queries.
        name: for the label, ``evaluate NAME``.

    Raises:
        DataError: there are no queries.
    """
    total, label = len(queries), f"evaluate {name}" if name else "evaluate"
    if not total:
        raise DataError("there are no requests to evaluate", fix="Check the split: its test part is empty.")
    chunk = max(chunk, 1)
    threads = max(min(threads, -(-total // chunk)), 1)

    failed = Event()

    def one(start: int) -> int:
        if failed.is_set():  # in another thread: its error is about to be raised
            return 0
        try:
            work(start, queries.slice(start, min(start + chunk, total)))
        except BaseException:
            failed.set()
            raise
        return min(chunk, total - start)

    done = 0
    with ExitStack() as stack:
        run: Callable[..., Any] = map
        if threads > 1:
            # One BLAS thread per Python thread: BLAS threads of two callers would fight for the cores. OpenBLAS and
            # MKL take the limit for the process; OpenMP for the calling thread, so each worker sets its own.
            controller = find_thread_pools()
            stack.enter_context(controller.limit(limits=1))
            pool = ThreadPoolExecutor(threads, initializer=lambda: controller.select(user_api="openmp").limit(limits=1))
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            run = pool.map
        for size in run(one, range(0, total, chunk)):
            done += size
            if progress is not None:
                progress(done, total, label)


def find_thread_pools() -> ThreadpoolController:
    """The BLAS and OpenMP libraries of this process.

    Finding them takes longer than a small fit, so it is done once per set of modules.
    """
    return _find_thread_pools(len(sys.modules))


@lru_cache(maxsize=1)
def _find_thread_pools(modules: int) -> ThreadpoolController:
    return ThreadpoolController()
