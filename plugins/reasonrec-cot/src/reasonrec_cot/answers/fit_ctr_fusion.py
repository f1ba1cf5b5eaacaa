"""Fitting how clicks are judged on held-out pairs: weights, cross-fitted figures, one source alone if it is as good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from reasonrec_core.types import Bool, Float32, Float64
from reasonrec_cot.answers.ctr_fusion import CtrFusion
from reasonrec_cot.answers.fit_fusion import CROSSED, FEWEST, FOLDS

STRENGTH = 10.0
"""Inverse of the quadratic penalty on weights (scikit-learn's ``C``)."""


@dataclass(frozen=True)
class FittedCtrFusion:
    """A fit and how good it is.

    Attributes:
        decision: None with fewer than 30 pairs.
        report: pairs; AUC of each source alone and, cross-fitted, of all; which decides; JSON values.
    """

    decision: CtrFusion | None
    report: dict[str, Any]


def fit_ctr_fusion(
    percentiles: Mapping[str, Float32], clicked: Bool, horizon: Float32, seed: int = 0, *, drawn: bool = True
) -> FittedCtrFusion:
    """Fit on held-out pairs; one source alone where all together are not better than the best of them.

    Args:
        percentiles: per source float32[B, C], between 0 and 1.
        clicked: bool[B, C]; one target a row if ``drawn``.
        horizon: float32[B].
        seed: of the folds, which are of rows.
        drawn: whether the other items of a row were drawn, and weigh as much as its target together.
    """
    names, label = tuple(percentiles), clicked.ravel()
    weight = np.where(clicked, 1.0, 1.0 / max(clicked.shape[1] - 1, 1) if drawn else 1.0).ravel()
    both = label.any() and not label.all()
    figures = {name: {"AUC": _auc(label, values.ravel())} for name, values in percentiles.items()} if both else {}
    report: dict[str, Any] = {"pairs": len(clicked), "drawn each": clicked.shape[1] - 1, "figures": figures}
    if min(clicked.sum(), (~clicked).sum()) < FEWEST:
        return FittedCtrFusion(None, {**report, "decides": None})
    every = _columns(percentiles, horizon)
    fold = np.repeat(np.random.default_rng(seed).permutation(len(clicked)) % FOLDS, clicked.shape[1])
    crossed = np.zeros(len(label))
    for number in range(FOLDS):
        crossed[fold == number] = _fit(every, label, weight, fold != number).decision_function(every[fold == number])
    best = max(names, key=lambda name: figures[name]["AUC"])
    figures[CROSSED] = {"AUC": _auc(label, crossed)}
    single = figures[CROSSED]["AUC"] <= figures[best]["AUC"]
    sources = (best,) if single else names
    columns = _columns({name: percentiles[name] for name in sources}, horizon)
    model = _fit(columns, label, weight, np.ones(len(label), np.bool_))
    found, tilt = model.coef_[0, :-1].reshape(len(sources), 2), float(model.coef_[0, -1])
    pairs = tuple((float(a), float(b)) for a, b in found)
    decision = CtrFusion(sources, pairs, (float(model.intercept_[0]), tilt))
    return FittedCtrFusion(decision, {**report, "decides": best if single else CROSSED})


def _columns(percentiles: Mapping[str, Float32], horizon: Float32) -> Float64:
    """float64[B * C, 2 sources + 1]."""
    tilt = horizon.astype(np.float64)[:, None] - 0.5
    odds = [logit(values.astype(np.float64)) for values in percentiles.values()]
    parts = [part for each in odds for part in (each, each * tilt)]
    shape = next(iter(percentiles.values())).shape
    return np.stack([np.broadcast_to(part, shape).ravel() for part in (*parts, tilt)], axis=1)


def _fit(columns: Float64, label: Bool, weight: Float64, rows: Bool) -> LogisticRegression:
    with threadpool_limits(1):
        return LogisticRegression(C=STRENGTH, max_iter=500).fit(columns[rows], label[rows], sample_weight=weight[rows])


def _auc(label: Bool, values: npt.NDArray[Any]) -> float:
    return float(roc_auc_score(label, values))
