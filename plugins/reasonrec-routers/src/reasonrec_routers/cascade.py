"""Cascade: the cheapest delegate answers; where its answer is not worth it the next one, at last the policy.

FrugalGPT (Chen, Zaharia and Zou, 2023, section 3): models in the order of their cost, each with a score of its own
answer, and a threshold above which the answer is given. Here a level's score is the expected quality of the delegate's
answer minus the policy's, learned from the request and that answer (its margin, entropy, evidence), and one threshold
serves all levels, so that it can be placed for any share or risk. Which levels there are is chosen by cross-fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from reasonrec_core.routing import (
    AskingCosts,
    Assignment,
    CalibrationData,
    LearnedScores,
    RouterConfig,
    RouterState,
    Signals,
    place_threshold,
    read_columns,
    single,
    take_signals,
)
from reasonrec_core.types import Bool, Float32, Float64, Int64
from reasonrec_routers.config import CascadeConfig, choose_estimators
from reasonrec_routers.cross_fitting import CrossFitted, area_bounds, cross_fit_gains
from reasonrec_routers.deferral import GainRouter, Labels
from reasonrec_routers.gain_model import GainModel
from reasonrec_routers.latency_budget import affordable, warn_once

SHARES = 101
"""At how many shares a cascade is compared with another."""


class CascadeRouter(GainRouter[CascadeConfig]):
    """``delegates`` are the levels, asked in turn."""

    Config: ClassVar[type[RouterConfig]] = CascadeConfig
    in_turn: ClassVar[bool] = True

    def learn(self, data: CalibrationData) -> LearnedScores:
        """A score per level, and the levels of the best cross-fitted order."""
        labels, names, seed = self._cheapest_first(data), choose_estimators(self.config, data.signals), self.config.seed
        fits = {label: cross_fit_gains(data, names, (label,), (label,), seed, pairs=False) for label in labels}
        gains = dict(zip(labels, data.gains(labels).T, strict=True))
        levels, areas = self._choose_levels(data.costs, fits, gains)
        models = [GainModel.fit(fits[label].form, fits[label].at, gains[label][:, None]) for label in levels]
        return LearnedScores(
            levels,
            # Probabilities are learned from the level of the largest score: that is who answers where few are replaced.
            np.concatenate([fits[label].scores for label in levels], axis=1),
            asks=levels,
            state={"columns": tuple(fits[label].names for label in levels), "models": tuple(models)},
            report={
                "forms": {label: fits[label].form for label in levels},
                "areas": areas | area_bounds(data.gains(labels)),
            },
        )

    def score(self, signals: Signals) -> Float64:
        """float64[B, D]: of each level; -inf where its delegate has not answered."""
        return np.stack([self._score_level(level, signals) for level in range(len(self.delegates))], axis=1)

    def _score_level(self, level: int, signals: Signals) -> Float64:
        names, model = self.state.columns[level], self.state.models[level]
        there = [np.isfinite(signals[name].total) for name in names if name in signals]
        known = np.asarray(np.logical_and.reduce(there), np.bool_)
        made = np.full(len(known), -np.inf)
        if set(names) <= set(signals) and known.any():
            at = {name: signals[name] for name in names}
            made[known] = single(model(read_columns(at if known.all() else take_signals(at, known), names))[:, 0])
        return made

    def build_state(self, data: CalibrationData, learned: LearnedScores) -> Any:
        """Its report says what answers are worth that are given in turn."""
        state, rows = super().build_state(data, learned), np.arange(len(data))
        taken = _accepted(state, learned.scores, data.keys)
        gains = data.gains(learned.delegates)[rows, taken.argmax(axis=1)]
        routed = data.quality[data.policy] + np.where(taken.any(axis=1), gains, 0.0)
        return state.model_copy(update={"report": {**state.report, "routed_quality": float(np.mean(routed))}})

    def accepts_level(self, level: int, signals: Signals, keys: Int64 | None = None) -> Bool:
        """bool[B]: whether the answer of delegate number ``level`` is given."""
        accepted = _accepted(self.state, self._score_level(level, signals)[:, None], keys)
        return np.asarray(accepted[:, 0], np.bool_)

    def assign(self, signals: Signals, keys: Int64 | None = None) -> Assignment:
        """Whom queries are to go to: the first level that is accepted, else the best of those that have answered."""
        scores = self.score(signals)
        taken = _accepted(self.state, scores, keys)
        first = np.where(taken.any(axis=1), taken.argmax(axis=1), _order(self.state, scores).argmax(axis=1))
        asked = np.arange(scores.shape[1]) <= np.where(taken.any(axis=1), first, scores.shape[1])[:, None]
        shown = np.where(asked, scores, -np.inf)
        silent = np.asarray(~np.isfinite(shown).any(axis=1), np.bool_)  # nobody has answered
        found = self.assign_scores(signals, np.where(silent[:, None], 0.0, shown), first, keys)
        if not silent.any():
            return found

        def risk() -> Float32:
            return np.where(silent, np.float32(np.nan), found.risk)

        order = np.where(silent, -np.inf, found.order)
        return replace(found, order=order, estimate_risk=risk, replaced=found.replaced & ~silent)

    def at_share(self, share: float, signals: Signals) -> Self:
        """A router like this one, its threshold where ``share`` of these queries is replaced."""
        moved = self.with_state(self.config.at(share), by_score=True)
        moved.update(threshold=place_threshold(moved.config, moved.score(signals).max(axis=1)))
        return moved

    def _cheapest_first(self, data: CalibrationData) -> Labels:
        """By measured cost; the best on average first where nothing was measured."""
        labels, costs = self.candidates(data), data.costs
        if costs is None:
            return tuple(sorted(labels, key=lambda label: -float(np.mean(data.quality[label]))))
        return tuple(sorted(labels, key=lambda label: costs.delegates[label]))

    def _choose_levels(
        self, costs: AskingCosts | None, fits: Mapping[str, CrossFitted], gains: Mapping[str, Float64]
    ) -> tuple[Labels, dict[str, float]]:
        """The levels, and the areas of all that were tried: from the best delegate on, one more while that gains."""

        def worth(levels: Labels) -> float:
            crossed = np.concatenate([fits[label].scores for label in levels], axis=1)
            return area_in_turn(crossed, np.stack([gains[label] for label in levels], axis=1))

        def allowed(levels: Labels) -> bool:
            share = 0.5 if self.config.share is None else self.config.share
            return costs is None or affordable(costs, levels, levels[0], share, self.config.overhead)

        alone: list[Labels] = [(label,) for label in fits]
        areas = {levels: worth(levels) for levels in alone}
        if not any(allowed(levels) for levels in alone):
            warn_once("a cascade of these delegates would cost more of the saved time than router.overhead allows")
        best = max([levels for levels in alone if allowed(levels)] or alone[:1], key=lambda levels: areas[levels])
        while True:
            more = [tuple(label for label in fits if label in (*best, new)) for new in fits if new not in best]
            more = [levels for levels in more if allowed(levels)]
            areas |= {levels: worth(levels) for levels in more}
            better = max(more, key=lambda levels: areas[levels], default=best)
            if areas[better] <= areas[best]:
                return best, {", then ".join(levels): value for levels, value in areas.items()}
            best = better


def _order(state: RouterState, scores: Float64) -> Float64:
    """float64[...]: scores on the scale of the threshold; -inf stays."""
    if state.by_score:
        return scores
    known = np.isfinite(scores)
    made = np.full(scores.shape, -np.inf)
    made[known] = single(state.worse(scores[known][:, None]))
    return made


def _accepted(state: RouterState, scores: Float64, keys: Int64 | None) -> Any:
    """bool[B, D]: which levels' answers are good enough."""
    return np.stack([np.asarray(state.threshold(c, keys)) for c in _order(state, scores).T], axis=1)


def area_in_turn(scores: Float64, gains: Float64) -> float:
    """Mean gain over all shares, each query answered by the first level above the threshold.

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
