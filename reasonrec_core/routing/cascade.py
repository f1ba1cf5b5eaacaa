"""Cascade: the cheapest delegate answers; where its answer is not worth it the next one, at last the policy.

FrugalGPT (Chen, Zaharia and Zou, 2023, section 3): models in the order of their cost, each with a score of its own
answer, and a threshold above which the answer is given. Here a level's score is the expected quality of the delegate's
answer minus the policy's, learned from the request and that answer (its margin, entropy, evidence), and one threshold
serves all levels, so that it can be placed for any share or risk. Which levels there are is chosen by cross-fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from reasonrec_core.routing.config import RouterConfig
from reasonrec_core.routing.costs import Costs
from reasonrec_core.routing.decision import Judged
from reasonrec_core.routing.deferral import (
    LOG,
    Crossed,
    Labels,
    bounds,
    calibrated,
    candidates,
    cross_fitted,
    gains_of,
)
from reasonrec_core.routing.deferral_model import Learned, single
from reasonrec_core.routing.fitting import Lessons, choose
from reasonrec_core.routing.gain_model import fit_regression
from reasonrec_core.routing.threshold import Signals, matrix
from reasonrec_core.types import Bool, Float64, Int64

SHARES = 101
"""At how many shares a cascade is compared with another."""


class Cascade(Learned):
    """The learned parts; ``asks`` and ``delegates`` are the levels, in turn."""

    in_turn: ClassVar[bool] = True

    def scores(self, uncertainty: Signals) -> Float64:
        """float64[B, D]: of each level; -inf where its delegate has not answered."""
        levels = [self.level(level, uncertainty) for level in range(len(self.models))]
        return np.stack(levels, axis=1)

    def level(self, level: int, uncertainty: Signals) -> Float64:
        """float64[B]: the score of one level; -inf where its delegate has not answered."""
        names = self.columns[level]
        there = [np.isfinite(uncertainty[name].total) for name in names if name in uncertainty]
        known = np.asarray(np.logical_and.reduce(there), np.bool_)
        made = np.full(len(known), -np.inf)
        if set(names) <= set(uncertainty) and known.any():
            at = matrix({name: uncertainty[name].take(known) for name in names}, names)
            made[known] = single(self.models[level](at))
        return made

    def places(self, scores: Float64) -> Float64:
        """float64[...]: scores on the scale of the cut; -inf stays."""
        if self.by_gain:
            return scores
        known = np.isfinite(scores)
        made = np.full(scores.shape, -np.inf)
        made[known] = single(self.worse(scores[known][:, None]))
        return made

    def accepts(self, scores: Float64, keys: Int64 | None) -> Bool:
        """bool[B]: whether answers with these scores are given."""
        return self.cut(self.places(scores), keys)

    def judge(self, uncertainty: Signals, keys: Int64 | None = None) -> Judged:
        """All that is made of B queries: the first level that is accepted, else the best of all."""
        return self.judge_levels(self.scores(uncertainty), keys)

    def judge_levels(self, scores: Float64, keys: Int64 | None = None) -> Judged:
        """The same from float64[B, D] scores of the levels."""
        taken: Bool = np.stack([self.accepts(column, keys) for column in scores.T], axis=1)
        first = np.where(taken.any(axis=1), taken.argmax(axis=1), self.places(scores).argmax(axis=1))
        asked = np.arange(scores.shape[1]) <= np.where(taken.any(axis=1), first, scores.shape[1])[:, None]
        shown = np.where(asked, scores, -np.inf)
        silent = np.asarray(
            ~np.isfinite(shown).any(axis=1), np.bool_
        )  # nobody has answered: there is nothing to judge by
        found = self.judged(np.where(silent[:, None], 0.0, shown), first)
        if not silent.any():
            return found
        order, risk = np.where(silent, -np.inf, found.order), np.where(silent, np.nan, found.risk)
        return replace(found, order=order, risk=risk.astype(np.float32))

    def order(self, uncertainty: Signals) -> Float64:
        """float64[B]: the best place of any level, by which a cut is placed."""
        return np.asarray(self.places(self.scores(uncertainty)).max(axis=1))


def learn_cascade(config: RouterConfig, lessons: Lessons) -> Cascade:
    """A score per level, and the levels of the best cross-fitted order."""
    main = choose(config, lessons.delegates)
    labels = _cheapest_first(candidates(config, lessons), lessons)
    gains = gains_of(lessons, labels)
    fits = {
        label: cross_fitted(config, lessons, (label,), gains[:, [column]], pairs=False)
        for column, label in enumerate(labels)
    }
    levels, areas = _levels(config, lessons.costs, fits, dict(zip(labels, gains.T, strict=True)))
    crossed = np.concatenate([fits[label].scores for label in levels], axis=1)
    gains = gains_of(lessons, levels)
    models = tuple(
        fit_regression(fits[label].form, fits[label].at, column, config.seed)
        for label, column in zip(levels, gains.T, strict=True)
    )
    columns = tuple(fits[label].names for label in levels)
    # Probabilities are learned from the level of the largest score: that is who answers where the cut is high.
    rows, best = np.arange(len(crossed)), crossed.argmax(axis=1)
    made: Cascade = calibrated(
        config, lessons, Cascade, main, levels, levels, columns, models, crossed[rows, best], gains[rows, best]
    )
    places = made.places(crossed)
    first = np.stack([made.cut(column, lessons.keys) for column in places.T], axis=1)
    answered = np.where(first.any(axis=1), gains[rows, first.argmax(axis=1)], 0.0)
    made.report |= {
        "forms": {label: fits[label].form for label in levels},
        "areas": areas | bounds(gains_of(lessons, labels)),
        "routed_quality": float(np.mean(lessons.policy + answered)),
    }
    return made


def area_in_turn(scores: Float64, gains: Float64) -> float:
    """Mean gain over all shares, each query answered by the first level above the cut.

    Args:
        scores: float64[B, D] of the levels, in turn.
        gains: float64[B, D] quality of each delegate's answer minus the policy's.
    """
    rows, best = np.arange(len(scores)), scores.max(axis=1)
    found = []
    for level in np.quantile(best, np.linspace(1.0, 0.0, SHARES)):
        taken = scores >= level
        found.append(float(np.where(taken.any(axis=1), gains[rows, taken.argmax(axis=1)], 0.0).mean()))
    return float(np.mean(found))


def _cheapest_first(labels: Labels, lessons: Lessons) -> Labels:
    """By measured cost; the best on average first where nothing was measured."""
    if lessons.costs is None:
        return tuple(sorted(labels, key=lambda label: -float(np.mean(lessons.delegates[label]))))
    return tuple(sorted(labels, key=lambda label: lessons.costs.delegates[label]))  # type: ignore[union-attr]


def _levels(
    config: RouterConfig, costs: Costs | None, fits: Mapping[str, Crossed], gains: Mapping[str, Float64]
) -> tuple[Labels, dict[str, float]]:
    """The levels, and the areas of all that were tried: from the best single delegate on, one more while that gains."""

    def worth(levels: Labels) -> float:
        crossed = np.concatenate([fits[label].scores for label in levels], axis=1)
        return area_in_turn(crossed, np.stack([gains[label] for label in levels], axis=1))

    def allowed(levels: Labels) -> bool:
        share = 0.5 if config.share is None else config.share
        return costs is None or costs.affordable(levels, levels[0], share, config.overhead)

    alone: list[Labels] = [(label,) for label in fits]
    areas = {levels: worth(levels) for levels in alone}
    if not any(allowed(levels) for levels in alone):
        LOG.warning("a cascade of these delegates takes more than it may of what it saves (router.overhead)")
    best = max([levels for levels in alone if allowed(levels)] or alone[:1], key=lambda levels: areas[levels])
    while True:
        more = [tuple(label for label in fits if label in (*best, new)) for new in fits if new not in best]
        more = [levels for levels in more if allowed(levels)]
        areas |= {levels: worth(levels) for levels in more}
        better = max(more, key=lambda levels: areas[levels], default=best)
        if areas[better] <= areas[best]:
            return best, {", then ".join(levels): value for levels, value in areas.items()}
        best = better
