"""Fitting the decision on held-out pairs: what is weighed, weights, cross-fitted figures, or one source alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from reasonrec_core.ranking import compute_gain
from reasonrec_core.types import Bool, Float32, Float64, Int32, Int64
from reasonrec_cot.answers.score_fusion import ScoreFusion, features

FEWEST = 30
"""Pairs with their target among the candidates, below which nothing is fitted."""
PENALTY = 50.0
"""Of the squares of weights: a source weighs as much as some hundred pairs can tell that it should."""
FOLDS = 5
CROSSED = "decision, cross-fitted"
"""The decision's name among the figures."""


@dataclass(frozen=True)
class FittedFusion:
    """A fit and how good it is.

    Attributes:
        decision: None with fewer than 30 pairs to learn from: the first source decides.
        crossed: float32[B, C] joint scores of each pair by weights fitted on other pairs; a single source's own.
        report: counts; NDCG@10 and HR@1 of each source alone and, cross-fitted, of the decision; which of them decides,
            and which sources it hears; JSON values.
    """

    decision: ScoreFusion | None
    crossed: Float32
    report: dict[str, Any]


def fit_score_fusion(
    scores: Mapping[str, Float32],
    candidates: Int32,
    targets: Int32,
    horizon: Float32,
    seed: int = 0,
    wide: tuple[Mapping[str, Float32], Int32] | None = None,
) -> FittedFusion:
    """Fit on held-out pairs.

    A source without which the cross-fitted NDCG@10 is higher is left out, one after the other. What is reported of the
    decision is that of the chosen sources, and a little too good for having been chosen.

    Args:
        scores: per source float32[B, C], -inf for what it does not score.
        candidates: int32[B, C], -1 pads.
        targets: int32[B]; a pair whose target is no candidate cannot be won and counts as a miss in the figures.
        horizon: float32[B].
        seed: of the folds.
        wide: scores and candidates of the same pairs in longer lists, which hold more targets to learn from; figures
            are those of ``candidates`` all the same.
    """
    names = tuple(scores)
    place = _find_targets(candidates, targets)
    figures: dict[str, Any] = {name: _measure(values, place) for name, values in scores.items()}
    more, longer = (scores, candidates) if wide is None else wide
    sought = _find_targets(longer, targets)
    learned = np.flatnonzero(sought >= 0)
    report = {
        "pairs": len(targets),
        "with target": int((place >= 0).sum()),
        "learned from": len(learned),
        "figures": figures,
    }
    if len(learned) < FEWEST:
        return FittedFusion(None, next(iter(scores.values())), {**report, "decides": names[0]})
    free, columns = _describe(scores, horizon)
    longer_free, longer_columns = _describe({name: more[name] for name in names}, horizon)
    pairs = _Pairs(columns, free, place, longer_columns, longer_free, sought, np.random.default_rng(seed))
    kept, crossed = _choose_sources(pairs, len(names))
    best = max(names, key=lambda name: figures[name]["NDCG@10"])
    figures[CROSSED] = _measure(crossed, place)
    if figures[CROSSED]["NDCG@10"] <= figures[best]["NDCG@10"]:
        return FittedFusion(ScoreFusion.of_one(best), scores[best], {**report, "decides": best})
    sources = tuple(names[source] for source in kept)
    final = pairs.fit(kept, learned).reshape(len(kept), 2, 2)
    weights = tuple(tuple((float(a), float(b)) for a, b in source) for source in final)
    return FittedFusion(
        ScoreFusion(sources, weights), crossed, {**report, "decides": CROSSED, "sources": list(sources)}
    )


class _Pairs:
    """Held-out pairs in folds.

    Args:
        columns, free, place: features float64[4 sources, B, C], what is scored and where the target stands in the lists
            that answers are made of.
        longer_columns, longer_free, sought: the same of the lists that weights are learned from.
        rng: of the folds.
    """

    def __init__(
        self,
        columns: Float64,
        free: Bool,
        place: Int64,
        longer_columns: Float64,
        longer_free: Bool,
        sought: Int64,
        rng: np.random.Generator,
    ) -> None:
        self.columns, self.free, self.place = columns, free, place
        self.longer_columns, self.longer_free, self.sought = longer_columns, longer_free, sought
        self.fold = rng.permutation(len(place)) % FOLDS
        self.learned = np.flatnonzero(sought >= 0)

    def fit(self, sources: Sequence[int], rows: Int64) -> Float64:
        """Weights of these sources, learned from these pairs."""
        return _fit(self.longer_columns[_find_columns(sources)][:, rows], self.longer_free[rows], self.sought[rows])

    def cross_fit(self, sources: Sequence[int]) -> Float32:
        """float32[B, C]: joint scores, each pair's by weights learned from other folds."""
        found = np.full(self.place.shape + self.free.shape[1:], -np.inf, np.float32)
        for number in range(FOLDS):
            weights = self.fit(sources, self.learned[self.fold[self.learned] != number])
            mine = self.fold == number
            joint = np.einsum("fbc,f->bc", self.columns[_find_columns(sources)][:, mine], weights)
            found[mine] = np.where(self.free[mine], joint, -np.inf)
        return found


def _choose_sources(pairs: _Pairs, count: int) -> tuple[list[int], Float32]:
    """Sources that are weighed, and their crossed scores: all, less those without whom the figure is higher."""
    kept = list(range(count))
    crossed = pairs.cross_fit(kept)
    figure = _measure(crossed, pairs.place)["NDCG@10"]
    while len(kept) > 1:
        without = [[source for source in kept if source != gone] for gone in kept]
        tried = [pairs.cross_fit(sources) for sources in without]
        reached = [_measure(each, pairs.place)["NDCG@10"] for each in tried]
        best = int(np.argmax(reached))
        if reached[best] <= figure:
            break
        kept, crossed, figure = without[best], tried[best], reached[best]
    return kept, crossed


def _find_columns(sources: Sequence[int]) -> list[int]:
    """Rows of the features of these sources."""
    return [4 * source + feature for source in sources for feature in range(4)]


def _find_targets(candidates: Int32, targets: Int32) -> Int64:
    """int64[B]: where the target stands, -1 if nowhere."""
    hit = (candidates == targets[:, None]) & (candidates >= 0)
    return np.where(hit.any(axis=1), hit.argmax(axis=1), -1).astype(np.int64)


def _describe(scores: Mapping[str, Float32], horizon: Float32) -> tuple[Bool, Float64]:
    """bool[B, C] which candidates any source scores, and the features."""
    free = np.asarray(np.isfinite(np.stack(list(scores.values()))).any(axis=0), np.bool_)
    return free, features(scores, free, horizon)


def _fit(columns: Float64, free: Bool, place: Int64) -> Float64:
    """Weights that maximise the targets' log probability, with a quadratic penalty."""
    rows = np.arange(len(place))

    def loss(weights: Float64) -> tuple[float, Float64]:
        joint = np.where(free, np.einsum("fbc,f->bc", columns, weights), -np.inf)
        best = joint.max(axis=1, keepdims=True)
        shares = np.exp(joint - best)
        total = shares.sum(axis=1, keepdims=True)
        value = (np.log(total[:, 0]) + best[:, 0] - joint[rows, place]).sum() + PENALTY * (weights**2).sum() / 2
        shares /= total
        slope = np.einsum("fbc,bc->f", columns, shares) - columns[:, rows, place].sum(axis=1) + PENALTY * weights
        return float(value), slope

    found = minimize(loss, np.full(len(columns), 0.1), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def _measure(scores: Float32, place: Int64) -> dict[str, float]:
    """Means over all pairs; ties count against the target."""
    rows = np.flatnonzero(place >= 0)
    own = scores[rows, place[rows]][:, None]
    rank = np.full(len(place), np.inf)
    rank[rows] = np.where(np.isfinite(own[:, 0]), (scores[rows] >= own).sum(axis=1), np.inf)
    gains = np.where(rank <= 10, compute_gain(rank), 0.0)
    return {"NDCG@10": float(gains.mean()) if len(place) else 0.0, "HR@1": float((rank == 1).mean())}
