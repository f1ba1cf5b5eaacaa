"""Cross-fitted gains of delegates, and how good an order of requests is over all shares."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.routing import FOLDS, CalibrationData, cross_fit, signal_matrix, single
from reasonrec_core.types import Float64
from reasonrec_routers.features import feature_names
from reasonrec_routers.gain_model import FORMS, GainModel

SOFT = ", of expected gains"
"""What is added to the name of a form that learned from expected gains (`expected_gain`)."""


@dataclass(frozen=True)
class CrossFitted:
    """Cross-fitted scores float64[B, D] of delegates, of the form of regression that loses least over all shares.

    Attributes:
        names: the columns that they were learned from.
        at: float64[B, F] those columns.
        chosen: the form of the regression, and what it learned from.
        wanted: float64[B, D], what it was fitted to.
        scores: of each delegate, of queries that it did not learn from.
        areas: of all forms (see `area`).
    """

    names: tuple[str, ...]
    at: Float64
    chosen: str
    wanted: Float64
    scores: Float64
    areas: dict[str, float]

    @property
    def area(self) -> float:
        """Of what was chosen."""
        return self.areas[self.chosen]

    @property
    def form(self) -> str:
        """Of the regression."""
        return self.chosen.removesuffix(SOFT)


def cross_fit_gains(
    data: CalibrationData,
    estimators: tuple[str, ...],
    asked: tuple[str, ...],
    labels: tuple[str, ...],
    seed: int,
    *,
    pairs: bool = True,
    expected: Float64 | None = None,
) -> CrossFitted:
    """Scores of queries that were not learned from.

    Args:
        data: what is learned from.
        estimators: that decisions may follow from.
        asked: delegates whose answers are looked at.
        labels: delegates whose gains are learned.
        seed: draws the folds.
        pairs: whether answers are compared with each other as well.
        expected: float64[B, D] the gains as they are expected; to learn from that is tried, too.
    """
    names = (*estimators, *(name for name in feature_names(asked) if pairs or "~" not in name))
    missing = [name for name in names if name not in data.signals]
    if missing:
        raise ConfigError(
            f"learned deferral needs the delegates' answers, but there is no {missing[0]!r}",
            where="router.kind",
            fix="Run the pipeline with this version and a [router], so that its trace contains them.",
        )
    at, gains = signal_matrix(data.signals, names, len(data)), data.gains(labels)
    if len(at) < 2 * FOLDS:
        raise ConfigError(
            f"learned deferral cannot be fitted to only {len(at)} validation requests",
            where="router.kind",
            fix='Use kind = "threshold".',
        )
    folds, found = _shuffled_folds(len(at), seed), dict[str, Float64]()
    targets = {"": gains} if expected is None else {"": gains, SOFT: expected}
    for (kind, wanted), form in product(targets.items(), FORMS):

        def fit(rest: Any, form: str = form, wanted: Float64 = wanted) -> Any:
            model = GainModel.fit(form, at[rest], wanted[rest])
            return lambda rows: model(list(at[rows].T))

        found[form + kind] = cross_fit(folds, len(at), fit)
    areas = {each: area(crossed, gains) for each, crossed in found.items()}
    best = max(FORMS, key=lambda each: areas[each])
    if expected is not None:
        soft = max((form + SOFT for form in FORMS), key=lambda each: areas[each])
        gap = area_by_query(found[best], gains) - area_by_query(found[soft], gains)
        if not gap.mean() > gap.std() / np.sqrt(len(gap)):  # outcomes must be the better teacher by a standard error
            best = soft
    wanted = targets[SOFT if best.endswith(SOFT) else ""]
    return CrossFitted(names, at, best, wanted, single(found[best]), areas)


def _shuffled_folds(size: int, seed: int) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import KFold

    return list(KFold(FOLDS, shuffle=True, random_state=seed).split(np.zeros(size)))


def area(scores: Float64, gains: Float64) -> float:
    """Mean gain over all shares if queries are given away in the order of their best delegate's score.

    Args:
        scores: float64[B, D].
        gains: float64[B, D] quality of each delegate's answer minus the policy's.
    """
    return float(area_by_query(scores, gains).mean())


def area_by_query(scores: Float64, gains: Float64) -> Float64:
    """float64[B]: what each query adds to `area`: its gain times the part of all shares at which it is given away."""
    rows, who = np.arange(len(scores)), scores.argmax(axis=1)
    part = np.empty(len(rows))
    part[np.argsort(-scores[rows, who], kind="stable")] = 1.0 - rows / max(len(rows), 1)
    return np.asarray(gains[rows, who] * part)


def area_bounds(gains: Float64) -> dict[str, float]:
    """Areas of an oracle, and of a random order."""
    return {"oracle": area(gains, gains), "random": float(gains.mean(axis=0).max() / 2)}
