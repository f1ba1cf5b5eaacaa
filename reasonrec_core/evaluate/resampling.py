"""Metrics as functions of sums over users, which is the form that resampling users needs.

Resampling users with replacement gives user ``u`` a weight ``w_u``; a metric's value on the resample is
``combine(sum_u w_u parts_u)``. So thousands of resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from reasonrec_core.errors import ConfigError
from reasonrec_core.evaluate.calibration import ECE_BINS, bin_of
from reasonrec_core.evaluate.ctr_metrics import Clicks, placements, user_auc
from reasonrec_core.evaluate.scores import Scores, Totals
from reasonrec_core.types import Float64, Int64


@dataclass(frozen=True)
class Estimate:
    """A metric that can be resampled.

    Attributes:
        name: of the metric.
        parts: float64[U, q] what each user adds to q sums.
        combine: float64[R, q] sums of R resamples -> float64[R] values.
        centred: whether resampling adds a bias of its own (ECE: noise never cancels in an absolute value), so that
            an interval is taken around the value from the resamples' spread about their mean.
    """

    name: str
    parts: Float64
    combine: Callable[[Float64], Float64]
    centred: bool = False

    @property
    def value(self) -> float:
        """The metric itself: every weight is one."""
        return float(self.combine(self.parts.sum(axis=0)[None])[0])


def estimates(scores: Scores, metrics: Sequence[str] | None = None) -> dict[str, Estimate]:
    """The metrics of ``scores`` that are functions of sums over users (all but Coverage).

    Raises:
        ConfigError: a metric in ``metrics`` does not exist or cannot be resampled.
    """
    made: dict[str, Estimate] = {}
    units, n_units = scores.units, int(scores.units.max()) + 1 if len(scores) else 0
    if scores.clicks is not None:
        makers = _of_clicks(scores.clicks, n_units)
    else:
        makers = {
            name: (lambda name=name, values=values: _mean(name, values, units, n_units))  # type: ignore[misc]
            for name, values in scores.per_query.items()
        }
        makers |= {name: partial(_of_totals, name, each, units, n_units) for name, each in scores.totals.items()}
    for name in makers if metrics is None else metrics:
        if name not in makers:
            raise ConfigError(f"no interval for the metric {name!r}", fix=f"There are: {', '.join(makers)}.")
        made[name] = makers[name]()
    return made


def _of_totals(name: str, totals: Totals, units: Int64, n_units: int) -> Estimate:
    """What the queries of each user add to the sums."""
    columns = [np.bincount(units, column, n_units) for column in totals.parts.T]
    return Estimate(name, np.stack(columns, axis=1), totals.combine)


def _ratio(sums: Float64) -> Float64:
    with np.errstate(invalid="ignore", divide="ignore"):
        value: Float64 = sums[:, 0] / sums[:, 1]
    return value


def _mean(name: str, values: Float64, units: Int64, n_units: int) -> Estimate:
    """The mean over the queries for which the metric is defined."""
    defined = ~np.isnan(values)
    total = np.bincount(units, np.where(defined, values, 0.0), n_units)
    return Estimate(name, np.stack([total, np.bincount(units, defined, n_units)], axis=1), _ratio)


def _of_clicks(clicks: Clicks, n_units: int) -> dict[str, Callable[[], Estimate]]:
    """How to make the estimates of `click_metrics.click_metrics`."""
    return {
        "AUC": lambda: _auc(clicks, n_units),
        "UAUC": lambda: _user_auc("UAUC", clicks, n_units),
        "GAUC": lambda: _user_auc("GAUC", clicks, n_units),
        "LogLoss": lambda: _mean("LogLoss", clicks.losses, clicks.unit, n_units),
        "Brier": lambda: _mean("Brier", clicks.squares, clicks.unit, n_units),
        "ECE": lambda: _ece("ECE", "width", clicks, n_units),
        "ECE[mass]": lambda: _ece("ECE[mass]", "mass", clicks, n_units),
    }


def _auc(clicks: Clicks, n_units: int) -> Estimate:
    """AUC to first order in the weights: means of DeLong's structural components, per class."""
    value = placements(clicks.label, clicks.probability)
    positive = clicks.label > 0.5
    columns = [np.bincount(clicks.unit, np.where(c, value, 0.0), n_units) for c in (positive, ~positive)]
    sizes = [np.bincount(clicks.unit, c, n_units) for c in (positive, ~positive)]
    parts = np.stack([columns[0], sizes[0], columns[1], sizes[1]], axis=1).astype(np.float64)
    auc = columns[0].sum() / max(sizes[0].sum(), 1) if sizes[1].sum() and sizes[0].sum() else float("nan")
    return Estimate("AUC", parts, lambda sums: _ratio(sums[:, :2]) + _ratio(sums[:, 2:]) - auc)


def _user_auc(name: str, clicks: Clicks, n_units: int) -> Estimate:
    """The mean of users' AUC, each user counting once (UAUC) or once per row (GAUC)."""
    value, rows = user_auc(clicks, n_units)
    both = ~np.isnan(value)
    weight = np.where(both, rows if name == "GAUC" else 1.0, 0.0)
    return Estimate(name, np.stack([np.where(both, value, 0.0) * weight, weight], axis=1), _ratio)


def _ece(name: str, kind: str, clicks: Clicks, n_units: int) -> Estimate:
    """Expected calibration error: per bin the sum of probability - label, and the number of rows."""
    cell = clicks.unit * ECE_BINS + bin_of(clicks.probability, ECE_BINS, kind)
    gaps = np.bincount(cell, clicks.probability - clicks.label, n_units * ECE_BINS).reshape(n_units, ECE_BINS)
    rows = np.bincount(clicks.unit, minlength=n_units).astype(np.float64)
    parts = np.concatenate([gaps, rows[:, None]], axis=1)
    return Estimate(name, parts, lambda sums: np.abs(sums[:, :-1]).sum(axis=1) / sums[:, -1], centred=True)
