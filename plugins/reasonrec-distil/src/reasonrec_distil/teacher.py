"""What teachers answer: the best items to each history, and each item's share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reasonrec_core.components import Delegate, FitData, ReasoningPolicy
from reasonrec_core.errors import ConfigError
from reasonrec_core.types import Float32, History, Int32, Observation, QueryBatch, Task

CHUNK = 256
FADE = 10.0
"""Ranks after which a place in a delegate's list counts e times less (HetComp's importance of ranks)."""
Answer = Callable[[QueryBatch, Observation], tuple[Int32, Float32]]


@dataclass(frozen=True)
class TeacherLists:
    """Answers to T histories.

    Attributes:
        items: int32[T, K], best first; -1 pads.
        shares: float32[T, K], not negative; a row sums to 1, or to 0 where there is no answer.
    """

    items: Int32
    shares: Float32


def ask_policies(policies: Sequence[ReasoningPolicy[Any]]) -> Answer:
    """Answers of policies like each other: the mean of their probabilities (a deep ensemble: Lakshminarayanan et al.,
    NeurIPS 2017, section 2.4), or, where they state none, of those that their ranks suggest."""

    def ask(policy: ReasoningPolicy[Any], batch: QueryBatch, observation: Observation) -> tuple[Int32, Float32]:
        found = policy.deliberate(batch, observation)
        if found.ranking is None:
            raise ConfigError("the policy gives no ranking to learn from", where="teacher")
        items = found.ranking.items
        return items, fade_ranks(items) if found.mass is None else found.mass

    def answer(batch: QueryBatch, observation: Observation) -> tuple[Int32, Float32]:
        lists = [ask(policy, batch, observation) for policy in policies]
        return lists[0] if len(lists) == 1 else merge_lists(lists, batch.k)

    return answer


def ask_delegates(delegates: Sequence[Delegate[Any]]) -> Answer:
    """Answers of several delegates together: each item's importance ``exp(-rank / T)``, summed over the lists."""

    def answer(batch: QueryBatch, observation: Observation) -> tuple[Int32, Float32]:
        lists = [delegate.recommend(batch, observation).items for delegate in delegates]
        return merge_lists([(items, fade_ranks(items)) for items in lists], batch.k)

    return answer


def fade_ranks(items: Int32) -> Float32:
    """float32[B, K]: the importance of each place of a list; 0 for padding."""
    return np.where(items < 0, 0.0, np.exp(-np.arange(items.shape[1]) / FADE)).astype(np.float32)


def merge_lists(lists: Sequence[tuple[Int32, Float32]], k: int) -> tuple[Int32, Float32]:
    """The ``k`` items of greatest summed worth, int32[B, k], and that sum, float32[B, k], of lists of both; -1 pads."""
    items = np.concatenate([each for each, _ in lists], axis=1)
    worth = np.where(items < 0, 0, np.concatenate([each for _, each in lists], axis=1))
    order = np.argsort(items, axis=1, kind="stable")
    items, worth = np.take_along_axis(items, order, axis=1), np.take_along_axis(worth, order, axis=1)
    rows, width = items.shape
    fresh = np.ones((rows, width), np.bool_)
    fresh[:, 1:] = items[:, 1:] != items[:, :-1]
    group = np.cumsum(fresh.reshape(-1)) - 1
    summed = np.zeros((rows, width), np.float32)
    summed[fresh] = np.bincount(group, worth.reshape(-1))
    best = np.argsort(-summed, axis=1, kind="stable")[:, :k]
    summed = np.take_along_axis(summed, best, axis=1)
    return np.where(summed > 0, np.take_along_axis(items, best, axis=1), -1).astype(np.int32), summed


def collect_lists(answer: Answer, history: History, depth: int, data: FitData, label: str) -> TeacherLists:
    """Ask about every row of ``history``, a batch at a time."""
    count = len(history.indptr) - 1
    items, shares = np.full((count, depth), -1, np.int32), np.zeros((count, depth), np.float32)
    task = Task.SEQUENTIAL
    batch = QueryBatch(task, np.full(count, -1, np.int32), history, k=min(depth, len(data.catalog)))
    for start, piece in batch.chunks(CHUNK):
        horizon = np.zeros(len(piece), np.float32) if data.horizon is None else data.horizon(piece)
        seen = Observation(data.observation.features, data.observation.present, horizon)
        found, mass = answer(piece, seen)
        width = min(found.shape[1], depth)
        items[start : start + len(piece), :width] = found[:, :width]
        shares[start : start + len(piece), :width] = np.where(found[:, :width] < 0, 0, mass[:, :width])
        data.progress(start + len(piece), count, label)
    total = shares.sum(axis=1, keepdims=True)
    return TeacherLists(items, np.divide(shares, total, out=np.zeros_like(shares), where=total > 0))
