"""The mixture, fitted on validation: weights by likelihood, then by rank; per horizon bucket where that holds up.

The weights start where expectation-maximisation puts them (the likelihood of the targets under ``sum_e w_e p_e``) and
are moved, together with shrinkage and gate exponents, one at a time while the ranks of the targets improve; the
search also starts from equal weights, because it moves along one axis at a time and may get stuck. Two
thirds of the pairs are searched on; the last third decides whether the search and the buckets are kept and gives the
figure that the search has not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from reasonrec_transitions.api import Point, search_coordinates

from reasonrec_core.ranking import compute_gain
from reasonrec_core.types import Float64
from reasonrec_profile.candidate_pool import CandidatePool
from reasonrec_profile.decide import MixtureWeights

WEIGHT_STEPS = (0.0, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.4, 2.0, 3.0)
SHRINKAGE_STEPS = (0.0, 0.1, 0.3, 1.0, 3.0)  # times the median of the expert's totals
EXPONENT_STEPS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
LEAST_POPULARITY = 1e-4  # every item keeps a chance
CAUTION = 300.0  # pairs that a bucket's own weights are held against
BUCKETS = 3


@dataclass(frozen=True)
class Mixture:
    """What was fitted.

    Attributes:
        weights: per bucket of the evidence horizon.
        shrinkage: per expert.
        exponents: per field.
        report: mean ``1 / log2(1 + rank)`` and NDCG@10 of the searched and of the unseen pairs.
    """

    weights: MixtureWeights
    shrinkage: tuple[float, ...]
    exponents: tuple[float, ...]
    report: dict[str, float]


def cut_gains(gains: Float64, deepest: int) -> Float64:
    """The gains (`compute_gain`), 0 beyond rank ``deepest``."""
    return np.where(gains >= compute_gain(np.array(deepest)) - 1e-12, gains, 0.0)


def fit_mixture(
    pool: CandidatePool,
    names: tuple[str, ...],
    neighbours: int,
    seed: int,
    trials: int,
    progress: Callable[[int, int], None],
) -> Mixture:
    """Fit weights, shrinkage and exponents to ``pool``; the first ``neighbours`` experts may be shrunk."""
    rng = np.random.default_rng(seed)
    searched = np.zeros(len(pool), dtype=np.bool_)
    searched[rng.permutation(len(pool))[: max(1, 2 * len(pool) // 3)]] = True
    seen, unseen = pool.take(searched), pool.take(~searched if not searched.all() else searched)
    experts, fields = len(names), pool.gates.shape[1]
    medians = np.array([_median(pool.totals[:, e]) for e in range(experts)])
    medians[neighbours:] = 0.0

    def unpack(point: Point) -> tuple[Float64, Float64, Float64]:
        values = np.array(point)
        weights = np.maximum(values[:experts], 0.0)
        weights[-1] = max(weights[-1], LEAST_POPULARITY)
        return weights / weights.sum(), values[experts : 2 * experts] * medians, values[2 * experts :]

    done = 0

    def objective(point: Point) -> float:
        nonlocal done
        done += 1
        progress(min(done, trials), trials)
        return float(seen.gains(*unpack(point)).mean())

    likeliest = (*expectation_maximisation(seen), *np.zeros(experts), *np.zeros(fields))
    starts = (
        likeliest,
        (*likeliest[:experts], *np.zeros(experts), *np.full(fields, 0.1)),
        (*np.full(experts, 1.0 / experts), *np.zeros(experts), *np.full(fields, 0.05)),
    )
    grids: dict[int, tuple[float, ...]] = dict.fromkeys(range(experts), WEIGHT_STEPS)
    grids |= {2 * experts + f: EXPONENT_STEPS for f in range(fields)}
    grids |= {experts + e: SHRINKAGE_STEPS for e in range(neighbours)}
    each = max(1, trials // len(starts))
    found = [search_coordinates(objective, start, grids, trials=each, gain=1e-6)[:2] for start in starts]
    best = max(found, key=lambda result: result[1])[0]
    if unseen.gains(*unpack(best)).mean() < unseen.gains(*unpack(likeliest)).mean():
        best = likeliest
    weights, shrinkage, exponents = unpack(best)
    table, edges = _buckets(seen, unseen, weights, shrinkage, exponents)
    fitted = MixtureWeights(names, edges, table.astype(np.float32))
    report = {f"{n} on searched": v for n, v in _figures(seen, fitted, shrinkage, exponents).items()}
    report |= {f"{n} on unseen": v for n, v in _figures(unseen, fitted, shrinkage, exponents).items()}
    report |= {"searched pairs": float(len(seen)), "unseen pairs": float(len(unseen)), "trials": float(done)}
    progress(trials, trials)
    return Mixture(fitted, tuple(map(float, shrinkage)), tuple(map(float, exponents)), report)


def expectation_maximisation(pool: CandidatePool, rounds: int = 50) -> Float64:
    """float64[E]: mixture weights of greatest likelihood of the targets (Dempster, Laird and Rubin, 1977)."""
    likelihood = _target_likelihood(pool, np.zeros(pool.totals.shape[1]))
    weights = np.full(likelihood.shape[1], 1.0 / likelihood.shape[1])
    for _ in range(rounds):
        weights = _responsibility(likelihood, weights).mean(axis=0)
    return weights


def _target_likelihood(pool: CandidatePool, shrinkage: Float64) -> Float64:
    whole = pool.totals.astype(np.float64) + shrinkage
    return np.divide(pool.scores[:, :, 0], whole, out=np.zeros_like(whole), where=whole > 0)


def _responsibility(likelihood: Float64, weights: Float64) -> Float64:
    joint = likelihood * weights + 1e-12
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


def _buckets(
    seen: CandidatePool, unseen: CandidatePool, weights: Float64, shrinkage: Float64, exponents: Float64
) -> tuple[Float64, Float64]:
    """MixtureWeights tilted in each bucket by how its responsibilities differ from all pairs', if unseen pairs gain."""
    one = (weights[None], np.zeros(0))
    edges = np.unique(np.quantile(seen.horizon.astype(np.float64), np.linspace(0, 1, BUCKETS + 1)[1:-1]))
    edges = edges[(edges > seen.horizon.min()) & (edges <= seen.horizon.max())]
    if not len(edges):
        return one
    share = _responsibility(_target_likelihood(seen, shrinkage), weights)
    overall = share.mean(axis=0)
    bucket = np.searchsorted(edges, seen.horizon.astype(np.float64), side="right")
    table = np.empty((len(edges) + 1, len(weights)))
    for b in range(len(table)):
        own = share[bucket == b]
        tilt = (own.sum(axis=0) + CAUTION * overall) / ((len(own) + CAUTION) * overall)
        table[b] = weights * tilt
    table /= table.sum(axis=1, keepdims=True)
    of = MixtureWeights((), edges, table.astype(np.float32)).of
    before = unseen.gains(weights, shrinkage, exponents).mean()
    after = unseen.gains(of(unseen.horizon).astype(np.float64), shrinkage, exponents).mean()
    return (table, edges) if after > before else one


def _figures(pool: CandidatePool, weights: MixtureWeights, shrinkage: Float64, exponents: Float64) -> dict[str, float]:
    gains = pool.gains(weights.of(pool.horizon).astype(np.float64), shrinkage, exponents)
    return {"gain": float(gains.mean()), "NDCG@10": float(cut_gains(gains, 10).mean())}


def _median(values: npt.NDArray[np.float32]) -> float:
    positive = values[values > 0]
    return float(np.median(positive)) if len(positive) else 0.0
