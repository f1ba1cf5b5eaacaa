"""How much joining lists could gain in benchmarks/routing.py: everybody's, by a model that is fitted for it.

A conditional logit over all listed items (McFadden, 1974): which item of a query is the target, by each system's rank
and score of it. It may weigh many systems at once and is cross-fitted over validation queries, so it is about as good
as any fixed fusion of these lists can be.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from routing_answers import POLICY, STUDENT, TOP, Bank
from scipy.optimize import minimize

from reasonrec_core.routing.budget import relative_difference
from reasonrec_core.types import Ranking

LISTED, FOLDS, PENALTY, RESAMPLES = 20, 5, 0.01, 1000
MASSES = (POLICY, STUDENT, "profile", "transitions")
"""Systems whose scores are masses: their logarithms are compared."""


@dataclass
class Listed:
    """All items that somebody lists, query after query.

    Attributes:
        rows: int64[N] query of each.
        known: float64[N, 3 S], of each system: log rank (0 = not listed), reciprocal rank, score above its last one.
        target: bool[N].
    """

    rows: np.ndarray
    known: np.ndarray
    target: np.ndarray

    @classmethod
    def of(cls, ranked: dict[str, Ranking], targets: np.ndarray, n_items: int) -> Listed:
        start = (np.arange(len(targets)) * n_items)[:, None]
        keys = np.unique(np.concatenate([(start + r.items)[r.items >= 0] for r in ranked.values()]))
        rows, columns = keys // n_items, []
        for system, ranking in ranked.items():
            own = np.where(ranking.items >= 0, start + ranking.items, -1).ravel()
            order = np.argsort(own, kind="stable")
            at = order[np.minimum(np.searchsorted(own[order], keys), len(own) - 1)]
            there = own[at] == keys
            rank = np.where(there, at % ranking.items.shape[1], LISTED) + 1.0
            said = np.where(ranking.items >= 0, ranking.scores, np.nan).astype(np.float64)
            said = np.log(np.maximum(said, 1e-8)) if system in MASSES else said
            above = np.where(there, np.nan_to_num(said - np.nanmin(said, axis=1, keepdims=True)).ravel()[at], 0.0)
            columns += [np.log((LISTED + 1) / rank), there / rank, above / (above.std() + 1e-9)]
        return cls(rows, np.stack(columns, axis=1), keys % n_items == targets[rows])

    def take(self, kept: np.ndarray) -> Listed:
        return Listed(self.rows[kept], self.known[kept], self.target[kept])

    def quality(self, scores: np.ndarray, queries: int) -> np.ndarray:
        """float64[B] NDCG@10 if items are ranked by these scores, ties against the target."""
        made, own = np.zeros(queries), np.full(queries, np.inf)
        asked = self.rows[self.target]
        own[asked] = scores[self.target]
        rank = np.bincount(self.rows, scores >= own[self.rows], queries)[asked]
        made[asked] = np.where(rank <= TOP, 1 / np.log2(rank + 1), 0.0)
        return made

    def fit(self) -> np.ndarray:
        """Weights of greatest likelihood, on queries whose target somebody lists."""
        some = self.take(np.isin(self.rows, self.rows[self.target]))
        begins = np.r_[True, some.rows[1:] != some.rows[:-1]]
        first, group = np.flatnonzero(begins), np.cumsum(begins) - 1

        def cost(weights: np.ndarray) -> tuple[float, np.ndarray]:
            scores = some.known @ weights
            share = np.exp(scores - np.maximum.reduceat(scores, first)[group])
            share /= np.add.reduceat(share, first)[group]
            slope = some.known[some.target].mean(axis=0) - (share @ some.known) / len(first)
            loss = -np.log(share[some.target]).mean()
            return loss + PENALTY * weights @ weights, 2 * PENALTY * weights - slope

        start = np.zeros(some.known.shape[1])
        return np.asarray(minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x)


def ceiling(bank: Bank) -> dict[str, Any]:
    """On the coldest quarter of validation: everybody joined, against the policy and the best of the others."""
    cases, horizon = bank.cases("valid"), bank.horizon("valid")
    cold = np.flatnonzero(horizon >= np.quantile(horizon, 0.75))
    cases, size = cases.take(cold), len(cold)
    ranked = {label: bank.ranking(label, "valid", LISTED).take(cold) for label in bank.systems}
    listed = Listed.of(ranked, cases.targets, bank.bench.dataset.n_items)
    alone = {s: listed.quality(listed.known[:, 3 * i], size) for i, s in enumerate(ranked)}
    fold = np.random.default_rng(0).integers(0, FOLDS, size)
    joined = np.zeros(size)
    for left_out in range(FOLDS):
        held = fold[listed.rows] == left_out
        weights = listed.take(~held).fit()
        joined += np.where(fold == left_out, listed.quality(listed.known @ weights, size), 0.0)
    best = max((s for s in alone if s != bank.policy), key=lambda s: float(alone[s].mean()))
    users = cases.queries.users.astype(np.int64)
    return {
        "n": size,
        "systems": {label: float(values.mean()) for label, values in alone.items()},
        "listed": float(listed.target.sum() / size),
        "joined": float(joined.mean()),
        "best": best,
        "against policy": asdict(relative_difference(joined, alone[bank.policy], users, seed=0, resamples=RESAMPLES)),
        "against best": asdict(relative_difference(joined, alone[best], users, seed=0, resamples=RESAMPLES)),
    }
