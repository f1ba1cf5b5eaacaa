"""Learning how rankings are fused, and whether: only where that gains on other queries, significantly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from reasonrec_core.ranking import compute_gain, compute_ideal_gain
from reasonrec_core.routing.budget import relative_difference, renumber_users, separate_unknown
from reasonrec_core.routing.logistic import cross_fit, unit_folds
from reasonrec_core.routing.rank_fusion import CHUNK, Form, Fusion, list_values, weigh
from reasonrec_core.types import Bool, Float32, Float64, Int32, Int64, Ranking

WEIGHTS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Of a delegate; the policy's is 1."""
CONSTANTS: Mapping[Form, tuple[float, ...]] = {"rank": (2.0, 10.0, 60.0), "score": (0.5, 1.0, 2.0)}
QUARTERS = (0.25, 0.5, 0.75)
DEPTH, MIN_CASES = 10, 200
CHOICES: tuple[tuple[Form, str], ...] = tuple(product(CONSTANTS, ("shared", "grouped")))
"""What is summed, and whether all queries share their weights or those of each quarter of the evidence horizon."""


def fit_fusion(
    rankings: Mapping[str, Ranking],
    indptr: Int64,
    targets: Int32,
    horizon: Float32,
    seed: int,
    *,
    asked: Bool | None = None,
    users: Int64 | None = None,
    resamples: int = 10_000,
) -> Fusion:
    """Learn from B validation queries.

    Every query is answered by weights, and by a choice of `CHOICES`, that are the best of the other folds of the users.
    Where the lower end of the 95 % interval of what is gained over the policy alone is not above 0, the policy stays
    alone.

    Args:
        rankings: by system, the policy first.
        indptr: int64[B + 1] row bounds into ``targets``.
        targets: int32[T] relevant items.
        horizon: float32[B].
        seed: of the folds.
        asked: bool[B] where delegates would be consulted, which is where a gain counts; everywhere if None.
        users: int64[B] whom folds and intervals keep together, -1 where unknown; all different if None.
        resamples: of the interval.

    Returns:
        Its report has mean NDCG@10 where ``asked``: ``policy``, ``fused`` (cross-fitted, the choice included), each
        choice by its name (cross-fitted weights), the relative ``gain`` with its interval, and what was ``chosen``.
    """
    size = len(horizon)
    counted = np.ones(size, np.bool_) if asked is None else asked
    users = separate_unknown(renumber_users(np.full(size, -1, np.int64) if users is None else users))
    folds = unit_folds(users, seed)
    edges = tuple(float(q) for q in np.unique(np.quantile(horizon, QUARTERS))) if size else ()
    group = np.searchsorted(np.array(edges), horizon.astype(np.float64))
    known = {form: _Cases.of(list(rankings.values()), indptr, targets, form) for form in CONSTANTS}
    alone = known["rank"].quality(np.ones(size, np.bool_), np.eye(len(rankings))[0], CONSTANTS["rank"][0])
    crossed = {choice: _cross_fit_quality(known[choice[0]], choice[1], folds, group) for choice in CHOICES}

    def choose(rest: Bool) -> Callable[[Bool], Float64]:
        best = max(CHOICES, key=lambda choice: crossed[choice][rest & counted].sum())
        return lambda rows: crossed[best][rows]

    fused = cross_fit(folds, size, choose)
    form, kind = max(CHOICES, key=lambda choice: crossed[choice][counted].sum())
    some = bool(counted.any())
    report = {
        "policy": float(alone[counted].mean()) if some else 0.0,
        "fused": float(fused[counted].mean()) if some else 0.0,
        **{f"{kind} {form}s": float(crossed[form, kind][counted].mean()) for form, kind in CHOICES if some},
        "queries": int(counted.sum()),
        "chosen": "policy",
    }
    gained = (
        relative_difference(fused[counted], alone[counted], users[counted], seed=seed, resamples=resamples)
        if some
        else None
    )
    report["gain"] = None if gained is None else asdict(gained)
    if gained is None or not gained.low > 0:
        alone_weight = {"weights": np.ones((1, 1)), "constants": np.array([CONSTANTS["rank"][0]])}
        return Fusion(systems=tuple(rankings)[:1], edges=(), **alone_weight, report=report)
    if kind == "shared":
        edges, group = (), np.zeros(size, np.intp)
    found = [known[form].best(group == each) for each in range(len(edges) + 1)]
    weights = np.stack([each for each, _ in found])
    used = [bool((column > 0).any()) for column in weights.T]  # the policy always is
    systems = tuple(label for label, kept in zip(rankings, used, strict=True) if kept)
    constants = np.array([constant for _, constant in found])
    report["chosen"] = f"{kind} {form}s"
    kept = {"systems": systems, "edges": edges, "weights": weights[:, used], "constants": constants}
    return Fusion(**kept, report=report, form=form)


def _cross_fit_quality(
    known: _Cases, kind: str, folds: list[tuple[Bool, Bool]], group: npt.NDArray[np.intp]
) -> Float64:
    """float64[B]: quality of every query by weights that were learned from the other folds."""

    def fit(rest: Bool) -> Callable[[Bool], Float64]:
        if kind == "shared":
            return lambda rows: known.quality(rows, *known.best(rest))
        best = {each: known.best(rest & (group == each)) for each in np.unique(group)}

        def predict(rows: Bool) -> Float64:
            made = np.empty(len(rows))
            for each, found in best.items():
                made[rows & (group == each)] = known.quality(rows & (group == each), *found)
            return made[rows]

        return predict

    return cross_fit(folds, len(group), fit)


@dataclass(frozen=True)
class _Cases:
    """Everything listed for B queries (`list_values`), relevant entries as positions, and the ideal DCG of each."""

    items: Int32
    values: Float64
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    ideal: Float64
    form: Form

    @classmethod
    def of(cls, rankings: list[Ranking], indptr: Int64, targets: Int32, form: Form) -> _Cases:
        size = len(rankings[0])
        chunks = [slice(start, start + CHUNK) for start in range(0, size, CHUNK)]
        pieces = [list_values([Ranking(r.items[c], r.scores[c]) for r in rankings], form) for c in chunks]
        items, values = (np.concatenate(part) for part in zip(*pieces, strict=True))
        counts = np.diff(indptr)
        row_of = np.repeat(np.arange(len(counts)), counts)
        hits = (items[row_of] == targets[:, None]) & (items[row_of] >= 0)
        at, columns = np.nonzero(hits)
        discount = compute_ideal_gain(DEPTH)
        return cls(items, values, row_of[at], columns, discount[np.clip(counts, 1, DEPTH)], form)

    def quality(self, mask: Bool, weights: Float64, constant: float) -> Float64:
        """float64: NDCG@10 of the queries in ``mask``."""
        some = mask[self.rows]
        rows, columns = self.rows[some], self.columns[some]
        gained = np.zeros(len(mask))
        if len(rows):
            at, inverse = np.unique(rows, return_inverse=True)
            shared, constants = np.tile(weights, (len(at), 1)), np.full(len(at), constant)
            fused = weigh(self.items[at], self.values[at], shared, constants, self.form)
            own = fused[inverse, columns]
            before = np.arange(fused.shape[1]) < columns[:, None]  # of equal sums the first column, as `Fusion` does
            above = (fused[inverse] > own[:, None]) | ((fused[inverse] == own[:, None]) & before)
            rank = 1 + above.sum(axis=1)
            counted = (own > 0) & (rank <= DEPTH)
            np.add.at(gained, rows[counted], compute_gain(rank[counted]))
        return np.asarray((gained / self.ideal)[mask])

    def best(self, mask: Bool) -> tuple[Float64, float]:
        """Weights and ``c`` of the best mean quality, by coordinate search; the policy alone for few queries."""
        size = self.values.shape[2]
        found = (np.eye(size)[0], CONSTANTS[self.form][0])
        if mask.sum() < MIN_CASES:
            return found
        score = float(self.quality(mask, *found).sum())
        for constant in CONSTANTS[self.form]:
            weights = np.eye(size)[0]
            for _ in range(2):
                for system in range(1, size):
                    tried = np.tile(weights, (len(WEIGHTS), 1))
                    tried[:, system] = WEIGHTS
                    values = [float(self.quality(mask, each, constant).sum()) for each in tried]
                    weights = tried[int(np.argmax(values))]
                    if max(values) > score:
                        found, score = (weights.copy(), constant), max(values)
        return found
