"""A policy whose uncertainty is known in closed form: what estimators are tried on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reasonrec_core.components import Empty, FitData, ReasoningPolicy, pick_candidates
from reasonrec_core.ranking import rank
from reasonrec_core.types import (
    Deliberation,
    Float32,
    Float64,
    Int32,
    LazySteps,
    Observation,
    QueryBatch,
    Ranking,
    Step,
    StepKind,
)


class Habits(ReasoningPolicy[Empty]):
    """P(next item) from how often it followed the newest of the history, and how popular it is.

    The counts are those of a Dirichlet posterior: `samples` draws from it, so that the entropy of the mean, the mean
    entropy and their difference are known. An item of the history keeps its share, which nobody then holds.
    """

    evidential = True
    _counts: Float64

    def fit(self, data: FitData) -> None:
        """Count what follows what; the last row is for empty histories."""
        train, n_items = data.train, len(data.catalog)
        counts = np.ones((n_items + 1, n_items), dtype=np.float64)
        counts += np.bincount(train.items, minlength=n_items) * 0.2
        follows = train.users[1:] == train.users[:-1]
        np.add.at(counts, (train.items[:-1][follows], train.items[1:][follows]), 5.0)
        self._counts = counts

    def parameters(self, batch: QueryBatch) -> Float64:
        """float64[B, n_items]: of each query's Dirichlet."""
        return np.asarray(self._counts[self._newest(batch)])

    def distribution(self, batch: QueryBatch, observation: Observation) -> Float32:
        """The mean of the Dirichlet, history masked, and the candidates' columns where there are some."""
        counts = self.parameters(batch)
        return _asked(counts / counts.sum(axis=1, keepdims=True), batch)

    def samples(self, batch: QueryBatch, observation: Observation, items: Int32, passes: int, seed: int) -> Float32:
        """float32[T, B, K]: draws of the Dirichlet of each newest item, the same for all queries that share it."""
        newest, drawn = self._newest(batch), []
        for number in range(passes):
            random = np.random.default_rng([seed, number])
            rows = random.standard_gamma(self._counts)
            rows /= rows.sum(axis=1, keepdims=True)
            picked = np.take_along_axis(rows[newest], np.maximum(items, 0), axis=1)
            drawn.append(np.where(items < 0, 0.0, picked).astype(np.float32))
        return np.stack(drawn)

    def evidence(self, batch: QueryBatch, observation: Observation, items: Int32) -> Float32:
        """float32[B, K + 1]: what was counted of ``items`` and, last, of all others."""
        counts = self.parameters(batch)
        listed = np.where(items < 0, 0.0, np.take_along_axis(counts, np.maximum(items, 0), axis=1))
        others = counts.sum(axis=1) - listed.sum(axis=1)
        return np.concatenate([listed, others[:, None]], axis=1).astype(np.float32)

    def deliberate(self, batch: QueryBatch, observation: Observation) -> Deliberation:
        """The likeliest items, in one step."""
        probability = self.distribution(batch, observation)
        with np.errstate(divide="ignore"):
            ranking = rank(np.log(probability), batch)
        mass = np.where(ranking.items < 0, 0, np.exp(ranking.scores)).astype(np.float32)
        steps = LazySteps(len(batch), lambda row: (Step(StepKind.DECIDE, f"what follows, query {row}"),))
        best = mass[:, 0] if mass.shape[1] else np.zeros(len(batch), np.float32)
        return Deliberation(steps, best, Ranking(ranking.items, ranking.scores), mass)

    def _newest(self, batch: QueryBatch) -> npt.NDArray[np.int64]:
        newest = np.full(len(batch), len(self._counts) - 1)
        some = batch.history.lengths > 0
        newest[some] = batch.history.items[batch.history.indptr[1:][some] - 1]
        return newest


def habits(data: FitData) -> Habits:
    """The policy, fitted."""
    policy = Habits(Empty())
    policy.fit(data)
    return policy


def _asked(probability: Float64, batch: QueryBatch) -> Float32:
    asked = probability.astype(np.float32)
    if batch.candidates is None:
        asked[batch.history.rows, batch.history.items] = 0.0
        return asked
    picked = pick_candidates(asked, batch)
    picked[batch.candidates < 0] = 0.0
    return np.asarray(picked, np.float32)
